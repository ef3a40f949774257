"""Low-rank changes of the image model's weights that can be trained, through the host's weight functions."""

from __future__ import annotations

import math
from typing import Any

import comfy.utils
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor, nn

UNET = "diffusion_model."


class LowRankWeight(nn.Module):
    """``weight + up @ down``, fp32 inside whatever the model computes in. Begins as no change."""

    def __init__(self, shape: tuple[int, ...], rank: int, random: torch.Generator) -> None:
        super().__init__()
        self.down = nn.Linear(math.prod(shape[1:]), rank, bias=False, device="meta").to_empty(device="cpu")
        self.up = nn.Linear(rank, shape[0], bias=False, device="meta").to_empty(device="cpu")
        begin(self.down, self.up, random)

    def forward(self, weight: Tensor) -> Tensor:
        """Called by the host with a weight that is about to be used."""
        with torch.autocast(weight.device.type, enabled=False):
            return self.changed(weight)

    def changed(self, weight: Tensor) -> Tensor:
        """The weight with its change, computed in fp32, in its own type."""
        change = self.up.weight.float() @ self.down.weight.float()
        return (weight.float() + change.reshape(weight.shape)).to(weight.dtype)

    def move_to(self, device: Any) -> int:
        """Called by the host when it loads the layer; gives the bytes that it holds."""
        self.to(device)
        return self.passive_memory_usage()

    def passive_memory_usage(self) -> int:
        """Bytes, for the host's accounts."""
        return sum(parameter.nbytes for parameter in self.parameters())


def begin(down: nn.Linear, up: nn.Linear, random: torch.Generator) -> None:
    """The start of a low-rank change: ``down`` as torch begins layers, ``up`` zero, so that nothing is changed yet."""
    nn.init.kaiming_uniform_(down.weight, a=math.sqrt(5), generator=random)
    nn.init.zeros_(up.weight)


def image_attention(model: ModelPatcher) -> dict[str, str]:
    """The attention weights of a UNet's spatial transformers: diffusers' names without ``.weight`` -> keys of the MODEL."""
    names: dict[str, str] = comfy.utils.unet_to_diffusers(model.model.model_config.unet_config)
    return {
        name.removesuffix(".weight"): UNET + key
        for name, key in names.items()
        if ".attentions." in name and name.endswith((".to_q.weight", ".to_k.weight", ".to_v.weight", ".to_out.0.weight"))
    }


def put_changes(model: ModelPatcher, rank: int, random: torch.Generator) -> dict[str, LowRankWeight]:
    """Give a private MODEL a change of every attention weight, by diffusers' names.

    The names that the host knows may hold levels that this UNet does not have; they are left out.
    """
    weights = dict(model.model.named_parameters())
    changes: dict[str, LowRankWeight] = {}
    for name, key in sorted(image_attention(model).items()):
        if key in weights:
            changes[name] = LowRankWeight(tuple(weights[key].shape), rank, random)
            model.add_weight_wrapper(key, changes[name])
    return changes
