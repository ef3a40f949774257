"""The SparseCtrl network: the host's ControlNet network with temporal blocks after its residual levels.

Built from a file by ``load_sparse_network``; run by ``sparse_control.SparseControl``.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...motion.checkpoint import BareLayers, check_complete
from ...motion.config import HEADS
from ...motion.module import Modulation
from ...motion.sparse_control import RGB, SparseConfig, SparseMotion, read_sparse_control
from ...motion.views import Views
from ..host.attention import host_attention
from ..host.controls import ControlNetwork, TimestepEmbedSequential, diffusers_names, timestep_embedding
from ..host.memory import ModelPatcher, adopt, open_file


def unet_layout(config: SparseConfig) -> dict[str, Any]:
    """The layout of SD1.5's UNet, of which the network is the first half, at the file's widths."""
    channels = config.motion.down_channels
    return {
        "image_size": 32,
        "in_channels": 4,
        "model_channels": channels[0],
        "num_res_blocks": [2] * len(channels),
        "channel_mult": tuple(c // channels[0] for c in channels),
        "num_heads": HEADS,
        "use_spatial_transformer": True,
        "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
        "transformer_depth_middle": 1,
        "context_dim": config.text_width,
        "legacy": False,
        "use_linear_in_transformer": False,
    }


class SparseControlNet(ControlNetwork):
    """What a SparseCtrl file holds. ``motion`` are its temporal blocks, their norms per frame as it was trained."""

    def __init__(self, config: SparseConfig, operations: Any, device: Any = None, dtype: Any = None) -> None:
        kw = {"operations": operations, "device": device, "dtype": dtype}
        super().__init__(hint_channels=4, **unet_layout(config), **kw)
        if config.kind == RGB:
            layer = operations.Conv2d(5, self.model_channels, 3, padding=1, device=device, dtype=dtype)
            self.input_hint_block = TimestepEmbedSequential(layer)
        self.motion = SparseMotion(config.motion, operations, device, dtype)

    def forward(
        self,
        x: Tensor,
        hint: Tensor,
        timesteps: Tensor,
        context: Tensor,
        y: Any = None,
        frames: int = 1,
        views: Views | None = None,
        motion: Modulation | None = Modulation(),
        **_: Any,
    ) -> dict[str, list[Tensor]]:
        """Residuals for the UNet.

        Args:
            x: ``(B·F, 4, H, W)``; only its shape counts, the network sees zeros in its place.
            hint: ``(B·F, C + 1, ...)``, latents or pixels, and 1 in the last channel where a frame has a hint.
            frames: F.
            views: windows for the temporal attention of animations longer than its positions.
            motion: how strongly the temporal blocks act; None leaves them out.
        """
        emb = self.time_embed(timestep_embedding(timesteps, self.model_channels).to(x.dtype))
        attention, temporal = host_attention({}), {} if motion is None else self.motion.sites()
        h = torch.zeros_like(x)
        outputs = []
        for index, (block, zero_conv) in enumerate(zip(self.input_blocks, self.zero_convs, strict=True)):
            h = block(h, emb, context)
            if index == 0:
                h = h + self.input_hint_block(hint, emb, context)
            if index in temporal:
                h = temporal[index](h, frames, attention, motion or Modulation(), views)
            outputs.append(zero_conv(h, emb, context))
        h = self.middle_block(h, emb, context)
        return {"middle": [self.middle_block_out(h, emb, context)], "output": outputs}


def load_sparse_network(path: str | Path) -> tuple[SparseConfig, ModelPatcher]:
    """Load a SparseCtrl file of any spelling, strictly, as a model of the host.

    Raises:
        ValueError: something else, or incomplete; the message says what it is.
    """
    config, control, motion = read_sparse_control(open_file(path))
    names = diffusers_names({**unet_layout(config), "transformer_depth_output": [1] * 12})
    state = {names.get(key, key): tensor for key, tensor in control.items()}
    state |= {f"motion.{key}": tensor for key, tensor in motion.items()}
    # Torch's layers: the host's may not show their weights before they are loaded.
    expected = SparseControlNet(config, BareLayers, device="meta").state_dict()
    try:
        check_complete(state, {key: tuple(t.shape) for key, t in expected.items()})
    except ValueError as error:
        raise ValueError(f"{Path(path).name} {error}") from error
    model = adopt(partial(SparseControlNet, config), state)
    model.model.eval()
    return config, model
