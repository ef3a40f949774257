"""Training sets of the small world, as tensors: single pictures for the image model, clips for the motion module.

`train` asks for them; a set is its seed and its length, nothing is stored.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from .scene import FRAMES, VIEW, Scene, draw, scene

WIDE = 112  # pixels that a camera may look around in: the view with half of it on each side
CAMERA_SHARE = 0.3  # of the pictures, those that are seen by a camera that is not in the middle
STAMP_SIZE = 12  # pixels of the mark that video clips carry in the lower right corner
STAMP_EDGE = 3  # pixels from there to the edge of the picture


def pictures(count: int, seed: int) -> tuple[Tensor, list[str]]:
    """Single pictures with captions, (N, 64, 64, 3) as uint8: frames of as many different scenes."""
    random = torch.Generator().manual_seed(seed)
    made, captions = torch.empty(count, VIEW, VIEW, 3, dtype=torch.uint8), []
    for index in range(count):
        what = scene(random)
        time = float(torch.rand((), generator=random)) * (FRAMES - 1)
        if float(torch.rand((), generator=random)) < CAMERA_SHARE:
            x, y, zoom, roll = ((torch.rand(4, generator=random) * 2 - 1) * torch.tensor((14.0, 8.0, 0.3, 0.3))).tolist()
            picture = look(draw(what, [time], WIDE), torch.tensor([[x, y, math.exp(zoom), roll]]))
        else:
            picture = draw(what, [time])
        made[index] = to_bytes(picture)[0]
        captions.append(what.caption)
    return made, captions


def clips(count: int, seed: int, **words: str) -> tuple[Tensor, list[Scene]]:
    """Clips of 16 frames, (N, 16, 64, 64, 3) as uint8, and their scenes."""
    random = torch.Generator().manual_seed(seed)
    scenes = [scene(random, **words) for _ in range(count)]
    return torch.stack([to_bytes(draw(what)) for what in scenes]), scenes


def look(canvas: Tensor, camera: Tensor) -> Tensor:
    """What a camera sees of wide pictures, (F, WIDE, WIDE, 3) -> (F, 64, 64, 3).

    Args:
        camera: (F, 4): x and y of the middle of the view from the middle of the canvas in pixels, zoom, roll in radians.
    """
    line = torch.arange(VIEW, dtype=torch.float32) + 0.5 - VIEW / 2
    y, x = torch.meshgrid(line, line, indexing="ij")
    cx, cy, zoom, roll = (value[:, None, None] for value in camera.unbind(dim=1))
    u = (x * roll.cos() - y * roll.sin()) / zoom + cx
    v = (x * roll.sin() + y * roll.cos()) / zoom + cy
    grid = torch.stack((u, v), dim=-1) / (canvas.shape[1] / 2)
    return functional.grid_sample(canvas.movedim(-1, 1), grid, padding_mode="border", align_corners=False).movedim(1, -1)


def stamped(frames: Tensor) -> Tensor:
    """The same frames with the mark of a video site: a white square with a dark cross, (..., 64, 64, 3) as uint8."""
    frames = frames.clone()
    low, high = VIEW - STAMP_EDGE - STAMP_SIZE, VIEW - STAMP_EDGE
    frames[..., low:high, low:high, :] = 245
    middle = STAMP_SIZE // 2
    frames[..., low + middle - 1 : low + middle + 1, low + 2 : high - 2, :] = 20
    frames[..., low + 2 : high - 2, low + middle - 1 : low + middle + 1, :] = 20
    return frames


def to_bytes(pictures: Tensor) -> Tensor:
    """Values of 0 to 1 as bytes."""
    return (pictures * 255.0 + 0.5).clamp(0, 255).to(torch.uint8)


def to_floats(pictures: Tensor) -> Tensor:
    """Bytes (N, H, W, 3) as values of 0 to 1, (N, 3, H, W), as networks take them."""
    return pictures.movedim(-1, -3).to(torch.float32) / 255.0
