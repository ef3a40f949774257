"""Pictures of the small world, read back: drawn ones, soft and noisy ones, with a stamp, empty ones, and clips."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from animatediff_native.demo.world.clips import WIDE, clips, look, stamped, to_bytes
from animatediff_native.demo.world.measures import displacement, path_length, picture_distance, reading, stamp
from animatediff_native.demo.world.scene import VIEW, Scene, draw, path, scene
from torch import Tensor
from torch.nn import functional

COUNT = 160
VISIBLE = 0.75  # of a shape's radius on each side: less is out of view by more than a quarter


def soft(pictures: Tensor, noise: float = 0.05) -> Tensor:
    """Blurred by 1.5 pixels, with noise: as generated pictures are, or worse."""
    line = torch.arange(-5.0, 6.0)
    kernel = torch.exp(-((line / 1.5) ** 2) / 2)
    kernel = (kernel / kernel.sum()).expand(3, 1, -1)
    x = functional.pad(pictures.float().movedim(-1, 1) / 255, (5, 5, 5, 5), mode="replicate")
    x = functional.conv2d(functional.conv2d(x, kernel[:, :, None], groups=3), kernel[..., None], groups=3).movedim(1, -1)
    return (x + noise * torch.randn(x.shape, generator=torch.Generator().manual_seed(6))).clamp(0, 1)


def seen(seed: int) -> tuple[Tensor, Scene, Tensor]:
    """A picture, its scene, and where the shape is: x, y, radius. A third of them are seen by a camera that moved."""
    random = torch.Generator().manual_seed(seed)
    what, time = scene(random), float(torch.rand((), generator=random)) * 15
    x, y, radius, _ = path(what, torch.tensor([time]))[0]
    if seed % 3:
        return to_bytes(draw(what, [time]))[0], what, torch.stack((x, y, radius))
    cx, cy, zoom, roll = (torch.rand(4, generator=random) * 2 - 1) * torch.tensor((14.0, 8.0, 0.3, 0.3))
    position = torch.stack((cx, cy, zoom.exp(), roll))[None]
    dx, dy = zoom.exp() * (x - cx), zoom.exp() * (y - cy)
    place = torch.stack((dx * roll.cos() + dy * roll.sin(), dy * roll.cos() - dx * roll.sin(), zoom.exp() * radius))
    return to_bytes(look(draw(what, [time], WIDE), position))[0], what, place


@pytest.fixture(scope="module")
def pictures() -> tuple[Tensor, list[Scene], Tensor]:
    """Pictures of which at least three quarters of the shape's width are in view."""
    drawn = [seen(seed) for seed in range(COUNT)]
    drawn = [one for one in drawn if float(one[2][:2].abs().max() + (2 * VISIBLE - 1) * one[2][2]) < VIEW / 2]
    assert len(drawn) > 0.9 * COUNT
    return torch.stack([one[0] for one in drawn]), [one[1] for one in drawn], torch.stack([one[2] for one in drawn])


def rights(frames: Tensor, scenes: list[Scene]) -> float:
    found = reading(frames)
    right = [shape == (what.colour, what.kind, what.ground) for shape, what in zip(found.shapes, scenes, strict=True)]
    return float((torch.tensor(right) & found.found).float().mean())


def test_drawn_pictures_are_read(pictures) -> None:
    frames, scenes, wanted = pictures
    found = reading(frames)
    assert rights(frames, scenes) >= 0.99
    away = (found.centres - wanted[:, :2]).norm(dim=1)
    assert away.quantile(0.95) < 0.2 and (found.radii - wanted[:, 2]).abs().quantile(0.95) < 0.15
    first = scenes[0]
    assert found.agrees(first.colour, first.kind)[0] and not found.agrees(first.colour, first.kind, "moon")[0]


def test_soft_and_noisy_pictures_are_read(pictures) -> None:
    frames, scenes, wanted = pictures
    blurry = soft(frames)
    assert rights(blurry, scenes) >= 0.95
    assert (reading(blurry).centres - wanted[:, :2]).norm(dim=1).median() < 0.3


def test_the_stamp_is_seen_and_does_not_disturb(pictures) -> None:
    frames, scenes, _ = pictures
    marked = stamped(frames)
    assert stamp(frames).max() < 0.1 and stamp(marked).min() > 0.6
    assert stamp(soft(frames)).max() < 0.1 and stamp(soft(marked)).min() > 0.4
    assert rights(marked, scenes) >= 0.97


def test_what_is_no_shape_is_not_found() -> None:
    random = torch.Generator().manual_seed(8)
    away = [dataclasses.replace(scene(random), start=(200.0, 0.0), motion="rests") for _ in range(12)]
    assert not reading(torch.cat([draw(what, [0]) for what in away])).found.any()
    noise = torch.rand(12, VIEW, VIEW, 3, generator=random)
    assert reading(noise).found.float().mean() < 0.2


@pytest.mark.parametrize(("motion", "sign"), [("rolls to the right", 1), ("rolls to the left", -1), ("rests", 0)])
def test_how_far_a_shape_moves(motion: str, sign: int) -> None:
    moving, scenes = clips(3, 9, motion=motion)
    for frames, what in zip(moving, scenes, strict=True):
        found = reading(soft(frames))
        x, y = displacement(found).tolist()
        assert x == pytest.approx(sign * what.speed, abs=0.1) and y == pytest.approx(0, abs=0.1)
        assert path_length(found) == pytest.approx(abs(sign) * what.speed, abs=0.4)


def test_masks_hide_the_shape() -> None:
    what = scene(torch.Generator().manual_seed(3), motion="rests")
    frames = draw(what, [0])
    x, y, radius, _ = path(what, torch.tensor([0.0]))[0]
    line = torch.arange(VIEW) + 0.5 - VIEW / 2
    away = torch.hypot(line[None] - x, line[:, None] - y)
    mask = reading(frames).masks[0]
    assert (mask[away < 0.6 * radius] == 1).all() and (mask[away > 1.4 * radius + 6] == 0).all()


def test_distance_of_pictures() -> None:
    black, grey = torch.zeros(2, VIEW, VIEW, 3, dtype=torch.uint8), torch.full((2, VIEW, VIEW, 3), 51, dtype=torch.uint8)
    assert picture_distance(black, grey).tolist() == pytest.approx([0.2, 0.2])
    assert not math.isnan(float(displacement(reading(black)).sum()))
