"""Clips of F frames out of a folder of videos: which there are, their frames, and what the user is told. Called by ``nodes.clips`` and ``encode``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ...sampling.host.sample import ProgressBar, stop_if_interrupted, warn
from ..host.video import Unreadable, open_reel
from .fit import CROP, FITS, fitted
from .folder import Footage, contents_of

MIDDLE, START = "middle", "start"
TAKEN_FROM = [MIDDLE, START]
MULTIPLE = 8
"""Of pixels: those of one latent."""
NAMED = 8
"""How many files a sentence names."""
SAID = 24
"""How many sentences are said of a kind."""


@dataclass(frozen=True)
class ClipOptions:
    """How clips are cut.

    Attributes:
        length: frames of a clip.
        stride: every n-th frame of the video is taken.
        per_video: clips of a video, spread evenly over it; 0 for as many as there are without overlap.
        position: of a single one: one of ``TAKEN_FROM``.
        width, height: in pixels, multiples of 8.
        fit: one of ``FITS``.
        caption: for videos without one.
        trigger: words before every caption.

    Raises:
        ValueError: a number or word that is none of these.
    """

    length: int = 16
    stride: int = 1
    per_video: int = 1
    position: str = MIDDLE
    width: int = 512
    height: int = 512
    fit: str = CROP
    caption: str = ""
    trigger: str = ""

    def __post_init__(self) -> None:
        if min(self.length, self.stride) < 1 or self.per_video < 0:
            raise ValueError(f"Length and stride are at least 1, clips per video at least 0; got {self.length}, {self.stride}, {self.per_video}.")
        if self.fit not in FITS or self.position not in TAKEN_FROM:
            raise ValueError(f"Fit is one of {', '.join(FITS)}, position one of {', '.join(TAKEN_FROM)}; got {self.fit}, {self.position}.")
        if min(self.size) < MULTIPLE or self.width % MULTIPLE or self.height % MULTIPLE:
            raise ValueError(f"Width and height are to be multiples of {MULTIPLE}; got {self.width} x {self.height}.")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width

    @property
    def reach(self) -> int:
        """How many frames of a video a clip reaches over."""
        return (self.length - 1) * self.stride + 1


@dataclass(frozen=True)
class Clip:
    """A clip that was not read yet: which frames of what.

    Attributes:
        start: the first frame's number.
        caption: with the trigger words; the one for all if it has none of its own.
    """

    footage: Footage
    start: int
    caption: str


@dataclass
class FoundClips:
    """All clips of a folder, and what the user is to know of the rest.

    Attributes:
        lost: sentences on what was skipped.
        warnings: sentences on captions.
    """

    clips: list[Clip] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def report(self, options: ClipOptions, more: Sequence[str] = ()) -> str:
        """What the node shows: a line on the clips, ``more`` lines, and the warnings."""
        clips, videos = len(self.clips), len({clip.footage.path for clip in self.clips})
        size = f"{options.width} x {options.height}"
        first = f"{counted_words(clips, 'clip')} of {counted_words(options.length, 'frame')}, {size}, from {counted_words(videos, 'video')}."
        return "\n".join([first, *more, *self.told()])

    def told(self) -> list[str]:
        """The warnings: what was skipped first."""
        return [*(f"Skipped: {sentence}" for sentence in _first(self.lost)), *_first(self.warnings)]


def starts_of(count: int, options: ClipOptions) -> list[int]:
    """The first frames of the clips of a video with ``count`` frames; none if it is too short."""
    last = count - options.reach
    if last < 0:
        return []
    if options.per_video == 0:
        return list(range(0, last + 1, options.reach))
    if options.per_video == 1:
        return [last // 2 if options.position == MIDDLE else 0]
    return sorted({round(index * last / (options.per_video - 1)) for index in range(options.per_video)})


def find_clips(folder: Path, options: ClipOptions) -> FoundClips:
    """Look what clips a folder has, without decoding videos.

    Raises:
        ValueError: there is none, with the reasons.
    """
    contents = contents_of(folder)
    found = FoundClips(lost=list(contents.skipped), warnings=list(contents.warnings))
    bare: list[str] = []
    for footage in contents.footage:
        stop_if_interrupted()
        try:
            count = open_reel(footage.path, footage.frames).count
        except Unreadable as error:
            found.lost.append(f"{footage.name} {error}.")
            continue
        starts = starts_of(count, options)
        if not starts:
            found.lost.append(f"{footage.name} has {counted_words(count, 'frame')}; a clip takes {options.reach}.")
        elif not footage.caption:
            bare.append(footage.name)
        caption = ", ".join(words for words in (options.trigger.strip(), footage.caption or options.caption.strip()) if words)
        found.clips.extend(Clip(footage, start, caption) for start in starts)
    if bare:
        used = f"{options.caption.strip()!r} is used" if options.caption.strip() else "the empty prompt is used"
        found.warnings.append(f"{counted_words(len(bare), 'video')} without a caption ({_listed(bare)}): {used}. Write one into a .txt file of the same name.")
    if not found.clips:
        raise ValueError(no_clips(folder, found))
    return found


def read_clip(clip: Clip, options: ClipOptions) -> Tensor:
    """The frames, ``(F, height, width, 3)``, 0 to 1. Raises Unreadable."""
    reel = open_reel(clip.footage.path, clip.footage.frames)
    indices = range(clip.start, clip.start + options.reach, options.stride)
    return torch.cat([fitted(piece, options.size, options.fit) for piece in reel.frames(indices)])


def read_clips(folder: Path, found: FoundClips, options: ClipOptions) -> Iterator[tuple[Clip, Tensor]]:
    """One clip after the other. Those that cannot be read are left out, and are told of in ``found.lost``.

    Raises:
        ValueError: none can be read.
    """
    progress, read = ProgressBar(len(found.clips)), []
    for clip in list(found.clips):
        stop_if_interrupted()
        try:
            frames = read_clip(clip, options)
        except Unreadable as error:
            found.lost.append(f"{clip.footage.name} {error}.")
        else:
            read.append(clip)
            yield clip, frames
        progress.update(1)
    found.clips[:] = read
    if not read:
        raise ValueError(no_clips(folder, found))


def load_clips(folder: Path, options: ClipOptions) -> tuple[list[Tensor], list[str], str]:
    """All clips of a folder ``(F, height, width, 3)``, their captions, and what the node shows. The user is warned.

    Raises:
        ValueError: no folder, or no clip in it.
    """
    found = find_clips(folder, options)
    images, captions = [], []
    for clip, frames in read_clips(folder, found, options):
        images.append(frames)
        captions.append(clip.caption)
    warn(found.told())
    return images, captions, found.report(options)


def counted_words(count: int, what: str) -> str:
    """*1 clip*, *2 clips*."""
    return f"1 {what}" if count == 1 else f"{count} {what}s"


def _first(sentences: Sequence[str]) -> list[str]:
    """As many as can be read on a node."""
    more = len(sentences) - SAID
    return [*sentences[:SAID], *([f"{more} more."] if more > 0 else [])]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")


def no_clips(folder: Path, found: FoundClips) -> str:
    """Why there are no clips, and what to do."""
    if not found.lost:
        return f"{folder} has no videos (mp4, webm, mov, mkv, avi, gif, webp) and no folders of frames (png, jpg, webp). Put some into it."
    reasons = "\n".join(found.lost[:NAMED])
    return f"{folder} has no clips that can be read:\n{reasons}\nUse longer or other videos, a smaller length or a smaller stride."
