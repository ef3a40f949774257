"""Several processes of ``torch.distributed``: together they do what one does with a batch of all their clips."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from animatediff_native.training.loop.settings import TrainingSettings
from animatediff_native.training.stages.command import _explained, main, parser
from animatediff_native.training.stages.motion_module import train_motion_module
from animatediff_tests.host.test_training import clips, prompts, same
from safetensors.torch import load_file

SCRIPT = Path(__file__).resolve().parents[1] / "two_processes.py"


def test_two_processes_are_one_with_twice_the_batch(model, tmp_path):
    dataset = tmp_path / "dataset"
    dataset.mkdir()
    for number, (clip, prompt) in enumerate(zip(clips(), prompts(), strict=True)):
        torch.save({"latents": [{"samples": clip}], "conditioning": [prompt]}, dataset / f"shard_{number:04}.pkl")
    chosen = {"steps": 2, "optimizer": "SGD", "learning_rate": 1.0, "gradient_limit": 0.0, "training_dtype": "fp32"}
    flags = [part for name, value in chosen.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    files = {"--checkpoint": "tiny", "--dataset": dataset, "--output": tmp_path / "two.safetensors", "--state": tmp_path / "two.state.pt"}
    paths = [str(part) for pair in files.items() for part in pair]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(SCRIPT)]
    done = subprocess.run([*launcher, "motion_module", *paths, *flags], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    one = train_motion_module(model, clips(), prompts(), TrainingSettings(**chosen, batch_size=2))
    assert same(load_file(tmp_path / "two.safetensors"), one.tensors) < 1e-5
    losses = torch.load(tmp_path / "two.state.pt", weights_only=True)["losses"]
    assert torch.allclose(torch.tensor(losses), torch.tensor(one.losses), rtol=1e-5)


def test_the_command_explains_every_setting():
    text = " ".join(parser().format_help().split())
    assert "--reversal REVERSAL share of clips that a motion LoRA is shown backwards in time, at strength -1" in text
    assert "--optimizer {AdamW,Adam,SGD,RMSprop} what moves the weights (AdamW)" in text
    explained = _explained()
    assert explained.keys() == {setting.name for setting in fields(TrainingSettings)} and all(explained.values())
    assert explained["steps"] == "steps of the optimizer, in all" and "`" not in "".join(explained.values())


def test_files_that_are_not_there_are_named():
    there = ["motion_lora", "--dataset", "x", "--output", "y"]
    with pytest.raises(ValueError, match=r"There is no file nowhere\.ckpt\. Give the path of one, from the folder in which this was started"):
        main([*there, "--checkpoint", "c", "--motion-module", "nowhere.ckpt"])
    with pytest.raises(ValueError, match=r"There is no file nowhere\.safetensors"):
        main([*there, "--checkpoint", "nowhere.safetensors"])
