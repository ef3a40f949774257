"""Gradient checkpointing: layers are computed a second time for their gradients, so that nothing inside them is kept.

Through the host's patch in place of a layer, and through the network of the motion module; no forward is replaced.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch.utils.checkpoint
from torch import Tensor

from ...motion.model import MotionModel, Site
from ...sampling.host.wrappers import HostOptions
from ...sampling.run.layers import LAYER_PATCH, LAYERS, call_layer


def _checkpointed(run: Any, *args: Any) -> Tensor:
    return torch.utils.checkpoint.checkpoint(run, *args, use_reentrant=False, preserve_rng_state=False)  # type: ignore[return-value]


def with_checkpointing(options: HostOptions) -> HostOptions:
    """``model_options`` with which the UNet's residual blocks and spatial transformers are computed twice."""
    inner: HostOptions = options.get("transformer_options", {})
    patches = inner.get("patches", {})
    others = patches.get(LAYER_PATCH, [])

    def layer_call(layer: Any, x: Tensor, emb: Tensor, context: Any, transformer_options: HostOptions, *rest: Any) -> Tensor:
        count = transformer_options.get("transformer_index")

        def run(x: Tensor, emb: Tensor, context: Any) -> Tensor:
            again = {**transformer_options, "transformer_index": count}  # as it was, when computed a second time
            x = call_layer(layer, x, emb, context, again, others, rest)
            transformer_options["transformer_index"] = again["transformer_index"]
            return x

        return _checkpointed(run, x, emb, context)

    ours = [(kind, layer_call) for kind in LAYERS]
    return {**options, "transformer_options": {**inner, "patches": {**patches, LAYER_PATCH: ours}}}


class _TwiceBlock(NamedTuple):
    """A temporal block that is computed twice."""

    block: Any
    channels: int

    def __call__(self, *args: Any) -> Tensor:
        return _checkpointed(self.block, *args)


class CheckpointedMotion(MotionModel):
    """A motion module's network whose temporal blocks are computed twice."""

    def sites(self) -> dict[Site, Any]:
        return {site: _TwiceBlock(block, block.channels) for site, block in super().sites().items()}
