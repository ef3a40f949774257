"""Pictures as the measures take them: brightness, blur, smaller ones."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

BRIGHTNESS = (0.299, 0.587, 0.114)


def as_frames(frames: Tensor, least: int = 1) -> Tensor:
    """Frames ``(F, H, W, C)`` as floats on the CPU, without alpha.

    Raises:
        ValueError: no pictures, or fewer than ``least``.
    """
    if frames.ndim != 4 or frames.shape[-1] < 3:
        raise ValueError(f"Measures need pictures (F, H, W, 3); got a tensor of {tuple(frames.shape)}. Give the images of one animation.")
    if frames.shape[0] < least:
        raise ValueError(f"This measure needs at least {least} frames; got {frames.shape[0]}. Give a whole animation.")
    return frames[..., :3].detach().float().cpu()


def brightness(frames: Tensor) -> Tensor:
    """``(F, H, W, 3)`` -> ``(F, H, W)``."""
    return frames @ frames.new_tensor(BRIGHTNESS)


def blurred(pictures: Tensor, sigma: float) -> Tensor:
    """Pictures ``(N, H, W)`` after a Gaussian blur of ``sigma`` pixels; the edge is continued."""
    reach = max(1, round(3 * sigma))
    line = torch.arange(-reach, reach + 1, dtype=pictures.dtype)
    kernel = torch.exp(-((line / sigma) ** 2) / 2)
    kernel = (kernel / kernel.sum())[None, None]
    padded = functional.pad(pictures[:, None], (reach, reach, reach, reach), mode="replicate")
    return functional.conv2d(functional.conv2d(padded, kernel[..., None, :]), kernel[..., :, None])[:, 0]


def reduced(pictures: Tensor, side: int) -> Tensor:
    """Pictures ``(N, H, W)`` whose longer side is at most ``side``; never enlarged."""
    height, width = pictures.shape[-2:]
    share = side / max(height, width)
    if share >= 1:
        return pictures
    size = (max(8, round(height * share)), max(8, round(width * share)))
    return functional.interpolate(pictures[:, None], size=size, mode="bilinear", antialias=True)[:, 0]
