"""The writers of WEBP and GIF; that of MP4 is the host's. Called by ``save``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from .palette import Palette
from .pixels import LazyPicture, counted, frame_bytes
from .timing import Clock, Playback

WEBP_CLOCK, GIF_CLOCK = Clock(unit=1, shortest=11), Clock(unit=10, shortest=20)
WEBP_SIDE, GIF_SIDE = 2**14 - 1, 2**16 - 1
"""The most pixels of width and height."""
MODEL_TAG, MAKE_TAG = 0x0110, 0x010F
"""Exif tags where the host's front end looks for the prompt, and from which on, downwards, for the workflow."""
EFFORT = 4
"""Of the WEBP encoder, 0 to 6, as the host has it."""
LOSSLESS_EFFORT = 75
"""What its quality means where nothing is lost: how hard it tries, 0 to 100."""
BEST_CRF, WORST_CRF = 10.0, 51.0
"""H.264's scale of quality is logarithmic: 18 is called visually lossless, and browsers do not play the profile of 0."""
RESTORE = 2
"""GIF's number for frames that are cleared before the next is drawn."""
Graph = dict[str, Any]
"""What the file remembers: ``prompt``, ``workflow`` and what else the front end sends."""


def write_webp(
    path: Path, images: Tensor, shown: Playback, loop_count: int, graph: Graph, *, quality: int, lossless: bool
) -> None:
    """An animated WEBP. Its loop count says how often it is played; 0 is for ever."""
    exif = Image.Exif()
    others = [key for key in graph if key != "prompt"]
    for tag, key in [(MODEL_TAG, "prompt"), *((MAKE_TAG - index, key) for index, key in enumerate(others))]:
        if key in graph:
            exif[tag] = f"{key}:{json.dumps(graph[key])}"
    LazyPicture(images, shown.order).save(
        path,
        "WEBP",
        save_all=True,
        duration=shown.durations,
        loop=loop_count,
        exif=exif.tobytes() if len(exif) else b"",
        quality=LOSSLESS_EFFORT if lossless else quality,
        lossless=lossless,
        method=EFFORT,
    )


def write_gif(path: Path, images: Tensor, shown: Playback, loop_count: int, graph: Graph, *, dither: str) -> None:
    """An animated GIF with one palette. Its loop count says how often it is repeated after the first time.

    So 0 is for ever, and a file without one is played once.
    """
    palette = Palette(images)
    pictures = _in_colours(palette, images, shown.order, dither)
    options: dict[str, Any] = {} if loop_count == 1 else {"loop": max(0, loop_count - 1)}
    if images.shape[-1] == 4:
        options["disposal"] = RESTORE
    next(pictures).save(
        path,
        "GIF",
        save_all=True,
        append_images=pictures,
        duration=shown.durations if len(shown.order) > 1 else shown.durations[0],
        palette=palette.entries,
        transparency=palette.transparent,
        optimize=True,  # pixels that are as in the frame before are not stored again
        comment=json.dumps(graph).encode() if graph else b"",
        **options,
    )


def _in_colours(palette: Palette, images: Tensor, order: Sequence[int], dither: str) -> Iterator[Image.Image]:
    frame_at = counted(order)
    for position in range(len(order)):
        yield palette.picture(frame_bytes(images, frame_at(position)), dither)


def video_frames(images: Tensor, order: Sequence[int]) -> Tensor:
    """Frames ``(N, H, W, 3)`` for an H.264 encoder, which takes even sizes and no alpha.

    An odd side is one pixel longer, which repeats the edge, and alpha is laid on black. Images that need no change are not
    copied. A copy is in half precision, which holds bytes exactly.
    """
    height, width, channels = images.shape[1:]
    even = (height + height % 2, width + width % 2)
    if channels == 3 and even == (height, width) and list(order) == list(range(len(images))):
        return images
    frames = torch.empty(len(order), *even, 3, dtype=torch.float16)
    first: dict[int, int] = {}
    for position, index in enumerate(order):
        if index in first:  # on the way back
            frames[position] = frames[first[index]]
            continue
        first[index] = position
        frames[position, :height, :width] = _on_black(frame_bytes(images, index))
        frames[position, height:] = frames[position, height - 1]
        frames[position, :, width:] = frames[position, :, width - 1 : width]
    return frames


def _on_black(pixels: Tensor) -> Tensor:
    """Bytes as numbers from 0 to 1 without alpha."""
    values = pixels.float() / 255
    return values[..., :3] * values[..., 3:] if values.shape[-1] == 4 else values


def crf_of(quality: int) -> float:
    """H.264's constant rate factor for a quality of 0 to 100: evenly from 51 to 10."""
    return WORST_CRF - (WORST_CRF - BEST_CRF) * quality / 100
