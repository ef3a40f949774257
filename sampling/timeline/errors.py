"""What is wrong with a timeline. Raised by every file of this room that reads text."""

from __future__ import annotations


class TimelineError(ValueError):
    """What is wrong with a timeline's text, and where; ``line`` and ``column`` count from 1."""

    __module__ = "AnimateDiff"  # the front end shows users this name, and not the folder of this file

    def __init__(self, message: str, text: str, offset: int) -> None:
        self.line = text.count("\n", 0, offset) + 1
        self.column = offset - (text.rfind("\n", 0, offset) + 1) + 1
        self.reason, self.offset = message, offset
        super().__init__(f"Line {self.line}, column {self.column}: {message}")
