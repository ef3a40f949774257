"""AnimateDiff-Evolved: its ids, as tables of ``NODES``."""

from __future__ import annotations

from ..rows import OldNode
from . import context, hooks, load, other, sample, schedules, values

NODES: tuple[OldNode, ...] = (
    *load.NODES, *context.NODES, *sample.NODES, *values.NODES, *schedules.NODES, *hooks.NODES, *other.NODES,
)  # fmt: skip
