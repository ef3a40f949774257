"""The stages as a command, in one process or several (``torchrun``). Called by ``train.py`` at the root of the pack."""

from __future__ import annotations

import argparse
import inspect
import logging
import os
import re
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor

from ...sampling.host.controls import Conditioning
from ...sampling.host.memory import ModelPatcher, compute_device
from ...sampling.modules.domain_adapter import with_domain_adapter
from ...sampling.modules.load import load_motion_module
from ..clips.encode import encode_clips
from ..clips.load import ClipOptions
from ..host.checkpoint import Checkpoint, empty_prompt, existing, load_checkpoint, load_dataset
from ..loop.on_console import ConsoleWatch
from ..loop.processes import Processes, Several
from ..loop.settings import DTYPES, LOSSES, OPTIMIZERS, RATE_SCHEDULES, TrainingSettings
from ..loop.watch import Keeping, Trained
from .clips import Run
from .domain_adapter import train_domain_adapter
from .motion_lora import train_motion_lora
from .motion_module import FromScratch, train_motion_module

STAGES = ("motion_module", "motion_lora", "domain_adapter")
HOST = "--comfyui PATH is the folder of ComfyUI, by default the one that the pack is installed in; --cpu computes on the CPU."
CHOICES = {"optimizer": OPTIMIZERS, "loss_function": LOSSES, "training_dtype": DTYPES, "schedule": RATE_SCHEDULES}
ENCODING = timedelta(days=1)
"""How long processes wait for the first, which encodes all clips."""
LAUNCHED = "WORLD_SIZE"
"""The environment variable by which ``torchrun`` tells how many processes there are."""


def parser() -> argparse.ArgumentParser:
    """What can be said on the command line; every field of ``TrainingSettings`` is an option too."""
    made = argparse.ArgumentParser(prog="train.py", description="Train a motion module, a motion LoRA or a domain adapter.", epilog=HOST)
    made.add_argument("stage", choices=STAGES)
    made.add_argument("--checkpoint", type=Path, required=True, help="of SD1.5 or SDXL, whole")
    made.add_argument("--clips", type=Path, help="folder of videos or folders of frames, with a .txt beside each for its caption")
    made.add_argument("--dataset", type=Path, help="folder that the host's Save Training Dataset wrote, in place of --clips")
    made.add_argument("--output", type=Path, required=True, help="the .safetensors file to write")
    made.add_argument("--state", type=Path, help="file from which the training goes on when it is started again")
    made.add_argument("--motion-module", type=Path, help="to go on from, or that the motion LoRA is for")
    made.add_argument("--adapter", type=Path, help="domain adapter on the checkpoint")
    made.add_argument("--rank", type=int, default=64, help="of LoRAs")
    made.add_argument("--pictures", type=int, default=4, help="frames of each clip at once, for the domain adapter")
    made.add_argument("--mid", action="store_true", help="a new motion module has a middle block")
    made.add_argument("--positions", type=int, default=32, help="most frames of a new motion module")
    for name, default in (("length", 16), ("stride", 4), ("width", 256), ("height", 256)):
        made.add_argument(f"--{name}", type=int, default=default, help="of the clips that are cut")
    for name, default in (("per-video", 1), ("caption", ""), ("trigger", "")):
        made.add_argument(f"--{name}", type=type(default), default=default, help="see Load Training Clips")
    explained = _explained()
    for setting in fields(TrainingSettings):
        default: Any = setting.default
        flag, told = f"--{setting.name.replace('_', '-')}", f"{explained[setting.name]} ({default})"
        if isinstance(default, bool):
            made.add_argument(flag, action=argparse.BooleanOptionalAction, default=default, help=told)
        else:
            made.add_argument(flag, type=type(default), choices=CHOICES.get(setting.name), default=default, help=told)
    return made


def _explained() -> dict[str, str]:
    """What each setting is, by name, as ``TrainingSettings`` says it."""
    told: dict[str, str] = {}
    for line in (inspect.getdoc(TrainingSettings) or "").partition("Attributes:\n")[2].splitlines():
        named = re.match(r" {4}(\w+): (.*)", line)
        name = named[1] if named else list(told)[-1]
        told[name] = named[2] if named else f"{told[name]} {line.strip()}"
    return {name: text.split(" of ``")[0].replace("``", "").rstrip(".,").replace("%", "%%") for name, text in told.items()}


@dataclass(frozen=True)
class _Data:
    """Clips and prompts."""

    latents: list[Tensor]
    positive: list[Conditioning]
    untold: Conditioning | None = None


def main(arguments: Sequence[str], load: Callable[[Path], Checkpoint] = load_checkpoint) -> None:
    """Train, and write the file. Raises ValueError for what cannot be trained.

    Args:
        arguments: without the program's name.
        load: opens the checkpoint.
    """
    options = parser().parse_args(arguments)
    for file in (options.motion_module, options.adapter):
        if file is not None:
            existing(file)
    settings = TrainingSettings(**{setting.name: getattr(options, setting.name) for setting in fields(TrainingSettings)})
    with _processes() as processes:
        watch = ConsoleWatch(processes.rank == 0)
        watch.listen()
        checkpoint = load(options.checkpoint)
        data = processes.in_turn(lambda: _data(options, checkpoint))
        model = checkpoint.model
        if options.adapter is not None:
            model, _ = with_domain_adapter(model, options.adapter, 1.0)
        run = Run(data.untold, watch, Keeping(options.state), processes)
        trained = _train(options, model, data, settings, run)
        if processes.rank == 0:
            options.output.parent.mkdir(parents=True, exist_ok=True)
            save_file(trained.tensors, options.output, trained.metadata)
            logging.info("%d steps, written to %s", trained.steps, options.output)


@contextmanager
def _processes() -> Any:
    """This process alone, or as one of those that ``torchrun`` started."""
    if int(os.environ.get(LAUNCHED, "1")) == 1:
        yield Processes()
        return
    dist.init_process_group("nccl" if compute_device().type == "cuda" else "gloo", timeout=ENCODING)
    try:
        yield Several()
    finally:
        dist.destroy_process_group()


def _data(options: argparse.Namespace, checkpoint: Checkpoint) -> _Data:
    """The clips of the folder, or the dataset."""
    if (options.clips is None) == (options.dataset is None):
        raise ValueError("Needed either --clips or --dataset. Give one of them.")
    if options.dataset is not None:
        return _Data(*load_dataset(options.dataset), empty_prompt(checkpoint) if options.caption_dropout else None)
    cut = ClipOptions(
        length=options.length, stride=options.stride, per_video=options.per_video, width=options.width, height=options.height,
        caption=options.caption, trigger=options.trigger,
    )  # fmt: skip
    with torch.inference_mode():
        encoded = encode_clips(options.clips, cut, checkpoint.vae, checkpoint.clip)
    return _Data([latent["samples"] for latent in encoded.latents], encoded.positive, encoded.empty)


def _train(options: argparse.Namespace, model: ModelPatcher, data: _Data, settings: TrainingSettings, run: Run) -> Trained:
    """The stage that was asked for."""
    motion = None if options.motion_module is None else load_motion_module(options.motion_module)
    if options.stage == "domain_adapter":
        return train_domain_adapter(model, data.latents, data.positive, settings, options.rank, options.pictures, run)
    if options.stage == "motion_module":
        start = FromScratch(has_mid=options.mid, positions=options.positions) if motion is None else motion
        return train_motion_module(model, data.latents, data.positive, settings, start, run)
    if motion is None:
        raise ValueError("A motion LoRA needs the motion module that it is for. Give --motion-module.")
    return train_motion_lora(model, motion, data.latents, data.positive, settings, options.rank, run)
