"""Differences between frames, loops, joints, flicker and embeddings, on frames whose answer is known; and the plots of them."""

from __future__ import annotations

import math

import pytest
import torch
from animatediff_native.demo.world.clips import WIDE, look
from animatediff_native.demo.world.scene import draw, scene
from animatediff_native.sampling.timeline.chart import HEIGHT, LEFT, WIDTH
from animatediff_native.training.measures.camera import camera_motion
from animatediff_native.training.measures.change import (
    flicker,
    frame_distances,
    loop_closure,
    low_frequency_correlation,
    seams,
)
from animatediff_native.training.measures.embeddings import domain_similarity, motion_smoothness, text_alignment
from animatediff_native.training.measures.plot import line_plot, smoothed
from animatediff_native.training.measures.summary import measured_motion
from animatediff_native.training.measures.table import scored
from torch import Tensor

BLUE = torch.tensor((93, 173, 226)) / 255


def pan(x: Tensor, seed: int = 0, motion: str = "rests") -> Tensor:
    """A scene seen by a camera at each x."""
    what = scene(torch.Generator().manual_seed(seed), motion=motion)
    positions = torch.stack((x, torch.zeros_like(x), torch.ones_like(x), torch.zeros_like(x)), dim=1)
    return look(draw(what, range(len(x)), WIDE), positions)


def test_distances() -> None:
    frames = torch.zeros(4, 8, 8, 3)
    frames[1:], frames[3] = 0.25, 1.0
    assert frame_distances(frames).tolist() == [0.25, 0.0, 0.75]
    assert frame_distances(frames, 2).tolist() == [0.25, 0.75]
    with pytest.raises(ValueError, match=r"at least 5 frames; got 4"):
        frame_distances(frames, 4)


def test_a_loop_closes_and_a_pan_does_not() -> None:
    turn = torch.arange(16) * (2 * math.pi / 16)
    assert loop_closure(pan(6 * (turn + math.pi / 4).sin())) == pytest.approx(1.0, abs=0.45)
    assert loop_closure(pan(torch.arange(16.0) - 8)) > 4
    assert loop_closure(torch.full((5, 8, 8, 3), 0.5)) == 1.0


def test_a_seam_is_found_where_it_is() -> None:
    """Two scenes, one after the other: the joint is farther apart than all other pairs."""
    way = torch.arange(16.0) / 2
    frames = torch.cat((pan(way, seed=1), pan(way, seed=2)))
    (seam, inner) = seams(frames, [16, 8])
    assert (seam.frame, seam.percentile) == (16, 100.0) and seam.distance > 5 * inner.distance
    assert inner.percentile <= 95 and inner.distance == pytest.approx(float(frame_distances(frames)[7]))
    with pytest.raises(ValueError, match=r"frames from 1 to 31, fewer than all of them; got \[32\]"):
        seams(frames, [32])


def test_flicker_is_what_motion_does_not_explain() -> None:
    """Pans and rolling shapes are none; a lamp that goes 2 % up and down is all of that."""
    calm = pan(torch.arange(12.0) - 6, motion="rolls to the left")
    lamp = 1 + 0.02 * (-1.0) ** torch.arange(12)[:, None, None, None]
    flickering = (calm * 0.9 * lamp).clamp(0, 1)
    quiet, loud = (flicker(frames, camera_motion(frames)) for frames in (calm, flickering))
    assert quiet.shape == (10,) and quiet.mean() < 0.003
    assert loud.mean() == pytest.approx(2 * 0.02 * float(calm.mean()) * 0.9, rel=0.25)
    fading = calm * torch.linspace(1, 0.6, 12)[:, None, None, None]
    assert flicker(fading, camera_motion(fading)).mean() < 0.005  # a steady change is none either
    with pytest.raises(ValueError, match=r"motion between each two of 12 frames; got 10 pairs, 2 apart"):
        flicker(calm, camera_motion(calm, apart=2))


def test_low_frequencies_of_two_animations() -> None:
    random = torch.Generator().manual_seed(4)
    noise, other = (torch.randn(8, 32, 32, 3, generator=random) for _ in range(2))
    slow = torch.randn(1, 4, 4, 3, generator=random).repeat_interleave(8, 1).repeat_interleave(8, 2)
    assert low_frequency_correlation(noise, noise) == pytest.approx(1.0)
    assert low_frequency_correlation(noise, -noise) == pytest.approx(-1.0)
    assert abs(low_frequency_correlation(noise, other)) < 0.2
    assert low_frequency_correlation(noise + 2 * slow, other + 2 * slow) > 0.9
    with pytest.raises(ValueError, match=r"of one shape are compared"):
        low_frequency_correlation(noise, noise[:4])


def test_the_measures_of_the_paper() -> None:
    frames = torch.tensor([[1.0, 0.0], [2.0, 2.0], [0.0, 3.0]])
    half = math.sqrt(0.5)
    assert motion_smoothness(frames).tolist() == pytest.approx([half, half])
    assert text_alignment(frames, torch.tensor([[5.0, 0.0]])).tolist() == pytest.approx([1.0, half, 0.0], abs=1e-6)
    assert text_alignment(frames, frames.flip(0)).tolist() == pytest.approx([0.0, 1.0, 0.0], abs=1e-6)
    assert domain_similarity(frames, torch.tensor([[1.0, 0.0], [0.0, 1.0]])).tolist() == pytest.approx([0.5, half, 0.5])
    found = scored(frames, None, frames)
    assert found.text.splitlines() == [
        "text alignment: not measured (connect clip and write a text)",
        f"domain similarity {100 * (2 * (1 + half) + 1 + 2 * half) / 9:.2f}",
        "motion smoothness 70.71",
    ]
    assert found.text_alignment == 0.0 and found.picture.shape == (1, 2 * HEIGHT, WIDTH, 3)
    with pytest.raises(ValueError, match=r"Frames have embeddings of 2 numbers, the text of 3\. Give the text and the vision model of one CLIP"):
        text_alignment(frames, torch.ones(1, 3))
    with pytest.raises(ValueError, match=r"at least 2 frames; got 1"):
        motion_smoothness(frames[:1])


def spots(picture: Tensor, colour: Tensor) -> Tensor:
    """Rows and columns of pixels of a colour below the title, ``(P, 2)``."""
    same = (picture[0] - colour).abs().amax(dim=-1) < 0.02
    same[:30] = False
    return same.nonzero()


def test_a_line_goes_where_its_values_are() -> None:
    picture = line_plot({"loss": [0.0, 1.0, math.nan, 3.0, 3.0]}, "training", first=1)
    assert picture.shape == (1, HEIGHT, WIDTH, 3)
    found = spots(picture, BLUE)
    assert found[:, 1].min() == LEFT - 2  # the first value's dot
    gap = LEFT + (WIDTH - LEFT - 20) // 2
    assert not (found[:, 1] == gap).any()  # what is not finite leaves a gap
    assert found[found[:, 1] > gap][:, 0].max() < found[found[:, 1] < gap][:, 0].min()  # 3 is above 0 and 1


def test_a_long_line_is_smoothed() -> None:
    random = torch.Generator().manual_seed(5)
    noisy = (1 / (1 + torch.arange(3000) / 300) + 0.2 * torch.rand(3000, generator=random)).tolist()
    raw, fine = line_plot({"loss": noisy}), line_plot({"loss": noisy}, smooth=200)

    def thickness(picture: Tensor) -> float:
        found = spots(picture, BLUE)
        return len(found) / len(found[:, 1].unique())

    assert thickness(fine) < 3.5 < thickness(raw)
    assert smoothed([1.0, math.nan, 3.0], 2)[:2] == [1.0, 1.0] and smoothed([2.0] * 9, 4) == pytest.approx([2.0] * 9)
    with pytest.raises(ValueError, match=r"at least one finite number; got none in loss"):
        line_plot({"loss": [math.nan]})


def test_everything_of_one_animation() -> None:
    found = measured_motion(pan(torch.arange(5.0) - 2))
    assert found.picture.shape == (1, 3 * HEIGHT, WIDTH, 3)
    assert len(found.distances) == 4 and len(found.flickers) == 3 and len(found.text.splitlines()) == 8
    two = measured_motion(pan(torch.arange(2.0)))
    assert two.flicker == 0.0 and two.motion.x == pytest.approx(-1, abs=0.05) and two.picture.shape == found.picture.shape
