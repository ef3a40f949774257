"""Camera moves made of any frames by moving a crop over them (paper, section 4.3). Called by ``nodes.clips`` and by the small world.

The names are those of the public motion LoRAs, and mean what those do. Measured on the eight moves in the animations of the
authors' repository: *pan left* moves the camera to the left, so that what it sees moves to the right; *tilt up* moves the
camera up, and what it sees down; *zoom in* makes what it sees larger; *roll clockwise* turns what it sees clockwise.

Source: AnimateDiff (arXiv 2307.04725), section 4.3.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ...sampling.timeline.keyframes import EASE_IN, EASE_IN_OUT, EASE_OUT, LINEAR, eased

CAMERA_EASINGS = [LINEAR, EASE_IN, EASE_OUT, EASE_IN_OUT]
QUARTER_TURN = 90.0
"""Degrees that a roll of the amount 1 turns."""
ROUNDING = 1e-5
"""By how much of a side a corner may lie outside and still count as inside."""


@dataclass(frozen=True)
class CameraMove:
    """Where the camera is in each of F frames; all four ``(F,)``.

    Attributes:
        x: its distance from the middle of the source to the right, in widths of the picture it takes at zoom 1.
        y: the same downwards, in heights of that picture.
        zoom: how much larger things are than at zoom 1.
        roll: by how many degrees things are turned clockwise.
    """

    x: Tensor
    y: Tensor
    zoom: Tensor
    roll: Tensor

    def __len__(self) -> int:
        return len(self.x)


# --- moves by name ---------------------------------------------------------------------------------------------------


def _still(way: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return torch.zeros_like(way), torch.zeros_like(way), torch.ones_like(way), torch.zeros_like(way)


def _pan(way: Tensor, amount: float) -> CameraMove:
    _, y, zoom, roll = _still(way)
    return CameraMove((way - 0.5) * amount, y, zoom, roll)


def _tilt(way: Tensor, amount: float) -> CameraMove:
    x, _, zoom, roll = _still(way)
    return CameraMove(x, (way - 0.5) * amount, zoom, roll)


def _zoom(way: Tensor, amount: float) -> CameraMove:
    x, y, _, roll = _still(way)
    return CameraMove(x, y, (1 + amount) ** way, roll)


def _roll(way: Tensor, amount: float) -> CameraMove:
    x, y, zoom, _ = _still(way)
    return CameraMove(x, y, zoom, (way - 0.5) * amount * QUARTER_TURN)


_WAYS: dict[str, tuple[Callable[[Tensor, float], CameraMove], bool]] = {
    "pan left": (_pan, True),
    "pan right": (_pan, False),
    "tilt up": (_tilt, True),
    "tilt down": (_tilt, False),
    "zoom in": (_zoom, False),
    "zoom out": (_zoom, True),
    "roll clockwise": (_roll, False),
    "roll anticlockwise": (_roll, True),
}
"""How each is made, and whether backwards."""
CAMERA_MOVES = list(_WAYS)


def camera_move(name: str, amount: float, length: int, easing: str = LINEAR) -> CameraMove:
    """A move by name. Pans, tilts and rolls go from one side of the middle to the other.

    Args:
        name: one of ``CAMERA_MOVES``.
        amount: how far from the first frame to the last. Pan and tilt: in widths and heights of the picture. Zoom: things
            become ``1 + amount`` times as large, at an even pace, or begin so. Roll: in quarter turns.
        length: frames.
        easing: one of ``CAMERA_EASINGS``.

    Raises:
        ValueError: another name or easing, a negative amount, no frames.
    """
    if name not in _WAYS or easing not in CAMERA_EASINGS:
        raise ValueError(f"A camera move is one of {', '.join(_WAYS)}, its easing one of {', '.join(CAMERA_EASINGS)}; got {name}, {easing}.")
    if amount < 0 or length < 1:
        raise ValueError(f"A camera move needs an amount from 0 on and at least one frame; got {amount:g} and {length} frames.")
    make, backwards = _WAYS[name]
    way = torch.tensor([eased(index / max(1, length - 1), easing) for index in range(length)], dtype=torch.float32)
    return make(1 - way if backwards else way, amount)


def varied_amounts(amount: float, variation: float, count: int, seed: int) -> list[float]:
    """``count`` amounts, each drawn evenly from ``amount`` less to ``amount`` plus the share ``variation`` of it."""
    random = torch.Generator().manual_seed(seed % 2**63)
    return [amount * (1 + variation * draw) for draw in (torch.rand(count, generator=random) * 2 - 1).tolist()]


def share_of_move(name: str, amount: float, whole: float) -> float:
    """Which part of a move by ``whole`` one by ``amount`` is: half a zoom twice is the whole. 1 where the whole is 0."""
    if whole <= 0:
        return 1.0
    return math.log1p(amount) / math.log1p(whole) if name.startswith("zoom") else amount / whole


# --- frames ----------------------------------------------------------------------------------------------------------


def camera_clip(frames: Tensor, move: CameraMove, size: tuple[int, int], scale: float | None = None) -> Tensor:
    """What the camera sees of the frames. Nothing outside of them is ever seen.

    Sampled bicubically, so that a move by whole pixels copies them, after each frame was scaled down, with antialiasing, to
    about the size at which it is seen.

    Args:
        frames: ``(F, H, W, C)``, 0 to 1, one for each position of the camera, or a single one that all look at.
        move: F positions.
        size: height and width of the result.
        scale: pixels of the source to one of the result at zoom 1; None for as many as fit, so that as much as possible is
            seen. Below 1, things are enlarged.

    Returns:
        ``(F, height, width, C)``, 0 to 1, float32.

    Raises:
        ValueError: another number of frames than positions; a scale at which the camera would look out of the source.
    """
    if len(frames) not in (1, len(move)):
        raise ValueError(f"A camera move of {len(move)} positions needs as many frames, or one; got {len(frames)}.")
    source = (frames.shape[1], frames.shape[2])
    most = largest_scale(move, source, size)
    if scale is not None and scale > most * (1 + ROUNDING):
        needed = [math.ceil(side * scale / most) for side in source]
        raise ValueError(
            f"This camera move looks out of a source of {source[1]} x {source[0]} pixels at {scale:g} of its pixels to one of the result; at "
            f"most {most:.3f} fit. Use a source of {needed[1]} x {needed[0]}, a smaller move or a lower scale."
        )
    scale = most if scale is None else scale
    seen = _seen(move, size) * scale / (torch.tensor([source[1], source[0]]) / 2)  # from -1 to 1 over the source
    made = torch.empty(len(move), *size, frames.shape[-1])
    for target, indices in _alike(move, source, scale).items():
        chosen = (frames if len(frames) == 1 else frames[indices]).movedim(-1, 1).float()
        if target != source:
            chosen = functional.interpolate(chosen, target, mode="bicubic", antialias=True, align_corners=False)
        chosen = chosen.expand(len(indices), -1, -1, -1)
        taken = functional.grid_sample(
            chosen, seen[indices].to(chosen.device), mode="bicubic", padding_mode="border", align_corners=False
        )
        made[indices] = taken.movedim(1, -1).clamp(0, 1).to(made.device)
    return made


def largest_scale(move: CameraMove, source: tuple[int, int], size: tuple[int, int]) -> float:
    """Pixels of the source, (height, width), to one of the result, (height, width), at zoom 1, so that no corner ever leaves the source."""
    farthest = _corners(move, size).abs().amax(dim=(0, 1))
    return min(source[1] / 2 / float(farthest[0]), source[0] / 2 / float(farthest[1]))


def _corners(move: CameraMove, size: tuple[int, int]) -> Tensor:
    """Where the corners of the result lie, ``(F, 4, 2)``: x and y from the middle of the source, in pixels of the result at zoom 1."""
    height, width = size
    points = torch.tensor([[x * width / 2, y * height / 2] for x in (-1.0, 1.0) for y in (-1.0, 1.0)])
    return _looked_at(move, points, size)


def _seen(move: CameraMove, size: tuple[int, int]) -> Tensor:
    """Where the middle of each pixel of the result lies, ``(F, height, width, 2)``, in the units of ``_corners``."""
    height, width = size
    y, x = torch.meshgrid(torch.arange(height) + 0.5 - height / 2, torch.arange(width) + 0.5 - width / 2, indexing="ij")
    points = torch.stack((x, y), dim=-1).reshape(-1, 2)
    return _looked_at(move, points, size).unflatten(1, (height, width))


def _looked_at(move: CameraMove, points: Tensor, size: tuple[int, int]) -> Tensor:
    """Points of the result ``(N, 2)``, x and y from its middle in pixels, as points of the source ``(F, N, 2)``."""
    angle = torch.deg2rad(move.roll)[:, None]
    x, y = points.unbind(-1)
    turned_x = (angle.cos() * x + angle.sin() * y) / move.zoom[:, None] + move.x[:, None] * size[1]
    turned_y = (angle.cos() * y - angle.sin() * x) / move.zoom[:, None] + move.y[:, None] * size[0]
    return torch.stack((turned_x, turned_y), dim=-1)


def _alike(move: CameraMove, source: tuple[int, int], scale: float) -> dict[tuple[int, int], list[int]]:
    """Frames by the size, (height, width), that the source is scaled down to before it is sampled."""
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, zoom in enumerate(move.zoom.tolist()):
        shrink = max(1.0, scale / zoom)
        groups[(max(1, round(source[0] / shrink)), max(1, round(source[1] / shrink)))].append(index)
    return groups
