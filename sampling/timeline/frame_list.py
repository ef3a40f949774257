"""Lists of frames as text, in the grammar of timelines: ``0, 2..4, 50%, -1``.

Read by ``start.pin_frames`` and ``controls.placement``.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from .lines import Line
from .text import Range, read_range

_JOINTS = re.compile(r"[ \t]{0,4}(?:(\.\.<?)[ \t]{0,4}|(%))|(?<=\d)[ \t]{1,4}(-|to)[ \t]{1,4}(?=\d)")
"""What holds a range or a percentage together, with a few blanks around it."""
SPELLING = "numbers such as 0, -1, .5, 50% or 2..4, separated by commas"


def frame_list(text: str, frames: int) -> list[int]:
    """The frames that a text names, in its order, in an animation of ``frames``.

    0 is the first frame, -1 the last, .5 and 50% lie half way, 2..4 are three frames.

    Raises:
        ValueError: something else, a frame outside the animation, or one named twice.
    """
    plain = unicodedata.normalize("NFKC", text).replace("\u2212", "-").strip().strip("[](){}")
    parts = [part for piece in re.split(r"[,;]", plain) for part in _JOINTS.sub(_joined, piece).split()]
    chosen = [frame for part in parts for frame in _frames_of(part, text, frames)]
    if not chosen:
        raise ValueError("frames names no frame. Write for example 0 for the first, or 0, -1 for the first and the last.")
    if len(set(chosen)) < len(chosen):
        twice = Counter(chosen).most_common(1)[0][0]
        raise ValueError(f"frames names frame {twice} twice: {text!r}.")
    return chosen


def _joined(found: re.Match[str]) -> str:
    """A joint without blanks; ``to`` becomes a hyphen, which is refused with the right spelling."""
    return "-" if found[3] else found[1] or found[2]


def _frames_of(part: str, text: str, frames: int) -> range:
    """The frames of one part of a list."""
    try:
        found = read_range(part)
    except ValueError as error:
        raise ValueError(f"frames: {error}") from None
    if found is None:
        near = Line(0, f"{part}:").spelling.partition(":")[0]
        advice = f" Write {near}." if near else ""
        raise ValueError(f"frames needs {SPELLING}; got {part!r} in {text!r}.{advice}")
    named = _between(found, [p.frame(frames) for p in (found.start, found.end) if p is not None], part)
    if named[0] < 0 or named[-1] >= frames:
        raise ValueError(
            f"Frame {part} is outside this animation of {frames} frames; they are 0 to {frames - 1}, or from the end -1 to "
            f"-{frames}."
        )
    return named


def _between(found: Range, ends: list[int], part: str) -> range:
    first, last = ends[0], ends[-1]
    if last < first:
        raise ValueError(f"frames: {part} ends before it begins. Write the earlier frame first.")
    return range(first, max(last + (not found.end_exclusive), first + 1))
