"""Training in a real server: a graph of the host's nodes and ours, from latents to a file that is found."""

from __future__ import annotations

import json
from typing import Any

import pytest
from animatediff_native.demo.client import ComfyClient, PromptError
from animatediff_tests.server.test_server import frames_of, graph, text_on, texts_sent


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


def training_graph(client: ComfyClient, **changes: Any) -> dict[str, Any]:
    """The workflow, with three clips and a learning rate that shows after two steps."""
    prompt = graph(client, "train_motion_lora", learning_rate=0.05, training_dtype="fp32", every=2, sampling_steps=1, **changes)
    next(node for node in prompt.values() if node["class_type"] == "RepeatImageBatch")["inputs"]["amount"] = 3
    return prompt


def test_the_workflow_trains_goes_on_and_its_file_moves_an_animation(client: ComfyClient) -> None:
    prompt = training_graph(client)
    keys = {node["class_type"]: key for key, node in prompt.items()}
    outputs = client.run(prompt)
    assert outputs[keys["CameraClips"]]["text"][0].startswith("3 clips of 16 frames, 64 x 64: pan left.")
    assert client.view(outputs[keys["TrainMotionLoRA"]]["images"][0])[1:4] == b"PNG"
    (saved,) = outputs[keys["SaveTrainedLoRA"]]["text"]
    assert saved.endswith("pan_left_00001_.safetensors")

    again = client.queue(prompt)
    client.wait(again)
    assert keys["TrainMotionLoRA"] in dict(client.history(again)["status"]["messages"])["execution_cached"]["nodes"]

    longer = training_graph(client) | {}
    longer[keys["TrainMotionLoRA"]]["inputs"]["steps"] = 3
    told = [text for node, text in texts_sent(client, longer) if node == keys["TrainMotionLoRA"]]
    assert len(told) == 1 and told[0].startswith("step 3 of 3, loss ") and "(mean of the last 1)" in told[0]

    applied = {"motion_lora": "pan_left_00002_.safetensors", "seed": 41}
    assert text_on(client, graph(client, "motion_lora", **applied), "ApplyMotionLoRA").endswith("168 of 168 keys matched")
    with_it, without = (frames_of(client, client.run(graph(client, "motion_lora", strength=s, **applied))) for s in (1.0, 0.0))
    assert all(a != b for a, b in zip(with_it, without, strict=True))
