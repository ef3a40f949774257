"""Captions as people keep them beside their videos: a text file of the same name, or a table for a whole folder. Called by ``folder``."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TEXT_ENDINGS = (".txt", ".caption")
TABLE_ENDINGS = (".csv", ".jsonl")
INSIDE_NAME = "caption"
"""The name of a caption that lies inside a folder of frames, without its ending."""
FILE_COLUMNS = ("file_name", "filename", "file", "video", "path", "videoid")
TEXT_COLUMNS = ("text", "caption", "prompt", "description", "name")
"""What people call the columns, in the order in which they are looked for; ``videoid`` and ``name`` are those of WebVid."""
ANOTHER_CODE = "cp1252"


@dataclass
class Captions:
    """The captions of one folder.

    Attributes:
        table: those of its tables, by file name and by name without its ending.
        warnings: what could not be read, or was read as something else.
    """

    folder: Path
    table: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def of(self, path: Path) -> str:
        """The caption of a video, or of a folder of frames; empty if there is none."""
        stem = path.with_suffix("") if path.is_file() else path
        beside = [stem.parent / f"{stem.name}{ending}" for ending in TEXT_ENDINGS]
        inside = [path / f"{INSIDE_NAME}{ending}" for ending in TEXT_ENDINGS] if path.is_dir() else []
        for file in (*beside, *inside):
            if file.is_file() and (caption := _text(file, self.warnings)):
                return caption
        return self.table.get(path.name, self.table.get(stem.name, ""))


def captions_in(folder: Path) -> Captions:
    """Read the tables of a folder; text files are read when they are asked for."""
    captions = Captions(folder)
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in TABLE_ENDINGS and file.is_file():
            for name, caption in _rows(file, captions.warnings):
                captions.table[name] = captions.table[Path(name).stem] = caption
    return captions


def _text(file: Path, warnings: list[str]) -> str:
    """A text file. UTF-8 with or without a mark, UTF-16 with one; anything else is taken for an old Windows text, and said."""
    data = file.read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace").strip()
    try:
        return data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        if b"\0" in data:
            warnings.append(f"{file.name} is no text. Write the caption as UTF-8.")
            return ""
        caption = data.decode(ANOTHER_CODE, errors="replace").strip()
        warnings.append(f"{file.name} is not UTF-8; it was read as {caption!r}. Save it as UTF-8.")
        return caption


def _rows(file: Path, warnings: list[str]) -> Iterator[tuple[str, str]]:
    """(file name, caption) of a table that has such columns; none of other tables."""
    text = _text(file, warnings)
    try:
        rows: list[Any]
        if file.suffix.lower() == ".csv":
            rows = list(csv.DictReader(io.StringIO(text, newline="")))
        else:
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, csv.Error) as error:
        warnings.append(f"{file.name} cannot be read as a table of captions: {error}.")
        return
    for row in rows:
        named = {str(key).strip().lower(): value for key, value in row.items()} if isinstance(row, dict) else {}
        name = next((named[column] for column in FILE_COLUMNS if named.get(column)), None)
        caption = next((named[column] for column in TEXT_COLUMNS if named.get(column)), None)
        if name is not None and caption is not None:
            yield Path(str(name).replace("\\", "/")).name, str(caption).strip()
