"""Motion of the camera, measured on pictures whose camera is known: a texture that is a formula, and scenes of the small world."""

from __future__ import annotations

import math

import pytest
import torch
from animatediff_native.demo.world.clips import WIDE, look, to_bytes
from animatediff_native.demo.world.measures import reading
from animatediff_native.demo.world.scene import draw, scene
from animatediff_native.training.measures.align import fitted_similarity
from animatediff_native.training.measures.camera import camera_motion
from animatediff_native.training.measures.pixels import brightness
from animatediff_native.training.measures.similarity import halved, inverse, moved, then
from animatediff_native.training.measures.spectrum import phase_shift, spectral_similarity
from animatediff_native.training.measures.summary import measured_motion
from torch import Tensor

MOVES = {
    "0.3 px": (0.3, 0.1, 0.0, 0.0),
    "0.5 %": (0.0, 0.0, 0.5, 0.0),
    "0.5 degrees": (0.0, 0.0, 0.0, 0.5),
    "all": (4.0, 2.0, 5.0, 5.0),
}
"""Pixels, percent, degrees a frame, of a camera."""


def camera(x: float, y: float, zoom: float, roll: float, frames: int = 3) -> Tensor:
    """Positions of a camera that moves so much a frame, as ``look`` takes them."""
    time = torch.arange(float(frames)) - (frames - 1) / 2
    return torch.stack((x * time, y * time, (1 + zoom / 100) ** time, math.radians(roll) * time), dim=1)


def known(positions: Tensor) -> Tensor:
    """The similarities ``(F - 1, 4)`` between what a camera sees."""
    x, y, zoom, roll = positions.unbind(dim=1)
    canvas = torch.stack((torch.zeros_like(x), torch.zeros_like(x), zoom.log(), -roll), dim=1)
    views = then(torch.stack((-x, -y, torch.zeros_like(x), torch.zeros_like(x)), dim=1), canvas)  # from the canvas to the picture
    return then(inverse(views[:-1]), views[1:])


def errors(found: Tensor, wanted: Tensor) -> Tensor:
    """The largest of all pairs: pixels, pixels, percent, degrees."""
    return (found[:, :4] - wanted).abs().amax(dim=0) * torch.tensor((1.0, 1.0, 100.0, 180 / math.pi))


def texture(positions: Tensor, side: int) -> Tensor:
    """What a camera sees of 120 waves, by formula, so that nothing is interpolated: ``(F, side, side)``."""
    random = torch.Generator().manual_seed(3)
    frequency = 0.005 * 40 ** torch.rand(120, generator=random)
    angle, phase = (2 * math.pi * torch.rand(120, generator=random) for _ in range(2))
    size = frequency**-0.8
    line = torch.arange(side) + 0.5 - side / 2
    grid = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1)
    x, y, zoom, roll = positions.unbind(dim=1)
    points = moved(grid, torch.stack((x, y, -zoom.log(), roll), dim=1))
    waves = torch.stack((angle.cos(), angle.sin())) * (2 * math.pi * frequency)
    return torch.stack([0.5 + 0.3 * ((one @ waves + phase).sin() @ (size / size.norm())) for one in points])


def seen(positions: Tensor, seed: int, **words: str) -> Tensor:
    """Frames of a scene of the small world in which nothing moves by itself."""
    what = scene(torch.Generator().manual_seed(seed), **words)
    return to_bytes(look(draw(what, [0.0] * len(positions), WIDE), positions)).float() / 255


@pytest.mark.parametrize("side", [64, 192])
@pytest.mark.parametrize("move", MOVES)
def test_both_estimators_measure_known_moves(side: int, move: str) -> None:
    """The fit is the one that is used: it is several times as exact."""
    positions = camera(*MOVES[move])
    pictures = texture(positions, side)
    fitted = camera_motion(pictures[..., None].expand(-1, -1, -1, 3))
    spectral = spectral_similarity(pictures[:-1], pictures[1:])
    wanted = known(positions)
    assert (errors(fitted.pairs, wanted) < torch.tensor((0.03, 0.03, 0.12, 0.03))).all(), errors(fitted.pairs, wanted)
    assert (errors(spectral, wanted) < torch.tensor((0.06, 0.06, 0.8, 0.4))).all(), errors(spectral, wanted)
    assert fitted.confidence > 0.75


def test_larger_pictures_are_measured_in_their_own_pixels() -> None:
    positions = camera(30.0, -12.0, 1.0, 0.5, frames=2)
    pictures = texture(positions, 512)
    assert (errors(camera_motion(pictures[..., None].expand(-1, -1, -1, 3)).pairs, known(positions)) < torch.tensor((0.1, 0.1, 0.05, 0.02))).all()


@pytest.mark.parametrize("move", [*MOVES, "still"])
def test_the_camera_of_the_small_world(move: str) -> None:
    positions = camera(*MOVES.get(move, (0.0,) * 4), frames=4)
    worst = torch.zeros(4)
    for seed in range(4):
        found = camera_motion(seen(positions, seed))
        worst = worst.maximum(errors(found.pairs, known(positions)))
    limit = (0.3, 0.15, 1.0, 0.25) if move == "all" else (0.1, 0.1, 0.2, 0.15)  # corners leave the canvas at the largest move
    assert (worst < torch.tensor(limit)).all(), worst


def test_phase_correlation_of_a_pan() -> None:
    positions = camera(1.7, -0.6, 0.0, 0.0, frames=5)
    pictures = texture(positions, 64)
    found = phase_shift(pictures[:-1], pictures[1:])
    assert (found[:, :2] - known(positions)[:, :2]).abs().max() < 0.03
    assert found[:, 2].min() > 0.6 > 0.3 > phase_shift(pictures[:1], torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(0)))[0, 2]


def test_a_shape_that_rolls_is_not_the_camera() -> None:
    """Medians over 7 frames, with and without the shape masked out, while it rolls along with a camera that pans slower."""
    plain, masked = [], []
    positions = camera(1.0, 0.0, 0.0, 0.0, frames=7)
    for seed in range(5):
        what = scene(torch.Generator().manual_seed(seed), motion="rolls to the right", ground="green hill")
        frames = to_bytes(look(draw(what, range(7), WIDE), positions)).float() / 255
        plain.append(camera_motion(frames).x)
        masked.append(camera_motion(frames, ignored=reading(frames).masks).x)
    assert all(x < -0.3 for x in plain) and sum(abs(x + 1) < 0.3 for x in plain) >= 3, plain
    assert all(abs(x + 1) < 0.15 for x in masked), masked


def test_a_start_is_left_only_for_one_that_explains_more() -> None:
    positions = camera(20.0, 0.0, 0.0, 0.0, frames=2)
    first, second = brightness(seen(positions, 5, ground="green hill")).split(1)
    still, near = torch.zeros(1, 4), torch.tensor([[-19.0, 0.5, 0.0, 0.0]])
    alone, both = fitted_similarity(first, second, [still]), fitted_similarity(first, second, [still, near])
    assert abs(float(both[0, 0]) + 20) < 0.3 and both[0, 4] > alone[0, 4] + 0.1


def test_signs_in_words() -> None:
    """A camera that pans left and zooms in moves content to the right and makes it grow."""
    text = measured_motion(texture(camera(-2.0, 0.0, 1.5, 0.0), 64)[..., None].expand(-1, -1, -1, 3)).text
    assert "shift x +2.0" in text and "content to the right, camera pans left" in text
    assert "zoom +1.5" in text and "content grows, camera zooms in" in text
    text = measured_motion(texture(camera(0.0, 2.0, 0.0, -1.5), 64)[..., None].expand(-1, -1, -1, 3)).text
    assert "shift y -2.0" in text and "content upwards, camera tilts down" in text
    assert "roll +1.5" in text and "content clockwise, camera anticlockwise" in text


def test_frames_further_apart_are_told_per_frame() -> None:
    pictures = texture(camera(0.5, 0.0, 0.4, 0.0, frames=9), 64)[..., None].expand(-1, -1, -1, 3)
    found = camera_motion(pictures, apart=4)
    assert len(found.pairs) == 5 and found.x == pytest.approx(-0.5, abs=0.02) and found.zoom == pytest.approx(0.4, abs=0.02)


def test_frames_that_have_nothing_in_common_are_unsure() -> None:
    frames = torch.rand(4, 64, 64, 3, generator=torch.Generator().manual_seed(1))
    found = measured_motion(frames)
    assert found.motion.confidence < 0.35 and "unsure" in found.text


def test_similarities() -> None:
    one = torch.tensor([[3.0, -2.0, 0.1, 0.4]])
    points = torch.randn(7, 2, generator=torch.Generator().manual_seed(2))
    half = halved(one)
    assert torch.allclose(moved(moved(points, half)[0], half), moved(points, one), atol=1e-5)
    assert torch.allclose(then(half, half), one, atol=1e-6)
    assert torch.allclose(then(one, inverse(one)), torch.zeros(1, 4), atol=1e-6)
    turned = moved(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 0.0, 0.0, math.pi / 2]]))
    assert torch.allclose(turned[0, 0], torch.tensor((0.0, 1.0)), atol=1e-6)  # to the right becomes downwards: clockwise


def test_what_cannot_be_measured() -> None:
    frames = torch.rand(3, 16, 16, 3)
    with pytest.raises(ValueError, match=r"needs at least 2 frames; got 1\. Give a whole animation"):
        camera_motion(frames[:1])
    with pytest.raises(ValueError, match=r"one for each of 3 frames; got a tensor of \(2, 16, 16\)"):
        camera_motion(frames, ignored=torch.zeros(2, 16, 16))
    with pytest.raises(ValueError, match=r"at least 1 apart; got 0"):
        camera_motion(frames, apart=0)
    with pytest.raises(ValueError, match=r"need pictures \(F, H, W, 3\); got a tensor of \(3, 16, 16\)"):
        camera_motion(frames[..., 0])
