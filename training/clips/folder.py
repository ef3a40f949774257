"""What a folder holds to make clips of: videos, animated pictures, and folders of frames, with their captions. Called by ``load``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..host.video import MOVING_ENDINGS, PICTURE_ENDINGS, VIDEO_ENDINGS, Unreadable, moves
from .captions import Captions, captions_in

_NUMBERS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Footage:
    """A video, or a folder of frames.

    Attributes:
        name: what the user is told of it: its path below the folder that was chosen.
        path: the file or the folder.
        frames: the files of a folder of frames, in their order; empty for a video.
        caption: empty if there is none.
    """

    name: str
    path: Path
    frames: tuple[Path, ...]
    caption: str


@dataclass
class Contents:
    """What was found in a folder.

    Attributes:
        footage: in natural order: 2 before 10.
        skipped: sentences on what was not taken, and why.
        warnings: sentences on captions.
    """

    footage: list[Footage] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def contents_of(folder: Path) -> Contents:
    """Look through a folder and those below it; names that begin with a dot are passed over, links are followed.

    Pictures in a folder without videos, animated pictures and folders with any are the frames of one clip; beside videos they
    are thumbnails and are skipped.

    Raises:
        ValueError: no such folder.
    """
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}. Put it into ComfyUI's input folder, and choose it on the node.")
    contents = Contents()
    _look_into(folder, folder, contents, None, seen=set())
    return replace(contents, warnings=list(dict.fromkeys(contents.warnings)))


def _look_into(folder: Path, root: Path, contents: Contents, around: Captions | None, seen: set[Path]) -> None:
    """Args: around: the captions of the folder that this one lies in; seen: folders on the way here, which links may lead back to."""
    if folder.resolve() in seen:
        contents.skipped.append(f"{_named(folder, root)} is a link to a folder that it lies in.")
        return
    captions = captions_in(folder)
    videos, stills, folders = _sorted_out(folder, root, contents)
    before = len(contents.footage)
    for path in videos:
        contents.footage.append(Footage(_named(path, root), path, (), captions.of(path)))
    for path in folders:
        _look_into(path, root, contents, captions, seen | {folder.resolve()})
    if stills and len(contents.footage) == before and not folders:
        own = captions.of(folder) or (around.of(folder) if around is not None else "")
        contents.footage.append(Footage(_named(folder, root), folder, tuple(stills), own))
    elif stills:
        contents.skipped.append(
            f"{len(stills)} single pictures such as {_named(stills[0], root)} lie beside videos or folders: frames of a clip go into a "
            "folder of their own."
        )
    contents.warnings.extend(captions.warnings)


def _sorted_out(folder: Path, root: Path, contents: Contents) -> tuple[list[Path], list[Path], list[Path]]:
    """Videos and animated pictures, single pictures, and folders."""
    videos, stills, folders, broken = [], [], [], {}
    for path in sorted(folder.iterdir(), key=natural):
        ending = path.suffix.lower()
        if path.name.startswith((".", "__MACOSX")):
            continue
        if path.is_dir():
            folders.append(path)
        elif not path.exists():
            contents.skipped.append(f"{_named(path, root)} is a link to a file that is not there.")
        elif ending in VIDEO_ENDINGS:
            videos.append(path)
        elif ending in MOVING_ENDINGS or ending in PICTURE_ENDINGS:
            try:
                (videos if moves(path) else stills).append(path)
            except Unreadable as error:
                broken[path] = f"{_named(path, root)} {error}."
    if videos or folders:
        contents.skipped.extend(broken.values())
    else:  # frames of one clip, which would jump without it
        stills = sorted([*stills, *broken], key=natural)
    return videos, stills, folders


def natural(path: Path) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts 2 before 10."""
    parts = _NUMBERS.split(path.name.lower())
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part)


def _named(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path != root else root.name
