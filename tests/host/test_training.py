"""Training a motion module on the host's tiny UNet: it learns, resumes, and leaves the MODEL as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from animatediff_native.demo import synthetic
from animatediff_native.sampling.modules.load import load_motion_module
from animatediff_native.sampling.run.animate import animate
from animatediff_native.training.host.copies import private_copy
from animatediff_native.training.host.guider import Clips, Evaluation, run_training
from animatediff_native.training.loop.settings import TrainingSettings
from animatediff_native.training.loop.watch import Keeping, Progress, Watch
from animatediff_native.training.stages.clips import Run
from animatediff_native.training.stages.domain_adapter import train_domain_adapter
from animatediff_native.training.stages.motion_module import FromScratch, train_motion_module
from animatediff_tests.tiny import CHANNELS, conditioning, run_ksampler, tiny_model
from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete
from safetensors.torch import save_file

SETTINGS = TrainingSettings(steps=3, learning_rate=1e-3, training_dtype="fp32", batch_size=2, average=0.9)


def clips(count: int = 2, frames: int = 2, size: int = 8) -> list[torch.Tensor]:
    """Latents that differ from clip to clip and stand still."""
    generator = torch.Generator().manual_seed(3)
    return [5 * torch.randn(1, 4, size, size, generator=generator).repeat(frames, 1, 1, 1) for _ in range(count)]


def prompts(count: int = 2) -> list[list]:
    return [conditioning(seed, tokens=4) for seed in range(count)]


def train(model, settings: TrainingSettings = SETTINGS, **run):
    return train_motion_module(model, clips(), prompts(), settings, run=Run(**run))


class Until(Watch):
    """Ends a training after a step, and remembers what it was told."""

    def __init__(self, step: int) -> None:
        self.step, self.told, self.warnings = step, [], []

    def after_step(self, progress: Progress) -> None:
        self.told.append(progress)

    def stops(self) -> bool:
        return len(self.told) == self.step

    def warn(self, sentence: str) -> None:
        self.warnings.append(sentence)


@pytest.fixture
def state_of(model):
    """Every weight of the MODEL; afterwards they must be the same."""
    before = {key: tensor.clone() for key, tensor in model.model.diffusion_model.state_dict().items()}
    yield before
    after = model.model.diffusion_model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(tensor, before[key]) for key, tensor in after.items())


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The largest difference between two files."""
    assert one.keys() == other.keys()
    return max(float((tensor - other[key]).abs().max()) for key, tensor in one.items())


def test_a_new_motion_module_learns_a_clip_and_loads_here(model, state_of, tmp_path):
    settings = TrainingSettings(steps=16, learning_rate=1e-2, training_dtype="fp32", batch_size=2)
    trained = train_motion_module(model, clips(1), prompts(1), settings)
    assert trained.steps == len(trained.losses) == 16
    assert sum(trained.losses[-4:]) < 0.85 * sum(trained.losses[:4])
    assert trained.tensors.keys() == synthetic.family_module("v3", CHANNELS, 0).keys()
    save_file(trained.tensors, tmp_path / "new.safetensors")
    assert load_motion_module(tmp_path / "new.safetensors").model.config.family == "v3"


def test_a_training_goes_on_with_the_same_losses(model, tmp_path):
    whole = train(model)
    keeping, watch = Keeping(tmp_path / "a.state"), Until(2)
    part = train(model, keeping=keeping, watch=watch)
    assert (part.steps, part.losses) == (2, whole.losses[:2])
    rest = train(model, keeping=keeping)
    assert rest.losses == whole.losses
    assert same(rest.tensors, whole.tensors) == 0
    with pytest.raises(ValueError, match=r"a\.state is of another training: seed was 0, is 1"):
        train(model, replace(SETTINGS, seed=1), keeping=keeping)


def test_accumulation_is_a_larger_batch_and_checkpointing_changes_nothing(model):
    settings = replace(SETTINGS, optimizer="SGD", learning_rate=1.0, gradient_limit=0.0, steps=2)
    batch = train(model, settings)
    accumulated = train(model, replace(settings, batch_size=1, grad_accumulation_steps=2))
    twice = train(model, replace(settings, gradient_checkpointing=True))
    assert same(batch.tensors, accumulated.tensors) == 0
    assert same(batch.tensors, twice.tensors) < 1e-6


@pytest.mark.parametrize("dtype", ["bf16", "fp16", "none"])
def test_other_types_come_near(model, dtype):
    settings = replace(SETTINGS, steps=1)
    assert train(model, replace(settings, training_dtype=dtype)).losses == pytest.approx(train(model, settings).losses, rel=0.02)


def test_a_module_is_trained_on_from_its_weights_and_not_changed(model, motion, state_of):
    before = {key: tensor.clone() for key, tensor in motion.model.state_dict().items()}
    trained = train_motion_module(model, clips(), prompts(), replace(SETTINGS, learning_rate=1e-7, steps=1), start=motion)
    assert trained.tensors.keys() == before.keys()
    assert 0 < same(trained.tensors, before) < 1e-5
    assert same(motion.model.state_dict(), before) == 0


def test_a_model_made_in_inference_mode_can_be_trained_on():
    model = tiny_model()
    assert next(model.model.parameters()).is_inference()
    assert len(train(model, replace(SETTINGS, steps=1)).losses) == 1


def test_the_loss_is_told_by_noise_level(model):
    watch = Until(5)
    trained = train(model, replace(SETTINGS, grad_accumulation_steps=4, steps=1), watch=watch)
    assert [progress.loss for progress in watch.told] == trained.losses
    assert sum(watch.told[0].by_noise) / 4 == pytest.approx(trained.losses[0])


@pytest.mark.parametrize(
    ("latents", "captions", "message"),
    [
        ([], 0, "Needed clips to train on, got none"),
        (clips(2, frames=1), 2, "Clip 1 has 1 frame, motion needs at least 2"),
        (clips(1, frames=33), 1, "has 32 positions, clip 1 has 33 frames. Cut the clips to 32 frames"),
        (clips(3), 2, "got 2 captions for 3 clips"),
        ([clips()[0][None]], 1, r"clip 1 is \(1, 2, 4, 8, 8\)"),
    ],
)
def test_clips_that_cannot_be_trained_on(model, latents, captions, message):
    with pytest.raises(ValueError, match=message):
        train_motion_module(model, latents, prompts(captions), SETTINGS, FromScratch())


def test_after_any_failure_model_and_module_are_what_they_were(model, motion, state_of, monkeypatch):
    before = {key: tensor.clone() for key, tensor in motion.model.state_dict().items()}
    frames = run_ksampler(animate(model, motion), frames=2)
    broken = [clips()[0], torch.full((2, 4, 8, 8), torch.nan)]
    with pytest.raises(ValueError, match="The loss of step 1 is not a number"):
        train_motion_module(model, broken, prompts(), SETTINGS, motion)

    class Failing(Watch):
        def after_step(self, progress: Progress) -> None:
            raise MemoryError

    with pytest.raises(MemoryError):
        train_motion_module(model, clips(), prompts(), SETTINGS, motion, Run(watch=Failing()))
    with pytest.raises(MemoryError):
        train_domain_adapter(model, clips(), prompts(), SETTINGS, rank=2, run=Run(watch=Failing()))
    assert same(motion.model.state_dict(), before) == 0
    assert torch.equal(run_ksampler(animate(model, motion), frames=2), frames)


def test_clips_of_several_sizes_and_lengths_run_one_after_another(model):
    mixed = [clips(frames=2)[0], clips(frames=3, size=16)[1][..., :10]]  # 10 halves to 5 and to 3
    assert len(train_motion_module(model, mixed, prompts(), SETTINGS).losses) == 3


def test_dropped_captions_are_the_empty_prompt(model):
    empty = conditioning(9, tokens=4)
    settings = replace(SETTINGS, caption_dropout=1.0, learning_rate=1e-9, steps=2)
    dropped = train(model, settings, untold=empty).losses
    assert dropped == pytest.approx(train_motion_module(model, clips(), [empty], settings).losses, rel=1e-6)
    assert dropped != train(model, settings).losses


def test_dropout_without_an_empty_prompt_is_told(model):
    watch = Until(9)
    train_motion_module(model, clips(), prompts(), replace(SETTINGS, caption_dropout=0.5, steps=1), run=Run(watch=watch))
    assert "caption_dropout does nothing without an empty prompt. Give one, or set caption_dropout to 0." in watch.warnings


def test_prompts_of_frames_go_with_their_frames(model):
    """Shown backwards or in parts, a clip is the same as one that was turned round or cut, with its prompts."""
    words, masks = torch.cat([part[0][0] for part in prompts(3)]), torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(1))
    moving = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    noise = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(3))

    def clip_of(frames: list[int]) -> Clips:
        return Clips([moving[frames]], [[[words[frames], {"mask": masks[frames], "pooled_output": torch.zeros(1, 64)}]]])

    def outputs(given: Clips, count: int, frames: list[int] | None = None) -> torch.Tensor:
        found = []
        with torch.inference_mode(False):
            look = lambda evaluation: found.append(evaluation.outputs(0, 500, noise[:count], frames=frames)[0].detach())  # noqa: E731
            run_training(private_copy(model), given, False, look)
        return found[0]

    for order in ([2, 1, 0], [1], [2, 0]):
        shown, wanted = outputs(clip_of([0, 1, 2]), len(order), order), outputs(clip_of(order), len(order))
        assert torch.allclose(shown, wanted, atol=1e-5)
    assert not torch.allclose(outputs(clip_of([0, 1, 2]), 3), outputs(clip_of([2, 1, 0]), 3), atol=1e-3)

    def refused(evaluation: Evaluation) -> None:
        evaluation.prompts[0][0][0]["control"] = object()
        evaluation.outputs(0, 500, noise, frames=[2, 1, 0])

    with torch.inference_mode(False), pytest.raises(ValueError, match="Clips shown backwards or as single pictures cannot have a ControlNet"):
        run_training(private_copy(model), clip_of([0, 1, 2]), False, refused)


def test_a_v_prediction_model_learns_velocity(model):
    """Source of the velocity: Salimans and Ho 2022, arXiv 2202.00512, in the host's scale of latents."""
    velocity = ModelSamplingDiscrete().patch(model, "v_prediction", False)[0]
    for kind in (model, velocity):
        seen = []

        def look(evaluation: Evaluation, seen=seen) -> None:
            noise = torch.randn(evaluation.latents[0].shape, generator=torch.Generator().manual_seed(1))
            for level in (100, 600):
                _, wanted = evaluation.outputs(0, level, noise)
                seen.append((evaluation.sigmas[level], noise, evaluation.latents[0], wanted.detach()))

        with torch.inference_mode(False):
            run_training(private_copy(kind), Clips(clips(1), prompts(1)), False, look)
        for sigma, noise, clean, wanted in seen:
            target = noise if kind is model else (noise - sigma * clean) / (sigma**2 + 1) ** 0.5
            assert torch.allclose(wanted, target, atol=1e-3)


@pytest.mark.parametrize("changed", ["captions", "models"])
def test_a_state_of_other_models_or_captions_is_not_gone_on_from(model, tmp_path, changed):
    """By name it is refused; kept in a folder, the training begins anew."""
    other = tiny_model(seed=7) if changed == "models" else model
    words = prompts() if changed == "models" else prompts()[::-1]

    def run(image_model, captions, **keeping):
        settings = replace(SETTINGS, steps=2)
        return train_motion_module(image_model, clips(), captions, settings, run=Run(keeping=Keeping(**keeping)))

    run(model, prompts(), file=tmp_path / "a.pt")
    with pytest.raises(ValueError, match=f"a.pt is of another training: {changed} was"):
        run(other, words, file=tmp_path / "a.pt")
    first, second = run(model, prompts(), folder=tmp_path), run(other, words, folder=tmp_path)
    assert first.losses != second.losses
    assert run(model, prompts(), folder=tmp_path).losses == first.losses


def test_a_state_is_gone_on_from_in_another_process_and_on_another_machine(model, tmp_path):
    """The host orders the patches of a LoRA as a set does, anew in every process; computed noise levels differ in the last digit."""
    keys = [key for key in model.model.state_dict() if key.endswith("to_q.weight")]
    patched = model.clone()
    patched.add_patches({key: (0.1 * torch.ones_like(model.model.state_dict()[key]),) for key in keys}, 1.0)
    elsewhere = patched.clone()
    elsewhere.patches = dict(reversed(patched.patches.items()))
    run = Run(keeping=Keeping(file=tmp_path / "a.pt"))
    first = train_motion_module(patched, clips(), prompts(), replace(SETTINGS, steps=2), run=run)
    sigmas = model.model.model_sampling.sigmas
    before = sigmas.clone()
    try:
        sigmas.mul_(1 + 1e-7)
        further = train_motion_module(elsewhere, clips(), prompts(), replace(SETTINGS, steps=3), run=run)
    finally:
        sigmas.copy_(before)
    assert further.losses[:2] == first.losses and further.steps == 3
