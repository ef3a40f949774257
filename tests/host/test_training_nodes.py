"""The training nodes: lists of inputs, what they give, the state that they keep, what they save."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import comfy.model_management
import folder_paths
import pytest
import torch
from animatediff_native.motion.container import read_file
from animatediff_native.nodes.clips import CameraClips
from animatediff_native.nodes.train import (
    MotionTrainingOptions,
    MotionTrainingPreview,
    SaveMotionModule,
    SaveTrainedLoRA,
    TrainDomainAdapter,
    TrainMotionLoRA,
    TrainMotionModule,
)
from animatediff_native.sampling.modules.load import load_motion_module
from animatediff_native.sampling.modules.motion_lora import with_motion_lora
from animatediff_native.sampling.run.animate import animate
from animatediff_tests.host.test_training import clips, prompts, same
from animatediff_tests.tiny import conditioning, run_ksampler

WIDGETS = {
    "steps": [3],
    "learning_rate": [1e-3],
    "batch_size": [1],
    "grad_accumulation_steps": [1],
    "optimizer": ["AdamW"],
    "loss_function": ["MSE"],
    "seed": [0],
    "training_dtype": ["fp32"],
    "gradient_checkpointing": [False],
    "state_name": ["auto"],
}


@pytest.fixture(autouse=True)
def output(tmp_path, monkeypatch):
    """The host's folders, in a place of the test's own."""
    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path / "output"))
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path / "temp"))
    return tmp_path / "output"


@pytest.fixture
def dataset(model) -> dict[str, Any]:
    return {**WIDGETS, "model": [model], "latents": [{"samples": clip} for clip in clips()], "positive": prompts()}


def run(node, **inputs) -> list[Any]:
    return node.execute(**inputs).result


def test_a_motion_lora_is_trained_and_saved_where_it_is_found(dataset, motion, output):
    lora, losses, steps, _ = run(TrainMotionLoRA, **dataset, motion_module=[motion], rank=[4])
    assert (len(losses["loss"]), steps) == (3, 3)
    SaveTrainedLoRA.execute(lora, "move", "fp32")
    file = output / "animatediff_motion_lora" / "move_00001_.safetensors"
    opened = read_file(file)
    assert opened.metadata == {"format": "pt", "rank": "4", "alpha": "4.0"}
    assert same(opened.tensors, lora) == 0
    assert "168 of 168 keys matched" in with_motion_lora(motion, file, 1.0).get_attachment("animatediff_settings").loras[0]


def test_a_trained_motion_lora_is_used_at_once(dataset, model, motion, output):
    """The module that comes out is the one with the saved file on it; the one that went in is not changed."""
    lora, _, _, trained = run(TrainMotionLoRA, **dataset, motion_module=[motion], rank=[2])
    SaveTrainedLoRA.execute(lora, "move", "fp32")
    saved = with_motion_lora(motion, output / "animatediff_motion_lora" / "move_00001_.safetensors", 1.0)
    frames = [run_ksampler(animate(model, module)) for module in (trained, saved, motion)]
    assert torch.equal(frames[0], frames[1]) and not torch.allclose(frames[0], frames[2], atol=1e-4)
    assert "a motion LoRA trained for 3 steps at 1: 168 of 168 keys matched" in trained.get_attachment("animatediff_settings").loras


def test_the_strengths_of_camera_clips_reach_the_training(dataset, motion, tmp_path):
    camera = CameraClips.execute([torch.rand(2, 40, 40, 3)], ["zoom in"], [0.25], [4], [16], [16], [True], variation=[0.5], seed=[3])
    strengths = camera.args[2]
    losses = [
        run(TrainMotionLoRA, **dataset, motion_module=[motion], rank=[4], strengths=given)[1]["loss"] for given in (strengths, [1.0], [])
    ]
    assert len(strengths) == 2 and losses[0] != losses[1] == losses[2]
    with pytest.raises(ValueError, match="got 3 strengths for 2 clips"):
        run(TrainMotionLoRA, **dataset, motion_module=[motion], rank=[4], strengths=[1.0, 0.5, 0.5])


def test_an_adapter_is_saved_with_the_hosts_loras(dataset, output):
    lora = run(TrainDomainAdapter, **dataset, rank=[2], pictures=[1])[0]
    SaveTrainedLoRA.execute(lora, "look", "fp16")
    assert next(iter(read_file(output / "loras" / "look_00001_.safetensors").tensors.values())).dtype == torch.float16
    with pytest.raises(ValueError, match="Needed the lora of Train Motion LoRA or Train Domain Adapter"):
        SaveTrainedLoRA.execute({"a.lora_up.weight": torch.zeros(2, 2)}, "other", "fp16")


def test_a_motion_module_is_used_at_once_and_saved(dataset, model, output):
    module = run(TrainMotionModule, **dataset, has_mid=[True], positions=[24])[0]
    frames = run_ksampler(animate(model, module), frames=4)
    SaveMotionModule.execute(module, "new", "fp32")
    saved = load_motion_module(output / "animatediff_models" / "new_00001_.safetensors")
    assert (saved.model.config.family, saved.model.config.positions) == ("v2", 24)
    assert torch.equal(run_ksampler(animate(model, saved), frames=4), frames)


def test_an_interrupted_training_goes_on_with_what_it_reached(dataset, monkeypatch, output):
    whole = run(TrainMotionModule, **{**dataset, "state_name": [""]}, has_mid=[False], positions=[32])[1]
    asked = []

    def interrupted() -> bool:
        asked.append(1)
        if len(asked) == 3:
            comfy.model_management.interrupt_current_processing()
        return comfy.model_management.interrupt_processing

    monkeypatch.setattr(comfy.model_management, "processing_interrupted", interrupted)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        run(TrainMotionModule, **dataset, has_mid=[False], positions=[32])
    (state,) = (output / "training").iterdir()
    assert torch.load(state, weights_only=True)["losses"] == whole["loss"][:2]
    assert run(TrainMotionModule, **dataset, has_mid=[False], positions=[32])[1] == whole


def test_a_state_name_is_a_file_below_the_folder_of_states(dataset, output):
    run(TrainMotionModule, **{**dataset, "steps": [1], "state_name": ["mine"]}, has_mid=[False], positions=[32])
    assert [file.name for file in (output / "training").iterdir()] == ["mine.state.pt"]
    with pytest.raises(ValueError, match=r"'\.\./mine', which lies outside"):
        run(TrainMotionModule, **{**dataset, "state_name": ["../mine"]}, has_mid=[False], positions=[32])


def test_animations_are_made_meanwhile_and_change_nothing(dataset, monkeypatch):
    shown = []
    monkeypatch.setattr("animatediff_native.training.loop.on_node.show", shown.append)
    vae = SimpleNamespace(decode=lambda latents: latents[:, :3].movedim(1, -1).clamp(0, 1))
    plain = run(TrainMotionModule, **{**dataset, "state_name": [""]}, has_mid=[False], positions=[32])[1]
    preview = run(
        MotionTrainingPreview, every=1, positive=conditioning(1), negative=conditioning(2), vae=vae, sampling_steps=1, cfg=2.0, seed=0, frame_rate=8.0
    )[0]
    seen = run(TrainMotionModule, **{**dataset, "state_name": [""]}, preview=[preview], has_mid=[False], positions=[32])[1]
    assert seen == plain
    assert [file["images"][0]["filename"] for file in shown] == [f"training_{step}_00001_.webp" for step in (1, 2, 3)]


def test_short_clips_are_told_of_where_a_module_was_trained_on_longer_ones(dataset, motion, caplog):
    """Not for a new module, which was trained on nothing; and once, not as a warning of a sampling run."""
    quiet = {**dataset, "state_name": [""], "steps": [1]}
    run(TrainMotionModule, **quiet, has_mid=[False], positions=[32])
    assert "trained on" not in caplog.text
    told = "was trained on clips of 16 frames, the shortest one here has 2. What is learnt from it fits animations of 2 frames"
    run(TrainMotionLoRA, **quiet, motion_module=[motion], rank=[2])
    assert caplog.text.count("trained on") == caplog.text.count(told) == 1
    run(TrainMotionModule, **quiet, motion_module=[motion], has_mid=[False], positions=[32])
    assert caplog.text.count("trained on") == caplog.text.count(told) == 2


def test_options_reach_the_training(dataset):
    values = dict.fromkeys(("min_snr", "debias", "gradient_limit", "weight_decay", "average", "caption_dropout"), 0.0)
    options = run(MotionTrainingOptions, noise_bias=1e6, schedule="cosine", warm_up=0, **{**values, "min_snr": 5.0})[0]
    quiet = {**dataset, "state_name": [""], "has_mid": [False], "positions": [32]}
    noisiest = run(TrainMotionModule, **quiet, options=[options])[1]["loss"]
    assert noisiest != run(TrainMotionModule, **quiet)[1]["loss"]
    assert max(noisiest) - min(noisiest) < 0.3  # all at the last noise level
    options = run(MotionTrainingOptions, noise_bias=1e6, schedule="cosine", warm_up=0, **{**values, "min_snr": 5.0, "debias": 0.5})[0]
    assert min(run(TrainMotionModule, **quiet, options=[options])[1]["loss"]) > 2 * max(noisiest)
