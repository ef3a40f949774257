"""Random SparseCtrl models and ControlNets of the tiny SD1.5 layouts.

SparseCtrl is in the spelling of the fp16 re-uploads (latent-diffusion names), which is that of a ControlNet's original file. `write_models`
writes them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .synthetic import temporal_block
from .tiny_unet import SD15, Layout, blocks, unet
from .tiny_weights import Weights

ENCODER = ("input_blocks.", "middle_block.", "time_embed.")
HINT_WIDTHS = ((16, 16), (16, 32), (32, 32), (32, 96), (96, 96), (96, 256))
"""Channels in and out of the layers that make a picture as small as a latent."""
SHARE = 0.1
"""How loud it is beside what it is added to."""


def sparse_control(kind: str, seed: int = 60, layout: Layout = SD15) -> dict[str, Tensor]:
    """The state dict of a SparseCtrl model, `rgb` or `scribble`."""
    weights = _encoder(layout, seed)
    hint = "input_hint_block.0"
    if kind == "rgb":
        weights.conv(hint, layout.channels, 5)
    else:
        weights.conv(f"{hint}.conv_in", 16, 4)
        for index, (into, out) in enumerate(HINT_WIDTHS):
            weights.conv(f"{hint}.blocks.{index}", out, into)
        weights.conv(f"{hint}.conv_out", layout.channels, 256)
    _outputs(weights, layout)
    random = torch.Generator().manual_seed(seed)
    for level, width in enumerate(layout.widths):
        for index in range(2):
            for leaf, tensor in temporal_block(width, 32, random, attentions=1).items():
                weights[f"down_blocks.{level}.motion_modules.{index}.temporal_transformer.{leaf}"] = tensor
    return dict(weights)


def control_net(seed: int = 50, layout: Layout = SD15) -> dict[str, Tensor]:
    """The state dict of a ControlNet, in its authors' spelling."""
    weights = _encoder(layout, seed)
    for index, (into, out) in enumerate(((3, 16), *HINT_WIDTHS, (256, layout.channels))):
        weights.conv(f"input_hint_block.{2 * index}", out, into)
    _outputs(weights, layout)
    return {f"control_model.{key}": tensor for key, tensor in weights.items()}


def _encoder(layout: Layout, seed: int) -> Weights:
    weights = Weights(seed)
    weights.update({key: tensor for key, tensor in unet(layout, seed).items() if key.startswith(ENCODER)})
    return weights


def _outputs(weights: Weights, layout: Layout) -> None:
    """The layers through which it adds to the UNet."""
    widths = [layout.channels]
    widths += [layers[-1][2] for name, layers in blocks(layout) if name.startswith("input_blocks.")]
    for index, width in enumerate(widths):
        weights.conv(f"zero_convs.{index}.0", width, width, size=1, gain=SHARE)
    weights.conv("middle_block_out.0", layout.widths[-1], layout.widths[-1], size=1, gain=SHARE)
