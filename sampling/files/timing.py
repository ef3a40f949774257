"""Which frame is shown when, for how long, and how often: ping-pong, frame rates and loop counts as file formats count."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

SECOND = 1000
"""Milliseconds."""
LARGEST_DENOMINATOR = 1001
"""Frame rates are whole numbers divided by at most this, as 30000/1001 is."""


@dataclass(frozen=True)
class Clock:
    """How a file format tells time.

    Attributes:
        unit: milliseconds that durations are multiples of.
        shortest: what players show without slowing down. Browsers show a frame of 10 ms or less for 100 ms.
    """

    unit: int
    shortest: int

    @property
    def fastest(self) -> float:
        """Frames per second that are shown at most."""
        return SECOND / self.shortest


@dataclass(frozen=True)
class Playback:
    """What a player does.

    Attributes:
        order: numbers of the frames as they are shown.
        durations: how long each is shown, in milliseconds. Their sum is as long as the frame rate says.
    """

    order: list[int]
    durations: list[int]


def play_order(frames: int, ping_pong: bool) -> list[int]:
    """All frames, and with ``ping_pong`` back again without the first and the last, which are shown once."""
    return [*range(frames), *(range(frames - 2, 0, -1) if ping_pong else ())]


def exact_rate(frame_rate: float) -> Fraction:
    """A frame rate as the fraction that is meant: 29.97 is 2997/100."""
    return Fraction(frame_rate).limit_denominator(LARGEST_DENOMINATOR)


def playback(order: list[int], frame_rate: Fraction, clock: Clock) -> Playback:
    """Durations whose rounding never adds up. Frames are left out, evenly, where the clock is too slow for all of them."""
    frames = len(order)
    length = frames * SECOND / frame_rate
    kept = max(1, min(frames, int(length / clock.shortest)))
    ends = [int(length * index / (kept * clock.unit) + Fraction(1, 2)) * clock.unit for index in range(kept + 1)]
    durations = [max(clock.shortest, end - start) for start, end in pairwise(ends)]
    return Playback([order[index * frames // kept] for index in range(kept)], durations)
