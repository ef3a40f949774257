"""Sampling through the host, for ``nodes.sample``; no loop of our own."""

from __future__ import annotations

from ..host.controls import Conditioning
from ..host.memory import ModelPatcher
from ..host.sample import SAMPLERS, SCHEDULERS, Latent, run_ksampler
from ..timeline.curve import Curve, Strength, as_strength
from .cfg import with_cfg_curve

__all__ = ["SAMPLERS", "SCHEDULERS", "sample"]


def sample(
    model: ModelPatcher,
    latent: Latent,
    positive: Conditioning,
    negative: Conditioning,
    cfg: Strength,
    *,
    seed: int,
    steps: int,
    sampler_name: str,
    scheduler: str,
    denoise: float = 1.0,
) -> Latent:
    """What the host's KSampler node does, except that ``cfg`` may be a curve."""
    strength = as_strength(cfg)
    if isinstance(strength, Curve):
        model, strength = with_cfg_curve(model, strength), 1.0
    names, prompts = (sampler_name, scheduler), (positive, negative)
    return run_ksampler(model, seed, steps, strength, names, prompts, latent, denoise)
