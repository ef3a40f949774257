"""Numbers that change over the frames of a clip or over the sampling steps: what travels on a VALUE_CURVE socket.

Whatever takes a strength takes a plain number or a ``Curve``; ``value_at`` says what it is for the frames of one model call.
Made by ``nodes.schedule``; used by ``inject``, ``control_curve`` and ``guidance``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..motion.low_rank import resized
from .keyframes import LINEAR, Schedule, blend, laid_out
from .schedule_text import parse

FRAMES, STEPS = "frames", "steps"
AXES = (FRAMES, STEPS)
BISECTIONS = 24
"""Halvings in search of a percentage: finer than the six digits it is rounded to."""


class Moment(NamedTuple):
    """What a model call holds: frames ``indices`` of a clip of ``full``, at ``percent()`` of the sampling run (0 to 1).

    ``size`` is that of its latents: masks are brought to it. None leaves them as they are.
    """

    indices: Sequence[int]
    full: int
    percent: Callable[[], float]
    size: tuple[int, int] | None = None


def frames_of_call(options: dict[str, Any], frames: int) -> tuple[list[int], int]:
    """Which frames of the clip a model call holds, and how long the clip is."""
    published = options.get("ad_params") or {}
    indices = published.get("sub_idxs")
    if indices is not None and len(indices) == frames:
        return list(indices), published["full_length"]
    window = options.get("context_window")
    if window is not None:
        indices = list(window.index_list)
        before = getattr(window, "causal_anchor_index", None)
        if len(indices) + 1 == frames and before is not None:  # the host's own windows bring a frame along
            indices = [before, *indices]
        if len(indices) == frames:
            return indices, window.total_frames
    return list(range(frames)), frames


def moment_of_call(options: dict[str, Any], x: Tensor, conds: int, model_sampling: Any, sigma: Tensor) -> Moment:
    """The moment of a model call.

    Args:
        options: its ``transformer_options``.
        x: its latents ``(conds · F, C, H, W)``.
    """
    percent = cache(partial(percent_of, model_sampling, float(sigma.flatten()[0])))
    return Moment(*frames_of_call(options, x.shape[0] // conds), percent, (x.shape[-2], x.shape[-1]))


@dataclass(frozen=True, eq=False)
class Curve:
    """A number over ``frames`` or ``steps``.

    Attributes:
        schedule: keyframes, or a list: a value per frame (its last one goes on), or equal shares of the steps.
        ease: from keyframe to keyframe, where a keyframe does not say; one of ``keyframes.EASES``.
        loop: the last keyframe goes on to the first, a list starts again.
        mask: ``(N, H, W)``, multiplies the value per frame and place; one for all frames, or repeated.
        times: another curve to multiply with, such as one over the other axis.
    """

    schedule: Schedule
    over: str = FRAMES
    ease: str = LINEAR
    loop: bool = False
    mask: Tensor | None = None
    times: Curve | None = None
    _known: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)
    """What was worked out before, by clip length and size: a run asks for the same at every step."""

    def __post_init__(self) -> None:
        if self.over == STEPS:
            self._known[STEPS] = laid_out(self.schedule, None)  # places in frames are refused at once

    @property
    def constant(self) -> float | None:
        """The number that this curve is everywhere, whatever the clip; None where it is known to change, or may."""
        own = set(self.schedule.values) or {float(key.value) for key in self.schedule.keyframes}
        rest = 1.0 if self.times is None else self.times.constant
        return own.pop() * rest if len(own) == 1 and rest is not None and self.mask is None else None

    def values(self, frames: int) -> list[float]:
        """The value of each frame, without mask and ``times``. Raises ScheduleError for places outside the clip."""
        if frames not in self._known:
            self._known[frames] = self._values(frames)
        return self._known[frames]

    def _values(self, frames: int) -> list[float]:
        if given := self.schedule.values:
            return [given[i % len(given) if self.loop else min(i, len(given) - 1)] for i in range(frames)]
        keys = laid_out(self.schedule, frames)
        return [self._between(keys, i, frames) for i in range(frames)]

    def numbers(self, frames: int) -> list[float]:
        """The value of each frame; over steps, that many values from the first to the last step. Without mask and ``times``."""
        if self.over == STEPS:
            return [self.at_percent(i / max(frames - 1, 1)) for i in range(frames)]
        return self.values(frames)

    def at_percent(self, percent: float) -> float:
        """The value of a curve over steps at a part of the sampling run, 0 to 1."""
        if given := self.schedule.values:
            return given[min(int(percent * len(given)), len(given) - 1)]
        return self._between(self._known[STEPS], percent, 1.0)

    def _between(self, keys: Any, at: float, period: float) -> float:
        a, b, t = blend(keys, at, self.ease, period if self.loop else None)
        start, end = (float(keys[number].keyframe.value) for number in (a, b))
        return start if start == end else start + (end - start) * t

    def at(self, moment: Moment) -> float | Tensor:
        """A number where all frames have the same; else ``(F, 1, 1, 1)``, or ``(F, 1, H, W)`` with a mask."""
        rest = 1.0 if self.times is None else self.times.at(moment)
        if self.over == STEPS:
            own: float | Tensor = self.at_percent(moment.percent())
        else:
            every = self.values(moment.full)
            mine = [every[i] for i in moment.indices]
            own = mine[0] if len(set(mine)) == 1 else torch.tensor(mine).view(-1, 1, 1, 1)
        if self.mask is not None:
            masks = self._masks(moment.size)
            own = own * masks[[i % masks.shape[0] for i in moment.indices]]
        return _product(own, rest)

    def _masks(self, size: tuple[int, int] | None) -> Tensor:
        """``(N, 1, H, W)``"""
        if size not in self._known and self.mask is not None:
            masks = self.mask.unsqueeze(1)
            self._known[size] = masks if size is None else resized(masks, size)
        return self._known[size]


def _product(a: float | Tensor, b: float | Tensor) -> float | Tensor:
    if isinstance(a, Tensor) and isinstance(b, Tensor) and a.shape[-2:] != b.shape[-2:] and 1 not in (a.shape[-1], b.shape[-1]):
        b = resized(b, a.shape[-2:])
    return a * b


def make_curve(
    text: str, over: str = FRAMES, ease: str = LINEAR, loop: bool = False, mask: Tensor | None = None, times: Any = None
) -> Curve:
    """A curve from its text (grammar: ``schedule_text``) and what else a node takes.

    Raises:
        ScheduleError: in the text, with line and column; places that cannot be over steps.
    """
    mask = None if mask is None else mask.reshape(-1, *mask.shape[-2:]).float().cpu()
    return Curve(parse(text), over, ease, loop, mask, None if times is None else as_curve(times))


Strength = float | Curve
"""What a setting may be: a number for everything, or a curve."""


def as_strength(value: Any) -> Strength:
    """A setting from a socket: a number, or a curve; a list of numbers, as other packs make, is one per frame.

    A curve that is the same everywhere becomes the number it is, and costs no more.

    Raises:
        ValueError: something else.
    """
    if isinstance(value, Curve):
        return value if value.constant is None else value.constant
    try:
        single = isinstance(value, str) or not hasattr(value, "__len__") or getattr(value, "ndim", 1) == 0
        numbers = (float(value),) if single else tuple(float(number) for number in value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Needed a number, a list of numbers or a curve from Value Curve; got {type(value).__name__}.") from error
    if not numbers:
        raise ValueError("Needed one number per frame; got an empty list.")
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"Needed finite numbers; got {next(n for n in numbers if not math.isfinite(n))} among {len(numbers)}.")
    return as_strength(Curve(Schedule(values=numbers)))


def as_curve(value: Any) -> Curve:
    """Like ``as_strength``, but a number becomes a curve that is the same everywhere."""
    strength = as_strength(value)
    return strength if isinstance(strength, Curve) else Curve(Schedule(values=(strength,)))


def value_at(strength: Strength, moment: Moment) -> float | Tensor:
    """What a setting is in one model call; see ``Curve.at``."""
    return strength.at(moment) if isinstance(strength, Curve) else strength


def percent_of(model_sampling: Any, sigma: float) -> float:
    """How far a sampling run is at ``sigma``: the inverse of the host's ``percent_to_sigma``, for any noise schedule."""
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if model_sampling.percent_to_sigma(middle) >= sigma else (low, middle)
    return round(low, 6)  # sigmas are single precision
