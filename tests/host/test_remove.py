"""Remove Motion Module: what is left is the MODEL that was animated, with the patches of other nodes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from animatediff_native.nodes.apply import ApplyMotionModule, RemoveMotionModule
from animatediff_native.nodes.beta_schedule import ApplyBetaSchedule
from animatediff_native.nodes.context import ApplyContextWindows
from animatediff_native.sampling.run.animate import animate
from animatediff_native.sampling.run.cfg import with_cfg_curve
from animatediff_native.sampling.timeline.curve import make_curve
from animatediff_native.sampling.windows.options import WindowOptions
from animatediff_tests.host.test_order import frame_noise, free_init
from animatediff_tests.tiny import run_ksampler
from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete, RescaleCFG


def sampled(model: Any, frames: int = 4, **more: Any) -> torch.Tensor:
    """A short animation."""
    return run_ksampler(model, frames=frames, size=4, **more)


def removed(model: Any) -> Any:
    return RemoveMotionModule.execute(model).result[0]


def lcm(model: Any) -> Any:
    return ModelSamplingDiscrete().patch(model, "lcm", False)[0]


def lora(model: Any) -> Any:
    """A weight patch of another node."""
    key = "diffusion_model.input_blocks.1.0.in_layers.2.weight"
    model = model.clone()
    model.add_patches({key: ("diff", (torch.full_like(model.model.state_dict()[key], 0.01),))})
    return model


def names(model: Any) -> set[str]:
    """Everything a MODEL carries under a name of ours."""
    kept = [model.attachments, model.additional_models, *model.wrappers.values(), *model.callbacks.values()]
    return {key for group in kept for key, found in group.items() if key.startswith("animatediff") and found != []}


ALL = {
    "motion": None,
    "windows": lambda model: ApplyContextWindows.execute(model, WindowOptions(4, 1)).result[0],
    "noise": frame_noise,
    "freeinit": free_init,
    "cfg": lambda model: with_cfg_curve(model, make_curve("0: 1, -1: 9")),
}


@pytest.mark.parametrize("order", [tuple(ALL), tuple(ALL)[::-1]], ids=["forwards", "backwards"])
def test_everything_of_ours_goes_and_nothing_else(model, motion, order: tuple[str, ...]) -> None:
    """With patches of other nodes before, between and after ours."""
    changed, others = lora(model), lora(model)
    for number, name in enumerate(order):
        changed = ApplyMotionModule.execute(changed, motion).result[0] if name == "motion" else ALL[name](changed)
        if number == 2:
            changed, others = RescaleCFG().patch(changed, 0.3)[0], RescaleCFG().patch(others, 0.3)[0]
    animated = sampled(changed, frames=6, steps=1)
    left = removed(changed)
    assert names(changed) >= {"animatediff", "animatediff_noise", "animatediff_cfg", "animatediff_windows"} and not names(left)
    assert left.model_options.keys() == others.model_options.keys() and left.object_patches == others.object_patches
    wanted = sampled(others)
    assert torch.equal(sampled(left), wanted) and torch.equal(sampled(left.clone()), wanted)
    assert torch.equal(sampled(changed, frames=6, steps=1), animated), "the given MODEL is not changed"


def test_the_schedule_that_was_there_before_comes_back(model, motion, other_motion) -> None:
    assert torch.equal(sampled(removed(animate(model, motion))), sampled(model))
    wanted = sampled(lcm(model), sampler="lcm")
    for animated in (animate(lcm(model), motion), animate(animate(lcm(model), motion), other_motion), animate(lcm(animate(model, motion)), other_motion)):
        assert torch.equal(sampled(removed(animated), sampler="lcm"), wanted)


def test_a_later_schedule_of_another_node_is_kept(model, motion) -> None:
    assert torch.equal(sampled(removed(lcm(animate(model, motion)))), sampled(lcm(model)))


@pytest.mark.parametrize("later", [False, True])
def test_a_schedule_that_the_user_chose_is_kept(model, motion, later: bool) -> None:
    """So does AnimateDiff-Evolved; with ``checkpoint`` nothing was chosen but an end to the module's."""
    def choose(given: Any, name: str) -> Any:
        return ApplyBetaSchedule.execute(given, name).result[0]

    animated = choose(animate(model, motion), "mean") if later else animate(choose(model, "mean"), motion)
    assert torch.equal(sampled(removed(animated)), sampled(choose(model, "mean")))
    assert torch.equal(sampled(removed(choose(animate(model, motion), "checkpoint"))), sampled(model))


def test_a_model_without_motion(model) -> None:
    assert torch.equal(sampled(removed(model)), sampled(model))
    assert torch.equal(sampled(removed(free_init(frame_noise(model)))), sampled(model))


def test_animated_again(model, motion) -> None:
    once = animate(model, motion)
    assert torch.equal(sampled(animate(removed(once), motion)), sampled(once))
