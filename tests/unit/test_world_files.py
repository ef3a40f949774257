"""The files of the small world: what is committed, what becomes of it in ComfyUI's folders, and the sheet that compares animations."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from animatediff_native.demo import comparison, environment, gallery, thumbnail
from animatediff_native.demo.cache import SetupError
from animatediff_native.demo.contact_sheet import complaint, read_frames
from animatediff_native.demo.synthetic import FAMILIES, TINY_CHANNELS
from animatediff_native.demo.tiny_unet import WORLD
from animatediff_native.demo.world import trained
from animatediff_native.demo.world.files import checkpoint, export, model_file
from animatediff_native.demo.world.prompts import (
    CAPTIONS,
    enlarged,
    saved_as,
    with_motion_lora,
    without_module,
    world_prompt,
)
from animatediff_native.demo.write_models import model_files
from animatediff_native.training.clips.camera import CAMERA_MOVES
from PIL import Image
from safetensors import safe_open

MODELS = {file.name: file for file in model_files()}
SDXL = {"tiny_sdxl.safetensors"} | {family.file for family in FAMILIES.values() if family.levels == 3}
QUERIES = ("to_q.weight", "to_q_lora.up.weight", "attn1_to_q.lora_up.weight")
LARGEST = 32 * 2**20


def test_weights_are_small_halved_and_licensed() -> None:
    there = trained.weight_files()
    assert {"autoencoder", "image"} <= {file.stem for file in there}
    assert sum(file.stat().st_size for file in there) < LARGEST
    for file in there:
        with safe_open(file, framework="pt") as opened:
            assert opened.metadata()["license"] == "Apache-2.0", file.name
            kinds = {opened.get_slice(key).get_dtype() for key in opened.keys()}  # noqa: SIM118 - it is no mapping
        assert kinds <= {"F16", "I32", "I64"} and "F16" in kinds, (file.name, kinds)


def test_every_weight_has_its_place_in_the_table() -> None:
    named = {name for names in trained.TRAINED.values() for name in names}
    assert {file.stem for file in trained.weight_files()} <= named
    assert set(trained.MOTION_LORAS.values()) == {f"motion_lora_{move.replace(' ', '_')}" for move in CAMERA_MOVES}
    assert set(trained.TRAINED) <= set(MODELS)


def test_only_what_is_in_the_table_is_trained(tmp_path: Path) -> None:
    (tmp_path / "motion_module.safetensors").touch()
    assert trained.is_trained("animatediff_models/v3_sd15_mm.ckpt", tmp_path)
    assert not trained.is_trained("animatediff_models/mm_sd_v15.ckpt", tmp_path)
    (tmp_path / "image.safetensors").touch()
    assert not trained.is_trained(trained.CHECKPOINT, tmp_path), "one of its two parts is missing"
    assert trained.CHECKPOINT in trained.untrained(tmp_path) and len(trained.untrained(tmp_path)) == len(trained.TRAINED) - 1


@pytest.mark.parametrize("name", sorted(name for name in MODELS if "tiny_" not in name and "sparsectrl" not in name))
def test_motion_files_and_loras_fit_the_checkpoint(name: str) -> None:
    """Trained or random, every file for SD1.5 has widths of 64 alone; those for SDXL theirs."""
    wanted = set(TINY_CHANNELS[:3]) if Path(name).name in SDXL else set(WORLD.widths)
    for tensors in (MODELS[name].random(), MODELS[name].tensors()):
        assert all(tensor.isfinite().all() for tensor in tensors.values())
        widths = {tensor.shape[0] for key, tensor in tensors.items() if key.endswith(QUERIES)}
        assert widths == wanted


def test_the_checkpoint_has_the_names_and_widths_of_the_random_one() -> None:
    """But for the autoencoder's scale, the same keys and shapes: what reads one reads the other."""
    random, ours = MODELS[trained.CHECKPOINT].random(), checkpoint()
    assert {key: tensor.shape for key, tensor in random.items()} == {key: tensor.shape for key, tensor in ours.items()}
    assert model_file(trained.CHECKPOINT).keys() == ours.keys()


def test_other_weights_make_other_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "weight_files", lambda: trained.weight_files(tmp_path))
    nothing = environment._models_wanted()
    export({"a": torch.zeros(2)}, "image", folder=tmp_path)
    some = environment._models_wanted()
    export({"a": torch.ones(2)}, "image", folder=tmp_path)
    assert len({nothing, some, environment._models_wanted()}) == 3


# --- prompts ---------------------------------------------------------------------------------------------------------


def small_graph() -> dict[str, Any]:
    """The nodes of text_to_video that matter here."""
    return {
        "3": {"class_type": "LoadMotionModule", "inputs": {"motion_module": "mm_sd_v15_v2.ckpt"}},
        "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 512, "batch_size": 16}},
        "5": {"class_type": "CLIPTextEncode", "inputs": {"text": "a boat", "clip": ["2", 1]}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["2", 1]}},
        "7": {
            "class_type": "AnimateDiffNativeSampler",
            "inputs": {"motion_module": ["3", 0], "positive": ["5", 0], "negative": ["6", 0], "latent_image": ["4", 0], "steps": 25, "cfg": ["9", 0]},
        },
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["7", 0]}},
        "10": {"class_type": "SaveAnimatedWEBP", "inputs": {"images": ["8", 0], "lossless": False, "filename_prefix": "x"}},
        "11": {"class_type": "CreateVideo", "inputs": {"images": ["8", 0]}},
        "12": {"class_type": "SaveVideo", "inputs": {"video": ["11", 0], "filename_prefix": "x"}},
    }


def test_a_world_prompt_has_captions_and_sizes_of_the_world() -> None:
    given = small_graph()
    prompt = world_prompt("text_to_video", given)
    assert prompt["5"]["inputs"]["text"] == CAPTIONS["text_to_video"] and prompt["6"]["inputs"]["text"] == ""
    assert prompt["4"]["inputs"] == {"width": 64, "height": 64, "batch_size": 16}
    assert prompt["3"]["inputs"]["motion_module"] == "v3_sd15_mm.ckpt"
    assert prompt["7"]["inputs"]["steps"] == 20 and prompt["7"]["inputs"]["cfg"] == ["9", 0]
    assert given == small_graph()
    with pytest.raises(ValueError, match="sdxl shows nothing in the small world"):
        world_prompt("sdxl", given)


def test_graphs_of_the_comparison_are_made_of_one() -> None:
    given = small_graph()
    still = without_module(given)
    assert still["7"]["class_type"] == "KSampler" and "motion_module" not in still["7"]["inputs"] and "3" not in still
    panned = with_motion_lora(given, "pan.ckpt", -1.0)
    assert panned["7"]["inputs"]["motion_module"] == ["lora", 0]
    assert panned["lora"]["inputs"] == {"motion_module": ["3", 0], "motion_lora": "pan.ckpt", "strength": -1.0}
    large = enlarged(given, 3)
    assert large["10"]["inputs"]["images"] == large["11"]["inputs"]["images"] == ["large", 0]
    assert large["large"]["inputs"]["image"] == ["8", 0]
    one = saved_as(given, "row", video=False)
    assert set(given) - set(one) == {"11", "12"}
    assert one["10"]["inputs"]["filename_prefix"] == "row" and one["10"]["inputs"]["lossless"]
    assert given == small_graph()


# --- the sheet -------------------------------------------------------------------------------------------------------


def animation(path: Path, shades: list[int]) -> Path:
    """An animated picture whose frames have a black corner on a shade of grey each."""
    frames = [Image.new("RGB", (40, 30), (shade,) * 3) for shade in shades]
    for frame in frames:
        frame.paste((0, 0, 0), (0, 0, 4, 4))
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    return path


def test_a_comparison_has_a_row_for_each_animation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shades = {"rising": list(range(100, 164, 4)), "falling": list(range(163, 99, -4)), "stuck": [100, 200] * 8}
    rows = [{"title": name, "caption": "c", "animation": str(animation(tmp_path / f"{name}.webp", values))} for name, values in shades.items()]
    sheet = tmp_path / "sheet.png"
    monkeypatch.setattr(sys, "argv", ["comparison", json.dumps(rows[:2]), str(sheet), "16", "4"])
    assert comparison.main() == 0
    with Image.open(sheet) as opened:
        picture = opened.convert("RGB")
    step, row = 40 + comparison.GAP, comparison.LABEL + 30 + comparison.MARGIN
    assert picture.size == (2 * comparison.MARGIN + 4 * step - comparison.GAP, comparison.MARGIN + 2 * row)
    for number, values in enumerate((shades["rising"], shades["falling"])):
        top = comparison.MARGIN + number * row
        seen = [picture.getpixel((comparison.MARGIN + column * step + 20, top + comparison.LABEL + 20))[0] for column in range(4)]
        assert seen == [values[index] for index in (0, 5, 10, 15)]
        label = picture.crop((comparison.MARGIN, top, 100, top + comparison.LABEL))
        assert label.convert("L").getextrema()[0] < 128, "nothing is written above the row"
    monkeypatch.setattr(sys, "argv", ["comparison", json.dumps(rows), str(sheet), "16", "4"])
    assert comparison.main() == 1
    assert "stuck: Frames 0 and 2 are the same picture" in capsys.readouterr().err


def test_an_animation_may_end_where_it_began(tmp_path: Path) -> None:
    closed = read_frames(animation(tmp_path / "closed.webp", [100, 140, 180, 100]))
    assert complaint(closed, 4) is None
    assert "Frames 0 and 1 are the same" in str(complaint([closed[0], closed[3], *closed[1:]], None))
    assert "not an animation" in str(complaint([closed[0]] * 2, None)), "two frames are no loop"


# --- pictures of the graphs ------------------------------------------------------------------------------------------


def test_a_thumbnail_is_small_moves_and_lasts_as_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = animation(tmp_path / "long.webp", list(range(60, 252, 3)))
    target = tmp_path / "thumbnail.jpg"
    monkeypatch.setattr(sys, "argv", ["thumbnail", str(source), str(target), "20", "16"])
    assert thumbnail.main() == 0
    with Image.open(target) as made:
        assert (made.format, made.size, made.n_frames) == ("WEBP", (20, 15), 16)
        made.load()
        assert made.info["duration"] == 4 * thumbnail.MILLISECONDS, "64 frames, of which every fourth is shown"
        shades = []
        for number in range(16):
            made.seek(number)
            shades.append(made.convert("L").getpixel((15, 10)))
    assert all(abs(shade - 60 - 12 * number) <= 6 for number, shade in enumerate(shades))


def test_pictures_are_made_of_trained_networks_and_graphs_that_show_something(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere: Any = None
    monkeypatch.setattr(gallery, "untrained", lambda: ["loras/v3_sd15_adapter.ckpt"])
    with pytest.raises(SetupError, match="show nothing. Train the small world first; missing: loras/v3_sd15_adapter.ckpt"):
        gallery.gallery(nowhere, [])
    monkeypatch.setattr(gallery, "untrained", list)
    with pytest.raises(SetupError, match="These graphs show nothing in the small world: sdxl"):
        gallery.gallery(nowhere, ["sdxl", "loop"])
