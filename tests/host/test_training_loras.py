"""Training motion LoRAs and domain adapters: files that load here and change what the training changed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from animatediff_native.demo import synthetic
from animatediff_native.demo.image_loras import domain_adapter
from animatediff_native.motion.container import read_file
from animatediff_native.sampling.modules.domain_adapter import with_domain_adapter
from animatediff_native.sampling.modules.motion_lora import with_motion_lora
from animatediff_native.training.loop.settings import TrainingSettings
from animatediff_native.training.loop.watch import Keeping, Watch
from animatediff_native.training.stages.clips import Run
from animatediff_native.training.stages.domain_adapter import train_domain_adapter
from animatediff_native.training.stages.motion_lora import train_motion_lora
from animatediff_native.training.stages.motion_module import train_motion_module
from animatediff_tests.host.test_training import clips, prompts, same
from animatediff_tests.tiny import CHANNELS, run_ksampler
from safetensors.torch import save_file

SETTINGS = TrainingSettings(steps=3, learning_rate=1e-2, training_dtype="fp32", batch_size=2)


def loss_of_trained(train, file) -> float:
    """The first loss of the training whose state is in ``file``, with the weights that it ended with."""
    state = torch.load(file, weights_only=True)
    torch.save({**state, "step": 0, "losses": []}, file)
    return train(replace(SETTINGS, steps=1), Keeping(file)).losses[0]


def test_a_motion_lora_file_is_what_was_trained(model, motion, tmp_path):
    def train(settings, keeping, module=motion):
        return train_motion_lora(model, module, clips(), prompts(), settings, rank=4, run=Run(keeping=keeping))

    before = {key: tensor.clone() for key, tensor in motion.model.state_dict().items()}
    keeping = Keeping(tmp_path / "lora.state")
    trained = train(SETTINGS, keeping)
    assert same(motion.model.state_dict(), before) == 0
    file = tmp_path / "lora.safetensors"
    save_file(trained.tensors, file, trained.metadata)
    assert trained.tensors.keys() == synthetic.motion_lora(CHANNELS, mid=True).keys()
    block = "down_blocks.0.motion_modules.0.temporal_transformer.transformer_blocks.0.attention_blocks.0.processor"
    assert trained.tensors[f"{block}.to_q_lora.down.weight"].shape == (4, 32)
    assert trained.tensors[f"{block}.to_out_lora.up.weight"].shape == (32, 4)
    assert read_file(file).metadata["alpha"] == "4.0"
    fresh = train(replace(SETTINGS, steps=1), Keeping()).losses[0]
    merged = train(replace(SETTINGS, steps=1), Keeping(), with_motion_lora(motion, file, 1.0)).losses[0]
    assert merged == pytest.approx(loss_of_trained(train, keeping.file), rel=1e-5)
    assert abs(merged - fresh) > 1e-3


def test_a_domain_adapter_file_is_what_was_trained(model, tmp_path):
    def train(settings, keeping, on=model):
        return train_domain_adapter(on, clips(frames=4), prompts(), settings, rank=4, pictures=2, run=Run(keeping=keeping))

    keeping = Keeping(tmp_path / "adapter.state")
    trained = train(SETTINGS, keeping)
    file = tmp_path / "adapter.safetensors"
    save_file(trained.tensors, file, trained.metadata)
    assert trained.tensors.keys() == domain_adapter().keys()
    block = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.processor"
    assert trained.tensors[f"{block}.to_k_lora.down.weight"].shape == (4, 64)
    fresh = train(replace(SETTINGS, steps=1), Keeping()).losses[0]
    adapted, note = with_domain_adapter(model, file, 1.0)
    assert "128 of 128 keys matched" in note
    merged = train(replace(SETTINGS, steps=1), Keeping(), adapted).losses[0]
    assert merged == pytest.approx(loss_of_trained(train, keeping.file), rel=1e-5)
    assert abs(merged - fresh) > 1e-3


def test_loras_learn_with_checkpointing_as_without(model, motion):
    settings = replace(SETTINGS, optimizer="SGD", learning_rate=1.0, gradient_limit=0.0, steps=2)
    twice = replace(settings, gradient_checkpointing=True)
    loras = [train_motion_lora(model, motion, clips(), prompts(), how, rank=4) for how in (settings, twice)]
    assert same(loras[0].tensors, loras[1].tensors) < 1e-6
    adapters = [train_domain_adapter(model, clips(), prompts(), how, rank=4) for how in (settings, twice)]
    assert same(adapters[0].tensors, adapters[1].tensors) < 1e-6


def test_clips_shown_backwards_teach_the_opposite_strength(model, motion):
    """Backwards at -1 is forwards at 1 on the clips turned round: losses, and the LoRA but for its sign."""
    moving = [torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in range(2)]
    turned = [clip.flip(0) for clip in moving]

    def train(latents, reversal, **changes):
        return train_motion_lora(model, motion, latents, prompts(), replace(SETTINGS, reversal=reversal, **changes), rank=4)

    for changes in ({}, {"gradient_checkpointing": True}):
        backwards, forwards = train(moving, 1.0, **changes), train(turned, 1e-9, **changes)
        assert backwards.losses == pytest.approx(forwards.losses, rel=1e-6)
        assert backwards.losses != pytest.approx(train(moving, 1e-9).losses, rel=1e-3)
        for key, tensor in backwards.tensors.items():
            sign = -1 if key.endswith("up.weight") else 1
            assert torch.allclose(sign * tensor, forwards.tensors[key], atol=1e-6)
    assert train(moving, 0.5).losses not in (backwards.losses, forwards.losses)


def test_a_preview_shows_the_lora_at_strength_one_after_a_clip_backwards(model, motion):
    class Looking(Watch):
        look_every = 1

        def __init__(self) -> None:
            self.seen = []

        def look(self, step, shown) -> None:
            self.seen.append(run_ksampler(shown, frames=3))

    def seen(latents, reversal):
        watch = Looking()
        settings = replace(SETTINGS, reversal=reversal, batch_size=1, steps=1)
        trained = train_motion_lora(model, motion, latents, prompts()[:1], settings, rank=4, run=Run(watch=watch))
        return watch.seen[0], trained.tensors

    moving = [torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(1))]
    (shown, tensors), (other, mirrored) = seen(moving, 1.0), seen([moving[0].flip(0)], 1e-9)
    up = next(key for key in tensors if key.endswith("up.weight"))
    assert torch.allclose(tensors[up], -mirrored[up], atol=1e-6) and tensors[up].any()
    assert not torch.allclose(shown, other, atol=1e-4), "one is the opposite of the other"


def test_each_clip_is_learnt_at_its_strength(model, motion, tmp_path, monkeypatch):
    """What a LoRA is trained as at half strength is what it does at half strength; and each clip has its own."""

    def train(strengths, keeping=Keeping(), module=motion, settings=SETTINGS):
        return train_motion_lora(model, module, clips(), prompts(), settings, rank=4, run=Run(keeping=keeping), strengths=strengths)

    keeping, file = Keeping(tmp_path / "lora.state"), tmp_path / "lora.safetensors"
    trained = train([0.5], keeping)
    save_file(trained.tensors, file, trained.metadata)
    once = replace(SETTINGS, steps=1)
    merged = train([], module=with_motion_lora(motion, file, 0.5), settings=once).losses[0]
    found = loss_of_trained(lambda settings, keeping: train([0.5], keeping, settings=settings), keeping.file)
    assert merged == pytest.approx(found, rel=1e-5)
    assert merged != pytest.approx(train([], module=with_motion_lora(motion, file, 1.0), settings=once).losses[0], rel=1e-4)

    def begun(down, up, random):
        for layer in (down, up):
            layer.weight.data.normal_(0, 0.3, generator=random)

    monkeypatch.setattr("animatediff_native.training.stages.motion_lora.begin", begun)
    low, high, mixed, turned = (train(strengths, settings=once).losses[0] for strengths in ([0.5], [1.5, 1.5], [0.5, 1.5], [1.5, 0.5]))
    assert mixed + turned == pytest.approx(low + high, rel=1e-5)
    assert abs(mixed - turned) > 1e-4 * mixed
    assert train([1.0, 1.0], settings=once).losses == train([], settings=once).losses


def test_a_strength_turned_round_is_a_clip_turned_round(model, motion):
    moving = [torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in range(2)]

    def losses(latents, reversal, strengths):
        settings = replace(SETTINGS, reversal=reversal)
        return train_motion_lora(model, motion, latents, prompts(), settings, rank=4, strengths=strengths).losses

    found, turned = losses(moving, 1.0, [-0.5, 1.0]), [clip.flip(0) for clip in moving]
    assert found == pytest.approx(losses(turned, 1e-9, [0.5, -1.0]), rel=1e-6)
    assert found != pytest.approx(losses(turned, 1e-9, [0.5, 1.0]), rel=1e-6)


def test_a_training_does_not_go_on_with_other_strengths(model, motion, tmp_path):
    keeping = Keeping(tmp_path / "lora.state")

    def train(strengths):
        return train_motion_lora(model, motion, clips(), prompts(), SETTINGS, rank=4, run=Run(keeping=keeping), strengths=strengths)

    train([0.5, 1.0])
    with pytest.raises(ValueError, match=r"strengths was \w+, is \w+"):
        train([0.5, 1.5])
    with pytest.raises(ValueError, match=r"strengths was \w+, is not given"):
        train([])


@pytest.mark.parametrize(
    ("strengths", "told"),
    [
        ([1.0, 0.5, 1.0], r"one strength per clip, got 3 strengths for 2 clips\. Give one for each, one for all, or none"),
        ([1.0, float("nan")], "a number, got nan"),
        ([0.0], "All clips have the strength 0, at which a LoRA does nothing"),
    ],
)
def test_strengths_that_fit_no_clips_are_refused(model, motion, strengths, told):
    with pytest.raises(ValueError, match=told):
        train_motion_lora(model, motion, clips(), prompts(), SETTINGS, rank=4, strengths=strengths)


def test_only_a_motion_lora_is_shown_clips_backwards(model):
    backwards = replace(SETTINGS, reversal=0.5)
    for train in (train_domain_adapter, train_motion_module):
        with pytest.raises(ValueError, match=r"reversal is for motion LoRAs, which can act at strength -1; got 0\.5\. Set it to 0"):
            train(model, clips(), prompts(), backwards)
    with pytest.raises(ValueError, match=r"reversal is a share from 0 to 1, got 2\. Set it"):
        replace(SETTINGS, reversal=2.0)


def test_a_module_of_another_base_and_an_impossible_rank_are_refused(model, sdxl_model, motion):
    with pytest.raises(ValueError, match=r"is a motion module for SD1\.5, this MODEL is SDXL"):
        train_motion_lora(sdxl_model, motion, clips(), prompts(), SETTINGS)
    with pytest.raises(ValueError, match="rank must be 1 to 128, got 129"):
        train_motion_lora(model, motion, clips(), prompts(), SETTINGS, rank=129)


def test_an_adapter_for_sdxl_has_a_change_for_each_attention(sdxl_model):
    trained = train_domain_adapter(sdxl_model, clips(), prompts(), replace(SETTINGS, steps=1), rank=2)
    assert len([key for key in trained.tensors if key.endswith(".up.weight")]) > 80
