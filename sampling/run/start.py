"""MODEL + what its runs start from -> MODEL, animated or not. Called by ``nodes.noise``; ``around`` carries it out."""

from __future__ import annotations

from dataclasses import replace

from ..host.memory import ModelPatcher
from ..host.wrappers import NOISE
from ..start.free_init import FreeInit
from ..start.noise import FrameNoise, NoiseOptions
from .around import follow, noise_options


def _with_options(model: ModelPatcher, options: NoiseOptions) -> ModelPatcher:
    model = model.clone()
    model.set_attachments(NOISE, options)
    follow(model)
    return model


def with_frame_noise(model: ModelPatcher, frames: FrameNoise) -> ModelPatcher:
    """A MODEL whose frames have the noise that ``frames`` says; the given MODEL is not changed."""
    return _with_options(model, replace(noise_options(model), frames=frames))


def with_free_init(model: ModelPatcher, free_init: FreeInit) -> ModelPatcher:
    """A MODEL that samples as often as ``free_init`` says; the given MODEL is not changed."""
    return _with_options(model, replace(noise_options(model), free_init=free_init))
