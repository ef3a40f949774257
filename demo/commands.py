"""The commands of `dev.py`: what each one does once the environment is there, and the command line they share."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import webbrowser
from pathlib import Path

from .animate import LARGER, animate
from .cache import SetupError, cache_dir, say
from .client import PromptError
from .convert import convert as convert_graph
from .environment import DEFAULT_HOST, REPOSITORY, VERSIONS, Environment, Options, child_environment, prepare
from .gallery import gallery as make_gallery
from .server import Server
from .world.prompts import CAPTION
from .world.trained import untrained

DESCRIPTION = """\
Commands for developers. `python3 dev.py COMMAND --help` says more.

All of them first make what they need (a ComfyUI, a Python environment with PyTorch, tiny models) in a cache
outside this folder ($ANIMATEDIFF_CACHE, or your user's cache folder), and find it again the next time."""


SEEN = f"""The small networks of docs/small_world.md made, for "{CAPTION}":
- animation and contact_sheet.png: a ball that rolls to the right, in 16 frames;
- comparison.png, from top to bottom: the same; the same seed without the motion module, 16 pictures that do not belong together; and a
  box at rest with the motion LoRA "pan left" at -1, 0 and 1: the camera goes right, stays, goes left."""
"""What a person sees in the files of the demo."""
ALL_CORES = ("-n", "auto", "--maxprocesses", "4", "--dist", "loadgroup")
"""How the whole suite runs: files side by side, on up to four cores; ``-n 0`` after ``test`` runs them one by one."""


def demo(environment: Environment, options: argparse.Namespace) -> int:
    """Run the text-to-video workflow on the small trained models and save the animation, and what it compares with."""
    files = animate(environment, options.output, options.port, options.larger)
    missing = untrained()
    say(f"Done. Random in this copy, so that what they act on is noise: {', '.join(missing)}." if missing else f"Done. {SEEN}")
    for file in files:
        say(f"  {file}")
    return 0


def test(environment: Environment, options: argparse.Namespace) -> int:
    """Run the tests against a real ComfyUI. Arguments dev.py does not know go to pytest."""
    _require(environment.python, "pytest")
    variables = child_environment(
        COMFYUI_PATH=str(environment.comfyui), ANIMATEDIFF_BASE=str(environment.base), OMP_NUM_THREADS="1"
    )
    # Not `python -m pytest`: that puts this folder first on sys.path, where our `nodes` would hide ComfyUI's.
    start = "import sys; sys.path.pop(0); import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    marker = "gpu" if options.gpu else "not gpu"
    chosen = any(_is_test_path(argument) for argument in options.rest)
    whole = [] if chosen else [*ALL_CORES, str(REPOSITORY / "tests")]
    command = [str(environment.python), "-c", start, "-m", marker, *whole, *options.rest]
    return subprocess.run(command, cwd=REPOSITORY, env=variables, check=False).returncode


def _is_test_path(argument: str) -> bool:
    return not argument.startswith("-") and (REPOSITORY / argument.split("::")[0]).exists()


def lint(environment: Environment, options: argparse.Namespace) -> int:
    """Check style with ruff and types with pyright."""
    _require(environment.python, "ruff", "pyright")
    config = environment.base / "pyrightconfig.json"
    config.write_text(json.dumps(_pyright_config(environment)), encoding="utf-8")
    commands = (
        [str(environment.python), "-m", "ruff", "check", "--no-cache", str(REPOSITORY)],
        [str(environment.python), "-m", "pyright", "--pythonpath", str(environment.python), "-p", str(config)],
    )
    failed = 0
    for command in commands:
        say(f"{command[2]}:")
        failed |= subprocess.run(command, cwd=REPOSITORY, env=child_environment(), check=False).returncode != 0
    return int(failed)


def _require(python: Path, *modules: str) -> None:
    """Raises SetupError when an interpreter given with --python lacks the tools of a command."""
    for module in modules:
        probe = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False)
        if probe.returncode != 0:
            raise SetupError(f"This command needs {module}; {python} does not have it. Install it, or omit --python.")


def _pyright_config(environment: Environment) -> dict[str, object]:
    """This repository's pyright settings, and where ComfyUI is, which only this machine knows."""
    return {"extends": str(REPOSITORY / "pyproject.toml"), "extraPaths": [str(environment.comfyui)]}


def bench(environment: Environment, options: argparse.Namespace) -> int:
    """Run a benchmark and print its figures. Arguments dev.py does not know go to it, after its name."""
    variables = child_environment(COMFYUI_PATH=str(environment.comfyui))
    script = REPOSITORY / "bench" / f"{options.name}.py"
    command = [str(environment.python), str(script), "--folder", str(environment.base / "bench"), *options.rest]
    return _waited(subprocess.Popen(command, env=variables))


def _waited(process: subprocess.Popen[bytes]) -> int:
    """The exit status of a process, which is asked to end when we are."""
    with process:
        try:
            return process.wait()
        finally:
            process.terminate()  # asked, not forced: it may have processes of its own to end. Does nothing when it has ended by itself


def convert(environment: Environment, options: argparse.Namespace) -> int:
    """Rewrite a graph made with AnimateDiff-Evolved or another pack into nodes of this one.

    The exit status is 0 when none is left, 1 when some are, and 2 when nothing was written.
    """
    return convert_graph(environment, options.old, options.new, options.models)


def serve(environment: Environment, options: argparse.Namespace) -> int:
    """Run ComfyUI with this pack and the tiny models until Ctrl-C."""
    with Server(environment, None, options.port or 8188) as server:
        say(f"ComfyUI runs at {server.url} (Ctrl-C ends it).")
        if not options.no_browser:
            webbrowser.open(server.url)
        return server.wait()


def gallery(environment: Environment, options: argparse.Namespace) -> int:
    """Make the pictures of the README and the thumbnails of the graphs anew, on the small trained models."""
    for file in make_gallery(environment, options.graphs):
        say(f"  {file}")
    return 0


def train_world(environment: Environment, options: argparse.Namespace) -> int:
    """Train the small world's networks again: five to six hours on two cores. Stops and goes on where it was."""
    state = options.state or cache_dir() / "world"
    several = ["torch.distributed.run", "--nproc-per-node", str(options.processes), "-m"] if options.processes > 1 else []
    command = [str(environment.python), "-m", *several, "demo.world.train", str(state), *options.stages]
    variables = world_variables(environment)
    if options.processes > 1 and "OMP_NUM_THREADS" not in os.environ:
        variables["OMP_NUM_THREADS"] = "1"  # a core for each process
    return _waited(subprocess.Popen(command, cwd=REPOSITORY, env=variables))


def world_variables(environment: Environment) -> dict[str, str]:
    """The environment variables of a process that imports the host and `demo`: our `nodes` must not hide the host's."""
    return child_environment(PYTHONPATH=os.pathsep.join((str(environment.comfyui), str(REPOSITORY))), PYTHONSAFEPATH="1")


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    given = os.environ.get("COMFYUI_PATH")
    shared.add_argument("--comfyui", type=Path, default=given, metavar="PATH", help="use this ComfyUI checkout")
    shared.add_argument("--python", type=Path, metavar="PATH", help="use this Python, which has ComfyUI's requirements")
    versions = ", ".join(VERSIONS)
    shared.add_argument("--host", default=DEFAULT_HOST, metavar="VERSION", help=f"ComfyUI version ({versions})")
    parser = argparse.ArgumentParser(prog="dev.py", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for run in (demo, test, lint, bench, convert, serve, gallery, train_world):
        command = commands.add_parser(run.__name__.replace("_", "-"), help=run.__doc__, description=run.__doc__, parents=[shared])
        command.set_defaults(run=run)
        if run in (demo, serve):
            command.add_argument("--port", type=int, metavar="N", help="port of the server")
        if run is demo:
            command.add_argument("--output", type=Path, default=REPOSITORY / "output", help="folder for the results")
            command.add_argument("--larger", type=int, choices=range(1, 9), default=LARGER, metavar="N", help=f"enlarge the pictures N times ({LARGER})")
        elif run is test:
            command.add_argument("--gpu", action="store_true", help="run the tests that need a GPU, and only those")
        elif run is bench:
            names = sorted(path.stem for path in (REPOSITORY / "bench").glob("*.py") if path.stem != "__init__")
            command.add_argument("name", choices=names, help="which one")
        elif run is convert:
            command.add_argument("old", type=Path, metavar="OLD", help="a graph: .json, or a .png, .webp or .mp4 with one in it")
            command.add_argument("new", type=Path, metavar="NEW", help="the .json file to write, of the same kind")
            command.add_argument("--models", type=Path, metavar="FOLDER", help="name the model files of this folder, not those in the graph")
        elif run is serve:
            command.add_argument("--no-browser", action="store_true", help="do not open a browser")
        elif run is gallery:
            command.add_argument("graphs", nargs="*", help="the thumbnails of these graphs alone")
        elif run is train_world:
            command.add_argument("stages", nargs="*", help="only these: autoencoder, image, ...; all when none is named")
            command.add_argument("--processes", type=int, choices=(1, 2, 4), default=1, help="that share the batch of each step, one for each core (1)")
            command.add_argument("--state", type=Path, metavar="FOLDER", help="where the trainings are kept (the cache)")
    return parser


def _end(number: int, _: object) -> None:
    """Turn a signal into an exception, so that every `finally` runs and the server ends with us."""
    raise SystemExit(128 + number)


def main() -> int:
    """Read the command line, prepare, and run the command; returns the exit status."""
    parser = _parser()
    options, options.rest = parser.parse_known_args()
    if options.rest and options.run not in (test, bench):
        parser.error(f"unknown arguments: {' '.join(options.rest)}")
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _end)
    try:
        environment = prepare(Options(options.host, options.comfyui, options.python))
        return options.run(environment, options)
    except KeyboardInterrupt:
        say("Stopped.")
        return 130
    except (SetupError, PromptError, OSError, RuntimeError, ValueError) as error:
        sys.stderr.write(f"\ndev.py {options.run.__name__}: {error}\n")
        return 2 if options.run is convert else 1  # there, 1 says that a graph was written, with nodes left

