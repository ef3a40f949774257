"""The layers of the host's UNet: where temporal blocks run, which norms it has, and the call of one layer.

The one file outside ``host`` that imports the host: its UNet is what motion modules are made for.
"""

from __future__ import annotations

from typing import Any

from comfy.ldm.modules.attention import SpatialTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import ResBlock, UNetModel, forward_timestep_embed
from torch import Tensor, nn

from ...motion.config import NormScope
from ...motion.model import Site
from ..host.wrappers import HostOptions

LAYER_PATCH = "forward_timestep_embed_patch"
"""The host's patch in place of a layer: ``(class of the layer, function)`` in a list."""
LAYERS = (SpatialTransformer, ResBlock)
"""What a temporal block may run after."""

Anchors = dict[Site, tuple[type, int]]
"""After which layer of a UNet block its temporal block runs, and with how many channels."""


def find_anchors(unet: Any) -> Anchors | None:
    """A block's temporal block runs after its last spatial transformer, or else after its residual block.

    None for a network that is not the host's UNet.
    """
    if not isinstance(unet, UNetModel):
        return None
    anchors: Anchors = {}
    stages = {"input": unet.input_blocks, "middle": [unet.middle_block], "output": unet.output_blocks}
    for stage, blocks in stages.items():
        for index, block in enumerate(blocks):
            transformers = [layer for layer in block or () if isinstance(layer, SpatialTransformer)]
            residuals = [layer for layer in block or () if isinstance(layer, ResBlock)]
            if residuals:
                layer = SpatialTransformer if transformers else ResBlock
                anchors[stage, index] = (layer, residuals[0].out_channels)
    return anchors


def find_norms(unet: nn.Module, scope: NormScope) -> list[nn.GroupNorm]:
    """The group norms of a UNet (also of a compiled one) that a scope names."""
    if NormScope.TRANSFORMERS in scope:
        return [layer for layer in unet.modules() if isinstance(layer, nn.GroupNorm)]
    norms = []
    for layer in unet.modules() if NormScope.UNET in scope else ():
        if isinstance(layer, ResBlock):
            norms += [layer.in_layers[0], layer.out_layers[0]]
        elif isinstance(layer, UNetModel):
            norms += [layer.out[0]]
    return norms


def call_layer(
    layer: nn.Module, x: Tensor, emb: Tensor, context: Any, options: HostOptions, others: list[Any], rest: tuple[Any, ...]
) -> Tensor:
    """Call one layer as the host does, with the patches ``others`` of other packs instead of ours.

    The host counts the spatial transformers it has called in ``options``; the count is carried over.
    """
    inner = {**options, "patches": {**options["patches"], LAYER_PATCH: others}}
    x = forward_timestep_embed((layer,), x, emb, context, inner, *rest)
    options["transformer_index"] = inner["transformer_index"]
    return x
