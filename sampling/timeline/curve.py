"""Numbers that change over the frames of an animation or over the sampling steps: what travels on an ANIMATEDIFF_CURVE socket.

Whatever takes a strength takes a plain number or a ``Curve``; ``value_at`` says what it is for the frames of one model call.
Made by ``nodes.schedule``; used by ``run``, ``controls`` and ``modules``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from ...motion.low_rank import resized
from ..frames import Call
from .expression import FRAME, LAST, Expression
from .keyframes import LINEAR, Keyframe, Stretch, Timeline, blend, laid_out
from .text import parse

FRAMES, STEPS = "frames", "steps"
AXES = (FRAMES, STEPS)


class CurveCache:
    """What a curve was worked out to: ``values`` by the number of frames, ``masks`` by the size of latents.

    It lives as long as its curve. A run asks for the same at every step, and a graph runs with the same curve again.
    """

    def __init__(self) -> None:
        self.values: dict[int, list[float]] = {}
        self.masks: dict[tuple[int, int] | None, Tensor] = {}


@dataclass(frozen=True, eq=False)
class Curve:
    """A number over ``frames`` or ``steps``.

    Attributes:
        timeline: keyframes, or a list: a value per frame (its last one goes on), or equal shares of the steps.
        easing: from keyframe to keyframe, where a keyframe does not say; one of ``keyframes.EASINGS``.
        loop: the last keyframe goes on to the first, a list starts again.
        mask: ``(N, H, W)``, says where the value holds per frame and region: 1 is the value, 0 is ``outside``, and between
            them a mixture; one for all frames, or repeated.
        outside: the value where the mask is 0.
        times: another curve to multiply with, such as one over the other axis.
        over_steps: the keyframes laid out on a sampling run, for a curve over steps.
    """

    timeline: Timeline
    over: str = FRAMES
    easing: str = LINEAR
    loop: bool = False
    mask: Tensor | None = None
    times: Curve | None = None
    outside: float = 0.0
    over_steps: tuple[Stretch, ...] = field(default=(), init=False, repr=False)
    cache: CurveCache = field(default_factory=CurveCache, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.over == STEPS:  # positions in frames are refused at once
            object.__setattr__(self, "over_steps", tuple(laid_out(self.timeline, None)))

    @property
    def constant(self) -> float | None:
        """The curve's value if it is the same for every frame, step and number of frames; otherwise None."""
        if any(isinstance(key.value, Expression) for key in self.timeline.keyframes):
            return None
        own = set(self.timeline.values) or {_number(key, 0.0, 0.0) for key in self.timeline.keyframes}
        rest = 1.0 if self.times is None else self.times.constant
        return own.pop() * rest if len(own) == 1 and rest is not None and self.mask is None else None

    def values(self, frames: int) -> list[float]:
        """The value of each of ``frames``, without mask and ``times``.

        Raises:
            TimelineError: positions outside the animation.
        """
        if frames not in self.cache.values:
            self.cache.values[frames] = self._values(frames)
        return self.cache.values[frames]

    def _values(self, frames: int) -> list[float]:
        if given := self.timeline.values:
            return [given[i % len(given) if self.loop else min(i, len(given) - 1)] for i in range(frames)]
        keys = laid_out(self.timeline, frames)
        return [self._between(keys, i, frames, frames - 1) for i in range(frames)]

    def numbers(self, frames: int) -> list[float]:
        """The value of each frame; over steps, that many values from the first to the last step. Without mask and ``times``."""
        if self.over == STEPS:
            return [self.at_percent(i / max(frames - 1, 1)) for i in range(frames)]
        return self.values(frames)

    def at_percent(self, percent: float) -> float:
        """The value of a curve over steps at a part of the sampling run, 0 to 1."""
        if given := self.timeline.values:
            return given[min(int(percent * len(given)), len(given) - 1)]
        return self._between(self.over_steps, percent, 1.0, 1.0)

    def _between(self, keys: Sequence[Stretch], at: float, period: float, last: float) -> float:
        """The value at a position. An expression goes on until the next keyframe; on the way to one, it is what it is there."""
        a, b, t = blend(keys, at, self.easing, period if self.loop else None)
        first = keys[a].first
        start = _number(keys[a].keyframe, at if at >= first else at + period if self.loop else first, last)
        end = start if b == a else _number(keys[b].keyframe, keys[b].first, last)
        return start if start == end else start + (end - start) * t

    def at(self, call: Call) -> float | Tensor:
        """A number if all frames of the call have the same; else ``(F, 1, 1, 1)``, or ``(F, 1, H, W)`` with a mask."""
        rest = 1.0 if self.times is None else self.times.at(call)
        if self.over == STEPS:
            own: float | Tensor = self.at_percent(call.percent())
        else:
            every = self.values(call.full)
            mine = [every[i] for i in call.indices]
            own = mine[0] if len(set(mine)) == 1 else torch.tensor(mine).view(-1, 1, 1, 1)
        if self.mask is not None:
            masks = self._masks(call.size)
            own = self.outside + (own - self.outside) * masks[[i % masks.shape[0] for i in call.indices]]
        return _product(own, rest)

    def _masks(self, size: tuple[int, int] | None) -> Tensor:
        """``(N, 1, H, W)``"""
        if size not in self.cache.masks and self.mask is not None:
            masks = self.mask.unsqueeze(1)
            self.cache.masks[size] = masks if size is None else resized(masks, size)
        return self.cache.masks[size]


def _number(keyframe: Keyframe, at: float, last: float) -> float:
    """The value of a keyframe at a position."""
    value = keyframe.value
    return value.value({FRAME: at, LAST: last}) if isinstance(value, Expression) else float(value)


def _product(a: float | Tensor, b: float | Tensor) -> float | Tensor:
    if isinstance(a, Tensor) and isinstance(b, Tensor) and a.shape[-2:] != b.shape[-2:] and 1 not in (a.shape[-1], b.shape[-1]):
        b = resized(b, a.shape[-2:])
    return a * b


def make_curve(
    text: str,
    over: str = FRAMES,
    easing: str = LINEAR,
    loop: bool = False,
    mask: Tensor | None = None,
    times: Strength | list[float] | None = None,
    within: int | None = None,
    outside: float = 0.0,
    stretch_mask: bool = False,
) -> Curve:
    """A curve from its text (grammar: ``text``) and what else a node takes.

    Args:
        within: a number of frames; keyframes after the last of them are left out, and nothing moves towards them.
        stretch_mask: the mask's lowest value becomes 0 and its highest 1.

    Raises:
        TimelineError: in the text, with line and column; positions that cannot be over steps.
        ValueError: a mask that is the same everywhere and cannot be stretched.
    """
    if mask is not None:
        mask = mask.reshape(-1, *mask.shape[-2:]).float().cpu()
        mask = _stretched(mask) if stretch_mask else mask
    timeline = parse(text)
    if within is not None:
        inside = tuple(key for key in timeline.keyframes if key.start.frame(within) < within)
        timeline = replace(timeline, keyframes=inside or timeline.keyframes[:1])
    return Curve(timeline, over, easing, loop, mask, None if times is None else as_curve(times), outside)


def _stretched(mask: Tensor) -> Tensor:
    """A mask whose lowest value, over all its frames, is 0 and whose highest is 1."""
    low, high = float(mask.min()), float(mask.max())
    if low == high:
        raise ValueError(
            f"stretch_mask needs a mask with at least two values; this one is {low:g} everywhere. Turn stretch_mask off, or use "
            "another mask."
        )
    return (mask - low) / (high - low)


Strength = float | Curve
"""What a setting may be: a number for everything, or a curve."""


def as_strength(value: Any) -> Strength:
    """A setting from a socket: a number, or a curve.

    A list of numbers, as other packs make, has one per frame; a MASK, or what they call a multival, ``(N, H, W)``, is the strength by
    region. A curve that is the same everywhere becomes the number it is, and costs no more.

    Raises:
        ValueError: something else.
    """
    if isinstance(value, Curve):
        return value if value.constant is None else value.constant
    if isinstance(value, Tensor) and value.ndim > 1:
        if not bool(torch.isfinite(value).all()):
            raise ValueError("Needed finite numbers; got a mask with NaN or infinity in it.")
        return Curve(Timeline(values=(1.0,)), mask=value.reshape(-1, *value.shape[-2:]).float().cpu())
    try:
        single = isinstance(value, str) or not hasattr(value, "__len__") or getattr(value, "ndim", 1) == 0
        numbers = (float(value),) if single else tuple(float(number) for number in value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Needed a number, a list of numbers or a curve from Value Curve; got {type(value).__name__}.") from error
    if not numbers:
        raise ValueError("Needed one number per frame; got an empty list.")
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"Needed finite numbers; got {next(n for n in numbers if not math.isfinite(n))} among {len(numbers)}.")
    return as_strength(Curve(Timeline(values=numbers)))


def as_curve(value: Any) -> Curve:
    """Like ``as_strength``, but a number becomes a curve that is the same everywhere."""
    strength = as_strength(value)
    return strength if isinstance(strength, Curve) else Curve(Timeline(values=(strength,)))


def per_frame(strength: Strength, frames: int) -> list[float]:
    """A setting as one number for each of ``frames``.

    Raises:
        ValueError: a curve over steps, or with a mask: it has no one number in a frame.
    """
    if not isinstance(strength, Curve):
        return [strength] * frames
    if strength.over == STEPS or strength.mask is not None:
        what = "over steps" if strength.over == STEPS else "with a mask"
        raise ValueError(f"Needed a number for each frame; got a curve {what}. Connect a Value Curve over frames, without a mask.")
    rest = [1.0] * frames if strength.times is None else per_frame(strength.times, frames)
    return [own * other for own, other in zip(strength.values(frames), rest, strict=True)]


def value_at(strength: Strength, call: Call) -> float | Tensor:
    """What a setting is in one model call; see ``Curve.at``."""
    return strength.at(call) if isinstance(strength, Curve) else strength
