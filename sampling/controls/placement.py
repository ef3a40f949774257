"""Where SparseCtrl's images go: which frame of an animation shows which image, and how it counts. Used by ``controls.sparse``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ..timeline.frame_list import frame_list

FIRST, FIRST_AND_LAST, SPREAD, INDEXES, MASK = "first", "first and last", "spread", "indexes", "mask"
FROM_START, TO_END, BETWEEN, IN_TURN = "spread from start", "spread to end", "spread between", "indexes in turn"
PLACEMENTS = (SPREAD, FIRST, FIRST_AND_LAST, INDEXES, MASK, FROM_START, TO_END, BETWEEN, IN_TURN)
RESIZES = ("lanczos", "area", "bilinear", "bicubic", "nearest-exact")


@dataclass(frozen=True)
class SparseSettings:
    """How a SparseCtrl model is used.

    Attributes:
        placement: one of ``PLACEMENTS``; ``frames`` and ``hint_mask`` go with some of them.
        hinted, unhinted: multiply what it adds to frames with and without an image; 1 as trained.
        nearest: a context window without an image uses the one nearest in time.
        strength_mask: ``(N, H, W)``, 0 to 1, multiplies what it adds, per frame and region; one for all, or repeated.
        presence: what the network is told about frames with an image, where it is told 0 about the others; 1 as trained.
        motion: multiplies what its own temporal blocks add; 1 as trained, and with 0 they do not run.
        attention_scale: multiplies the keys of their attention; 1 as trained.
        resize: one of ``RESIZES``, how images are brought to the size of the animation.
    """

    placement: str = SPREAD
    frames: str = "0"
    hint_mask: Tensor | None = None
    unhinted: float = 1.0
    nearest: bool = False
    strength_mask: Tensor | None = None
    hinted: float = 1.0
    presence: float = 1.0
    motion: float = 1.0
    attention_scale: float = 1.0
    resize: str = RESIZES[0]


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
    elif settings.placement in (SPREAD, FROM_START, TO_END, BETWEEN):
        chosen = _spread(settings.placement, images, frames)
    elif settings.placement == INDEXES:
        chosen = frame_list(settings.frames, frames)
    elif settings.placement == IN_TURN:
        chosen = frame_list(settings.frames, frames)[:images]
    else:
        chosen = _masked_frames(settings.hint_mask, frames)
    if images not in (1, len(chosen)):
        advice = "Name one frame per image." if settings.placement == IN_TURN else "Give one per frame, or one for all."
        raise ValueError(f"{images} images for {len(chosen)} frames ({settings.placement}). {advice}")
    return {frame: number if images > 1 else 0 for number, frame in enumerate(chosen)}


def _spread(placement: str, images: int, frames: int) -> list[int]:
    """One frame per image, all equally far apart: with or without the first and the last frame of the animation."""
    if placement == SPREAD or images == frames:
        return _evenly(images, frames)
    if placement == TO_END:
        return _evenly(images + 1, frames)[1:]
    if placement == FROM_START or (images > 1 and frames - images < 3):  # too few frames to leave out both ends
        return _evenly(images + 1, frames)[:-1]
    return _evenly(images + 2, frames)[1:-1]


def _evenly(count: int, frames: int) -> list[int]:
    """The first frame, the last, and those between, rounded down; only the first if ``count`` is 1."""
    step = (frames - 1) / max(count - 1, 1)
    return [*(int(i * step) for i in range(count - 1)), frames - 1] if count > 1 else [0]


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


def shown_in(images_at: dict[int, int], indices: Sequence[int], nearest: bool) -> dict[int, int]:
    """Which images a model call of the frames ``indices`` shows: ``{position in the call: number of the image}``.

    With ``nearest``, a call of frames without an image shows the one that is nearest in time, in the place nearest to it;
    images on both sides, if they are equally near.
    """
    found = {position: images_at[frame] for position, frame in enumerate(indices) if frame in images_at}
    if found or not nearest:
        return found
    pairs = [(abs(frame - index), position, frame) for frame in images_at for position, index in enumerate(indices)]
    least = min(pairs)[0]
    for _, position, frame in sorted(pair for pair in pairs if pair[0] == least):
        if images_at[frame] not in found.values():
            found.setdefault(position, images_at[frame])
    return found


def describe_placement(images_at: dict[int, int], frames: int) -> str:
    """Two lines for the user: the frames with the number of the image in each that has one, and the same in words."""
    bar = "".join(str((images_at[frame] + 1) % 10) if frame in images_at else "-" for frame in range(frames))
    words = ", ".join(f"image {number + 1} at frame {frame}" for frame, number in sorted(images_at.items()))
    return f"{frames} frames: {bar}\n{words}"
