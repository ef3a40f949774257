"""With samplers, guiders and patches of the host: before or after ours, the clip is the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.lora
import comfy.samplers
import pytest
import torch
from animatediff_native.sampling.modules.motion_lora import with_motion_lora
from animatediff_native.sampling.modules.settings import with_settings
from animatediff_native.sampling.run.animate import animate
from animatediff_native.sampling.timeline.curve import make_curve
from animatediff_native.sampling.windows.options import WindowOptions
from animatediff_tests.tiny import conditioning, lora_file, run_ksampler
from comfy_extras import nodes_custom_sampler, nodes_freelunch, nodes_model_advanced, nodes_perpneg

import nodes as host_nodes


def outputs(result: Any) -> tuple[Any, ...]:
    """What a host node returns, V1 or V3."""
    return result if isinstance(result, tuple) else result.result


def run_node(node: type, **inputs: Any) -> Any:
    """First output of a host node, V1 or V3."""
    if hasattr(node, "execute"):
        return outputs(node.execute(**inputs))[0]
    return outputs(getattr(node(), node.FUNCTION)(**inputs))[0]


def unet_lora(model, seed: int = 5) -> dict[str, torch.Tensor]:
    """A LoRA of the SD UNet that touches every mapped weight."""
    generator = torch.Generator().manual_seed(seed)
    weights = model.model.state_dict()
    lora = {}
    names = comfy.lora.model_lora_keys_unet(model.model, {})
    for key, name in {key: name for name, key in names.items() if name.startswith("lora_unet_")}.items():
        if key not in weights:
            continue
        weight = weights[key]
        if weight.ndim in (2, 4):
            rest = weight.shape[2:]
            lora[f"{name}.lora_up.weight"] = torch.randn(weight.shape[0], 2, *(1,) * len(rest), generator=generator) * 0.02
            lora[f"{name}.lora_down.weight"] = torch.randn(2, *weight.shape[1:], generator=generator) * 0.02
    return lora


def with_lora(model):
    lora = unet_lora(model)
    patches = comfy.lora.load_lora(lora, comfy.lora.model_lora_keys_unet(model.model, {}))
    assert len(patches) == len(lora) // 2 > 100
    model = model.clone()
    applied = model.add_patches(patches, 1.0)
    assert len(applied) == len(patches)
    return model


def with_free_u(model):
    """Version 1: the second divides by the spread of a feature map, which is 0 on maps of one pixel as here."""
    return run_node(nodes_freelunch.FreeU, model=model, b1=1.3, b2=1.4, s1=0.9, s2=0.2)


def with_sampling(kind: str, zsnr: bool = False) -> Callable[[Any], Any]:
    return lambda model: run_node(nodes_model_advanced.ModelSamplingDiscrete, model=model, sampling=kind, zsnr=zsnr)


def with_rescaled_cfg(model):
    return run_node(nodes_model_advanced.RescaleCFG, model=model, multiplier=0.7)


PATCHES: dict[str, Callable[[Any], Any]] = {
    "lora": with_lora,
    "free_u": with_free_u,
    "eps": with_sampling("eps"),
    "v_prediction_zsnr": with_sampling("v_prediction", True),
    "lcm": with_sampling("lcm"),
    "rescale_cfg": with_rescaled_cfg,
}


@pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES)
def test_patches_before_and_after_give_the_same_clip(model, motion, patch) -> None:
    plain = run_ksampler(animate(model, motion))
    before = run_ksampler(animate(patch(model), motion))
    after = run_ksampler(patch(animate(model, motion)))
    assert (before - after).norm() / before.norm() < 1e-5
    if patch is not PATCHES["eps"]:
        assert (before - plain).norm() / plain.norm() > 1e-4, "the patch did nothing"


def test_a_lora_loaded_after_a_run_applies_all_its_keys(model, animated) -> None:
    run_ksampler(animated)
    with_lora(animated)
    with_lora(model)


def test_a_pre_cfg_function_is_called(model, motion) -> None:
    calls = []

    def pre_cfg(args):
        calls.append(len(args["conds_out"]))
        return args["conds_out"]

    animated = animate(model, motion)
    animated.set_model_sampler_pre_cfg_function(pre_cfg)
    run_ksampler(animated, steps=3)
    assert calls == [2, 2, 2]


class Noise:
    """The host's noise object."""

    seed = 7

    def generate_noise(self, latent: dict[str, Any]) -> torch.Tensor:
        return torch.randn(latent["samples"].shape, generator=torch.Generator().manual_seed(self.seed))


def guider(name: str, model: Any) -> Any:
    positive, negative, empty = (conditioning(seed) for seed in (1, 2, 3))
    if name == "cfg":
        return run_node(nodes_custom_sampler.CFGGuider, model=model, positive=positive, negative=negative, cfg=3.0)
    if name == "dual_cfg":
        node = nodes_custom_sampler.DualCFGGuider
        conds = {"cond1": positive, "cond2": empty, "negative": negative}
        return run_node(node, model=model, **conds, cfg_conds=3.0, cfg_cond2_negative=2.0, style="regular")
    conds = {"positive": positive, "negative": negative, "empty_conditioning": empty}
    return run_node(nodes_perpneg.PerpNegGuider, model=model, **conds, cfg=3.0, neg_scale=1.0)


@pytest.mark.parametrize("frames", [16, 40])
@pytest.mark.parametrize("name", ["cfg", "dual_cfg", "perp_neg"])
def test_guiders(model, motion, name: str, frames: int) -> None:
    context = WindowOptions(16, 4, freenoise=False) if frames > 16 else None
    sigmas = comfy.samplers.calculate_sigmas(animate(model, motion).get_model_object("model_sampling"), "normal", 2)
    latent = {"samples": torch.zeros(frames, 4, 8, 8)}

    def sample(of: Any) -> torch.Tensor:
        inputs = {"noise": Noise(), "sampler": comfy.samplers.sampler_object("euler"), "sigmas": sigmas}
        node = nodes_custom_sampler.SamplerCustomAdvanced
        return run_node(node, guider=guider(name, of), latent_image=latent, **inputs)["samples"]

    clip, plain = sample(animate(model, motion, context)), sample(model)
    assert clip.shape == (frames, 4, 8, 8) and torch.isfinite(clip).all()
    assert (clip - plain).norm() / plain.norm() > 0.05


def test_ksampler_advanced_in_two_halves_equals_one_run(animated) -> None:
    inputs = {"model": animated, "noise_seed": 1, "steps": 4, "cfg": 3.0, "sampler_name": "euler", "scheduler": "normal"}
    inputs |= {"positive": conditioning(1), "negative": conditioning(2)}
    node = host_nodes.KSamplerAdvanced
    start = {"samples": torch.zeros(16, 4, 8, 8)}

    def run(latent: Any, add: str, first: int, last: int, leftover: str) -> Any:
        steps = {"start_at_step": first, "end_at_step": last, "return_with_leftover_noise": leftover}
        return run_node(node, latent_image=latent, add_noise=add, **steps, **inputs)

    whole = run(start, "enable", 0, 4, "disable")["samples"]
    halves = run(run(start, "enable", 0, 2, "enable"), "disable", 2, 4, "disable")["samples"]
    assert (whole - halves).norm() / whole.norm() < 1e-5


def compiled(of: Any) -> Any:
    """What TorchCompileModel makes of a MODEL, with the backend that needs no compiler."""
    from comfy_api.torch_helpers import set_torch_compile_wrapper
    from comfy_extras.nodes_torch_compile import skip_torch_compile_dict

    clone = of.clone(disable_dynamic=True)
    set_torch_compile_wrapper(model=clone, backend="eager", options={"guard_filter_fn": skip_torch_compile_dict})
    return clone


def test_torch_compile_gives_the_same_clip(model, motion, other_motion) -> None:
    """Put on before and after compiling, and when the plain model was compiled before: no graph is used for another."""
    torch._dynamo.reset()
    plain = run_ksampler(model)
    assert (run_ksampler(compiled(model)) - plain).norm() / plain.norm() < 1e-5
    for clip, module in ((compiled(animate(model, motion)), motion), (animate(compiled(model), other_motion), other_motion)):
        wanted = run_ksampler(animate(model, module))
        assert (run_ksampler(clip) - wanted).norm() / wanted.norm() < 1e-5


def test_torch_compile_with_views_that_move_and_curves(model, motion, tmp_path) -> None:
    """Windows and values that change from step to step, and a motion LoRA that is not merged, are data of the compiled graph,
    not part of it."""
    torch._dynamo.reset()
    steps = make_curve("0: 1, 1.0: 0.2", "steps")
    given = with_motion_lora(motion, lora_file(tmp_path), make_curve("0: -1, -1: 1", times=steps))
    given = with_settings(given, influence=make_curve("0: 0.5, -1: 1", times=steps), attention_scale=steps)
    views = WindowOptions(16, 4, "standard_uniform", freenoise=False, views=True)
    wanted = run_ksampler(animate(model, given, views), frames=24, steps=2, cfg=1.0)
    clip = run_ksampler(compiled(animate(model, given, views)), frames=24, steps=2, cfg=1.0)
    assert (clip - wanted).norm() / wanted.norm() < 1e-5
    assert (wanted - run_ksampler(animate(model, motion, views), frames=24, steps=2, cfg=1.0)).norm() / wanted.norm() > 1e-2
