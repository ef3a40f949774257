"""Animating a MODEL leaves the MODEL alone: parameters, buffers, module tree and output, bit for bit."""

from __future__ import annotations

import hashlib

import comfy.model_management
import pytest
import torch
from animatediff_native.sampling.run.animate import animate
from animatediff_native.sampling.windows.options import WindowOptions
from animatediff_tests.tiny import run_ksampler


def fingerprint(model) -> tuple[str, list[tuple[str, str]], str]:
    """Of the UNet: digest of all parameters and buffers, the module tree, and hooks left behind."""
    unet = model.model.diffusion_model
    digest = hashlib.sha256()
    for key, tensor in sorted(unet.state_dict().items()):
        digest.update(key.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    tree = [(name, type(module).__qualname__) for name, module in unet.named_modules()]
    hooks = [name for name, m in unet.named_modules() if m._forward_hooks or m._forward_pre_hooks]
    return digest.hexdigest(), tree, str(hooks)


@pytest.fixture(scope="module")
def before(model):
    """What the MODEL is and makes before anything is animated."""
    with torch.inference_mode():
        return run_ksampler(model), fingerprint(model)


class Stop(Exception):
    """Raised by a test inside a step."""


def raising(model, when: int):
    """The MODEL with a CFG function that raises at the ``when``-th call."""
    calls = []

    def cfg(args):
        calls.append(1)
        if len(calls) == when:
            raise Stop
        return args["uncond"] + (args["cond"] - args["uncond"]) * args["cond_scale"]

    model = model.clone()
    model.set_model_sampler_cfg_function(cfg)
    return model


def test_after_a_run(model, motion, before) -> None:
    clip = run_ksampler(animate(model, motion))
    assert (clip - before[0]).norm() / before[0].norm() > 0.05, "the module did nothing"
    assert torch.equal(run_ksampler(model), before[0])
    assert fingerprint(model) == before[1]


def test_after_windows(model, motion, before) -> None:
    clip = run_ksampler(animate(model, motion, WindowOptions(16, 4)), frames=40)
    assert clip.shape[0] == 40 and torch.isfinite(clip).all()
    assert torch.equal(run_ksampler(model), before[0])
    assert fingerprint(model) == before[1]


def test_during_a_run_through_another_clone(model, motion, before) -> None:
    """The UNet itself, called without our options in the middle of an animated step, gives the plain result."""
    x = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    t = torch.full((4,), 500.0)
    context = torch.randn(4, 77, 64, generator=torch.Generator().manual_seed(4))
    unet = model.model.diffusion_model
    plain = unet(x, t, context=context, transformer_options={})
    seen = []

    def cfg(args):
        seen.append((unet(x, t, context=context, transformer_options={}), fingerprint(model)))
        return args["uncond"] + (args["cond"] - args["uncond"]) * args["cond_scale"]

    animated = animate(model.clone(), motion)
    animated.set_model_sampler_cfg_function(cfg)
    run_ksampler(animated)
    assert len(seen) == 2
    for output, state in seen:
        assert torch.equal(output, plain)
        assert state == before[1]


def test_after_an_exception_inside_a_step(model, motion, before) -> None:
    wanted = run_ksampler(animate(model, motion))
    with pytest.raises(Stop):
        run_ksampler(raising(animate(model, motion), when=2))
    assert fingerprint(model) == before[1]
    assert torch.equal(run_ksampler(model), before[0])
    assert torch.equal(run_ksampler(animate(model, motion)), wanted)


def test_after_an_interrupt(model, motion, before) -> None:
    wanted = run_ksampler(animate(model, motion))
    stopped = animate(model, motion)

    def interrupt(args):
        comfy.model_management.interrupt_current_processing()
        return args["uncond"]

    stopped.set_model_sampler_cfg_function(interrupt)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        run_ksampler(stopped)
        comfy.model_management.throw_exception_if_processing_interrupted()
    comfy.model_management.interrupt_current_processing(False)
    assert fingerprint(model) == before[1]
    assert torch.equal(run_ksampler(model), before[0])
    assert torch.equal(run_ksampler(animate(model, motion)), wanted)


def test_two_modules_on_two_clones_do_not_see_each_other(model, motion, other_motion) -> None:
    first, second = animate(model, motion), animate(model, other_motion)
    clip, other = run_ksampler(first), run_ksampler(second)
    assert (clip - other).norm() / clip.norm() > 0.05
    assert torch.equal(run_ksampler(first), clip)
    assert torch.equal(run_ksampler(second), other)


def test_saving_an_animated_model_writes_exactly_the_checkpoint_keys(model, animated) -> None:
    """What ModelSave and CheckpointSave write."""
    run_ksampler(animated)
    assert set(animated.state_dict_for_saving()) == set(model.state_dict_for_saving())
    saved = animated.state_dict_for_saving()
    assert len(saved) == len(model.model.diffusion_model.state_dict())
    assert not [key for key in saved if "motion" in key or "temporal" in key]
