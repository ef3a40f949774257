"""Keyframes: what holds where on a clip or a sampling run, and what lies between.

``laid_out`` places keyframes on a clip or a run, and ``blend`` says what holds at one place. Numbers (``curve``) and prompts
(``prompt_travel``) share them; ``schedule_text`` reads and writes them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

LINEAR, EASE_IN, EASE_OUT, EASE_IN_OUT, STEP = "linear", "ease-in", "ease-out", "ease-in-out", "step"
EASES = (LINEAR, EASE_IN, EASE_OUT, EASE_IN_OUT, STEP)


class ScheduleError(ValueError):
    """What is wrong with a text of keyframes, and where; ``line`` and ``column`` count from 1."""

    def __init__(self, message: str, text: str, offset: int) -> None:
        self.line = text.count("\n", 0, offset) + 1
        self.column = offset - (text.rfind("\n", 0, offset) + 1) + 1
        super().__init__(f"Line {self.line}, column {self.column}: {message}")


class Place(NamedTuple):
    """Where a keyframe stands: a frame number (negative from the end), or a part of the whole, 0 to 1."""

    number: float
    part: bool = False

    def __str__(self) -> str:
        return format(Decimal(repr(float(self.number))), "f") if self.part else str(int(self.number))


@dataclass(frozen=True)
class Keyframe:
    """A value from ``start`` to ``end`` (``without`` the end itself, if so), and how it goes on to the next.

    Attributes:
        ease: one of ``EASES``, or empty for the default of whoever uses it.
        hooks: number of the LoRA hooks that go with a prompt; 0 is none.
        offset: where it stands in its text.
    """

    start: Place
    value: float | str
    end: Place | None = None
    without: bool = False
    ease: str = ""
    hooks: int = 0
    offset: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Schedule:
    """What a text says: keyframes, or else plain ``values``, one after another.

    ``head`` and ``tail`` are lines around the keyframes of a prompt schedule; they belong to every prompt.
    """

    keyframes: tuple[Keyframe, ...] = ()
    values: tuple[float, ...] = ()
    head: str = ""
    tail: str = ""
    text: str = field(default="", compare=False)


# --- laying out ------------------------------------------------------------------------------------------------------


class Stretch(NamedTuple):
    """A keyframe in its place: from ``first`` to ``last``, both included, in frames or in parts of a run."""

    first: float
    last: float
    keyframe: Keyframe


def laid_out(schedule: Schedule, frames: int | None) -> list[Stretch]:
    """Keyframes in the order of a clip of ``frames``, or of a sampling run (None), whose places are parts from 0 to 1.

    Keyframes behind the end of a clip are kept: values go on towards them. Where places that depend on the length fall
    together, as parts do in short clips, the later one holds.

    Raises:
        ScheduleError: a place before the start, a range that ends before it begins, or two keyframes on the same frame.
    """
    found = []
    for key in schedule.keyframes:
        first = _spot(schedule, key, key.start, frames)
        last = first if key.end is None else _spot(schedule, key, key.end, frames)
        if key.without:
            first, last = sorted((first, last))  # other packs take ranges either way round
            last -= frames is not None and last > first
        if last < first:
            raise ScheduleError(f"{key.end} lies before {key.start}. Write the earlier one first.", schedule.text, key.offset)
        found.append(Stretch(first, last, key))
    found.sort(key=lambda stretch: stretch.first)
    kept: list[Stretch] = []
    for after in found:
        if kept and after.first <= kept[-1].last:
            before = kept.pop()
            if _same(before, after, frames):
                where = f"frame {after.first:g}" if frames is not None else f"{after.first:.0%} of the run"
                raise ScheduleError(f"{where} has two keyframes here. Give it one.", schedule.text, after.keyframe.offset)
            if before.first < after.first:
                kept.append(before._replace(last=after.first - (frames is not None)))
        kept.append(after)
    return kept


def _same(before: Stretch, after: Stretch, frames: int | None) -> bool:
    """Whether two keyframes meet in every clip, not only in one of this length."""
    if frames is None:
        return after.first < before.last or before.first == before.last == after.first == after.last
    places = [place for key in (before.keyframe, after.keyframe) for place in (key.start, key.end) if place is not None]
    return all(not place.part and place.number >= 0 for place in places) or (places[0] == places[-1] and len(places) == 2)


def _spot(schedule: Schedule, key: Keyframe, place: Place, frames: int | None) -> float:
    if frames is None:
        if place.part or place.number in (0, -1):
            return place.number if place.number >= 0 else 1.0
        message = f"over steps, places are parts of the sampling run: write 0.5 or 50%, not {place}."
        raise ScheduleError(message, schedule.text, key.offset)
    if place.part:
        return round(place.number * (frames - 1))
    spot = int(place.number) + (frames if place.number < 0 else 0)
    if spot < 0:
        raise ScheduleError(f"{place} lies before the first of {frames} frames.", schedule.text, key.offset)
    return spot


def eased(t: float, ease: str) -> float:
    """Progress from one keyframe to the next, 0 to 1, at the share ``t`` of the way. The curves are those of the host's hooks."""
    if ease == EASE_IN:
        return t * t
    if ease == EASE_OUT:
        return 1 - (1 - t) ** 2
    if ease == EASE_IN_OUT:
        return (1 - math.cos(math.pi * t)) / 2
    return 0.0 if ease == STEP else t


class Blend(NamedTuple):
    """What holds at one place: keyframe number ``a``, on the way to ``b`` by the share ``t``."""

    a: int
    b: int
    t: float


def blend(keys: list[Stretch], at: float, ease: str = LINEAR, period: float | None = None) -> Blend:
    """What holds at ``at``. Before the first keyframe it is the first, behind the last the last.

    Args:
        ease: for keyframes that do not name one.
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
    t = eased((at - left) / (right - left), keys[a].keyframe.ease or ease) if right > left else 0.0
    return Blend(a, b, t) if t else Blend(a, a, 0.0)
