"""A picture of context windows: which frames each window holds at which step, and how much they count.

Called by ``nodes.context.PreviewContextWindows``.
"""

from __future__ import annotations

import colorsys
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..timeline.ink import EMPTY, GAP, INK, PAPER, label_every
from .handler import FrameWindows
from .options import WindowOptions, as_window_options

_WIDTH, _HEIGHT = 960, 960
"""Pixels the bars fill at most; cells are never thinner than 2 and never larger than 24 by 14."""
_LEFT, _TOP, _LINE = 88, 62, 14


class Band(NamedTuple):
    """Steps (counted from 1) that share their windows; ``shares[w]`` maps frames to their weight in window ``w``."""

    first: int
    last: int
    options: WindowOptions
    shares: list[dict[int, float]]


def _shares(handler: FrameWindows, frames: int) -> list[dict[int, float]]:
    """Each window's part in its frames, 0 to 1; over all windows a frame's parts sum to 1."""
    if not handler.is_needed(frames):
        return [dict.fromkeys(range(frames), 1.0)]
    windows = handler.index_lists(frames)
    rows = [dict(zip(window, handler.weights(window, frames), strict=True)) for window in windows]
    total = [sum(row.get(frame, 0.0) for row in rows) for frame in range(frames)]
    return [{frame: weight / total[frame] for frame, weight in row.items()} for row in rows]


def bands(options: WindowOptions, frames: int, steps: int) -> list[Band]:
    """What happens at each step, equal neighbours joined.

    Percents are taken as the share of steps done, which is exact for schedulers that are linear in time.
    """
    plan = [(part, FrameWindows(part)) for part in as_window_options(options).plan]
    found: list[Band] = []
    for step in range(steps):
        part, handler = [entry for entry in plan if entry[0].start_percent <= step / steps + 1e-9][-1]
        handler.at_step(step)
        shares = _shares(handler, frames)
        if found and found[-1].options is part and found[-1].shares == shares:
            found[-1] = found[-1]._replace(last=step + 1)
        else:
            found.append(Band(step + 1, step + 1, part, shares))
    return found


def describe_plan(options: WindowOptions, frames: int, steps: int) -> str:
    """One line per part of the plan: what it does and what it costs."""
    lines, found = [], bands(options, frames, steps)
    for part in as_window_options(options).plan:
        mine = [band for band in found if band.options == part]
        work = [(len(band.shares), sum(map(len, band.shares))) for band in mine]
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
    found = bands(options, frames, steps)
    rows = sum(len(band.shares) for band in found)
    cell, row = min(24, max(2, _WIDTH // frames)), min(_LINE, max(2, _HEIGHT // rows))
    height = _TOP + sum(max(_LINE, row * len(band.shares)) + GAP for band in found) + GAP
    image = Image.new("RGB", (_LEFT + cell * frames + GAP, max(height, _TOP + _LINE)), PAPER)
    pen = ImageDraw.Draw(image)
    plan = as_window_options(options).plan
    length = plan[0].length if len(plan) == 1 else "several lengths"
    pen.text((GAP, 8), f"{frames} frames, {steps} steps, windows of {length}", INK)
    _frame_numbers(pen, frames, cell)
    top = _TOP
    for band in found:
        steps_text = f"step {band.first}" if band.first == band.last else f"step {band.first}-{band.last}"
        pen.text((GAP, top), steps_text, INK)
        for number, shares in enumerate(band.shares):
            y = top + row * number
            pen.rectangle((_LEFT, y, _LEFT + cell * frames - 1, y + row - 2), EMPTY)
            for frame, share in shares.items():
                x = _LEFT + cell * frame
                pen.rectangle((x, y, x + cell - 1, y + row - 2), _colour(number, share))
        top += max(_LINE, row * len(band.shares)) + GAP
    return torch.from_numpy(np.asarray(image, dtype=np.float32) / 255).unsqueeze(0)


def _frame_numbers(pen: ImageDraw.ImageDraw, frames: int, cell: int) -> None:
    """Every few frames its number, and a tick."""
    every = label_every(cell, 28)
    for frame in range(0, frames, every):
        x = _LEFT + cell * frame
        pen.text((x, _TOP - 26), str(frame), INK)
        pen.line((x, _TOP - 10, x, _TOP - 5), INK)
