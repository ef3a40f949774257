"""A frame for lines: title, numbers upwards, marks to the right. ``picture`` draws curves in it, training and measures their numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .ink import EMPTY, GAP, INK, PAPER, label_every

WIDTH, HEIGHT = 480, 240
LEFT, BOTTOM, TOP, TEXT = 58, 28, 34, 15
"""Pixels: of the picture, around the lines, and of letters."""
SMALLEST = 1e-9
"""Values that differ less than this are drawn as constant."""
DOTS_UP_TO = 100
"""More values than these are drawn as a line alone."""
Colour = tuple[int, int, int]


def _ticks(low: float, high: float) -> list[float]:
    """A few round numbers from low to high."""
    step = 10 ** np.floor(np.log10(high - low))
    step *= next(part for part in (0.2, 0.5, 1, 2) if (high - low) / (step * part) <= 6)
    return [float(tick) for tick in np.arange(np.ceil(low / step), high / step + 1e-6) * step]


class Chart:
    """A picture with room for lines of values.

    Attributes:
        pen: draws on it.
        width: pixels from the first value to the last.
    """

    def __init__(self, title: str, low: float, high: float, last: float) -> None:
        """A chart for values from ``low`` to ``high``, at positions from 0 to ``last``."""
        if high - low < SMALLEST * max(1.0, abs(high)):
            margin = max(0.5, abs(high) / 1000)
            low, high = low - margin, high + margin
        self._low, self._high, self._last = low, high, max(last, 1)
        self._image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
        self.pen = ImageDraw.Draw(self._image)
        self.pen.font = ImageFont.load_default(TEXT)
        self.pen.text((GAP, 8), title, INK)
        self.width = WIDTH - LEFT - 2 * GAP
        for tick in _ticks(low, high):
            y = self.point(0, tick)[1]
            self.pen.line((LEFT, y, LEFT + self.width, y), EMPTY)
            self.pen.text((LEFT - GAP, y), f"{tick:.6g}", INK, anchor="rm")

    def point(self, position: float, value: float) -> tuple[float, float]:
        """Where a value is in the picture."""
        height = HEIGHT - TOP - BOTTOM
        return LEFT + self.width * position / self._last, TOP + height * (self._high - value) / (self._high - self._low)

    def mark(self, share: float, text: str) -> None:
        """A word below the lines, at a share of their width."""
        self.pen.text((LEFT + self.width * share, HEIGHT - BOTTOM + 16), text, INK, anchor="mm")

    def count(self, values: int, first: int = 0, every: int = 1) -> None:
        """Numbers below the lines: of each value, or of as many as fit."""
        step = label_every(self.width / values, 36)
        for index in range(0, values, step):
            self.mark(index / max(values - 1, 1), str(first + index * every))

    def line(self, values: Sequence[float], colour: Colour, *, dots: bool, thick: int = 2) -> None:
        """Values one after another, with a dot for each, as nothing lies between two of them. What is not finite is left out."""
        spots: list[tuple[float, float]] = []
        for position, value in enumerate(values):
            if math.isfinite(value):
                spots.append(self.point(position, value))
            if spots and (not math.isfinite(value) or position == len(values) - 1):
                self.pen.line(spots, colour, thick)
                for x, y in spots if dots and len(values) <= DOTS_UP_TO else []:
                    self.pen.ellipse((x - 2, y - 2, x + 2, y + 2), colour)
                spots = []

    def picture(self) -> Tensor:
        """The chart as IMAGE ``(1, H, W, 3)``, 0 to 1."""
        return torch.from_numpy(np.asarray(self._image, dtype=np.float32) / 255).unsqueeze(0)
