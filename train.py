#!/usr/bin/env python3
"""Training without a graph: `python train.py STAGE --comfyui PATH --checkpoint FILE --clips FOLDER --output FILE`; `--help` tells the rest.

On several devices: `torchrun --nproc-per-node 2 train.py ...`, on several machines as `torchrun --help` says. Run it with ComfyUI's own Python.
Stop it with Ctrl+C; with `--state FILE` the same command goes on where it was. The stages themselves are in `training/`.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import sys
from pathlib import Path
from types import ModuleType

PACK = Path(__file__).resolve().parent
NAME = "animatediff_native"


def one_device() -> None:
    """Let each process of a machine see its own CUDA device alone; ComfyUI computes on the first that it sees."""
    own = int(os.environ.get("LOCAL_RANK", "0"))
    if int(os.environ.get("LOCAL_WORLD_SIZE", "1")) > 1:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        devices = visible.split(",") if visible else [str(number) for number in range(own + 1)]
        os.environ["CUDA_VISIBLE_DEVICES"] = devices[own] if own < len(devices) else ""


def start_host(comfyui: Path, cpu: bool) -> None:
    """Make ComfyUI importable, with its command line for this process."""
    if not (comfyui / "comfy").is_dir():
        raise SystemExit(f"--comfyui needs the folder of ComfyUI, which has a folder comfy in it; {comfyui} has none.")
    sys.path[:] = [str(comfyui), *(entry for entry in sys.path if Path(entry or ".").resolve() != PACK)]
    from comfy.cli_args import args  # type: ignore[import-not-found]

    args.cpu = cpu


def load_pack() -> ModuleType:
    """The pack under a name that can be imported; its folder may have any."""
    spec = importlib.util.spec_from_file_location(NAME, PACK / "__init__.py", submodule_search_locations=[str(PACK)])
    if spec is None or spec.loader is None:
        raise SystemExit(f"{PACK} cannot be imported.")
    pack = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = pack
    spec.loader.exec_module(pack)
    return pack


def main() -> None:
    """Start the host, and hand the rest of the command line to the stages."""
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--comfyui", type=Path, default=PACK.parents[1], help="folder of ComfyUI; the one this pack is installed in")
    own.add_argument("--cpu", action="store_true")
    given, rest = own.parse_known_args()
    sys.argv = sys.argv[:1]  # the host reads the command line too
    one_device()
    start_host(given.comfyui.resolve(), given.cpu)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    load_pack()
    from animatediff_native.training.stages.command import main as train  # type: ignore[import-not-found]

    try:
        train(rest)
    except ValueError as error:
        raise SystemExit(f"train.py: {error}") from error


if __name__ == "__main__":
    main()
