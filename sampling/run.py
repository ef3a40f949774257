"""Sampling through the host, for ``nodes.sample``; no loop of our own."""

from __future__ import annotations

from typing import Any

import comfy.samplers
from comfy.model_patcher import ModelPatcher

import nodes as host_nodes

from .curve import Curve, as_strength
from .guidance import with_cfg_curve

SAMPLERS = comfy.samplers.KSampler.SAMPLERS
SCHEDULERS = comfy.samplers.KSampler.SCHEDULERS


def sample(
    model: ModelPatcher, latent: dict[str, Any], positive: Any, negative: Any, cfg: Any, **choices: Any
) -> dict[str, Any]:
    """What the host's KSampler node does. ``cfg`` may be a curve; ``choices``: seed, steps, sampler_name, scheduler, denoise."""
    strength = as_strength(cfg)
    if isinstance(strength, Curve):
        model, strength = with_cfg_curve(model, strength), 1.0
    return host_nodes.common_ksampler(model, positive=positive, negative=negative, latent=latent, cfg=strength, **choices)[0]
