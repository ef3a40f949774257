"""With the host's real controls, patches and conds, a clip in windows is the clip at once, where no frame sees another."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import comfy.cldm.cldm
import comfy.context_windows as host_windows
import comfy.controlnet
import comfy.hooks
import comfy.model_patcher
import comfy.ops
import comfy.t2i_adapter.adapter
import pytest
import torch
from animatediff_native.sampling.run.animate import animate
from animatediff_native.sampling.run.windowed import with_windows
from animatediff_native.sampling.windows.options import FUSE_METHODS, SCHEDULES, WindowOptions
from animatediff_tests.recorder import Recorder, controlled, frames_of, marks, prompts, record
from animatediff_tests.tiny import CHANNELS, tiny_inpaint_model
from torch import Tensor, nn

import nodes as host_nodes

FRAMES = 40
SIZE = 8
CPU = torch.device("cpu")


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def randomize(module: nn.Module, scale: float = 0.3) -> nn.Module:
    """Seeded weights instead of the zeros that controls start with."""
    for number, parameter in enumerate(module.parameters()):
        fan = parameter[0].numel() if parameter.ndim > 1 else 100
        parameter.data = noise(*parameter.shape, seed=number).to(parameter) * (scale / fan**0.5)
    return module.eval().requires_grad_(False)


# --- kinds of conditioning: (model, frames) -> conditioning ----------------------------------------------------------


def control_model(model: Any, operations: Any) -> comfy.cldm.cldm.ControlNet:
    config = {key: value for key, value in model.model.model_config.unet_config.items() if key != "out_channels"}
    return comfy.cldm.cldm.ControlNet(**config, hint_channels=3, operations=operations)


def control_net(model: Any) -> Any:
    net = randomize(control_model(model, comfy.ops.disable_weight_init))
    return comfy.controlnet.ControlNet(net, load_device=CPU, extra_conds=["y"])


def control_lora(model: Any) -> Any:
    """Only what a ControlLoRA file holds itself; the rest of its network is the UNet's."""
    own = ("input_hint_block", "zero_convs", "middle_block_out")
    state = randomize(control_model(model, comfy.ops.disable_weight_init)).state_dict()
    return comfy.controlnet.ControlLora({key: value for key, value in state.items() if key.startswith(own)})


def t2i_adapter(model: Any) -> Any:
    adapter = randomize(comfy.t2i_adapter.adapter.Adapter(list(CHANNELS), nums_rb=2, cin=192, ksize=1, sk=True, use_conv=False, xl=False))
    return comfy.controlnet.T2IAdapter(adapter, 3, 8, "nearest-exact", device=CPU)


def with_control(conditioning: list[Any], net: Any, hints: int, strength: float = 0.8, seed: int = 5) -> list[Any]:
    images = torch.rand(hints, 48, 48, 3, generator=torch.Generator().manual_seed(seed))
    return host_nodes.ControlNetApply().apply_controlnet(conditioning, net, images, strength)[0]


def text(count: int = 1, seed: int = 3) -> list[Any]:
    return [[noise(count, 5, 64, seed=seed), {"pooled_output": noise(1, 64)}]]


def chain(model: Any, order: tuple[Callable[[Any], Any], ...], hints: int = FRAMES) -> list[Any]:
    conditioning = text()
    for number, make in enumerate(order):
        conditioning = with_control(conditioning, make(model), hints, seed=number)
    return conditioning


def hooked(model: Any) -> list[Any]:
    """A LoRA of the UNet that acts on one of two conds only."""
    weight = model.model.diffusion_model.middle_block[1].proj_in.weight
    name = "lora_unet_mid_block_attentions_0_proj_in"
    rest = (1,) * (weight.ndim - 2)
    lora = {f"{name}.lora_up.weight": noise(weight.shape[0], 2, *rest), f"{name}.lora_down.weight": noise(2, weight.shape[1], *rest)}
    hooks = comfy.hooks.create_hook_lora(lora, 1.0, 1.0)
    return [*comfy.hooks.set_hooks_for_conditioning(text(), hooks), *text(seed=9)]


def masked(count: int) -> list[Any]:
    masks = torch.rand(count, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    masks = masks[[i % count for i in range(FRAMES)]] if 1 < count < FRAMES else masks
    return [[text()[0][0], {"mask": masks}], *text(FRAMES, seed=9)]


KINDS: dict[str, Callable[[Any], list[Any]]] = {
    "one prompt": lambda model: text(),
    "prompt per frame": lambda model: text(FRAMES),
    "twelve prompts": lambda model: text(12),
    "mask": lambda model: masked(1),
    "mask per frame": lambda model: masked(FRAMES),
    "area": lambda model: [[text()[0][0], {"area": (4, 4, 2, 2), "strength": 0.7}], *text(seed=9)],
    "steps": lambda model: [[text()[0][0], {"start_percent": 0.0, "end_percent": 0.5}], *text(seed=9)],
    "ControlNet": lambda model: chain(model, (control_net,)),
    "ControlNet, one hint": lambda model: chain(model, (control_net,), 1),
    "ControlNet, twelve hints": lambda model: chain(model, (control_net,), 12),
    "ControlLoRA": lambda model: chain(model, (control_lora,)),
    "T2I-Adapter": lambda model: chain(model, (t2i_adapter,)),
    "T2I-Adapter, one hint": lambda model: chain(model, (t2i_adapter,), 1),
    "T2I-Adapter, twelve hints": lambda model: chain(model, (t2i_adapter,), 12),
    "chain": lambda model: chain(model, (control_net, t2i_adapter, control_lora, control_net)),
    "hooks": hooked,
}


def clip(model: Any, positive: list[Any], mask: Tensor | None = None, steps: int = 2) -> Tensor:
    """KSampler without FreeNoise; the latent differs per frame."""
    latent = {"samples": noise(FRAMES, 4, SIZE, SIZE, seed=4)} | ({} if mask is None else {"noise_mask": mask})
    choices = (3, steps, 3.0, "euler", "normal", positive, text(seed=7), latent)
    return host_nodes.common_ksampler(model, *choices, denoise=0.9)[0]["samples"]


def difference(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


def options(schedule: str = "standard_static", **more: Any) -> WindowOptions:
    return WindowOptions(16, 4, schedule, freenoise=False, **more)


@pytest.fixture(scope="module")
def plain(model) -> Tensor:
    """The clip with nothing but prompts."""
    with torch.inference_mode():
        return clip(model, text())


@pytest.mark.parametrize("kind", KINDS)
def test_windows_change_nothing(model, plain: Tensor, kind: str) -> None:
    """Relative L2 below 3e-4 (float order); that the conditioning does something is checked too."""
    positive = KINDS[kind](model)
    whole = clip(model, positive)
    assert difference(clip(with_windows(model, options()), positive), whole) < 3e-4
    assert kind == "one prompt" or difference(plain, whole) > 1e-3


@pytest.mark.parametrize(
    ("schedule", "fuse"), [(schedule, "pyramid") for schedule in SCHEDULES] + [(SCHEDULES[0], fuse) for fuse in FUSE_METHODS]
)
def test_schedules_and_fuses_change_nothing(model, schedule: str, fuse: str) -> None:
    positive = chain(model, (t2i_adapter, control_net))
    windowed = with_windows(model, options(schedule, fuse=fuse, closed_loop=True))
    assert difference(clip(windowed, positive), clip(model, positive)) < 3e-4


def test_noise_masks(model) -> None:
    mask = torch.rand(FRAMES, 1, SIZE, SIZE).round()
    assert difference(clip(with_windows(model, options()), text(), mask), clip(model, text(), mask)) < 3e-4


@pytest.mark.parametrize("pictures", [1, 12, FRAMES])
def test_pictures_of_an_inpaint_model(pictures: int) -> None:
    model = tiny_inpaint_model()
    mask = torch.rand(pictures, 1, SIZE, SIZE).round()
    positive = [[text()[0][0], {"concat_latent_image": noise(pictures, 4, SIZE, SIZE), "concat_mask": mask}]]
    whole = clip(model, positive)
    assert difference(clip(with_windows(model, options()), positive), whole) < 3e-4
    assert difference(clip(model, text()), whole) > 1e-3


def test_gligen_is_asked_for_the_frames_of_a_window(model) -> None:
    shapes = []

    class Boxes(nn.Linear):
        def set_position(self, shape: Any, params: Any, device: Any) -> Any:
            shapes.append((tuple(shape), len(params)))
            return lambda x, extra_options: x

        def set_empty(self, shape: Any, device: Any) -> Any:
            return self.set_position(shape, [], device)

    boxes = comfy.model_patcher.CoreModelPatcher(Boxes(1, 1), CPU, CPU)
    positive = [[text()[0][0], {"gligen": ("position", boxes, [(noise(1, 64), 2, 2, 0, 0)])}]]
    clip(with_windows(model, options()), positive, steps=1)
    assert shapes == [((16, 4, SIZE, SIZE), 1)] * 6, "three windows, both conds"


def test_nothing_is_computed_twice(model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over four steps of three windows: conds are cut and weights made once per window, hints go through a T2I-Adapter once."""
    cuts, adapter = [], t2i_adapter(model)
    cut, run_adapter = host_windows.IndexListContextHandler.get_resized_cond, adapter.t2i_model.forward
    monkeypatch.setattr(
        host_windows.IndexListContextHandler, "get_resized_cond", lambda *args: cuts.append(tuple(args[3].index_list)) or cut(*args)
    )
    encoded: list[int] = []
    monkeypatch.setattr(adapter.t2i_model, "forward", lambda hints: encoded.append(len(hints)) or run_adapter(hints))
    weighed: list[Any] = []
    weigh = host_windows.FUSE_MAPPING["pyramid"]
    monkeypatch.setitem(host_windows.FUSE_MAPPING, "pyramid", lambda length, **kw: weighed.append(kw["idxs"]) or weigh(length, **kw))
    clip(with_windows(model, options()), with_control(text(FRAMES), adapter, FRAMES), steps=4)
    assert sorted(cuts) == sorted([tuple(range(s, s + 16)) for s in (0, 12, 24)] * 2), "positive and negative"
    assert encoded == [16, 16, 8]
    assert len(weighed) == 3


def test_the_kind_of_a_union_control_goes_along(model) -> None:
    """What a node notes on a control (Set Union ControlNet Type) reaches the network in every window."""
    positive, (recorder,) = controlled(prompts(1), FRAMES)
    positive[0][1]["control"].set_extra_arg("control_type", [3])
    record(with_windows(model, options()), FRAMES, positive, prompts(1))
    assert recorder.kinds == [[3]] * 3


# --- packs that read ad_params ---------------------------------------------------------------------------------------


def image_prompts(model: Any) -> Any:
    """What IP-Adapter does: a patch in the cross attention picks the images of the frames in ``ad_params``."""
    images = noise(FRAMES, 1, CHANNELS[0], seed=8)

    def add(out: Tensor, extra: dict[str, Any]) -> Tensor:
        frames = (extra.get("ad_params") or {}).get("sub_idxs")
        chosen = images if frames is None else images[frames]
        if out.shape[-1] != CHANNELS[0]:
            return out
        return out + chosen.repeat(len(extra["cond_or_uncond"]), 1, 1)

    model = model.clone()
    model.set_model_attn2_output_patch(add)
    return model


def test_image_prompts_follow_their_frames(model, plain: Tensor) -> None:
    patched = image_prompts(model)
    whole = clip(patched, text())
    assert difference(clip(with_windows(patched, options()), text()), whole) < 3e-4
    assert difference(plain, whole) > 1e-3


def test_image_prompts_after_windows_in_a_plan(model) -> None:
    """Windows, then views: what a window published does not outlive it."""
    plan = options(views=True, start_percent=0.4, previous=options().plan)
    patched = image_prompts(model)
    assert difference(clip(with_windows(patched, plan), text(), steps=4), clip(patched, text(), steps=4)) < 3e-4


class SelfCutter(comfy.controlnet.ControlNet):
    """Stands for Advanced-ControlNet: reads ``ad_params``, is marked by ``sub_idxs``, must not be copied."""

    sub_idxs = None

    def __init__(self) -> None:
        super().__init__(Recorder(), load_device=CPU, extra_conds=[])
        self.original = self

    def get_control(self, x_noisy: Tensor, t: Tensor, cond: Any, batched_number: int, transformer_options: Any) -> Any:
        assert self.original is self, "a copy"
        frames = transformer_options["ad_params"]["sub_idxs"]
        before = self.previous_controlnet
        before = before and before.get_control(x_noisy, t, cond, batched_number, transformer_options)
        self.control_model.seen.append(frames_of(self.cond_hint_original)[frames[0] : frames[-1] + 1])
        return self.control_merge({"input": [], "middle": [], "output": []}, before, None)


@pytest.mark.parametrize("last", [True, False], ids=["applied last", "applied first"])
def test_controls_that_cut_themselves_in_a_chain(model, last: bool) -> None:
    plain, (recorder,) = controlled(prompts(1), FRAMES)
    cutter = SelfCutter()
    cutter.set_cond_hint(marks(FRAMES, 3, 64, 64))
    inner = plain[0][1]["control"]
    if last:
        cutter.set_previous_controlnet(inner)
        plain[0][1]["control"] = cutter
    else:
        inner.set_previous_controlnet(cutter)
    run = record(with_windows(model, options()), FRAMES, plain, prompts(1))
    wanted = [call.indices for call in run.calls]
    assert cutter.control_model.seen == wanted and len(wanted) == 3
    assert [seen[:16] for seen in recorder.seen] == wanted
    assert (cutter.previous_controlnet is inner) is last, "chains are put together anew, never rewired"


# --- bad input -------------------------------------------------------------------------------------------------------


class Foreign(comfy.controlnet.ControlBase):
    """A control of another pack, which keeps its hints its own way."""

    def get_control(self, x_noisy: Tensor, t: Tensor, cond: Any, batched_number: int, transformer_options: Any) -> Any:
        return None


def with_foreign(hints: Tensor | None) -> list[Any]:
    return [[text()[0][0], {"control": Foreign().set_cond_hint(hints), "control_apply_to_uncond": True}]]


@pytest.mark.parametrize("hints", [None, torch.zeros(FRAMES, 3, 8, 8)], ids=["unknown", "many"])
def test_a_control_that_cannot_be_cut_is_named(model, hints: Tensor | None) -> None:
    windowed = with_windows(model, options())
    given = "40 hints" if hints is not None else "hints of its own kind"
    with pytest.raises(ValueError, match=rf"Foreign \(from .*test_conditioning\) has {given}.*cannot be cut"):
        clip(windowed, with_foreign(hints))
    assert torch.isfinite(clip(windowed, text())).all(), "the MODEL stays usable"


def test_a_foreign_control_may_have_one_hint_or_views(model, motion) -> None:
    assert torch.isfinite(clip(with_windows(model, options()), with_foreign(torch.zeros(1, 3, 8, 8)))).all()
    views = animate(model, motion, options(views=True))
    assert torch.isfinite(clip(views, with_foreign(torch.zeros(FRAMES, 3, 8, 8)))).all()


def test_counts_that_do_not_fit_are_named_once(model, motion, caplog: pytest.LogCaptureFixture) -> None:
    positive = chain(model, (control_net, t2i_adapter), hints=12)
    positive[0][1]["mask"] = torch.ones(7, SIZE, SIZE)
    for options_given in (None, options()):
        caplog.clear()
        short = {"samples": torch.zeros(16 if options_given is None else FRAMES, 4, SIZE, SIZE)}
        animated = animate(model, motion, options_given)
        with caplog.at_level(logging.WARNING):
            host_nodes.common_ksampler(animated, 1, 2, 3.0, "euler", "normal", positive, text(5), short)
        (message,) = [r.getMessage() for r in caplog.records if "conditioning" in r.getMessage()]
        frames = len(short["samples"])
        assert f"has {frames} frames" in message
        for part in ("7 masks", "12 hints of ControlNet", "12 hints of T2IAdapter", "5 prompts"):
            assert part in message


def test_counts_that_fit_are_not_worth_a_word(model, motion, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        record(animate(model, motion, options()), FRAMES, masked(FRAMES) + controlled(text(), FRAMES)[0], text())
        record(animate(model, motion, options()), FRAMES, masked(1) + controlled(text(), 1)[0], text())
    assert not [r for r in caplog.records if "conditioning" in r.getMessage()]
