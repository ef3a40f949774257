"""API prompts made for other packs, on a server without those packs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from animatediff_native.demo.client import ComfyClient
from animatediff_tests.old_graphs import FRAMES, SCENES

LENGTHS = {"first generation with every setting": 2 * FRAMES - 2, "the sampler of ArtVentureX": 38}
"""Frames that a scene saves, where they are not ``FRAMES``."""


@pytest.mark.parametrize("scene", SCENES)
def test_a_prompt_of_another_pack_runs_to_a_file(client: ComfyClient, scene: str) -> None:
    outputs = client.run(SCENES[scene])
    files = [entry for node in outputs.values() for value in node.values() for entry in value if isinstance(entry, dict)]
    assert [entry["filename"] for entry in files if entry.get("type") == "output"], outputs


def test_images_of_a_folder_become_a_batch(client: ComfyClient) -> None:
    """More than the host's Batch Images takes at once."""
    given = Path(os.environ["ANIMATEDIFF_BASE"]) / "input"
    folder = given / "test_images_of_a_folder"
    folder.mkdir(exist_ok=True)
    for number in range(51):
        shutil.copy(given / "example.png", folder / f"{number:02}.png")
    prompt = {
        "1": {"class_type": "LoadImagesFromDirectory", "inputs": {"directory": folder.name}},
        "2": {"class_type": "ImageScale", "inputs": {"image": ["1", 0], "upscale_method": "area", "width": 8, "height": 8, "crop": "disabled"}},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
        "4": {"class_type": "MaskPreview", "inputs": {"mask": ["1", 1]}},
        "5": {"class_type": "PreviewAny", "inputs": {"source": ["1", 2]}},
    }
    try:
        outputs = client.run(prompt)
    finally:
        shutil.rmtree(folder)
    assert (len(outputs["3"]["images"]), len(outputs["4"]["images"]), outputs["5"]["text"]) == (51, 51, ["51"])
