"""Prompts with expressions in backticks, such as ``(smile:`a`)``, and their negative part after ``--neg``.

``text`` refuses what cannot be read; ``prompt_travel`` makes a prompt of each frame.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from .errors import TimelineError
from .expression import Expression, read_expression

Template = tuple["str | Expression", ...]
"""A prompt in parts; an expression is a number in each frame."""
_NEGATIVE = re.compile(r"--neg(?:ative\b)?")
SECOND_NEGATIVE = "a second --neg in one prompt. Write one, with everything negative after it."
_DIGITS = 6
"""Digits after the point of a number in a prompt; a weight that differs by less gives the same picture."""


def read_template(text: str, names: Collection[str], source: str, at: int, *, exact: bool = True) -> Template:
    """A text that begins in ``source`` at ``at``; its expressions may hold ``names``.

    Args:
        exact: the text is in ``source`` letter by letter; otherwise errors name ``at`` alone.

    Raises:
        TimelineError: a backtick that is not closed, or an expression that cannot be read.
    """
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        message = "this backtick is not closed. An expression stands between two, such as (smile:`t / 10`)."
        raise TimelineError(message, source, at + text.rindex("`") * exact)
    parts: list[str | Expression] = []
    for number, piece in enumerate(pieces):
        parts.append(read_expression(piece, names, source, at) if number % 2 else piece)
        at += (len(piece) + 1) * exact
    return tuple(part for part in parts if part != "")


def split_negative(text: str, source: str, at: int) -> tuple[str, str]:
    """What a prompt asks for, and what it asks to keep out: the part after ``--neg``.

    Raises:
        TimelineError: a second ``--neg``.
    """
    found = list(_NEGATIVE.finditer(text))
    if len(found) > 1:
        raise TimelineError(SECOND_NEGATIVE, source, at + found[1].start())
    return (text[: found[0].start()].strip(), text[found[0].end() :].strip()) if found else (text, "")


def filled(template: Template, names: Mapping[str, float]) -> str:
    """The prompt where names have these numbers. Raises TimelineError for an expression that is no finite number."""
    return "".join(part if isinstance(part, str) else _shown(part.value(names)) for part in template)


def _shown(value: float) -> str:
    """A number as prompts write it: 1, 0.5 or 0.333333."""
    short = f"{value:.{_DIGITS}f}".rstrip("0").rstrip(".")
    return "0" if short == "-0" else short
