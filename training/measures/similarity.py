"""Moves of a camera as four numbers, and what points and pictures look like after them.

A **similarity** is ``(dx, dy, log zoom, roll)``: the content that is at ``x`` in one picture is at
``zoom * turned(x, roll) + (dx, dy)`` in the next, with ``x`` in pixels from the middle, to the right and downwards, and roll in
radians clockwise. Many of them are a tensor ``(N, 4)``.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def positions(height: int, width: int) -> Tensor:
    """Of each pixel from the middle, ``(H, W, 2)``: x and y in pixels."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5 - height / 2, torch.arange(width) + 0.5 - width / 2, indexing="ij")
    return torch.stack((x, y), dim=-1)


def _as_complex(similarity: Tensor) -> tuple[Tensor, Tensor]:
    """Zoom and roll as one number to multiply with, and the shift as one to add: ``(N,)`` each."""
    dx, dy, zoom, roll = similarity.unbind(dim=1)
    return torch.polar(zoom.exp(), roll), torch.complex(dx, dy)


def _with_shift(shift: Tensor, turn: Tensor) -> Tensor:
    """A similarity of a complex shift ``(N,)`` and log zoom and roll ``(N, 2)``."""
    return torch.cat((torch.view_as_real(shift), turn), dim=1)


def inverse(similarity: Tensor) -> Tensor:
    """What undoes it."""
    turn, shift = _as_complex(similarity)
    return _with_shift(-shift / turn, -similarity[:, 2:])


def halved(similarity: Tensor) -> Tensor:
    """What, done twice, does the same."""
    _, shift = _as_complex(similarity)
    half = similarity[:, 2:] / 2
    return _with_shift(shift / (1 + torch.polar(half[:, 0].exp(), half[:, 1])), half)


def then(first: Tensor, second: Tensor) -> Tensor:
    """One similarity after another."""
    turn, shift = _as_complex(second)
    return _with_shift(turn * _as_complex(first)[1] + shift, first[:, 2:] + second[:, 2:])


def moved(points: Tensor, similarity: Tensor) -> Tensor:
    """Where points ``(..., 2)`` go by similarities ``(N, 4)``: ``(N, ..., 2)``."""
    turn, shift = (value.reshape(-1, *[1] * (points.ndim - 1)) for value in _as_complex(similarity))
    return torch.view_as_real(turn * torch.view_as_complex(points.contiguous()) + shift)


def sampled(maps: Tensor, points: Tensor) -> Tensor:
    """The values of maps ``(N, C, H, W)`` at points ``(N, h, w, 2)`` in pixels from the middle: ``(N, C, h, w)``."""
    half = points.new_tensor((maps.shape[-1] / 2, maps.shape[-2] / 2))
    return functional.grid_sample(maps, points / half, mode="bilinear", padding_mode="border", align_corners=False)


def within(points: Tensor, size: tuple[int, int], edge: float) -> Tensor:
    """Whether points ``(..., 2)`` lie in a picture, at least ``edge`` pixels from its border: ``(...)``."""
    half = points.new_tensor((size[1] / 2, size[0] / 2))
    return (points.abs() < half - edge).all(dim=-1)


def met(first: Tensor, second: Tensor, similarity: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures ``(N, H, W)`` half way: the first moved by half of a similarity, the second back by the other half.

    Both are blurred alike by that, which a comparison of one moved picture with one as it was would take for a move.
    """
    grid, half = positions(*first.shape[-2:]), halved(similarity)
    ways = moved(grid, inverse(half)), moved(grid, half)
    return sampled(first[:, None], ways[0])[:, 0], sampled(second[:, None], ways[1])[:, 0]
