"""Colours and steps that the pictures of this pack share: plots of curves, and bars of context windows."""

from __future__ import annotations

INK, PAPER, EMPTY = (225, 225, 225), (24, 24, 27), (40, 40, 45)
"""Text, background, and what holds nothing."""
GAP = 10
"""Pixels between parts of a picture."""
_EVERY = (1, 2, 4, 8, 16, 32, 64, 128, 10**6)


def label_every(pixels_per_frame: float, room: int) -> int:
    """Every how many frames a number fits that needs ``room`` pixels."""
    return next(step for step in _EVERY if step * pixels_per_frame >= room)
