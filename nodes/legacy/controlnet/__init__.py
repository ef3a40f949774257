"""Advanced-ControlNet: its ids, as tables of ``NODES``, and ``IMAGES``, whose id is so plain that other packs may have it too."""

from __future__ import annotations

from ..rows import OldNode
from . import apply, keyframes, load, weights
from .load import IMAGES

__all__ = ["IMAGES", "NODES"]

NODES: tuple[OldNode, ...] = (*load.NODES, *apply.NODES, *keyframes.NODES, *weights.NODES)
