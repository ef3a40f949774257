"""Values over frames, steps and places on the real host: every frame gets its own, whatever windows and batches do."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import comfy.memory_management
import comfy.model_management
import comfy.samplers
import numpy as np
import pytest
import torch
from animatediff_native.demo import synthetic
from animatediff_native.motion.attention import scaled_dot_product_attention
from animatediff_native.motion.low_rank import Changes
from animatediff_native.motion.module import Modulation
from animatediff_native.motion.views import views_over
from animatediff_native.nodes.schedule import ValueCurve
from animatediff_native.sampling.controls.chain import chain
from animatediff_native.sampling.controls.curve import weighted, with_control_curve
from animatediff_native.sampling.frames import Call, frames_of_call, percent_of
from animatediff_native.sampling.modules import motion_lora
from animatediff_native.sampling.modules.load import load_motion_module
from animatediff_native.sampling.modules.motion_lora import with_motion_lora
from animatediff_native.sampling.modules.settings import curved_loras, settings_of, with_settings
from animatediff_native.sampling.run.animate import animate
from animatediff_native.sampling.run.call import _active_modules, _signature
from animatediff_native.sampling.run.cfg import with_cfg_curve
from animatediff_native.sampling.run.sample import sample
from animatediff_native.sampling.run.windowed import with_windows
from animatediff_native.sampling.timeline.chart import HEIGHT, LEFT, TOP, WIDTH
from animatediff_native.sampling.timeline.curve import STEPS, Curve, as_strength, make_curve
from animatediff_native.sampling.timeline.keyframes import TimelineError
from animatediff_native.sampling.timeline.picture import DOT, describe_curve, plot
from animatediff_native.sampling.windows.controls import ControlCuts
from animatediff_native.sampling.windows.options import WindowOptions
from animatediff_tests.recorder import marks
from animatediff_tests.tiny import CHANNELS, conditioning, lora_file, motion_file, run_ksampler
from safetensors.torch import save_file
from torch import Tensor

import nodes as host_nodes

FRAMES = 40
FADE = "0: 0.25, -1: 1.5"
WINDOWS = {
    "at once": None,
    "static": WindowOptions(16, 4),
    "looped": WindowOptions(16, 4, "looped_uniform", closed_loop=True),
    "views": WindowOptions(16, 4, views=True),
}


def line(i: int, frames: int = FRAMES) -> float:
    """What FADE is at frame i."""
    return 0.25 + 1.25 * i / (frames - 1)


def distance(a: Tensor, b: Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


@contextmanager
def spied(model: Any, *motions: Any) -> Iterator[list[tuple[list[int], list[float]]]]:
    """Per call of a module's first temporal block: which frames it holds, and by how much each frame's motion is multiplied."""
    found: list[tuple[list[int], list[float]]] = []
    indices: list[list[int]] = []

    def note(apply_model: Any, args: dict[str, Any]) -> Tensor:
        options = args["c"]["transformer_options"]
        indices.append(frames_of_call(options, args["input"].shape[0] // len(args["cond_or_uncond"]))[0])
        return apply_model(args["input"], args["timestep"], **args["c"])

    def compare(block: Any, args: tuple[Any, ...], out: Tensor) -> None:
        x, frames, attention, _, views = args
        plain, got = block.forward(x, frames, attention, Modulation(), views) - x, out - x
        factors = (plain * got).flatten(1).sum(1) / (plain * plain).flatten(1).sum(1)
        for given in factors.view(-1, frames).tolist():
            found.append((indices[-1], given))

    model.set_model_unet_function_wrapper(note)
    handles = [motion.model.sites()["input", 1].register_forward_hook(compare) for motion in motions]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


# --- frames ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("kind", WINDOWS)
def test_frame_i_gets_influence_i(model, motion, kind: str, apart: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if apart:
        monkeypatch.setattr(type(model), "get_free_memory", lambda *_: 0)
    frames = 32 if kind == "at once" else FRAMES
    animated = animate(model, with_settings(motion, influence=make_curve(FADE)), WINDOWS[kind])
    with spied(animated, motion) as found:
        run_ksampler(animated, frames=frames, steps=1)
    assert {i for indices, _ in found for i in indices} == set(range(frames))
    for indices, factors in found:
        assert factors == pytest.approx([line(i, frames) for i in indices], abs=1e-4)


def test_frame_i_gets_influence_i_in_the_hosts_own_windows(model, motion) -> None:
    from comfy_extras.nodes_context_windows import ContextWindowsManualNode

    animated = animate(model, with_settings(motion, influence=make_curve(FADE)))
    animated = ContextWindowsManualNode.execute(animated, 16, 4, "standard_static", 1, False, "pyramid", 0, False).args[0]
    with spied(animated, motion) as found:
        run_ksampler(animated, frames=FRAMES, steps=1)
    assert len(found) >= 6
    for indices, factors in found:
        assert factors == pytest.approx([line(i) for i in indices], abs=1e-4)


def test_values_follow_the_steps(model, motion) -> None:
    """The first of 4 steps has the first value, and the middle of the run the value of its middle."""
    animated = animate(model, with_settings(motion, influence=make_curve("0: 1, 1.0: 0", STEPS)))
    sampling = animated.get_model_object("model_sampling")
    sigmas = comfy.samplers.calculate_sigmas(sampling, "normal", 4)[:-1]
    with spied(animated, motion) as found:
        run_ksampler(animated, steps=4)
    wanted = [1 - percent_of(sampling, float(sigma)) for sigma in sigmas]
    assert wanted[0] == 1.0 and wanted == sorted(wanted, reverse=True) and wanted[-1] == 0.0
    assert [factors[0] for _, factors in found[::2]] == pytest.approx(wanted[:-1], abs=1e-3)  # at 0 it does not run


@pytest.mark.parametrize("percent", [0.0, 0.1, 0.25, 0.5, 0.9, 0.999])
def test_percent_is_the_inverse_of_the_hosts(animated, percent: float) -> None:
    sampling = animated.get_model_object("model_sampling")
    sigma = min(sampling.percent_to_sigma(percent), float(sampling.sigma_max))
    assert percent_of(sampling, sigma) == pytest.approx(percent, abs=2e-6)


CONSTANTS = {"number": lambda v: v, "text": lambda v: make_curve(str(v)), "keyframes": lambda v: make_curve(f"0: {v}, 5: {v}, -1: {v}")}


@pytest.mark.parametrize(("how", "kind"), [("text", "at once"), ("keyframes", "views"), ("list", "static")])
def test_constant_curves_are_plain_numbers_bit_for_bit(model, motion, tmp_path: Path, how: str, kind: str) -> None:
    """Influence, attention scale and motion LoRA, also at values that single precision cannot hold."""

    def clip(value: Any) -> Tensor:
        given = with_settings(with_motion_lora(motion, lora_file(tmp_path), value(0.7)), influence=value(0.9), attention_scale=value(1.1))
        return run_ksampler(animate(model, given, WINDOWS[kind]), frames=20)

    makers = {**CONSTANTS, "list": lambda v: as_strength([v] * 20)}
    assert torch.equal(clip(makers[how]), clip(CONSTANTS["number"]))


def test_a_constant_over_frames_that_is_found_out_late_is_the_same(model, motion) -> None:
    """A curve that changes only beyond the clip is not known to be constant; its frames are equal all the same."""
    curve = make_curve("0..30: 0.9, 200: 3")
    assert isinstance(as_strength(curve), Curve)
    clips = [run_ksampler(animate(model, with_settings(motion, influence=value))) for value in (curve, 0.9)]
    assert torch.equal(*clips)


def test_attention_scale_by_frame(motion) -> None:
    """Frame j's keys are multiplied by value j, in every window; a number for all is what it was."""
    block = motion.model.sites()["input", 1]
    x = torch.randn(16, 32, 4, 4, generator=torch.Generator().manual_seed(0))
    inner = block.temporal_transformer.transformer_blocks[0].attention_blocks[0]
    tokens = torch.randn(1, 16, 5, 32, generator=torch.Generator().manual_seed(1))
    scales = torch.linspace(0.5, 2, 16)
    seen: list[Tensor] = []

    def attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
        seen.append(k)
        return scaled_dot_product_attention(q, k, v, heads)

    for scale in (torch.tensor(1.0), scales.view(16, 1, 1)):
        inner(tokens, attention, scale)
    assert torch.equal(seen[1], seen[0] * scales.view(1, 1, 16, 1))
    same = [block(x, 16, modulation=Modulation(None, scale)) for scale in (torch.tensor(1.5), torch.full((16, 1, 1, 1), 1.5))]
    assert torch.equal(*same)


# --- places ----------------------------------------------------------------------------------------------------------


def test_masks_keep_the_motion_out_of_places(motion) -> None:
    """Half of the mask is 0: there, in each frame, the block returns its input; elsewhere it is the block without a mask."""
    block = motion.model.sites()["input", 1]
    x = torch.randn(16, 32, 8, 8, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 64, 64)
    mask[:, :, :32] = 1
    value = make_curve("1.0", mask=mask).at(Call(range(16), 16, lambda: 0.0))
    out, plain = block(x, 16, modulation=Modulation(value)), block(x, 16)
    assert torch.equal(out[..., 4:], x[..., 4:])
    assert torch.equal(out[..., :4], plain[..., :4])


def test_a_value_outside_the_mask(model, motion) -> None:
    """Where the mask is 0 it holds, where it is 1 the curve does; between them a mixture, multiplied by another curve."""
    mask = torch.tensor([0.0, 0.25, 1.0]).view(1, 1, 3)
    curve = make_curve("0: 2, -1: 1", mask=mask, outside=0.4, times=make_curve("3"))
    got = curve.at(Call([0, 4], 5, lambda: 0.0))
    assert torch.allclose(got.flatten(), torch.tensor([1.2, 2.4, 6.0, 1.2, 1.65, 3.0]))
    assert make_curve("2", outside=0.4).constant == 2 and make_curve("2", mask=mask, outside=2.0).constant is None
    for kind in ("static", "views"):
        nowhere = make_curve("9", mask=torch.zeros(1, 8, 8), outside=0.3)
        clips = [run_ksampler(animate(model, with_settings(motion, influence=i), WINDOWS[kind]), frames=20, steps=1) for i in (nowhere, 0.3)]
        assert distance(*clips) < 1e-5
    assert describe_curve(curve, 5) == "1 to 2 inside a mask of 1, 0.4 outside, over frames, times another curve"


def test_a_mask_is_stretched_over_all_its_frames() -> None:
    mask = torch.tensor([0.2, 0.3, 0.7, 0.45]).view(4, 1, 1)
    got = ValueCurve.execute("1.3", "frames", "linear", False, 4, mask=mask, outside=0.4, stretch_mask=True).result[0]
    assert got.at(Call(range(4), 4, lambda: 0.0)).flatten().tolist() == pytest.approx([0.4, 0.58, 1.3, 0.85])
    with pytest.raises(ValueError, match=r"stretch_mask needs a mask with at least two values; this one is 0.5 everywhere"):
        make_curve("1", mask=torch.full((2, 4, 4), 0.5), stretch_mask=True)


def test_a_mask_per_frame_follows_its_frame(model, motion) -> None:
    masks = torch.arange(FRAMES).view(-1, 1, 1).expand(-1, 16, 16) / FRAMES
    animated = animate(model, with_settings(motion, influence=make_curve("2.0", mask=masks)), WINDOWS["static"])
    with spied(animated, motion) as found:
        run_ksampler(animated, frames=FRAMES, steps=1)
    for indices, factors in found:
        assert factors == pytest.approx([2 * i / FRAMES for i in indices], abs=1e-4)


def test_two_curves_multiply() -> None:
    steps = make_curve("0: 1, 1.0: 0", STEPS)
    both = make_curve("0: 0, 4: 8", times=steps)
    assert both.at(Call([1, 3], 5, lambda: 0.25)).flatten().tolist() == [1.5, 4.5]
    assert make_curve("3", times=make_curve("2")).at(Call([0], 1, lambda: 0.0)) == 6.0
    masked = make_curve("1", mask=torch.ones(2, 4, 4), times=make_curve("0: 0, 1: 1", mask=torch.ones(1, 6, 6)))
    assert masked.at(Call([0, 1], 2, lambda: 0.0)).shape == (2, 1, 4, 4)


# --- motion LoRA -----------------------------------------------------------------------------------------------------


def test_a_lora_that_stays_apart_equals_one_that_is_merged(model, motion, tmp_path: Path) -> None:
    """A mask of ones keeps it from being merged. Also in windows, in views, and through clones and a compiled model."""
    path = lora_file(tmp_path)
    apart = with_motion_lora(motion, path, make_curve("0.8", mask=torch.ones(1, 8, 8)))
    merged = with_motion_lora(motion, path, 0.8)
    assert len(curved_loras(apart)) == 1 and not apart.patches and merged.patches and not curved_loras(merged)
    assert "at a curve: 168 of 168 keys matched" in settings_of(apart).loras[-1]
    for kind in ("static", "views"):
        clips = [run_ksampler(animate(model, given, WINDOWS[kind]).clone(), frames=20, steps=1) for given in (apart, merged, motion)]
        assert distance(clips[0], clips[1]) < 1e-4 and distance(clips[2], clips[1]) > 1e-3


class PerFrame(torch.nn.Module):
    """A layer whose weights, merged by hand, are others for each frame of ``(B, F, P, C)``."""

    def __init__(self, layer: Any, change: Tensor, strengths: Tensor) -> None:
        super().__init__()
        self.weights = [layer.weight + strength * change for strength in strengths]
        self.bias = layer.bias

    def forward(self, tokens: Tensor) -> Tensor:
        rows = [torch.nn.functional.linear(tokens[:, i], weight, self.bias) for i, weight in enumerate(self.weights)]
        return torch.stack(rows, dim=1)


def merged_by_frame(block: Any, layers: Any, strengths: Tensor) -> Any:
    """A copy of a temporal block whose layers hold other weights for each frame."""
    reference = copy.deepcopy(block)
    for name, layer in list(block.named_modules()):
        if layer in layers:
            parent, _, leaf = name.rpartition(".")
            change = layers[layer].up.weight @ layers[layer].down.weight
            reference.get_submodule(parent).register_module(leaf, PerFrame(layer, change, strengths))
    return reference


def test_a_lora_by_frame_equals_weights_merged_by_frame(motion, tmp_path: Path) -> None:
    strengths = torch.linspace(-1, 2, 16)
    apart = with_motion_lora(motion, lora_file(tmp_path), make_curve("0: -1, 15: 2"))
    lora = curved_loras(apart)[0]
    layers = lora.network.layers(apart.model)
    block = apart.model.sites()["input", 1]
    reference = merged_by_frame(block, layers, strengths)
    x = torch.randn(32, 32, 4, 4, generator=torch.Generator().manual_seed(0))
    value = lora.strength.at(Call(range(16), 16, lambda: 0.0))
    got = block(x, 16, modulation=Modulation(None, None, Changes((layers,), (value,))))
    assert torch.allclose(value.flatten(), strengths, atol=1e-6)
    assert distance(got - x, reference(x, 16) - x) < 1e-5
    assert distance(got - x, block(x, 16) - x) > 1e-2


def test_a_lora_by_frame_in_views(motion, tmp_path: Path) -> None:
    """In every window of the attention, frame i has strength i; also with a strength per place."""
    apart = with_motion_lora(motion, lora_file(tmp_path), make_curve("0: -1, 23: 2"))
    lora = curved_loras(apart)[0]
    block, layers = apart.model.sites()["input", 1], lora.network.layers(apart.model)
    value = lora.strength.at(Call(range(24), 24, lambda: 0.0))
    windows = [list(range(16)), list(range(8, 24)), [*range(16, 24), *range(8)]]
    weights = [[1.0 + i + w for i in range(16)] for w in range(3)]
    views = views_over(windows, weights, 24)
    tokens = torch.randn(2, 24, 6, 32, generator=torch.Generator().manual_seed(0))
    inner = block.temporal_transformer.transformer_blocks[0]
    strengths = value.flatten()
    fused, total = torch.zeros_like(tokens), torch.zeros(24)
    for window, row in zip(windows, weights, strict=True):
        reference = merged_by_frame(inner, layers, strengths[window])
        part = reference.attend(tokens[:, window], scaled_dot_product_attention, Modulation())
        fused[:, window] += part * torch.tensor(row)[None, :, None, None]
        total[window] += torch.tensor(row)
    wanted = fused / total[None, :, None, None]
    wanted = wanted + inner.ff(inner.ff_norm(wanted))
    by_place = value.expand(-1, 1, 2, 3)
    for given in (value, by_place):
        modulation = Modulation(None, None, Changes((layers,), (given,))).at_resolution((2, 3))
        assert distance(inner(tokens, scaled_dot_product_attention, modulation, views), wanted) < 1e-5


def test_a_lora_at_strength_0_by_curve_is_no_lora(model, motion, tmp_path: Path) -> None:
    apart = with_motion_lora(motion, lora_file(tmp_path), make_curve("0", mask=torch.ones(1, 4, 4)))
    for kind in ("static", "views"):
        clips = [run_ksampler(animate(model, given, WINDOWS[kind]), frames=20, steps=1) for given in (apart, motion)]
        assert distance(*clips) < 1e-6


def test_a_mask_keeps_a_lora_out_of_places(motion, tmp_path: Path) -> None:
    mask = torch.zeros(1, 4, 4)
    mask[..., :2] = 1
    apart = with_motion_lora(motion, lora_file(tmp_path), make_curve("1", mask=mask))
    lora = curved_loras(apart)[0]
    block, layers = apart.model.sites()["input", 1], lora.network.layers(apart.model)
    x = torch.randn(16, 32, 4, 4, generator=torch.Generator().manual_seed(0))
    value = lora.strength.at(Call(range(16), 16, lambda: 0.0))
    some, none = block(x, 16, modulation=Modulation(None, None, Changes((layers,), (value,)))), block(x, 16)
    every = block(x, 16, modulation=Modulation(None, None, Changes((layers,), (torch.tensor(1.0),))))
    assert torch.allclose(some[..., 2:], none[..., 2:], atol=1e-6) and torch.allclose(some[..., :2], every[..., :2], atol=1e-6)


def test_the_host_loads_and_unloads_a_lora_that_stays_apart(model, motion, tmp_path: Path) -> None:
    animated = animate(model, with_motion_lora(motion, lora_file(tmp_path), make_curve(FADE)))
    lora = animated.get_additional_models()[0].get_additional_models()[0]
    run_ksampler(animated)
    assert any(loaded is not None and loaded.model is lora.model for loaded in comfy.model_management.loaded_models())
    comfy.model_management.unload_all_models()
    assert torch.isfinite(run_ksampler(animated)).all()


def test_a_lora_that_stays_apart_where_the_host_builds_layers_without_weights(motion, tmp_path: Path, monkeypatch) -> None:
    """As under its dynamic VRAM: linear layers have no weights before they are loaded. The halves arrive whole, in any dtype."""
    path = lora_file(tmp_path)
    wanted = curved_loras(with_motion_lora(motion, path, make_curve(FADE)))[0].network.state_dict()
    file = motion_lora.open_file(path)
    monkeypatch.setattr(motion_lora, "open_file", lambda _: file)
    monkeypatch.setattr(comfy.memory_management, "aimdo_enabled", True)
    got = curved_loras(with_motion_lora(motion, path, make_curve(FADE)))[0].network.state_dict()
    assert got.keys() == wanted.keys() and all(torch.equal(got[key], wanted[key]) for key in got)


# --- CFG -------------------------------------------------------------------------------------------------------------


def cfg_clip(model: Any, cfg: Any, **kw: Any) -> Tensor:
    return run_ksampler(with_cfg_curve(model, cfg) if isinstance(cfg, Curve) else model, **({} if isinstance(cfg, Curve) else {"cfg": cfg}), **kw)


@pytest.mark.parametrize("cfg", [5.3, 1.0, 0.0])
def test_a_constant_cfg_is_the_samplers_bit_for_bit(model, motion, cfg: float) -> None:
    """Whatever CFG the sampler says; 1.0 leaves out the negative prompt in both."""
    animated = animate(model, motion)
    assert torch.equal(cfg_clip(animated, make_curve(str(cfg))), cfg_clip(animated, cfg))


def test_frame_i_gets_cfg_i(model) -> None:
    """Without motion, frame i of a clip with a CFG per frame is frame i of the clip with that CFG. Also in windows."""
    curve = make_curve("0: 1, 10: 9, -1: 0")
    wanted = [curve.values(24)[i] for i in (0, 5, 10, 17, 23)]
    references = [cfg_clip(model, cfg, frames=24)[i] for cfg, i in zip(wanted, (0, 5, 10, 17, 23), strict=True)]
    for given in (model, with_windows(model, WindowOptions(16, 4, freenoise=False))):
        clip = cfg_clip(given, curve, frames=24)
        assert [distance(clip[i], reference) for i, reference in zip((0, 5, 10, 17, 23), references, strict=True)] == pytest.approx([0] * 5, abs=2e-4)


def test_cfg_by_place_and_by_step(model) -> None:
    mask = torch.ones(1, 8, 8)
    mask[..., :4] = 0.5
    half = cfg_clip(model, make_curve("6", mask=mask), steps=1, frames=2)
    assert torch.allclose(half[..., :4], cfg_clip(model, 3.0, steps=1, frames=2)[..., :4], atol=1e-4)
    assert torch.allclose(half[..., 4:], cfg_clip(model, 6.0, steps=1, frames=2)[..., 4:], atol=1e-4)
    seen = []
    watched = model.clone()
    watched.set_model_sampler_post_cfg_function(lambda args: seen.append(args["cond_scale"]) or args["denoised"])
    cfg_clip(watched, make_curve("0 hold: 6, 50%: 3, 100%: 2", STEPS), steps=4, frames=2)
    assert seen[0] == 6 and seen[1] == 6 and 2 < seen[2] < 3 and seen[3] == 2


def unlike(model: Any) -> Any:
    """A MODEL whose two predictions have nothing in common, as those of a trained model may."""

    def predict(_apply: Any, args: dict[str, Any]) -> Tensor:
        seeds = args["c"]["c_crossattn"][:, 0, 0].mul(1e6).long().tolist()
        return torch.stack([torch.randn(args["input"].shape[1:], generator=torch.Generator().manual_seed(abs(seed))) for seed in seeds])

    model = model.clone()
    model.set_model_unet_function_wrapper(predict)
    return model


def test_cfg_goes_with_nodes_that_have_their_own_formula(model) -> None:
    """RescaleCFG is given each frame's CFG; what nodes read of the two predictions is what they are without a curve."""
    from comfy_extras.nodes_model_advanced import RescaleCFG

    seen = []
    watched = unlike(RescaleCFG().patch(model, 0.7)[0])
    watched.set_model_sampler_post_cfg_function(lambda args: seen.append(args["cond_denoised"]) or args["denoised"])
    clip = cfg_clip(watched, make_curve("0: 2, 15: 8"))
    with_8, with_2 = cfg_clip(watched, 8.0), cfg_clip(watched, 2.0)
    assert distance(clip[15], with_8[15]) < 1e-4 and distance(clip[0], with_2[0]) < 1e-4 and distance(with_2, with_8) > 0.1
    assert torch.equal(seen[0], seen[2])


def test_frame_i_gets_cfg_i_where_predictions_differ(model) -> None:
    """Also at CFG 1 and below it, where the host would leave out the negative prompt."""
    curve = make_curve("0: 0, 5: 1, 15: 8")
    clip = cfg_clip(unlike(model), curve)
    for i in (0, 5, 9, 15):
        assert distance(clip[i], cfg_clip(unlike(model), curve.values(16)[i])[i]) < 1e-4


def test_guiders_without_one_cfg_are_refused_and_left_as_they_were(model) -> None:
    from comfy_extras.nodes_custom_sampler import Guider_Basic, Guider_DualCFG

    curved = with_cfg_curve(model, make_curve("0: 1, 15: 8"))
    noise, latent = torch.zeros(16, 4, 8, 8), torch.zeros(16, 4, 8, 8)
    for kind in (Guider_Basic, Guider_DualCFG):
        guider = kind(curved)
        conds = {"positive": conditioning(1), "middle": conditioning(2), "negative": conditioning(3)}
        guider.inner_set_conds({"positive": conds["positive"]} if kind is Guider_Basic else conds)
        with pytest.raises(ValueError, match=rf"needs one CFG between .*{kind.__name__} has none or several"):
            guider.sample(noise, latent, comfy.samplers.sampler_object("euler"), torch.tensor([5.0, 0.0]), seed=1)
    assert torch.isfinite(run_ksampler(model)).all()


def test_the_sampler_node_takes_a_cfg_curve(model, motion) -> None:
    latent = {"samples": torch.zeros(16, 4, 8, 8)}
    choices = {"seed": 1, "steps": 2, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
    animated = animate(model, motion)
    clip = sample(animated, latent, conditioning(1), conditioning(2), cfg=make_curve(FADE), **choices)["samples"]
    assert torch.equal(clip, run_ksampler(with_cfg_curve(animated, make_curve(FADE))))


# --- controls --------------------------------------------------------------------------------------------------------


class Adding(torch.nn.Module):
    """A control network under the host's ControlNet that adds 1 everywhere in the middle."""

    dtype = torch.float32

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1), requires_grad=False)

    def forward(self, x: Tensor, **_: Any) -> dict[str, list[Any]]:
        return {"input": [], "middle": [x.new_ones(x.shape[0], 128, 1, 1)], "output": []}


def controlled(strength: float = 1.0, curve: Curve | None = None, links: int = 1) -> list[Any]:
    given = conditioning(1)
    for _ in range(links):
        net = comfy.controlnet.ControlNet(Adding(), load_device=torch.device("cpu"), extra_conds=[])
        given = host_nodes.ControlNetApply().apply_controlnet(given, net, marks(FRAMES, 64, 64, 3), strength)[0]
    return given if curve is None else with_control_curve([given], curve)[0]


def added(model: Any, positive: list[Any], frames: int, steps: int = 1) -> list[tuple[list[int], list[float]]]:
    """Per model call: its frames, and what the controls add to each."""
    found = []

    def note(apply_model: Any, args: dict[str, Any]) -> Tensor:
        given, count = args["c"], len(args["cond_or_uncond"])
        indices = frames_of_call(given["transformer_options"], args["input"].shape[0] // count)[0]
        values = given["control"]["middle"][0][:, 0, 0, 0].view(-1, len(indices)) if given.get("control") else torch.zeros(count, len(indices))
        found.extend((indices, row) for row in values.tolist())
        return args["input"]

    model = model.clone()
    model.set_model_unet_function_wrapper(note)
    latent = {"samples": torch.zeros(frames, 4, 8, 8)}
    negative = [[positive[0][0] * 0.5, {**positive[0][1]}]]
    host_nodes.common_ksampler(model, 1, steps, 3.0, "euler", "normal", positive, negative, latent)
    return found


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("kind", WINDOWS)
def test_frame_i_gets_control_strength_i(model, motion, kind: str, apart: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The curve holds for the control applied last; the one before it in the chain keeps its strength of 0.5."""
    if apart:
        monkeypatch.setattr(type(model), "get_free_memory", lambda *_: 0)
    frames = 32 if kind == "at once" else FRAMES
    found = added(animate(model, motion, WINDOWS[kind]), controlled(0.5, make_curve(FADE), links=2), frames)
    assert {i for indices, _ in found for i in indices} == set(range(frames))
    for indices, values in found:
        assert values == pytest.approx([0.5 + 0.5 * line(i, frames) for i in indices], abs=1e-6)


def test_control_strength_by_step(model) -> None:
    found = added(model, controlled(1.0, make_curve("0 hold: 2, 50%: 0", STEPS)), 2, steps=4)
    values = [row[0] for _, row in found]
    assert values[0] == 2 and values[-1] == 0 and values == sorted(values, reverse=True)


def test_a_constant_control_curve_is_the_plain_strength_bit_for_bit(model, motion) -> None:
    animated = animate(model, motion)
    clips = [run_ksampler(animated, positive=given) for given in (controlled(0.7), controlled(1.0, make_curve("0.7")))]
    assert torch.equal(*clips) and not torch.equal(clips[0], run_ksampler(animated))


def test_a_control_curve_leaves_what_it_is_given(model) -> None:
    given = controlled(0.7)
    control = given[0][1]["control"]
    curved = with_control_curve([given, given], make_curve(FADE))
    assert given[0][1]["control"] is control and curved[0][0][1]["control"] is curved[1][0][1]["control"]
    assert curved[0][0][1]["control"].get_models()[0].model is control.control_model
    twice = with_control_curve([curved[0]], make_curve("2"))[0]
    assert added(model, twice, 2)[0][1] == pytest.approx([0.7 * 2 * 0.25, 0.7 * 2 * 1.5])
    with pytest.raises(ValueError, match=r"no control here yet\. Put this after Apply ControlNet"):
        with_control_curve([conditioning(1)], make_curve("1"))


def test_curves_around_curves_show_the_control_itself() -> None:
    twice = with_control_curve(with_control_curve([controlled()], make_curve(FADE)), make_curve(FADE))[0][0][1]["control"]
    assert [type(control) for control in chain(twice)] == [comfy.controlnet.ControlNet]


def test_the_copies_for_several_devices_are_cut_too() -> None:
    """The host keeps a copy of each control per device; a window's cut of a curved control has cuts of its copies."""
    given = controlled(1.0, make_curve(FADE))[0][1]["control"]
    device = torch.device("meta")
    given.deepclone_multigpu(device, autoregister=True)
    cut = ControlCuts().cut(given, (3, 4), torch.zeros(2, 4, 8, 8))
    copy_ = cut.get_instance_for_device(device)
    assert copy_ is not cut and copy_.inner.control_model is given.multigpu_clones[device].inner.control_model
    assert copy_.inner.cond_hint_original.shape[0] == cut.inner.cond_hint_original.shape[0] == 2


def test_controls_without_places_take_the_mean_of_a_mask() -> None:
    tokens, weights = torch.ones(2, 10, 5), torch.tensor([0.5, 2.0]).view(2, 1, 1, 1).expand(2, 1, 4, 4)
    assert weighted(tokens, weights)[:, 0, 0].tolist() == [0.5, 2.0]


# --- several motion modules ------------------------------------------------------------------------------------------


def test_motion_modules_take_turns_and_make_room(model, motion, other_motion) -> None:
    """Each acts in its own steps only, and out of them it is not on the device; the clip is what it is without that."""
    comfy.model_management.unload_all_models()
    first = with_settings(motion, end_percent=0.5, influence=make_curve(FADE))
    second = with_settings(other_motion, start_percent=0.5)
    both = animate(animate(model, first), second)
    seen = []

    def on_device(apply_model: Any, args: dict[str, Any]) -> Tensor:
        out = apply_model(args["input"], args["timestep"], **args["c"])
        models = [loaded.model for loaded in comfy.model_management.loaded_models()]
        seen.append((motion.model in models, other_motion.model in models, model.model in models))
        return out

    watched = both.clone()
    watched.set_model_unet_function_wrapper(on_device)
    clip = run_ksampler(watched, steps=4)
    assert seen[0] == (True, False, True) and seen[-1] == (False, True, True)
    assert seen == sorted(seen, reverse=True)
    assert torch.equal(clip, run_ksampler(both, steps=4))
    assert distance(clip, run_ksampler(animate(model, first), steps=4)) > 1e-3
    assert distance(clip, run_ksampler(animate(model, second), steps=4)) > 1e-3


def test_modules_together_add_up_per_curve(model, tmp_path: Path) -> None:
    """Two modules that cross-fade over the frames: the first frame's block output is that of one, the last that of the other."""
    motions = [load_motion_module(motion_file(tmp_path, "v3", seed=seed)) for seed in (3, 4)]
    fades = [with_settings(given, influence=make_curve(text)) for given, text in zip(motions, ("0: 1, -1: 0", "0: 0, -1: 1"), strict=True)]
    animated = animate(animate(model, fades[0]), fades[1])
    with spied(animated, *motions) as found:
        run_ksampler(animated, steps=1)
    assert len(found) == 4  # two conds each
    for (_, falling), (_, rising) in zip(found[:2], found[2:], strict=True):
        assert falling == pytest.approx([1 - i / 15 for i in range(16)], abs=1e-4)
        assert rising == pytest.approx([i / 15 for i in range(16)], abs=1e-4)


# --- input -----------------------------------------------------------------------------------------------------------


def test_lists_of_other_packs_are_a_value_per_frame() -> None:
    curve = as_strength([1, 0.5, 0.25])
    assert isinstance(curve, Curve) and curve.values(5) == [1, 0.5, 0.25, 0.25, 0.25]
    assert make_curve("1, 2", loop=True).values(5) == [1, 2, 1, 2, 1]
    assert [make_curve("1 2 3 4", STEPS).at_percent(p) for p in (0, 0.25, 0.6, 1.0)] == [1, 2, 3, 4]
    assert as_strength(torch.tensor(2.0)) == 2.0 and as_strength(np.array([1.0, 0.5])).values(2) == [1.0, 0.5]
    assert as_strength(3) == 3.0 and as_strength([0.5, 0.5]) == 0.5 and as_strength(make_curve("2")) == 2.0


@pytest.mark.parametrize(("value", "words"), [([], "empty list"), ("x", "got str"), (None, "got NoneType"), ([None], "got list"), ([1.0, float("nan")], "got nan among 2")])
def test_what_is_no_strength(value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        as_strength(value)


def test_a_curve_over_steps_refuses_frames_at_once() -> None:
    with pytest.raises(TimelineError, match=r"Line 2, column 1: over steps, positions are parts"):
        make_curve("0: 1\n8: 2", STEPS)


def test_the_default_curve_fits_a_single_image(model) -> None:
    clip = cfg_clip(model, make_curve("0: 0.0\n-1: 3.0"), frames=1)
    assert torch.equal(clip, cfg_clip(model, 3.0, frames=1))


def test_compiled_graphs_of_other_lora_layers_are_other_graphs(model, motion, tmp_path: Path) -> None:
    """A LoRA of the queries alone and one of everything: their graphs must not be taken for one another."""
    names = []
    for keys in ("to_q", "to_"):
        tensors = {key: t for key, t in synthetic.motion_lora(channels=CHANNELS).items() if keys in key}
        path = tmp_path / f"{keys}.safetensors"
        save_file(tensors, path)
        given = with_motion_lora(motion, path, make_curve(FADE))
        found = _active_modules([given], model.model.model_sampling, Call(range(16), 16, lambda: 0.0, sigma=5.0), torch.zeros(16, 4, 8, 8), False)
        names.append(_signature(found, None))
    assert names[0] != names[1]


def test_a_place_before_the_clip_stops_the_run_and_nothing_else(model, motion) -> None:
    animated = animate(model, with_settings(motion, influence=make_curve("-20: 1, -1: 0")))
    with pytest.raises(ValueError, match=r"Line 1, column 1: -20 lies before the first of 16 frames"):
        run_ksampler(animated)
    assert torch.isfinite(run_ksampler(animated, frames=24)).all()


# --- plots -----------------------------------------------------------------------------------------------------------


def spots(picture: Tensor, colour: tuple[int, ...]) -> list[tuple[int, int]]:
    """Where dots of a colour are, as the middle of each (x, y), from left to right."""
    hit = (picture[0] - torch.tensor(colour) / 255).abs().amax(dim=-1) < 0.02
    columns = hit.any(dim=0).nonzero().flatten().tolist()
    found = []
    for start in [x for x in columns if x - 1 not in columns]:
        end = next(x for x in range(start, picture.shape[2] + 1) if x not in columns)
        rows = hit[:, start:end].any(dim=1).nonzero().flatten()
        found.append(((start + end - 1) // 2, int(rows.float().mean())))
    return found


def test_the_plot_shows_keyframes_where_they_are() -> None:
    picture = plot(make_curve("0: 0, 5: 1, -1: 0.5"), 11)
    assert picture.shape == (1, HEIGHT, WIDTH, 3) and picture.min() >= 0 and picture.max() <= 1
    dots = spots(picture, DOT)
    assert len(dots) == 3
    (x0, y0), (x1, y1), (x2, y2) = dots
    assert x1 - x0 == pytest.approx(x2 - x1, abs=2) and (x0, y1) == (LEFT, TOP)
    assert y0 - y1 == pytest.approx(2 * (y2 - y1), abs=2)


@pytest.mark.parametrize(
    ("text", "over", "frames", "words"),
    [
        ("0.5", "frames", 1, "0.5 everywhere, over frames"),
        ("0: (t * 2), 8: 1", "frames", 9, "0 to 14, over frames"),
        ("1 - t", "steps", 9, "0 to 1, over steps"),
        ("1, 2, 3", "frames", 4096, "1 to 3, over frames"),
        ("0: -1e9, 100: 1e9", "frames", 16, "-1e+09 to -7e+08, over frames"),
        ("-1e9", "steps", 16, "-1e+09 everywhere, over steps"),
        ("0: 9, 50%: 7, 1.0: 4", "steps", 16, "4 to 9, over steps"),
        ("0: 1e-30, 15: 2e-30", "frames", 16, "1e-30 to 2e-30, over frames"),
    ],
)
def test_any_curve_can_be_drawn(text: str, over: str, frames: int, words: str) -> None:
    curve = make_curve(text, over)
    assert describe_curve(curve, frames) == words
    assert plot(curve, frames).isfinite().all()
    assert describe_curve(make_curve(text, over, mask=torch.ones(3, 4, 4), times=make_curve("2")), frames).endswith("times a mask of 3 and another curve")
