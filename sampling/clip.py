"""What every clip gets around its sampling run: conditioning as long as the clip, and a preview of several frames.

A wrapper around the host's sampling, added by ``inject.animate`` and by ``windows.set_windows``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import latent_preview
import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from comfy.utils import ProgressBar, repeat_to_batch_size
from torch import Tensor

from .window_controls import chain, knows_its_frames

KEY = "animatediff_clip"
PREVIEW_SIDE = 2
"""The live preview shows this many frames in a row, and as many rows."""
PER_FRAME = {"cross_attn": "prompts", "cross_attn_controlnet": "prompts", "pooled_output": "pooled prompts", "mask": "masks"}
"""What a conditioning may hold once per frame."""


def follow_clip(model: ModelPatcher) -> None:
    """Have a freshly cloned MODEL treat each latent batch as a clip."""
    model.remove_wrappers_with_key(WrappersMP.OUTER_SAMPLE, KEY)
    model.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, _around_run)


def _around_run(
    executor: Any,
    noise: Tensor,
    latent_image: Tensor,
    sampler: Any,
    sigmas: Tensor,
    denoise_mask: Tensor | None = None,
    callback: Any = None,
    *args: Any,
    **kw: Any,
) -> Any:
    guider = executor.class_obj
    fit_to_clip(guider.conds, noise.shape[0])
    callback = with_clip_preview(callback, guider.model_patcher) if noise.shape[0] > 1 else callback
    return executor(noise, latent_image, sampler, sigmas, denoise_mask, callback, *args, **kw)


# --- conditioning ----------------------------------------------------------------------------------------------------


def fit_to_clip(conds: dict[str, list[dict[str, Any]]], frames: int) -> None:
    """Repeat prompts and masks in place until each frame has its own, and warn once of all counts that do not fit.

    ``conds`` are the run's own copies. The host repeats prompts and hints too, but fails for some counts of masks, and
    context windows can only cut what is as long as the clip.
    """
    odd: dict[str, int] = {}
    for cond in (cond for group in conds.values() for cond in group):
        for key, word in PER_FRAME.items():
            batch = cond.get(key)
            if not isinstance(batch, Tensor) or batch.ndim < 2 or (key == "mask" and batch.ndim == 2):
                continue
            if batch.shape[0] not in (1, frames):
                odd[word] = batch.shape[0]
                cond[key] = repeat_to_batch_size(batch, frames)
        odd |= {word: count for word, count in _other_counts(cond) if count not in (1, frames)}
    if odd:
        counts = ", ".join(f"{count} {word}" for word, count in odd.items())
        logging.warning(
            "This clip has %d frames, its conditioning %s. They are repeated in order or cut off at the end of the clip; "
            "give one, or one per frame.",
            frames,
            counts,
        )


def _other_counts(cond: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Counts of what the host or the windows repeat by themselves: control hints and images of inpaint models."""
    for control in chain(cond.get("control")):
        hint = control.cond_hint_original
        if isinstance(hint, Tensor) and not knows_its_frames(control):
            yield f"hints of {type(control).__name__}", hint.shape[0]
    for key in ("concat_latent_image", "concat_mask"):
        if isinstance(cond.get(key), Tensor):
            yield key, cond[key].shape[0]


# --- preview ---------------------------------------------------------------------------------------------------------


def contact_sheet(latent: Tensor, side: int = PREVIEW_SIDE) -> Tensor:
    """``side`` times ``side`` frames of ``(F, C, H, W)``, spread evenly, as one ``(1, C, side·H, side·W)``."""
    chosen = torch.linspace(0, latent.shape[0] - 1, side * side).round().long()
    rows = latent[chosen].unflatten(0, (side, side))  # rows, columns, C, H, W
    return rows.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2).unsqueeze(0)


def with_clip_preview(callback: Any, model: ModelPatcher) -> Any:
    """A step callback that shows several frames after the host's own has shown the first.

    Nothing is changed for the one given: samplers hand what it gets to the user.
    """
    previewer = latent_preview.get_previewer(model.load_device, model.model.latent_format)
    if callback is None or previewer is None:
        return callback
    bar = ProgressBar(1)
    shrink = PREVIEW_SIDE if hasattr(previewer, "taesd") else 1  # a decoder's time goes with the size, and is felt

    def show(step: int, x0: Tensor, x: Tensor, total_steps: int) -> None:
        callback(step, x0, x, total_steps)
        small = torch.nn.functional.avg_pool2d(x0.float(), shrink) if shrink > 1 else x0
        image = previewer.decode_latent_to_preview_image("JPEG", contact_sheet(small))
        bar.update_absolute(step + 1, total_steps, image)

    return show
