"""Put the frames of an animation on one picture and check that they differ: `contact_sheet ANIMATION SHEET [FRAMES]`.

Run with an interpreter that has Pillow; `animate` does so. Exits with status 1 when the animation is not one.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

from PIL import Image, ImageSequence

GAP = 4  # pixels between the pictures


def read_frames(animation: Path) -> list[Image.Image]:
    """All frames of an animated picture file, in RGB."""
    with Image.open(animation) as file:
        return [frame.convert("RGB") for frame in ImageSequence.Iterator(file)]


def contact_sheet(frames: list[Image.Image]) -> Image.Image:
    """The frames row by row, as near to a square as their number allows."""
    columns = math.ceil(math.sqrt(len(frames)))
    rows = math.ceil(len(frames) / columns)
    width, height = frames[0].size
    size = (columns * (width + GAP) - GAP, rows * (height + GAP) - GAP)
    sheet = Image.new("RGB", size, "white")
    for index, frame in enumerate(frames):
        sheet.paste(frame, (index % columns * (width + GAP), index // columns * (height + GAP)))
    return sheet


def complaint(frames: list[Image.Image], wanted: int | None) -> str | None:
    """What is wrong with an animation of these frames; None if nothing is. The last frame may be the first again, as in a loop."""
    if wanted is not None and len(frames) != wanted:
        return f"The animation should have {wanted} frames and has {len(frames)}."
    seen: dict[bytes, int] = {}
    for index, frame in enumerate(frames):
        if frame.getcolors(maxcolors=1) is not None:
            return f"Frame {index} is one plain colour, so the sampler's result was empty or not a number."
        first = seen.setdefault(frame.tobytes(), index)
        closes = first == 0 and index == len(frames) - 1 > 1
        if first != index and not closes:
            return f"Frames {first} and {index} are the same picture, so this is not an animation."
    return None


def main() -> int:
    """Read the command line; returns the exit status."""
    animation, sheet = Path(sys.argv[1]), Path(sys.argv[2])
    wanted = int(sys.argv[3]) if len(sys.argv) > 3 else None
    frames = read_frames(animation)
    contact_sheet(frames).save(sheet)
    wrong = complaint(frames, wanted)
    if wrong:
        sys.stderr.write(f"{wrong} See {sheet}.\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
