"""Training in a real server: a graph of the host's nodes and ours, from latents to a file that is found."""

from __future__ import annotations

import json
from typing import Any

import pytest
from animatediff_native.demo.client import ComfyClient, PromptError
from animatediff_tests.server.test_server import texts_sent


def training(**changes: Any) -> dict[str, Any]:
    """A motion LoRA from four empty frames."""
    widgets = {
        "steps": 2, "learning_rate": 1e-3, "batch_size": 1, "grad_accumulation_steps": 1, "optimizer": "AdamW", "loss_function": "MSE",
        "seed": 0, "training_dtype": "fp32", "gradient_checkpointing": True, "state_name": "", "rank": 2,
    }  # fmt: skip
    links = {"model": ["1", 0], "latents": ["3", 0], "positive": ["2", 0], "motion_module": ["4", 0]}
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "tiny_sd15.safetensors"}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": "pan to the left"}},
        "3": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 4}},
        "4": {
            "class_type": "LoadMotionModule",
            "inputs": {"motion_module": "v3_sd15_mm.ckpt", "family": "auto", "norm_scope": "authors", "positions": 0, "beta_schedule": "authors"},
        },
        "5": {"class_type": "TrainMotionLoRA", "inputs": {**links, **widgets, **changes}},
        "6": {"class_type": "SaveTrainedLoRA", "inputs": {"lora": ["5", 0], "filename_prefix": "trained_here", "dtype": "fp16"}},
        "7": {"class_type": "LossGraphNode", "inputs": {"loss": ["5", 1], "filename_prefix": "loss"}},
    }


def test_a_motion_lora_is_trained_in_a_graph_and_found(client: ComfyClient) -> None:
    outputs = client.run(training())
    assert outputs["6"]["text"][0].endswith("trained_here_00001_.safetensors")
    assert client.view(outputs["5"]["images"][0])[1:4] == b"PNG"
    files = client.object_info()["ApplyMotionLoRA"]["input"]["required"]["motion_lora"]
    assert "trained_here_00001_.safetensors" in json.dumps(files)


def test_the_loss_stands_on_the_node(client: ComfyClient) -> None:
    told = [text for node, text in texts_sent(client, training(seed=1)) if node == "5"]
    assert "step 2 of 2, loss " in told[-1]
    assert "by noise, little to much: " in told[-1]


def test_clips_of_one_frame_are_refused(client: ComfyClient) -> None:
    prompt = training()
    prompt["3"]["inputs"]["batch_size"] = 1
    with pytest.raises(PromptError, match="Clip 1 has 1 frame, motion needs at least 2"):
        client.run(prompt)
