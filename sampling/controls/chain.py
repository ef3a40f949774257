"""The chain of controls on a conditioning: who is in it, when each acts, and whether it cuts itself to context windows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from ..host.controls import Conds, ControlBase
from .curve import CurvedControl


def chain(control: ControlBase | None) -> Iterator[ControlBase]:
    """A control and those it is chained to, without the curves around them."""
    while control is not None:
        yield control.innermost if isinstance(control, CurvedControl) else control
        control = control.previous_controlnet


def controls_of(conds: Conds) -> Iterator[ControlBase]:
    """Every control of a run's conditioning, as often as it is there."""
    for cond in (cond for group in conds.values() for cond in group):
        yield from chain(cond.get("control"))


def knows_its_frames(control: Any) -> bool:
    """Whether a control reads which frames a call holds and cuts itself (Advanced-ControlNet, SparseCtrl)."""
    return hasattr(control, "sub_idxs") or getattr(control, "handles_context_windows", False)


def acts_at(control: ControlBase, sigma: Tensor) -> bool:
    """Whether a model call at ``sigma`` lies in the control's step range; before a run it has none, and always acts."""
    start, end = control.timestep_range or (float("inf"), float("-inf"))
    return not bool(sigma[0] > start or sigma[0] < end)
