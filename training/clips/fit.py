"""Frames of any size and kind as RGB of one size. Called by ``load`` and ``preview``."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

CROP, STRETCH, PAD = "crop", "stretch", "pad"
FITS = [CROP, STRETCH, PAD]


def fitted(frames: Tensor, size: tuple[int, int], fit: str = CROP) -> Tensor:
    """Frames of one size. Grey becomes RGB; alpha is laid on black.

    Args:
        frames: ``(N, H, W, C)`` with 1, 2, 3 or 4 channels, 0 to 1.
        size: height and width.
        fit: *crop* cuts off what sticks out on both sides alike, *stretch* changes the proportions, *pad* adds black bars.

    Returns:
        ``(N, height, width, 3)``, float32, 0 to 1; antialiased where it became smaller.
    """
    if fit not in FITS:
        raise ValueError(f"How frames are fitted is one of {', '.join(FITS)}; got {fit}.")
    frames = _rgb(frames)
    if fit == CROP:
        frames = _cut(frames, size)
    inner = _inside(frames, size) if fit == PAD else size
    scaled = frames.movedim(-1, 1)
    if inner != tuple(frames.shape[1:3]):
        scaled = functional.interpolate(scaled, inner, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
    down, right = size[0] - inner[0], size[1] - inner[1]
    if down or right:
        scaled = functional.pad(scaled, (right // 2, right - right // 2, down // 2, down - down // 2))
    return scaled.movedim(1, -1).contiguous()


def _rgb(frames: Tensor) -> Tensor:
    frames = frames.float().clamp(0, 1)
    if frames.shape[-1] in (2, 4):
        frames = frames[..., :-1] * frames[..., -1:]
    return frames.expand(*frames.shape[:-1], 3) if frames.shape[-1] == 1 else frames


def _cut(frames: Tensor, size: tuple[int, int]) -> Tensor:
    """The largest middle part in the proportions of ``size``."""
    height, width = frames.shape[1:3]
    kept_height = min(height, max(1, round(width * size[0] / size[1])))
    kept_width = min(width, max(1, round(height * size[1] / size[0])))
    top, left = (height - kept_height) // 2, (width - kept_width) // 2
    return frames[:, top : top + kept_height, left : left + kept_width]


def _inside(frames: Tensor, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the whole frame inside ``size``."""
    height, width = frames.shape[1:3]
    factor = min(size[0] / height, size[1] / width)
    return max(1, round(height * factor)), max(1, round(width * factor))
