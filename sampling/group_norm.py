"""Group norms that see all frames of a window, for the motion modules that were trained that way.

AnimateDiff v1, PIA and HotshotXL were trained in UNets whose residual blocks and output norm took their statistics
over the whole clip (``GroupNorm`` on ``(B, C, F, H, W)``); without that their colours and contrasts drift. The norms
stay the host's, with its weights, casting and offloading: two hooks on each reshape what goes in and comes out, for
the time of one model call. Called by ``inject``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from comfy.ldm.modules.diffusionmodules.openaimodel import ResBlock, UNetModel
from torch import Tensor, nn

from ..motion.config import ALL_UNET_NORMS, UNET_NORMS

SCOPES = (UNET_NORMS, ALL_UNET_NORMS)
"""Norm scopes that concern the UNet, the wider one last."""


def find_norms(unet: nn.Module, scope: str) -> list[nn.GroupNorm]:
    """The group norms of a UNet (also of a compiled one) that a scope names."""
    if scope == ALL_UNET_NORMS:
        return [layer for layer in unet.modules() if isinstance(layer, nn.GroupNorm)]
    norms = []
    for layer in unet.modules():
        if isinstance(layer, ResBlock):
            norms += [layer.in_layers[0], layer.out_layers[0]]
        elif isinstance(layer, UNetModel):
            norms += [layer.out[0]]
    return norms


@lru_cache(maxsize=64)
def _hooks(frames: int) -> tuple[Any, Any]:
    """The two hooks for clips of ``frames``. Always the same functions, or torch.compile would begin anew."""

    def gather(_: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
        return (args[0].unflatten(0, (-1, frames)).transpose(1, 2),)

    def scatter(_: nn.Module, __: Any, out: Tensor) -> Tensor:
        return out.transpose(1, 2).flatten(0, 1)

    return gather, scatter


@contextmanager
def pooled_norms(unet: nn.Module, scope: str | None, frames: int) -> Iterator[None]:
    """Within it, the norms of ``scope`` take statistics over all frames; None changes nothing.

    Whatever happens inside, the UNet has no hook of ours afterwards.
    """
    gather, scatter = _hooks(frames)
    handles = []
    try:
        for norm in find_norms(unet, scope) if scope else []:
            handles.append(norm.register_forward_pre_hook(gather))
            handles.append(norm.register_forward_hook(scatter))
        yield
    finally:
        for handle in handles:
            handle.remove()
