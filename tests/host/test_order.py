"""Features together at their default settings, and our nodes in every order: the result must not depend on it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from animatediff_native.nodes.apply import ApplyMotionModule
from animatediff_native.nodes.context import ApplyContextWindows, ContextWindowOptions
from animatediff_native.nodes.noise import ApplyFrameNoise, ApplyFreeInit
from animatediff_native.sampling.run.around import around_run
from animatediff_tests.tiny import conditioning, run_ksampler
from comfy.cli_args import LatentPreviewMethod, args
from comfy.context_windows import apply_freenoise
from comfy.patcher_extension import WrappersMP
from comfy.samplers import CFGGuider
from comfy_extras.nodes_context_windows import ContextWindowsManualNode
from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete
from torch import Tensor

import nodes as host_nodes


def windows(**more: Any) -> Any:
    """Context Window Options as the node gives them, at their defaults but for ``more``."""
    choices = {"context_length": 16, "context_overlap": 4, "context_schedule": "standard_static", "fuse_method": "pyramid"}
    return ContextWindowOptions.execute(**{**choices, **more}).result[0]


def free_init(model: Any, **more: Any) -> Any:
    options = {"iterations": 2, "filter": "butterworth", "spatial": 0.25, "temporal": 0.25, "order": 4, **more}
    return ApplyFreeInit.execute(model, **options).result[0]


def frame_noise(model: Any, kind: str = "per frame") -> Any:
    return ApplyFrameNoise.execute(model, kind=kind, shared=0.0, length=16, overlap=4).result[0]


def spied(model: Any) -> tuple[Any, list[Tensor], list[Tensor]]:
    """The MODEL with a record of the noise that each sampling is given and of what it makes, both in model latents."""
    given: list[Tensor] = []
    made: list[Tensor] = []

    def spy(executor: Any, guider: Any, sigmas: Any, extra: Any, callback: Any, noise: Tensor, *rest: Any, **kw: Any) -> Any:
        given.append(noise.clone())
        made.append(executor(guider, sigmas, extra, callback, noise, *rest, **kw).clone())
        return made[-1]

    model = model.clone()
    model.add_wrapper_with_key(WrappersMP.SAMPLER_SAMPLE, "zz_innermost", spy)
    return model, given, made


def low_frequencies(x: Tensor) -> Tensor:
    """The lowest eighth of the frequencies of ``(F, C, H, W)`` on each axis, by a filter that is not the one under test."""
    spectrum = torch.fft.fftn(x.double(), dim=(0, 2, 3))
    keep = torch.ones(())
    for axis in (0, 2, 3):
        frequency = torch.fft.fftfreq(x.shape[axis]).abs() <= 1 / 16
        keep = keep * frequency.view([-1 if a == axis else 1 for a in range(4)])
    return torch.fft.ifftn(spectrum * keep, dim=(0, 2, 3)).real


def correlation(a: Tensor, b: Tensor) -> float:
    a, b = a.flatten() - a.mean(), b.flatten() - b.mean()
    return float((a @ b) / (a.norm() * b.norm()))


def diffused(model: Any, clean: Tensor, noise: Tensor) -> Tensor:
    """The last result as the next iteration starts from it, before its fast part is replaced."""
    sigma = float(model.get_model_object("model_sampling").sigma_max)
    return (clean + sigma * noise) / (1 + sigma**2) ** 0.5


def windowed_by_us(model: Any, motion: Any) -> Any:
    return ApplyMotionModule.execute(model, motion, windows()).result[0]


def windowed_by_the_host(model: Any, motion: Any) -> Any:
    animated = ApplyMotionModule.execute(model, motion).result[0]
    return ContextWindowsManualNode.execute(animated, 16, 4, "standard_static", 1, False, "pyramid", 0, True).result[0]


def windowed_without_motion(model: Any, _: Any) -> Any:
    return ApplyContextWindows.execute(model, windows()).result[0]


def the_hosts_without_motion(model: Any, _: Any) -> Any:
    return ContextWindowsManualNode.execute(model, 16, 4, "standard_static", 1, False, "pyramid", 0, True).result[0]


WAYS = [windowed_by_us, windowed_by_the_host, windowed_without_motion, the_hosts_without_motion]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_freeinit_keeps_slow_motion_in_every_window(model, motion, way: Callable[[Any, Any], Any]) -> None:
    """With FreeNoise on, as it is by default: what FreeInit keeps is not shuffled again.

    While the host shuffled each iteration, frames beyond the first window had the low frequencies of other frames.
    """
    spy, given, made = spied(free_init(way(model, motion)))
    run_ksampler(spy, frames=32, steps=2, size=16)
    assert len(given) == 2
    kept, wanted = low_frequencies(given[1]), low_frequencies(diffused(spy, made[0], given[0]))
    assert correlation(kept[:16], wanted[:16]) > 0.9
    assert correlation(kept[16:], wanted[16:]) > 0.9


@pytest.mark.parametrize("views", [False, True])
def test_freeinit_over_several_options_and_an_odd_picture(model, motion, views: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Static windows, then looped ones with strides, or views; 12 x 9 latents, 33 frames, a live preview; run twice."""
    monkeypatch.setattr(args, "preview_method", LatentPreviewMethod.Latent2RGB)
    loops = {"context_length": 12, "context_overlap": 3, "context_schedule": "looped_uniform", "context_stride": 2}
    plan = windows(**loops, closed_loop=True, views=views, start_percent=0.5, previous_options=windows())
    spy, given, made = spied(free_init(ApplyMotionModule.execute(model, motion, plan).result[0]))
    latent, prompts = {"samples": torch.zeros(33, 4, 12, 9)}, (conditioning(1), conditioning(2))
    runs = [host_nodes.common_ksampler(spy, 1, 2, 3.0, "euler", "normal", *prompts, latent)[0]["samples"] for _ in range(2)]
    assert torch.isfinite(runs[0]).all() and torch.equal(*runs)
    kept, wanted = low_frequencies(given[1]), low_frequencies(diffused(spy, made[0], given[0]))
    assert correlation(kept[16:], wanted[16:]) > 0.9


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_fresh_noise_is_the_hosts_freenoise(model, motion, way: Callable[[Any, Any], Any]) -> None:
    """Bit for bit what the host's own function makes of the noise that is given without windows."""
    spy, given, _ = spied(way(model, motion))
    run_ksampler(spy, frames=40, steps=1)
    plain, noise, _ = spied(model)
    run_ksampler(plain, frames=40, steps=1)
    assert torch.equal(given[0], apply_freenoise(noise[0].clone(), 0, 16, 4, 1))
    assert not torch.equal(given[0][16:], noise[0][16:])


def test_noise_that_the_user_chose_per_frame_is_not_shuffled(model, motion) -> None:
    """Apply Frame Noise beside windows at their defaults: a longer animation begins like a shorter one."""
    long, given, _ = spied(frame_noise(windowed_by_us(model, motion)))
    run_ksampler(long, frames=32, steps=1)
    short, wanted, _ = spied(frame_noise(model))
    run_ksampler(short, frames=24, steps=1)
    assert torch.equal(given[0][:24], wanted[0])
    assert len({frame.sum().item() for frame in given[0]}) == 32


# --- the order of nodes ----------------------------------------------------------------------------------------------


def _steps(motion: Any) -> dict[str, Callable[[Any], Any]]:
    return {
        "motion": lambda model: ApplyMotionModule.execute(model, motion).result[0],
        "freeinit": free_init,
        "noise": frame_noise,
        "windows": lambda model: ApplyContextWindows.execute(model, windows(context_length=12)).result[0],
    }


@pytest.mark.parametrize("scheduled", [False, True], ids=["alone", "a schedule after"])
@pytest.mark.parametrize("names", [("motion", "freeinit"), ("motion", "freeinit", "windows"), ("motion", "noise", "windows", "freeinit")], ids="+".join)
def test_the_order_of_our_nodes_changes_nothing(model, motion, names: tuple[str, ...], scheduled: bool) -> None:
    """Bit for bit, also with a ModelSampling node after all of them, which the motion module's schedule replaces."""
    made, orders = [], list(permutations(names))
    for order in orders if len(names) < 4 else (orders[0], orders[9], orders[-1]):
        changed = model
        for name in order:
            changed = _steps(motion)[name](changed)
        changed = ModelSamplingDiscrete().patch(changed, "eps", False)[0] if scheduled else changed
        made.append(run_ksampler(changed, frames=16, steps=1))
    assert all(torch.equal(made[0], other) for other in made[1:])


@pytest.mark.parametrize("freeinit_first", [False, True])
def test_warnings_come_once_per_run(model, motion, freeinit_first: bool, caplog: pytest.LogCaptureFixture) -> None:
    steps = _steps(motion)
    changed = model
    for name in ("freeinit", "motion") if freeinit_first else ("motion", "freeinit"):
        changed = steps[name](changed)
    with caplog.at_level(logging.WARNING):
        run_ksampler(changed, frames=8, steps=1)
    assert caplog.text.count("was trained on clips of 16 frames") == 1


@pytest.mark.parametrize("ours_first", [False, True])
def test_a_module_of_animatediff_evolved_beside_ours_is_refused(model, motion, other_motion, ours_first: bool) -> None:
    """Its modules are additional models named ADE; both packs would act on every frame. Without modules it is welcome."""
    theirs = model.clone()
    theirs.set_additional_models("ADE", [other_motion.clone()])
    words = "has a motion module of AnimateDiff-Evolved and one of AnimateDiff Native"
    if not ours_first:
        with pytest.raises(ValueError, match=words):
            ApplyMotionModule.execute(theirs, motion)
        return
    both = ApplyMotionModule.execute(model, motion).result[0]
    both.set_additional_models("ADE", [other_motion.clone()])
    with pytest.raises(ValueError, match=words):
        run_ksampler(both, steps=1)
    both.set_additional_models("ADE", [])
    assert torch.isfinite(run_ksampler(both, steps=1)).all()


def test_one_wrapper_goes_around_a_run(model, motion) -> None:
    changed = model
    for step in _steps(motion).values():
        changed = step(changed)
    wrappers = changed.wrappers[WrappersMP.OUTER_SAMPLE]
    assert [len(found) for found in wrappers.values()] == [1]


# --- what is no animation --------------------------------------------------------------------------------------------


def test_latents_of_video_models_get_frame_noise_and_nothing_else(model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five axes and a live preview: no contact sheet is made of them, and their masks are not repeated."""
    monkeypatch.setattr(args, "preview_method", LatentPreviewMethod.Latent2RGB)
    noise, seen = torch.randn(2, 16, 3, 8, 8), []
    guider = CFGGuider(frame_noise(model))
    guider.conds = {"positive": [{"mask": torch.ones(3, 8, 8)}]}

    class Executor:
        class_obj = guider

        def __call__(self, noise: Tensor, latent: Tensor, sampler: Any, sigmas: Tensor, mask: Any, callback: Any, *rest: Any) -> Tensor:
            seen.append(noise)
            callback(0, noise, noise, 1)
            return noise

    told: list[int] = []
    around_run(Executor(), noise, torch.zeros_like(noise), None, torch.ones(2), None, lambda step, *_: told.append(step), False, 5)
    assert told == [0] and seen[0].shape == noise.shape and not torch.equal(seen[0], noise)
    assert guider.conds["positive"][0]["mask"].shape[0] == 3


@pytest.mark.parametrize("shape", [(1, 4, 8, 8), (2, 16, 3, 8, 8)])
def test_freeinit_refuses_what_is_no_animation(model, shape: tuple[int, ...]) -> None:
    """It would sample several times for nothing: one frame has no slow part over time."""
    guider = CFGGuider(free_init(model))
    guider.conds = {}
    executor = SimpleNamespace(class_obj=guider)
    noise = torch.randn(shape)
    with pytest.raises(ValueError, match=r"FreeInit needs a batch of at least 2 frames.*got \(.*Raise the batch size"):
        around_run(executor, noise, torch.zeros_like(noise), None, torch.ones(2))


@pytest.mark.parametrize("fails", [False, True])
def test_an_adopted_handler_keeps_nothing_after_its_run(model, motion, fails: bool) -> None:
    """Cut conditioning, controls and the model would stay in memory until Python collects a circle."""
    handlers: list[Any] = []

    def note(executor: Any, *given: Any, **kw: Any) -> Any:
        handlers.append(given[-1]["context_handler"] if isinstance(given[-1], dict) else None)
        if fails and len(handlers) == 1:
            raise RuntimeError("a made-up failure")
        return executor(*given, **kw)

    windowed = windowed_by_the_host(model, motion)
    windowed.add_wrapper_with_key(WrappersMP.CALC_COND_BATCH, "note", note)
    if fails:
        with pytest.raises(RuntimeError, match="made-up"):
            run_ksampler(windowed, frames=24, steps=1)
    else:
        run_ksampler(windowed, frames=24, steps=1)
    handler = handlers[0]
    assert type(handler).__name__ == "FrameWindows" and handler._model is None
    assert not handler.cache._resized and not handler.cache.controls._cuts and handler.cache._windows == (None, [])


# --- FreeInit's noise level ------------------------------------------------------------------------------------------


def sampled(model: Any, latent: Tensor, scheduler: str, denoise: float) -> None:
    prompts = (conditioning(1), conditioning(2))
    host_nodes.common_ksampler(model, 1, 4, 3.0, "euler", scheduler, *prompts, {"samples": latent}, denoise=denoise)


@pytest.mark.parametrize("scheduler", ["normal", "ddim_uniform"])
def test_a_run_from_nothing_is_diffused_to_the_last_training_step(model, motion, scheduler: str) -> None:
    """As the authors do (t = 999), whatever step the schedule begins at: ddim_uniform begins at 751 with 4 steps."""
    spy, given, made = spied(free_init(ApplyMotionModule.execute(model, motion).result[0], spatial=1.0, temporal=1.0, filter="ideal"))
    sampled(spy, torch.zeros(16, 4, 8, 8), scheduler, 1.0)
    kept, wanted = low_frequencies(given[1]), low_frequencies(diffused(spy, made[0], given[0]))
    assert (kept - wanted).norm() / wanted.norm() < 1e-5


def test_a_run_from_a_latent_is_diffused_to_its_first_sigma(model, motion) -> None:
    """The host adds the latent to the scaled noise: together they are the last result and its noise."""
    animated = ApplyMotionModule.execute(model, motion).result[0]
    spy, given, made = spied(free_init(animated, spatial=1.0, temporal=1.0, filter="ideal"))
    latent = torch.randn(16, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    seen: list[Tensor] = []
    spy.set_model_unet_function_wrapper(lambda apply, args: seen.append(args["input"][:16]) or apply(args["input"], args["timestep"], **args["c"]))
    sampled(spy, latent, "normal", 0.5)
    first, again = seen[0], seen[len(seen) // 2]
    sigma = float(((first - animated.model.process_latent_in(latent)) / given[0]).median())
    kept, wanted = low_frequencies(again), low_frequencies(made[0] + sigma * given[0])
    assert (kept - wanted).norm() / wanted.norm() < 1e-4
