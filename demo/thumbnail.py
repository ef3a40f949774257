"""Make a small animated WEBP of an animation, whatever its name: `thumbnail ANIMATION TARGET SIDE FRAMES`.

Run with an interpreter that has Pillow; `gallery` does so. Exits with status 1 when the animation is not one.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from .contact_sheet import complaint, read_frames

MILLISECONDS = 125  # of a frame: 8 frames per second, as the graphs save
QUALITY = 80


def chosen(frames: list[Image.Image], count: int) -> list[Image.Image]:
    """At most `count` of the frames, evenly spread, the first among them."""
    step = max(1.0, len(frames) / count)
    return [frames[int(index * step)] for index in range(min(count, len(frames)))]


def thumbnail(frames: list[Image.Image], side: int) -> list[Image.Image]:
    """The frames with their longer side of `side` pixels."""
    width, height = frames[0].size
    scale = side / max(width, height)
    return [frame.resize((round(width * scale), round(height * scale)), Image.Resampling.LANCZOS) for frame in frames]


def main() -> int:
    """Read the command line; returns the exit status."""
    animation, target, side, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    frames = read_frames(animation)
    wrong = complaint(frames, None)
    if wrong:
        sys.stderr.write(f"{animation.name}: {wrong}\n")
        return 1
    first, *others = thumbnail(chosen(frames, count), side)
    duration = MILLISECONDS * len(frames) // (1 + len(others))  # as long as the whole animation
    first.save(target, format="WEBP", save_all=True, append_images=others, duration=duration, loop=0, quality=QUALITY, method=6)
    return 0


if __name__ == "__main__":
    sys.exit(main())
