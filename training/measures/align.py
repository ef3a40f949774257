"""The similarity between two pictures, fitted to their brightness from coarse to fine, whatever a smaller thing in them does.

Source: Lucas and Kanade 1981; the weights after Geman and McClure 1987, as in Black and Anandan 1996.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

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
_DOUBT = 0.05
"""By how much pixels must agree better with one of two moves to be counted to it."""
_AROUND = 0.7
"""Pixels over which that is averaged."""
_WIDER, _ENOUGH = 1.2, 0.05
"""How much farther, and with how much of the pixels, the lesser of two moves must reach to be that of the camera."""
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


def _agreement(first: Tensor, second: Tensor, similarity: Tensor) -> tuple[Tensor, Tensor]:
    """How well pixels agree half way, and how much they have to say, ``(N, H, W)`` each, 0 to 1."""
    before, after, counted = _half_way(first, second, similarity)
    # parts without contrast have nothing to say
    return 1 / (1 + ((after - before) / _BAD) ** 2), counted * before.abs().maximum(after.abs()).clamp_max(1.0)


def _explained(first: Tensor, second: Tensor, similarity: Tensor) -> Tensor:
    """What part of the pictures a similarity explains, 0 to 1 ``(N,)``; what it moves out of sight is not explained."""
    good, wanted = _agreement(first, second, similarity)
    full = (first[:, 0].abs().clamp_max(1.0) * first[:, 1]).sum(dim=(1, 2))
    return (good * wanted).sum(dim=(1, 2)) / full.maximum(wanted.sum(dim=(1, 2))).clamp_min(1e-6)


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


def _climbed(pair: Pair, starts: list[Tensor], sides: list[int]) -> Tensor:
    """Starts followed from coarse to fine, and of each pair the best: a similarity ``(N, 4)`` in pixels of ``pair``."""
    for side in sides:
        share, maps = side / pair.side, pair.maps(side)
        starts = [_scaled(_followed(*maps, _scaled(start, share)), 1 / share) for start in starts]
        if side == sides[-1]:
            return _scaled(_best(*maps, [_scaled(start, share) for start in starts]), 1 / share)
    return starts[0]


class Pair(NamedTuple):
    """Pictures ``(N, H, W)`` and the ones after them, and what of both is compared, 0 to 1."""

    first: Tensor
    second: Tensor
    first_seen: Tensor
    second_seen: Tensor

    @property
    def side(self) -> int:
        """The longer one, in pixels."""
        return max(self.first.shape[-2:])

    def maps(self, side: int) -> tuple[Tensor, Tensor]:
        """Both at another size."""
        return _maps(self.first, self.first_seen, side), _maps(self.second, self.second_seen, side)

    def without(self, good: Tensor, similarity: Tensor) -> Pair:
        """What is left of both where pixels half way ``(N, h, w)`` agree by a similarity."""
        size = (self.first.shape[-2], self.first.shape[-1])
        good = functional.interpolate(good[:, None], size=size, mode="bilinear")
        half, grid = halved(similarity), positions(*size)
        taken = [sampled(good, moved(grid, way))[:, 0] for way in (half, inverse(half))]
        return self._replace(first_seen=self.first_seen * (1 - taken[0]), second_seen=self.second_seen * (1 - taken[1]))


def _reach(weight: Tensor) -> Tensor:
    """How far pixels of a weight ``(N, H, W)`` lie apart: a standard deviation ``(N,)`` in pixels."""
    places = positions(weight.shape[-2], weight.shape[-1])
    share = weight / weight.sum(dim=(1, 2), keepdim=True).clamp_min(1e-6)
    middle = torch.einsum("nhw,hwc->nc", share, places)
    return torch.einsum("nhw,nhw->n", share, (places - middle[:, None, None]).square().sum(dim=-1)).sqrt()


def _behind(pair: Pair, main: Tensor, starts: list[Tensor], sides: list[int]) -> tuple[Tensor, Pair]:
    """The move of what lies behind, where two things move: the camera's; and the pair without what lies in front.

    Source: one dominant motion after the other, as in Irani, Rousso and Peleg 1994. Of two, the one behind is seen over more of the
    picture, though a shape in front may have more contrast.

    Args:
        main: the move that explains most.
    """
    maps, share = pair.maps(sides[-1]), sides[-1] / pair.side
    good, wanted = _agreement(*maps, _scaled(main, share))
    rest = pair.without(good, main)
    other = _climbed(rest, starts, sides)
    good_too, wanted_too = _agreement(*maps, _scaled(other, share))
    better = blurred(good, _AROUND) - blurred(good_too, _AROUND)
    mine, theirs = wanted * (better - _DOUBT).clamp_min(0), wanted_too * (-better - _DOUBT).clamp_min(0)
    is_wider = (_reach(theirs) > _WIDER * _reach(mine)) & (theirs.sum(dim=(1, 2)) > _ENOUGH * mine.sum(dim=(1, 2)))
    chosen = torch.where(is_wider[:, None], other, main)
    front = torch.where(is_wider[:, None, None], mine, theirs)
    hidden = pair.without((blurred(front, 1.5) * 3).clamp(0, 1), torch.where(is_wider[:, None], main, other))
    return chosen, hidden


def fitted_similarity(first: Tensor, second: Tensor, starts: list[Tensor], seen: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """The similarity that brings one picture onto another, but for smaller things that move in front.

    Args:
        first, second: brightness ``(N, H, W)``, pair by pair.
        starts: guesses, similarities ``(N, 4)``. The first is kept unless what another leads to explains clearly more.
        seen: what of both pictures is compared, ``(N, H, W)`` each from 0 to 1; everything without it.

    Returns:
        ``(N, 5)``: a similarity, and which part of the picture it explains, 0 to 1.
    """
    pair = Pair(first, second, *(seen or (torch.ones_like(first), torch.ones_like(second))))
    sides = [side for side in _SIDES if side < pair.side] + ([pair.side] if pair.side <= _SIDES[-1] else [])
    coarse, fine = sides[:2], sides[2:]
    main = _climbed(pair, starts, coarse)
    similarity, hidden = _behind(pair, main, starts, coarse)
    similarity = _climbed(hidden, [similarity], [coarse[-1], *fine])
    explained = _explained(*pair.maps(sides[-1]), _scaled(similarity, sides[-1] / pair.side))
    return torch.cat((similarity, explained[:, None]), dim=1)
