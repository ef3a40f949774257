"""A random TAESD, the smallest autoencoder the host knows, with smooth kernels. `tiny_checkpoint` calls it."""

from __future__ import annotations

import torch
from torch import Tensor

from .tiny_unet import LATENT_CHANNELS
from .tiny_weights import Weights

WIDTH = 64  # the host's TAESD has no other
LATENT_SPREAD = 3.0  # standard deviation of a sampled latent, as the tiny UNet makes them
PIXEL_SPREAD = 0.22  # standard deviation of a decoded pixel, in a range of 1


def autoencoder(latent_scale: float, seed: int = 2) -> dict[str, Tensor]:
    """All tensors of the autoencoder, which the host recognises by `taesd_decoder.1.weight`.

    Args:
        latent_scale: what the host divides a sampled latent by: 0.18215 for SD1.5, 0.13025 for SDXL.
    """
    weights = Weights(seed)
    weights["vae_scale"] = torch.tensor(latent_scale / LATENT_SPREAD)
    weights["vae_shift"] = torch.tensor(0.0)
    weights.conv("taesd_encoder.0", WIDTH, 3)
    for index in (2, 6, 10):
        weights.conv(f"taesd_encoder.{index}", WIDTH, WIDTH, bias=False)
    for index in (1, 3, 4, 5, 7, 8, 9, 11, 12, 13):
        _vae_block(weights, f"taesd_encoder.{index}")
    weights.conv("taesd_encoder.14", LATENT_CHANNELS, WIDTH)
    weights.conv("taesd_decoder.1", WIDTH, LATENT_CHANNELS)
    for index in (7, 12, 17):
        weights.conv(f"taesd_decoder.{index}", WIDTH, WIDTH, bias=False)
    for index in (3, 4, 5, 8, 9, 10, 13, 14, 15, 18):
        _vae_block(weights, f"taesd_decoder.{index}")
    weights.conv("taesd_decoder.19", 3, WIDTH)
    _calibrate(weights)
    return weights


def _vae_block(weights: Weights, name: str) -> None:
    for index, gain in ((0, 1.0), (2, 1.0), (4, 0.5)):
        weights.conv(f"{name}.conv.{index}", WIDTH, WIDTH, gain=gain)


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
