"""Settings, motion LoRAs, windows and bad input, on the real host."""

from __future__ import annotations

import logging

import pytest
import torch
from animatediff_native.motion.config import FAMILIES
from animatediff_native.sampling.modules.load import load_motion_module
from animatediff_native.sampling.modules.motion_lora import with_motion_lora
from animatediff_native.sampling.modules.settings import with_settings
from animatediff_native.sampling.run.animate import animate
from animatediff_native.sampling.windows.options import SCHEDULES, WindowOptions
from animatediff_tests.tiny import lora_file, motion_file, run_ksampler, tiny_sdxl_model


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


def plain_with_schedule(model):
    """The MODEL with the family's betas but no motion."""
    from animatediff_native.sampling.run.betas import set_beta_schedule

    clone = model.clone()
    set_beta_schedule(clone, FAMILIES["v2"].beta_schedule)
    return clone


def test_beta_schedule_is_the_authors(animated, model) -> None:
    betas = torch.linspace(0.00085, 0.012, 1000, dtype=torch.float64)
    products = torch.cumprod(1 - betas, 0)
    wanted = ((1 - products) / products).sqrt()
    sigmas = animated.get_model_object("model_sampling").sigmas.double()
    assert (sigmas / wanted - 1).abs().max() < 1e-5
    assert sigmas[-1] > 25 and model.get_model_object("model_sampling").sigmas[-1] < 15


def test_influence_zero_is_the_image_model(model, motion) -> None:
    clip = run_ksampler(animate(model, with_settings(motion, influence=0.0)))
    assert torch.equal(clip, run_ksampler(plain_with_schedule(model)))


def test_influence_and_attention_scale_change_the_clip(model, motion) -> None:
    full = run_ksampler(animate(model, motion))
    assert distance(run_ksampler(animate(model, with_settings(motion, influence=0.5))), full) > 0.01
    assert distance(run_ksampler(animate(model, with_settings(motion, attention_scale=1.5))), full) > 0.001


def test_percent_range_counts_the_steps_that_move(model, motion) -> None:
    """Of 4 steps, a module that ends at 0.5 acts in the first half: the clip lies between none and all."""
    clips = [
        run_ksampler(animate(model, with_settings(motion, start_percent=a, end_percent=b)), steps=4)
        for a, b in ((0.0, 0.5), (0.5, 1.0), (0.0, 1.0))
    ]
    still = run_ksampler(plain_with_schedule(model), steps=4)
    assert min(distance(clip, still) for clip in clips) > 1e-3
    assert distance(clips[0], clips[1]) > 1e-3 and distance(clips[0], clips[2]) > 1e-3


def test_impossible_percents_are_refused(motion) -> None:
    with pytest.raises(ValueError, match=r"start_percent must lie before end_percent.*0\.6 and 0\.4"):
        with_settings(motion, start_percent=0.6, end_percent=0.4)


def test_settings_survive_a_clone_of_the_model(model, motion) -> None:
    animated = animate(model, with_settings(motion, influence=0.5))
    assert torch.equal(run_ksampler(animated), run_ksampler(animated.clone().clone()))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_windows_without_motion_equal_the_plain_clip(model, schedule: str) -> None:
    from animatediff_native.sampling.run.windowed import set_windows

    windowed = model.clone()
    set_windows(windowed, WindowOptions(16, 4, schedule, freenoise=False))
    assert distance(run_ksampler(windowed, frames=40), run_ksampler(model, frames=40)) < 3e-4


def test_ad_params_name_the_frames_of_each_window(model, motion) -> None:
    seen = []
    animated = animate(model, motion, WindowOptions(16, 4))

    def note(apply_model, args):
        seen.append(args["c"]["transformer_options"]["ad_params"])
        return apply_model(args["input"], args["timestep"], **args["c"])

    animated.set_model_unet_function_wrapper(note)
    run_ksampler(animated, frames=40, steps=1)
    assert [(p["sub_idxs"][0], p["sub_idxs"][-1]) for p in seen] == [(0, 15), (12, 27), (24, 39)]
    assert all(p["full_length"] == 40 and p["context_length"] == 16 for p in seen)


# --- bad input -------------------------------------------------------------------------------------------------------


def test_more_frames_than_positions(model, motion) -> None:
    with pytest.raises(ValueError, match=r"handles at most 32 frames at once; this latent has 48\. Add Context Window"):
        run_ksampler(animate(model, motion), frames=48)
    assert torch.isfinite(run_ksampler(animate(model, motion))).all()


def test_windows_longer_than_positions(model, motion) -> None:
    with pytest.raises(ValueError, match=r"at most 32 frames at once, context_length is 64"):
        animate(model, motion, WindowOptions(64, 4))


def test_no_frames(model, motion) -> None:
    with pytest.raises(ValueError, match="The latent has 0 frames"):
        run_ksampler(animate(model, motion), frames=0)


@pytest.mark.parametrize("frames", [1, 8])
def test_fewer_frames_than_trained_is_a_warning_that_names_both(model, motion, frames: int, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        run_ksampler(animate(model, motion), frames=frames)
    assert f"was trained on clips of 16 frames, this animation has {frames}" in caplog.text


@pytest.mark.parametrize("overlap", [16, 20])
def test_overlap_not_less_than_length(overlap: int) -> None:
    with pytest.raises(ValueError, match=rf"got overlap {overlap} and length 16"):
        WindowOptions(16, overlap)


def test_a_schedule_that_leaves_frames_out_is_refused(model, motion) -> None:
    animated = animate(model, motion, WindowOptions(4, 1, "standard_uniform", stride=4))
    try:
        clip = run_ksampler(animated, frames=11)
    except ValueError as error:
        assert "Lower context_stride" in str(error)
    else:
        assert torch.isfinite(clip).all()


def test_nan_weights_are_named(model, tmp_path) -> None:
    path = motion_file(tmp_path, "v3", seed=1)
    state = torch.load(path, weights_only=True)
    key = "up_blocks.1.motion_modules.0.temporal_transformer.proj_in.weight"
    state[key][0, 0] = float("nan")
    torch.save(state, path)
    with pytest.raises(ValueError, match=rf"holds NaN in 1 tensors \(first: {key}\)"):
        run_ksampler(animate(model, load_motion_module(path)))


def test_module_and_model_of_different_bases(motion) -> None:
    with pytest.raises(ValueError, match=r"is a motion module for SD1\.5, this MODEL is SDXL"):
        animate(tiny_sdxl_model(), motion)


def test_the_same_module_twice(animated, motion) -> None:
    with pytest.raises(ValueError, match="already on this MODEL"):
        animate(animated, motion)


def test_motion_lora_of_another_base(motion, tmp_path) -> None:
    path = lora_file(tmp_path, seed=4, channels=(64, 128, 256))
    with pytest.raises(ValueError, match="trained for another base than this motion module"):
        with_motion_lora(motion, path, 1.0)
