"""Pinned frames stay what they were given, in windows too; the others start where they are told to."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from animatediff_native.nodes.sample import PinFrames
from animatediff_native.sampling.run.animate import animate
from animatediff_native.sampling.start.pin_frames import FILLS, pin_frames, with_frames
from animatediff_native.sampling.timeline.frame_list import frame_list
from animatediff_native.sampling.windows.options import WindowOptions
from animatediff_tests.tiny import conditioning
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import nodes as host_nodes


class Encoder:
    """A VAE that averages 8 x 8 pixels; the fourth channel is zero."""

    def spacial_compression_encode(self) -> int:
        return 8

    def encode(self, pixels: Tensor) -> Tensor:
        small = torch.nn.functional.avg_pool2d(pixels.movedim(-1, 1), 8)
        return torch.cat([small, torch.zeros_like(small[:, :1])], 1)


def empty(frames: int = 16) -> dict[str, Any]:
    return {"samples": torch.zeros(frames, 4, 8, 8)}


def images(*values: float) -> Tensor:
    return torch.stack([torch.full((80, 64, 3), value) for value in values])


@pytest.mark.parametrize(
    ("text", "frames", "wanted"),
    [("0", 16, [0]), ("0, -1", 16, [0, 15]), ("0 50% 100%", 17, [0, 8, 16]), ("-16,3", 16, [0, 3]), ("0%", 1, [0]), ("33.3%", 4, [1]),
     ("0, 2..4, .5, -1", 16, [0, 2, 3, 4, 8, 15]), ("2 .. <4", 16, [2, 3]), ("-3..-1", 16, [13, 14, 15]), ("50%..100%", 5, [2, 3, 4]),
     ("50 %", 17, [8]), ("[0; 4]", 16, [0, 4]), ("0，−1", 16, [0, 15]), ("3..<3", 16, [3]), ("13..<16", 16, [13, 14, 15])],
)
def test_frames_as_text(text: str, frames: int, wanted: list[int]) -> None:
    assert frame_list(text, frames) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("16", r"Frame 16 is outside this animation of 16 frames; they are 0 to 15, or from the end -1 to -16"),
        ("-17", "Frame -17 is outside"),
        ("200%", "200% lies after the end"),
        ("4..2", "4..2 ends before it begins"),
        ("0..4, 4", "names frame 4 twice"),
        ("2..16", "Frame 2..16 is outside"),
        ("0 - 4", "Write 0..4"),
        ("2 to 4", "Write 2..4"),
        ("last", "Write -1"),
        ("0..<17", "Frame 0..<17 is outside"),
        ("99999999", "frame numbers go up to"),
        ("1.5", "1.5 lies after the end"),
        ("0-4", "numbers such as 0, -1, .5, 50% or 2..4, separated by commas; got '0-4' in '0-4'. Write 0..4"),
        ("first", "got 'first' in 'first'"),
        ("", "names no frame"),
        ("0, -16", "names frame 0 twice"),
    ],
)
def test_frames_that_are_none(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        frame_list(text, 16)


@given(st.text(max_size=20), st.integers(1, 64))
def test_any_text_is_read_or_refused(text: str, frames: int) -> None:
    try:
        chosen = frame_list(text, frames)
    except ValueError:
        return
    assert chosen and len(set(chosen)) == len(chosen) and all(0 <= frame < frames for frame in chosen)


@pytest.mark.parametrize("options", [None, WindowOptions(16, 4)], ids=["at once", "windows"])
def test_pinned_frames_come_out_as_they_went_in(model, motion, options: Any) -> None:
    frames = 16 if options is None else 40
    latent = pin_frames(empty(frames), images(0.2, 0.8), Encoder(), "0, -1", 1.0, "blend")
    animated = animate(model, motion, options)
    out = host_nodes.common_ksampler(animated, 1, 3, 3.0, "euler", "normal", conditioning(1), conditioning(2), latent)[0]["samples"]
    for frame, value in ((0, 0.2), (frames - 1, 0.8)):
        wanted = torch.full((4, 8, 8), value)
        wanted[3] = 0
        assert (out[frame] - wanted).abs().max() < 1e-5
    assert (out[1] - out[0]).abs().max() > 0.1


def test_less_strength_lets_them_change(model, motion) -> None:
    latent = pin_frames(empty(), images(0.5), Encoder(), "0", 0.5, "keep")
    out = host_nodes.common_ksampler(animate(model, motion), 1, 3, 3.0, "euler", "normal", conditioning(1), conditioning(2), latent)[0]
    assert (out["samples"][0] - latent["samples"][0]).abs().max() > 1e-3


def test_what_the_others_start_from() -> None:
    start = {fill: pin_frames(empty(5), images(0.0, 1.0), Encoder(), "0, 4", 1.0, fill)["samples"][:, 0, 0, 0] for fill in FILLS}
    assert start["blend"].tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert start["nearest"].tolist() == pytest.approx([0, 0, 0, 1, 1])
    assert start["keep"].tolist() == pytest.approx([0, 0, 0, 0, 1])
    one = pin_frames(empty(5), images(0.6), Encoder(), "2", 1.0, "blend")["samples"][:, 0, 0, 0]
    assert one.tolist() == pytest.approx([0.6] * 5)


def test_chained_nodes_pin_both() -> None:
    node = lambda latent, value, frames: PinFrames.execute(latent, images(value), Encoder(), frames=frames, strength=1.0, fill="blend").result[0]  # noqa: E731
    given_latent = empty(5)
    latent = node(node(given_latent, 0.0, "0"), 1.0, "-1")
    assert latent["samples"][:, 0, 0, 0].tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert latent["noise_mask"][:, 0, 0, 0].tolist() == [0, 1, 1, 1, 0]
    assert "noise_mask" not in given_latent and not given_latent["samples"].any()


def test_other_shapes_are_cut_not_squeezed() -> None:
    wide = torch.zeros(1, 64, 192, 3)
    wide[:, :, 64:128] = 1
    latent = pin_frames(empty(2), wide, Encoder(), "0", 1.0, "keep")
    assert latent["samples"][0, :3, :, 1:7].min() > 0.99


@pytest.mark.parametrize(
    ("latent", "count", "message"),
    [
        (empty(), 3, "3 images for 2 frames"),
        ({"samples": torch.zeros(1, 16, 4, 8, 8)}, 1, r"got \(1, 16, 4, 8, 8\)"),
    ],
)
def test_what_does_not_fit(latent: dict[str, Any], count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pin_frames(latent, images(*[0.5] * count), Encoder(), "0, 1", 1.0, "blend")


def test_a_latent_gets_the_frames_of_an_animation() -> None:
    """The last frame is repeated, the rest cut off; a mask per frame goes along."""
    samples = torch.arange(3.0).view(3, 1, 1, 1).expand(3, 4, 2, 2)
    latent = {"samples": samples, "noise_mask": torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1), "batch_index": [4, 5, 6], "other": 1}
    longer, shorter = with_frames(latent, 5), with_frames(latent, 2)
    assert longer["samples"][:, 0, 0, 0].tolist() == [0, 1, 2, 2, 2] and longer["noise_mask"].flatten().tolist() == [0, 0.5, 1, 1, 1]
    assert shorter["samples"].shape == (2, 4, 2, 2) and shorter["noise_mask"].flatten().tolist() == [0, 0.5]
    assert set(longer) == {"samples", "noise_mask", "other"} and latent["samples"] is samples
    assert with_frames({"samples": samples, "noise_mask": torch.ones(1, 1, 2, 2)}, 5)["noise_mask"].shape[0] == 1
