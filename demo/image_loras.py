"""Random LoRAs of the tiny SD1.5 image models: a v3 domain adapter and an AnimateLCM LoRA, under their files' key names.

`write_models` writes them. They name the layers as diffusers does, which is what the original files do.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from .tiny_unet import SD15, Layout, blocks

ADAPTER_RANK, LCM_RANK = 8, 4  # of the originals 128 and 64
ADAPTER_SHARE, LCM_SHARE = 0.2, 0.1  # how large the change is beside the weights it is added to


def domain_adapter(seed: int = 2, layout: Layout = SD15) -> dict[str, Tensor]:
    """256 tensors in the spelling of v3_sd15_adapter: all projections of spatial attention; no alpha."""
    random = torch.Generator().manual_seed(seed)
    tensors: dict[str, Tensor] = {}
    for path, shape in _layers(layout):
        if ".attn" not in path:
            continue
        stem = path.removesuffix(".0").replace(".to_", ".processor.to_") + "_lora"
        tensors[f"{stem}.down.weight"], tensors[f"{stem}.up.weight"] = _pair(shape, ADAPTER_RANK, ADAPTER_SHARE, random)
    return tensors


def kohya_lora(seed: int = 3, layout: Layout = SD15) -> dict[str, Tensor]:
    """Three tensors per layer in the spelling of AnimateLCM_sd15_t2v_lora: all layers (278 in SD1.5), with an alpha of an eighth of the rank."""
    random = torch.Generator().manual_seed(seed)
    tensors: dict[str, Tensor] = {}
    alpha = torch.tensor(LCM_RANK / 8)
    for path, shape in _layers(layout):
        stem = "lora_unet_" + path.replace(".", "_")
        down, up = _pair(shape, LCM_RANK, 8 * LCM_SHARE, random)
        tensors |= {f"{stem}.lora_down.weight": down, f"{stem}.lora_up.weight": up, f"{stem}.alpha": alpha}
    return tensors


def _pair(shape: tuple[int, ...], rank: int, scale: float, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """The halves of a change of a weight of `shape`: (rank, in, ...) and (out, rank, ...), as small as `scale` says."""
    down = torch.randn(rank, *shape[1:], generator=random) / math.sqrt(math.prod(shape[1:]))
    up = torch.randn(shape[0], rank, *(1 for _ in shape[2:]), generator=random) * (scale / math.sqrt(rank))
    return down, up


def _layers(layout: Layout) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The diffusers name and the weight's shape of every layer of an SD1.5 UNet that a LoRA can change."""
    for block, layers in blocks(layout):
        seen = {"resnet": 0, "transformer": 0}
        for kind, into, out in layers:
            if kind == "resnet":
                yield from _resnet(_block_path(block, "resnets", seen[kind]), into, out, layout.time_width)
            elif kind == "transformer":
                yield from _transformer(_block_path(block, "attentions", seen[kind]), out, layout.text)
            else:
                yield _block_path(block, f"{kind}samplers") + ".conv", (out, into, 3, 3)
            if kind in seen:
                seen[kind] += 1


def _block_path(block: str, kind: str, index: int = 0) -> str:
    """Where diffusers has what ComfyUI has in `block`: `input_blocks.5` holds `down_blocks.1.resnets.1`."""
    if block == "middle_block":
        return f"mid_block.{kind}.{index}"
    side, number = block.split(".")
    level, block_number = divmod(int(number) - (side == "input_blocks"), 3)
    block_number = 0 if kind.endswith("samplers") else block_number
    return f"{side.replace('input', 'down').replace('output', 'up')}.{level}.{kind}.{block_number}"


def _resnet(path: str, into: int, out: int, time: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{path}.conv1", (out, into, 3, 3)
    yield f"{path}.time_emb_proj", (out, time)
    yield f"{path}.conv2", (out, out, 3, 3)
    if into != out:
        yield f"{path}.conv_shortcut", (out, into, 1, 1)


def _transformer(path: str, width: int, text: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    inner = f"{path}.transformer_blocks.0"
    yield f"{path}.proj_in", (width, width, 1, 1)
    for attention, into in (("attn1", width), ("attn2", text)):
        for projection, columns in (("to_q", width), ("to_k", into), ("to_v", into), ("to_out.0", width)):
            yield f"{inner}.{attention}.{projection}", (width, columns)
    yield f"{inner}.ff.net.0.proj", (8 * width, width)
    yield f"{inner}.ff.net.2", (width, 4 * width)
    yield f"{path}.proj_out", (width, width, 1, 1)
