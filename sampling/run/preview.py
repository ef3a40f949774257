"""A live preview of several frames, beside the host's own of the first. Called by ``around``."""

from __future__ import annotations

import torch
from torch import Tensor

from ..host.memory import ModelPatcher
from ..host.sample import ProgressBar, StepCallback, previewer_of

PREVIEW_SIDE = 2
"""The live preview shows this many frames in a row, and as many rows."""


def contact_sheet(latent: Tensor, side: int = PREVIEW_SIDE) -> Tensor:
    """``side`` times ``side`` frames of ``(F, C, H, W)``, spread evenly, as one ``(1, C, side·H, side·W)``."""
    chosen = torch.linspace(0, latent.shape[0] - 1, side * side).round().long()
    rows = latent[chosen].unflatten(0, (side, side))  # rows, columns, C, H, W
    return rows.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2).unsqueeze(0)


def with_frames_preview(callback: StepCallback | None, model: ModelPatcher) -> StepCallback | None:
    """A step callback that shows several frames after the host's own has shown the first.

    Nothing is changed for the one given: samplers hand what it gets to the user.
    """
    previewer = previewer_of(model)
    if callback is None or previewer is None:
        return callback
    bar = ProgressBar(1)
    shrink = PREVIEW_SIDE if hasattr(previewer, "taesd") else 1  # a decoder's time goes with the size, and is felt

    def show(step: int, x0: Tensor, x: Tensor, total_steps: int) -> None:
        callback(step, x0, x, total_steps)
        small = torch.nn.functional.avg_pool2d(x0.float(), shrink) if shrink > 1 else x0
        image = previewer.decode_latent_to_preview_image("JPEG", contact_sheet(small))
        bar.update_absolute(step + 1, total_steps, image)

    return show
