"""Which frames of a clip are given: frame numbers as text, and where SparseCtrl's images go.

Used by ``pin_frames`` and ``sparse_control``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from torch import Tensor

FIRST, FIRST_AND_LAST, SPREAD, INDEXES, MASK = "first", "first and last", "spread", "indexes", "mask"
PLACEMENTS = (SPREAD, FIRST, FIRST_AND_LAST, INDEXES, MASK)
_PLACE = re.compile(r"(-?\d+)|(\d+(?:\.\d+)?)%")


def parse_frames(text: str, frames: int) -> list[int]:
    """Frame numbers from ``"0, -1, 50%"``: from the start (0 is the first), from the end (-1 is the last), or part way.

    Raises:
        ValueError: something else, a frame outside the clip, or one named twice.
    """
    chosen: list[int] = []
    for part in filter(None, re.split(r"[,\s]+", text)):
        match = _PLACE.fullmatch(part)
        if match is None:
            raise ValueError(
                f"frames needs numbers such as 0, -1 or 50%, separated by commas; got {part!r} in {text!r}."
            )
        number, percent = match.groups()
        frame = int(number) if percent is None else round(float(percent) / 100 * (frames - 1))
        if not -frames <= frame < frames:
            raise ValueError(
                f"Frame {part} is outside this clip of {frames} frames; they are 0 to {frames - 1}, or from the end -1 to "
                f"-{frames}."
            )
        chosen.append(frame % frames)
    if not chosen:
        raise ValueError("frames names no frame. Write for example 0 for the first, or 0, -1 for the first and the last.")
    twice = [frame for frame in chosen if chosen.count(frame) > 1]
    if twice:
        raise ValueError(f"frames names frame {twice[0]} twice: {text!r}.")
    return chosen


@dataclass(frozen=True)
class SparseSettings:
    """How a SparseCtrl model is used.

    Attributes:
        placement: one of ``PLACEMENTS``; ``frames`` and ``hint_mask`` go with two of them.
        unhinted: multiplies what it adds to frames without an image; 1 as trained.
        nearest: a context window without an image uses the one nearest in time.
        strength_mask: ``(N, H, W)``, 0 to 1, multiplies what it adds, per frame and place; one for all, or repeated.
    """

    placement: str = SPREAD
    frames: str = "0"
    hint_mask: Tensor | None = None
    unhinted: float = 1.0
    nearest: bool = False
    strength_mask: Tensor | None = None


def placed(settings: SparseSettings, images: int, frames: int) -> dict[int, int]:
    """Which frame shows which image, in a clip of ``frames``.

    Raises:
        ValueError: more images than frames, or numbers that do not fit; the message says both.
    """
    if images > frames:
        raise ValueError(f"{images} images for a clip of {frames} frames. Use at most one per frame, or a longer clip.")
    if settings.placement == FIRST:
        chosen = list(range(images))
    elif settings.placement == FIRST_AND_LAST:
        if images > 2:
            raise ValueError(f"First and last need 1 or 2 images; got {images}. Use the placement spread or indexes.")
        chosen = [0, frames - 1] if frames > 1 else [0]
    elif settings.placement == SPREAD:
        chosen = [round(i * (frames - 1) / max(images - 1, 1)) for i in range(images)]
    elif settings.placement == INDEXES:
        chosen = parse_frames(settings.frames, frames)
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
        raise ValueError(f"hint_mask has {mask.shape[0]} masks, the clip {frames} frames. Give one per frame.")
    chosen = [frame for frame in range(frames) if bool(mask[frame].any())]
    if not chosen:
        raise ValueError(f"hint_mask is empty in all {frames} frames, so no image has a place.")
    return chosen


def timeline(places: dict[int, int], frames: int) -> str:
    """Two lines for the user: the clip with the number of the image in each frame that has one, and the same in words."""
    bar = "".join(str((places[frame] + 1) % 10) if frame in places else "-" for frame in range(frames))
    words = ", ".join(f"image {number + 1} at frame {frame}" for frame, number in sorted(places.items()))
    return f"{frames} frames: {bar}\n{words}"
