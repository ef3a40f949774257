"""Timelines as text: the one grammar for numbers and for prompts that change over an animation, and for lists of frames.

``parse`` reads it, ``writing`` puts it back into words. Used by ``curve`` and ``prompt_travel``; ``frame_list`` reads its
positions with ``read_range``. Described for users in ``web/docs/ValueCurve.md`` and ``web/docs/AnimateDiffPromptTravel.md``.

Besides its own lines (``8 ease-in: 0.5``) it reads those people have: ``"8": "a cat",`` and ``8 = "a cat"``, with ranges
``0:8`` (without the last), holds ``8:`` and parts ``0.5``, in braces or not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from .errors import TimelineError
from .expression import LARGEST, Expression, read_expression
from .keyframes import EASINGS, STEP, Keyframe, Position, Timeline
from .lines import Line
from .template import SECOND_NEGATIVE, read_template, split_negative

NUMBERS, TEXTS = "numbers", "texts"
MOST = 999_999
"""Largest frame number; more is taken for a typing error."""

_POSITION = r"(?:\d+(?:\.\d+)?%|\d*\.\d+|-?\d+(?!\.\d))"
_RANGE = rf"(?P<start>{_POSITION})(?:[ \t]*\.\.(?!\.)(?P<exclusive><?)[ \t]*(?P<end>{_POSITION}))?"
_WHOLE_RANGE = re.compile(_RANGE, re.ASCII)
_LINE_KEY = re.compile(rf"{_RANGE}(?P<words>(?:[ \t]+[\w-]+)*)[ \t]*:", re.ASCII)
_EQUALS_KEY = re.compile(r"(?P<key>[\d.:-]+)[ \t]*=(?!>)", re.ASCII)
_QUOTED_KEY = re.compile(r"[\"“'‘](?P<key>[^\"“”'‘’\n]*)[\"”'’]\s*[:=]\s*")
_SECOND_KEY = re.compile(rf"(?:^|,)\s*(?P<key>{_POSITION})\s*:(?:\s|$)", re.ASCII)
"""Inside a prompt without quotes: what was meant to be another keyframe."""
_OLD_KEY = re.compile(rf"\s*(?P<start>{_POSITION})\s*(?P<colon>:)?\s*(?P<end>{_POSITION})?\s*", re.ASCII)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_STRINGS = {
    '"': re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL),
    "'": re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL),
    "“": re.compile(r"“((?:[^”\\]|\\.)*)”", re.DOTALL),
    "‘": re.compile(r"‘((?:[^’\\]|\\.)*)’", re.DOTALL),
}
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_ESCAPES = {'\\"': '"', "\\'": "'", "\\\\": "\\", "\\n": "\n", "\\/": "/"}
_ASSIGNED = re.compile(r"[:;]|(?<![<>=!])=(?!=)")
"""What says that numbers are keyframes, and no list."""
_REMARK = re.compile(r"#.*")
_ARITHMETIC = re.compile(r"[A-Za-z_]\w*\s*\(|\b(?:t|max_f|pi)\b|[\w.)]\s*(?:[-+*/%<>&|]|[=!]=)\s*[\w.(+-]", re.ASCII)
"""What says that a value is an expression."""


# --- positions -------------------------------------------------------------------------------------------------------


def _position_of(text: str) -> Position:
    """A position from a text that matches ``_POSITION``. Raises ValueError for numbers that are too large."""
    if text.endswith("%") or "." in text:
        part = float(text.rstrip("%")) / (100 if text.endswith("%") else 1)
        if part > 1:
            raise ValueError(f"{text} lies after the end. Parts of the animation go from 0.0 to 1.0, or from 0% to 100%.")
        return Position(part, True)
    if len(text) > 7 or abs(int(text)) > MOST:
        raise ValueError(f"frame numbers go up to {MOST}.")
    return Position(int(text))


class Range(NamedTuple):
    """A position, or all frames from one to another."""

    start: Position
    end: Position | None
    end_exclusive: bool


def read_range(text: str) -> Range | None:
    """``8``, ``-1``, ``50%``, ``.5``, ``2..4`` or ``2..<4``; None for anything else.

    Raises:
        ValueError: a number that is too large.
    """
    found = _WHOLE_RANGE.fullmatch(text)
    if found is None:
        return None
    end = _position_of(found["end"]) if found["end"] else None
    return Range(_position_of(found["start"]), end, bool(found["exclusive"]))


# --- reading ---------------------------------------------------------------------------------------------------------


def parse(text: str, kind: str = NUMBERS, names: Collection[str] = ()) -> Timeline:
    """Read keyframes whose values are ``NUMBERS`` or ``TEXTS``; expressions in texts may hold ``names``.

    Raises:
        TimelineError: the text is something else; the message names line and column.
    """
    return _Reader(text, kind, names).timeline()


class _Reader:
    """One pass over a text, from ``self.at`` to ``self.end``."""

    def __init__(self, text: str, kind: str, names: Collection[str]) -> None:
        self.text, self.numbers, self.names = text, kind == NUMBERS, names
        self.end = len(text.rstrip())
        self.at = self._skip_blank(0)
        inside = self._skip_blank(self.at + 1)
        if text[self.at : self.at + 1] == "{" and (self.numbers or self._key(inside)):  # or it is part of a prompt
            if text[self.end - 1] != "}" or self.end - 1 == self.at:
                raise self.error("this brace is not closed. Write } at the end, or leave both out.", self.at)
            self.at, self.end = inside, self.end - 1

    def error(self, message: str, at: int | None = None) -> TimelineError:
        return TimelineError(message, self.text, self.at if at is None else at)

    def _skip_blank(self, at: int) -> int:
        """Index of the next significant character: skips white space, commas and # comments (in prompts only whole lines)."""
        while at < self.end and (self.text[at].isspace() or self.text[at] in ",#"):
            if self.text[at] != "#":
                at += 1
            elif self.numbers or self._begins_line(at):
                line = self.text.find("\n", at, self.end)
                at = self.end if line < 0 else line
            else:
                break
        return min(at, self.end)

    def _begins_line(self, at: int) -> bool:
        return not self.text[:at].rpartition("\n")[2].strip(" \t,{")

    def timeline(self) -> Timeline:
        if self.at >= self.end and self.numbers:
            raise self.error("there is nothing here. Write for example 0: 1.0")
        if self.numbers and not _ASSIGNED.search(_REMARK.sub("", self.text[self.at : self.end])):
            self._check_pairs()
            return self._list()
        keyframes: list[Keyframe] = []
        loose: list[Line] = []
        heads: list[Line] = []
        while self.at < self.end:
            started = self.at
            keyframe = self._keyframe()
            if keyframe is None:
                loose.append(Line(started, self._loose_line()))
            else:
                if loose and keyframes:
                    raise self._unplaced(loose[0])
                heads, loose = (loose or heads), []
                keyframes.append(keyframe)
            self.at = self._skip_blank(self.at)
        self._check_near_misses([*heads, *loose], bool(keyframes))
        head, rest = self._one_text(heads), self._one_text(loose)
        if not keyframes:  # an ordinary prompt
            return Timeline((Keyframe(Position(0), rest),), text=self.text)
        return Timeline(tuple(keyframes), head=head, tail=rest, text=self.text)

    # --- lines without a position ---

    def _one_text(self, lines: list[Line]) -> str:
        """Lines as one text, which has at most one negative part."""
        negative = [line for line in lines if "--neg" in line.text]
        if len(negative) > 1:
            raise self.error(SECOND_NEGATIVE, negative[1].at + negative[1].text.index("--neg"))
        return " ".join(line.text for line in lines)

    def _check_near_misses(self, lines: list[Line], among_keyframes: bool) -> None:
        """Refuse lines that begin like a position and are none.

        ``0-4: a cat`` is never a prompt. ``8 a dog`` may be one where nothing else speaks of positions.

        Raises:
            TimelineError: the first such line, and how to write it.
        """
        near = [line for line in lines if line.spelling]
        all_of_them = len(near) == len(lines) > 1 and near[0].begins_at_zero
        for line in near:
            if among_keyframes or all_of_them or line.is_certain:
                raise self._unplaced(line)

    def _unplaced(self, line: Line) -> TimelineError:
        """The error for a line that needs a position, with the right spelling if it has nearly one."""
        if line.spelling:
            message = f"this begins like a position. Write {line.spelling} for a keyframe; text for all prompts goes to prepend or append."
            return self.error(message, line.at)
        return self.error("a line between keyframes needs a position before it, such as 8:", line.at)

    def _check_pairs(self) -> None:
        """Refuse several lines of two numbers each, the first at 0: keyframes without their colon, or a list.

        Raises:
            TimelineError: at the first of them.
        """
        text = _REMARK.sub("", self.text[self.at : self.end]).strip("[]() \t\n")
        lines = [line for line in text.split("\n") if line.strip(" \t\r,")]
        pairs = [re.fullmatch(r"\s*(\d+|\d*\.\d+)[ \t,]+([-+\d.eE]+)[ \t,]*", line) for line in lines]
        if len(pairs) > 1 and all(pairs) and pairs[0] and float(pairs[0][1]) == 0:
            message = f"two numbers on each line. Write {pairs[0][1]}: {pairs[0][2]} for keyframes, or a list on one line."
            raise self.error(message)

    def _list(self) -> Timeline:
        """Numbers one after another, or else one expression for all frames."""
        started, end = self.at, self.end
        try:
            return Timeline(values=tuple(self._plain_values()), text=self.text)
        except TimelineError:
            self.at, self.end = started, end
            found = self._expression()
            if found is None or self._skip_blank(self.at) < self.end:
                raise
            return Timeline((Keyframe(Position(0), found, easing=_easing_of(found)),), text=self.text)

    def _plain_values(self) -> Iterator[float]:
        if self.text[self.at] in "[(" and self.text[self.end - 1] == {"[": "]", "(": ")"}[self.text[self.at]]:
            self.at, self.end = self._skip_blank(self.at + 1), self.end - 1
        while self.at < self.end:
            yield self._number()
            if self.at < self.end and self._skip_blank(self.at) == self.at:
                raise self.error("needs a comma or a blank between two numbers.")
            self.at = self._skip_blank(self.at)

    # --- keys ---

    def _key(self, at: int) -> re.Match[str] | None:
        """The key that begins at a spot, in one of three spellings."""
        spellings = (_QUOTED_KEY, _EQUALS_KEY, _LINE_KEY)
        return next((found for key in spellings if (found := key.match(self.text, at, self.end))), None)

    def _keyframe(self) -> Keyframe | None:
        """The keyframe that begins here; None for a line of text without a position."""
        started, found = self.at, self._key(self.at)
        if found is None:
            if self.numbers:
                line = Line(started, self._rest_of_line().strip())
                advice = f"this begins like a position. Write {line.spelling} for a keyframe."
                raise self.error(advice if line.spelling else "needs a position and a number, such as 8: 0.5")
            if self.text[started] in '"“' or not self._begins_line(started):
                raise self.error('needs a position before a prompt, such as "8": "a cat"')
            return None
        key = self._line_key(found) if found.re is _LINE_KEY else self._old_key(found, found.start("key"))
        self.at = found.end()
        self._blanks()
        value = self._number_value() if self.numbers else self._text_value(found.re is not _LINE_KEY)
        key["easing"] = key.get("easing") or _easing_of(value)
        return Keyframe(offset=started, value=value, **key)

    def _line_key(self, found: re.Match[str]) -> dict[str, Any]:
        start = self._position(found["start"], found.start("start"))
        end = self._position(found["end"], found.start("end")) if found["end"] else None
        key: dict[str, Any] = {"start": start, "end": end, "end_exclusive": bool(found["exclusive"])}
        words = [(word[0], found.start("words") + word.start()) for word in re.finditer(r"[\w-]+", found["words"])]
        while words:
            word, at = words.pop(0)
            word = word.lower()
            if word in EASINGS or word == "hold":
                key["easing"] = STEP if word == "hold" else word
            elif word == "hooks" and not self.numbers and words and words[0][0].isdecimal() and len(words[0][0]) < 4:
                key["hooks"] = int(words.pop(0)[0])
            elif word == "to":
                raise self.error("a range is written with two points, such as 8..12:", at)
            else:
                known = ", ".join(EASINGS) + (" or hold." if self.numbers else ", hold or hooks 1. Text for all prompts goes to prepend or append.")
                raise self.error(f"{word!r} is no word of a keyframe; it takes {known}", at)
        return key

    def _old_key(self, found: re.Match[str], at: int) -> dict[str, Any]:
        """A key of other packs: ``8``, ``-1``, ``0.5``, ``0:8`` (without 8), ``8:`` (held)."""
        parts = _OLD_KEY.fullmatch(found["key"])
        if parts is None or (parts["end"] and not parts["colon"]):
            raise self.error(f"{found['key']!r} is no position. Write a frame such as 8, -1 or 0.5, or a range 0:8", at)
        start = self._position(parts["start"], at + parts.start("start"))
        if not parts["colon"]:
            return {"start": start}
        if not parts["end"]:
            return {"start": start, "easing": STEP}
        return {"start": start, "end": self._position(parts["end"], at + parts.start("end")), "end_exclusive": True}

    def _position(self, text: str, at: int) -> Position:
        try:
            return _position_of(text)
        except ValueError as error:
            raise self.error(str(error), at) from None

    # --- values ---

    def _number(self) -> float:
        found = _NUMBER.match(self.text, self.at, self.end)
        value = float(found[0]) if found else math.nan
        if found is None or not abs(value) <= LARGEST:
            raise self.error(f"needs a number, such as 0.5, of at most {LARGEST:g}." if found else "needs a number, such as 0.5")
        self.at = found.end()
        return value

    def _number_value(self) -> float | Expression:
        """A number, or an expression."""
        started = self.at
        try:
            return self._bare_number()
        except TimelineError:
            self.at = started
            found = self._expression()
            if found is None:
                raise
            return found

    def _expression(self) -> Expression | float | None:
        """An expression, up to a comma, a comment or the end of the line outside of brackets; None where nothing looks like one.

        One without names is the number that it is.
        """
        stop, depth = self.at, 0
        while stop < self.end and (depth > 0 or self.text[stop] not in ",\n\r#"):
            depth += {"(": 1, ")": -1}.get(self.text[stop], 0)
            stop += 1
        text = self.text[self.at : stop]
        if depth or ":" in text or not _ARITHMETIC.search(text):
            return None
        found = read_expression(text, (), self.text, self.at)
        self.at = stop
        return found if found.names else found.value({})

    def _bare_number(self) -> float:
        """A number, also in brackets or quotes as other packs write it."""
        bracket = self.text[self.at : self.at + 1]
        closing = {"(": ")", '"': '"', "[": "]", "{": "}", "'": "'", "“": "”"}.get(bracket) if self.at < self.end else None
        if closing:
            self.at += 1
            self._blanks()
        value = self._number()
        self._blanks()
        if closing:
            if self.text[self.at : min(self.at + 1, self.end)] != closing:
                raise self.error(f"needs {closing} after the number.")
            self.at += 1
        self._expect_end("a number")
        return value

    def _blanks(self) -> None:
        while self.at < self.end and self.text[self.at] in " \t":
            self.at += 1

    def _expect_end(self, what: str) -> None:
        """After a value: the end, a comma or a new line."""
        self._blanks()
        if self.at < self.end and self.text[self.at] not in (",\n\r#" if self.numbers else ",\n\r"):
            raise self.error(f"needs a comma or a new line after {what}.")

    def _text_value(self, old: bool) -> str:
        """A prompt: in quotes, or the rest of the line. Single quotes are quotes in the spellings of other packs alone."""
        quote = self.text[self.at : self.at + 1] if self.at < self.end else ""
        if quote not in ({'"', "“", "'", "‘"} if old else {'"', "“"}):
            if found := _SECOND_KEY.search(self._rest_of_line()):
                message = "a second position on this line. Begin a new line there, or put the prompts in quotes."
                raise self.error(message, self.at + found.start("key"))
            return self._loose_line()
        found = _STRINGS[quote].match(self.text, self.at, self.end)
        if found is None:
            raise self.error("this quote is not closed.")
        self._check(found[1], found.start(1))
        self.at = found.end()
        self._expect_end("a prompt in quotes")
        return _ESCAPE.sub(_unescaped, found[1]).encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # joins pairs

    def _rest_of_line(self) -> str:
        stop = self.text.find("\n", self.at, self.end)
        return self.text[self.at : self.end if stop < 0 else stop]

    def _loose_line(self) -> str:
        line = self._rest_of_line()
        self._check(line, self.at)
        self.at += len(line)
        return line.strip()

    def _check(self, value: str, at: int) -> None:
        """Refuse what is wrong inside a prompt."""
        read_template(value, self.names, self.text, at)
        split_negative(value, self.text, at)


def _easing_of(value: float | Expression | str) -> str:
    """An expression holds until the next keyframe, where its keyframe does not say: it moves by itself."""
    return STEP if isinstance(value, Expression) else ""


def _unescaped(found: re.Match[str]) -> str:
    """What an escape in quotes stands for. Others, such as the \\( of prompts, are not changed."""
    return chr(int(found[1], 16)) if found[1] else _ESCAPES.get(found[0], found[0])
