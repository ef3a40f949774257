"""Random motion modules of every family and motion LoRAs, in the spelling of the original files, at any size.

For the demo and the tests; `image_loras` makes the LoRAs of the image model. They animate nothing sensible, but every tensor has the name, the shape and roughly the
scale it has in a real file, so that whatever reads, places and runs real files can be checked without them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SD15_CHANNELS = (320, 640, 1280, 1280)
SDXL_CHANNELS = (320, 640, 1280)
TINY_CHANNELS = (32, 64, 128, 128)
ATTENTION_BLOCKS = 2
PROJECTIONS = ("to_q", "to_k", "to_v", "to_out")


@dataclass(frozen=True)
class Family:
    """The motion module file of a family.

    Attributes:
        file: its name, as the authors published it.
        mid: whether there is a module in the middle block.
        positions: rows of the positional encoding = the most frames it takes; None stores no encoding.
        levels: down blocks: 4 for SD1.5, 3 for SDXL.
        image_inputs: input channels of the first convolution the file brings along; 0 brings none.
    """

    file: str
    mid: bool
    positions: int | None
    levels: int = 4
    image_inputs: int = 0


FAMILIES = {
    "v1": Family("mm_sd_v15.ckpt", mid=False, positions=24),
    "v2": Family("mm_sd_v15_v2.ckpt", mid=True, positions=32),
    "v3": Family("v3_sd15_mm.ckpt", mid=False, positions=32),
    "lightning": Family("animatediff_lightning_4step_comfyui.safetensors", mid=True, positions=32),
    "lcm": Family("AnimateLCM_sd15_t2v.ckpt", mid=True, positions=None),
    "long32": Family("lt_long_mm_32_frames.ckpt", mid=True, positions=64),
    "long64": Family("lt_long_mm_16_64_frames_v1.1.ckpt", mid=True, positions=128),
    "pia": Family("pia.ckpt", mid=False, positions=32, image_inputs=9),
    "sdxl": Family("mm_sdxl_v10_beta.ckpt", mid=False, positions=32, levels=3),
    "hotshot": Family("hsxl_temporal_layers.f16.safetensors", mid=False, positions=24, levels=3),
}


def sites(channels: Sequence[int], mid: bool) -> Iterator[tuple[str, int]]:
    """The name and the channel count of every motion module: two per down block, three per up block, one in the middle.

    Four channel counts make the SD1.5 layout, three the SDXL layout.
    """
    for block, width in enumerate(channels):
        for index in range(2):
            yield f"down_blocks.{block}.motion_modules.{index}", width
    if mid:
        yield "mid_block.motion_modules.0", channels[-1]
    for block, width in enumerate(reversed(channels)):
        for index in range(3):
            yield f"up_blocks.{block}.motion_modules.{index}", width


def motion_module(
    channels: Sequence[int] = TINY_CHANNELS,
    mid: bool = True,
    positions: int | None = 32,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> dict[str, Tensor]:
    """A random motion module file.

    Args:
        channels: the channel count of each down block, a multiple of 32 each.
        mid: whether there is a module in the middle block (v2 has one; v1, v3 and SDXL have none).
        positions: rows of the positional encoding = the most frames it takes; None stores no encoding (AnimateLCM).
    """
    random = torch.Generator().manual_seed(seed)
    tensors: dict[str, Tensor] = {}
    for site, width in sites(channels, mid):
        for leaf, tensor in temporal_block(width, positions, random).items():
            tensors[f"{site}.temporal_transformer.{leaf}"] = tensor.to(dtype)
    return tensors


def family_module(
    family: str, channels: Sequence[int] = TINY_CHANNELS, seed: int = 0, dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """A random motion module file with what the files of `family` have, under their names.

    Args:
        family: a key of `FAMILIES`.
        channels: the channel count of each of four down blocks; a module for SDXL has the first three.
    """
    layout = FAMILIES[family]
    tensors = motion_module(channels[: layout.levels], layout.mid, layout.positions, seed, dtype)
    if layout.image_inputs:
        random = torch.Generator().manual_seed(seed)
        inputs = layout.image_inputs
        weight = _weight(channels[0], 9 * inputs, random).reshape(channels[0], inputs, 3, 3)
        tensors["conv_in.weight"] = weight.to(dtype)
        tensors["conv_in.bias"] = (0.02 * torch.randn(channels[0], generator=random)).to(dtype)
    return hotshot_spelling(tensors) if family == "hotshot" else tensors


def motion_lora(
    channels: Sequence[int] = TINY_CHANNELS,
    mid: bool = True,
    rank: int = 4,
    seed: int = 1,
    dtype: torch.dtype = torch.float32,
) -> dict[str, Tensor]:
    """A random motion LoRA: rank-`rank` deltas of all temporal attention projections. It has no alpha, like the originals."""
    random = torch.Generator().manual_seed(seed)
    tensors: dict[str, Tensor] = {}
    for site, width in sites(channels, mid):
        for block in range(ATTENTION_BLOCKS):
            prefix = f"{site}.temporal_transformer.transformer_blocks.0.attention_blocks.{block}.processor"
            for projection in PROJECTIONS:
                down, up = _weight(rank, width, random), _weight(width, rank, random)
                tensors[f"{prefix}.{projection}_lora.down.weight"] = down.to(dtype)
                tensors[f"{prefix}.{projection}_lora.up.weight"] = up.to(dtype)
    return tensors


def hotshot_spelling(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A motion module under HotshotXL's names."""
    names = {
        key: key.replace(".motion_modules.", ".temporal_attentions.")
        .replace(".temporal_transformer.", ".")
        .replace(".pos_encoder.pe", ".pos_encoder.positional_encoding")
        for key in tensors
    }
    return {names[key]: tensor for key, tensor in tensors.items()}


def sinusoid(positions: int, width: int) -> Tensor:
    """The positional encoding, (1, positions, width): sine in the even, cosine in the odd columns."""
    position = torch.arange(positions, dtype=torch.float32)[:, None]
    frequency = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10000.0) / width))
    angles = position * frequency
    return torch.stack((angles.sin(), angles.cos()), dim=-1).reshape(1, positions, width)


def temporal_block(
    width: int, positions: int | None, random: torch.Generator, attentions: int = ATTENTION_BLOCKS
) -> dict[str, Tensor]:
    """The tensors of one motion module below `temporal_transformer.`"""
    block: dict[str, Tensor] = {
        **_norm("norm", width, random),
        **_linear("proj_in", width, width, random),
        **_linear("proj_out", width, width, random),
    }
    inner = "transformer_blocks.0"
    for index in range(attentions):
        attention = f"{inner}.attention_blocks.{index}"
        for projection in ("to_q", "to_k", "to_v"):
            block[f"{attention}.{projection}.weight"] = _weight(width, width, random)
        block.update(_linear(f"{attention}.to_out.0", width, width, random))
        if positions is not None:
            block[f"{attention}.pos_encoder.pe"] = sinusoid(positions, width)
        block.update(_norm(f"{inner}.norms.{index}", width, random))
    block.update(_linear(f"{inner}.ff.net.0.proj", 8 * width, width, random))  # value and gate of the GEGLU
    block.update(_linear(f"{inner}.ff.net.2", width, 4 * width, random))
    block.update(_norm(f"{inner}.ff_norm", width, random))
    return block


def _weight(rows: int, columns: int, random: torch.Generator) -> Tensor:
    """A matrix that keeps the scale of what it is multiplied with."""
    return torch.randn(rows, columns, generator=random) / math.sqrt(columns)


def _linear(name: str, rows: int, columns: int, random: torch.Generator) -> dict[str, Tensor]:
    bias = 0.02 * torch.randn(rows, generator=random)
    return {f"{name}.weight": _weight(rows, columns, random), f"{name}.bias": bias}


def _norm(name: str, width: int, random: torch.Generator) -> dict[str, Tensor]:
    weight = 1.0 + 0.1 * torch.randn(width, generator=random)
    return {f"{name}.weight": weight, f"{name}.bias": 0.02 * torch.randn(width, generator=random)}
