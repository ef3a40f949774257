"""What a user asks of context windows: what travels on an ANIMATEDIFF_CONTEXT socket. ``handler`` carries it out."""

from __future__ import annotations

from dataclasses import dataclass

from ..host.windows import FUSE_METHODS, SCHEDULES, ContextFuseMethods, ContextSchedules

__all__ = ["EQUAL_LENGTHS", "FUSE_METHODS", "SCHEDULES", "WindowOptions"]

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
