"""Embeddings of pictures and prompts by the host's CLIP. Called by ``measures.table``."""

from __future__ import annotations

from typing import Any

import torch
from comfy.clip_vision import ClipVisionModel
from comfy.model_management import throw_exception_if_processing_interrupted
from comfy.sd import CLIP
from torch import Tensor

_AT_ONCE = 16
"""Pictures that CLIP sees in one call."""
_TRAINED = (0.1, 10.0)
"""Lengths of rows that a trained projection has on average; the host leaves one that is not in the file as the memory was."""


def image_embeddings(clip_vision: ClipVisionModel, pictures: Tensor) -> Tensor:
    """Embeddings ``(N, D)`` of pictures ``(N, H, W, 3)``, of which CLIP sees the middle square.

    Raises:
        ValueError: a vision model that gives no embedding of a whole picture.
    """
    found = []
    for part in pictures.split(_AT_ONCE):
        throw_exception_if_processing_interrupted()
        embeddings = clip_vision.encode_image(part[..., :3])["image_embeds"]
        if embeddings is None or embeddings.ndim != 2:
            raise ValueError("This CLIP_VISION gives no embedding of a whole picture. Load that of a CLIP, such as CLIP-ViT-L-14 or CLIP-ViT-H-14.")
        found.append(embeddings.float().cpu())
    return torch.cat(found)


def text_embedding(clip: CLIP, prompt: str) -> Tensor:
    """The embedding ``(1, D)`` of a prompt in the space that CLIP shares between text and pictures.

    Raises:
        ValueError: a text encoder that is no CLIP, or one whose file has no projection into that space.
    """
    _, pooled = clip.encode_from_tokens(clip.tokenize(prompt), return_pooled=True)
    if not isinstance(pooled, Tensor):
        raise ValueError("This text encoder gives no embedding of a whole prompt. Load a CLIP, such as clip_l.safetensors, or that of SDXL.")
    projection = _projection_left_out(clip)
    return (pooled if projection is None else pooled @ projection.mT.to(pooled)).float().cpu()


def _projection_left_out(clip: CLIP) -> Tensor | None:
    """The projection ``(D, D)`` where the host does not apply it itself: with a single CLIP-L, as SD1.5 has it."""
    model: Any = clip.cond_stage_model
    encoder: Any = getattr(model, getattr(model, "clip", None) or "", None)
    if encoder is None or getattr(encoder, "return_projected_pooled", True):
        return None
    weight: Any = getattr(getattr(encoder.transformer, "text_projection", None), "weight", None)
    if not _is_trained(weight):
        raise ValueError(
            "This CLIP has no projection of text into the space of pictures; files of SD1.5 leave it out. Load clip_l.safetensors with "
            "Load CLIP, or the CLIP of an SDXL checkpoint with CLIP-ViT-bigG as clip_vision."
        )
    return weight.detach()


def _is_trained(weight: Any) -> bool:
    """Whether this is a projection from a file, as far as one can see: not missing, empty, garbage or no projection at all."""
    if not isinstance(weight, Tensor) or weight.ndim != 2:
        return False
    weight = weight.detach().float().cpu()
    length = float(weight.square().sum(dim=1).mean().sqrt())
    alone = torch.equal(weight, torch.diag(weight.diagonal()))
    return _TRAINED[0] <= length <= _TRAINED[1] and not alone
