"""Camera clips out of a list of videos or pictures: which frames, how far each, and what the user is told. Called by ``nodes.clips``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ...sampling.host.sample import ProgressBar, stop_if_interrupted, warn
from .camera import CAMERA_EASINGS, camera_clip, camera_move, largest_scale, share_of_move, varied_amounts
from .fit import CROP, fitted
from .load import MULTIPLE, counted_words

SOFT = 0.99
"""Below so many pixels of the source to one of the clip, things are enlarged, and the user is told."""


@dataclass(frozen=True)
class CameraOptions:
    """How a camera moves over footage.

    Attributes:
        move: one of ``CAMERA_MOVES``.
        amount: see ``camera_move``.
        length: frames.
        width, height: in pixels, multiples of 8.
        single_pictures: every picture is a still of its own.
        easing: one of ``CAMERA_EASINGS``.
        variation: by which share amounts differ.
        seed: of the amounts.
    """

    move: str
    amount: float
    length: int
    width: int
    height: int
    single_pictures: bool = False
    easing: str = CAMERA_EASINGS[0]
    variation: float = 0.0
    seed: int = 0


class FilmedClips(NamedTuple):
    """Clips that a camera took.

    Attributes:
        frames: ``(F, height, width, 3)`` each.
        strengths: which part of the chosen amount each of them moves by.
        report: what the node shows.
    """

    frames: list[Tensor]
    captions: list[str]
    strengths: list[float]
    report: str


def camera_clips(images: Sequence[Tensor], captions: Sequence[str], options: CameraOptions) -> FilmedClips:
    """Clips of a moving crop over footage. The user is warned.

    Args:
        images: each ``(N, H, W, C)``: a video, a still, or N stills.
        captions: one for each of ``images``, one for all, or none.

    Raises:
        ValueError: captions that do not fit, sizes that are no multiples of 8, no video long enough.
    """
    _check(images, captions, options)
    sources, lost = _sources(images, captions, options)
    if not sources:
        raise ValueError(f"There is nothing to make clips of:\n{lost}\nUse longer videos, a smaller length, or switch single_pictures on.")
    amounts = varied_amounts(options.amount, options.variation, len(sources), options.seed)
    size, progress = (options.height, options.width), ProgressBar(len(sources))
    made, scales = [], []
    for (frames, _), amount in zip(sources, amounts, strict=True):
        stop_if_interrupted()
        move = camera_move(options.move, amount, options.length, options.easing)
        scales.append(largest_scale(move, (frames.shape[1], frames.shape[2]), size))
        made.append(camera_clip(fitted(frames, (frames.shape[1], frames.shape[2]), CROP), move, size))
        progress.update(1)
    told = [lost] if lost else []
    enlarged = [1 / scale for scale in scales if scale < SOFT]
    if enlarged:
        told.append(
            f"{len(enlarged)} of {counted_words(len(made), 'source')} too small for this move at {options.width} x {options.height}: enlarged up "
            f"to {max(enlarged):.2f} times, which looks soft. Use larger sources, smaller clips or a smaller amount."
        )
    warn(told)
    first = f"{counted_words(len(made), 'clip')} of {counted_words(options.length, 'frame')}, {options.width} x {options.height}: {options.move}."
    strengths = [share_of_move(options.move, amount, options.amount) for amount in amounts]
    return FilmedClips(made, [caption for _, caption in sources], strengths, "\n".join([first, *told]))


def _check(images: Sequence[Tensor], captions: Sequence[str], options: CameraOptions) -> None:
    if len(captions) not in (0, 1, len(images)):
        raise ValueError(f"There are {len(captions)} captions for {len(images)} IMAGEs. Connect one for each, one for all, or none.")
    if min(options.width, options.height) < MULTIPLE or options.width % MULTIPLE or options.height % MULTIPLE:
        raise ValueError(f"Width and height are to be multiples of {MULTIPLE}; got {options.width} x {options.height}.")


def _sources(images: Sequence[Tensor], captions: Sequence[str], options: CameraOptions) -> tuple[list[tuple[Tensor, str]], str]:
    """(frames, caption) of each clip, and a sentence on videos that are too short; frames are as many as the clip's, or one."""
    each = list(captions) if len(captions) == len(images) else [*(captions or [""])] * len(images)
    sources, short = [], []
    for number, (frames, caption) in enumerate(zip(images, each, strict=True), start=1):
        if options.single_pictures:
            sources += [(still, caption) for still in _stills(frames)]
        elif len(frames) == 1:
            sources.append((frames, caption))
        elif len(frames) < options.length:
            short.append(f"IMAGE {number} has {len(frames)} frames")
        else:
            start = (len(frames) - options.length) // 2
            sources.append((frames[start : start + options.length], caption))
    lost = f"Skipped: {', '.join(short)}; a clip takes {options.length}, or a single picture." if short else ""
    return sources, lost


def _stills(frames: Tensor) -> Iterator[Tensor]:
    yield from torch.split(frames, 1)
