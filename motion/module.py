"""One temporal block: norm, project in, attend along frames, feed forward, project out, add.

``model.MotionModel`` holds one ``TemporalBlock`` per UNet site. Attribute names are those of the files.
Source: Guo et al. 2023, arXiv 2307.04725, section 4.2 and its released code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .attention import Attention, TemporalAttention, scaled_dot_product_attention
from .config import HEADS, MotionConfig, NormScope
from .low_rank import Changes, of_pixels, of_windows, per_token
from .views import Views

TOKENS_PER_CHANNEL = 6
"""CPU tiles hold this many tokens per channel: fewer would stream the weights too often, more leave the cache."""
GPU_TOKENS = 32768
"""Tokens per tile elsewhere: large enough for every kernel to fill the device, small enough to bound memory."""
MAX_ATTENTION_ROWS = 32768
"""Pixels times heads per attention call; CUDA kernels put them on a grid axis limited to 65535."""


class Modulation(NamedTuple):
    """How strongly a temporal block acts: scalars, or ``(F, 1, 1, 1)`` or ``(F, 1, H, W)`` by frame and region.

    Always tensors, so that a compiled graph does not freeze them. ``influence`` multiplies what the block adds to its input;
    ``attention_scale`` multiplies the attention keys. None means 1, as trained. ``changes`` are motion LoRAs that are not merged,
    their strengths in the same shapes.
    """

    influence: Tensor | None = None
    attention_scale: Tensor | None = None
    changes: Changes = Changes()

    def _each(self, change: Callable[[Tensor], Tensor]) -> Modulation:
        influence, scale = (None if value is None else change(value) for value in (self.influence, self.attention_scale))
        strengths = tuple(change(strength) for strength in self.changes.strengths)
        return Modulation(influence, scale, Changes(self.changes.layers, strengths))

    def at_resolution(self, size: tuple[int, int]) -> Modulation:
        """The same for the tokens of a block of this height and width: scalars, ``(F, P, 1)`` or ``(F, 1, 1)``."""
        return self._each(lambda value: per_token(value, size))

    def for_pixels(self, pixels: slice) -> Modulation:
        """The part of ``at_resolution`` that belongs to some pixels."""
        return self._each(lambda value: of_pixels(value, pixels))

    def for_views(self, views: Views, batch: int) -> Modulation:
        """What ``for_pixels`` gave, for the tokens of windows instead of those of the whole animation."""
        return self._each(lambda value: of_windows(value, views.windows, batch))


def tile_pixels(tokens_per_pixel: int, channels: int, device: torch.device) -> int:
    """How many pixels to process at once, for ``tokens_per_pixel`` = batch x frames.

    Attention never mixes pixels, so any tiling gives the same result; it only bounds memory.
    """
    on_cpu = device.type == "cpu" and not torch.compiler.is_compiling()
    tokens = TOKENS_PER_CHANNEL * channels if on_cpu else GPU_TOKENS
    return max(1, min(tokens // tokens_per_pixel, MAX_ATTENTION_ROWS // HEADS))


class GEGLU(nn.Module):
    """Linear to twice the width; the second half gates the first through GELU."""

    def __init__(self, channels: int, width: int, operations: Any, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.proj = operations.Linear(channels, 2 * width, device=device, dtype=dtype)

    def forward(self, tokens: Tensor, changes: Changes = Changes()) -> Tensor:
        value, gate = changes.apply(self.proj, tokens).chunk(2, dim=-1)
        return value * nn.functional.gelu(gate)


class FeedForward(nn.Module):
    """GEGLU of four times the width, and back. ``net.1`` was dropout in training."""

    def __init__(self, channels: int, operations: Any, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        width = 4 * channels
        gate = GEGLU(channels, width, operations, device, dtype)
        self.net = nn.ModuleList([gate, nn.Identity(), operations.Linear(width, channels, device=device, dtype=dtype)])

    def forward(self, tokens: Tensor, changes: Changes = Changes()) -> Tensor:
        return changes.apply(self.net[2], self.net[0](tokens, changes))


class TemporalTransformerBlock(nn.Module):
    """Pre-norm transformer block: n temporal attentions, then one feed forward, each with a residual."""

    def __init__(
        self, channels: int, attentions: int, positions: int, operations: Any, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        kw = {"device": device, "dtype": dtype}
        self.attention_blocks = nn.ModuleList(
            TemporalAttention(channels, positions, operations, **kw) for _ in range(attentions)
        )
        self.norms = nn.ModuleList(operations.LayerNorm(channels, **kw) for _ in range(attentions))
        self.ff = FeedForward(channels, operations, **kw)
        self.ff_norm = operations.LayerNorm(channels, **kw)

    def attend(self, tokens: Tensor, attention: Attention, modulation: Modulation) -> Tensor:
        """The part that mixes frames: ``(B, F, P, C)`` -> the same shape."""
        scale, changes = modulation.attention_scale, modulation.changes
        for norm, block in zip(self.norms, self.attention_blocks, strict=True):
            tokens = tokens + block(norm(tokens), attention, scale, changes)
        return tokens

    def forward(self, tokens: Tensor, attention: Attention, modulation: Modulation, views: Views | None) -> Tensor:
        """``(B, F, P, C)`` -> the same shape; with ``views``, attention sees the frames of one window at a time."""
        if views is None:
            tokens = self.attend(tokens, attention, modulation)
        else:
            inside = modulation.for_views(views, tokens.shape[0])
            tokens = views.fuse(tokens, lambda windows: self.attend(windows, attention, inside))
        return tokens + self.ff(self.ff_norm(tokens), modulation.changes)


class TemporalTransformer(nn.Module):
    """Everything between a UNet layer's output and what is added to it."""

    def __init__(
        self, channels: int, attentions: int, positions: int, operations: Any, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        kw = {"device": device, "dtype": dtype}
        self.norm = operations.GroupNorm(num_groups=32, num_channels=channels, eps=1e-6, affine=True, **kw)
        self.proj_in = operations.Linear(channels, channels, **kw)
        self.transformer_blocks = nn.ModuleList(
            [TemporalTransformerBlock(channels, attentions, positions, operations, **kw)]
        )
        self.proj_out = operations.Linear(channels, channels, **kw)

    def tile(
        self, hidden: Tensor, frames: int, attention: Attention, modulation: Modulation, views: Views | None
    ) -> Tensor:
        """Normed pixels ``(B·F, C, P)`` -> what they add, in the same shape. ``modulation`` is that of these pixels."""
        tokens = hidden.transpose(1, 2).unflatten(0, (-1, frames))  # (B, F, P, C)
        tokens = modulation.changes.apply(self.proj_in, tokens)
        tokens = self.transformer_blocks[0](tokens, attention, modulation, views)
        tokens = modulation.changes.apply(self.proj_out, tokens)
        if modulation.influence is not None:
            tokens = tokens * modulation.influence.to(tokens.dtype)
        return tokens.flatten(0, 1).transpose(1, 2)  # (B·F, C, P)


def pooled(norm: Callable[[Tensor], Tensor], x: Tensor, frames: int) -> Tensor:
    """Apply a group norm to ``(B·F, C, H, W)`` with statistics over the F frames of each batch entry together."""
    together = x.unflatten(0, (-1, frames)).transpose(1, 2)  # (B, C, F, H, W)
    return norm(together).transpose(1, 2).flatten(0, 1)


class TemporalBlock(nn.Module):
    """The motion module's part at one site of the UNet."""

    def __init__(
        self,
        channels: int,
        config: MotionConfig,
        operations: Any,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.pooled_norm = NormScope.MOTION in config.norm_scope
        sizes = (channels, config.attention_blocks, config.positions)
        self.temporal_transformer = TemporalTransformer(*sizes, operations, device, dtype)

    def forward(
        self,
        x: Tensor,
        frames: int,
        attention: Attention = scaled_dot_product_attention,
        modulation: Modulation = Modulation(),
        views: Views | None = None,
    ) -> Tensor:
        """Let the frames of each animation see one another.

        Args:
            x: ``(B·F, C, H, W)``, the frames of an animation side by side.
            frames: F, at most the positions of the file unless there are views.
            views: windows for the attention, each at most the positions of the file; None is the whole animation at once.

        Returns:
            ``x`` plus the motion, same shape.
        """
        transformer = self.temporal_transformer
        modulation = modulation.at_resolution((x.shape[2], x.shape[3]))
        # The norm's output is ours alone: each tile is read from it, then overwritten with its result.
        normed = pooled(transformer.norm, x, frames) if self.pooled_norm else transformer.norm(x)
        hidden = normed.flatten(2)
        out = torch.empty_like(hidden) if torch.is_grad_enabled() else hidden  # gradients need what a tile was read from
        source = x.flatten(2)
        tokens_per_pixel = x.shape[0] if views is None else x.shape[0] // frames * views.windows.numel()
        step = tile_pixels(tokens_per_pixel, self.channels, x.device)
        for start in range(0, hidden.shape[2], step):
            pixels = slice(start, start + step)
            motion = transformer.tile(hidden[:, :, pixels], frames, attention, modulation.for_pixels(pixels), views)
            out[:, :, pixels] = source[:, :, pixels] + motion
        return out.unflatten(2, x.shape[2:])
