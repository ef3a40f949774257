"""A picture of context windows: which frames each window holds at which step, and how much they count.

Called by ``nodes.context.PreviewContextWindows``.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..host.sample import stop_if_interrupted
from ..host.windows import MOVING
from ..timeline.ink import EMPTY, GAP, INK, PAPER, label_every
from .handler import FrameWindows
from .options import WindowOptions, as_window_options

_WIDTH, _HEIGHT = 960, 960
"""Pixels the bars fill at most. Cells are never larger than 24 by 14; with many frames or windows several share a pixel."""
_LEFT, _TOP, _LINE = 88, 62, 14
_ROWS = _HEIGHT // 2
"""Lines for the windows of a step at most."""
_NARROWEST = 330
"""Pixels that the lines of text take."""


class Band(NamedTuple):
    """Steps (counted from 1) that share their windows, the lists of frames in ``windows``."""

    first: int
    last: int
    options: WindowOptions
    frames: int
    windows: list[list[int]]

    @property
    def shares(self) -> list[dict[int, float]]:
        """Each window's part in its frames, 0 to 1; over all windows a frame's parts sum to 1."""
        if len(self.windows) == 1:
            return [dict.fromkeys(self.windows[0], 1.0)]
        handler = FrameWindows(self.options)
        rows = [dict(zip(window, handler.weights(window, self.frames), strict=True)) for window in self.windows]
        total = [0.0] * self.frames
        for row in rows:
            for frame, weight in row.items():
                total[frame] += weight
        return [{frame: weight / total[frame] for frame, weight in row.items()} for row in rows]


def bands(options: WindowOptions, frames: int, steps: int) -> Iterator[Band]:
    """What happens at each step, equal neighbours joined. Can be interrupted at each step.

    Percents are taken as the share of steps done, which is exact for schedulers that are linear in time.
    """
    plan = [(part, FrameWindows(part)) for part in as_window_options(options).plan]
    band: Band | None = None
    for step in range(steps):
        stop_if_interrupted()
        part, handler = [entry for entry in plan if entry[0].start_percent <= step / steps + 1e-9][-1]
        same = band is not None and band.options is part
        if band is None or not same or part.schedule in MOVING:
            handler.at_step(step)
            windows = handler.index_lists(frames) if handler.is_needed(frames) else [list(range(frames))]
            if band is None or not same or band.windows != windows:
                if band is not None:
                    yield band
                band = Band(step + 1, step, part, frames, windows)
        band = band._replace(last=step + 1)
    if band is not None:
        yield band


def describe_plan(options: WindowOptions, frames: int, steps: int) -> str:
    """One line per part of the plan: what it does and what it costs."""
    lines: list[str] = []
    found = [(band.options, (len(band.windows), sum(map(len, band.windows)))) for band in bands(options, frames, steps)]
    for part in as_window_options(options).plan:
        work = [each for whose, each in found if whose == part]
        if not work:
            lines.append(f"from {part.start_percent:.0%}: never reached in {steps} steps")
            continue
        windows, seen = max(work)
        whose = "the temporal attention" if part.views else "the whole model"
        lines.append(
            f"from {part.start_percent:.0%}: {windows} windows of {min(part.length, frames)} frames over {whose}, "
            f"{part.schedule}, {part.fuse}: it sees each frame {seen / frames:.2f} times"
        )
    return "\n".join(lines)


def _colour(window: int, share: float) -> tuple[int, ...]:
    hue = (0.58 + 0.381966 * window) % 1.0  # golden angle: neighbours differ
    return tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.55, 0.25 + 0.7 * share))


def draw(options: WindowOptions, frames: int, steps: int) -> Tensor:
    """The picture as IMAGE ``(1, H, W, 3)``, 0 to 1. Frames run to the right, steps down; brighter counts more.

    Raises:
        ValueError: no frames or no steps.
    """
    if frames < 1 or steps < 1:
        raise ValueError(f"A picture needs at least 1 frame and 1 step; got {frames} and {steps}.")
    found, left_out = _drawn(options, frames, steps)
    rows = sum(min(_ROWS, len(band.windows)) for band in found)
    row = min(_LINE, max(2, (_HEIGHT - GAP * len(found)) // rows))
    cell = float(min(24, _WIDTH // frames)) if frames <= _WIDTH // 2 else _WIDTH / frames
    width = round(cell * frames)
    height = _TOP + sum(max(_LINE, row * min(_ROWS, len(band.windows))) + GAP for band in found) + (_LINE if left_out else 0) + GAP
    image = Image.new("RGB", (max(_LEFT + width + GAP, _NARROWEST), max(height, _TOP + _LINE)), PAPER)
    pen = ImageDraw.Draw(image)
    plan = as_window_options(options).plan
    length = plan[0].length if len(plan) == 1 else "several lengths"
    pen.text((GAP, 8), f"{frames} frames, {steps} steps, windows of {length}", INK)
    _frame_numbers(pen, frames, cell)
    top = _TOP
    for band in found:
        steps_text = f"step {band.first}" if band.first == band.last else f"step {band.first}-{band.last}"
        pen.text((GAP, top), steps_text, INK)
        lines = min(_ROWS, len(band.windows))
        for line in range(lines):
            pen.rectangle((_LEFT, top + row * line, _LEFT + width - 1, top + row * (line + 1) - 2), EMPTY)
        for number, shares in enumerate(band.shares):
            y = top + row * (number * lines // len(band.windows))
            for frame, share in shares.items():
                x, end = _LEFT + int(cell * frame), _LEFT + int(cell * (frame + 1))
                pen.rectangle((x, y, max(x, end - 1), y + row - 2), _colour(number, share))
        top += max(_LINE, row * lines) + GAP
    if left_out:
        pen.text((GAP, top), f"steps {steps - left_out + 1}-{steps} are not drawn, their windows move on", INK)
    return torch.from_numpy(np.asarray(image, dtype=np.float32) / 255).unsqueeze(0)


def _drawn(options: WindowOptions, frames: int, steps: int) -> tuple[list[Band], int]:
    """As many bands as there is room for, at least one; and how many steps are left out."""
    found: list[Band] = []
    height = 0
    for band in bands(options, frames, steps):
        height += max(_LINE, 2 * min(_ROWS, len(band.windows))) + GAP
        if found and height > _HEIGHT + GAP:
            return found, steps - band.first + 1
        found.append(band)
    return found, 0


def _frame_numbers(pen: ImageDraw.ImageDraw, frames: int, cell: float) -> None:
    """Every few frames its number, and a tick."""
    every = label_every(cell, 28)
    for frame in range(0, frames, every):
        x = _LEFT + int(cell * frame)
        pen.text((x, _TOP - 26), str(frame), INK)
        pen.line((x, _TOP - 10, x, _TOP - 5), INK)
