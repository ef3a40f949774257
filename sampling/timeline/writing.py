"""Timelines put back into words, such as ``text`` reads."""

from __future__ import annotations

from .expression import Expression
from .keyframes import Timeline


def write(timeline: Timeline) -> str:
    """A text that ``parse`` reads as the same timeline."""
    if timeline.values:
        return ", ".join(map(repr, timeline.values))
    lines = [timeline.head] if timeline.head else []
    for key in timeline.keyframes:
        words = [f"{key.start}", *([key.easing] if key.easing else []), *([f"hooks {key.hooks}"] if key.hooks else [])]
        if key.end is not None:
            words[0] += f"{'..<' if key.end_exclusive else '..'}{key.end}"
        lines.append(f"{' '.join(words)}: {_value(key.value)}")
    return "\n".join([*lines, *([timeline.tail] if timeline.tail else [])])


def _value(value: float | Expression | str) -> str:
    if isinstance(value, Expression):
        return value.text
    return _quoted(value) if isinstance(value, str) else repr(value)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
