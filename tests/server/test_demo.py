"""The demo in a real server: the graphs it compares, and the graphs that show something in the small world."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from animatediff_native.demo.animate import TINY_MODELS, WORKFLOW, compared_rows, tiny_prompt
from animatediff_native.demo.client import ComfyClient, workflow_to_prompt
from animatediff_native.demo.world.prompts import CAPTIONS, SETTINGS, enlarged, saved_as, world_prompt
from animatediff_native.demo.world.trained import CHECKPOINT
from animatediff_native.demo.write_models import model_files
from animatediff_tests.server.test_server import frames_of, saved
from PIL import Image
from safetensors.torch import load_file

TEXTS = {"CLIPTextEncode": "text", "AnimateDiffPromptTravel": "prompts"}


def test_the_servers_checkpoint_is_trained_where_its_weights_are_there() -> None:
    there = load_file(Path(os.environ["ANIMATEDIFF_BASE"], "models", CHECKPOINT))
    ours = next(file for file in model_files() if file.name == CHECKPOINT).tensors()
    assert there.keys() == ours.keys() and all(torch.equal(there[key], tensor.half()) for key, tensor in ours.items())


def test_rows_of_the_comparison(client: ComfyClient) -> None:
    """Three of its prompts at fewer steps: the LoRA at 0 changes nothing, and without the module other frames are made."""
    prompt = world_prompt(WORKFLOW.stem, tiny_prompt(client.object_info()))
    rows = {row.name: row for row in compared_rows(prompt)}
    assert [row.title for row in rows.values()] == [
        "with the motion module",
        "the same seed without it",
        "motion LoRA pan left at -1",
        "motion LoRA pan left at 0",
        "motion LoRA pan left at 1",
    ]
    made: dict[str, list[bytes]] = {}
    for name in ("moving", "still", "pan_1", "pan_2"):
        small = saved_as(rows[name].prompt, f"{name}_row", video=False)
        for node in small.values():
            if "steps" in node["inputs"]:
                node["inputs"]["steps"] = 2
            if node["class_type"] == "CLIPTextEncode" and node["inputs"]["text"]:
                assert node["inputs"]["text"] == rows[name].caption
                node["inputs"]["text"] = CAPTIONS["text_to_video"]
        outputs = client.run(enlarged(small, 2))
        assert not saved(outputs, ".mp4")
        with Image.open(io.BytesIO(client.view(saved(outputs, ".webp")[0]))) as picture:
            assert (picture.size, picture.n_frames) == ((128, 128), 16)
        made[name] = frames_of(client, outputs)
    assert made["pan_1"] == made["moving"], "a motion LoRA at strength 0 changes something"
    assert made["pan_2"] != made["moving"]
    assert all(a != b for a, b in zip(made["still"], made["moving"], strict=True))


@pytest.mark.parametrize("name", sorted(CAPTIONS))
def test_graphs_of_the_world_say_what_it_knows(client: ComfyClient, name: str) -> None:
    """Captions, sizes and settings are put in; the nodes and the files are ones that the server has."""
    info = client.object_info()
    prompt = world_prompt(name, workflow_to_prompt(json.loads(WORKFLOW.with_name(f"{name}.json").read_text(encoding="utf-8")), info, TINY_MODELS))
    texts = {node["inputs"][TEXTS[node["class_type"]]] for node in prompt.values() if node["class_type"] in TEXTS}
    assert texts == {CAPTIONS[name], ""}
    for node in prompt.values():
        known: dict[str, Any] = info[node["class_type"]]["input"]
        assert node["inputs"].keys() <= {field.split(".")[0] for group in known.values() for field in group} | {key for key in node["inputs"] if "." in key}
        assert (node["inputs"].get("width", 64) == 64 and node["inputs"].get("steps", 20) == SETTINGS["steps"]) or node["class_type"] == "PreviewContextWindows"


def test_a_graph_of_the_world_runs(client: ComfyClient) -> None:
    """The one with the most that is replaced: sizes, a timeline, windows."""
    graph = json.loads(WORKFLOW.with_name("prompt_travel.json").read_text(encoding="utf-8"))
    prompt = world_prompt("prompt_travel", workflow_to_prompt(graph, client.object_info(), TINY_MODELS))
    for node in prompt.values():
        if "steps" in node["inputs"]:
            node["inputs"]["steps"] = 2
    assert len(set(frames_of(client, client.run(prompt)))) == 48
