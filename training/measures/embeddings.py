"""The three measures of the paper's table 1, on embeddings of CLIP: text alignment, domain similarity, motion smoothness.

Source: Guo et al. 2023, AnimateDiff, arXiv 2307.04725, section 5.2 and table 1, whose numbers are these times 100.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def _unit(embeddings: Tensor) -> Tensor:
    """Embeddings ``(N, D)`` of length 1.

    Raises:
        ValueError: another shape.
    """
    if embeddings.ndim != 2:
        raise ValueError(f"Embeddings are (N, D), one for each picture; got a tensor of {tuple(embeddings.shape)}.")
    return functional.normalize(embeddings.float(), dim=1)


def _matching(first: Tensor, second: Tensor, what: str) -> Tensor:
    """Cosines of each with each, ``(N, M)``.

    Raises:
        ValueError: embeddings of two different models.
    """
    if first.shape[-1] != second.shape[-1]:
        raise ValueError(
            f"Frames have embeddings of {first.shape[-1]} numbers, {what} of {second.shape[-1]}. Give the text and the vision model "
            "of one CLIP, such as clip_l and CLIP-ViT-L-14."
        )
    return _unit(first) @ _unit(second).mT


def text_alignment(frames: Tensor, text: Tensor) -> Tensor:
    """The cosine of each frame's embedding ``(F, D)`` and that of the prompt, ``(1, D)`` or ``(F, D)``: ``(F,)``."""
    cosines = _matching(frames, text, "the text")
    return cosines[:, 0] if text.shape[0] == 1 else cosines.diagonal()


def domain_similarity(frames: Tensor, references: Tensor) -> Tensor:
    """The mean cosine of each frame ``(F, D)`` to pictures that the image model makes without motion, ``(R, D)``: ``(F,)``."""
    return _matching(frames, references, "the references").mean(dim=1)


def motion_smoothness(frames: Tensor) -> Tensor:
    """The cosine of each frame's embedding ``(F, D)`` and the next one's: ``(F - 1,)``.

    Raises:
        ValueError: a single frame.
    """
    if len(frames) < 2:
        raise ValueError("Smoothness needs at least 2 frames; got 1. Give a whole animation.")
    unit = _unit(frames)
    return torch.einsum("fd,fd->f", unit[:-1], unit[1:])
