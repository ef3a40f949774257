"""Save Animation writes what players show: every frame, in time, as often and in the colours asked for. Files are read back."""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import comfy.model_management
import comfy.utils
import folder_paths
import numpy as np
import pytest
import torch
from animatediff_native.nodes.save import SaveAnimation
from animatediff_native.nodes.types import graph_of
from animatediff_native.sampling.files.palette import Palette
from animatediff_native.sampling.files.pixels import LazyPicture
from animatediff_native.sampling.files.save import SaveOptions, save_animation
from animatediff_native.sampling.files.timing import exact_rate, play_order, playback
from animatediff_native.sampling.files.write import GIF_CLOCK, WEBP_CLOCK, crf_of, video_frames
from comfy.cli_args import args
from comfy_api.latest import InputImpl
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageSequence
from torch import Tensor

GRAPH = {"prompt": {"1": {"class_type": "LoadImage"}}, "workflow": {"nodes": [], "title": "ä"}}
EVERY_FORMAT = pytest.mark.parametrize("format", ["webp", "gif", "mp4"])
CHOOSES_QUALITY = "crf" in inspect.signature(InputImpl.VideoFromComponents.save_to).parameters
"""Whether this host's encoder does, as it does from 0.30 on."""


@pytest.fixture(autouse=True)
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host's output folder."""
    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path / "output"))
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path / "temp"))
    return tmp_path / "output"


def colours(frames: int, height: int = 48, width: int = 64) -> Tensor:
    """Frames of few flat colours, each frame another: a GIF holds them without loss."""
    images = torch.zeros(frames, height, width, 3)
    for index in range(frames):
        images[index, ..., index % 3] = (50 + 10 * index) / 255
        images[index, : height // 2, :, 2] = 1.0
    return images


def photo(frames: int = 6, height: int = 48, width: int = 64) -> Tensor:
    """Frames of many colours, with noise."""
    generator = torch.Generator().manual_seed(0)
    across = torch.linspace(0, 1, width).expand(frames, height, width)
    down = torch.linspace(0, 1, height)[:, None].expand(frames, height, width)
    time = torch.linspace(0, 1, frames)[:, None, None].expand(frames, height, width)
    return torch.stack([across, down, time], -1) * 0.9 + 0.1 * torch.rand(frames, height, width, 3, generator=generator)


def save(images: Tensor, graph: dict[str, Any] | None = None, audio: Any = None, **options: Any) -> Path:
    return save_animation(images, SaveOptions(**options), audio, graph).path


def pictures(path: Path, mode: str = "RGB") -> np.ndarray:
    """Every frame of a file of Pillow's, ``(N, H, W, C)``."""
    return np.stack([np.asarray(frame.convert(mode)) for frame in ImageSequence.Iterator(Image.open(path))])


def durations(path: Path) -> list[int]:
    """Of each frame, in milliseconds."""
    with Image.open(path) as picture:
        times = []
        for index in range(picture.n_frames):
            picture.seek(index)
            picture.load()
            times.append(picture.info["duration"])
    return times


def video(path: Path) -> tuple[np.ndarray, Any]:
    """Frames of a video ``(N, H, W, 3)``, and what is known of its stream."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)])
        known = {"rate": stream.average_rate, "codec": stream.codec_context.name, "pixels": stream.codec_context.pix_fmt}
        known |= {"seconds": float(stream.duration * stream.time_base), "sound": len(container.streams.audio), **container.metadata}
    return frames, known


def as_bytes(images: Tensor) -> np.ndarray:
    return (images * 255).round().byte().numpy()


def gif_blocks(data: bytes) -> Iterator[tuple[str, bytes]]:
    """(kind, content) of each block of a GIF; a kind of picture says whether it has a palette of its own."""
    at = 13 + (3 * 2 ** ((data[10] & 7) + 1) if data[10] & 128 else 0)
    while data[at] != 0x3B:
        start, label = at, data[at]
        kind = f"extension {data[at + 1]:02x}" if label == 0x21 else f"picture, own palette {bool(data[at + 9] & 128)}"
        at += 2 if label == 0x21 else 11 + (3 * 2 ** ((data[at + 9] & 7) + 1) if data[at + 9] & 128 else 0)
        while data[at]:
            at += data[at] + 1
        at += 1
        yield kind, data[start:at]


# --- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("frames", "wanted"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2, 1]), (5, [0, 1, 2, 3, 4, 3, 2, 1])])
def test_ping_pong_shows_first_and_last_once(frames: int, wanted: list[int]) -> None:
    assert play_order(frames, ping_pong=True) == wanted
    assert play_order(frames, ping_pong=False) == list(range(frames))


@given(st.integers(1, 300), st.floats(0.1, 240), st.sampled_from([WEBP_CLOCK, GIF_CLOCK]))
def test_rounding_never_adds_up(frames: int, frame_rate: float, clock: Any) -> None:
    rate = exact_rate(frame_rate)
    shown = playback(list(range(frames)), rate, clock)
    assert len(shown.order) == len(shown.durations) == len(set(shown.order))
    assert shown.order == sorted(shown.order) and shown.order[0] == 0
    assert all(duration >= clock.shortest and duration % clock.unit == 0 for duration in shown.durations)
    if frames / rate >= Fraction(clock.shortest, 1000):
        assert abs(sum(shown.durations) - frames * 1000 / rate) <= clock.unit / 2
    if rate <= clock.fastest:
        assert shown.order == list(range(frames))


@pytest.mark.parametrize(
    ("format", "frame_rate", "shown", "wanted"),
    [
        ("webp", 8.0, 30, [125] * 30),
        ("webp", 24.0, 30, [42, 41, 42] * 10),
        ("webp", 240.0, 11, None),
        ("gif", 24.0, 30, [40, 40, 50, 40, 40, 40] * 5),
        ("gif", 60.0, 25, [20] * 25),
        ("gif", 0.1, 30, [10000] * 30),
    ],
)
def test_files_last_as_long_as_the_frame_rate_says(
    format: str, frame_rate: float, shown: int, wanted: list[int] | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = save(photo(30, 16, 16), format=format, frame_rate=frame_rate)
    times = durations(path)
    assert len(times) == shown and abs(sum(times) - 30_000 / frame_rate) <= 5
    assert wanted is None or sorted(times) == sorted(wanted)
    told = f"the file has {shown} of 30 frames, at the right speed. Use mp4 for all of them."
    assert (told in caplog.text) == (shown < 30)


@pytest.mark.parametrize(
    ("frame_rate", "exact"), [(8.0, Fraction(8)), (0.1, Fraction(1, 10)), (29.97, Fraction(2997, 100)), (240.0, Fraction(240))]
)
def test_a_video_has_the_exact_frame_rate(frame_rate: float, exact: Fraction) -> None:
    frames, known = video(save(photo(5), format="mp4", frame_rate=frame_rate))
    assert len(frames) == 5
    assert known["rate"] == exact and known["seconds"] == pytest.approx(5 / frame_rate, rel=0.05)
    assert (known["codec"], known["pixels"]) == ("h264", "yuv420p")


def test_rates_of_broadcasts_are_the_fractions_they_stand_for() -> None:
    assert (exact_rate(30000 / 1001), exact_rate(23.976)) == (Fraction(30000, 1001), Fraction(2997, 125))


@pytest.mark.parametrize(("loop_count", "netscape"), [(0, 0), (1, None), (2, 1), (5, 4)])
def test_loop_count_is_how_often_it_is_played(loop_count: int, netscape: int | None) -> None:
    """A GIF counts repeats, and without a count it is played once; a WEBP counts how often it is played."""
    blocks = dict(gif_blocks(save(photo(), format="gif", loop_count=loop_count).read_bytes()))
    wanted = None if netscape is None else b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + netscape.to_bytes(2, "little") + b"\0"
    assert blocks.get("extension ff") == wanted
    data = save(photo(), format="webp", loop_count=loop_count).read_bytes()
    chunk = data.index(b"ANIM") + 8  # after its name and size: four bytes of background, two of the count
    assert int.from_bytes(data[chunk + 4 : chunk + 6], "little") == loop_count


# --- pictures --------------------------------------------------------------------------------------------------------


def test_webp_holds_every_frame_in_its_order() -> None:
    images = photo(5)
    assert np.array_equal(pictures(save(images, lossless=True)), as_bytes(images))
    forth_and_back = pictures(save(images, lossless=True, ping_pong=True))
    assert np.array_equal(forth_and_back, as_bytes(images[[0, 1, 2, 3, 4, 3, 2, 1]]))
    lossy = pictures(save(images, quality=90)).astype(float)
    assert 0 < np.abs(lossy - as_bytes(images)).mean() < 12


@EVERY_FORMAT
def test_quality_makes_files_larger(format: str, caplog: pytest.LogCaptureFixture) -> None:
    images = photo(4, 64, 64)
    sizes = [save(images, format=format, quality=quality).stat().st_size for quality in (10, 50, 80, 100)]
    refused = "quality of its own" in caplog.text
    assert refused == (format == "mp4" and not CHOOSES_QUALITY)
    assert sizes == sorted(sizes) and (sizes[0] == sizes[-1]) == (format == "gif" or refused)


def test_quality_of_a_video_is_a_constant_rate_factor() -> None:
    assert [crf_of(quality) for quality in (0, 80, 100)] == pytest.approx([51, 18.2, 10])


@pytest.mark.parametrize("dither", ["none", "ordered", "floyd_steinberg"])
def test_a_gif_has_one_palette_and_every_frame(dither: str) -> None:
    images = photo(6)
    path = save(images, format="gif", dither=dither)
    blocks = list(gif_blocks(path.read_bytes()))
    assert [kind for kind, _ in blocks if kind.startswith("picture")] == ["picture, own palette False"] * 6
    shown = pictures(path)
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) <= 255
    error = np.abs(shown.astype(float) - as_bytes(images)).mean()
    assert error < {"none": 9, "ordered": 10, "floyd_steinberg": 13}[dither]
    if dither == "none":  # every pixel has a colour of the palette that is nearest to it
        palette = torch.from_numpy(np.unique(shown.reshape(-1, 3), axis=0)).float()
        pixels = torch.from_numpy(as_bytes(images)).reshape(-1, 3).float()
        nearest = torch.cdist(pixels, palette).amin(1)
        taken = (pixels - torch.from_numpy(shown).reshape(-1, 3).float()).norm(dim=1)
        assert torch.allclose(nearest, taken, atol=1e-3)


@pytest.mark.parametrize("dither", ["none", "floyd_steinberg"])
def test_a_gif_of_few_colours_loses_nothing(dither: str) -> None:
    """Also where parts of a frame are as before, which are not stored again, and on the way back."""
    images = colours(7)
    path = save(images, format="gif", ping_pong=True, dither=dither)
    assert np.array_equal(pictures(path), as_bytes(images[play_order(7, True)]))


@pytest.mark.parametrize("dither", ["none", "ordered", "floyd_steinberg"])
def test_colours_that_no_frame_of_the_palette_had_become_the_nearest(dither: str) -> None:
    """Not the black that Pillow fills a short palette up with, nor the entry for transparency."""
    palette = Palette(torch.tensor([0.4, 0.8]).view(2, 1, 1, 1).expand(2, 8, 8, 3))
    assert palette.colours.tolist() == [[204] * 3, [102] * 3] and palette.transparent == 2
    black = palette.picture(torch.zeros(8, 8, 3, dtype=torch.uint8), dither)
    assert set(black.tobytes()) == {1}


def test_ordered_dithering_leaves_still_parts_still() -> None:
    images = photo(5, 64, 64)
    images[:, :, :32] = images[0, :, :32]
    shown = pictures(save(images, format="gif", dither="ordered"))
    assert (shown[:, :, :32] == shown[0, :, :32]).all()
    plain = pictures(save(images, format="gif", dither="none"))
    assert not np.array_equal(shown, plain)


@pytest.mark.parametrize("size", [(33, 47), (32, 47), (33, 48), (1, 1)])
def test_videos_of_odd_sizes_repeat_the_edge(size: tuple[int, int]) -> None:
    images = photo(3, *size)
    frames, _ = video(save(images, format="mp4", quality=100))
    even = tuple(side + side % 2 for side in size)
    assert frames.shape == (3, *even, 3)
    padded = video_frames(images, [0, 1, 2])
    assert torch.equal((padded[:, : size[0], : size[1]] * 255).byte(), torch.from_numpy(as_bytes(images)))
    assert torch.equal(padded[:, -1, : size[1]], padded[:, size[0] - 1, : size[1]])
    assert torch.equal(padded[:, :, -1], padded[:, :, size[1] - 1])


def test_videos_play_forth_and_back() -> None:
    images = torch.linspace(0.1, 0.9, 4)[:, None, None, None].expand(4, 32, 32, 3).contiguous()
    frames, _ = video(save(images, format="mp4", ping_pong=True))
    levels = frames.mean(axis=(1, 2, 3))
    assert levels == pytest.approx([25.5, 93.5, 161.5, 229.5, 161.5, 93.5], abs=3)


def test_frames_that_fit_an_encoder_are_not_copied() -> None:
    images = photo(3)
    assert video_frames(images, [0, 1, 2]) is images
    assert video_frames(images, [0, 1, 2, 1]).dtype == torch.float16


def test_half_precision_holds_every_byte_for_the_encoder() -> None:
    levels = torch.arange(256).view(1, 16, 16, 1).expand(1, 16, 16, 3) / 255
    copied = video_frames(levels.repeat(2, 1, 1, 1), [0, 1, 0])
    assert ((copied[0] * 255).clamp(0, 255).byte()[..., 0].flatten() == torch.arange(256)).all()


def test_alpha() -> None:
    """A WEBP keeps it, a GIF shows a pixel or not, and a video has it on black."""
    images = torch.cat([colours(3), torch.ones(3, 48, 64, 1)], -1)
    images[:, :, :20, 3] = 0.0
    images[1, :, 20:40, 3] = 0.4
    kept = pictures(save(images, lossless=True), "RGBA")
    assert np.array_equal(kept[..., 3], as_bytes(images[..., 3]))
    shown = pictures(save(images, format="gif"), "RGBA")
    assert np.array_equal(shown[..., 3] == 255, (images[..., 3] >= 0.5).numpy())
    assert np.array_equal(shown[shown[..., 3] == 255], as_bytes(images)[shown[..., 3] == 255])
    frames, _ = video(save(images, format="mp4"))
    assert frames[:, :, :16].max() < 12
    assert np.abs(frames[1, :, 24:36].astype(float) - as_bytes(images[1, :, 24:36, :3] * 0.4)).mean() < 6


@EVERY_FORMAT
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_other_precisions_grey_and_what_lies_outside(format: str, dtype: torch.dtype) -> None:
    images = torch.tensor([-3.0, 0.0, 0.5, 1.0, 7.0]).view(5, 1, 1, 1).expand(5, 32, 32, 1)
    path = save(images.to(dtype), format=format, lossless=True)
    shown = video(path)[0] if format == "mp4" else pictures(path)
    levels = [0, 128, 255] if format == "gif" else [0, 0, 128, 255, 255]
    if format == "webp" and len(shown) == 3:
        levels = [0, 128, 255]  # frames that are alike become one that is shown for as long
    assert shown.mean(axis=(1, 2, 3)) == pytest.approx(levels, abs=2)


@EVERY_FORMAT
def test_a_single_frame(format: str) -> None:
    images = photo(1)
    path = save(images, format=format, ping_pong=True, lossless=True, graph=GRAPH)
    shown = video(path)[0] if format == "mp4" else pictures(path)
    assert len(shown) == 1
    assert np.abs(shown.astype(float) - as_bytes(images)).mean() < {"webp": 1e-6, "gif": 8, "mp4": 14}[format]


# --- what files remember ---------------------------------------------------------------------------------------------


def remembered(path: Path) -> dict[str, Any]:
    """As the host's front end reads it: Exif texts with a name and a colon, or a video's tags; GIFs have a comment."""
    if path.suffix == ".webp":
        texts = dict(value.split(":", 1) for value in Image.open(path).getexif().values())
        return {key: json.loads(value) for key, value in texts.items()}
    if path.suffix == ".gif":
        comment = Image.open(path).info.get("comment")
        return json.loads(comment) if comment else {}
    return {key: json.loads(value) for key, value in video(path)[1].items() if key in GRAPH}


@EVERY_FORMAT
def test_files_remember_their_workflow(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert remembered(save(photo(), GRAPH, format=format)) == GRAPH
    assert remembered(save(photo(), {"workflow": {"nodes": []}}, format=format)) == {"workflow": {"nodes": []}}
    assert remembered(save(photo(), format=format)) == {}
    monkeypatch.setattr(args, "disable_metadata", True)
    assert remembered(save(photo(), GRAPH, format=format)) == {}


def test_the_graph_is_what_the_host_hands_a_node() -> None:
    class Hidden:
        prompt, extra_pnginfo = GRAPH["prompt"], {"workflow": GRAPH["workflow"]}

    assert graph_of(Hidden()) == GRAPH
    Hidden.prompt = Hidden.extra_pnginfo = None
    assert graph_of(Hidden()) == graph_of(None) == {}


# --- names, sounds, errors -------------------------------------------------------------------------------------------


def test_files_are_named_as_the_host_names_them(output: Path) -> None:
    first = save(photo(2), filename_prefix="tests/%width%x%height%/run")
    second = save(photo(2), filename_prefix="tests/%width%x%height%/run", format="gif")
    assert (first, second) == (output / "tests/64x48/run_00001_.webp", output / "tests/64x48/run_00002_.gif")
    temporary = save_animation(photo(2), SaveOptions(save_output=False))
    assert temporary.path == output.parent / "temp" / "AnimateDiff_00001_.webp" and not temporary.kept


@pytest.mark.parametrize("format", ["webp", "gif", "mp4"])
@pytest.mark.parametrize("save_output", [True, False])
def test_the_node_shows_the_file_and_hands_the_images_on(format: str, save_output: bool) -> None:
    images = photo(3)
    result = SaveAnimation.execute(images, filename_prefix="a/b", format=format, save_output=save_output)
    assert result.args[0] is images
    shown = result.ui.as_dict() if hasattr(result.ui, "as_dict") else result.ui
    file = {"filename": f"b_00001_.{format}", "subfolder": "a", "type": "output" if save_output else "temp"}
    assert shown["images"] == [file]
    # What is called animated and is no WEBP, the front end plays as a video, which a GIF is not.
    assert shown.get("animated") == (None if format == "gif" else (True,))


def sound(seconds: float, channels: int = 2) -> dict[str, Any]:
    return {"waveform": torch.zeros(1, channels, int(44100 * seconds)), "sample_rate": 44100}


def test_sound_goes_into_a_video_and_ends_with_it(caplog: pytest.LogCaptureFixture) -> None:
    path = save(photo(8), format="mp4", frame_rate=8.0, audio=sound(5.0))
    with av.open(str(path)) as container:
        assert float(container.duration / av.time_base) == pytest.approx(1.0, abs=0.06)
        assert container.streams.audio[0].codec_context.name == "aac"
    assert caplog.records == []
    save(photo(8), format="gif", audio=sound(1.0))
    assert "A gif file has no sound: audio is left out. Use mp4 for sound." in caplog.text


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (torch.zeros(0, 8, 8, 3), {}, r"at least one frame with at least one pixel; these images have the shape \(0, 8, 8, 3\)"),
        (torch.zeros(8, 8, 3), {}, r"1, 3 or 4 channels; these have \(8, 8, 3\)\. Connect an IMAGE"),
        (torch.zeros(2, 8, 8, 2), {}, r"these have \(2, 8, 8, 2\)"),
        (torch.zeros(1, 2, 8, 8, 3), {}, r"these have \(1, 2, 8, 8, 3\)"),
        (torch.zeros(2, 8, 8, 3), {"filename_prefix": "../out"}, r"filename_prefix '\.\./out' lies outside\. Give a name such as"),
        (torch.zeros(2, 8, 8, 3), {"filename_prefix": " "}, r"is to begin a file's name, such as video/AnimateDiff; got ' '"),
        (torch.zeros(2, 8, 8, 3), {"filename_prefix": "a/.."}, r"is to begin a file's name"),
        (torch.zeros(2, 8, 8, 3), {"format": "webm"}, r"format is to be one of webp, gif, mp4; got webm"),
        (torch.zeros(2, 8, 8, 3), {"dither": "bayer"}, r"dither is to be one of floyd_steinberg, ordered, none; got bayer"),
        (torch.zeros(2, 8, 8, 3), {"frame_rate": 0.0}, r"more than 0 frames a second; got 0"),
        (torch.zeros(1, 1, 16384, 3), {}, r"at most 16383 pixels wide and high; these images are 16384 x 1\. Use mp4"),
    ],
)
def test_what_cannot_be_saved_is_said(images: Tensor, options: dict[str, Any], message: str, output: Path) -> None:
    with pytest.raises(ValueError, match=message):
        save(images, **options)
    assert not output.exists()


def test_values_that_are_no_numbers_are_named_by_their_frames() -> None:
    images = photo(20)
    images[3, 0, 0, 0], images[5, 1, 1, 1] = float("nan"), float("inf")
    with pytest.raises(ValueError, match=r"2 of 20 frames hold NaN or infinity \(3, 5\)\. .* start ComfyUI with --fp32-vae"):
        save(images)
    images[6:] = float("nan")
    with pytest.raises(ValueError, match=r"16 of 20 frames .* \(3, 5, 6, 7, 8, 9, 10, 11, \.\.\.\)"):
        save(images)


@pytest.mark.parametrize("format", ["webp", "gif"])
def test_an_interrupt_leaves_no_half_of_a_file(format: str, output: Path) -> None:
    comfy.model_management.interrupt_current_processing(True)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        save(photo(), format=format)
    assert list(output.iterdir()) == []
    assert save(photo(), format=format).stat().st_size > 0


def test_a_failure_leaves_no_half_of_a_file(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(path: Path, *_: Any, **__: Any) -> None:
        path.write_bytes(b"RIFF")
        raise OSError("No space left on device")

    monkeypatch.setattr("animatediff_native.sampling.files.save.write_webp", fails)
    with pytest.raises(OSError, match="No space left"):
        save(photo())
    assert list(output.iterdir()) == []


@pytest.mark.parametrize("format", ["webp", "gif"])
def test_progress_is_told_while_frames_are_encoded(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []

    def hook(value: int, total: int, *_: Any, **__: Any) -> None:
        told.append((value, total))

    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", hook)
    save(photo(4), format=format, ping_pong=True)
    assert told[0] == (1, 6) and told[-1] == (6, 6) and told == sorted(told)  # the host leaves some out


def test_a_picture_of_many_frames_makes_the_one_that_is_asked_for() -> None:
    images = photo(4)
    picture = LazyPicture(images, [3, 1, 0])
    for position, index in ((1, 1), (0, 3), (2, 0)):
        picture.seek(position)
        assert np.array_equal(np.asarray(picture), as_bytes(images[index]))
    assert (picture.n_frames, picture.mode, picture.size) == (3, "RGB", (64, 48))


def test_a_run_says_nothing_and_changes_no_image(caplog: pytest.LogCaptureFixture) -> None:
    images = photo(4, 33, 47)
    before = images.clone()
    with caplog.at_level(logging.WARNING):
        for format in ("webp", "gif", "mp4"):
            save(images, format=format, ping_pong=True)
    assert caplog.records == [] and torch.equal(images, before)
