"""Named noise schedules, and Apply Beta Schedule among the nodes that set one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import comfy.supported_models
import pytest
import torch
from animatediff_native.demo import synthetic
from animatediff_native.motion.config import BetaSchedule, Overrides
from animatediff_native.nodes.beta_schedule import ApplyBetaSchedule
from animatediff_native.sampling.host.noise_schedule import make_schedule
from animatediff_native.sampling.modules.choices import BETA_SCHEDULES, betas_named
from animatediff_native.sampling.modules.load import load_motion_module
from animatediff_native.sampling.modules.settings import config_of, settings_of
from animatediff_native.sampling.run.animate import animate
from animatediff_native.sampling.run.betas import convert_sigmas, with_beta_schedule
from animatediff_tests.tiny import CHANNELS, motion_file, run_ksampler, tiny_model
from comfy.model_base import ModelType
from comfy.model_sampling import EPS, V_PREDICTION
from comfy.model_sampling import ModelSamplingDiscrete as DiscreteSchedule
from comfy_extras.nodes_model_advanced import LCM, ModelSamplingContinuousEDM, ModelSamplingDiscrete, RescaleCFG
from torch import Tensor

NAMED = {name: betas for name, betas in BETA_SCHEDULES.items() if betas is not None}


def sampled(model: Any, frames: int = 4, **more: Any) -> torch.Tensor:
    """A short animation."""
    return run_ksampler(model, frames=frames, size=4, **more)


def sampling(model: Any) -> Any:
    return model.get_model_object("model_sampling")


def apply(model: Any, name: str, **more: Any) -> Any:
    return ApplyBetaSchedule.execute(model, name, **more).result[0]


def host_node(model: Any, kind: str = "lcm", zsnr: bool = False) -> Any:
    return ModelSamplingDiscrete().patch(model, kind, zsnr)[0]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A v2 module that leaves the MODEL's schedule alone."""
    path = motion_file(tmp_path_factory.mktemp("v2"), "v2", seed=1)
    return load_motion_module(path, Overrides(beta_schedule="checkpoint"))


# --- the named ones --------------------------------------------------------------------------------------------------


def table(curve: str, steps: int, start: float = 0.00085, end: float = 0.012) -> Tensor:
    """Sigmas from the definitions, in double precision; every so manieth from the last for ``steps`` LCM steps."""
    if curve == "mean":
        return (table("linear", steps) + table("scaled_linear", steps)) / 2
    time = torch.arange(1001, dtype=torch.float64) / 1000
    cosine = torch.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2
    betas = {
        "linear": torch.linspace(start, end, 1000, dtype=torch.float64),
        "scaled_linear": torch.linspace(start**0.5, end**0.5, 1000, dtype=torch.float64) ** 2,
        "sqrt": torch.linspace(start, end, 1000, dtype=torch.float64) ** 0.5,
        "cosine": (1 - cosine[1:] / cosine[:-1]).clamp(max=0.999),
        "squaredcos_cap_v2": (1 - cosine[1:] / cosine[:-1]).clamp(max=0.999),
    }[curve]
    kept = torch.cumprod(1 - betas, 0)
    sigmas = ((1 - kept) / kept).sqrt()
    return sigmas.flip(0)[:: 1000 // (steps or 1000)].flip(0)[-(steps or 1000) :]


@pytest.mark.parametrize(
    ("name", "curve", "steps", "end"),
    [
        ("linear", "linear", 0, 0.012), ("scaled_linear", "scaled_linear", 0, 0.012), ("scaled_linear_0.020", "scaled_linear", 0, 0.02),
        ("mean", "mean", 0, 0.012), ("lcm_100", "linear", 100, 0.012), ("lcm_100_scaled_linear", "scaled_linear", 100, 0.012),
        ("lcm_50_linear", "linear", 50, 0.012), ("lcm_50_scaled_linear", "scaled_linear", 50, 0.012), ("lcm_50_mean", "mean", 50, 0.012),
        ("sqrt", "sqrt", 0, 0.012), ("cosine", "cosine", 0, 0.012), ("squaredcos_cap_v2", "squaredcos_cap_v2", 0, 0.012),
    ],
)  # fmt: skip
def test_named_schedules_are_what_they_say(model, name: str, curve: str, steps: int, end: float) -> None:
    found = sampling(apply(model, name))
    wanted = table(curve, steps, end=end)
    assert (found.sigmas.double() / wanted - 1).abs().max() < 2e-4
    assert torch.allclose(found.log_sigmas, found.sigmas.log(), atol=1e-4)
    assert isinstance(found, LCM if steps else EPS) and isinstance(found, LCM) == bool(steps)
    assert found.timestep(found.sigmas[[0, -1]]).tolist() == [1000 // (steps or 1000) - 1, 999]


def test_every_name_is_tested_above() -> None:
    marks = test_named_schedules_are_what_they_say.pytestmark[0].args[1]
    assert {mark[0] for mark in marks} == set(NAMED)


@pytest.mark.parametrize(
    ("version", "wanted"),
    [
        ("v1", "linear"), ("v2", "linear"), ("v3", "linear"), ("pia", "linear"), ("long32", "linear"), ("lcm", "lcm_50_scaled_linear"),
        ("sdxl", "scaled_linear_0.020"), ("hotshot", "scaled_linear"),
    ],
)  # fmt: skip
def test_legacy_by_family(version: str, wanted: str, tmp_path: Path) -> None:
    """What AnimateDiff-Evolved chooses by itself."""
    config = config_of(load_motion_module(motion_file(tmp_path, version), Overrides(beta_schedule="legacy")))
    assert config.beta_schedule == NAMED[wanted] == betas_named("legacy", config)


def test_legacy_tells_animatelcm_by_its_missing_positions(tmp_path: Path) -> None:
    """In the diffusers layout, which stores positions, AnimateDiff-Evolved takes it for v2."""
    path = tmp_path / "AnimateLCM_with_positions.ckpt"
    torch.save(synthetic.motion_module(channels=CHANNELS, mid=True, positions=32), path)
    config = config_of(load_motion_module(path))
    assert config.family == "lcm" and betas_named("legacy", config) == betas_named("authors", config) == NAMED["lcm_100"]


@pytest.mark.parametrize("source", ["linear", "mean", "lcm_50_scaled_linear", "lcm_50_mean", "squaredcos_cap_v2", "sqrt"])
def test_sigmas_convert_there_and_back(source: str) -> None:
    """The same training steps under any other schedule, distilled or not: FreeInit and later nodes rely on it."""
    def made(name: str) -> DiscreteSchedule:
        from animatediff_native.sampling.host.noise_schedule import LatentConsistency

        kind: Any = LatentConsistency if NAMED[name].lcm_steps else type("Plain", (DiscreteSchedule, EPS), {})
        return make_schedule(kind, NAMED[name], 1000, False, NAMED[name].lcm_steps or 50)

    first = made(source)
    moments = torch.tensor([999.0, 600.0, 99.0])
    sigmas = torch.cat([first.sigma(moments), torch.zeros(1)])
    for name in NAMED:
        other = made(name)
        there = convert_sigmas(sigmas, first, other)
        assert torch.allclose(there[:3], other.sigma(moments), rtol=1e-4) and there[3] == 0
        assert torch.allclose(convert_sigmas(there, other, first), sigmas, rtol=1e-3)


# --- in a graph ------------------------------------------------------------------------------------------------------


def test_a_module_may_bring_any_of_them(model, tmp_path: Path) -> None:
    path = motion_file(tmp_path, "v2", seed=1)
    for name in ("mean", "lcm_50_mean", "lcm_50_linear", "squaredcos_cap_v2"):
        animated = animate(model, load_motion_module(path, Overrides(beta_schedule=name)))
        assert torch.equal(sampling(animated).sigmas, sampling(apply(model, name)).sigmas)
        clips = [sampled(with_node, sampler="lcm") for with_node in (animated, animated.clone())]
        assert torch.isfinite(clips[0]).all() and torch.equal(*clips)


def test_a_later_node_is_restored_for_a_module_with_lcm_steps(model, tmp_path: Path) -> None:
    """The host's LCM node keeps its 50 steps, with the module's betas."""
    module = load_motion_module(motion_file(tmp_path, "v2", seed=1), Overrides(beta_schedule="lcm_50_mean"))
    after = host_node(animate(model, module))
    assert torch.equal(sampled(after, sampler="lcm"), sampled(animate(host_node(model), module), sampler="lcm"))


@pytest.mark.parametrize("name", ["linear", "lcm_50_mean"])
def test_the_sampler_takes_its_steps_from_it(model, kept, name: str) -> None:
    """Before or after the module, on a clone, and without a module."""
    seen: list[float] = []

    def first_sigma(given: Any) -> float:
        given.set_model_unet_function_wrapper(lambda f, a: (seen.append(float(a["timestep"][0])), f(a["input"], a["timestep"], **a["c"]))[1])
        seen.clear()
        sampled(given, steps=1, scheduler="sgm_uniform")
        return seen[0]

    highest = float(table(NAMED[name].curve, 0)[-1])
    for given in (apply(animate(model, kept), name), animate(apply(model, name), kept), apply(model, name).clone()):
        assert first_sigma(given.clone()) == pytest.approx(highest, rel=1e-4)


def test_before_or_after_a_module_without_a_schedule_is_the_same(model, kept) -> None:
    assert torch.equal(sampled(apply(animate(model, kept), "mean")), sampled(animate(apply(model, "mean"), kept)))


@pytest.mark.parametrize("kind", ["eps", "lcm"])
def test_a_later_node_wins(model, motion, kept, kind: str) -> None:
    """Whatever schedule the module was trained with, a ModelSampling node after Apply Beta Schedule keeps its own."""
    chosen = host_node(apply(animate(model, motion), "linear"), kind)
    wanted = host_node(animate(model, kept), kind)
    assert sampling(chosen).sigmas[-1] < 15
    assert torch.equal(sampled(chosen), sampled(wanted))
    assert not torch.equal(sampled(host_node(animate(model, motion), kind)), sampled(wanted)), "without it, the module's"


def test_an_earlier_node_is_replaced_its_kind_too(model, kept) -> None:
    """A node before set LCM, another zero SNR: gone, as the named schedule is neither."""
    wanted = sampled(apply(animate(model, kept), "linear"))
    for earlier in (host_node(model), host_node(model, "v_prediction", True), ModelSamplingContinuousEDM().patch(model, "eps", 120.0, 0.002)[0]):
        assert torch.equal(sampled(apply(animate(earlier, kept), "linear")), wanted)
    first, second = apply(apply(model, "lcm_100"), "linear"), apply(model, "linear")
    assert torch.equal(sampling(first).sigmas, sampling(second).sigmas) and not isinstance(sampling(first), LCM)


def test_a_module_applied_later_brings_its_schedule_again(model, motion, kept) -> None:
    """With the kind that the user chose; one that leaves schedules alone changes nothing."""
    later = animate(apply(model, "lcm_50_scaled_linear"), motion)
    assert isinstance(sampling(later), LCM) and float(sampling(later).sigmas[-1]) > 25
    restored = host_node(animate(apply(model, "mean"), motion), "eps")
    assert torch.equal(sampled(restored), sampled(animate(model, motion)))
    assert torch.equal(sampling(animate(apply(model, "mean"), kept)).sigmas, sampling(apply(model, "mean")).sigmas)


def test_authors_and_legacy_ask_the_module(model, tmp_path: Path, kept) -> None:
    lcm = load_motion_module(motion_file(tmp_path, "lcm"), Overrides(beta_schedule="checkpoint"))
    for name, steps in (("authors", 100), ("legacy", 50)):
        assert len(sampling(apply(animate(model, lcm), name)).sigmas) == steps
        assert len(sampling(apply(animate(animate(model, lcm), kept), name)).sigmas) == 1000, "the one applied last"
        assert sampling(apply(model, name)) is sampling(model), "without a module it is not changed"
    assert sampling(apply(animate(model, kept), "checkpoint")) is sampling(model)


def test_the_checkpoints_prediction_is_kept(model) -> None:
    """LCM schedules predict as latent consistency models do, whatever the checkpoint does."""
    trained_on_v = tiny_model()
    trained_on_v.model.model_type = ModelType.V_PREDICTION
    assert isinstance(sampling(apply(trained_on_v, "mean")), V_PREDICTION)
    assert isinstance(sampling(apply(trained_on_v, "lcm_100")), LCM)
    forced = {kind: sampling(apply(trained_on_v, "lcm_100", prediction=kind)) for kind in ("eps", "v_prediction", "lcm")}
    assert [len(found.sigmas) for found in forced.values()] == [1000, 1000, 100]
    assert not isinstance(forced["eps"], V_PREDICTION) and isinstance(forced["v_prediction"], V_PREDICTION)
    assert len(sampling(apply(model, "linear", prediction="lcm")).sigmas) == 50


def test_a_schedule_of_ones_own(model) -> None:
    found = sampling(apply(model, "linear", linear_start=0.001, linear_end=0.015, prediction="lcm", lcm_steps=25))
    assert torch.allclose(found.sigmas.double(), table("linear", 25, 0.001, 0.015), rtol=1e-5)
    half = sampling(apply(model, "linear", linear_end=0.015))
    assert torch.allclose(half.sigmas.double(), table("linear", 0, 0.00085, 0.015), rtol=1e-5)
    for name in ("linear", "mean", "squaredcos_cap_v2", "lcm_50_mean"):
        rescaled = sampling(apply(model, name, zsnr=True)).sigmas
        assert float(rescaled[-1]) == pytest.approx(4518.8, rel=1e-3) and (rescaled.diff() > 0).all()


def test_what_cannot_be(model, motion) -> None:
    with pytest.raises(ValueError, match="beta_schedule is checkpoint, which leaves the MODEL's schedule as it is.*Choose another"):
        apply(model, "checkpoint", zsnr=True)
    with pytest.raises(ValueError, match=r"The schedule sqrt 0.00085 to 0.5 ends at noise levels that are too large.*Lower linear_end"):
        apply(model, "sqrt", linear_end=0.5)
    flow = tiny_model()
    flow.model.model_type = ModelType.FLOW
    assert sampling(apply(flow, "linear")) is sampling(flow), "no betas to replace"


def test_the_given_model_and_other_patches_are_kept(model, kept) -> None:
    before = sampling(model)
    rescaled = RescaleCFG().patch(model, 0.7)[0]
    changed = with_beta_schedule(animate(rescaled, kept), "mean")
    assert sampling(model) is before and not model.attachments
    assert changed.model_options["sampler_cfg_function"] is rescaled.model_options["sampler_cfg_function"]


def test_in_words(tmp_path: Path) -> None:
    chosen = Overrides(norm_scope="legacy_v2", beta_schedule="lcm_50_mean")
    assert settings_of(load_motion_module(motion_file(tmp_path, "v2"), chosen)).summary.endswith(
        "norms see all frames of a window (all of the image model's and the module's); betas: mean 0.00085 to 0.012, LCM on 50 steps"
    )
    kept = load_motion_module(motion_file(tmp_path, "v2"), Overrides(beta_schedule="checkpoint"))
    assert settings_of(kept).summary.endswith("norms see one frame; betas: the checkpoint's")
    assert str(BetaSchedule("linear")) == "linear 0.00085 to 0.012"
    assert str(BetaSchedule("cosine")) == "cosine" and str(NAMED["lcm_50_mean"]) == "mean 0.00085 to 0.012, LCM on 50 steps"
    assert comfy.supported_models.SD15.sampling_settings == {}, "the host's defaults are the betas of the names"
