"""Conditioning with one entry per frame. Called by ``around``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from ..controls.chain import chain, knows_its_frames
from ..host.controls import Conds
from ..host.sample import repeat_to_batch_size

FRAME_KEYS = {"cross_attn": "prompts", "cross_attn_controlnet": "prompts", "pooled_output": "pooled prompts", "mask": "masks"}
"""What a conditioning may hold once per frame."""


def fit_to_frames(conds: Conds, frames: int) -> list[str]:
    """Repeat prompts and masks in place until each frame has its own; returns a warning if some counts do not fit.

    ``conds`` are the run's own copies. The host repeats prompts and hints too, but fails for some counts of masks, and
    context windows can only cut what is as long as the animation.
    """
    odd: dict[str, int] = {}
    for cond in (cond for group in conds.values() for cond in group):
        for key, word in FRAME_KEYS.items():
            batch = cond.get(key)
            if not isinstance(batch, Tensor) or batch.ndim < 2 or (key == "mask" and batch.ndim == 2):
                continue
            if batch.shape[0] not in (1, frames):
                odd[word] = batch.shape[0]
                cond[key] = repeat_to_batch_size(batch, frames)
        odd |= {word: count for word, count in _other_counts(cond) if count not in (1, frames)}
    if not odd:
        return []
    counts = ", ".join(f"{count} {word}" for word, count in odd.items())
    return [
        f"This animation has {frames} frames, its conditioning {counts}. They are repeated in order or cut off at the last "
        "frame; give one, or one per frame."
    ]


def _other_counts(cond: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Counts of what the host or the windows repeat by themselves: control hints and images of inpaint models."""
    for control in chain(cond.get("control")):
        hint = control.cond_hint_original
        if isinstance(hint, Tensor) and not knows_its_frames(control):
            yield f"hints of {type(control).__name__}", hint.shape[0]
    for key in ("concat_latent_image", "concat_mask"):
        if isinstance(cond.get(key), Tensor):
            yield key, cond[key].shape[0]
