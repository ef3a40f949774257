"""The first clips of a list, played on the node that made them. Called by ``nodes.clips``."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ...sampling.files.save import SaveOptions, save_animation
from ...sampling.host.files import OutputFile
from .fit import STRETCH, fitted

SHOWN_CLIPS = 4
SHOWN_SIDE = 192
"""The longer side of a clip, in pixels."""


def preview(clips: Sequence[Tensor]) -> OutputFile:
    """The first clips as one animation in the host's temporary folder. Clips are ``(F, H, W, 3)``."""
    return save_animation(side_by_side(clips), SaveOptions(filename_prefix="training_clips", save_output=False))


def side_by_side(clips: Sequence[Tensor]) -> Tensor:
    """The first clips, small, next to each other: ``(F, h, w, 3)`` of clips ``(F, H, W, 3)`` of any size. A shorter one stands still at its end."""
    shown = clips[:SHOWN_CLIPS]
    length = max(len(frames) for frames in shown)
    height = max(1, round(min(SHOWN_SIDE * min(1.0, frames.shape[1] / frames.shape[2]) for frames in shown)))
    tiles = []
    for frames in shown:
        width = max(1, round(height * frames.shape[2] / frames.shape[1]))
        small = fitted(frames, (height, width), STRETCH)
        tiles.append(small[[min(index, len(frames) - 1) for index in range(length)]])
    columns = math.ceil(math.sqrt(len(tiles)))
    rows = [torch.cat(tiles[start : start + columns], dim=2) for start in range(0, len(tiles), columns)]
    widest = max(row.shape[2] for row in rows)
    return torch.cat([functional.pad(row, (0, 0, 0, widest - row.shape[2])) for row in rows], dim=1)
