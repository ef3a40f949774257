"""Keyframes: values at positions of an animation or of a sampling run, and what lies between them.

``laid_out`` puts keyframes on an animation or a run, and ``blend`` says what applies at one position. Numbers (``curve``) and
prompts (``prompt_travel``) share them; ``text`` reads and writes them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from .errors import TimelineError
from .expression import Expression

LINEAR, EASE_IN, EASE_OUT, EASE_IN_OUT, STEP = "linear", "ease-in", "ease-out", "ease-in-out", "step"
EASINGS = (LINEAR, EASE_IN, EASE_OUT, EASE_IN_OUT, STEP)


class Position(NamedTuple):
    """Where a keyframe is: a frame number (negative counts from the end), or a part of the whole, 0 to 1."""

    number: float
    part: bool = False

    def __str__(self) -> str:
        return format(Decimal(repr(float(self.number))), "f") if self.part else str(int(self.number))

    def frame(self, frames: int) -> int:
        """The frame it names in an animation of ``frames``, which may lie before the first or after the last."""
        if self.part:
            return round(self.number * (frames - 1))
        return int(self.number) + (frames if self.number < 0 else 0)


@dataclass(frozen=True)
class Keyframe:
    """A value that applies from ``start`` to ``end``, and how it goes on to the next.

    Attributes:
        value: a number, an expression that is worked out in each frame, or a prompt.
        end_exclusive: the range stops before ``end``.
        easing: one of ``EASINGS``, or empty for the default of whatever uses it.
        hooks: number of the LoRA hooks that go with a prompt; 0 is none.
        offset: where it is in its text.
    """

    start: Position
    value: float | Expression | str
    end: Position | None = None
    end_exclusive: bool = False
    easing: str = ""
    hooks: int = 0
    offset: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Timeline:
    """What a text says: keyframes, or else plain ``values``, one after another.

    ``head`` and ``tail`` are lines around the keyframes of prompts; they belong to every prompt.
    """

    keyframes: tuple[Keyframe, ...] = ()
    values: tuple[float, ...] = ()
    head: str = ""
    tail: str = ""
    text: str = field(default="", compare=False)


# --- laying out ------------------------------------------------------------------------------------------------------


class Stretch(NamedTuple):
    """A keyframe laid out: from ``first`` to ``last``, both included, in frames or in parts of a run."""

    first: float
    last: float
    keyframe: Keyframe


def laid_out(timeline: Timeline, frames: int | None) -> list[Stretch]:
    """Keyframes in the order of an animation of ``frames``, or of a sampling run (None), whose positions are parts from 0 to 1.

    A keyframe after the last frame is kept: values still move towards it. If two relative positions round to the same
    frame, the later keyframe is used.

    Raises:
        TimelineError: a position before the start, a range that ends before it begins, or two keyframes on the same frame.
    """
    found = sorted((_stretch(timeline, key, frames) for key in timeline.keyframes), key=lambda stretch: stretch.first)
    kept: list[Stretch] = []
    for after in found:
        if kept and after.first <= kept[-1].last:
            before = kept.pop()
            if _always_collide(before, after, frames):
                where = f"frame {after.first:g}" if frames is not None else f"{after.first:.0%} of the run"
                raise TimelineError(f"{where} has two keyframes here. Give it one.", timeline.text, after.keyframe.offset)
            if before.first < after.first:
                kept.append(before._replace(last=after.first - (frames is not None)))
        kept.append(after)
    return kept


def _stretch(timeline: Timeline, key: Keyframe, frames: int | None) -> Stretch:
    first = _located(timeline, key, key.start, frames)
    last = first if key.end is None else _located(timeline, key, key.end, frames)
    if key.end_exclusive:
        first, last = sorted((first, last))  # other packs take ranges either way round
        last -= frames is not None and last > first
    if last < first:
        raise TimelineError(f"{key.end} lies before {key.start}. Write the earlier one first.", timeline.text, key.offset)
    return Stretch(first, last, key)


def _always_collide(before: Stretch, after: Stretch, frames: int | None) -> bool:
    """True if both name the same frame however long the animation is; then it is the user's mistake."""
    if frames is None:
        return after.first < before.last or before.first == before.last == after.first == after.last
    own, other = before.keyframe, after.keyframe
    if own.end is None and other.end is None:
        return own.start == other.start or not (_is_relative(own.start) or _is_relative(other.start))
    return not any(_is_relative(p) for key in (own, other) for p in (key.start, key.end) if p is not None)


def _is_relative(position: Position) -> bool:
    """Whether the frame depends on the length of the animation."""
    return position.part or position.number < 0


def _located(timeline: Timeline, key: Keyframe, position: Position, frames: int | None) -> float:
    """The frame a position names, or the part of the run."""
    if frames is None:
        if position.part or position.number in (0, -1):
            return position.number if position.number >= 0 else 1.0
        message = f"over steps, positions are parts of the sampling run: write 0.5 or 50%, not {position}."
        raise TimelineError(message, timeline.text, key.offset)
    frame = position.frame(frames)
    if frame < 0:
        raise TimelineError(f"{position} lies before the first of {frames} frames.", timeline.text, key.offset)
    return frame


# --- between keyframes -----------------------------------------------------------------------------------------------


def eased(t: float, easing: str) -> float:
    """Progress from one keyframe to the next, 0 to 1, at the share ``t`` of the way. The curves are those of the host's hooks."""
    if easing == EASE_IN:
        return t * t
    if easing == EASE_OUT:
        return 1 - (1 - t) ** 2
    if easing == EASE_IN_OUT:
        return (1 - math.cos(math.pi * t)) / 2
    return 0.0 if easing == STEP else t


class Blend(NamedTuple):
    """What applies at one position: keyframe number ``a``, on the way to ``b`` by the share ``t``."""

    a: int
    b: int
    t: float


def blend(keys: Sequence[Stretch], at: float, easing: str = LINEAR, period: float | None = None) -> Blend:
    """The pair of keyframes around the position ``at``, and the eased share between them.

    Clamped at both ends, unless ``period`` makes it a loop.

    Args:
        easing: for keyframes that do not name one.
        period: length of a loop, in which the last keyframe goes on to the first.
    """
    reached = bisect_right(keys, at, key=lambda key: key.first)
    if not reached and period is None:
        return Blend(0, 0, 0.0)
    a = (reached or len(keys)) - 1
    left = keys[a].last if reached else keys[a].last - (period or 0.0)
    if at <= left:
        return Blend(a, a, 0.0)
    b = (a + 1) % len(keys)
    right = keys[b].first
    if reached and b <= a:
        if period is None or b == a:
            return Blend(a, a, 0.0)
        right += period
    t = eased((at - left) / (right - left), keys[a].keyframe.easing or easing) if right > left else 0.0
    return Blend(a, b, t) if t else Blend(a, a, 0.0)
