"""Where SparseCtrl's images go: which frame of an animation shows which image. Used by ``controls.sparse``."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..timeline.frame_list import frame_list

FIRST, FIRST_AND_LAST, SPREAD, INDEXES, MASK = "first", "first and last", "spread", "indexes", "mask"
PLACEMENTS = (SPREAD, FIRST, FIRST_AND_LAST, INDEXES, MASK)


@dataclass(frozen=True)
class SparseSettings:
    """How a SparseCtrl model is used.

    Attributes:
        placement: one of ``PLACEMENTS``; ``frames`` and ``hint_mask`` go with two of them.
        unhinted: multiplies what it adds to frames without an image; 1 as trained.
        nearest: a context window without an image uses the one nearest in time.
        strength_mask: ``(N, H, W)``, 0 to 1, multiplies what it adds, per frame and region; one for all, or repeated.
    """

    placement: str = SPREAD
    frames: str = "0"
    hint_mask: Tensor | None = None
    unhinted: float = 1.0
    nearest: bool = False
    strength_mask: Tensor | None = None


def placed(settings: SparseSettings, images: int, frames: int) -> dict[int, int]:
    """Which frame shows which image, in an animation of ``frames``: ``{frame: number of the image}``.

    Raises:
        ValueError: more images than frames, or numbers that do not fit; the message says both.
    """
    if images > frames:
        raise ValueError(f"{images} images for an animation of {frames} frames. Use at most one per frame, or more frames.")
    if settings.placement == FIRST:
        chosen = list(range(images))
    elif settings.placement == FIRST_AND_LAST:
        if images > 2:
            raise ValueError(f"First and last need 1 or 2 images; got {images}. Use the placement spread or indexes.")
        chosen = [0, frames - 1] if frames > 1 else [0]
    elif settings.placement == SPREAD:
        chosen = [round(i * (frames - 1) / max(images - 1, 1)) for i in range(images)]
    elif settings.placement == INDEXES:
        chosen = frame_list(settings.frames, frames)
    else:
        chosen = _masked_frames(settings.hint_mask, frames)
    if images not in (1, len(chosen)):
        raise ValueError(f"{images} images for {len(chosen)} frames ({settings.placement}). Give one per frame, or one for all.")
    return {frame: number if images > 1 else 0 for number, frame in enumerate(chosen)}


def _masked_frames(mask: Tensor | None, frames: int) -> list[int]:
    """The frames whose mask is not empty."""
    if mask is None:
        raise ValueError("The placement mask needs a hint_mask. Connect one mask per frame, or choose another placement.")
    mask = mask.reshape(-1, *mask.shape[-2:])
    if mask.shape[0] != frames:
        raise ValueError(f"hint_mask has {mask.shape[0]} masks, the animation {frames} frames. Give one per frame.")
    chosen = [frame for frame in range(frames) if bool(mask[frame].any())]
    if not chosen:
        raise ValueError(f"hint_mask is empty in all {frames} frames, so no frame gets an image.")
    return chosen


def describe_placement(images_at: dict[int, int], frames: int) -> str:
    """Two lines for the user: the frames with the number of the image in each that has one, and the same in words."""
    bar = "".join(str((images_at[frame] + 1) % 10) if frame in images_at else "-" for frame in range(frames))
    words = ", ".join(f"image {number + 1} at frame {frame}" for frame, number in sorted(images_at.items()))
    return f"{frames} frames: {bar}\n{words}"
