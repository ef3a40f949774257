"""Random motion modules, motion LoRAs and domain adapters in the spelling of the original files, at any size.

For the demo and the tests. They animate nothing sensible, but every tensor has the name, the shape and roughly the
scale it has in a real file, so that whatever reads, places and runs real files can be checked without them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

SD15_CHANNELS = (320, 640, 1280, 1280)
SDXL_CHANNELS = (320, 640, 1280)
TINY_CHANNELS = (32, 64, 128, 128)
ATTENTION_BLOCKS = 2
PROJECTIONS = ("to_q", "to_k", "to_v", "to_out")


def places(channels: Sequence[int], mid: bool) -> Iterator[tuple[str, int]]:
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
    for place, width in places(channels, mid):
        for leaf, tensor in _temporal_block(width, positions, random).items():
            tensors[f"{place}.temporal_transformer.{leaf}"] = tensor.to(dtype)
    return tensors


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
    for place, width in places(channels, mid):
        for block in range(ATTENTION_BLOCKS):
            prefix = f"{place}.temporal_transformer.transformer_blocks.0.attention_blocks.{block}.processor"
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


def _spatial_projections(channels: Sequence[int], text: int) -> Iterator[tuple[str, int, int]]:
    """Path, rows and columns of every attention projection of an SD1.5 image model, under diffusers' names."""
    deep = len(channels) - 1
    blocks = [(f"down_blocks.{b}.attentions.{i}", channels[b]) for b in range(deep) for i in range(2)]
    blocks.append(("mid_block.attentions.0", channels[-1]))
    blocks += [(f"up_blocks.{b}.attentions.{i}", channels[deep - b]) for b in range(1, deep + 1) for i in range(3)]
    for block, width in blocks:
        for attention, into in (("attn1", width), ("attn2", text)):
            for projection in PROJECTIONS:
                columns = into if projection in ("to_k", "to_v") else width
                yield f"{block}.transformer_blocks.0.{attention}.{projection}", width, columns


def domain_adapter(
    channels: Sequence[int] = TINY_CHANNELS, text: int = 64, rank: int = 4, seed: int = 2, scale: float = 0.2
) -> dict[str, Tensor]:
    """A random LoRA of the image model in the spelling of v3_sd15_adapter, which has no alpha."""
    random = torch.Generator().manual_seed(seed)
    tensors: dict[str, Tensor] = {}
    for path, rows, columns in _spatial_projections(channels, text):
        stem = path.replace(".to_", ".processor.to_") + "_lora"
        tensors[f"{stem}.down.weight"] = _weight(rank, columns, random)
        tensors[f"{stem}.up.weight"] = _weight(rows, rank, random) * scale
    return tensors


def kohya_lora(
    channels: Sequence[int] = TINY_CHANNELS, text: int = 64, rank: int = 4, seed: int = 3, scale: float = 0.2
) -> dict[str, Tensor]:
    """A random LoRA of the image model in the spelling of AnimateLCM_sd15_t2v_lora, with an alpha of an eighth."""
    random = torch.Generator().manual_seed(seed)
    tensors: dict[str, Tensor] = {}
    for path, rows, columns in _spatial_projections(channels, text):
        stem = "lora_unet_" + path.replace(".to_out", ".to_out.0").replace(".", "_")
        tensors[f"{stem}.lora_down.weight"] = _weight(rank, columns, random)
        tensors[f"{stem}.lora_up.weight"] = _weight(rows, rank, random) * (8 * scale)
        tensors[f"{stem}.alpha"] = torch.tensor(rank / 8)
    return tensors


def sinusoid(positions: int, width: int) -> Tensor:
    """The positional encoding, (1, positions, width): sine in the even, cosine in the odd columns."""
    position = torch.arange(positions, dtype=torch.float32)[:, None]
    frequency = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10000.0) / width))
    angles = position * frequency
    return torch.stack((angles.sin(), angles.cos()), dim=-1).reshape(1, positions, width)


def _temporal_block(width: int, positions: int | None, random: torch.Generator) -> dict[str, Tensor]:
    block: dict[str, Tensor] = {
        **_norm("norm", width, random),
        **_linear("proj_in", width, width, random),
        **_linear("proj_out", width, width, random),
    }
    inner = "transformer_blocks.0"
    for index in range(ATTENTION_BLOCKS):
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
