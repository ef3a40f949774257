"""A motion LoRA that stays apart from the weights it changes, so that its strength may differ by frame and region.

``y = layer(x) + strength * up(down(x))``, with the strength of each token. Built by ``sampling.modules.motion_lora`` where a motion LoRA
has a curve for its strength; one with a plain number is merged into the weights by the host, which costs nothing per step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn


class LowRank(nn.Module):
    """One change: ``(..., C_in)`` -> ``(..., C_out)`` through ``rank`` channels. The scale alpha / rank is part of ``up``."""

    def __init__(self, in_: int, rank: int, out: int, operations: Any = nn, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.down = operations.Linear(in_, rank, bias=False, device=device, dtype=dtype)
        self.up = operations.Linear(rank, out, bias=False, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.down(x))


class LowRankNetwork(nn.Module):
    """All changes of one motion LoRA, by the name of the layer they change (with ``/`` for its dots)."""

    def __init__(self, shapes: Mapping[str, tuple[int, int, int]], operations: Any = nn, **kw: Any) -> None:
        super().__init__()
        pairs = {name.replace(".", "/"): LowRank(*sizes, operations, **kw) for name, sizes in shapes.items()}
        self.pairs = nn.ModuleDict(pairs)

    def layers(self, network: nn.Module) -> dict[nn.Module, LowRank]:
        """Which layer of ``network`` has which change."""
        return {network.get_submodule(name.replace("/", ".")): pair for name, pair in self.pairs.items()}  # type: ignore[misc]


def low_rank_state(tensors: Mapping[str, Tensor], parameters: list[str]) -> dict[str, Tensor]:
    """State dict of a ``LowRankNetwork`` from a motion LoRA's tensors (``lora.MotionLoRA``), scaled by alpha / rank."""
    state = {}
    for name in parameters:
        up, down = (tensors[f"{name}.lora_{side}.weight"] for side in ("up", "down"))
        alpha = tensors.get(f"{name}.alpha")
        key = f"pairs.{name.replace('.', '/')}"
        state[f"{key}.up.weight"] = up if alpha is None else (up.float() * (float(alpha) / down.shape[0])).to(up.dtype)
        state[f"{key}.down.weight"] = down
    return state


class Changes(NamedTuple):
    """Changes of the layers of one temporal block, and how strongly each token gets them.

    ``strengths`` are scalars or ``(F, P, 1)`` or ``(F, 1, 1)``, one for each of ``layers``.
    """

    layers: tuple[Mapping[nn.Module, LowRank], ...] = ()
    strengths: tuple[Tensor, ...] = ()

    def apply(self, layer: nn.Module, tokens: Tensor) -> Tensor:
        """``layer`` on tokens ``(B, F, P, C)``, with whatever changes it."""
        out = layer(tokens)
        for layers, strength in zip(self.layers, self.strengths, strict=True):
            if layer in layers:
                out = out + layers[layer](tokens) * strength.to(out.dtype)
        return out


def of_windows(value: Tensor, windows: Tensor, batch: int) -> Tensor:
    """Gather values per frame for every window: (F, P, 1) -> (B·W, L, P, 1). A scalar is returned unchanged."""
    return value if value.ndim == 0 else value[windows].repeat(batch, 1, 1, 1)


def of_pixels(value: Tensor, pixels: slice) -> Tensor:
    """Slice (F, P, 1) to these pixels. Values shared by all pixels, (F, 1, 1), are returned unchanged."""
    return value[:, pixels] if value.ndim and value.shape[1] > 1 else value


def resized(value: Tensor, size: Sequence[int]) -> Tensor:
    """``(F, 1, H, W)`` in another size, each pixel the mean of what it covers. ``(F, 1, 1, 1)`` is returned unchanged."""
    if value.shape[-2:] in ((1, 1), tuple(size)):
        return value
    return nn.functional.interpolate(value, tuple(size), mode="area")


def per_token(value: Tensor, size: Sequence[int]) -> Tensor:
    """Resize maps per frame to a block's resolution and flatten them to tokens: (F, 1, H, W) -> (F, P, 1); (F, 1, 1, 1) -> (F, 1, 1)."""
    return value if value.ndim == 0 else resized(value, size).flatten(2).transpose(1, 2)
