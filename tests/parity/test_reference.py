"""The temporal block and a whole UNet step against a naive reference, written from the authors' description.

The reference shares no code with ``motion/``: einsum attention with an explicit softmax, one pass over everything,
statistics of every norm per frame. Inputs have a different scale in every frame, so that a norm over all frames shows.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from animatediff_native.demo import synthetic
from animatediff_native.motion import module as motion_module
from animatediff_native.motion.attention import scaled_dot_product_attention
from animatediff_native.motion.checkpoint import read_motion_module
from animatediff_native.motion.container import ModelFile
from animatediff_native.motion.model import MotionModel
from animatediff_native.motion.module import Modulation, TemporalBlock
from animatediff_native.sampling.host.attention import host_attention
from animatediff_native.sampling.modules.load import load_motion_module
from animatediff_native.sampling.run.animate import animate
from animatediff_tests.tiny import motion_file, run_ksampler, tiny_model
from torch import Tensor

CHANNELS = (32, 64, 128, 128)
State = dict[str, Tensor]


def linear(x: Tensor, state: State, name: str) -> Tensor:
    y = torch.einsum("...i,oi->...o", x, state[f"{name}.weight"])
    return y + state[f"{name}.bias"] if f"{name}.bias" in state else y


def layer_norm(x: Tensor, state: State, name: str) -> Tensor:
    mean, var = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
    return (x - mean) / torch.sqrt(var + 1e-5) * state[f"{name}.weight"] + state[f"{name}.bias"]


def group_norm(x: Tensor, state: State, name: str, pooled_frames: int = 1) -> Tensor:
    """32 groups; ``pooled_frames`` > 1 takes statistics over that many frames together, which v2 and v3 must not."""
    bf, c, h, w = x.shape
    groups = x.reshape(bf // pooled_frames, pooled_frames, 32, c // 32, h, w)
    mean = groups.mean((1, 3, 4, 5), keepdim=True)
    var = groups.var((1, 3, 4, 5), unbiased=False, keepdim=True)
    normed = ((groups - mean) / torch.sqrt(var + 1e-6)).reshape(x.shape)
    return normed * state[f"{name}.weight"][:, None, None] + state[f"{name}.bias"][:, None, None]


def attention(x: Tensor, state: State, name: str, scale: float) -> Tensor:
    """``(N, F, C)``: 8 heads, positions added before the projections."""
    n, f, c = x.shape
    position = torch.arange(f, dtype=torch.float64)[:, None]
    rate = torch.exp(torch.arange(0, c, 2, dtype=torch.float64) * (-math.log(10000.0) / c))
    table = torch.stack([(position * rate).sin(), (position * rate).cos()], -1).reshape(f, c).to(x.dtype)
    x = x + table
    q, k, v = (linear(x, state, f"{name}.to_{part}").reshape(n, f, 8, c // 8) for part in "qkv")
    logits = torch.einsum("nfhd,nghd->nhfg", q, k * scale) / math.sqrt(c // 8)
    out = torch.einsum("nhfg,nghd->nfhd", logits.softmax(-1), v).reshape(n, f, c)
    return linear(out, state, f"{name}.to_out.0")


def reference(
    x: Tensor, state: State, prefix: str, frames: int, effect: float = 1.0, scale: float = 1.0, pooled: bool = False
) -> Tensor:
    """One temporal block on ``(B·F, C, H, W)``."""
    own = {key.removeprefix(f"{prefix}.temporal_transformer."): t.to(x.dtype) for key, t in state.items() if key.startswith(prefix)}
    bf, c, h, w = x.shape
    t = group_norm(x, own, "norm", frames if pooled else 1).permute(0, 2, 3, 1).reshape(bf, h * w, c)
    t = linear(t, own, "proj_in")
    for i in (0, 1):
        a = layer_norm(t, own, f"transformer_blocks.0.norms.{i}")
        a = a.reshape(bf // frames, frames, h * w, c).transpose(1, 2).reshape(-1, frames, c)
        a = attention(a, own, f"transformer_blocks.0.attention_blocks.{i}", scale)
        t = t + a.reshape(bf // frames, h * w, frames, c).transpose(1, 2).reshape(bf, h * w, c)
    a = linear(layer_norm(t, own, "transformer_blocks.0.ff_norm"), own, "transformer_blocks.0.ff.net.0.proj")
    value, gate = a.chunk(2, -1)
    gated = value * gate * 0.5 * (1 + torch.erf(gate / math.sqrt(2)))
    t = linear(gated, own, "transformer_blocks.0.ff.net.2") + t
    t = linear(t, own, "proj_out").reshape(bf, h, w, c).permute(0, 3, 1, 2)
    return x + effect * t


def distance(a: Tensor, b: Tensor) -> float:
    return ((a.double() - b.double()).norm() / b.double().norm()).item()


def clip(channels: int, frames: int = 16, clips: int = 2, side: int = 7, seed: int = 0) -> Tensor:
    """A batch in which every frame has another scale and offset."""
    x = torch.randn(clips * frames, channels, side, side, generator=torch.Generator().manual_seed(seed))
    loudness = torch.linspace(0.2, 3.0, clips * frames)[:, None, None, None]
    return x * loudness + loudness.flip(0) * 0.5


def network(version: str) -> tuple[MotionModel, State]:
    state = synthetic.motion_module(channels=CHANNELS, mid=version == "v2", positions=32, seed=1)
    found = read_motion_module(ModelFile(version, state))
    config, own = found.config, found.motion
    model = MotionModel(config)
    model.load_state_dict(own, strict=True)
    return model, state


@pytest.mark.parametrize("pixels", [1, 5, 16, 10_000])
@pytest.mark.parametrize("prefix", ["down_blocks.0.motion_modules.1", "up_blocks.1.motion_modules.2"])
@torch.inference_mode()
def test_block(prefix: str, pixels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, state = network("v2")
    monkeypatch.setattr(motion_module, "tile_pixels", lambda *_: pixels)
    block = model.get_submodule(prefix)
    x = clip(block.channels)
    wanted = reference(x, state, prefix, 16)
    assert distance(block(x, 16), wanted) < 1e-5
    assert distance(wanted, x) > 0.1, "the block does nothing"
    assert distance(reference(x, state, prefix, 16, pooled=True), wanted) > 1e-3, "the test cannot see norm scopes"


KERNELS = {"torch": scaled_dot_product_attention, "host": host_attention({})}


@pytest.mark.parametrize("kernel", KERNELS)
@torch.inference_mode()
def test_every_block_of_a_file(kernel: str) -> None:
    """Against the reference in float64, so that its own rounding does not count."""
    model, state = network("v2")
    blocks = {name: block for name, block in model.named_modules() if isinstance(block, TemporalBlock)}
    assert len(blocks) == 21
    for prefix, block in blocks.items():
        x = clip(block.channels)
        wanted = reference(x.double(), state, prefix, 16)
        assert distance(block(x, 16, KERNELS[kernel]), wanted) < 1e-6, prefix


@torch.inference_mode()
def test_block_in_double() -> None:
    """What is left in float64 is the table of positions, which files store in float32: no formula is approximate."""
    model, state = network("v2")
    block = model.double().get_submodule("mid_block.motion_modules.0")
    x = clip(block.channels).double()
    assert distance(block(x, 16), reference(x, state, "mid_block.motion_modules.0", 16)) < 1e-7


@pytest.mark.parametrize("frames", [1, 3, 32])
@pytest.mark.parametrize("kernel", KERNELS)
@torch.inference_mode()
def test_block_with_other_clip_lengths(kernel: str, frames: int) -> None:
    model, state = network("v2")
    prefix = "up_blocks.3.motion_modules.0"
    x = clip(32, frames, clips=3)
    out = model.get_submodule(prefix)(x, frames, KERNELS[kernel])
    assert distance(out, reference(x, state, prefix, frames)) < 1e-6


@pytest.mark.parametrize(("tokens", "tiles"), [(1, 25), (3, 9), (7, 4), (6000, 1)])
@torch.inference_mode()
def test_block_in_tiles(tokens: int, tiles: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The 49 pixels of the clip leave the last tile partly empty, and no tiling changes the result."""
    model, state = network("v2")
    prefix = "down_blocks.1.motion_modules.0"
    block, calls = model.get_submodule(prefix), []
    monkeypatch.setattr(motion_module, "TOKENS_PER_CHANNEL", tokens)
    keep = block.temporal_transformer.proj_out.register_forward_hook(lambda *_: calls.append(1))
    x = clip(64)
    before = x.clone()
    assert distance(block(x, 16), reference(x, state, prefix, 16)) < 1e-6
    keep.remove()
    assert len(calls) == tiles
    assert torch.equal(x, before), "the block wrote into its input, which the UNet keeps for its skips"


@pytest.mark.parametrize(("effect", "scale"), [(0.6, 1.4), (0.6, None), (None, 1.4), (1.7, 0.0), (0.0, None)])
@pytest.mark.parametrize("kernel", KERNELS)
@torch.inference_mode()
def test_block_with_modulation(kernel: str, effect: float | None, scale: float | None) -> None:
    model, state = network("v3")
    prefix = "down_blocks.1.motion_modules.0"
    x = clip(64)
    modulation = Modulation(*(None if value is None else torch.tensor(value) for value in (effect, scale)))
    out = model.get_submodule(prefix)(x, 16, KERNELS[kernel], modulation)
    given = {name: value for name, value in (("effect", effect), ("scale", scale)) if value is not None}
    assert distance(out, reference(x, state, prefix, 16, **given)) < 1e-6
    assert distance(out, reference(x, state, prefix, 16)) > 0.01, "the modulation does nothing"


PLACES: dict[str, tuple[str, ...]] = {
    "input": (
        "", "down_blocks.0.motion_modules.0", "down_blocks.0.motion_modules.1", "",
        "down_blocks.1.motion_modules.0", "down_blocks.1.motion_modules.1", "",
        "down_blocks.2.motion_modules.0", "down_blocks.2.motion_modules.1", "",
        "down_blocks.3.motion_modules.0", "down_blocks.3.motion_modules.1",
    ),
    "output": tuple(f"up_blocks.{i // 3}.motion_modules.{i % 3}" for i in range(12)),
}  # fmt: skip


def hooked(unet: Any, state: State, frames: int, pooled: bool = False) -> list[Any]:
    """Put the reference into a UNet with torch hooks: after the transformer of a block, or else its residual block."""

    def after(prefix: str) -> Any:
        return lambda _module, _args, out: reference(out, state, prefix, frames, pooled=pooled)

    targets = []
    for stage, blocks in (("input", unet.input_blocks), ("output", unet.output_blocks)):
        for block, prefix in zip(blocks, PLACES[stage], strict=len(unet.output_blocks) == 12):
            if prefix:
                targets.append((next((m for m in block if "Transformer" in type(m).__name__), block[0]), prefix))
    if any(key.startswith("mid_block") for key in state):
        targets.append((unet.middle_block[1], "mid_block.motion_modules.0"))
    return [layer.register_forward_hook(after(prefix)) for layer, prefix in targets]


@pytest.mark.parametrize("version", ["v2", "v3"])
@torch.inference_mode()
def test_unet_step(version: str, tmp_path) -> None:
    """What the UNet returns inside a real sampling step, against the same call with the reference hooked in."""
    model = tiny_model()
    path = motion_file(tmp_path, version, seed=1)
    state = torch.load(path, weights_only=True)
    calls = []
    unet = model.model.diffusion_model
    keep = unet.register_forward_hook(lambda _m, args, kwargs, out: calls.append((args, kwargs, out)), with_kwargs=True)
    run_ksampler(animate(model, load_motion_module(path)), steps=1)
    keep.remove()
    args, kwargs, out = calls[0]
    plain = unet(args[0], args[1], context=kwargs["context"], transformer_options={})
    handles = hooked(unet, state, 16)
    assert len(handles) == (21 if version == "v2" else 20)
    wanted = unet(args[0], args[1], context=kwargs["context"], transformer_options={})
    for handle in handles:
        handle.remove()
    assert distance(out, wanted) < 1e-5
    assert distance(plain, wanted) > 0.05, "the module does nothing"
