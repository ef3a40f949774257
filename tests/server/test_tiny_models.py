"""The tiny models in a real server: SDXL loads, samples and decodes; the files that shared graphs name are there."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from animatediff_native.demo.client import ComfyClient
from animatediff_native.demo.synthetic import FAMILIES
from PIL import Image

SIZES = {"width": 256, "height": 192, "crop_w": 8, "crop_h": 0, "target_width": 256, "target_height": 192}
MEGABYTE = 1_000_000


def prompt_of(text: dict[str, Any], checkpoint: str = "tiny_sdxl.safetensors", **settings: Any) -> dict[str, Any]:
    """Checkpoint, two prompts, KSampler, VAEDecode and SaveImage; ``text`` is the node that encodes the positive prompt."""
    sampling = {"seed": 5, "steps": 4, "cfg": 5.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0, **settings}
    links = {"model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0]}
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": checkpoint}},
        "2": {"class_type": text["class_type"], "inputs": {"clip": ["1", 1], **text["inputs"]}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": "blurry"}},
        "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 128, "height": 64, "batch_size": 2}},
        "5": {"class_type": "KSampler", "inputs": {**links, **sampling}},
        "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
        "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "tiny_models"}},
    }


def plain(text: str) -> dict[str, Any]:
    return {"class_type": "CLIPTextEncode", "inputs": {"text": text}}


def sdxl(first: str, second: str, **sizes: int) -> dict[str, Any]:
    """A prompt of its own for each text encoder, and the sizes."""
    return {"class_type": "CLIPTextEncodeSDXL", "inputs": {"text_l": first, "text_g": second, **SIZES, **sizes}}


def pixels(client: ComfyClient, prompt: dict[str, Any]) -> np.ndarray:
    """The pictures a prompt saves, (B, H, W, 3), 0 to 255."""
    files = client.run(prompt)["7"]["images"]
    return np.stack([np.asarray(Image.open(io.BytesIO(client.view(file))).convert("RGB")) for file in files]).astype(int)


def saturation(pictures: np.ndarray) -> float:
    """The share of pixels at an end of their range."""
    return float(np.mean((pictures <= 1) | (pictures >= 254)))


@pytest.mark.parametrize("checkpoint", ["tiny_sd15", "tiny_sdxl"])
def test_checkpoint_samples_and_decodes(client: ComfyClient, checkpoint: str) -> None:
    """With four steps and with twenty; the pixels use the range and few are at its ends."""
    for steps in (4, 20):
        pictures = pixels(client, prompt_of(plain("a red boat"), f"{checkpoint}.safetensors", steps=steps))
        assert pictures.shape == (2, 64, 128, 3)
        assert saturation(pictures) < 0.15 and pictures.std() > 20
        assert 64 < pictures.mean() < 192
        assert np.abs(pictures[0] - pictures[1]).mean() > 5, "the two pictures of a batch are alike"


def test_sdxl_hears_both_text_encoders_and_the_sizes(client: ComfyClient) -> None:
    texts = {
        "as it is": sdxl("a boat", "a boat"),
        "first encoder": sdxl("a tree", "a boat"),
        "second encoder": sdxl("a boat", "a tree"),
        "size": sdxl("a boat", "a boat", target_width=1024),
        "without sizes": plain("a boat"),
    }
    pictures = {name: pixels(client, prompt_of(text)) for name, text in texts.items()}
    for name, picture in pictures.items():
        if name != "as it is":
            assert np.abs(picture - pictures["as it is"]).mean() > 0.1, f"{name} changes nothing"


def test_motion_files_have_the_names_that_graphs_use(client: ComfyClient) -> None:
    info = client.object_info()

    def offered(node: str, name: str) -> set[str]:
        kind, *options = info[node]["input"]["required"][name]
        return set(options[0]["options"] if kind == "COMBO" else kind)

    modules = {family.file for family in FAMILIES.values()}
    assert len(modules) == 10 and modules <= offered("LoadMotionModule", "motion_module")
    moves = ("PanLeft", "PanRight", "TiltUp", "TiltDown", "ZoomIn", "ZoomOut", "RollingClockwise", "RollingAnticlockwise")
    assert {f"v2_lora_{move}.ckpt" for move in moves} <= offered("ApplyMotionLoRA", "motion_lora")
    loras = {"v3_sd15_adapter.ckpt", "AnimateLCM_sd15_t2v_lora.safetensors"}
    assert loras <= offered("LoraLoaderModelOnly", "lora_name")


@pytest.mark.parametrize("family", FAMILIES)
def test_each_motion_file_is_what_its_name_says(client: ComfyClient, family: str) -> None:
    """The loader finds the family by itself, and a MODEL of the same base moves with it."""
    base = "tiny_sdxl" if FAMILIES[family].levels == 3 else "tiny_sd15"
    prompt = prompt_of(plain("a boat"), f"{base}.safetensors", steps=1)
    still = pixels(client, prompt)
    settings = {"norm_scope": "authors", "positions": 0, "beta_schedule": "authors"}
    prompt["8"] = {"class_type": "LoadMotionModule", "inputs": {"motion_module": FAMILIES[family].file, **settings}}
    prompt["9"] = {"class_type": "ApplyMotionModule", "inputs": {"model": ["1", 0], "motion_module": ["8", 0]}}
    prompt["5"]["inputs"]["model"] = ["9", 0]
    shown = {}
    for choice in ("auto", family):
        prompt["8"]["inputs"]["family"] = choice
        assert np.abs(pixels(client, prompt) - still).mean() > 0.1
        shown[choice] = client.run(prompt)["8"]["text"]
    assert shown["auto"] == shown[family], "the file is taken for another family"


def test_the_host_loads_all_of_the_lcm_lora(client: ComfyClient, server_log: Path) -> None:
    prompt = prompt_of(plain("a boat"), "tiny_sd15.safetensors")
    without = pixels(client, prompt)
    for name in ("AnimateLCM_sd15_t2v_lora.safetensors", "v3_sd15_adapter.ckpt"):
        inputs = {"model": ["1", 0], "lora_name": name, "strength_model": 1.0}
        prompt["8"] = {"class_type": "LoraLoaderModelOnly", "inputs": inputs}
        prompt["5"]["inputs"]["model"] = ["8", 0]
        changed = pixels(client, prompt)
        assert np.abs(changed - without).mean() > 1
        assert saturation(changed) < 0.25  # random changes of every layer make louder pictures than the checkpoint alone
    assert "lora key not loaded" not in server_log.read_text(encoding="utf-8")


def test_the_tiny_models_are_small() -> None:
    models = Path(os.environ["ANIMATEDIFF_BASE"]) / "models"
    names = (models.parent / "tiny_models.txt").read_text(encoding="utf-8").splitlines()[1:]
    assert all((models / name).is_file() for name in names) and len(names) == 27
    assert sum((models / name).stat().st_size for name in names) < 180 * MEGABYTE
    assert (models / "checkpoints" / "tiny_sdxl.safetensors").stat().st_size < 40 * MEGABYTE
