"""Random checkpoints with the layout of SD1.5 and SDXL files and a hundredth of their size: UNet, text encoders, VAE.

It is built so that sampling with it shows something. The UNet predicts the noise as "what is in the latent, minus its
smooth part, plus what the deep layers say": so it does remove noise, smooth shapes stay, and whatever acts on the deep
layers (a prompt, a motion module) changes them. The VAE is the tiny autoencoder the host knows, with smooth kernels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

MODEL_CHANNELS = 32
TEXT_WIDTH = 64
VOCABULARY = 49408
TOKENS = 77
TEXT_LAYERS = 2
SDXL_TEXT_LAYERS = 3  # the host takes the output of the last but one, and wants layers before it
VAE_CHANNELS = 64
LATENT_CHANNELS = 4

SMOOTH_SHARE = 0.45  # how much of the smooth part of a latent is taken for signal
DEEP_SHARE = 0.2  # how loud the deep layers are in the predicted noise
TEXT_SHARE = 0.3  # how loud the prompt is in the deep layers; guidance multiplies it
SILU_MEAN = 0.2066  # the mean of silu(x) for a normal x
PIXEL_SPREAD = 0.22  # standard deviation of a decoded pixel, in a range of 1
BLUR = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16.0


@dataclass(frozen=True)
class Layout:
    """What distinguishes the UNets of SD1.5 and SDXL.

    Attributes:
        multiples: channels per level, as multiples of `MODEL_CHANNELS`.
        transformers: levels with spatial transformers.
        text: width of the text embedding.
        vector: width of the vector of pooled text and picture sizes that SDXL adds to the time; 0 without.
    """

    multiples: tuple[int, ...]
    transformers: tuple[int, ...]
    text: int
    vector: int = 0

    @property
    def widths(self) -> list[int]:
        return [MODEL_CHANNELS * multiple for multiple in self.multiples]

    @property
    def is_sdxl(self) -> bool:
        return self.vector > 0


SD15 = Layout((1, 2, 4, 4), (0, 1, 2), TEXT_WIDTH)
SDXL = Layout((1, 2, 4), (1, 2), 2 * TEXT_WIDTH, TEXT_WIDTH + 6 * 256)


class Weights(dict[str, Tensor]):
    """A state dict that grows by whole layers, with random values of a scale that keeps activations finite."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = torch.Generator().manual_seed(seed)

    def norm(self, name: str, width: int) -> None:
        """A GroupNorm or LayerNorm near the identity."""
        self[f"{name}.weight"] = 1.0 + 0.1 * torch.randn(width, generator=self.random)
        self[f"{name}.bias"] = 0.02 * torch.randn(width, generator=self.random)

    def linear(self, name: str, out: int, into: int, bias: bool = True, gain: float = 1.0) -> None:
        """A fully connected layer that keeps the scale of its input, times `gain`."""
        self[f"{name}.weight"] = torch.randn(out, into, generator=self.random) * (gain / math.sqrt(into))
        if bias:
            self[f"{name}.bias"] = 0.02 * torch.randn(out, generator=self.random)

    def conv(self, name: str, out: int, into: int, size: int = 3, bias: bool = True, gain: float = 1.0) -> None:
        """A convolution whose kernels are blurs with random amplitudes, so that it makes no checkerboards."""
        mix = torch.randn(out, into, 1, 1, generator=self.random) * (gain / math.sqrt(into))
        self[f"{name}.weight"] = (mix * 1.5 * BLUR if size == 3 else mix).contiguous()
        if bias:
            self[f"{name}.bias"] = 0.02 * torch.randn(out, generator=self.random)


def checkpoint(seed: int = 0) -> dict[str, Tensor]:
    """All tensors of the tiny checkpoint, fp32, under the names of an SD1.5 file."""
    parts = {
        "model.diffusion_model.": unet(SD15, seed),
        "cond_stage_model.transformer.": text_encoder(seed + 1),
        "first_stage_model.": autoencoder(seed + 2),
    }
    return {prefix + name: tensor for prefix, part in parts.items() for name, tensor in part.items()}


def sdxl_checkpoint(seed: int = 0) -> dict[str, Tensor]:
    """All tensors of the tiny SDXL checkpoint, fp32, under the names of an SDXL file; its second encoder is a CLIP too."""
    parts = {
        "model.diffusion_model.": unet(SDXL, seed),
        "conditioner.embedders.0.transformer.": text_encoder(seed + 1, SDXL_TEXT_LAYERS),
        "conditioner.embedders.1.model.transformer.": text_encoder(seed + 3, SDXL_TEXT_LAYERS),
        "conditioner.embedders.1.model.": {"text_projection": torch.eye(TEXT_WIDTH)},
        "first_stage_model.": autoencoder(seed + 2),
    }
    return {prefix + name: tensor for prefix, part in parts.items() for name, tensor in part.items()}


def unet(layout: Layout, seed: int = 0) -> dict[str, Tensor]:
    """The UNet: input blocks, a middle block, as many output blocks, with a tenth of the real one's channels."""
    weights = Weights(seed)
    time = 4 * MODEL_CHANNELS
    weights.linear("time_embed.0", time, MODEL_CHANNELS)
    weights.linear("time_embed.2", time, time)
    if layout.vector:
        weights.linear("label_emb.0.0", time, layout.vector)
        weights.linear("label_emb.0.2", time, time)
    weights.conv("input_blocks.0.0", MODEL_CHANNELS, LATENT_CHANNELS)
    for block in _blocks(layout):
        for index, (kind, into, out) in enumerate(block[1]):
            name = f"{block[0]}.{index}"
            if kind == "resnet":
                _resnet(weights, name, into, out, time)
            elif kind == "transformer":
                _transformer(weights, name, out, layout)
            else:
                weights.conv(f"{name}.{'op' if kind == 'down' else 'conv'}", out, into)
    weights.norm("out.0", MODEL_CHANNELS)
    weights.conv("out.2", LATENT_CHANNELS, MODEL_CHANNELS, gain=DEEP_SHARE)
    _carry_latent(weights, layout)
    return weights


def _blocks(layout: Layout) -> Iterator[tuple[str, list[tuple[str, int, int]]]]:
    """The layers of every block as (kind, channels in, channels out)."""
    widths, top = layout.widths, len(layout.widths) - 1
    skips, width, number = [MODEL_CHANNELS], MODEL_CHANNELS, 0
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
    skip[:carried, MODEL_CHANNELS : MODEL_CHANNELS + carried, 0, 0] = torch.eye(carried)
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


def text_encoder(seed: int = 1, layers: int = TEXT_LAYERS) -> dict[str, Tensor]:
    """A CLIP text encoder of a few layers, with the vocabulary of the real one."""
    weights = Weights(seed)
    width = TEXT_WIDTH
    prefix = "text_model.embeddings"
    weights[f"{prefix}.token_embedding.weight"] = torch.randn(VOCABULARY, width, generator=weights.random)
    weights[f"{prefix}.position_embedding.weight"] = 0.1 * torch.randn(TOKENS, width, generator=weights.random)
    for layer in range(layers):
        inner = f"text_model.encoder.layers.{layer}"
        for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
            weights.linear(f"{inner}.self_attn.{projection}", width, width)
        weights.linear(f"{inner}.mlp.fc1", 2 * width, width)
        weights.linear(f"{inner}.mlp.fc2", width, 2 * width)
        weights.norm(f"{inner}.layer_norm1", width)
        weights.norm(f"{inner}.layer_norm2", width)
    weights.norm("text_model.final_layer_norm", width)
    return weights


def autoencoder(seed: int = 2) -> dict[str, Tensor]:
    """A random TAESD, the autoencoder the host recognises by `taesd_decoder.1.weight`."""
    weights = Weights(seed)
    weights["vae_scale"] = torch.tensor(0.06)  # brings the latents this UNet makes, which the host passes as they are, to 1
    weights["vae_shift"] = torch.tensor(0.0)
    width = VAE_CHANNELS
    weights.conv("taesd_encoder.0", width, 3)
    for index in (2, 6, 10):
        weights.conv(f"taesd_encoder.{index}", width, width, bias=False)
    for index in (1, 3, 4, 5, 7, 8, 9, 11, 12, 13):
        _vae_block(weights, f"taesd_encoder.{index}")
    weights.conv("taesd_encoder.14", LATENT_CHANNELS, width)
    weights.conv("taesd_decoder.1", width, LATENT_CHANNELS)
    for index in (7, 12, 17):
        weights.conv(f"taesd_decoder.{index}", width, width, bias=False)
    for index in (3, 4, 5, 8, 9, 10, 13, 14, 15, 18):
        _vae_block(weights, f"taesd_decoder.{index}")
    weights.conv("taesd_decoder.19", 3, width)
    _calibrate(weights)
    return weights


def _vae_block(weights: Weights, name: str) -> None:
    for index, gain in ((0, 1.0), (2, 1.0), (4, 0.5)):
        weights.conv(f"{name}.conv.{index}", VAE_CHANNELS, VAE_CHANNELS, gain=gain)


def _calibrate(weights: Weights) -> None:
    """Scale and shift the decoder's last layer so that its pixels have a mean of 0.5 and stay inside 0..1 mostly."""
    latent = torch.nn.functional.interpolate(torch.randn(4, LATENT_CHANNELS, 8, 8, generator=weights.random), scale_factor=2)
    pixels = _decode(weights, latent)
    mean, spread = pixels.mean(dim=(0, 2, 3)), pixels.std(dim=(0, 2, 3))
    last = "taesd_decoder.19"
    gain = PIXEL_SPREAD / spread
    weights[f"{last}.weight"] *= gain[:, None, None, None]
    weights[f"{last}.bias"] = 0.5 + (weights[f"{last}.bias"] - mean) * gain


def _decode(weights: Weights, latent: Tensor) -> Tensor:
    """What the host's TAESD decoder computes, (B, 4, H, W) -> (B, 3, 8H, 8W)."""

    def conv(name: str, x: Tensor) -> Tensor:
        name = f"taesd_decoder.{name}"
        return torch.nn.functional.conv2d(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"), padding=1)

    x = conv("1", torch.tanh(latent / 3) * 3).relu()
    for index in range(3, 19):
        if index in (6, 11, 16):
            x = torch.nn.functional.interpolate(x, scale_factor=2)
        elif index in (7, 12, 17):
            x = conv(str(index), x)
        else:
            inner = conv(f"{index}.conv.2", conv(f"{index}.conv.0", x).relu()).relu()
            x = (conv(f"{index}.conv.4", inner) + x).relu()
    return conv("19", x)
