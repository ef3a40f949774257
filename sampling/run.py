"""Sampling through the host, for ``nodes.sample``; no loop of our own."""

from __future__ import annotations

from typing import Any

import comfy.samplers
from comfy.model_patcher import ModelPatcher

import nodes as host_nodes

SAMPLERS = comfy.samplers.KSampler.SAMPLERS
SCHEDULERS = comfy.samplers.KSampler.SCHEDULERS


def sample(model: ModelPatcher, latent: dict[str, Any], positive: Any, negative: Any, **choices: Any) -> dict[str, Any]:
    """What the host's KSampler node does. ``choices``: seed, steps, cfg, sampler_name, scheduler, denoise."""
    return host_nodes.common_ksampler(model, positive=positive, negative=negative, latent=latent, **choices)[0]
