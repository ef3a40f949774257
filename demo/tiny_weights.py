"""A growing state dict of random layers: what `tiny_unet`, `tiny_autoencoder` and `tiny_checkpoint` are written with."""

from __future__ import annotations

import math

import torch
from torch import Tensor

BLUR = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16.0


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
