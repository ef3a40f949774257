"""Camera moves made by a crop: they move as named and by as much as asked for, and never see outside of their source."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from animatediff_native.sampling.timeline.keyframes import EASE_IN_OUT, LINEAR
from animatediff_native.training.clips.camera import (
    CAMERA_EASINGS,
    CAMERA_MOVES,
    CameraMove,
    camera_clip,
    camera_move,
    largest_scale,
    share_of_move,
    varied_amounts,
)
from animatediff_native.training.clips.fit import fitted
from animatediff_native.training.clips.preview import side_by_side
from torch import Tensor

SIZE = (48, 64)


def waves(x: Tensor, y: Tensor) -> Tensor:
    """A smooth texture that no small move maps to itself, 0 to 1; ``x`` and ``y`` in pixels."""
    return 0.5 + 0.15 * (x / 5).sin() + 0.15 * (y / 6 + 1).cos() + 0.1 * ((x + y) / 9).sin()


def texture(height: int = 120, width: int = 160, frames: int = 1) -> Tensor:
    y, x = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
    return waves(x, y)[None, :, :, None].expand(frames, -1, -1, 3).contiguous()


def still(length: int, **changed: Tensor) -> CameraMove:
    plain = {"x": torch.zeros(length), "y": torch.zeros(length), "zoom": torch.ones(length), "roll": torch.zeros(length)}
    return CameraMove(**{**plain, **changed})


def view(source: Tensor, centre: tuple[float, float], zoom: float, clockwise: float, size: tuple[int, int] = SIZE) -> Tensor:
    """What is to be seen, from the formula of the texture: things zoomed and turned about the middle of the view."""
    y, x = torch.meshgrid(torch.arange(size[0]) + 0.5 - size[0] / 2, torch.arange(size[1]) + 0.5 - size[1] / 2, indexing="ij")
    angle = -math.radians(clockwise)
    u = (x * math.cos(angle) - y * math.sin(angle)) / zoom + source.shape[2] / 2 + centre[0]
    v = (x * math.sin(angle) + y * math.cos(angle)) / zoom + source.shape[1] / 2 + centre[1]
    return waves(u - 0.5, v - 0.5)


# --- measured motion -------------------------------------------------------------------------------------------------


def test_pan_by_two_pixels_a_frame_copies_pixels() -> None:
    source = texture()
    steps = torch.arange(16.0) * 2 - 15
    made = camera_clip(source, still(16, x=steps / SIZE[1]), SIZE, scale=1.0)
    assert made.shape == (16, *SIZE, 3)
    for earlier, later in itertools.pairwise(made):
        assert torch.allclose(earlier[:, 2:], later[:, :-2], atol=1e-5)
    left, top = (160 - 64) // 2 - 15, (120 - 48) // 2
    assert torch.allclose(made[0], source[0, top : top + 48, left : left + 64], atol=1e-5)


@pytest.mark.parametrize("step", [0.5, 0.31])
def test_parts_of_a_pixel(step: float) -> None:
    steps = torch.arange(8.0) * step
    made = camera_clip(texture(), still(8, x=steps / SIZE[1], y=-steps / SIZE[0]), SIZE, scale=1.0)
    for index, moved in enumerate(steps.tolist()):
        assert torch.allclose(made[index, :, :, 0], view(texture(), (moved, -moved), 1.0, 0.0), atol=6e-3)


def test_zoom_and_roll_are_about_the_middle() -> None:
    zoom, roll = torch.tensor([1.0, 1.2, 1.5]), torch.tensor([0.0, 10.0, -25.0])
    made = camera_clip(texture(), still(3, zoom=zoom, roll=roll), SIZE, scale=1.0)
    for index in range(3):
        wanted = view(texture(), (0, 0), float(zoom[index]), float(roll[index]))
        assert torch.allclose(made[index, :, :, 0], wanted, atol=6e-3)


def _change(frames: Tensor, dim: int) -> Tensor:
    """The centre of a bright spot over time, in pixels."""
    mass = frames.mean(dim=-1) ** 4
    line = torch.arange(mass.shape[dim]).float()
    along = mass.sum(dim=3 - dim)
    return (along * line).sum(dim=1) / along.sum(dim=1)


def _spots(offset: tuple[float, float]) -> Tensor:
    """A soft spot, ``offset`` pixels from the middle to the right and down."""
    y, x = torch.meshgrid(torch.arange(120) - 59.5, torch.arange(160) - 79.5, indexing="ij")
    return (-((x - offset[0]) ** 2 + (y - offset[1]) ** 2) / 50).exp()[None, :, :, None].expand(1, -1, -1, 3)


@pytest.mark.parametrize(
    ("name", "offset", "dim", "sign"),
    [
        ("pan left", (0, 0), 2, 1),
        ("pan right", (0, 0), 2, -1),
        ("tilt up", (0, 0), 1, 1),
        ("tilt down", (0, 0), 1, -1),
        ("zoom in", (15, 0), 2, 1),
        ("zoom out", (15, 0), 2, -1),
        ("roll clockwise", (20, 0), 1, 1),
        ("roll anticlockwise", (20, 0), 1, -1),
    ],
)
def test_moves_go_where_those_of_the_public_motion_loras_go(name: str, offset: tuple[float, float], dim: int, sign: int) -> None:
    """Measured on the authors' animations: pan left shows things moving right, roll clockwise things turning clockwise."""
    centres = _change(camera_clip(_spots(offset), camera_move(name, 0.25, 6), SIZE), dim)
    assert (centres.diff() * sign > 0.1).all(), centres


def test_amount_is_the_way_from_first_to_last() -> None:
    pan, tilt = camera_move("pan right", 0.25, 16), camera_move("tilt down", 0.3, 16)
    assert pan.x[[0, -1]].tolist() == [-0.125, 0.125]
    assert tilt.y[[0, -1]].tolist() == pytest.approx([-0.15, 0.15])
    zoom, roll = camera_move("zoom in", 0.25, 3), camera_move("roll clockwise", 0.25, 16)
    assert zoom.zoom.tolist() == pytest.approx([1, 1.25**0.5, 1.25])
    assert roll.roll[[0, -1]].tolist() == [-11.25, 11.25]
    assert camera_move("pan left", 0.5, 1).x.tolist() == [0.25]


@pytest.mark.parametrize("pair", [("pan left", "pan right"), ("tilt up", "tilt down"), ("zoom in", "zoom out"), ("roll clockwise", "roll anticlockwise")])
def test_a_move_backwards_is_its_inverse(pair: tuple[str, str]) -> None:
    one, other = (camera_clip(texture(), camera_move(name, 0.3, 5), SIZE) for name in pair)
    assert torch.allclose(one, other.flip(0), atol=1e-5)


def test_easing_starts_slowly() -> None:
    plain, slow = (camera_move("pan right", 1.0, 9, easing).x for easing in (LINEAR, EASE_IN_OUT))
    assert slow[[0, 4, 8]].tolist() == pytest.approx(plain[[0, 4, 8]].tolist())
    assert float(slow.diff()[0]) < 0.5 * float(plain.diff()[0])
    assert len(CAMERA_EASINGS) == 4


# --- what is seen ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CAMERA_MOVES)
@pytest.mark.parametrize("size", [(48, 64), (64, 24), (61, 33)])
def test_nothing_outside_is_seen(name: str, size: tuple[int, int]) -> None:
    """The source has a mark all around it that no frame shows, and a crop 2 % larger would show it."""
    move, source = camera_move(name, 0.6, 7), torch.full((1, 90, 130, 3), 0.5)
    scale = largest_scale(move, (90, 130), size)
    assert camera_clip(source, move, size).shape == (7, *size, 3)
    grown = torch.nn.functional.pad(source, (0, 0, 8, 8, 8, 8), value=1.0)
    inside, outside = (camera_clip(grown, move, size, scale=scale * factor) for factor in (0.93, 1.02))
    assert float(inside.max()) < 0.51 and float(outside.max()) > 0.6
    with pytest.raises(ValueError, match=r"looks out of a source of 130 x 90 .*Use a source of \d+ x \d+"):
        camera_clip(source, move, size, scale=scale * 1.01)


def test_fine_stripes_become_grey_and_do_not_flicker() -> None:
    """A source eight times as large, of stripes one pixel wide: without antialiasing their phase would be seen."""
    stripes = (torch.arange(512) % 2).float().expand(1, 384, 512)[..., None].expand(-1, -1, -1, 3)
    for name in ("pan left", "zoom in"):
        made = camera_clip(stripes, camera_move(name, 0.2, 8), SIZE)[:, 4:-4, 4:-4]
        assert float((made - 0.5).abs().max()) < 0.02


def test_frames_of_a_video_keep_their_own_motion() -> None:
    bright = torch.linspace(0.2, 0.8, 5)[:, None, None, None].expand(5, 60, 80, 3)
    made = camera_clip(bright, camera_move("roll clockwise", 0.2, 5), SIZE)
    assert torch.allclose(made.mean(dim=(1, 2, 3)), torch.linspace(0.2, 0.8, 5), atol=1e-4)
    with pytest.raises(ValueError, match="5 positions needs as many frames, or one; got 3"):
        camera_clip(bright[:3], camera_move("pan left", 0.2, 5), SIZE)


def test_wrong_words_and_numbers() -> None:
    with pytest.raises(ValueError, match="one of pan left, pan right"):
        camera_move("dolly", 0.2, 5)
    with pytest.raises(ValueError, match="got -0.1 and 5 frames"):
        camera_move("pan left", -0.1, 5)
    with pytest.raises(ValueError, match="got 0.1 and 0 frames"):
        camera_move("pan left", 0.1, 0)


def test_variation_is_seeded_and_bounded() -> None:
    amounts = varied_amounts(0.4, 0.5, 200, seed=2**64 - 1)
    assert amounts == varied_amounts(0.4, 0.5, 200, seed=2**64 - 1) != varied_amounts(0.4, 0.5, 200, seed=1)
    assert 0.2 <= min(amounts) < 0.22 and 0.58 < max(amounts) <= 0.6
    assert varied_amounts(0.4, 0.0, 3, seed=5) == [0.4, 0.4, 0.4]


@pytest.mark.parametrize("name", ["pan left", "zoom in"])
def test_a_share_of_a_move_made_twice_is_a_share_twice_as_large(name: str) -> None:
    half = 0.2 if name == "pan left" else 1.4**0.5 - 1
    assert share_of_move(name, half, 0.4) == pytest.approx(0.5) and share_of_move(name, 0.4, 0.4) == 1.0
    assert share_of_move(name, 0.0, 0.4) == 0.0 and share_of_move(name, 0.0, 0.0) == 1.0


# --- frames of one size ----------------------------------------------------------------------------------------------


def test_crop_takes_the_middle() -> None:
    frames = torch.zeros(1, 40, 100, 3)
    frames[:, :, 30:70] = 1.0
    assert torch.equal(fitted(frames, (40, 40), "crop"), torch.ones(1, 40, 40, 3))
    assert fitted(frames, (16, 16), "stretch")[0, 8].mean(dim=-1).round().tolist() == [0] * 5 + [1] * 6 + [0] * 5
    padded = fitted(torch.ones(1, 40, 100, 3), (50, 50), "pad")
    assert padded.shape == (1, 50, 50, 3) and padded[0, :, 25, 0].tolist() == [0] * 15 + [1] * 20 + [0] * 15


def test_odd_sizes_grey_and_alpha() -> None:
    assert fitted(torch.rand(2, 17, 31, 1), (24, 8), "crop").shape == (2, 24, 8, 3)
    assert fitted(torch.rand(1, 1, 1, 3), (8, 16), "pad").shape == (1, 8, 16, 3)
    clear = torch.cat([torch.ones(1, 4, 4, 3), torch.tensor([0.0, 0.5]).repeat(8).view(1, 4, 4, 1)], dim=-1)
    assert torch.equal(fitted(clear, (4, 4), "crop")[..., 0], clear[..., 3])
    with pytest.raises(ValueError, match="one of crop, stretch, pad; got zoom"):
        fitted(torch.rand(1, 4, 4, 3), (8, 8), "zoom")


def test_clips_side_by_side() -> None:
    picture = side_by_side([torch.ones(5, 64, 96, 3), torch.zeros(3, 96, 64, 3), torch.ones(1, 8, 8, 3)])
    assert picture.shape[0] == 5 and picture.shape[1] == 2 * 128 and picture.shape[3] == 3
    assert side_by_side([torch.rand(2, 32, 32, 3)] * 9).shape[:1] == (2,)
