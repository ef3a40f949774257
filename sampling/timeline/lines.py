"""Lines of text without a position, and which of them were meant to be keyframes. Used by ``text`` and ``frame_list``."""

from __future__ import annotations

import re
import unicodedata
from functools import cached_property

_NUMBER = r"(?:\d+(?:\.\d+)?|\.\d+)(?:[ \t]?%)?"
_END = r"(?!\.?\d|[^\W_]|['’])"
"""What may not follow a number: more of it, or a letter, as in 1girl, 4k or 90's."""
_NEAR = re.compile(
    r"(?:[-*+•][ \t]+)?(?:at[ \t]+)?(?P<word>(?:key)?frames?(?:[ \t]+no)?(?:-(?=\d)|[ \t._#]*)|t[ \t]*=[ \t]*)?(?P<open>[\[(<{])?[@#+]?"
    rf"(?P<start>-?{_NUMBER})(?:(?:f|fr|th|s){_END}|{_END})(?P<close>[ \t]*[\])>}}])?"
    rf"(?:[ \t]*(?P<between>-|–|—|~|/|,|to\b|\.{{2,}}<?)[ \t]*(?P<end>-?{_NUMBER})(?:(?:f|fr|th|s){_END}|{_END}))?"
    r"(?P<sign>[ \t.]*(?:[-=]>|[:;=])|[ \t]*\||[ \t]+[-–—](?=[ \t]))?(?P<rest>.*)",
    re.IGNORECASE,
)
"""A line that begins like a position. ``sign`` is what other programs put between a position and its prompt."""
_ORDINAL = re.compile(r"-?[\d.]+(?:th|s)\b", re.IGNORECASE)
"""8th and 80s: a position only before a sign."""
_NAMED = re.compile(r"(?P<name>first|last|end)[ \t]*(?:frame)?[ \t]*[:;=](?P<rest>.*)", re.IGNORECASE)
_POSITIONS = {"first": "0", "last": "-1", "end": "-1"}
_TIME = re.compile(r"\d:\d")
"""A time of day, or the shape of a picture."""
_LOOSE = "/,"
"""What also stands between numbers that are no range: 3/4 view, 2,000 people."""
_CERTAIN = ":;="
"""Signs that say keyframe even where nothing else does."""
SHOWN = 30
"""Letters of a prompt that a message repeats."""


class Line:
    """A line of text without a position, and where it begins.

    Attributes:
        at: offset in the whole text.
        text: the line, without blanks around it.
        plain: the same with letters of other widths as ours.
    """

    def __init__(self, at: int, text: str) -> None:
        self.at = at
        self.text = text
        self.plain = unicodedata.normalize("NFKC", text)

    @cached_property
    def _near(self) -> re.Match[str] | None:
        """The line as a position that is nearly right."""
        found = None if _TIME.search(self.plain[:12]) else _NEAR.match(self.plain)
        if found is None or bool(found["open"]) != bool(found["close"]):  # an emphasis such as (8 cats:1.2)
            return None
        if found["sign"]:
            return found
        loose = (found["between"] or " ") in _LOOSE or _ORDINAL.match(self.plain)
        return found if not loose and re.match(r"$|[\s.,]", found["rest"]) else None

    @cached_property
    def spelling(self) -> str:
        """How the line is written as a keyframe; empty for text such as 1girl, F1 car, 4k or 3/4 view."""
        if named := _NAMED.match(self.plain):
            return _keyframe(_POSITIONS[named["name"].lower()], "", named["rest"])
        if (found := self._near) is None:
            return ""
        return _keyframe(found["start"], found["end"] or "", found["rest"])

    @property
    def is_certain(self) -> bool:
        """Whether it is meant to be a keyframe even where no other line is one: a range or a frame, with a sign."""
        found = self._near
        if found is None or not found["sign"]:
            return False
        is_year = found["word"] is None and _ORDINAL.match(self.plain) is not None
        return bool(found["word"] or found["end"]) or (found["sign"].strip(" \t.") in _CERTAIN and not is_year)

    @property
    def begins_at_zero(self) -> bool:
        """Whether it begins like the first of several keyframes."""
        return re.match(r"0(?:\.0*)?%?(?:\.\.|:)", self.spelling) is not None


def _keyframe(start: str, end: str, rest: str) -> str:
    """A keyframe in our own spelling. A range has both ends in the unit of its first, the earlier one first."""
    start, end = (text.replace(" ", "").replace("\t", "") for text in (start, end))
    if end and start.endswith("%") and not end.endswith("%"):
        end += "%"
    elif "." in start and end in ("0", "1"):
        end += ".0"
    if end and "-" not in start + end and float(end.rstrip("%")) < float(start.rstrip("%")):
        start, end = end, start
    prompt = rest.strip(" \t,.-–—%")
    shown = prompt if len(prompt) <= SHOWN else f"{prompt[: SHOWN - 3]}..."
    return f"{start}{'..' if end else ''}{end}: {shown or 'a prompt'}"
