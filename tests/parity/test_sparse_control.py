"""SparseCtrl against diffusers' SparseControlNetModel and against a naive reference, in every spelling of its files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from animatediff_native.motion.container import ModelFile
from animatediff_native.sampling.controls import sparse_network
from animatediff_native.sampling.controls.sparse_network import SparseControlNet, load_sparse_network
from animatediff_tests.formats import FORMATS, FULL, SMALL
from animatediff_tests.parity.test_diffusers import PerFrame, adapter_key, distance
from diffusers import SparseControlNetModel
from safetensors.torch import save_file
from torch import Tensor

FRAMES, SIZE = 6, 8
KINDS = ("rgb", "scribble")
SPELLINGS = {"original": "v3_sd15_sparsectrl_{}", "diffusers": "diffusers_sparsectrl_{}", "ldm": "conrevo_sparsectrl_{}_fp16"}


def random_state(kind: str) -> dict[str, Tensor]:
    """Weights in the original spelling, whose norms are near one and whose outputs are not zero."""
    generator = torch.Generator().manual_seed(3)
    state = {}
    for key, shape in FORMATS[SPELLINGS["original"].format(kind)].shapes(SMALL).items():
        noise = torch.randn(shape, generator=generator)
        if len(shape) > 1:
            state[key] = noise / (torch.tensor(shape[1:]).prod() ** 0.5)
        else:
            state[key] = 1 + 0.1 * noise if "norm" in key and key.endswith("weight") else 0.05 * noise
        if key.endswith("pos_encoder.pe"):
            position = torch.arange(shape[1])[:, None]
            angle = position * 10000.0 ** (-torch.arange(0, shape[2], 2) / shape[2])
            state[key] = torch.stack([angle.sin(), angle.cos()], -1).reshape(shape)
    return state


def respelled(state: dict[str, Tensor], kind: str, spelling: str) -> dict[str, Tensor]:
    """The same weights under the names of another spelling, matched by the order in which the formats list them."""
    names = FORMATS[SPELLINGS[spelling].format(kind)].shapes(SMALL)
    originals = FORMATS[SPELLINGS["original"].format(kind)].shapes(SMALL)
    return {name: state[original] for name, original in zip(names, originals, strict=True)}


def load(state: dict[str, Tensor], folder: Path, name: str = "sparse.safetensors") -> SparseControlNet:
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, folder / name)
    return load_sparse_network(folder / name)[1].model


def inputs(kind: str, conds: int = 2) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(5)
    channels, side = (4, SIZE) if kind == "rgb" else (3, 8 * SIZE)
    hint = torch.zeros(FRAMES, channels + 1, side, side)
    for frame in (0, 4):
        hint[frame, :-1] = torch.rand(channels, side, side, generator=generator)
        hint[frame, -1] = 1
    return {
        "x": torch.randn(conds * FRAMES, 4, SIZE, SIZE, generator=generator),
        "hint": hint.repeat(conds, 1, 1, 1),
        "timesteps": torch.full((conds * FRAMES,), 431.0),
        "context": torch.randn(conds, 5, SMALL.text, generator=generator).repeat_interleave(FRAMES, 0),
    }


@torch.inference_mode()
def run(network: SparseControlNet, given: dict[str, Any]) -> list[Tensor]:
    out = network(**given, frames=FRAMES)
    return [*out["output"], *out["middle"]]


def diffusers_model(state: dict[str, Tensor], kind: str) -> SparseControlNetModel:
    model = SparseControlNetModel(
        conditioning_channels=4 if kind == "rgb" else 3,
        block_out_channels=SMALL.sd15,
        cross_attention_dim=SMALL.text,
        attention_head_dim=8,
        motion_num_attention_heads=8,
        use_simplified_condition_embedding=kind == "rgb",
    )
    names = {key: adapter_key(key) if "motion_modules" in key else key for key in state}
    model.load_state_dict({names[key]: tensor for key, tensor in state.items()}, strict=True)
    return model.eval()


@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_diffusers(kind: str, tmp_path: Path) -> None:
    state, given = random_state(kind), inputs(kind)
    theirs = diffusers_model(state, kind)
    hint = given["hint"].unflatten(0, (-1, FRAMES)).transpose(1, 2)

    def residuals() -> list[Tensor]:
        sample = given["x"].unflatten(0, (-1, FRAMES)).transpose(1, 2)
        down, mid = theirs(
            sample,
            431,
            given["context"],
            controlnet_cond=hint[:, :-1],
            conditioning_mask=hint[:, -1:],
            return_dict=False,
        )
        return [*down, mid]

    ours, pooled = run(load(state, tmp_path), given), residuals()
    for module in theirs.modules():
        if type(module).__name__ == "AnimateDiffTransformer3D":
            module.norm = PerFrame(module.norm)
    agreed = residuals()
    assert len(ours) == len(agreed) == 13
    assert all(distance(a, b) < 1e-4 for a, b in zip(ours, agreed, strict=True))
    assert max(distance(a, b) for a, b in zip(ours, pooled, strict=True)) > 1e-3, "the test cannot see norm scopes"


@pytest.mark.parametrize("spelling", [name for name in SPELLINGS if name != "original"])
@pytest.mark.parametrize("kind", KINDS)
def test_spellings_are_one_model(kind: str, spelling: str, tmp_path: Path) -> None:
    state, given = random_state(kind), inputs(kind, conds=1)
    wanted = run(load(state, tmp_path), given)
    got = run(load(respelled(state, kind, spelling), tmp_path, "other.safetensors"), given)
    assert all(torch.equal(a, b) for a, b in zip(got, wanted, strict=True))


# --- naive reference -------------------------------------------------------------------------------------------------


class Naive:
    """The forward pass written out from the description of the files, one frame and one pixel at a time where it can be."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        self.state = {key: tensor.double() for key, tensor in state.items()}

    def w(self, name: str) -> tuple[Tensor, Tensor | None]:
        return self.state[f"{name}.weight"], self.state.get(f"{name}.bias")

    def conv(self, name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight, bias = self.w(name)
        return F.conv2d(x, weight, bias, stride, padding=weight.shape[-1] // 2)

    def linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, *self.w(name))

    def group_norm(self, name: str, x: Tensor, eps: float) -> Tensor:
        return F.group_norm(x, 32, *self.w(name), eps=eps)

    def layer_norm(self, name: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], *self.w(name))

    def resnet(self, name: str, x: Tensor, emb: Tensor) -> Tensor:
        h = self.conv(f"{name}.conv1", F.silu(self.group_norm(f"{name}.norm1", x, 1e-5)))
        h = h + self.linear(f"{name}.time_emb_proj", F.silu(emb))[:, :, None, None]
        h = self.conv(f"{name}.conv2", F.silu(self.group_norm(f"{name}.norm2", h, 1e-5)))
        return h + (self.conv(f"{name}.conv_shortcut", x) if f"{name}.conv_shortcut.weight" in self.state else x)

    def attend(self, name: str, x: Tensor, context: Tensor, heads: int = 8) -> Tensor:
        q, k, v = (self.linear(f"{name}.to_{p}", t) for p, t in (("q", x), ("k", context), ("v", context)))
        q, k, v = (t.unflatten(-1, (heads, -1)).transpose(-3, -2) for t in (q, k, v))
        out = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1) @ v
        return self.linear(f"{name}.to_out.0", out.transpose(-3, -2).flatten(-2))

    def feed_forward(self, name: str, x: Tensor) -> Tensor:
        value, gate = self.linear(f"{name}.net.0.proj", x).chunk(2, -1)
        return self.linear(f"{name}.net.2", value * F.gelu(gate))

    def spatial(self, name: str, x: Tensor, context: Tensor) -> Tensor:
        t = self.conv(f"{name}.proj_in", self.group_norm(f"{name}.norm", x, 1e-6)).flatten(2).transpose(1, 2)
        inner = f"{name}.transformer_blocks.0"
        t = t + self.attend(f"{inner}.attn1", n := self.layer_norm(f"{inner}.norm1", t), n)
        t = t + self.attend(f"{inner}.attn2", self.layer_norm(f"{inner}.norm2", t), context)
        t = t + self.feed_forward(f"{inner}.ff", self.layer_norm(f"{inner}.norm3", t))
        return x + self.conv(f"{name}.proj_out", t.transpose(1, 2).unflatten(2, x.shape[2:]))

    def temporal(self, name: str, x: Tensor, frames: int) -> Tensor:
        name += ".temporal_transformer"
        t = self.linear(f"{name}.proj_in", self.group_norm(f"{name}.norm", x, 1e-6).flatten(2).transpose(1, 2))
        inner, attention = f"{name}.transformer_blocks.0", f"{name}.transformer_blocks.0.attention_blocks.0"
        n = self.layer_norm(f"{inner}.norms.0", t).unflatten(0, (-1, frames)).transpose(1, 2)  # b, pixels, frames, c
        n = n + self.state[f"{attention}.pos_encoder.pe"][:, :frames]
        t = t + self.attend(attention, n, n).transpose(1, 2).flatten(0, 1)
        t = t + self.feed_forward(f"{inner}.ff", self.layer_norm(f"{inner}.ff_norm", t))
        return x + self.linear(f"{name}.proj_out", t).transpose(1, 2).unflatten(2, x.shape[2:])

    def hint(self, hint: Tensor) -> Tensor:
        stem = "controlnet_cond_embedding"
        if f"{stem}.weight" in self.state:
            return self.conv(stem, hint)
        h = F.silu(self.conv(f"{stem}.conv_in", hint))
        for index in range(6):
            h = F.silu(self.conv(f"{stem}.blocks.{index}", h, stride=1 + index % 2))
        return self.conv(f"{stem}.conv_out", h)

    def __call__(self, x: Tensor, hint: Tensor, timesteps: Tensor, context: Tensor) -> list[Tensor]:
        width = self.state["conv_in.weight"].shape[0]
        frequency = torch.exp(-math.log(10000) * torch.arange(width // 2) / (width // 2))
        angle = timesteps[:, None] * frequency  # in single precision, as everybody's code has it
        emb = self.linear("time_embedding.linear_1", torch.cat([angle.cos(), angle.sin()], 1).double())
        emb = self.linear("time_embedding.linear_2", F.silu(emb))
        context = context.double()
        h = self.conv("conv_in", torch.zeros_like(x.double())) + self.hint(hint.double())
        skips = [h]
        for level in range(4):
            for i in range(2):
                h = self.resnet(f"down_blocks.{level}.resnets.{i}", h, emb)
                h = self.spatial(f"down_blocks.{level}.attentions.{i}", h, context) if level < 3 else h
                h = self.temporal(f"down_blocks.{level}.motion_modules.{i}", h, FRAMES)
                skips.append(h)
            if level < 3:
                h = self.conv(f"down_blocks.{level}.downsamplers.0.conv", h, stride=2)
                skips.append(h)
        h = self.resnet("mid_block.resnets.0", h, emb)
        h = self.resnet("mid_block.resnets.1", self.spatial("mid_block.attentions.0", h, context), emb)
        outputs = [self.conv(f"controlnet_down_blocks.{i}", skip) for i, skip in enumerate(skips)]
        return [*outputs, self.conv("controlnet_mid_block", h)]


@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_naive_reference(kind: str, tmp_path: Path) -> None:
    """In double precision they are the same; in single precision as close as rounding lets them.

    Frames without a hint are all but constant after the first layer, and the norm after it makes rounding errors as large
    as what it should show: so every frame has a hint where single precision is compared.
    """
    state, given = random_state(kind), inputs(kind)
    network = load(state, tmp_path)
    full = {**given, "hint": torch.rand_like(given["hint"])}
    ours, naive = run(network, full), Naive(state)(**full)
    assert max(distance(a, b) for a, b in zip(ours, naive, strict=True)) < 3e-5
    exact = run(network.double(), {name: tensor.double() for name, tensor in given.items()})
    assert max(distance(a, b) for a, b in zip(exact, Naive(state)(**given), strict=True)) < 1e-12


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("kind", KINDS)
def test_full_size_files(kind: str, spelling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every key and shape of the public files, without their memory."""
    public = FORMATS[SPELLINGS[spelling].format(kind)]
    tensors = {key: torch.empty(shape, device="meta") for key, shape in public.shapes(FULL).items()}
    monkeypatch.setattr(sparse_network, "open_file", lambda path: ModelFile(public.file, tensors, {}))
    config, patcher = load_sparse_network(public.file)
    network = patcher.model
    assert (config.kind, config.motion.positions, config.text_width) == (kind, 32, 768)
    assert network.motion.sites().keys() == {1, 2, 4, 5, 7, 8, 10, 11}
    assert sum(t.numel() for t in network.state_dict().values()) == (496_956_160 if kind == "rgb" else 498_028_064)
