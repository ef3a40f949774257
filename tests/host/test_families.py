"""Families on the real host: noise schedules that compose with the user's nodes, dtypes, windows on SDXL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from animatediff_native.demo import synthetic
from animatediff_native.motion.config import Overrides
from animatediff_native.sampling.modules.load import load_motion_module
from animatediff_native.sampling.modules.settings import config_of
from animatediff_native.sampling.run.animate import animate
from animatediff_native.sampling.windows.options import WindowOptions
from animatediff_tests.tiny import CHANNELS, motion_file, run_ksampler, tiny_sdxl_model
from comfy_extras.nodes_model_advanced import LCM, ModelSamplingDiscrete


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


def sigmas(model: Any) -> torch.Tensor:
    return model.get_model_object("model_sampling").sigmas


@pytest.fixture(scope="module")
def lcm(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("lcm") / "AnimateLCM_sd15_t2v.ckpt"
    torch.save(synthetic.motion_module(channels=CHANNELS, mid=True, positions=None, seed=3), path)
    return load_motion_module(path)


def run_lcm(model: Any) -> torch.Tensor:
    return run_ksampler(model, steps=4, cfg=1.5, sampler="lcm", scheduler="sgm_uniform")


def test_animatelcm_brings_its_own_sampling(model, lcm) -> None:
    """100 of the 1000 training steps of the authors' schedule, and the consistency prediction."""
    sampling = animate(model, lcm).get_model_object("model_sampling")
    betas = torch.linspace(0.00085, 0.012, 1000, dtype=torch.float64)
    products = torch.cumprod(1 - betas, 0)
    table = ((1 - products) / products).sqrt()[9::10]
    assert isinstance(sampling, LCM) and (sampling.sigmas.double() / table - 1).abs().max() < 1e-5
    assert sampling.timestep(sampling.sigmas[[0, 50, 99]]).tolist() == [9, 509, 999]


def test_the_users_choice_goes_before_animatelcms(model, lcm) -> None:
    """The host's own LCM node, with its 50 steps, before or after ours: the same clip, on the authors' betas."""
    before = animate(ModelSamplingDiscrete().patch(model, "lcm", False)[0], lcm)
    after = ModelSamplingDiscrete().patch(animate(model, lcm), "lcm", False)[0]
    assert len(sigmas(before)) == 50 and sigmas(before)[-1] > 25
    assert distance(run_lcm(after), run_lcm(before)) < 1e-5
    assert distance(run_lcm(animate(model, lcm)), run_lcm(before)) > 1e-3


def test_a_plain_schedule_after_ours_is_replaced_at_the_same_moments(model, lcm) -> None:
    """A node that puts the ordinary schedule back gets AnimateLCM's again, at the training steps it chose."""
    plain = ModelSamplingDiscrete().patch(animate(model, lcm), "eps", False)[0]
    clip = run_lcm(plain)
    assert torch.isfinite(clip).all() and distance(clip, run_lcm(animate(model, lcm))) < 0.05


def test_the_checkpoints_schedule_on_request(model, tmp_path: Path) -> None:
    kept = animate(model, load_motion_module(motion_file(tmp_path, "v2"), Overrides(beta_schedule="checkpoint")))
    assert torch.equal(sigmas(kept), sigmas(model))
    run_ksampler(kept)
    other = animate(model, load_motion_module(motion_file(tmp_path, "v2"), Overrides(beta_schedule="scaled_linear_0.020")))
    assert sigmas(other)[-1] > 60


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn])
@pytest.mark.parametrize("container", ["ckpt", "safetensors"])
def test_small_dtypes_run_and_stay_small(model, motion, tmp_path: Path, dtype: torch.dtype, container: str) -> None:
    loaded = load_motion_module(motion_file(tmp_path, "v2", seed=1, container=container, dtype=dtype))
    weights = {tensor.dtype for key, tensor in loaded.model.state_dict().items() if not key.endswith(".pe")}
    assert weights == {dtype}
    clip = run_ksampler(animate(model, loaded))
    assert distance(clip, run_ksampler(animate(model, motion))) < (0.5 if dtype == torch.float8_e4m3fn else 0.02)


def test_more_positions_on_request(model, tmp_path: Path) -> None:
    path = motion_file(tmp_path, "v2", seed=1)
    assert config_of(load_motion_module(path, Overrides(positions=48))).positions == 48
    assert torch.isfinite(run_ksampler(animate(model, load_motion_module(path, Overrides(positions=48))), frames=40)).all()


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("sdxl") / "mm_sdxl_v10_beta.ckpt"
    torch.save(synthetic.motion_module(channels=CHANNELS[:3], mid=False, positions=32, seed=3), path)
    return load_motion_module(path)


def test_sdxl_windows_without_overlap_are_clips_of_their_own(sdxl) -> None:
    """Sizes and pooled text reach every window, whatever its number of frames."""
    model = tiny_sdxl_model()
    clip = run_ksampler(animate(model, sdxl, WindowOptions(16, 0, freenoise=False)), frames=32)
    assert clip.shape[0] == 32 and torch.isfinite(clip).all()
    assert distance(clip, run_ksampler(model, frames=32)) > 1e-3


def test_sd15_module_on_sdxl_and_the_reverse(model, motion, sdxl) -> None:
    with pytest.raises(ValueError, match=r"is a motion module for SD1\.5, this MODEL is SDXL"):
        animate(tiny_sdxl_model(), motion)
    with pytest.raises(ValueError, match=r"is a motion module for SDXL, this MODEL is SD15.*Load an SDXL checkpoint"):
        animate(model, sdxl)
