"""Layers whose weights are fp32 and trained, whatever type the model computes in. In the shape ``motion`` takes them."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class MasterLayers:
    """Torch's layers; their weights are brought to the type of what goes through them."""

    class Linear(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            bias = None if self.bias is None else self.bias.to(input.dtype)
            return functional.linear(input, self.weight.to(input.dtype), bias)

    class LayerNorm(nn.LayerNorm):
        def forward(self, input: Tensor) -> Tensor:
            weight, bias = self.weight.to(input.dtype), self.bias.to(input.dtype)
            return functional.layer_norm(input, self.normalized_shape, weight, bias, self.eps)

    class GroupNorm(nn.GroupNorm):
        def forward(self, input: Tensor) -> Tensor:
            weight, bias = self.weight.to(input.dtype), self.bias.to(input.dtype)
            return functional.group_norm(input, self.num_groups, weight, bias, self.eps)
