"""Random SparseCtrl models of the tiny SD1.5 layout, in the spelling of the fp16 re-uploads (latent-diffusion names).

`write_models` writes them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .synthetic import TINY_CHANNELS, temporal_block
from .tiny_unet import SD15, blocks, unet
from .tiny_weights import Weights

ENCODER = ("input_blocks.", "middle_block.", "time_embed.")
SHARE = 0.1
"""How loud it is beside what it is added to."""


def sparse_control(kind: str, seed: int = 60) -> dict[str, Tensor]:
    """The state dict of a SparseCtrl model, `rgb` or `scribble`."""
    weights = Weights(seed)
    weights.update({key: tensor for key, tensor in unet(SD15, seed).items() if key.startswith(ENCODER)})
    hint = "input_hint_block.0"
    if kind == "rgb":
        weights.conv(hint, TINY_CHANNELS[0], 5)
    else:
        weights.conv(f"{hint}.conv_in", 16, 4)
        for index, (into, out) in enumerate(((16, 16), (16, 32), (32, 32), (32, 96), (96, 96), (96, 256))):
            weights.conv(f"{hint}.blocks.{index}", out, into)
        weights.conv(f"{hint}.conv_out", TINY_CHANNELS[0], 256)
    widths = [TINY_CHANNELS[0]]
    widths += [layers[-1][2] for name, layers in blocks(SD15) if name.startswith("input_blocks.")]
    for index, width in enumerate(widths):
        weights.conv(f"zero_convs.{index}.0", width, width, size=1, gain=SHARE)
    weights.conv("middle_block_out.0", TINY_CHANNELS[-1], TINY_CHANNELS[-1], size=1, gain=SHARE)
    random = torch.Generator().manual_seed(seed)
    for level, width in enumerate(TINY_CHANNELS):
        for index in range(2):
            for leaf, tensor in temporal_block(width, 32, random, attentions=1).items():
                weights[f"down_blocks.{level}.motion_modules.{index}.temporal_transformer.{leaf}"] = tensor
    return dict(weights)
