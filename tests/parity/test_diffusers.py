"""A whole UNet step against diffusers' UNetMotionModel, an implementation that shares no code with ours or the host's.

Diffusers takes the statistics of the motion norm over all frames, the authors of v2 and v3 per frame; the test puts
that right before it compares.
"""

from __future__ import annotations

import re
from typing import Any

import comfy.utils
import pytest
import torch
from animatediff_native.sampling.modules.load import load_motion_module
from animatediff_native.sampling.run.animate import animate
from animatediff_tests.tiny import CHANNELS, motion_file, run_ksampler, tiny_model
from diffusers import MotionAdapter, UNet2DConditionModel, UNetMotionModel
from torch import Tensor, nn

FRAMES = 16


class PerFrame(nn.Module):
    """A norm that sees ``(B, C, F, H, W)`` one frame at a time."""

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        b, c, f, h, w = x.shape
        flat = self.norm(x.transpose(1, 2).reshape(b * f, c, h, w))
        return flat.reshape(b, f, c, h, w).transpose(1, 2)


def adapter_key(key: str) -> str | None:
    """Original spelling -> diffusers'; None for the second copy of the positions."""
    if key.endswith("pos_encoder.pe"):
        return None if "attention_blocks.1" in key else re.sub(r"\.temporal_transformer(.*)\.attention_blocks.*", r"\1.pos_embed.pe", key)
    key = key.replace(".temporal_transformer", "").replace("transformer_blocks.0.ff_norm", "transformer_blocks.0.norm3")
    for index in (0, 1):
        key = key.replace(f"attention_blocks.{index}", f"attn{index + 1}")
        key = key.replace(f"transformer_blocks.0.norms.{index}", f"transformer_blocks.0.norm{index + 1}")
    return key


def diffusers_unet(unet_state: dict[str, Tensor], unet_config: dict[str, Any], motion: dict[str, Tensor]) -> UNetMotionModel:
    """The same weights in diffusers' networks."""
    heads = {"attention_head_dim": 8, "cross_attention_dim": 64, "sample_size": 8}
    base = UNet2DConditionModel(block_out_channels=CHANNELS, **heads)
    names = comfy.utils.unet_to_diffusers(unet_config)
    base.load_state_dict({name: unet_state[names[name]] for name in base.state_dict()}, strict=True)
    mid = any(key.startswith("mid_block") for key in motion)
    adapter = MotionAdapter(block_out_channels=CHANNELS, motion_max_seq_length=32, use_motion_mid_block=mid)
    adapter.load_state_dict({name: tensor for key, tensor in motion.items() if (name := adapter_key(key))}, strict=True)
    return UNetMotionModel.from_unet2d(base, adapter).eval()


def make_per_frame(unet: UNetMotionModel) -> int:
    """Give every motion norm its authors' scope; returns how many there are."""
    transformers = [m for m in unet.modules() if type(m).__name__ == "AnimateDiffTransformer3D"]
    for transformer in transformers:
        transformer.norm = PerFrame(transformer.norm)
    return len(transformers)


def distance(a: Tensor, b: Tensor) -> float:
    return ((a.double() - b.double()).norm() / b.double().norm()).item()


@pytest.mark.parametrize(("version", "blocks"), [("v2", 21), ("v3", 20)])
@torch.inference_mode()
def test_unet_step(version: str, blocks: int, tmp_path) -> None:
    model = tiny_model()
    path = motion_file(tmp_path, version, seed=1)
    network = model.model.diffusion_model
    calls = []
    keep = network.register_forward_hook(lambda _m, args, kw, out: calls.append((args, kw, out)), with_kwargs=True)
    run_ksampler(animate(model, load_motion_module(path)), steps=1)
    keep.remove()
    (x, t), context, ours = calls[0][0], calls[0][1]["context"], calls[0][2]
    config = dict(model.model.model_config.unet_config)
    theirs = diffusers_unet(network.state_dict(), config, torch.load(path, weights_only=True))

    def run() -> Tensor:
        clips = x.unflatten(0, (-1, FRAMES)).transpose(1, 2)
        out = theirs(clips, t[::FRAMES], encoder_hidden_states=context).sample
        return out.transpose(1, 2).flatten(0, 1)

    pooled = run()
    assert make_per_frame(theirs) == blocks
    assert distance(run(), ours) < 1e-5
    assert distance(pooled, ours) > 1e-3, "the test cannot see norm scopes"
