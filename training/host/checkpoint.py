"""Checkpoints and datasets by their paths, for training without a graph. Called by ``stages.command``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import comfy.sd
import torch
from comfy.model_patcher import ModelPatcher
from comfy.sd import CLIP, VAE
from torch import Tensor

SHARDS = "shard_*.pkl"
"""Files of Save Training Dataset, the host's node."""


class Checkpoint(NamedTuple):
    """What a checkpoint holds."""

    model: ModelPatcher
    clip: CLIP
    vae: VAE


def load_checkpoint(path: Path) -> Checkpoint:
    """Load a checkpoint as the host's loader does. Raises ValueError where there is none, or it has no text encoder or no autoencoder."""
    existing(path)
    model, clip, vae, *_ = comfy.sd.load_checkpoint_guess_config(str(path))
    if model is None or clip is None or vae is None:
        raise ValueError(f"{path.name} needs an image model, a text encoder and an autoencoder, but lacks one. Use a whole checkpoint.")
    return Checkpoint(model, clip, vae)


def existing(file: Path) -> None:
    """Raise a ValueError where there is no such file."""
    if not file.is_file():
        raise ValueError(f"There is no file {file}. Give the path of one, from the folder in which this was started or from the root.")


def empty_prompt(checkpoint: Checkpoint) -> list[Any]:
    """The CONDITIONING of no words."""
    clip: Any = checkpoint.clip
    return clip.encode_from_tokens_scheduled(clip.tokenize(""))


def load_dataset(folder: Path) -> tuple[list[Tensor], list[list[Any]]]:
    """Latents and prompts of the host's Save Training Dataset, one of each per clip. Raises ValueError for a folder without them."""
    shards = sorted(folder.glob(SHARDS))
    if not shards:
        raise ValueError(f"{folder} has no files {SHARDS}. Use a folder that Save Training Dataset wrote.")
    latents: list[Tensor] = []
    prompts: list[list[Any]] = []
    for shard in shards:
        stored = torch.load(shard, map_location="cpu", weights_only=True)
        latents += [latent["samples"] for latent in stored["latents"]]
        prompts += stored["conditioning"]
    return latents, prompts
