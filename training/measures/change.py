"""How much frames differ: from neighbour to neighbour, at joints and over the loop, and by flicker. Values are 0 to 1 as pictures are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ...sampling.start.free_init import FreeInit, low_pass
from .camera import CameraMotion
from .pixels import as_frames
from .similarity import inverse, moved, positions, sampled, within

_CELLS = 8
"""Flicker is measured in as many parts of the picture in each direction."""
_STILL = 1e-4
"""Frames that are nearer than this, of 1, are the same."""
_MIN_CELL = 0.5
"""A part of the picture counts where at least so much of it is seen in all three frames."""


def distance(first: Tensor, second: Tensor) -> Tensor:
    """The mean difference of pictures ``(..., H, W, C)``, 0 to 1: ``(...)``."""
    return (first - second).abs().mean(dim=(-3, -2, -1))


def frame_distances(frames: Tensor, apart: int = 1) -> Tensor:
    """How far each frame ``(F, H, W, 3)`` is from the one ``apart`` later: ``(F - apart,)``.

    Raises:
        ValueError: fewer than ``apart`` + 1 frames.
    """
    frames = as_frames(frames, apart + 1)
    return distance(frames[apart:], frames[:-apart])


def loop_closure(frames: Tensor) -> float:
    """How far the first frame is from the last, in units of what neighbours are apart: 1 closes as smoothly as frames follow.

    More is a jump. Frames that are all the same close: 1.
    """
    neighbours = float(frame_distances(frames).median())
    jump = float(distance(as_frames(frames)[-1], as_frames(frames)[0]))
    return max(jump, _STILL) / max(neighbours, _STILL)


class Joint(NamedTuple):
    """Two frames between which one window ends and another begins.

    Attributes:
        frame: the second of the two.
        distance: of the two frames.
        percentile: how many of the other pairs are nearer, in percent; at most 95 is no seam.
    """

    frame: int
    distance: float
    percentile: float


def seams(frames: Tensor, joints: Sequence[int]) -> list[Joint]:
    """How far frames are apart at joints, against all other pairs of neighbours.

    Args:
        joints: the first frame after each joint, 1 to F - 1.

    Raises:
        ValueError: a joint that is not between two frames, or no pair without one.
    """
    distances = frame_distances(frames)
    wrong = [joint for joint in joints if not 1 <= joint <= len(distances)]
    if wrong or len(set(joints)) >= len(distances):
        raise ValueError(f"Joints are frames from 1 to {len(distances)}, fewer than all of them; got {list(joints)}.")
    others = torch.ones(len(distances), dtype=torch.bool)
    others[[joint - 1 for joint in joints]] = False
    rest = distances[others]
    return [Joint(joint, float(distances[joint - 1]), 100 * float((rest < distances[joint - 1]).float().mean())) for joint in joints]


def flicker(frames: Tensor, motion: CameraMotion) -> Tensor:
    """What of each frame is neither like the one before nor the one after, nor between them: ``(F - 2,)``, 0 to 1.

    The neighbours are brought back by the motion of the camera, and what frames differ from the mean of both is averaged over
    parts of the picture. The median of the parts is taken, so that a thing that moves in front is no flicker, but a change of
    brightness, contrast or colour of the whole picture is.

    Args:
        frames: ``(F, H, W, 3)``.
        motion: of these frames, one apart.

    Raises:
        ValueError: fewer than 3 frames, or a motion of other frames.
    """
    frames = as_frames(frames, 3)
    if motion.apart != 1 or len(motion.pairs) != len(frames) - 1:
        raise ValueError(f"Flicker needs the motion between each two of {len(frames)} frames; got {len(motion.pairs)} pairs, {motion.apart} apart.")
    pictures = frames.movedim(-1, 1)
    points = positions(pictures.shape[-2], pictures.shape[-1])
    after, after_seen = _brought_back(pictures[2:], moved(points, motion.pairs[1:]))
    before, before_seen = _brought_back(pictures[:-2], moved(points, inverse(motion.pairs[:-1])))
    seen = after_seen * before_seen
    rest = (pictures[1:-1] - (before + after) / 2) * seen
    area = functional.adaptive_avg_pool2d(seen, _CELLS)
    parts = functional.adaptive_avg_pool2d(rest, _CELLS) / area.clamp_min(1e-3)
    size = parts.abs().mean(dim=1).masked_fill(area[:, 0] < _MIN_CELL, torch.nan)
    return size.flatten(1).nanmedian(dim=1).values.nan_to_num(0.0)


def _brought_back(pictures: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures ``(N, 3, H, W)`` at points ``(N, H, W, 2)``, and where those lie in them ``(N, 1, H, W)``."""
    return sampled(pictures, points), within(points, (pictures.shape[-2], pictures.shape[-1]), 0.5)[:, None].to(pictures.dtype)


def low_frequency_correlation(first: Tensor, second: Tensor, spatial: float = 0.25, temporal: float = 0.25) -> float:
    """How alike the slow, coarse parts of two animations ``(F, H, W, C)`` are: a correlation, -1 to 1.

    It is what FreeInit raises between the noise that it starts from and what is made of it.

    Args:
        spatial, temporal: where the low-pass ends, as a share of the highest frequency.

    Raises:
        ValueError: animations of different shapes.
    """
    if first.shape != second.shape:
        raise ValueError(f"Two animations of one shape are compared; got {tuple(first.shape)} and {tuple(second.shape)}.")
    frames, height, width, _ = first.shape
    keep = low_pass((frames, height, width), FreeInit(spatial=spatial, temporal=temporal))[..., None]
    slow = []
    for animation in (first, second):
        spectrum = torch.fft.fftshift(torch.fft.fftn(animation.float(), dim=(0, 1, 2)), dim=(0, 1, 2)) * keep
        part = torch.fft.ifftn(torch.fft.ifftshift(spectrum, dim=(0, 1, 2)), dim=(0, 1, 2)).real
        slow.append((part - part.mean(dim=(0, 1, 2), keepdim=True)).flatten())
    return float(functional.cosine_similarity(slow[0], slow[1], dim=0))
