"""Prompt embeddings of several lengths at one length, and between two of them. Called by ``travel``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from .plan import PADDINGS, SPHERICAL, ZEROS

Key = TypeVar("Key")
LONGEST = 4
"""How many times the longest prompt embeddings are at most repeated to."""


def same_length(embeddings: Mapping[Key, Tensor], padding: str = PADDINGS[0]) -> dict[Key, Tensor]:
    """Token embeddings ``(1, T, C)`` of several lengths at one length, by repeating them, or with zeros on both sides.

    Cross-attention to a prompt repeated k times equals attention to it once; the host does the same. Zeros take attention
    away from a shorter prompt, as in FizzNodes and AnimateDiff-Evolved.
    """
    lengths = [embedding.shape[1] for embedding in embeddings.values()]
    if padding == ZEROS:
        missing = {key: max(lengths) - e.shape[1] for key, e in embeddings.items()}
        return {key: pad(e, (0, 0, missing[key] // 2, missing[key] - missing[key] // 2)) for key, e in embeddings.items()}
    length = math.lcm(*lengths)
    if length > LONGEST * max(lengths):  # parts of tokens count a little more then
        length = max(lengths)
    return {key: e.repeat(1, math.ceil(length / e.shape[1]), 1)[:, :length] for key, e in embeddings.items()}


def interpolated(a: Tensor, b: Tensor, t: float, how: str) -> Tensor:
    """``a`` on the way to ``b`` by the share ``t``, over the last axis.

    Source of the spherical way: Shoemake 1985, section 3.3, on vectors of their own length.
    """
    if how != SPHERICAL:
        return torch.lerp(a, b, t)
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=-1).clamp(-1, 1).unsqueeze(-1)
    angle = cosine.acos()
    arc = (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / angle.sin().clamp(min=1e-6)
    return torch.where(angle.sin() < 1e-3, torch.lerp(a, b, t), arc)
