"""Lines of text without a position, and which of them were meant to be keyframes. Used by ``text``."""

from __future__ import annotations

import re
import unicodedata
from functools import cached_property

_NUMBER = r"(?:\d+(?:\.\d+)?|\.\d+)%?"
_UNIT = r"(?:s|f|fr|th)?(?!\.?\d|[^\W_]|['’])"
_NEAR = re.compile(
    r"(?:[-*+•][ \t]+)?(?:at[ \t]+)?(?P<word>(?:key)?frames?(?:[ \t]+no)?[ \t._#-]*|t[ \t]*=[ \t]*)?(?P<open>[\[(<{])?[@#+]?"
    rf"(?P<start>-?{_NUMBER}){_UNIT}(?P<close>[ \t]*[\])>}}])?"
    rf"(?:[ \t]*(?P<between>-|–|—|~|/|,|to\b|\.{{2,}}<?)[ \t]*(?P<end>{_NUMBER}){_UNIT})?"
    r"(?P<sign>[ \t.]*(?:[:;=]|[-=]>)|[ \t]*\||[ \t]+[-–—](?=[ \t]))?(?P<rest>.*)",
    re.IGNORECASE,
)
"""A line that begins like a position. ``sign`` is what other programs put between a position and its prompt."""
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
    """

    def __init__(self, at: int, text: str) -> None:
        self.at = at
        self.text = text

    @cached_property
    def _near(self) -> re.Match[str] | None:
        """The line as a position that is nearly right; letters of other widths count as ours."""
        text = unicodedata.normalize("NFKC", self.text)
        return None if _TIME.search(text[:12]) else _NEAR.match(text)

    @cached_property
    def spelling(self) -> str:
        """How the line is written as a keyframe; empty for text such as 1girl, F1 car, 4k or 3/4 view."""
        if named := _NAMED.match(self.text):
            return _keyframe(_POSITIONS[named["name"].lower()], "", named["rest"])
        if (found := self._near) is None or not (found["sign"] or re.match(r"$|[\s.,]", found["rest"])):
            return ""
        if bool(found["open"]) != bool(found["close"]) or (not found["sign"] and (found["between"] or " ") in _LOOSE):
            return ""  # an emphasis such as (8 cats:1.2)
        return _keyframe(found["start"].lstrip("-") if found["word"] else found["start"], found["end"] or "", found["rest"])

    @property
    def is_certain(self) -> bool:
        """Whether it is meant to be a keyframe even where no other line is one: a range or a frame, with a sign."""
        if not self.spelling:
            return False
        found = self._near
        if found is None:
            return False
        return bool(found["sign"]) and (found["sign"].strip(" \t.") in _CERTAIN or bool(found["word"] or found["end"]))

    @property
    def begins_at_zero(self) -> bool:
        """Whether it begins like the first of several keyframes."""
        return re.match(r"0(?:\.0*)?%?(?:\.\.|:)", self.spelling) is not None


def _keyframe(start: str, end: str, rest: str) -> str:
    """A keyframe in our own spelling."""
    is_part = "." in start or "%" in start
    end = f"{end}.0" if is_part and end in ("0", "1") else end
    prompt = rest.strip(" \t,.-–—")
    shown = prompt if len(prompt) <= SHOWN else f"{prompt[: SHOWN - 3]}..."
    return f"{start}{'..' if end else ''}{end}: {shown or 'a prompt'}"
