"""Whether two checkouts of this pack make the same clips, bit for bit: for changes that should change no result.

Each checkout runs in a server of its own, with its own graphs; ComfyUI and the tiny models are the same for both, so only
the code differs. Every graph that both have is made small, with the same seeds, and every LATENT and IMAGE on its way is
saved: latents as they are, images as PNG of eight bits. A graph differs when a saved value does, or when only one of the
checkouts can run it.

`python3 dev.py bench same_frames --against PATH_OF_ANOTHER_CHECKOUT` runs this file. `--only name,name` chooses graphs;
those of `--expect name,name` may differ. The exit status is 1 when another one does.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import signal
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.append(str(REPOSITORY))  # last: nothing of ours may hide a library

from demo.animate import TINY_MODELS  # noqa: E402
from demo.cache import SetupError  # noqa: E402
from demo.client import ComfyClient, PromptError, workflow_to_prompt  # noqa: E402
from demo.environment import Environment, link_folder  # noqa: E402
from demo.server import Server  # noqa: E402

SMALL = {"width": 64, "height": 64, "steps": 2, "seed": 1, "noise_seed": 1}
SAVERS = {"LATENT": ("SaveLatent", "samples"), "IMAGE": ("SaveImage", "images")}
LOSSY = {"SaveAnimatedWEBP", "SaveVideo"}
Prompt = dict[str, dict[str, Any]]
Array = np.ndarray[Any, Any]
Values = dict[str, Array]


@dataclass(frozen=True)
class Side:
    """A checkout, the server that runs it and the nodes it has, as the server describes them."""

    checkout: Path
    client: ComfyClient
    nodes: dict[str, Any]


def make_base(base: Path, checkout: Path, tiny: Path) -> Path:
    """A base directory of ComfyUI with the pack of `checkout`, and the models and inputs of the base directory `tiny`."""
    (base / "custom_nodes").mkdir(parents=True)
    link_folder(base / "custom_nodes" / "animatediff-native", checkout)
    link_folder(base / "custom_nodes" / "animatediff-tiny-models", REPOSITORY / "demo" / "tiny_models_pack")
    for name in ("models", "input"):
        link_folder(base / name, tiny / name)
    return base


def start(stack: ExitStack, checkout: Path, base: Path) -> Side:
    """A side whose server runs as long as `stack` is open. Raises SetupError when it does not start."""
    environment = Environment(Path(os.environ["COMFYUI_PATH"]), Path(sys.executable), base)
    client = ComfyClient(stack.enter_context(Server(environment, base / "server.log")).url)
    return Side(checkout, client, client.object_info())


def small_prompt(side: Side, name: str) -> Prompt:
    """A graph of this side, small and for the tiny models. Raises WorkflowError when the server lacks a node."""
    graph = (side.checkout / "workflows" / f"{name}.json").read_text(encoding="utf-8")
    prompt = workflow_to_prompt(json.loads(graph), side.nodes, TINY_MODELS)
    for node in prompt.values():
        node["inputs"].update({key: value for key, value in SMALL.items() if key in node["inputs"]})
    return prompt


def add_savers(prompt: Prompt, nodes: dict[str, Any]) -> dict[str, str]:
    """Save each LATENT and IMAGE that a node of the prompt takes, in place of the lossy files.

    Returns what each saver saves, by its id: the kind, the type of the node it comes from, and a count of such values.
    """
    links = {tuple(value) for node in prompt.values() for value in node["inputs"].values() if isinstance(value, list)}
    labels: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for source, slot in sorted(links, key=lambda link: (len(link[0]), link)):  # numbers as texts: 9 before 10
        kind = nodes[prompt[source]["class_type"]]["output"][slot]
        if kind in SAVERS:
            (saver, socket), key, label = SAVERS[kind], f"saver_{source}_{slot}", f"{kind} of {prompt[source]['class_type']}"
            seen[label] += 1
            labels[key] = f"{label} {seen[label]}"
            prompt[key] = {"class_type": saver, "inputs": {socket: [source, slot], "filename_prefix": key}}
    for key in [key for key, node in prompt.items() if node["class_type"] in LOSSY]:
        del prompt[key]
    return labels


def run(side: Side, name: str) -> Values | str:
    """What a graph makes on one side, by label, each with its frames first; or the first line of why it does not."""
    try:
        prompt = small_prompt(side, name)
        labels, outputs = add_savers(prompt, side.nodes), side.client.run(prompt)
        return {label: _read(side.client, outputs[key]) for key, label in labels.items()}
    except (PromptError, ValueError, OSError) as error:
        return (str(error) or repr(error)).splitlines()[0]


def _read(client: ComfyClient, output: dict[str, Any]) -> Array:
    if "latents" in output:
        return safetensors.numpy.load(client.view(output["latents"][0]))["latent_tensor"]
    return np.stack([np.asarray(Image.open(io.BytesIO(client.view(file)))) for file in output["images"]])


def difference(ours: Values | str, theirs: Values | str) -> str:
    """What differs, in words: the worst value of each kind. Empty when every bit is the same."""
    if isinstance(ours, str) or isinstance(theirs, str):
        results = {"this checkout": ours, "the other": theirs}
        return "; ".join(f"{side} fails: {result}" for side, result in results.items() if isinstance(result, str))
    if ours.keys() != theirs.keys():
        return f"only one checkout has: {', '.join(sorted(ours.keys() ^ theirs.keys()))}"
    worst: dict[str, tuple[float, str]] = {}
    for label, value in ours.items():
        relative, frames = _apart(value, theirs[label])
        if frames:
            found, kind = (relative, f"{label}: {relative:.1e} in {frames}"), label.split()[0]
            worst[kind] = max(worst.get(kind, found), found)
    return "; ".join(text for _, text in worst.values())


def _apart(ours: Array, theirs: Array) -> tuple[float, str]:
    """The largest difference over the largest number there is, and which frames differ, in words; empty when none."""
    if (ours.shape, ours.dtype) != (theirs.shape, theirs.dtype):
        return float("inf"), f"all frames ({ours.dtype} {ours.shape} here, {theirs.dtype} {theirs.shape} there)"
    mine, other = (np.ascontiguousarray(value).reshape(len(value), -1) for value in (ours, theirs))
    frames = int((mine.view(np.uint8) != other.view(np.uint8)).any(axis=1).sum())
    apart = np.abs(mine.astype(np.float64) - other).max()
    relative = float(apart / (np.abs(other.astype(np.float64)).max() or 1.0))
    return relative if relative == relative else float("inf"), f"{frames} of {len(mine)} frames" if frames else ""


def compare(sides: tuple[Side, Side], names: list[str], expected: set[str]) -> bool:
    """Print a row per graph; whether all are equal that have to be."""
    differ: set[str] = set()
    for name in names:
        ours, theirs = (run(side, name) for side in sides)
        found = difference(ours, theirs)
        differ |= {name} if found else set()
        verdict = "differs as expected" if name in expected else "DIFFERS"
        sys.stdout.write(f"{name:28}: {f'{verdict}: {found}' if found else f'equal, {len(ours)} values'}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{len(names) - len(differ)} equal, {len(differ)} differ, {len(differ - expected)} of them unexpected\n")
    return differ <= expected


def read_options() -> argparse.Namespace:
    """The command line: `names` to run, `alone` in one checkout; `against` as a whole path. Ends when a graph is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="in the base directory with the tiny models")
    parser.add_argument("--against", type=Path, required=True, metavar="PATH", help="another checkout of this pack")
    parser.add_argument("--only", default="", metavar="NAMES", help="graphs to run, with commas")
    parser.add_argument("--expect", default="", metavar="NAMES", help="graphs that may differ, with commas")
    options = parser.parse_args()
    options.against = options.against.expanduser().resolve()
    ours, theirs = ({path.stem for path in root.glob("workflows/*.json")} for root in (REPOSITORY, options.against))
    only, options.expect = ({name for name in text.split(",") if name} for text in (options.only, options.expect))
    if not ours & theirs:
        parser.error(f"--against needs a checkout of this pack; {options.against} has none of its graphs.")
    if missing := (only | options.expect) - (ours & theirs):
        parser.error(f"A graph has to be in both checkouts; {', '.join(sorted(missing))} is not.")
    options.names, options.alone = sorted(only or ours & theirs), sorted(ours ^ theirs)
    return options


def main() -> int:
    """Compare; 1 when a graph differs that should not, or a server does not start."""
    options = read_options()
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # the other checkout stays as it was
    alone = f"graphs not in both: {', '.join(options.alone) or 'none'}"
    sys.stdout.write(f"{platform.machine()}, {REPOSITORY} against {options.against}; {alone}\n")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # an end from outside ends the servers too
    tiny = options.folder.parent
    try:
        with tempfile.TemporaryDirectory() as made, ExitStack() as stack:
            here = start(stack, REPOSITORY, make_base(Path(made, "this"), REPOSITORY, tiny))
            there = start(stack, options.against, make_base(Path(made, "other"), options.against, tiny))
            return 0 if compare((here, there), options.names, options.expect) else 1
    except (SetupError, KeyboardInterrupt) as error:
        sys.exit(str(error) or "Stopped.")


if __name__ == "__main__":
    sys.exit(main())
