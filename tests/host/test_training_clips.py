"""Training clips out of folders: what is read, what is skipped and said, what is kept on disk. Videos are written here, with `av`."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import comfy.sd
import comfy.supported_models
import folder_paths
import numpy as np
import pytest
import torch
from animatediff_native.demo.tiny_checkpoint import checkpoint
from animatediff_native.nodes.clips import CameraClips, EncodeTrainingClips, LoadTrainingClips
from animatediff_native.nodes.files import input_folder, input_folders, state_of
from animatediff_native.training.clips import encode
from animatediff_native.training.clips.camera import varied_amounts
from animatediff_native.training.clips.load import ClipOptions, load_clips, starts_of
from animatediff_native.training.clips.moves import CameraOptions, FilmedClips, camera_clips
from animatediff_native.training.host import video
from comfy_api.latest import InputImpl
from comfy_extras.nodes_dataset import MakeTrainingDataset
from PIL import Image
from torch import Tensor

PACK = Path(__file__).resolve().parents[2] / "demo" / "tiny_models_pack" / "__init__.py"
SMALL = {"length": 4, "width": 32, "height": 32}
CODECS = {"mp4": "libx264", "mkv": "libx264", "mov": "libx264", "webm": "libvpx-vp9", "avi": "mpeg4"}


@pytest.fixture(autouse=True)
def host_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("input", "output", "temp"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(folder_paths, f"{name}_directory", str(tmp_path / name))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "input" / "my clips ä"
    made.mkdir()
    return made


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    return lambda: caplog.text


@pytest.fixture(scope="module")
def models() -> Iterator[tuple[Any, Any]]:
    """The VAE and the CLIP of a tiny SD1.5 checkpoint."""
    known = list(comfy.supported_models.models)
    spec = importlib.util.spec_from_file_location("tiny_models_pack", PACK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with torch.inference_mode():
        _, clip, vae, *_ = comfy.sd.load_state_dict_guess_config(checkpoint(), output_vae=True, output_clip=True, output_model=False)
        yield vae, clip
    comfy.supported_models.models[:] = known


def grey(index: int) -> int:
    """The brightness of a frame, which says which one it is."""
    return 20 + 7 * index


def write_video(path: Path, count: int, size: tuple[int, int] = (32, 32), codec: str = "", **options: str) -> Path:
    """Frames whose brightness is their number."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec or CODECS[path.suffix[1:]], rate=8, options=options)
        stream.width, stream.height, stream.pix_fmt = size[1], size[0], "yuv420p"
        for index in range(count):
            pixels = np.full((*size, 3), grey(index), np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def write_frames(path: Path, count: int, ending: str = "png") -> Path:
    path.mkdir(parents=True)
    for index in range(count):
        Image.new("RGB", (32, 32), (grey(index),) * 3).save(path / f"{index + 1}.{ending}")
    return path


def write_animation(path: Path, count: int, **options: Any) -> Path:
    pictures = [Image.new("RGB", (32, 32), (grey(index),) * 3) for index in range(count)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100, **options)
    return path


def numbers(frames: Tensor) -> list[int]:
    """Which frames of `write_video` these are."""
    return ((frames.mean(dim=(1, 2, 3)) * 255 - 20) / 7).round().int().tolist()


def load(folder: Path, **options: Any) -> tuple[list[Tensor], list[str], str]:
    return load_clips(folder, ClipOptions(**{**SMALL, **options}))


# --- what is read ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "codec"), [*((kind, "") for kind in sorted(CODECS)), ("webm", "libvpx")])
def test_exact_frames_of_every_container(folder: Path, kind: str, codec: str) -> None:
    """Also from the middle of a group of pictures, where the host's reader has to seek; VP8 has packets that are no frames."""
    write_video(folder / f"a.{kind}", 30, codec=codec, g="12", **({"auto-alt-ref": "1", "lag-in-frames": "16"} if codec else {}))
    [clip], _, report = load(folder, length=5, stride=3)
    assert numbers(clip) == [8, 11, 14, 17, 20] and clip.shape == (5, 32, 32, 3) and clip.dtype == torch.float32
    assert report.startswith("1 clip of 5 frames, 32 x 32, from 1 video.")
    ends, *_ = load(folder, length=5, per_video=2)
    assert [numbers(clip) for clip in ends] == [[0, 1, 2, 3, 4], [25, 26, 27, 28, 29]]


def test_frames_are_those_of_the_hosts_reader(folder: Path) -> None:
    path = write_video(folder / "a.mp4", 12, (32, 48))
    whole = InputImpl.VideoFromFile(str(path)).get_components().images
    [clip], *_ = load(folder, length=4, width=48)
    assert torch.equal(clip, whole[4:8].clamp(0, 1))


def test_few_frames_are_in_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit of three frames: the same clip in pieces, none of which reaches over more."""
    write_video(folder / "a.mp4", 30, g="12")
    whole = load(folder, length=8, stride=2)[0]
    seen: list[int] = []
    read = InputImpl.VideoFromFile.get_components

    def count(self: Any) -> Any:
        parts = read(self)
        seen.append(len(parts.images))
        return parts

    monkeypatch.setattr(InputImpl.VideoFromFile, "get_components", count)
    monkeypatch.setattr(video, "HELD_BYTES", 3 * 24 * 32 * 32)
    assert torch.equal(load(folder, length=8, stride=2)[0][0], whole[0]) and max(seen) == 3 and len(seen) == 4


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_animated_pictures(folder: Path, name: str) -> None:
    write_animation(folder / name, 9, **({"lossless": True} if name == "a.webp" else {}))
    assert numbers(load(folder, length=3, stride=2)[0][0]) == [2, 4, 6]


def test_frame_folders_in_natural_order(folder: Path) -> None:
    write_frames(folder / "shot 1", 12)
    write_frames(folder / "deep" / "shot 2", 5, "jpg")
    (folder / "shot 1.txt").write_text("first")
    (folder / "deep" / "shot 2" / "caption.txt").write_text("second")
    clips, captions, report = load(folder, length=5, position="start")
    assert [numbers(clip) for clip in clips] == [[0, 1, 2, 3, 4]] * 2 and captions == ["second", "first"]
    assert "Skipped" not in report
    assert numbers(load(folder / "shot 1", length=12)[0][0]) == list(range(12))


def test_starts() -> None:
    def starts(count: int, **options: Any) -> list[int]:
        return starts_of(count, ClipOptions(**{**SMALL, **options}))

    assert starts(3) == [] and starts(4) == [0] and starts(10) == [3] and starts(10, position="start") == [0]
    assert starts(10, per_video=3) == [0, 3, 6] and starts(5, per_video=9) == [0, 1]
    assert starts(13, per_video=0) == [0, 4, 8] and starts(14, per_video=0, stride=2) == [0, 7]


def test_odd_sizes_grey_alpha_and_deep_pictures(folder: Path) -> None:
    frames = folder / "mixed"
    frames.mkdir()
    Image.new("L", (33, 71), 51).save(frames / "1.png")
    Image.new("RGBA", (120, 7), (255, 255, 255, 51)).save(frames / "2.png")
    Image.fromarray(np.full((50, 50), 13107, np.uint16)).save(frames / "3.png")
    Image.new("P", (9, 9), 0).save(frames / "4.png")
    [clip], *_ = load(folder)
    assert (clip[:3] * 255).round().unique().tolist() == [51.0] and clip.shape == (4, 32, 32, 3)


def test_huge_and_tiny_videos(folder: Path) -> None:
    write_video(folder / "huge.mp4", 4, (1080, 1920), preset="ultrafast")
    write_video(folder / "odd.mp4", 4, (18, 50))
    for clip in load(folder, width=40, height=24)[0]:
        assert clip.shape == (4, 24, 40, 3) and numbers(clip) == [0, 1, 2, 3]


# --- captions --------------------------------------------------------------------------------------------------------


def test_captions_and_what_is_used_without_one(folder: Path, warned: Callable[[], str]) -> None:
    for name in ("a b.mp4", "ü.mp4", "c.mp4", "d.mp4", "e.mp4"):
        write_video(folder / name, 4)
    (folder / "a b.txt").write_bytes(b"\xef\xbb\xbf with a mark \n")
    (folder / "ü.txt").write_text("größer", encoding="utf-16")
    (folder / "c.txt").write_bytes("gr\xfcn".encode("cp1252"))
    (folder / "d.txt").write_bytes(b"\x00\xff\x01")
    clips, captions, report = load(folder, caption="a thing", trigger="zoom")
    assert len(clips) == 5
    assert captions == ["zoom, with a mark", "zoom, grün", "zoom, a thing", "zoom, a thing", "zoom, größer"]
    for told in (report, warned()):
        assert "c.txt is not UTF-8; it was read as 'grün'. Save it as UTF-8." in told and "d.txt is no text" in told
        assert "2 videos without a caption (d.mp4, e.mp4): 'a thing' is used" in told
    assert "a b" not in report


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("metadata.csv", 'file_name,text\na.mp4,"one, two"\nsub/b.mp4,three\n'),
        ("metadata.jsonl", '{"file_name": "a.mp4", "text": "one, two"}\n{"video": "b.mp4", "caption": "three"}\n'),
        ("results.csv", 'videoid,contentUrl,duration,page_dir,name\na,http://x,PT1S,d,"one, two"\nb,http://y,PT1S,d,three\n'),
    ],
)
def test_tables_of_captions(folder: Path, name: str, text: str) -> None:
    for video_name in ("a.mp4", "b.mp4", "c.mp4"):
        write_video(folder / video_name, 4)
    (folder / name).write_text(text)
    (folder / "c.txt").write_text("own")
    assert load(folder)[1] == ["one, two", "three", "own"]


def test_a_broken_table_is_said(folder: Path) -> None:
    write_video(folder / "a.mp4", 4)
    (folder / "metadata.jsonl").write_text('{"file_name": "a.mp4"')
    assert "metadata.jsonl cannot be read as a table of captions" in load(folder)[2]


# --- what is skipped, and what is an error -----------------------------------------------------------------------------


def test_bad_files_beside_good_ones(folder: Path, warned: Callable[[], str]) -> None:
    write_video(folder / "good.mp4", 6)
    write_video(folder / "short.mp4", 3)
    write_animation(folder / "one.gif", 1)
    (folder / "broken.mp4").write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(range(256)) * 4)
    (folder / "empty.webm").touch()
    (folder / "broken.webp").write_bytes(b"RIFF....WEBPVP8 x")
    (folder / "lost.mp4").symlink_to(folder / "nowhere.mp4")
    (folder / "linked.mp4").symlink_to(folder / "good.mp4")
    (folder / "around").symlink_to(folder)
    (folder / "._good.mp4").write_bytes(b"resource fork")
    write_frames(folder / "frames", 6)
    (folder / "frames" / "4.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    Image.new("RGB", (8, 8)).save(folder / "thumbnail.png")
    clips, _, report = load(folder)
    assert len(clips) == 2 and "from 2 videos" in report
    for sentence in (
        "short.mp4 has 3 frames; a clip takes 4.",
        "one.gif has 1 frame; a clip takes 4.",
        "broken.mp4 cannot be read (",
        "empty.webm cannot be read (",
        "broken.webp cannot be read (",
        "lost.mp4 is a link to a file that is not there.",
        "around is a link to a folder that it lies in.",
        "frames has a frame, 4.png, that cannot be read (",
        "1 single pictures such as thumbnail.png lie beside videos",
    ):
        assert f"Skipped: {sentence}" in report and sentence in warned()
    assert "._good" not in report


def test_a_video_that_ends_too_early_is_skipped(folder: Path) -> None:
    """Its head promises 30 frames; the last ones are not there."""
    write_video(folder / "good.mp4", 30)
    data = write_video(folder / "cut.mkv", 30, g="1").read_bytes()
    (folder / "cut.mkv").write_bytes(data[: len(data) // 2])
    whole = write_video(folder / "torn.mp4", 30, (64, 64), g="1", movflags="faststart").read_bytes()
    (folder / "torn.mp4").write_bytes(whole[: int(len(whole) * 0.6)])
    clips, _, report = load(folder, length=28)
    assert len(clips) == 1 and "Skipped: cut.mkv has " in report and "Skipped: torn.mp4 " in report


def test_nothing_to_make_clips_of(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"my clips ä has no videos \(mp4, .*Put some into it"):
        load(folder)
    (folder / "readme.txt").write_text("hello")
    with pytest.raises(ValueError, match="has no videos"):
        load(folder)
    write_video(folder / "short.mp4", 3)
    with pytest.raises(ValueError, match=r"no clips that can be read:\nshort.mp4 has 3 frames; a clip takes 4.\nUse longer"):
        load(folder)
    (folder / "short.mp4").unlink()
    write_frames(folder / "frames", 4)
    (folder / "frames" / "2.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"no clips that can be read:\nframes has a frame, 2.png, that cannot be read"):
        load(folder)
    with pytest.raises(ValueError, match="There is no folder"):
        load(folder / "nowhere")


def test_wrong_options() -> None:
    with pytest.raises(ValueError, match="multiples of 8; got 33 x 32"):
        ClipOptions(width=33, height=32)
    with pytest.raises(ValueError, match="got 0, 1, 1"):
        ClipOptions(length=0)
    with pytest.raises(ValueError, match="got crop, end"):
        ClipOptions(position="end")


def test_folders_of_the_input_folder_only(folder: Path, tmp_path: Path) -> None:
    assert input_folders() == ["my clips ä"] and input_folder("my clips ä") == folder
    for name in ("..", "../output", str(tmp_path), "", ".", "nowhere", "my clips ä/../../temp"):
        with pytest.raises(ValueError, match="has no folder"):
            input_folder(name)
        assert state_of(name) is None
    before = state_of("my clips ä")
    write_video(folder / "a.mp4", 4)
    between = state_of("my clips ä")
    os.utime(folder / "a.mp4", (1, 1))
    assert len({before, between, state_of("my clips ä")}) == 3


def test_changes_behind_links_are_seen(folder: Path, tmp_path: Path) -> None:
    (folder / "back").symlink_to(folder)
    (folder / "far").symlink_to(write_frames(tmp_path / "elsewhere", 4))
    before = state_of("my clips ä")
    os.utime(tmp_path / "elsewhere" / "1.png", (1, 1))
    assert state_of("my clips ä") != before and len(load(folder)[0]) == 1


def test_many_bad_files_are_summed_up(folder: Path) -> None:
    write_video(folder / "good.mp4", 4)
    for index in range(30):
        (folder / f"{index}.mp4").touch()
    lines = load(folder)[2].splitlines()
    assert lines[24].startswith("Skipped: 23.mp4 cannot") and lines[25] == "Skipped: 6 more." and len(lines) == 27


# --- the nodes -------------------------------------------------------------------------------------------------------


def test_load_node_shows_clips_and_report(folder: Path, tmp_path: Path) -> None:
    write_video(folder / "a.mp4", 6)
    done = LoadTrainingClips.execute("my clips ä", 4, 1, 1, 32, 32, "a boat")
    images, captions = done.args
    assert [numbers(clip) for clip in images] == [[1, 2, 3, 4]] and captions == ["a boat"]
    [shown] = done.ui["images"]
    assert done.ui["animated"] == (True,) and done.ui["text"][0].startswith("1 clip of 4 frames")
    with Image.open(tmp_path / "temp" / shown["filename"]) as picture:
        assert picture.n_frames == 4
    assert LoadTrainingClips.fingerprint_inputs(folder="my clips ä", width=8) == state_of("my clips ä")


def camera(images: list[Tensor], captions: list[str], **options: Any) -> FilmedClips:
    plain = {"move": "pan left", "amount": 0.25, "length": 4, "width": 16, "height": 16}
    return camera_clips(images, captions, CameraOptions(**{**plain, **options}))


def test_camera_clips_of_videos_and_pictures(warned: Callable[[], str]) -> None:
    ramp = torch.arange(6.0)[:, None, None, None].expand(6, 64, 64, 3) / 10
    made, captions, strengths, report = camera([ramp, ramp[:1], ramp[:3]], ["video", "still", "short"])
    assert strengths == [1.0, 1.0]
    assert captions == ["video", "still"] and [clip.shape for clip in made] == [(4, 16, 16, 3)] * 2
    assert (made[0].mean(dim=(1, 2, 3)) * 10).round().tolist() == [1, 2, 3, 4]
    told = "Skipped: IMAGE 3 has 3 frames; a clip takes 4, or a single picture."
    assert told in report and told in warned() and report.startswith("2 clips of 4 frames, 16 x 16: pan left.")
    stills, captions, _, _ = camera([ramp[:3, :, :, :1]], ["x"], single_pictures=True)
    assert captions == ["x"] * 3 and [clip.shape for clip in stills] == [(4, 16, 16, 3)] * 3
    assert camera([ramp, ramp], []).captions == ["", ""] and camera([ramp, ramp], ["one"]).captions == ["one", "one"]


def test_camera_clips_say_what_does_not_fit(warned: Callable[[], str]) -> None:
    small = torch.rand(1, 16, 18, 3)
    assert "1 of 1 source too small for this move at 16 x 16: enlarged up to 1.11 times" in camera([small], []).report
    assert "enlarged" in warned()
    with pytest.raises(ValueError, match="There are 3 captions for 2 IMAGEs"):
        camera([small, small], ["a", "b", "c"])
    with pytest.raises(ValueError, match=r"nothing to make clips of:\nSkipped: IMAGE 1 has 3 frames"):
        camera([torch.rand(3, 32, 32, 3)], [])
    with pytest.raises(ValueError, match="multiples of 8; got 20 x 16"):
        camera([small], [], width=20)


def test_camera_node_takes_lists(tmp_path: Path) -> None:
    picture = torch.rand(2, 40, 40, 3)
    done = CameraClips.execute([picture], ["zoom in"], [0.25], [4], [16], [16], [True], variation=[0.5], seed=[3])
    images, captions, strengths = done.args
    assert [clip.shape for clip in images] == [(4, 16, 16, 3)] * 2 and captions == ["", ""]
    assert [round(1.25**strength - 1, 6) for strength in strengths] == [round(amount, 6) for amount in varied_amounts(0.25, 0.5, 2, 3)]
    assert "zoom in" in done.ui["text"][0] and (tmp_path / "temp" / done.ui["images"][0]["filename"]).is_file()


# --- latents and prompts ---------------------------------------------------------------------------------------------


@pytest.fixture
def filled(folder: Path) -> Path:
    write_video(folder / "a.mp4", 6)
    write_frames(folder / "b", 4)
    (folder / "a.txt").write_text("a red boat")
    (folder / "b.txt").write_text("a green hill")
    return folder


@pytest.fixture
def encoded(filled: Path, models: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Any, int, int]]:
    """Encode the folder; also says how many clips and how many prompts were really encoded."""
    counts = {"frames": 0, "words": 0}
    frames, words = encode.encode_frames, encode.encode_words

    def run(vae: Any = models[0], clip: Any = models[1], **options: Any) -> tuple[Any, int, int]:
        counts.update(frames=0, words=0)
        made = encode.encode_clips(filled, ClipOptions(**{**SMALL, **options}), vae, clip)
        return made, counts["frames"], counts["words"]

    def counted_frames(*args: Any) -> Any:
        counts["frames"] += 1
        return frames(*args)

    def counted_words(*args: Any) -> Any:
        counts["words"] += 1
        return words(*args)

    monkeypatch.setattr(encode, "encode_frames", counted_frames)
    monkeypatch.setattr(encode, "encode_words", counted_words)
    return run


def equal(one: Any, other: Any) -> bool:
    """The same structure with the same bits."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(equal, one, other))
    return one == other


def test_the_form_of_make_training_dataset_bit_for_bit(encoded, filled: Path, models: tuple[Any, Any]) -> None:
    """The first time, and from the cache."""
    images, captions, _ = load(filled)
    latents, positive = MakeTrainingDataset.execute(images, [models[0]], [models[1]], captions).args
    [empty] = MakeTrainingDataset.execute(images[:1], [models[0]], [models[1]], [""]).args[1]
    for times in range(2):
        made, frames, words = encoded()
        assert (frames, words) == ((2, 3) if times == 0 else (0, 0))
        assert equal(made.latents, latents) and equal(made.positive, positive) and equal(made.empty, empty)
        assert f"{2 * times} of 2 from the cache." in made.report
    assert made.latents[0]["samples"].shape == (4, 4, 4, 4)


def test_only_what_changed_is_encoded_again(encoded, filled: Path) -> None:
    encoded()
    (filled / "a.txt").write_text("a blue boat")
    assert encoded()[1:] == (0, 1)
    os.utime(filled / "a.mp4", (1, 1))
    assert encoded()[1:] == (1, 0)
    write_video(filled / "c.mp4", 4)
    assert encoded()[1:] == (1, 0)
    assert encoded(position="start")[1:] == (1, 0)
    assert encoded(stride=1, fit="pad")[1:] == (3, 0)
    assert encoded(trigger="x")[1:] == (0, 3)
    assert encoded(width=40)[1:] == (3, 0)
    Image.new("RGB", (32, 32), (1, 2, 3)).save(filled / "b" / "2.png")
    assert encoded()[1:] == (1, 0)


def test_other_weights_are_another_entry(encoded, models: tuple[Any, Any]) -> None:
    made, *_ = encoded()
    vae, clip = models
    key = "text_model.encoder.layers.0.mlp.fc1.weight"
    key = next(name for name in clip.patcher.model.state_dict() if name.endswith(key))
    changed = clip.clone()
    shape = clip.patcher.model.state_dict()[key].shape
    changed.patcher.add_patches({key: ("diff", (torch.ones(shape),))}, 0.1)
    other, frames, words = encoded(clip=changed)
    assert (frames, words) == (0, 3) and not equal(other.positive, made.positive)
    assert encoded()[1:] == (0, 0)
    weight = next(vae.first_stage_model.parameters())
    kept = weight.data.clone()
    weight.data.mul_(1.01)
    assert encoded()[1:] == (2, 0)
    weight.data.copy_(kept)
    assert encoded()[1:] == (0, 0)


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "other"])
def test_a_broken_entry_is_made_anew(encoded, tmp_path: Path, damage: str) -> None:
    made, *_ = encoded()
    files = sorted((tmp_path / "output" / "training_cache").glob("*.safetensors"))
    clips = [file for file in files if file.name.startswith("clip-")]
    assert len(files) == 5 and len(clips) == 2
    data = bytearray(clips[0].read_bytes())
    if damage == "bit":
        data[-1] ^= 1
    clips[0].write_bytes({"cut": data[:-9], "bit": data, "empty": b"", "other": clips[1].read_bytes()}[damage])
    again, frames, words = encoded()
    assert (frames, words) == (1, 0) and equal(again.latents, made.latents)
    assert encoded()[1:] == (0, 0)


def test_a_full_disk_is_said_and_nothing_is_lost(encoded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warned: Callable[[], str]) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("animatediff_native.training.clips.cache.save_file", full)
    made, *_ = encoded()
    assert len(made.latents) == len(made.positive) == 2 and "No space left on device" in made.report and "cannot be kept" in warned()
    assert list((tmp_path / "output" / "training_cache").iterdir()) == []


def test_interrupt_keeps_what_was_encoded(encoded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls = []

    def stop() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(encode, "stop_if_interrupted", stop)
    with pytest.raises(KeyboardInterrupt):
        encoded()
    assert [file.name[:5] for file in (tmp_path / "output" / "training_cache").iterdir()] == ["clip-"]
    monkeypatch.undo()


def test_nan_is_an_error(encoded, models: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(encode, "encode_frames", lambda *_: torch.full((4, 4, 4, 4), torch.nan))
    with pytest.raises(ValueError, match=r"made NaN of a.mp4. Start ComfyUI with --fp32-vae"):
        encoded()
    assert not list((tmp_path / "output").glob("training_cache/clip-*"))


def test_a_file_that_goes_away_meanwhile_is_skipped(encoded, filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(vae: Any) -> str:
        (filled / "a.mp4").unlink()
        return "vae"

    monkeypatch.setattr(encode, "vae_fingerprint", gone)
    made, frames, _ = encoded()
    assert frames == 1 and len(made.latents) == len(made.positive) == 1
    assert "Skipped: a.mp4 cannot be read (No such file or directory)." in made.report


def test_prompts_with_hooks_are_not_kept() -> None:
    assert encode._parted([[torch.zeros(1), {"hooks": object()}]]) == ({}, None)
    tensors, parts = encode._parted([[torch.ones(2), {"pooled_output": torch.zeros(3), "start_percent": 0.5, "x": None}]])
    joined = encode._joined(tensors, json.loads(json.dumps(parts)))
    assert equal(joined, [[torch.ones(2), {"pooled_output": torch.zeros(3), "start_percent": 0.5, "x": None}]])


def test_encode_node(filled: Path, models: tuple[Any, Any]) -> None:
    done = EncodeTrainingClips.execute(*models, "my clips ä", 4, 1, 1, 32, 32, "")
    latents, positive, empty = done.args
    assert [item["samples"].shape for item in latents] == [(4, 4, 4, 4)] * 2 and len(positive) == 2 and len(empty[0]) == 2
    assert "0 of 2 from the cache." in done.ui.as_dict()["text"][0]
