"""A plot of a curve: its value at each frame, or along the sampling steps. Called by ``nodes.schedule.ValueCurve``."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .curve import STEPS, Curve
from .expression import Expression
from .ink import EMPTY, GAP, INK, PAPER, label_every
from .keyframes import laid_out

WIDTH, HEIGHT = 480, 240
LEFT, BOTTOM, TOP, TEXT = 58, 28, 34, 15
"""Pixels: of the picture, around the curve, and of letters."""
LINE, DOT = (93, 173, 226), (244, 208, 63)
SAMPLES = 200
"""Points along the sampling run."""
SMALLEST = 1e-9
"""A curve that moves less than this is drawn as constant."""


def drawn_values(curve: Curve, frames: int) -> list[float]:
    """The values that are drawn: one per frame, or ``SAMPLES`` from the first step to the last."""
    return curve.numbers(SAMPLES if curve.over == STEPS else frames)


def _ticks(low: float, high: float) -> list[float]:
    """A few round numbers from low to high."""
    step = 10 ** np.floor(np.log10(high - low))
    step *= next(part for part in (0.2, 0.5, 1, 2) if (high - low) / (step * part) <= 6)
    return [float(tick) for tick in np.arange(np.ceil(low / step), high / step + 1e-6) * step]


def plot(curve: Curve, frames: int) -> Tensor:
    """The picture as IMAGE ``(1, H, W, 3)``, 0 to 1: value upwards, frames or steps to the right, keyframes as dots.

    Raises:
        TimelineError: a position before the first of ``frames``.
    """
    values = drawn_values(curve, frames)
    low, high = min(values), max(values)
    if high - low < SMALLEST * max(1.0, abs(high)):
        margin = max(0.5, abs(high) / 1000)
        low, high = low - margin, high + margin
    image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    pen = ImageDraw.Draw(image)
    pen.font = ImageFont.load_default(TEXT)
    pen.text((GAP, 8), describe_curve(curve, frames), INK)
    width, height = WIDTH - LEFT - 2 * GAP, HEIGHT - TOP - BOTTOM
    last = max(len(values) - 1, 1)

    def point(index: float, value: float) -> tuple[float, float]:
        return LEFT + width * index / last, TOP + height * (high - value) / (high - low)

    for tick in _ticks(low, high):
        y = point(0, tick)[1]
        pen.line((LEFT, y, LEFT + width, y), EMPTY)
        pen.text((LEFT - GAP, y), f"{tick:.6g}", INK, anchor="rm")
    _axis(pen, curve.over == STEPS, len(values), width)
    _draw_values(pen, [point(i, value) for i, value in enumerate(values)], curve.over == STEPS)
    for key in [] if curve.timeline.values else laid_out(curve.timeline, None if curve.over == STEPS else frames):
        index = key.first * (last if curve.over == STEPS else 1)
        if index <= last:
            x, y = point(index, values[round(index)] if isinstance(key.keyframe.value, Expression) else float(key.keyframe.value))
            pen.ellipse((x - 3, y - 3, x + 3, y + 3), DOT)
    return torch.from_numpy(np.asarray(image, dtype=np.float32) / 255).unsqueeze(0)


def _axis(pen: ImageDraw.ImageDraw, steps: bool, count: int, width: int) -> None:
    """Percent of the run, or frame numbers."""
    every = label_every(width / count, 36)
    marks = [(i / 4, f"{25 * i}%") for i in range(5)] if steps else []
    marks = marks or [(i / max(count - 1, 1), str(i)) for i in range(0, count, every)]
    for share, text in marks:
        x = LEFT + width * share
        pen.text((x, HEIGHT - BOTTOM + 16), text, INK, anchor="mm")


def _draw_values(pen: ImageDraw.ImageDraw, dots: list[tuple[float, float]], steps: bool) -> None:
    """A line; for frames with a dot for each, as nothing lies between two of them."""
    pen.line(dots, LINE, 2)
    if not steps and len(dots) <= 100:
        for x, y in dots:
            pen.ellipse((x - 2, y - 2, x + 2, y + 2), LINE)


def describe_curve(curve: Curve, frames: int) -> str:
    """A line for the user: range, and what else takes part."""
    values = drawn_values(curve, frames)
    low, high = min(values), max(values)
    span = f"{low:.4g} everywhere" if low == high else f"{low:.4g} to {high:.4g}"
    mask = "" if curve.mask is None else f"a mask of {curve.mask.shape[0]}"
    inside = f" inside {mask}, {curve.outside:.4g} outside" if mask and curve.outside else ""
    extras = [extra for extra in ("" if inside else mask, "another curve" if curve.times is not None else "") if extra]
    return f"{span}{inside}, over {curve.over}" + (f", times {' and '.join(extras)}" if extras else "")
