"""Save Animation: images in, a file of the host's output or temporary folder out. Called by ``nodes.save``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ..host.files import OutputFile, keeps_metadata, output_file, write_video
from ..host.sample import warn
from .palette import DITHERS
from .pixels import check_images
from .timing import Clock, Playback, exact_rate, play_order, playback
from .write import GIF_CLOCK, GIF_SIDE, WEBP_CLOCK, WEBP_SIDE, Graph, crf_of, video_frames, write_gif, write_webp

WEBP, GIF, MP4 = "webp", "gif", "mp4"
FILE_FORMATS = [WEBP, GIF, MP4]
SIDES = {WEBP: WEBP_SIDE, GIF: GIF_SIDE}


@dataclass(frozen=True)
class SaveOptions:
    """How an animation is saved.

    Attributes:
        frame_rate: frames per second.
        filename_prefix: subfolders and the beginning of the name, with the host's ``%year%`` and the like.
        format: one of ``FILE_FORMATS``.
        ping_pong: forwards, then backwards.
        loop_count: how often it is played; 0 is for ever. Not for MP4.
        quality: 0 to 100, for WEBP and MP4.
        lossless: for WEBP, in place of a quality.
        dither: one of ``DITHERS``, for GIF.
        save_output: False for the temporary folder.
    """

    frame_rate: float = 8.0
    filename_prefix: str = "AnimateDiff"
    format: str = WEBP
    ping_pong: bool = False
    loop_count: int = 0
    quality: int = 80
    lossless: bool = False
    dither: str = DITHERS[0]
    save_output: bool = True


def save_animation(images: Tensor, options: SaveOptions, audio: Any = None, graph: Graph | None = None) -> OutputFile:
    """Write a file.

    Args:
        images: frames ``(F, H, W, C)``, 0 to 1; grey, RGB or RGBA. Not changed.
        options: how.
        audio: an AUDIO for MP4, cut where the frames end.
        graph: what the file remembers; left out where the user started the host with ``--disable-metadata``.

    Raises:
        ValueError: images, a folder or a format that cannot be saved.
    """
    check_images(images)
    _check_options(images, options)
    height, width = images.shape[1:3]
    graph = dict(graph or {}) if keeps_metadata() else {}
    order = play_order(len(images), options.ping_pong)
    file = output_file(options.filename_prefix, options.format, (width, height), options.save_output)
    with _removed_on_failure(file.path):
        warnings = _write(file.path, images, order, options, audio, graph)
    warn(warnings)
    return file


def _check_options(images: Tensor, options: SaveOptions) -> None:
    for name, value, known in (("format", options.format, FILE_FORMATS), ("dither", options.dither, DITHERS)):
        if value not in known:
            raise ValueError(f"The {name} is to be one of {', '.join(known)}; got {value}.")
    if not options.frame_rate > 0:
        raise ValueError(f"The frame rate is to be more than 0 frames a second; got {options.frame_rate:g}.")
    height, width = images.shape[1:3]
    most = SIDES.get(options.format)
    if most is not None and max(height, width) > most:
        raise ValueError(
            f"A {options.format} file is at most {most} pixels wide and high; these images are {width} x {height}. Use mp4, "
            "or scale the images down."
        )


def _write(path: Path, images: Tensor, order: list[int], options: SaveOptions, audio: Any, graph: Graph) -> list[str]:
    """Write in the format that was chosen; what the user is told of it."""
    rate = exact_rate(options.frame_rate)
    if options.format == MP4:
        frames = video_frames(images, order)
        as_asked = write_video(path, frames, rate, crf_of(options.quality), audio, graph)
        told = "This ComfyUI writes MP4 in a quality of its own; a newer one is needed to choose it."
        return [] if as_asked or options.quality == SaveOptions.quality else [told]
    warnings = [f"A {options.format} file has no sound: audio is left out. Use mp4 for sound."] if audio is not None else []
    clock = WEBP_CLOCK if options.format == WEBP else GIF_CLOCK
    shown = playback(order, rate, clock)
    if options.format == WEBP:
        write_webp(path, images, shown, options.loop_count, graph, quality=options.quality, lossless=options.lossless)
    else:
        write_gif(path, images, shown, options.loop_count, graph, dither=options.dither)
    return warnings + _left_out(shown, len(order), clock, options)


def _left_out(shown: Playback, frames: int, clock: Clock, options: SaveOptions) -> list[str]:
    if len(shown.order) == frames:
        return []
    return [
        f"Players show a {options.format} file at {clock.fastest:.0f} frames a second at most, this animation has "
        f"{options.frame_rate:g}: the file has {len(shown.order)} of {frames} frames, at the right speed. Use mp4 for all of them."
    ]


@contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    """No half of a file is left where writing it fails or is interrupted."""
    complete = False
    try:
        yield
        complete = True
    finally:
        if not complete:
            path.unlink(missing_ok=True)
