"""The host's context windows: their vocabulary, and the two things it registers on a MODEL for them."""

from __future__ import annotations

import torch
from comfy.context_windows import (
    CONTEXT_MAPPING,
    ContextFuseMethod,
    ContextFuseMethods,
    ContextHandlerABC,
    ContextSchedules,
    IndexListCallbacks,
    IndexListContextHandler,
    IndexListContextWindow,
    apply_freenoise,
    get_context_weights,
    get_matching_context_schedule,
    get_matching_fuse_method,
)
from comfy.patcher_extension import WrappersMP

__all__ = [
    "ContextFuseMethod",
    "ContextFuseMethods",
    "ContextHandlerABC",
    "ContextSchedules",
    "IndexListCallbacks",
    "IndexListContextHandler",
    "IndexListContextWindow",
    "get_context_weights",
    "get_matching_context_schedule",
    "get_matching_fuse_method",
]

HANDLER = "context_handler"
"""Where the host finds the handler in ``model_options``."""
SCHEDULES = list(CONTEXT_MAPPING)
FUSE_METHODS = list(ContextFuseMethods.LIST_STATIC)
MOVING = (ContextSchedules.UNIFORM_LOOPED, ContextSchedules.UNIFORM_STANDARD)
"""Schedules whose windows are others at every step."""
HOST_WRAPPERS = (
    (WrappersMP.PREPARE_SAMPLING, "ContextWindows_prepare_sampling"),
    (WrappersMP.SAMPLER_SAMPLE, "ContextWindows_sampler_sample"),
)
"""What the host's own node registers: an estimate of memory, and FreeNoise."""


def windows_of(handler: IndexListContextHandler, schedule: str, frames: int) -> list[list[int]]:
    """The windows of one of the host's schedules at the handler's current step; empty where the host fails.

    Its uniform schedules raise IndexError with strides on some lengths.
    """
    try:
        return CONTEXT_MAPPING[schedule](frames, handler, {})
    except IndexError:
        return []


def free_noise(noise: torch.Tensor, length: int, overlap: int, seed: int) -> torch.Tensor:
    """FreeNoise on a copy of ``(F, C, H, W)``: the frames after the first window get its noise, shuffled.

    Source: Qiu et al. 2023, arXiv 2310.15169, section 3.2.
    """
    return apply_freenoise(noise.clone(), 0, length, overlap, seed)
