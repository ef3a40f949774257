"""A plot of a curve: what it is at each frame, or along the sampling steps. Called by ``nodes.schedule.ValueCurve``."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .curve import STEPS, Curve
from .keyframes import laid_out
from .window_picture import EMPTY, GAP, INK, PAPER

WIDTH, HEIGHT = 480, 240
LEFT, BOTTOM, TOP, TEXT = 58, 28, 34, 15
"""Pixels: of the picture, around the curve, and of letters."""
LINE, KEY = (93, 173, 226), (244, 208, 63)
SAMPLES = 200
"""Points along the sampling run."""
SMALLEST = 1e-9
"""A curve that moves less than this is drawn as constant."""


def points(curve: Curve, frames: int) -> list[float]:
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
        ScheduleError: places outside a clip of ``frames``.
    """
    values = points(curve, frames)
    low, high = min(values), max(values)
    if high - low < SMALLEST * max(1.0, abs(high)):
        margin = max(0.5, abs(high) / 1000)
        low, high = low - margin, high + margin
    image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    pen = ImageDraw.Draw(image)
    pen.font = ImageFont.load_default(TEXT)
    pen.text((GAP, 8), described(curve, frames), INK)
    width, height = WIDTH - LEFT - 2 * GAP, HEIGHT - TOP - BOTTOM
    last = max(len(values) - 1, 1)

    def spot(index: float, value: float) -> tuple[float, float]:
        return LEFT + width * index / last, TOP + height * (high - value) / (high - low)

    for tick in _ticks(low, high):
        y = spot(0, tick)[1]
        pen.line((LEFT, y, LEFT + width, y), EMPTY)
        pen.text((LEFT - GAP, y), f"{tick:.6g}", INK, anchor="rm")
    _axis(pen, curve.over == STEPS, len(values), width)
    _draw_values(pen, [spot(i, value) for i, value in enumerate(values)], curve.over == STEPS)
    for key in [] if curve.schedule.values else laid_out(curve.schedule, None if curve.over == STEPS else frames):
        index = key.first * (last if curve.over == STEPS else 1)
        if index <= last:
            x, y = spot(index, float(key.keyframe.value))
            pen.ellipse((x - 3, y - 3, x + 3, y + 3), KEY)
    return torch.from_numpy(np.asarray(image, dtype=np.float32) / 255).unsqueeze(0)


def _axis(pen: ImageDraw.ImageDraw, steps: bool, count: int, width: int) -> None:
    """Percent of the run, or frame numbers."""
    every = next(step for step in (1, 2, 4, 8, 16, 32, 64, 128, 10**6) if step * width >= 36 * count)
    marks = [(i / 4, f"{25 * i}%") for i in range(5)] if steps else []
    marks = marks or [(i / max(count - 1, 1), str(i)) for i in range(0, count, every)]
    for share, text in marks:
        x = LEFT + width * share
        pen.text((x, HEIGHT - BOTTOM + 16), text, INK, anchor="mm")


def _draw_values(pen: ImageDraw.ImageDraw, spots: list[tuple[float, float]], steps: bool) -> None:
    """A line; for frames with a dot for each, as nothing lies between two of them."""
    pen.line(spots, LINE, 2)
    if not steps and len(spots) <= 100:
        for x, y in spots:
            pen.ellipse((x - 2, y - 2, x + 2, y + 2), LINE)


def described(curve: Curve, frames: int) -> str:
    """A line for the user: range, and what else takes part."""
    values = points(curve, frames)
    low, high = min(values), max(values)
    span = f"{low:.4g} everywhere" if low == high else f"{low:.4g} to {high:.4g}"
    extras = [f"a mask of {curve.mask.shape[0]}"] if curve.mask is not None else []
    extras += ["another curve"] if curve.times is not None else []
    return f"{span}, over {curve.over}" + (f", times {' and '.join(extras)}" if extras else "")
