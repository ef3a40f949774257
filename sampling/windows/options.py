"""What a user asks of context windows: what travels on an ANIMATEDIFF_CONTEXT socket. ``handler`` carries it out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..host.windows import FUSE_METHODS, SCHEDULES, ContextFuseMethods, ContextSchedules

__all__ = ["EQUAL_LENGTHS", "FUSE_METHODS", "SCHEDULES", "WindowOptions", "as_window_options"]

CLOSED_LOOPS, ALWAYS, NEVER = "closed loops", "always", "never"
EQUAL_LENGTHS = (CLOSED_LOOPS, ALWAYS, NEVER)
"""Whether an animation that is exactly as long as a window has windows."""


@dataclass(frozen=True)
class WindowOptions:
    """Windows of ``length`` frames, of which neighbours share ``overlap``.

    Attributes:
        schedule, fuse, stride, closed_loop: choices of the host: how windows are placed and averaged.
        freenoise: the frames after the first window start from its noise, shuffled.
        views: the windows are inside the temporal attention only.
        equal_length: one of ``EQUAL_LENGTHS``.
        start_percent: where in the sampling run these options take over from those in ``previous``, 0 to 1.
    """

    length: int = 16
    overlap: int = 4
    schedule: str = ContextSchedules.STATIC_STANDARD
    fuse: str = ContextFuseMethods.PYRAMID
    freenoise: bool = True
    views: bool = False
    stride: int = 1
    closed_loop: bool = False
    equal_length: str = CLOSED_LOOPS
    start_percent: float = 0.0
    previous: tuple[WindowOptions, ...] = ()

    def __post_init__(self) -> None:
        if self.length < 1 or self.overlap < 0:
            raise ValueError(
                f"context_length must be at least 1 and overlap at least 0; got {self.length}, {self.overlap}."
            )
        if self.overlap >= self.length:
            raise ValueError(
                f"context_overlap must be less than context_length, or windows never advance; got overlap "
                f"{self.overlap} and length {self.length}. Use an overlap of about {self.length // 4}."
            )

    @property
    def plan(self) -> tuple[WindowOptions, ...]:
        """All options by the time they start. Raises ValueError unless one starts at 0, and each at a time of its own."""
        plan = tuple(sorted((*self.previous, self), key=lambda options: options.start_percent))
        starts = [options.start_percent for options in plan]
        if starts[0] > 0:
            raise ValueError(
                f"The first Context Window Options start at {starts[0]:g}, so the steps before have none. Set "
                "start_percent of one of them to 0."
            )
        if len(set(starts)) < len(starts):
            raise ValueError(
                f"Two Context Window Options start at the same time (start_percent {', '.join(f'{s:g}' for s in starts)}). "
                "Give each its own."
            )
        return plan


def as_window_options(given: Any) -> WindowOptions:
    """What arrived on a socket, as our options.

    AnimateDiff-Evolved's options can arrive through a node that passes anything on; they are read where their meaning is plain.

    Raises:
        ValueError: something else, or options of that pack that have no equal here.
    """
    if isinstance(given, WindowOptions):
        return given
    contexts = getattr(given, "contexts", None)
    if not contexts:
        raise ValueError(f"Needed context options from Context Window Options, got {type(given).__name__}. Connect that node.")
    in_time = sorted(contexts, key=lambda context: context.start_percent)
    options = [_read_context(context, 0.0 if number == 0 else context.start_percent) for number, context in enumerate(in_time)]
    return replace(options[-1], previous=tuple(options[:-1]))


def _read_context(context: Any, start: float) -> WindowOptions:
    """Our options from one context of AnimateDiff-Evolved."""
    if context.context_schedule not in SCHEDULES or context.fuse_method not in FUSE_METHODS or context.view_options is not None:
        asked = "views" if context.view_options is not None else f"{context.context_schedule} with {context.fuse_method}"
        raise ValueError(f"These context options of AnimateDiff-Evolved ask for {asked}, which has no equal here. Use Context Window Options.")
    return WindowOptions(
        context.context_length,
        context.context_overlap or 0,
        context.context_schedule,
        context.fuse_method,
        freenoise=False,
        stride=context.context_stride or 1,
        closed_loop=bool(context.closed_loop),
        equal_length=ALWAYS if context.use_on_equal_length else NEVER,
        start_percent=start,
    )
