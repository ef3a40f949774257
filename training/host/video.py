"""Frames of videos, animated pictures and folders of frames: only those that are wanted, a few at a time.

Videos are read by the host's own reader, which knows rotation, alpha and many pixel formats. It takes times, not numbers of
frames, so the times of all frames are read first, without decoding. Animated pictures are read with Pillow, as the host reads
those that its reader cannot. Called by ``training.clips``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
import torch
from comfy_api.latest import InputImpl
from node_helpers import pillow
from PIL import Image, ImageOps
from torch import Tensor

VIDEO_ENDINGS = {".mp4", ".webm", ".mov", ".mkv", ".avi", ".m4v", ".mpg", ".mpeg", ".flv"}
MOVING_ENDINGS = {".gif", ".apng"}
"""Of pictures that are taken for videos even if they have a single frame."""
PICTURE_ENDINGS = {".png", ".webp", ".jpg", ".jpeg", ".bmp"}
HELD_BYTES = 512 * 2**20
"""How much the frames may take that are in memory at once, twice, as the host decodes them; a single one may take more."""
INVISIBLE_PACKETS = {"vp8"}
"""Codecs some of whose packets are no frames, so that they have to be decoded to be counted."""
BAD_FILE = (
    OSError, ValueError, SyntaxError, TypeError, IndexError, KeyError, EOFError, av.error.FFmpegError, Image.DecompressionBombError,
)  # fmt: skip
"""What the libraries raise for files that are not what they should be."""


class Unreadable(ValueError):
    """A file that cannot be read. Its text follows the file's name: *cannot be read: ...*."""


class Reel(Protocol):
    """Frames that can be asked for by number."""

    count: int

    def frames(self, indices: Sequence[int]) -> Iterator[Tensor]:
        """The frames of rising numbers ``indices``, in one or more pieces ``(n, H, W, C)``, 0 to 1. Raises Unreadable."""
        ...


def moves(path: Path) -> bool:
    """Whether a picture is animated. Raises Unreadable."""
    if path.suffix.lower() in MOVING_ENDINGS:
        return True
    if path.suffix.lower() not in {".png", ".webp"}:
        return False
    try:
        with pillow(Image.open, str(path)) as picture:
            return bool(getattr(picture, "is_animated", False))
    except BAD_FILE as error:
        raise _unreadable(error) from error


def open_reel(path: Path, frames: Sequence[Path] = ()) -> Reel:
    """A video, an animated picture, or the files of a folder of frames. Raises Unreadable."""
    try:
        if frames:
            return _Folder(frames)
        return _Video(path) if path.suffix.lower() in VIDEO_ENDINGS else _Animated(path)
    except BAD_FILE as error:
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> Unreadable:
    if isinstance(error, Unreadable):
        return error
    return Unreadable(f"cannot be read ({type(error).__name__}: {getattr(error, 'strerror', None) or error})")


class _Video:
    def __init__(self, path: Path) -> None:
        self._path = str(path)
        with av.open(self._path) as container:
            if not container.streams.video:
                raise Unreadable("cannot be read: it has no pictures")
            stream: Any = container.streams.video[0]
            self._unit = Fraction(stream.time_base)
            self._bytes = 2 * 3 * 4 * max(1, stream.width * stream.height)
            self._times = _times(container, stream)
        self.count = len(self._times)
        if not self.count:
            raise Unreadable("cannot be read: it has no frames")

    def frames(self, indices: Sequence[int]) -> Iterator[Tensor]:
        for run in _runs(indices, max(1, HELD_BYTES // self._bytes)):
            try:
                frames = self._between(run[0], run[-1])
            except BAD_FILE as error:
                raise _unreadable(error) from error
            yield frames[[index - run[0] for index in run]]

    def _between(self, first: int, last: int) -> Tensor:
        """All frames from one to another. The host rounds times down to the stream's units: a quarter of one is to spare."""
        spare = Fraction(1, 4)
        start = (self._times[first] + spare) * self._unit
        end = (self._times[last] + 1 + spare) * self._unit
        video = InputImpl.VideoFromFile(self._path, start_time=float(start), duration=float(end - start))
        parts = video.get_components()
        if len(parts.images) != last - first + 1:
            raise Unreadable(f"cannot be read: of frames {first} to {last}, only {len(parts.images)} can be decoded")
        alpha = getattr(parts, "alpha", None)
        return parts.images if alpha is None else torch.cat([parts.images, alpha], dim=-1)


def _times(container: Any, stream: Any) -> list[int]:
    """When each frame is shown, in the stream's units; read without decoding where the container says it."""
    if stream.codec_context.name not in INVISIBLE_PACKETS:
        packets = [packet for packet in container.demux(stream) if packet.size and not packet.is_discard]
        if all(packet.pts is not None for packet in packets):
            return sorted(packet.pts for packet in packets if packet.pts >= 0)
        container.seek(0)
    return [frame.pts for frame in container.decode(stream) if frame.pts is not None]


def _runs(indices: Sequence[int], most: int) -> Iterator[list[int]]:
    """Cut rising numbers into pieces that reach over at most ``most`` frames each."""
    run: list[int] = []
    for index in indices:
        if run and index - run[0] >= most:
            yield run
            run = []
        run.append(index)
    if run:
        yield run


class _Animated:
    def __init__(self, path: Path) -> None:
        self._path = str(path)
        with pillow(Image.open, self._path) as picture:
            self.count = int(getattr(picture, "n_frames", 1))

    def frames(self, indices: Sequence[int]) -> Iterator[Tensor]:
        try:
            with pillow(Image.open, self._path) as picture:
                for index in indices:
                    picture.seek(index)
                    yield _pixels(picture)
        except BAD_FILE as error:
            raise _unreadable(error) from error


class _Folder:
    def __init__(self, files: Sequence[Path]) -> None:
        self._files = list(files)
        self.count = len(self._files)

    def frames(self, indices: Sequence[int]) -> Iterator[Tensor]:
        for index in indices:
            try:
                with pillow(Image.open, str(self._files[index])) as picture:
                    yield _pixels(picture)
            except BAD_FILE as error:
                raise Unreadable(f"has a frame, {self._files[index].name}, that {_unreadable(error)}") from error


def _pixels(picture: Any) -> Tensor:
    """A frame of Pillow's as ``(1, H, W, 3 or 4)``; grey of 16 bits keeps its range, and a photo is turned as it says."""
    frame = ImageOps.exif_transpose(picture)
    if frame.mode.startswith("I"):
        grey = torch.from_numpy(np.array(frame, dtype=np.float32)) / 65535
        return grey.clamp(0, 1)[None, :, :, None].expand(-1, -1, -1, 3)
    clear = "A" in frame.getbands() or "transparency" in frame.info
    return torch.from_numpy(np.array(frame.convert("RGBA" if clear else "RGB"), dtype=np.float32))[None] / 255
