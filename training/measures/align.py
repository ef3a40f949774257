"""The similarity between two pictures, fitted to their brightness from coarse to fine, whatever a smaller thing in them does.

Source: Lucas and Kanade 1981; the weights after Geman and McClure 1987, as in Black and Anandan 1996.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .pixels import blurred, reduced
from .similarity import halved, inverse, moved, positions, sampled, then, within

_SIDES = (32, 64, 128, 256)
"""Of the pictures that are fitted one after another, in pixels; larger ones are made smaller, none is made larger."""
_STEPS = 8
"""Of the fit, on each size."""
_SMOOTH = 0.8
"""Pixels of blur before gradients are taken."""
_NEIGHBOURHOOD = 5.0
"""Pixels over which brightness and contrast are evened out, so that faint clouds count as much as a bright shape."""
_FAINTEST = 0.02
"""Contrast, of 1, below which nothing is raised."""
_LEAST_SPREAD = 0.05
"""Of residuals, in evened contrast: smaller ones are all as good."""
_EDGE = 1.0
"""Pixels at the edge that are not compared."""
_BAD = 0.5
"""Difference of evened contrast that is half explained."""
_MORE = 0.1
"""By how much another start must explain more: that of a phase correlation is sometimes the move of a shape in front."""
_LIMIT = torch.tensor((2.0, 2.0, 0.06, 0.06))
"""Of one step: pixels, log zoom, radians."""


def evened(pictures: Tensor) -> Tensor:
    """Pictures ``(N, H, W)`` with brightness 0 and contrast 1 in every neighbourhood that has any."""
    pictures = blurred(pictures, _SMOOTH)
    flat = pictures - blurred(pictures, _NEIGHBOURHOOD)
    return flat / (blurred(flat**2, _NEIGHBOURHOOD) + _FAINTEST**2).sqrt()


def _maps(pictures: Tensor, counted: Tensor, side: int) -> Tensor:
    """``(N, 2, H, W)``: evened pictures, and what of them counts."""
    return torch.stack((evened(reduced(pictures, side)), reduced(counted, side)), dim=1)


def _scaled(similarity: Tensor, share: float) -> Tensor:
    """The same similarity in pictures of another size."""
    return similarity * similarity.new_tensor((share, share, 1.0, 1.0))


def _half_way(first: Tensor, second: Tensor, similarity: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Two maps ``(N, 2, H, W)`` half way between both, see ``met``: pictures, and what of both counts, ``(N, H, W)`` each."""
    size, half = (first.shape[-2], first.shape[-1]), halved(similarity)
    grid = positions(size[0], size[1])
    ways = moved(grid, inverse(half)), moved(grid, half)
    before, after = sampled(first, ways[0]), sampled(second, ways[1])
    counted = before[:, 1].clamp(0, 1) * after[:, 1].clamp(0, 1) * within(ways[0], size, _EDGE) * within(ways[1], size, _EDGE)
    return before[:, 0], after[:, 0], counted


def _spread(residual: Tensor, counted: Tensor) -> Tensor:
    """A robust standard deviation ``(N, 1)`` of residuals ``(N, P)``."""
    size = torch.where(counted > 0.5, residual.abs(), torch.full_like(residual, math.nan))
    return (1.48 * size.nanmedian(dim=1, keepdim=True).values).nan_to_num(_LEAST_SPREAD).clamp_min(_LEAST_SPREAD)


def _step(first: Tensor, second: Tensor, similarity: Tensor) -> Tensor:
    """One step of Gauss and Newton, half way between the pictures."""
    before, after, counted = _half_way(first, second, similarity)
    residual, counted = (after - before).flatten(1), counted.flatten(1)
    weight = counted / (1 + (residual / (2 * _spread(residual, counted))) ** 2) ** 2
    gy, gx = (slope.flatten(1) for slope in torch.gradient((before + after) / 2, dim=(1, 2)))
    x, y = positions(first.shape[-2], first.shape[-1]).flatten(0, 1).unbind(dim=1)
    size = max(first.shape[-2:]) / 2  # so that a step in each of the four moves pixels about as far
    slopes = torch.stack((gx, gy, (gx * x + gy * y) / size, (gy * x - gx * y) / size), dim=1)
    matrix = (slopes * weight[:, None]) @ slopes.mT
    vector = (slopes * weight[:, None]) @ residual[..., None]
    damped = matrix + torch.eye(4) * (1e-3 * matrix.diagonal(dim1=1, dim2=2).mean(dim=1)[:, None, None] + 1e-6)
    change = -torch.linalg.solve(damped, vector)[..., 0] / residual.new_tensor((1.0, 1.0, size, size))
    half = halved(similarity)
    return then(then(half, change.clamp(-_LIMIT, _LIMIT)), half)


def _explained(first: Tensor, second: Tensor, similarity: Tensor) -> Tensor:
    """What part of the pictures a similarity explains, 0 to 1 ``(N,)``; what it moves out of sight is not explained."""
    before, after, counted = _half_way(first, second, similarity)
    good = before.abs().clamp_max(1.0) * counted / (1 + ((after - before) / _BAD) ** 2)
    wanted = first[:, 0].abs().clamp_max(1.0) * first[:, 1]  # parts without contrast have nothing to say
    return good.sum(dim=(1, 2)) / (wanted.sum(dim=(1, 2)) + 1e-6)


def _followed(first: Tensor, second: Tensor, similarity: Tensor) -> Tensor:
    for _ in range(_STEPS):
        similarity = _step(first, second, similarity)
    return similarity


def _best(first: Tensor, second: Tensor, guesses: list[Tensor]) -> Tensor:
    """Of each pair the first guess, or another that explains clearly more."""
    parts = torch.stack([_explained(first, second, guess) for guess in guesses])
    parts[0] += _MORE
    best = parts.argmax(dim=0)
    return torch.stack(guesses)[best, torch.arange(len(best))]


def fitted_similarity(first: Tensor, second: Tensor, starts: list[Tensor], counted: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """The similarity that brings most of one picture onto another.

    Args:
        first, second: brightness ``(N, H, W)``, pair by pair.
        starts: guesses, similarities ``(N, 4)``. The first is kept unless what another leads to explains clearly more.
        counted: what of both pictures is compared, ``(N, H, W)`` each from 0 to 1; everything without it.

    Returns:
        ``(N, 5)``: a similarity, and which part of the picture it explains, 0 to 1.
    """
    seen = (torch.ones_like(first), torch.ones_like(second)) if counted is None else counted
    full = max(first.shape[-2:])
    sides = [side for side in _SIDES if side < full] + ([full] if full <= _SIDES[-1] else [])
    guesses, pixels = starts, full
    for level, side in enumerate(sides):
        before, after = _maps(first, seen[0], side), _maps(second, seen[1], side)
        guesses = [_followed(before, after, _scaled(guess, side / pixels)) for guess in guesses]
        if level == 1 or side == sides[-1]:
            guesses = [_best(before, after, guesses)]  # on larger pictures only one is followed
        pixels = side
    explained = _explained(before, after, guesses[0])
    return torch.cat((_scaled(guesses[0], full / pixels), explained[:, None]), dim=1)
