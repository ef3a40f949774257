"""Lines of text without a position, and which of them were meant to be keyframes. Used by ``text``."""

from __future__ import annotations

import re
from typing import NamedTuple

_NEAR = re.compile(
    r"(?:(?P<word>frames?|f|step|at)\s*#?\s*|[\[@#])?(?P<start>-?(?:\d+(?:\.\d+)?|\.\d+)%?)[\])]?"
    r"(?:\s*(?:-|–|—|\.{2,}<?|…|to)\s*(?P<end>\d+(?:\.\d+)?%?))?"
    r"(?:(?P<mark>\s*(?:[:;=：|]|->|=>)|\s+[-–—](?=\s))(?P<marked>.*)|(?P<rest>$|(?:\s|[,.]\s).*))",
    re.ASCII | re.IGNORECASE,
)
"""A line of text that begins like a position; without ``mark`` it may still be a prompt such as 2 dogs."""


class Line(NamedTuple):
    """A line of text without a position, and where it begins."""

    at: int
    text: str

    @property
    def near(self) -> re.Match[str] | None:
        """The line as a position that is nearly right; None for other text, such as 1girl, F1 car or 4k."""
        found = _NEAR.match(self.text)
        return found if found and (found["mark"] or (found["word"] or "frame").lower().startswith("frame")) else None

    @property
    def is_marked(self) -> bool:
        """Whether it has the signs of a keyframe, not only a number."""
        return bool((found := self.near) and (found["mark"] or found["word"]))

    @property
    def advice(self) -> str:
        """How to write it."""
        if (found := self.near) is None:
            return ""
        position = found["start"] + (f"..{found['end']}" if found["end"] else "")
        rest = (found["marked"] or found["rest"] or "").strip(" \t,.")
        shown = rest if len(rest) <= 30 else f"{rest[:27]}..."
        return f"this begins like a position. Write {position}: {shown or 'a prompt'} for a keyframe"
