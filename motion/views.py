"""Views: windows inside the temporal attention, for animations longer than its positions.

The image model then sees every frame once; only the attention along frames works in pieces. Made by
``sampling.windows``, used by ``module.TemporalTransformerBlock``.
Source: Qiu et al. 2023, FreeNoise, arXiv 2310.15169, section 3.3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Views(NamedTuple):
    """W windows of L frames over an animation of F frames, each frame in at most K of them; tensors only.

    ``windows`` ``(W, L)`` holds frame numbers. ``sources`` ``(F, K)`` says where each frame lies among the W·L frames of
    all windows, and ``weights`` ``(F, K)`` how much each of these counts; rows sum to 1.
    """

    windows: Tensor
    sources: Tensor
    weights: Tensor

    def fuse(self, tokens: Tensor, attend: Callable[[Tensor], Tensor]) -> Tensor:
        """Run ``attend`` on every window of ``(B, F, P, C)`` and average what overlaps; the same shape."""
        count = self.windows.shape[0]
        gathered = tokens[:, self.windows].flatten(0, 1)  # (B·W, L, P, C)
        parts = attend(gathered).unflatten(0, (-1, count)).flatten(1, 2)  # (B, W·L, P, C)
        weights = self.weights.to(tokens.dtype)[:, :, None, None]
        out = parts[:, self.sources[:, 0]] * weights[:, 0]
        for other in range(1, self.sources.shape[1]):
            out += parts[:, self.sources[:, other]] * weights[:, other]
        return out


def views_over(windows: list[list[int]], weights: list[list[float]], frames: int) -> Views:
    """Views from windows of equal length that cover all ``frames``, and how much each of their frames counts.

    Raises:
        ValueError: a frame is in no window.
    """
    sources: list[list[tuple[int, float]]] = [[] for _ in range(frames)]
    length = len(windows[0])
    for w, (window, row) in enumerate(zip(windows, weights, strict=True)):
        for position, (frame, weight) in enumerate(zip(window, row, strict=True)):
            sources[frame].append((w * length + position, float(weight)))
    left_out = [frame for frame, found in enumerate(sources) if not found]
    if left_out:
        raise ValueError(f"Views leave out frame {left_out[0]} of {frames} frames. Use more overlap or a lower stride.")
    most = max(len(found) for found in sources)
    padded = [found + [(found[0][0], 0.0)] * (most - len(found)) for found in sources]
    sums = [sum(weight for _, weight in found) for found in sources]
    return Views(
        torch.tensor(windows),
        torch.tensor([[source for source, _ in found] for found in padded]),
        torch.tensor([[weight / total for _, weight in found] for found, total in zip(padded, sums, strict=True)]),
    )
