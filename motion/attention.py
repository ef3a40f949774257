"""Self-attention along the frames of an animation, one attention per pixel.

``TemporalAttention`` is used by ``module.TemporalTransformerBlock``. Nothing here knows about UNets or files.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .config import HEADS
from .low_rank import Changes

Attention = Callable[[Tensor, Tensor, Tensor, int], Tensor]
"""``attention(q, k, v, heads)``: q, k, v as ``(B, heads, F, d)`` -> ``(B, F, heads * d)``."""


def scaled_dot_product_attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Torch's own kernel in the shape of ``Attention``, for use without a host."""
    out = nn.functional.scaled_dot_product_attention(q, k, v)
    return out.transpose(1, 2).reshape(q.shape[0], q.shape[2], heads * q.shape[3])


def sinusoidal_positions(positions: int, channels: int) -> Tensor:
    """Fixed positional encoding ``(1, positions, channels)``, float32.

    Source: Vaswani et al. 2017, section 3.5, sine in even channels and cosine in odd ones.
    """
    position = torch.arange(positions, dtype=torch.float32).unsqueeze(1)
    frequency = torch.exp(torch.arange(0, channels, 2, dtype=torch.float32) * (-math.log(10000.0) / channels))
    table = torch.empty(positions, channels)
    table[:, 0::2] = torch.sin(position * frequency)
    table[:, 1::2] = torch.cos(position * frequency)
    return table.unsqueeze(0)


class PositionalEncoding(nn.Module):
    """Holds the table that tells frames apart; kept in float32 because it is added before any projection."""

    pe: Tensor

    def __init__(self, positions: int, channels: int, device: Any = None) -> None:
        super().__init__()
        self.register_buffer("pe", torch.empty(1, positions, channels, device=device, dtype=torch.float32))

    def forward(self, tokens: Tensor) -> Tensor:
        """Add to ``(B, F, P, C)`` the row of each frame."""
        rows = self.pe[:, : tokens.shape[1], None, :]
        return tokens + rows.to(device=tokens.device, dtype=tokens.dtype)


class TemporalAttention(nn.Module):
    """Self-attention over frames with 8 heads; every pixel attends to itself in the other frames."""

    def __init__(self, channels: int, positions: int, operations: Any, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        kw = {"device": device, "dtype": dtype}
        self.pos_encoder = PositionalEncoding(positions, channels, device)
        self.to_q = operations.Linear(channels, channels, bias=False, **kw)
        self.to_k = operations.Linear(channels, channels, bias=False, **kw)
        self.to_v = operations.Linear(channels, channels, bias=False, **kw)
        self.to_out = nn.ModuleList([operations.Linear(channels, channels, **kw)])  # a list: files say `to_out.0`

    def forward(
        self, tokens: Tensor, attention: Attention, scale: Tensor | None = None, changes: Changes = Changes()
    ) -> Tensor:
        """Attend along F in ``(B, F, P, C)``, P pixels at a time.

        The heads of all pixels are handed over as heads of one batch entry, ``(B, P * 8, F, d)``: a view, so
        nothing is copied to bring frames together.

        Args:
            scale: multiplies the keys, and with them the attention logits; a scalar or one per key, 1 when None.
            changes: motion LoRAs that are not merged.
        """
        b, frames, pixels, channels = tokens.shape
        heads = pixels * HEADS
        tokens = self.pos_encoder(tokens)
        q, k, v = (changes.apply(layer, tokens) for layer in (self.to_q, self.to_k, self.to_v))
        if scale is not None:
            k = k * scale.to(k.dtype)
        # (B, F, P, C) -> (B, P * 8, F, d): every head of every pixel is a head of its own
        q, k, v = (t.view(b, frames, heads, channels // HEADS).transpose(1, 2) for t in (q, k, v))
        return changes.apply(self.to_out[0], attention(q, k, v, heads).view(b, frames, pixels, channels))
