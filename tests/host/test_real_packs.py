"""With the real packs ComfyUI_IPAdapter_plus and ComfyUI-Advanced-ControlNet: frame i gets what is given for it.

Skipped unless IPADAPTER_PLUS_PATH and ADVANCED_CONTROLNET_PATH name checkouts of the packs.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import comfy.cldm.cldm
import comfy.controlnet
import comfy.sample
import comfy.t2i_adapter.adapter
import pytest
import torch
import torch.nn.functional as F
from animatediff_native.demo.tiny_sparse_control import sparse_control
from animatediff_native.nodes.sparse_control import SparseCtrlFrames, SparseCtrlImages
from animatediff_native.sampling.controls.curve import with_control_curve
from animatediff_native.sampling.controls.sparse import SparseControl, load_sparse_control
from animatediff_native.sampling.run.animate import animate
from animatediff_native.sampling.timeline.curve import make_curve
from animatediff_native.sampling.windows.options import WindowOptions
from animatediff_tests.host.test_sparse_control import Encoder, clip
from animatediff_tests.tiny import CHANNELS, conditioning
from safetensors.torch import save_file
from torch import Tensor, nn

import nodes as host_nodes

FRAMES = (16, 17, 40, 100)
SCHEDULES = ("standard_static", "standard_uniform")
UNIT = 1 / 512
"""Hint i is filled with i * UNIT, which every dtype holds exactly."""


def pack(variable: str, name: str) -> ModuleType:
    """Import a pack as the host does; skips the test if ``variable`` does not say where it is."""
    folder = os.environ.get(variable)
    if not folder:
        pytest.skip(f"{variable} is not set: it names a checkout of {name}")
    init = Path(folder) / "__init__.py"
    spec = importlib.util.spec_from_file_location(name, init, submodule_search_locations=[folder])
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def ipadapter_nodes() -> dict[str, type]:
    """The node classes of ComfyUI_IPAdapter_plus by their id."""
    return pack("IPADAPTER_PLUS_PATH", "ComfyUI_IPAdapter_plus").NODE_CLASS_MAPPINGS


@pytest.fixture(scope="session")
def acn() -> ModuleType:
    """ComfyUI-Advanced-ControlNet."""
    return pack("ADVANCED_CONTROLNET_PATH", "ComfyUI_Advanced_ControlNet")


@pytest.fixture(scope="session")
def acn_nodes(acn: ModuleType) -> dict[str, Any]:
    """The node classes of ComfyUI-Advanced-ControlNet by their id."""

    async def listed() -> list[Any]:
        return await (await acn.comfy_entrypoint()).get_node_list()

    return {node.define_schema().node_id: node for node in asyncio.run(listed())}


@pytest.fixture(params=["together", "apart"])
def conds_per_call(request: pytest.FixtureRequest, model: Any, monkeypatch: pytest.MonkeyPatch) -> int:
    """Both conds in one model call, or, as when memory is short, one."""
    if request.param == "apart":
        monkeypatch.setattr(type(model), "get_free_memory", lambda *_: 0)
        return 1
    return 2


def windowed(model: Any, motion: Any, schedule: str = "standard_static", **options: Any) -> Any:
    return animate(model, motion, WindowOptions(16, 4, schedule, freenoise=False, **options))


def frames_in(options: dict[str, Any], frames: int) -> list[int]:
    """The frames of a model call, from its transformer options."""
    window = options.get("context_window")
    return list(window.index_list) if window else list(range(frames))


Pair = tuple[list[Any], list[Any]]
"""The CONDITIONINGs of a prompt and of a negative prompt."""


def sample(model: Any, frames: int, pair: Pair | None = None, steps: int = 2) -> None:
    """Run the host's KSampler; two steps unless told, since uniform windows move with the step."""
    latent = {"samples": torch.zeros(frames, 4, 8, 8)}
    pair = pair or (conditioning(1), conditioning(2))
    host_nodes.common_ksampler(model, 1, steps, 3.0, "euler", "normal", *pair, latent)


def check_cover(windows: list[list[int]], frames: int) -> None:
    """Every frame was seen, in as many windows as the clip needs, all of them of 16 frames."""
    assert {index for window in windows for index in window} == set(range(frames))
    assert {len(window) for window in windows} == {16}
    assert len({tuple(window) for window in windows}) >= -(-(frames - 4) // 12)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("frames", FRAMES)
def test_the_window_names_the_frames_it_holds(model, motion, frames: int, schedule: str) -> None:
    """What the other tests take for granted: the latents of a model call are those of the window that it names."""
    noise = F.normalize(comfy.sample.prepare_noise(torch.zeros(frames, 4, 8, 8), 1).flatten(1))
    windows = []

    def note(_apply: Callable[..., Tensor], args: dict[str, Any]) -> Tensor:
        wanted = frames_in(args["c"]["transformer_options"], frames)
        nearest = (F.normalize(args["input"].flatten(1)) @ noise.T).argmax(1).tolist()
        assert nearest == wanted * len(args["cond_or_uncond"])
        windows.append(wanted)
        return torch.zeros_like(args["input"])

    animated = windowed(model, motion, schedule)
    animated.set_model_unet_function_wrapper(note)
    sample(animated, frames, steps=1)
    check_cover(windows, frames)


# --- ComfyUI_IPAdapter_plus -------------------------------------------------------------------------------------------

WIDTH = 64
"""Of the tiny UNet's prompts, so also of the image tokens."""
EMBEDDING = 32
LEVELS = (0, 0, 1, 1, 2, 2, 2, 2, 2, 1, 1, 1, 0, 0, 0, 3)
LAYERS = [CHANNELS[level] for level in LEVELS]
"""Channels of each cross attention, in the order of IP-Adapter files: input blocks, output blocks, middle."""
MIDDLE = "31"
"""The middle block's key. The pack patches it as ``("middle", 1)``, the host calls it ``("middle", 0)``: never used."""


def adapter_file() -> dict[str, dict[str, Tensor]]:
    """A small random IPADAPTER, laid out as its files are.

    The four tokens of an image are equal, so whatever the query, attention over them gives their value: what a layer
    adds to a frame then tells the image, and nothing else but the weight and the mask.
    """
    generator = torch.Generator().manual_seed(11)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    layers = {}
    for number, channels in enumerate(LAYERS):
        layers[f"{number * 2 + 1}.to_k_ip.weight"] = random(channels, WIDTH) / 8
        layers[f"{number * 2 + 1}.to_v_ip.weight"] = random(channels, WIDTH) / 8
    projection = {
        "proj.weight": random(WIDTH, EMBEDDING).repeat(4, 1),
        "proj.bias": random(WIDTH).repeat(4),
        "norm.weight": torch.ones(WIDTH),
        "norm.bias": torch.zeros(WIDTH),
    }
    return {"image_proj": projection, "ip_adapter": layers}


@dataclass
class References:
    """What the user gives to the adapter: embeddings of images and of negative images, weights, masks."""

    images: Tensor
    negatives: Tensor
    weights: list[float]
    masks: Tensor | None

    @classmethod
    def random(cls, frames: int, images: bool = True, weights: bool = True, masks: bool = True) -> References:
        """For each frame its own image, weight or mask; of what is False the same for all frames."""
        generator = torch.Generator().manual_seed(12)
        count = frames if images else 1
        return cls(
            torch.randn(count, 1, EMBEDDING, generator=generator),
            torch.randn(count, 1, EMBEDDING, generator=generator),
            torch.linspace(0.25, 1.5, frames).tolist() if weights else [0.75],
            torch.rand(frames, 8, 8, generator=generator) if masks else None,
        )

    def added(self, file: dict[str, dict[str, Tensor]], key: str, negative: bool, frames: int, pixels: int) -> Tensor:
        """What layer ``key`` should add to each frame, worked out without the pack: ``(frames, pixels, channels)``."""
        projection = file["image_proj"]
        embeddings = (self.negatives if negative else self.images)[:, 0]
        tokens = F.linear(embeddings, projection["proj.weight"][:WIDTH], projection["proj.bias"][:WIDTH])
        values = F.linear(F.layer_norm(tokens, (WIDTH,)), file["ip_adapter"][f"{key}.to_v_ip.weight"])
        last = len(values) - 1
        values = values[[min(frame, last) for frame in range(frames)]]  # the pack repeats the last image
        result = values[:, None].expand(-1, pixels, -1) * torch.tensor(self.weights).reshape(-1, 1, 1)
        if self.masks is not None:
            side = round(pixels**0.5)
            masks = F.interpolate(self.masks[:, None], size=(side, side), mode="bilinear")
            result = result * masks.reshape(frames, pixels, 1)
        return result


@dataclass
class Addition:
    """What one layer of the adapter added in one model call."""

    frames: list[int]
    conds: list[int]
    key: str
    value: Tensor


def adapted(nodes: dict[str, type], model: Any, file: dict[str, Any], given: References) -> tuple[Any, list[Addition]]:
    """A MODEL with the adapter, by the pack's own node, and a list that notes what its layers add."""
    weight = given.weights if len(given.weights) > 1 else given.weights[0]
    model, _ = nodes["IPAdapterEmbedsBatch"]().apply_ipadapter(
        model, file, given.images, weight, "linear", 0.0, 1.0, neg_embed=given.negatives, attn_mask=given.masks
    )
    additions: list[Addition] = []

    def noted(attention: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def note(out: Tensor, q: Tensor, k: Tensor, v: Tensor, options: dict[str, Any], **kwargs: Any) -> Tensor:
            value = attention(out, q, k, v, options, **kwargs)
            conds = list(options["cond_or_uncond"])
            additions.append(Addition(frames_in(options, len(q) // len(conds)), conds, kwargs["module_key"], value))
            return value

        return note

    patches = model.model_options["transformer_options"]["patches_replace"]["attn2"].values()
    assert len(patches) == len(LAYERS)
    for patch in patches:
        patch.callback = [noted(attention) for attention in patch.callback]
    return model, additions


def check_additions(
    additions: list[Addition], file: dict[str, Any], given: References, frames: int, conds: int
) -> None:
    """Each layer added to each frame of each window what belongs to this frame, and to no other."""
    check_cover([addition.frames for addition in additions], frames)
    assert {addition.key for addition in additions} | {MIDDLE} == {str(number * 2 + 1) for number in range(len(LAYERS))}
    assert {len(addition.conds) for addition in additions} == {conds}
    assert {cond for addition in additions for cond in addition.conds} == {0, 1}
    known: dict[tuple[str, int], Tensor] = {}
    for addition in additions:
        chunks = addition.value.chunk(len(addition.conds))
        for cond, chunk in zip(addition.conds, chunks, strict=True):
            place = addition.key, cond
            if place not in known:
                known[place] = given.added(file, addition.key, cond == 1, frames, chunk.shape[1])
            wanted = known[place]
            torch.testing.assert_close(chunk, wanted[addition.frames], rtol=1e-4, atol=1e-5)
    for wanted in known.values():
        apart = torch.pdist(wanted.flatten(1).double()) / wanted.flatten(1).norm(dim=1).max()
        assert apart.min() > 1e-3, "two frames are not told apart"


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("frames", FRAMES)
def test_every_frame_keeps_its_image_weight_and_mask(
    model, motion, ipadapter_nodes, conds_per_call: int, frames: int, schedule: str
) -> None:
    """All three at once, in every layer and window, for the prompt and the negative prompt."""
    file, given = adapter_file(), References.random(frames)
    animated, additions = adapted(ipadapter_nodes, windowed(model, motion, schedule), file, given)
    sample(animated, frames, steps=1 if schedule == "standard_static" else 2)
    check_additions(additions, file, given, frames, conds_per_call)


@pytest.mark.parametrize("motion_first", [True, False])
@pytest.mark.parametrize("own", ["images", "weights", "masks"])
def test_each_of_them_alone(model, motion, ipadapter_nodes, own: str, motion_first: bool) -> None:
    """Only images, only weights or only masks differ by frame; the adapter is applied after or before the motion."""
    file = adapter_file()
    given = References.random(40, own == "images", own == "weights", own == "masks")
    start = windowed(model, motion) if motion_first else model
    animated, additions = adapted(ipadapter_nodes, start, file, given)
    sample(animated if motion_first else windowed(animated, motion), 40)
    check_additions(additions, file, given, 40, conds=2)


def test_fewer_images_than_frames(model, motion, ipadapter_nodes) -> None:
    """The last image serves the rest of the clip, not the rest of each window."""
    file, given = adapter_file(), References.random(40)
    given.images, given.negatives = given.images[:20], given.negatives[:20]
    animated, additions = adapted(ipadapter_nodes, windowed(model, motion), file, given)
    sample(animated, 40)
    check_additions(additions, file, given, 40, conds=2)


def test_a_short_clip_after_a_long_one(model, motion, ipadapter_nodes) -> None:
    """The windows of one run are forgotten by the next: the same MODEL then makes a clip that needs none."""
    file, given = adapter_file(), References.random(40)
    animated, additions = adapted(ipadapter_nodes, windowed(model, motion), file, given)
    for frames in (40, 16):
        additions.clear()
        sample(animated, frames)
        start = slice(frames)
        first = References(given.images[start], given.negatives[start], given.weights[start], given.masks[start])
        check_additions(additions, file, first, frames, conds=2)


# --- ComfyUI-Advanced-ControlNet --------------------------------------------------------------------------------------


class Echo(nn.Module):
    """A control network that answers with the mark of each hint, in a channel of its own; notes the marks too."""

    dtype = torch.float32

    def __init__(self, channel: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1), requires_grad=False)
        self.channel = channel

    def forward(self, x: Tensor, hint: Tensor, timesteps: Tensor, context: Tensor, **_: Any) -> dict[str, list[Tensor]]:
        plane = x.new_zeros(x.shape[0], 2, *x.shape[2:])
        plane[:, self.channel] = hint[:, 0, ::8, ::8]
        return {"input": [], "middle": [plane], "output": []}


def echo(channel: int = 0) -> comfy.controlnet.ControlNet:
    """The host's ControlNet around an echo."""
    return comfy.controlnet.ControlNet(Echo(channel), load_device=torch.device("cpu"), extra_conds=[])


def marks(count: int) -> Tensor:
    """Hint images: image i is filled with i * UNIT."""
    return (torch.arange(count) * UNIT).reshape(-1, 1, 1, 1).expand(-1, 64, 64, 3).contiguous()


def apply_advanced(nodes: dict[str, Any], pair: Pair | None, net: Any, images: Tensor, **options: Any) -> Pair:
    """Apply Advanced ControlNet."""
    pair = pair or (conditioning(1), conditioning(2))
    return nodes["ACN_AdvancedControlNetApply_v2"].execute(*pair, net, images, 1.0, 0.0, 1.0, **options).result


def apply_vanilla(pair: Pair | None, net: Any, images: Tensor) -> Pair:
    """The host's Apply ControlNet."""
    pair = pair or (conditioning(1), conditioning(2))
    return host_nodes.ControlNetApplyAdvanced().apply_controlnet(*pair, net, images, 1.0, 0.0, 1.0)


@dataclass
class Control:
    """What the control networks gave to the UNet in one model call: frames of the window, conds, middle plane."""

    frames: list[int]
    conds: int
    plane: Tensor


def controlled(model: Any, frames: int, pair: Pair) -> list[Control]:
    """Sample without the UNet; per model call, the control it was given."""
    calls = []

    def note(_apply: Callable[..., Tensor], args: dict[str, Any]) -> Tensor:
        window = frames_in(args["c"]["transformer_options"], frames)
        calls.append(Control(window, len(args["cond_or_uncond"]), args["c"]["control"]["middle"][0].clone()))
        return torch.zeros_like(args["input"])

    model = model.clone()
    model.set_model_unet_function_wrapper(note)
    sample(model, frames, pair)
    check_cover([call.frames for call in calls], frames)
    return calls


def check_planes(calls: list[Control], wanted: Tensor, conds: int, channel: int = 0) -> None:
    """In every call, frame i of the window was given plane i of ``wanted``: ``(frames, height, width)``."""
    assert {call.conds for call in calls} == {conds}
    for call in calls:
        torch.testing.assert_close(call.plane[:, channel], wanted[call.frames * call.conds], rtol=1e-5, atol=1e-6)


CHAINS = (
    "advanced, vanilla",
    "vanilla, advanced",
    "advanced, advanced",
    "vanilla, vanilla, advanced",
    "vanilla, advanced, vanilla",
    "advanced, vanilla, advanced",
)
"""In the order in which the controls are applied: the first is the innermost."""


def marked(frames: int) -> Tensor:
    """The planes that an echo of all marks gives."""
    return marks(frames)[:, ::8, ::8, 0]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("frames", FRAMES)
def test_every_frame_keeps_its_advanced_hint(
    model, motion, acn_nodes, conds_per_call: int, frames: int, schedule: str
) -> None:
    """The hints of a window are those of its frames, for the prompt and the negative prompt."""
    pair = apply_advanced(acn_nodes, None, echo(), marks(frames))
    control = pair[0][0][1]["control"]
    assert type(control).__name__ == "ControlNetAdvanced" and control is pair[1][0][1]["control"]
    check_planes(controlled(windowed(model, motion, schedule), frames, pair), marked(frames), conds_per_call)


@pytest.mark.parametrize("frames", FRAMES)
def test_every_frame_keeps_its_strength_and_mask(model, motion, acn_nodes, conds_per_call: int, frames: int) -> None:
    """Latent keyframes give each frame its strength, a batch of masks its mask; the hints are its own too."""
    strengths = torch.linspace(0.25, 1.5, frames)
    (keyframes,) = acn_nodes["LatentKeyframeBatchedGroup"].execute(strengths.tolist()).result
    masks = torch.linspace(0.5, 1.0, frames).reshape(-1, 1, 1).expand(-1, 64, 64).contiguous()
    pair = apply_advanced(acn_nodes, None, echo(), marks(frames), latent_kf_override=keyframes, mask_optional=masks)
    wanted = marked(frames) * strengths.reshape(-1, 1, 1) * masks[:, ::8, ::8]
    check_planes(controlled(windowed(model, motion), frames, pair), wanted, conds_per_call)


@pytest.mark.parametrize("frames", FRAMES)
def test_a_curve_multiplies_an_advanced_control(model, motion, acn_nodes, conds_per_call: int, frames: int) -> None:
    """Apply Control Curve after Apply Advanced ControlNet: both strengths of a frame, and its hint."""
    strengths = torch.linspace(0.25, 1.5, frames)
    (keyframes,) = acn_nodes["LatentKeyframeBatchedGroup"].execute(strengths.tolist()).result
    pair = apply_advanced(acn_nodes, None, echo(), marks(frames), latent_kf_override=keyframes)
    curved = with_control_curve(pair, make_curve("0: 2, -1: 0.5"))
    wanted = marked(frames) * (strengths * torch.linspace(2, 0.5, frames)).reshape(-1, 1, 1)
    check_planes(controlled(windowed(model, motion), frames, curved), wanted, conds_per_call)


@pytest.mark.parametrize("order", CHAINS)
@pytest.mark.parametrize("frames", FRAMES)
def test_a_chain_with_a_control_of_the_host(
    model, motion, acn_nodes, conds_per_call: int, frames: int, order: str
) -> None:
    """Both kinds in one chain, applied in this order: each gives frame i its hint i."""
    pair: Pair | None = None
    kinds = order.split(", ")
    for kind in kinds:
        if kind == "vanilla":
            pair = apply_vanilla(pair, echo(1), marks(frames).flip(0))
        else:
            pair = apply_advanced(acn_nodes, pair, echo(0), marks(frames))
    calls = controlled(windowed(model, motion), frames, pair)
    check_planes(calls, marked(frames) * kinds.count("advanced"), conds_per_call, channel=0)
    check_planes(calls, marked(frames).flip(0) * kinds.count("vanilla"), conds_per_call, channel=1)


def test_another_run_with_the_same_control(model, motion, acn_nodes) -> None:
    """The windows of one run are forgotten by the next: the same control then serves a clip that needs none."""
    pair = apply_advanced(acn_nodes, None, echo(), marks(40))
    animated = windowed(model, motion)
    for frames in (40, 16, 40):
        check_planes(controlled(animated, frames, pair), marked(frames), conds=2)


def network(kind: str, acn: ModuleType, folder: Path) -> tuple[Any, nn.Module]:
    """A small real control network with random weights: a ControlNet, or a T2I adapter by the pack's own loader."""
    torch.manual_seed(13)
    if kind == "t2i_adapter":
        channels = list(CHANNELS)
        net = comfy.t2i_adapter.adapter.Adapter(channels, 2, cin=3 * 64, ksize=1, sk=True, use_conv=False, xl=False)
        save_file(net.state_dict(), folder / "t2i.safetensors")
        loader = importlib.import_module(f"{acn.__name__}.adv_control.control")
        control = loader.load_controlnet(str(folder / "t2i.safetensors"))
        assert type(control).__name__ == "T2IAdapterAdvanced"
        return control, control.t2i_model
    net = comfy.cldm.cldm.ControlNet(
        image_size=32,
        in_channels=4,
        model_channels=CHANNELS[0],
        hint_channels=3,
        num_res_blocks=[2, 2, 2, 2],
        channel_mult=(1, 2, 4, 4),
        transformer_depth=[1, 1, 1, 1, 1, 1, 0, 0],
        transformer_depth_middle=1,
        context_dim=WIDTH,
        num_heads=8,
        use_spatial_transformer=True,
        legacy=False,
        dtype=torch.float32,
    )
    for parameter in net.parameters():
        parameter.data = torch.randn_like(parameter) * 0.05
    return comfy.controlnet.ControlNet(net, load_device=torch.device("cpu"), extra_conds=[]), net


@pytest.mark.parametrize("kind", ["controlnet", "t2i_adapter"])
def test_real_networks_on_the_whole_unet(
    model, motion, acn, acn_nodes, conds_per_call: int, kind: str, tmp_path: Path
) -> None:
    """Nothing is left out here: a real control network sees the window's hints, and the sampled clip is finite."""
    control, net = network(kind, acn, tmp_path)
    pair = apply_advanced(acn_nodes, None, control, marks(40))
    seen, windows = [], []

    def hints(_net: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hint = kwargs["hint"] if kind == "controlnet" else args[0]
        seen.append([round(value / UNIT) for value in hint[:, 0, 0, 0].tolist()])

    def note(apply: Callable[..., Tensor], args: dict[str, Any]) -> Tensor:
        windows.append((frames_in(args["c"]["transformer_options"], 40), len(args["cond_or_uncond"])))
        out = apply(args["input"], args["timestep"], **args["c"])
        assert torch.isfinite(out).all()
        return out

    animated = windowed(model, motion, "standard_uniform")
    animated.set_model_unet_function_wrapper(note)
    with net.register_forward_pre_hook(hints, with_kwargs=True):
        sample(animated, 40, pair)
    check_cover([window for window, _ in windows], 40)
    assert seen == [window * conds for window, conds in windows]
    assert {conds for _, conds in windows} == {conds_per_call}


@pytest.mark.parametrize("frames", [16, 40])
def test_apply_advanced_takes_sparse_ctrl_and_its_images(model, other_motion, acn_nodes, frames: int, tmp_path: Path) -> None:
    """The pack's own node, which has no VAE input that graphs connect: the same animation as by the host's, with a VAE."""
    save_file(sparse_control("rgb"), tmp_path / "rgb.safetensors")
    control = SparseCtrlFrames.execute(load_sparse_control(tmp_path / "rgb.safetensors"), placement="first and last").result[0]
    images, vae = torch.rand(2, 64, 64, 3, generator=torch.Generator().manual_seed(3)), Encoder()
    pair = apply_advanced(acn_nodes, None, control, SparseCtrlImages.execute(images, vae).result[0])
    given = pair[0][0][1]["control"]
    assert type(given) is SparseControl and given.vae is vae and given.settings.placement == "first and last"
    wanted = host_nodes.ControlNetApplyAdvanced().apply_controlnet(
        conditioning(1), conditioning(2), control, images, 1.0, 0.0, 1.0, vae=Encoder()
    )
    animated = windowed(model, other_motion)
    assert torch.equal(clip(animated, pair, frames), clip(animated, wanted, frames))


# --- both -------------------------------------------------------------------------------------------------------------


def test_both_packs_together(model, motion, ipadapter_nodes, acn_nodes, conds_per_call: int) -> None:
    """One MODEL with an IP-Adapter, one CONDITIONING with an advanced control: neither disturbs the other's windows."""
    file, given = adapter_file(), References.random(40)
    animated, additions = adapted(ipadapter_nodes, windowed(model, motion), file, given)
    pair = apply_advanced(acn_nodes, None, echo(), marks(40))
    check_planes(controlled(animated, 40, pair), marked(40), conds_per_call)
    assert not additions, "controlled() leaves out the UNet"
    seen = []

    def note(apply: Callable[..., Tensor], args: dict[str, Any]) -> Tensor:
        control = args["c"].pop("control")  # its planes fit no UNet
        window = frames_in(args["c"]["transformer_options"], 40)
        seen.append(Control(window, len(args["cond_or_uncond"]), control["middle"][0]))
        return apply(args["input"], args["timestep"], **args["c"])

    animated.set_model_unet_function_wrapper(note)
    sample(animated, 40, pair)
    check_planes(seen, marked(40), conds_per_call)
    check_additions(additions, file, given, 40, conds_per_call)
