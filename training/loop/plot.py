"""A picture of the losses of a training. Called by ``stages.at_node``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ...sampling.timeline.ink import EMPTY, GAP, INK, PAPER

SIZE = (480, 240)
LEFT_EDGE, LOWER_EDGE, UPPER_EDGE, TEXT_SIZE = 58, 28, 34, 15
"""Pixels around the plot, and of letters."""
EACH, MEAN = (60, 84, 104), (93, 173, 226)
POINTS = 240
"""Means are drawn for this many parts of the training at most."""


def loss_picture(losses: Sequence[float]) -> Tensor:
    """IMAGE ``(1, H, W, 3)``, 0 to 1: the loss of each step in dark, its mean over parts of the training in bright."""
    image = Image.new("RGB", SIZE, PAPER)
    pen = ImageDraw.Draw(image)
    pen.font = ImageFont.load_default(TEXT_SIZE)
    finite = [loss for loss in losses if np.isfinite(loss)] or [0.0]
    low, high = 0.0, max(float(np.quantile(finite, 0.99)), 1e-12)  # a few large ones would hide all others
    width, height = SIZE[0] - LEFT_EDGE - 2 * GAP, SIZE[1] - UPPER_EDGE - LOWER_EDGE

    def at(step: float, loss: float) -> tuple[float, float]:
        share = min(max((loss - low) / (high - low), 0.0), 1.0)
        return LEFT_EDGE + width * step / max(len(losses) - 1, 1), UPPER_EDGE + height * (1 - share)

    part = max(1, -(-len(losses) // POINTS), min(20, len(losses) // 10))
    means = [(start + part / 2, float(np.mean(losses[start : start + part]))) for start in range(0, len(losses), part)]
    pen.text((GAP, 8), f"loss of {len(losses)} steps, from {means[0][1]:.4f} to {means[-1][1]:.4f}" if means else "no steps", INK)
    for value in (low, (low + high) / 2, high):
        y = at(0, value)[1]
        pen.line((LEFT_EDGE, y, LEFT_EDGE + width, y), EMPTY)
        pen.text((LEFT_EDGE - GAP, y), f"{value:.3g}", INK, anchor="rm")
    for step in (0, len(losses) // 2, len(losses)):
        pen.text((at(step, 0)[0], SIZE[1] - LOWER_EDGE + 16), str(step), INK, anchor="mm")
    if len(losses) > 1:
        pen.line([at(step, loss) for step, loss in enumerate(losses)], EACH)
        pen.line([at(min(step, len(losses) - 1), loss) for step, loss in means], MEAN, 2)
    return torch.from_numpy(np.asarray(image, dtype=np.float32) / 255).unsqueeze(0)
