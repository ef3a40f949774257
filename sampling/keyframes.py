"""Keyframes as text: the one grammar for numbers and for prompts that change over a clip.

``parse`` reads it, ``write`` puts it back into words, ``laid_out`` places keyframes on a clip or a sampling run, and ``blend``
says what holds at one place. Used by ``curve`` and ``prompt_travel``; described for users in ``web/docs/ValueCurve.md``.

Besides its own lines (``8 ease-in: 0.5``) it reads those people have: ``"8": "a cat",`` and ``8 = "a cat"``, with ranges
``0:8`` (without the last), holds ``8:`` and parts ``0.5``, in braces or not.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

LINEAR, EASE_IN, EASE_OUT, EASE_IN_OUT, STEP = "linear", "ease-in", "ease-out", "ease-in-out", "step"
EASES = (LINEAR, EASE_IN, EASE_OUT, EASE_IN_OUT, STEP)
NUMBERS, TEXTS = "numbers", "texts"
MOST = 999_999
"""Highest frame number; beyond it somebody's finger was stuck."""

_PLACE = r"(?:\d+(?:\.\d+)?%|\d*\.\d+|-?\d+(?!\.\d))"
_RANGE = rf"(?P<start>{_PLACE})(?:[ \t]*\.\.(?P<without><?)[ \t]*(?P<end>{_PLACE}))?"
_LINE_KEY = re.compile(rf"{_RANGE}(?P<words>(?:[ \t]+[\w-]+)*)[ \t]*:", re.ASCII)
_EQUALS_KEY = re.compile(r"(?P<key>[\d.:-]+)[ \t]*=", re.ASCII)
_QUOTED_KEY = re.compile(r'"(?P<key>[^"\n]*)"\s*[:=]\s*')
_OLD_KEY = re.compile(rf"\s*(?P<start>{_PLACE})\s*(?P<colon>:)?\s*(?P<end>{_PLACE})?\s*", re.ASCII)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPES = {'\\"': '"', "\\\\": "\\", "\\n": "\n"}
_FOREIGN = re.compile(r"`|--neg\b")


class ScheduleError(ValueError):
    """What is wrong with a text of keyframes, and where; ``line`` and ``column`` count from 1."""

    def __init__(self, message: str, text: str, offset: int) -> None:
        self.line = text.count("\n", 0, offset) + 1
        self.column = offset - (text.rfind("\n", 0, offset) + 1) + 1
        super().__init__(f"Line {self.line}, column {self.column}: {message}")


class Place(NamedTuple):
    """Where a keyframe stands: a frame number (negative from the end), or a part of the whole, 0 to 1."""

    number: float
    part: bool = False

    def __str__(self) -> str:
        return format(Decimal(repr(float(self.number))), "f") if self.part else str(int(self.number))


@dataclass(frozen=True)
class Keyframe:
    """A value from ``start`` to ``end`` (``without`` the end itself, if so), and how it goes on to the next.

    Attributes:
        ease: one of ``EASES``, or empty for the default of whoever uses it.
        hooks: number of the LoRA hooks that go with a prompt; 0 is none.
        offset: where it stands in its text.
    """

    start: Place
    value: float | str
    end: Place | None = None
    without: bool = False
    ease: str = ""
    hooks: int = 0
    offset: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Schedule:
    """What a text says: keyframes, or else plain ``values``, one after another.

    ``head`` and ``tail`` are lines around the keyframes of a prompt schedule; they belong to every prompt.
    """

    keyframes: tuple[Keyframe, ...] = ()
    values: tuple[float, ...] = ()
    head: str = ""
    tail: str = ""
    text: str = field(default="", compare=False)


# --- reading ---------------------------------------------------------------------------------------------------------


def parse(text: str, kind: str = NUMBERS) -> Schedule:
    """Read keyframes whose values are ``NUMBERS`` or ``TEXTS``.

    Raises:
        ScheduleError: anything else; it names line and column.
    """
    return _Reader(text, kind).schedule()


class _Reader:
    """One pass over a text, from ``self.at`` to ``self.end``."""

    def __init__(self, text: str, kind: str) -> None:
        self.text, self.numbers = text, kind == NUMBERS
        self.end = len(text.rstrip())
        self.at = self._gap(0)
        if text[self.at : self.at + 1] == "{":
            if text[self.end - 1] != "}" or self.end - 1 == self.at:
                raise self.error("this brace is not closed. Write } at the end, or leave both out.", self.at)
            self.at, self.end = self._gap(self.at + 1), self.end - 1

    def error(self, message: str, at: int | None = None) -> ScheduleError:
        return ScheduleError(message, self.text, self.at if at is None else at)

    def _gap(self, at: int) -> int:
        """Past blanks, commas, and remarks: lines that begin with #, and among numbers whatever follows one."""
        while at < self.end and (self.text[at].isspace() or self.text[at] in ",#"):
            if self.text[at] != "#":
                at += 1
            elif self.numbers or self._begins_line(at):
                at = self.text.find("\n", at) % (self.end + 1)
            else:
                break
        return min(at, self.end)

    def _begins_line(self, at: int) -> bool:
        return not self.text[:at].rpartition("\n")[2].strip(" \t,{")

    def schedule(self) -> Schedule:
        if self.at >= self.end:
            raise self.error("there is nothing here. Write for example 0: 1.0" if self.numbers else "there is no prompt here.")
        if self.numbers and not re.search(r"[:=]", re.sub(r"#.*", "", self.text[self.at : self.end])):
            return Schedule(values=tuple(self._plain_values()), text=self.text)
        keyframes: list[Keyframe] = []
        loose: list[tuple[int, str]] = []
        head = ""
        while self.at < self.end:
            started = self.at
            keyframe = self._keyframe()
            if keyframe is None:
                loose.append((started, self._loose_line()))
            else:
                if loose and keyframes:
                    raise self.error("a line between keyframes needs a place, such as 8: in front of it.", loose[0][0])
                head, loose = (" ".join(line for _, line in loose) or head), []
                keyframes.append(keyframe)
            self.at = self._gap(self.at)
        rest = " ".join(line for _, line in loose)
        if not keyframes:  # an ordinary prompt
            return Schedule((Keyframe(Place(0), rest, offset=loose[0][0]),), text=self.text)
        return Schedule(tuple(keyframes), head=head, tail=rest, text=self.text)

    def _plain_values(self) -> Iterator[float]:
        while self.at < self.end:
            yield self._number()
            if self.at < self.end and self._gap(self.at) == self.at:
                raise self.error("needs a comma or a blank between two numbers.")
            self.at = self._gap(self.at)

    # --- keys ---

    def _keyframe(self) -> Keyframe | None:
        """The keyframe that begins here; None where a line of text does not look like one."""
        started = self.at
        if found := _QUOTED_KEY.match(self.text, started, self.end):
            keyframe = self._old_key(found, started + 1)
        elif found := _EQUALS_KEY.match(self.text, started, self.end):
            keyframe = self._old_key(found, started)
        elif found := _LINE_KEY.match(self.text, started, self.end):
            keyframe = self._line_key(found)
        elif self.numbers:
            raise self.error("needs a place and a number, such as 8: 0.5")
        elif self.text[started] == '"' or not self._begins_line(started):
            raise self.error('needs a place in front of a prompt, such as "8": "a cat"')
        else:
            return None
        self.at = found.end()
        self._blanks()
        value: float | str = self._number_value() if self.numbers else self._text_value()
        return Keyframe(offset=started, value=value, **keyframe)

    def _line_key(self, found: re.Match[str]) -> dict[str, Any]:
        start = self._place(found["start"], found.start("start"))
        end = self._place(found["end"], found.start("end")) if found["end"] else None
        key: dict[str, Any] = {"start": start, "end": end, "without": bool(found["without"])}
        words = [(word[0], found.start("words") + word.start()) for word in re.finditer(r"[\w-]+", found["words"])]
        while words:
            word, at = words.pop(0)
            if word in EASES or word == "hold":
                key["ease"] = STEP if word == "hold" else word
            elif word == "hooks" and not self.numbers and words and words[0][0].isdecimal() and len(words[0][0]) < 4:
                key["hooks"] = int(words.pop(0)[0])
            else:
                known = ", ".join(EASES) + ", hold" + ("" if self.numbers else ", hooks 1")
                raise self.error(f"{word!r} is no word of a keyframe; it takes {known}. Text before all prompts goes to prepend.", at)
        return key

    def _old_key(self, found: re.Match[str], at: int) -> dict[str, Any]:
        """A key of other packs: ``8``, ``-1``, ``0.5``, ``0:8`` (without 8), ``8:`` (held)."""
        parts = _OLD_KEY.fullmatch(found["key"])
        if parts is None or (parts["end"] and not parts["colon"]):
            raise self.error(f"{found['key']!r} is no place. Write a frame such as 8, -1 or 0.5, or a range 0:8", at)
        start = self._place(parts["start"], at + parts.start("start"))
        if not parts["colon"]:
            return {"start": start}
        if not parts["end"]:
            return {"start": start, "ease": STEP}
        return {"start": start, "end": self._place(parts["end"], at + parts.start("end")), "without": True}

    def _place(self, text: str, at: int) -> Place:
        if text.endswith("%") or "." in text:
            part = float(text.rstrip("%")) / (100 if text.endswith("%") else 1)
            if part > 1:
                raise self.error(f"{text} lies behind the end. A number with a point is a part of the clip, 0.0 to 1.0.", at)
            return Place(part, True)
        if len(text) > 7 or abs(int(text)) > MOST:
            raise self.error(f"frame numbers go up to {MOST}.", at)
        return Place(int(text))

    # --- values ---

    def _number(self) -> float:
        found = _NUMBER.match(self.text, self.at, self.end)
        value = float(found[0]) if found else math.nan
        if found is None or not math.isfinite(value):
            raise self.error("needs a number, such as 0.5")
        self.at = found.end()
        return value

    def _number_value(self) -> float:
        """A number, also in brackets or quotes as other packs write it."""
        bracket = self.text[self.at : self.at + 1]
        closing = {"(": ")", '"': '"', "[": "]"}.get(bracket) if self.at < self.end else None
        if closing:
            self.at += 1
            self._blanks()
        value = self._number()
        self._blanks()
        if closing:
            if self.text[self.at : min(self.at + 1, self.end)] != closing:
                raise self.error(f"needs {closing} behind the number.")
            self.at += 1
        self._expect_end("a number")
        return value

    def _blanks(self) -> None:
        while self.at < self.end and self.text[self.at] in " \t":
            self.at += 1

    def _expect_end(self, what: str) -> None:
        """Behind a value: the end, a comma or a new line."""
        self._blanks()
        if self.at < self.end and self.text[self.at] not in (",\n\r#" if self.numbers else ",\n\r"):
            raise self.error(f"needs a comma or a new line behind {what}.")

    def _text_value(self) -> str:
        if self.at >= self.end or self.text[self.at] != '"':
            return self._loose_line()
        found = _STRING.match(self.text, self.at, self.end)
        if found is None:
            raise self.error("this quote is not closed.")
        self._check(found[1], found.start(1))
        self.at = found.end()
        self._expect_end("a prompt in quotes")
        return re.sub(r"\\.", lambda escape: _ESCAPES.get(escape[0], escape[0]), found[1], flags=re.DOTALL)

    def _loose_line(self) -> str:
        stop = self.text.find("\n", self.at, self.end)
        stop = self.end if stop < 0 else stop
        line, started = self.text[self.at : stop], self.at
        self._check(line, started)
        self.at = stop
        return line.strip()

    def _check(self, value: str, at: int) -> None:
        if found := _FOREIGN.search(value):
            advice = {"`": "expressions in ` are not read. Write what they say into keyframes"}
            message = advice.get(found[0], "--neg is not read. Give the negative prompts a Prompt Travel of their own")
            raise self.error(f"{message}.", at + found.start())


# --- writing ---------------------------------------------------------------------------------------------------------


def write(schedule: Schedule) -> str:
    """A text that ``parse`` reads as the same schedule."""
    if schedule.values:
        return ", ".join(map(repr, schedule.values))
    lines = [schedule.head] if schedule.head else []
    for key in schedule.keyframes:
        words = [f"{key.start}", *([key.ease] if key.ease else []), *([f"hooks {key.hooks}"] if key.hooks else [])]
        if key.end is not None:
            words[0] += f"{'..<' if key.without else '..'}{key.end}"
        value = _quoted(key.value) if isinstance(key.value, str) else repr(key.value)
        lines.append(f"{' '.join(words)}: {value}")
    text = "\n".join([*lines, *([schedule.tail] if schedule.tail else [])])
    return f"{{\n{text}\n}}" if text.startswith("{") else text  # or its own brace would be taken for this one


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


# --- laying out ------------------------------------------------------------------------------------------------------


class Stretch(NamedTuple):
    """A keyframe in its place: from ``first`` to ``last``, both included, in frames or in parts of a run."""

    first: float
    last: float
    keyframe: Keyframe


def laid_out(schedule: Schedule, frames: int | None) -> list[Stretch]:
    """Keyframes in the order of a clip of ``frames``, or of a sampling run (None), whose places are parts from 0 to 1.

    Keyframes behind the end of a clip are kept: values go on towards them.

    Raises:
        ScheduleError: a place before the start, a range that ends before it begins, or two keyframes in one place.
    """
    found = []
    for key in schedule.keyframes:
        first = _spot(schedule, key, key.start, frames)
        last = first if key.end is None else _spot(schedule, key, key.end, frames)
        if key.without and frames is not None and last > first:
            last -= 1
        if last < first:
            raise ScheduleError(f"{key.end} lies before {key.start}. Write the earlier one first.", schedule.text, key.offset)
        found.append(Stretch(first, last, key))
    found.sort(key=lambda stretch: stretch.first)
    for before, after in pairwise(found):
        touching = frames is None and before.keyframe.without and after.first == before.last
        if after.first <= before.last and not touching:
            where = f"frame {after.first:g}" if frames is not None else f"{after.first:.0%} of the run"
            raise ScheduleError(f"{where} has two keyframes here. Give it one.", schedule.text, after.keyframe.offset)
    return found


def _spot(schedule: Schedule, key: Keyframe, place: Place, frames: int | None) -> float:
    if frames is None:
        if place.part or place.number in (0, -1):
            return place.number if place.number >= 0 else 1.0
        message = f"over steps, places are parts of the sampling run: write 0.5 or 50%, not {place}."
        raise ScheduleError(message, schedule.text, key.offset)
    if place.part:
        return round(place.number * (frames - 1))
    spot = int(place.number) + (frames if place.number < 0 else 0)
    if spot < 0:
        raise ScheduleError(f"{place} lies before the first of {frames} frames.", schedule.text, key.offset)
    return spot


def eased(t: float, ease: str) -> float:
    """Progress from one keyframe to the next, 0 to 1, at the share ``t`` of the way. The curves are those of the host's hooks."""
    if ease == EASE_IN:
        return t * t
    if ease == EASE_OUT:
        return 1 - (1 - t) ** 2
    if ease == EASE_IN_OUT:
        return (1 - math.cos(math.pi * t)) / 2
    return 0.0 if ease == STEP else t


class Blend(NamedTuple):
    """What holds at one place: keyframe number ``a``, on the way to ``b`` by the share ``t``."""

    a: int
    b: int
    t: float


def blend(keys: list[Stretch], at: float, ease: str = LINEAR, period: float | None = None) -> Blend:
    """What holds at ``at``. Before the first keyframe it is the first, behind the last the last.

    Args:
        ease: for keyframes that do not name one.
        period: length of a loop, in which the last keyframe goes on to the first.
    """
    reached = bisect_right(keys, at, key=lambda key: key.first)
    if not reached and period is None:
        return Blend(0, 0, 0.0)
    a = (reached or len(keys)) - 1
    left = keys[a].last if reached else keys[a].last - (period or 0.0)
    if at <= left:
        return Blend(a, a, 0.0)
    b = (a + 1) % len(keys)
    right = keys[b].first
    if reached and b <= a:
        if period is None or b == a:
            return Blend(a, a, 0.0)
        right += period
    t = eased((at - left) / (right - left), keys[a].keyframe.ease or ease) if right > left else 0.0
    return Blend(a, b, t) if t else Blend(a, a, 0.0)
