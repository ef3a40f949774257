"""Devices that nobody tests on: no double precision (Apple silicon, Intel), norms over frames on Apple's.

``OnDevice`` stands for a tensor on such a device: it refuses double precision with Apple's words, until it is moved to the
CPU. All of a run goes through it: the noise schedule's tables, the latents, and whatever is computed from them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from animatediff_native.nodes.apply import ApplyMotionModule, MotionSettings
from animatediff_native.nodes.context import ApplyContextWindows, ContextWindowOptions
from animatediff_native.nodes.noise import ApplyFrameNoise, ApplyFreeInit
from animatediff_native.nodes.schedule import ApplyCFGCurve, ValueCurve
from animatediff_tests.recorder import controlled, prompts
from animatediff_tests.tiny import motion_file, run_ksampler, tiny_model
from comfy.patcher_extension import WrappersMP
from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete
from torch import Tensor


class OnDevice(torch.Tensor):
    """A tensor that cannot be in double precision until it is on the CPU."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = super().__torch_function__(func, types, args, kwargs or {})
        to_cpu = func is Tensor.cpu or (func is Tensor.to and "cpu" in map(str, (*args[1:], *(kwargs or {}).values())))
        if to_cpu and isinstance(out, OnDevice):
            return out.as_subclass(Tensor)
        for result in out if isinstance(out, tuple | list) else (out,):
            if isinstance(result, OnDevice) and result.dtype == torch.float64:
                raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64.")
        return out


def test_the_stand_in_refuses_what_the_device_refuses() -> None:
    x = torch.ones(2).as_subclass(OnDevice)
    for change in (x.double, lambda: x.to(torch.float64), lambda: torch.add(x, torch.ones(2, dtype=torch.float64))):
        with pytest.raises(TypeError, match="float64"):
            change()
    assert type(x.cpu().double()) is Tensor and type(x * 2) is OnDevice


def moved(model: Any) -> Any:
    """The MODEL as after a run: its noise schedules are on the device. Sampling it puts the latents there too."""
    for schedule in (model.model.model_sampling, model.get_model_object("model_sampling")):
        for name, table in schedule.named_buffers():
            schedule._buffers[name] = table.as_subclass(OnDevice)
    model = model.clone()

    def on_device(executor: Any, guider: Any, sigmas: Tensor, extra: Any, callback: Any, noise: Tensor, *rest: Any, **kw: Any) -> Any:
        out = executor(guider, sigmas.as_subclass(OnDevice), extra, callback, noise.as_subclass(OnDevice), *rest, **kw)
        assert isinstance(out, OnDevice)
        return out.cpu()

    model.add_wrapper_with_key(WrappersMP.SAMPLER_SAMPLE, "on_device", on_device)
    return model


def curve(values: str, over: str = "frames") -> Any:
    return ValueCurve.execute(values, over, "linear", False, 16).result[0]


def windows(**more: Any) -> Any:
    options = {"context_length": 16, "context_overlap": 4, "context_schedule": "standard_static", "fuse_method": "pyramid", **more}
    return ContextWindowOptions.execute(**options).result[0]


def plain(model: Any, module: Any) -> Any:
    return ApplyMotionModule.execute(model, module).result[0]


def a_schedule_after(model: Any, module: Any) -> Any:
    return ModelSamplingDiscrete().patch(plain(model, module), "v_prediction", True)[0]


def curves(model: Any, module: Any) -> Any:
    module = MotionSettings.execute(module, curve("0: 0.2\n-1: 1.5"), curve("0: 1\n1.0: 1.2", "steps"), 0.0, 0.9).result[0]
    return ApplyCFGCurve.execute(plain(model, module), curve("0: 1\n-1: 6")).result[0]


def all_noise(model: Any, module: Any) -> Any:
    noisy = ApplyFrameNoise.execute(plain(model, module), kind="per frame", shared=0.2, length=16, overlap=4).result[0]
    return ApplyFreeInit.execute(noisy, iterations=2, filter="gaussian", spatial=0.3, temporal=0.3, order=4).result[0]


def in_windows(model: Any, module: Any) -> Any:
    freeinit = ApplyFreeInit.execute(plain(model, module), iterations=2, filter="butterworth", spatial=0.3, temporal=0.3, order=4)
    return ApplyContextWindows.execute(freeinit.result[0], windows()).result[0]


def in_views(model: Any, module: Any) -> Any:
    return ApplyContextWindows.execute(plain(model, module), windows(views=True)).result[0]


SCENES = [plain, a_schedule_after, curves, all_noise, in_windows, in_views]


@pytest.mark.parametrize(
    ("scene", "sampler"),
    [*((scene, "euler") for scene in SCENES), (all_noise, "dpmpp_sde")],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_no_step_asks_for_double_precision_on_the_device(motion, scene: Callable[[Any, Any], Any], sampler: str) -> None:
    """The second run of a MODEL, when its tables are on the device, gives what the first gave."""
    positive, _ = controlled(prompts(1), 24, size=16)
    run = {"frames": 24, "steps": 2, "sampler": sampler, "positive": positive}
    wanted = run_ksampler(scene(tiny_model(), motion), **run)
    again = run_ksampler(moved(scene(tiny_model(), motion)), **run)
    assert torch.equal(again, wanted)


@pytest.mark.parametrize("family", ["v1", "v2", "lcm"])
def test_a_motion_module_on_a_model_that_has_made_an_image(tmp_path: Path, family: str) -> None:
    from animatediff_native.sampling.modules.load import load_motion_module

    module = load_motion_module(motion_file(tmp_path, family, seed=4))
    wanted = run_ksampler(plain(tiny_model(), module), steps=2)
    again = run_ksampler(plain(moved(tiny_model()), module), steps=2)
    assert torch.equal(again, wanted)


def test_norms_over_frames_evaluate_conds_one_by_one_there(model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Black pictures are reported for conds that are evaluated together; the result is the same either way."""
    from animatediff_native.motion.config import Overrides
    from animatediff_native.sampling.modules.load import load_motion_module
    from animatediff_native.sampling.run import norms

    animated = plain(model, load_motion_module(motion_file(tmp_path, "v1", seed=4)))
    counts: list[int] = []
    animated.set_model_unet_function_wrapper(
        lambda apply, args: counts.append(len(args["cond_or_uncond"])) or apply(args["input"], args["timestep"], **args["c"])
    )
    together = run_ksampler(animated, steps=2)
    assert set(counts) == {2}
    counts.clear()
    monkeypatch.setattr(norms, "APART", ("cpu",))
    apart = run_ksampler(animated, steps=2)
    assert set(counts) == {1} and len(counts) == 4
    assert (apart - together).norm() / together.norm() < 1e-5
    monkeypatch.undo()
    windowed = ApplyContextWindows.execute(animated, windows()).result[0]
    wanted = [run_ksampler(windowed, frames=24, cfg=cfg) for cfg in (1.0, 3.0)]
    monkeypatch.setattr(norms, "APART", ("cpu",))
    for cfg, given in zip((1.0, 3.0), wanted, strict=True):  # in windows, with one cond and with two
        got = run_ksampler(windowed, frames=24, cfg=cfg)
        assert (got - given).norm() / given.norm() < 1e-5
    counts.clear()
    v2 = plain(model, load_motion_module(motion_file(tmp_path, "v2", seed=4)))
    v2.set_model_unet_function_wrapper(animated.model_options["model_function_wrapper"])
    run_ksampler(v2, steps=1)
    assert set(counts) == {2}, "only where norms see all frames"
    counts.clear()
    pooled = plain(model, load_motion_module(motion_file(tmp_path, "v2", seed=4), Overrides(norm_scope="legacy_v2")))
    pooled.set_model_unet_function_wrapper(animated.model_options["model_function_wrapper"])
    run_ksampler(pooled, steps=1)
    assert set(counts) == {1}
