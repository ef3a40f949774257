"""A random UNet with the layout of SD1.5 or SDXL and a tenth of the channels.

It is built so that sampling with it shows something: it predicts the noise as "what is in the latent, minus its smooth
part, plus what the deep layers say". So it does remove noise, smooth shapes stay, and whatever acts on the deep layers
(a prompt, a motion module) changes them. `tiny_checkpoint` calls it; `image_loras` asks it for the layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .tiny_weights import BLUR, Weights

LATENT_CHANNELS = 4
SD15_TEXT_WIDTH = 64
SDXL_TEXT_WIDTHS = (16, 32)  # of its two text encoders, which differ in the real one too

SMOOTH_SHARE = 0.45  # how much of the smooth part of a latent is taken for signal
DEEP_SHARE = 0.2  # how loud the deep layers are in the predicted noise
TEXT_SHARE = 0.3  # how loud the prompt is in the deep layers; guidance multiplies it
SILU_MEAN = 0.2066  # the mean of silu(x) for a normal x


@dataclass(frozen=True)
class Layout:
    """What distinguishes the UNets of SD1.5 and SDXL.

    Attributes:
        multiples: channels per level, as multiples of `channels`.
        transformers: levels with spatial transformers.
        text: width of the text embedding.
        vector: width of the vector of pooled text and picture sizes that SDXL adds to the time; 0 without.
        channels: of the first level.
    """

    multiples: tuple[int, ...]
    transformers: tuple[int, ...]
    text: int
    vector: int = 0
    channels: int = 32

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(self.channels * multiple for multiple in self.multiples)

    @property
    def time_width(self) -> int:
        return 4 * self.channels

    @property
    def is_sdxl(self) -> bool:
        return self.vector > 0


SD15 = Layout((1, 2, 4, 4), (0, 1, 2), SD15_TEXT_WIDTH)
SDXL = Layout((1, 2, 4), (1, 2), sum(SDXL_TEXT_WIDTHS), SDXL_TEXT_WIDTHS[1] + 6 * 256)
WORLD = Layout((1, 1, 1, 1), (0, 1, 2), SD15_TEXT_WIDTH, channels=64)
"""The image model of `demo.world`, which the random files for SD1.5 in the models folder have to fit."""


def unet(layout: Layout, seed: int = 0) -> dict[str, Tensor]:
    """The UNet: input blocks, a middle block, as many output blocks, with a tenth of the real one's channels."""
    weights = Weights(seed)
    channels, time = layout.channels, layout.time_width
    weights.linear("time_embed.0", time, channels)
    weights.linear("time_embed.2", time, time)
    if layout.vector:
        weights.linear("label_emb.0.0", time, layout.vector)
        weights.linear("label_emb.0.2", time, time)
    weights.conv("input_blocks.0.0", channels, LATENT_CHANNELS)
    for block in blocks(layout):
        for index, (kind, into, out) in enumerate(block[1]):
            name = f"{block[0]}.{index}"
            if kind == "resnet":
                _resnet(weights, name, into, out, time)
            elif kind == "transformer":
                _transformer(weights, name, out, layout)
            else:
                weights.conv(f"{name}.{'op' if kind == 'down' else 'conv'}", out, into)
    weights.norm("out.0", channels)
    weights.conv("out.2", LATENT_CHANNELS, channels, gain=DEEP_SHARE)
    _carry_latent(weights, layout)
    return weights


def blocks(layout: Layout) -> Iterator[tuple[str, list[tuple[str, int, int]]]]:
    """The layers of every block as (kind, channels in, channels out)."""
    widths, top = layout.widths, len(layout.widths) - 1
    skips, width, number = [layout.channels], layout.channels, 0
    for level, out in enumerate(widths):
        for _ in range(2):
            number += 1
            yield f"input_blocks.{number}", _layers(width, out, level in layout.transformers)
            width = out
            skips.append(width)
        if level < top:
            number += 1
            yield f"input_blocks.{number}", [("down", width, width)]
            skips.append(width)
    yield "middle_block", [("resnet", width, width), ("transformer", width, width), ("resnet", width, width)]
    for number in range(3 * len(widths)):
        level = top - number // 3
        layers = _layers(width + skips.pop(), widths[level], level in layout.transformers)
        width = widths[level]
        if number % 3 == 2 and level > 0:
            layers.append(("up", width, width))
        yield f"output_blocks.{number}", layers


def _layers(into: int, out: int, transformer: bool) -> list[tuple[str, int, int]]:
    layers = [("resnet", into, out)]
    return [*layers, ("transformer", out, out)] if transformer else layers


def _resnet(weights: Weights, name: str, into: int, out: int, time: int) -> None:
    weights.norm(f"{name}.in_layers.0", into)
    weights.conv(f"{name}.in_layers.2", out, into)
    weights.linear(f"{name}.emb_layers.1", out, time)
    weights.norm(f"{name}.out_layers.0", out)
    weights.conv(f"{name}.out_layers.3", out, out)
    if into != out:
        weights.conv(f"{name}.skip_connection", out, into, size=1)


def _transformer(weights: Weights, name: str, width: int, layout: Layout) -> None:
    weights.norm(f"{name}.norm", width)
    for projection in ("proj_in", "proj_out"):
        if layout.is_sdxl:
            weights.linear(f"{name}.{projection}", width, width)
        else:
            weights.conv(f"{name}.{projection}", width, width, size=1)
    inner = f"{name}.transformer_blocks.0"
    for attention, context in (("attn1", width), ("attn2", layout.text)):
        weights.linear(f"{inner}.{attention}.to_q", width, width, bias=False)
        weights.linear(f"{inner}.{attention}.to_k", width, context, bias=False)
        weights.linear(f"{inner}.{attention}.to_v", width, context, bias=False)
        weights.linear(f"{inner}.{attention}.to_out.0", width, width, gain=TEXT_SHARE if attention == "attn2" else 1.0)
    weights.linear(f"{inner}.ff.net.0.proj", 8 * width, width)
    weights.linear(f"{inner}.ff.net.2", width, 4 * width)
    for index in (1, 2, 3):
        weights.norm(f"{inner}.norm{index}", width)


def _carry_latent(weights: Weights, layout: Layout) -> None:
    """Make the outermost layers carry the latent, so that the prediction contains the noise it should find.

    Channels 0-3 carry it, channels 4-7 its negative: silu(x) - silu(-x) = x undoes the activation of the output layer.
    Nothing else writes to these channels on the way: input block 0 -> its skip -> last output block -> output layer.
    """
    carried = 2 * LATENT_CHANNELS
    signs = torch.cat((torch.eye(LATENT_CHANNELS), -torch.eye(LATENT_CHANNELS)))
    weights["input_blocks.0.0.weight"][:carried] = 0.0
    weights["input_blocks.0.0.weight"][:carried, :, 1, 1] = signs
    weights["input_blocks.0.0.bias"][:carried] = 0.0
    last = f"output_blocks.{3 * len(layout.multiples) - 1}"
    skip = weights[f"{last}.0.skip_connection.weight"]
    skip[:carried] = 0.0
    skip[:carried, layout.channels : layout.channels + carried, 0, 0] = torch.eye(carried)
    weights[f"{last}.0.skip_connection.bias"][:carried] = 0.0
    for name in [f"{last}.0.out_layers.3"] + ([] if layout.is_sdxl else [f"{last}.1.proj_out"]):
        weights[f"{name}.weight"][:carried] = 0.0
        weights[f"{name}.bias"][:carried] = 0.0
    weights["out.0.weight"][:carried] = 1.0
    weights["out.0.bias"][:carried] = 0.0
    sharp = -SMOOTH_SHARE * BLUR
    sharp[1, 1] += 1.0
    # Without this the deep layers would predict a constant, which becomes one strong colour over the whole picture.
    weights["out.2.bias"] = -SILU_MEAN * weights["out.2.weight"][:, carried:].sum(dim=(1, 2, 3))
    weights["out.2.weight"][:, :carried] = signs.T[:, :, None, None] * sharp
