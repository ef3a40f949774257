"""Training clips in a real server: from a folder of its input folder to latents and prompts, through the host's own nodes as well."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from animatediff_native.demo.client import ComfyClient
from PIL import Image

FOLDER = "training clips test"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Two folders of frames with one caption, in the server's input folder."""
    made = Path(os.environ["ANIMATEDIFF_BASE"]) / "input" / FOLDER
    for name in ("one", "two"):
        (made / name).mkdir(parents=True, exist_ok=True)
        for index in range(5):
            Image.radial_gradient("L").rotate(9 * index).save(made / name / f"{index}.png")
    (made / "one.txt").write_text("a red boat", encoding="utf-8")
    yield made
    shutil.rmtree(made)


def test_from_a_folder_to_a_training_set(client: ComfyClient, folder: Path) -> None:
    cutting = {"folder": FOLDER, "length": 4, "stride": 1, "clips_per_video": 1, "width": 64, "height": 64, "caption": "a sea"}
    cutting |= {"trigger": "", "fit": "crop", "position": "middle"}
    moving = {"move": "zoom in", "amount": 0.25, "length": 4, "width": 64, "height": 64, "single_pictures": False}
    moving |= {"easing": "linear", "variation": 0.0, "seed": 0}
    prompt = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "tiny_sd15.safetensors"}},
        "2": {"class_type": "LoadTrainingClips", "inputs": cutting},
        "3": {"class_type": "CameraClips", "inputs": {"images": ["2", 0], "captions": ["2", 1], **moving}},
        "4": {"class_type": "MakeTrainingDataset", "inputs": {"images": ["3", 0], "texts": ["3", 1], "vae": ["1", 2], "clip": ["1", 1]}},
        "5": {"class_type": "EncodeTrainingClips", "inputs": {"vae": ["1", 2], "clip": ["1", 1], **cutting}},
        "6": {"class_type": "VAEDecode", "inputs": {"samples": ["4", 0], "vae": ["1", 2]}},
        "7": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
        "8": {"class_type": "PreviewImage", "inputs": {"images": ["6", 0]}},
        "9": {"class_type": "PreviewImage", "inputs": {"images": ["7", 0]}},
    }
    shown = client.run(prompt)
    assert shown["2"]["text"][0].startswith("2 clips of 4 frames, 64 x 64, from 2 videos.\n1 video without a caption (two): 'a sea' is used.")
    assert shown["3"]["text"] == ["2 clips of 4 frames, 64 x 64: zoom in."]
    assert "0 of 2 from the cache." in shown["5"]["text"][0]
    for number in ("2", "3"):
        assert shown[number]["animated"] == [True] and shown[number]["images"][0]["type"] == "temp"
    assert len(shown["8"]["images"]) == len(shown["9"]["images"]) == 8

    (folder / "one.txt").write_text("a blue boat", encoding="utf-8")
    shown = client.run(prompt)
    assert "2 of 2 from the cache." in shown["5"]["text"][0]
