"""The host's controls: ControlNets, T2I-Adapters and the network that SparseCtrl extends."""

from __future__ import annotations

from typing import Any

import comfy.utils
import torch
from comfy.cldm.cldm import ControlNet as ControlNetwork
from comfy.controlnet import ControlBase, ControlIsolation, ControlNet, T2IAdapter
from comfy.latent_formats import SD15
from comfy.ldm.modules.diffusionmodules.openaimodel import TimestepEmbedSequential
from comfy.ldm.modules.diffusionmodules.util import timestep_embedding
from comfy.sd import VAE

import nodes as host_nodes

__all__ = [
    "SD15",
    "ControlBase",
    "ControlIsolation",
    "ControlNet",
    "ControlNetwork",
    "T2IAdapter",
    "TimestepEmbedSequential",
    "timestep_embedding",
]

Residuals = dict[str, list[torch.Tensor | None]]
"""What a control adds per stage of the UNet, block by block: ``(B·F, C, H, W)``."""
Conditioning = list[Any]
"""What travels on a CONDITIONING socket: pairs of an embedding and options."""
Conds = dict[str, list[dict[str, Any]]]
"""A run's conditioning as the host holds it: by name, such as positive, a list of records."""

OWN_KINDS = ControlBase.__module__
"""The module of the controls whose hints the host itself handles."""


def apply_control(
    positive: Conditioning,
    negative: Conditioning,
    control: ControlBase,
    images: torch.Tensor,
    strength: float,
    percents: tuple[float, float],
    vae: VAE | None,
) -> tuple[Conditioning, Conditioning]:
    """What the host's Apply ControlNet node does."""
    node = host_nodes.ControlNetApplyAdvanced()
    return node.apply_controlnet(positive, negative, control, images, strength, *percents, vae)


def diffusers_names(layout: dict[str, Any]) -> dict[str, str]:
    """diffusers' names of a UNet's weights -> the host's."""
    return comfy.utils.unet_to_diffusers(layout)
