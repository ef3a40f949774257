"""Fits the outlines of a ball, a box and a triangle to blobs, also to those that reach out of the picture. Called by `measures`."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .scene import KINDS

BOX, TRIANGLE = 0.82, 0.68  # how far the sides are from the centre, in radii, as `scene` draws them
AREAS = (math.pi, 4 * BOX**2, 3 * math.sqrt(3) * TRIANGLE**2)  # of each kind, for radius 1
STARTS = ((0, (0.0,)), (1, (0.0, 0.4, 0.8, 1.2)), (2, (0.0, 0.52, 1.05, 1.57)))  # kinds, and angles that a fit begins with
STEPS = 12
POINTS = 224  # of an edge at most
TOLERANCE = 0.7  # pixels that an edge may be off before it counts less
BLURS = (0.0, 1.0, 1.6)  # pixels; a blurred shape has rounder corners


class Outlines(NamedTuple):
    """The best outline of each of N blobs: index of the kind, centre (N, 2), radius, angle, intersection over union."""

    kinds: Tensor
    centres: Tensor
    radii: Tensor
    angles: Tensor
    fits: Tensor


def fitted(covers: Tensor) -> Outlines:
    """Fit outlines to covers (N, H, W) of 0 to 1."""
    points, weight = _edge(covers)
    kind = torch.tensor([kind for kind, angles in STARTS for _ in angles])
    angle = torch.tensor([angle for _, angles in STARTS for angle in angles])
    area = covers.sum(dim=(1, 2)).clamp_min(1.0)
    line = torch.arange(covers.shape[-1]) + 0.5 - covers.shape[-1] / 2
    x, y = (covers.sum(dim=1) @ line) / area, (covers.sum(dim=2) @ line) / area
    radius = (area[:, None] / torch.tensor(AREAS)[kind]).sqrt()
    count = len(kind)
    guess = torch.stack((x[:, None].expand(-1, count), y[:, None].expand(-1, count), radius, angle.expand_as(radius)), dim=-1)
    for _ in range(STEPS):
        guess = _step(guess, kind, points, weight)
    distance, *_ = _distance(guess, kind, points)
    loss = (weight[:, None] * distance.abs().clamp_max(2.0)).sum(dim=-1)
    best = [loss[:, kind == one].argmin(dim=1) + int((kind < one).sum()) for one in range(len(KINDS))]
    finalists = torch.stack([guess[torch.arange(len(guess)), index] for index in best], dim=1)
    fits = _overlap(finalists, covers)
    winner = fits.argmax(dim=1)
    chosen = finalists[torch.arange(len(winner)), winner]
    return Outlines(winner, chosen[:, :2], chosen[:, 2], chosen[:, 3], fits.amax(dim=1))


def _edge(covers: Tensor) -> tuple[Tensor, Tensor]:
    """Where covers cross one half between neighbours: points (N, P, 2) from the middle, and which of them are there (N, P)."""
    half = covers.shape[-1] / 2
    index = torch.arange(covers.shape[-1]) + 0.5 - half

    def between(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        crossed = (low - 0.5) * (high - 0.5) < 0
        return crossed, ((0.5 - low) / torch.where(crossed, high - low, torch.ones_like(low))).clamp(0, 1)

    right, share_x = between(covers[:, :, :-1], covers[:, :, 1:])
    down, share_y = between(covers[:, :-1], covers[:, 1:])
    across = torch.stack((index[:-1] + share_x, index[:, None].expand_as(share_x)), dim=-1)
    along = torch.stack((index.expand_as(share_y), index[:-1, None] + share_y), dim=-1)
    points = torch.cat((across.flatten(1, 2), along.flatten(1, 2)), dim=1)
    crossed = torch.cat((right.flatten(1), down.flatten(1)), dim=1).float()
    there, chosen = crossed.topk(POINTS, dim=1)
    return points.gather(1, chosen[..., None].expand(-1, -1, 2)), there


def _distance(guess: Tensor, kind: Tensor, points: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Signed distances of points (N, P, 2) from outlines (N, K, 4): (N, K, P), and the normal and place in the outline's own axes."""
    x, y, radius, angle = (value[..., None] for value in guess.unbind(dim=-1))
    dx, dy = points[:, None, :, 0] - x, points[:, None, :, 1] - y
    u, v = dx * angle.cos() + dy * angle.sin(), dy * angle.cos() - dx * angle.sin()
    round_ = torch.hypot(u, v).clamp_min(1e-3)
    turns = torch.tensor([math.pi / 2 + index * 2 * math.pi / 3 for index in range(3)])
    sides = u[..., None] * turns.cos() + v[..., None] * turns.sin()
    side = sides.argmax(dim=-1)
    is_ball, is_box = (kind == 0)[None, :, None], (kind == 1)[None, :, None]
    flat = u.abs() > v.abs()
    box_u, box_v = torch.where(flat, u.sign(), 0.0), torch.where(flat, 0.0, v.sign())
    normal_u = torch.where(is_ball, u / round_, torch.where(is_box, box_u, turns.cos()[side]))
    normal_v = torch.where(is_ball, v / round_, torch.where(is_box, box_v, turns.sin()[side]))
    reach = torch.where(is_ball, 1.0, torch.where(is_box, BOX, TRIANGLE)) * radius
    return normal_u * u + normal_v * v - reach, torch.stack((normal_u, normal_v), dim=-1), torch.stack((u, v), dim=-1), reach / radius


def _step(guess: Tensor, kind: Tensor, points: Tensor, weight: Tensor) -> Tensor:
    """One step of Gauss and Newton for centres, radii and angles."""
    distance, normal, place, reach = _distance(guess, kind, points)
    cos, sin = guess[..., 3, None].cos(), guess[..., 3, None].sin()
    normal_u, normal_v = normal.unbind(dim=-1)
    u, v = place.unbind(dim=-1)
    size = guess[..., 2, None]
    slopes = torch.stack(
        (
            normal_v * sin - normal_u * cos,
            -normal_u * sin - normal_v * cos,
            -reach.expand_as(u),
            (normal_u * v - normal_v * u) / size,
        ),
        dim=-1,
    )
    robust = weight[:, None] / (1 + (distance / TOLERANCE) ** 2)
    matrix = torch.einsum("nkpi,nkpj,nkp->nkij", slopes, slopes, robust)
    vector = torch.einsum("nkpi,nkp,nkp->nki", slopes, distance, robust)
    change = -torch.linalg.solve(matrix + 0.3 * torch.eye(4), vector)
    change = change.clamp(-3.0, 3.0) / torch.cat((torch.ones_like(size).expand(-1, -1, 3), size), dim=-1)
    changed = guess + change
    return torch.cat((changed[..., :2], changed[..., 2:3].clamp(2.0, 40.0), changed[..., 3:]), dim=-1)


def _overlap(guess: Tensor, covers: Tensor) -> Tensor:
    """Intersection over union of outlines (N, K, 4), one of each kind, and covers (N, H, W): (N, K), for the blur that fits best."""
    side = covers.shape[-1]
    line = torch.arange(side) + 0.5 - side / 2
    y, x = torch.meshgrid(line, line, indexing="ij")
    points = torch.stack((x, y), dim=-1).flatten(0, 1)
    found = []
    for kind in range(guess.shape[1]):
        distance, *_ = _distance(guess[:, kind : kind + 1], torch.tensor([kind]), points.expand(len(guess), -1, -1))
        drawn = (0.5 - distance).clamp(0, 1).unflatten(2, (side, side))
        fits = []
        for blur in BLURS:
            soft = drawn if blur == 0 else _blurred(drawn, blur)
            both = torch.minimum(soft[:, 0], covers).sum(dim=(1, 2))
            fits.append(both / torch.maximum(soft[:, 0], covers).sum(dim=(1, 2)).clamp_min(1.0))
        found.append(torch.stack(fits).amax(dim=0))
    return torch.stack(found, dim=1)


def _blurred(drawn: Tensor, sigma: float) -> Tensor:
    """(N, 1, H, W) after a Gaussian blur; outside of the picture is as at its edge."""
    reach = round(3 * sigma)
    line = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-((line / sigma) ** 2) / 2)
    kernel = kernel / kernel.sum()
    padded = functional.pad(drawn, (reach, reach, reach, reach), mode="replicate")
    return functional.conv2d(functional.conv2d(padded, kernel[None, None, None]), kernel[None, None, :, None])
