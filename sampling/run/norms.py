"""Group norms that see all frames of a window, for the motion modules that were trained that way.

AnimateDiff v1, PIA and HotshotXL were trained in UNets whose residual blocks and output norm took their statistics
over all frames together (``GroupNorm`` on ``(B, C, F, H, W)``); without that their colours and contrasts drift. The norms
stay the host's, with its weights, casting and offloading: two hooks on each reshape what goes in and comes out, for
the time of one model call. Called by ``call``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache, reduce
from operator import or_

from torch import Tensor, nn

from ...motion.config import NormScope
from ..host.wrappers import MOTION, BaseModel
from ..modules.settings import config_of
from .layers import find_norms

APART = ("mps",)
"""Kinds of device on which conds are not evaluated together while norms see all frames: AnimateDiff-Evolved reports black
pictures there (its issues 48 and 79). Nobody has run it apart and together on such a device for this pack."""


def evaluates_apart(model: BaseModel, device: str) -> bool:
    """Whether conds are evaluated one by one on a kind of device: where norms see all frames for a motion module of ``model``."""
    if device not in APART:
        return False
    motions = model.current_patcher.get_additional_models_with_key(MOTION)
    return bool(unet_scope(config_of(motion).norm_scope for motion in motions))


def unet_scope(wanted: Iterable[NormScope]) -> NormScope:
    """Which of the UNet's norms see all frames: those that any motion module needs. Each pools its own by itself."""
    return reduce(or_, wanted, NormScope.PER_FRAME) & NormScope.ALL_UNET


@lru_cache(maxsize=64)
def _hooks(frames: int) -> tuple[Callable[..., tuple[Tensor]], Callable[..., Tensor]]:
    """The two hooks for ``frames``. Always the same functions, or torch.compile would begin anew."""

    def gather(_: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
        return (args[0].unflatten(0, (-1, frames)).transpose(1, 2),)  # (B·F, C, H, W) -> (B, C, F, H, W)

    def scatter(_: nn.Module, __: object, out: Tensor) -> Tensor:
        return out.transpose(1, 2).flatten(0, 1)

    return gather, scatter


@contextmanager
def pooled_norms(unet: nn.Module, scope: NormScope, frames: int) -> Iterator[None]:
    """Within it, the UNet's norms of ``scope`` take statistics over all frames.

    Whatever happens inside, the UNet has no hook of ours afterwards.
    """
    gather, scatter = _hooks(frames)
    handles = []
    try:
        for norm in find_norms(unet, scope):
            handles.append(norm.register_forward_pre_hook(gather))
            handles.append(norm.register_forward_hook(scatter))
        yield
    finally:
        for handle in handles:
            handle.remove()
