"""Put frames of several animations on one picture, a row with its caption for each: `comparison ROWS SHEET FRAMES SHOWN`.

ROWS is JSON: a list of `title`, `caption` and `animation`, the path of an animated picture of FRAMES frames, of which SHOWN are shown.
Run with an interpreter that has Pillow; `animate` does so. Exits with status 1 when a row is no animation.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from .contact_sheet import GAP, complaint, read_frames

LABEL = 26  # pixels of height above a row, for its text
TEXT = 16  # size of the letters
MARGIN = 8
DARK, PALE = (20, 20, 20), (110, 110, 110)


@dataclass(frozen=True)
class Strip:
    """A row: what is written above it, and its frames."""

    title: str
    caption: str
    frames: list[Image.Image]


def chosen(frames: list[Image.Image], shown: int) -> list[Image.Image]:
    """`shown` of the frames, from the first to the last, evenly."""
    last, steps = len(frames) - 1, max(shown - 1, 1)
    return [frames[round(index * last / steps)] for index in range(min(shown, len(frames)))]


def comparison(strips: list[Strip], shown: int) -> Image.Image:
    """The sheet: for each row its title and caption, and below them its frames from left to right."""
    width, height = strips[0].frames[0].size
    font = ImageFont.load_default(TEXT)
    row = LABEL + height + MARGIN
    sheet = Image.new("RGB", (2 * MARGIN + shown * (width + GAP) - GAP, MARGIN + len(strips) * row), "white")
    pen = ImageDraw.Draw(sheet)
    for index, strip in enumerate(strips):
        top = MARGIN + index * row
        pen.text((MARGIN, top), strip.title, fill=DARK, font=font)
        pen.text((MARGIN + pen.textlength(f"{strip.title}   ", font=font), top), f'"{strip.caption}"', fill=PALE, font=font)
        for column, frame in enumerate(chosen(strip.frames, shown)):
            sheet.paste(frame, (MARGIN + column * (width + GAP), top + LABEL))
    return sheet


def main() -> int:
    """Read the command line; returns the exit status."""
    rows, sheet, frames, shown = json.loads(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    strips = [Strip(row["title"], row["caption"], read_frames(Path(row["animation"]))) for row in rows]
    comparison(strips, shown).save(sheet)
    wrong = [f"{strip.title}: {what}" for strip in strips if (what := complaint(strip.frames, frames))]
    if wrong:
        sys.stderr.write("\n".join([*wrong, f"See {sheet}.\n"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
