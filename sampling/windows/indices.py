"""Which frames each window holds: the host's choice, made fit for a motion module. Pure functions on lists of numbers."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

IndexList = list[int]


def full_windows(index_lists: Iterable[IndexList], frames: int, length: int, may_wrap: bool) -> list[IndexList]:
    """The windows that a motion module can take: ``length`` frames long, ascending, every frame once.

    The host's schedules can run past the end of the animation, leave a short rest, repeat a window, or, with strides, come
    round and hold frames twice or backwards. Windows past the end are moved back to it, a short rest becomes the last
    full window, and the others are left out.

    Args:
        index_lists: as the host chose them, for an animation of ``frames``.
        may_wrap: whether a window may go once over the end of the animation to its beginning, as in loops.
    """
    windows: list[IndexList] = []
    for window in index_lists:
        if len(window) < length <= frames:
            window = list(range(frames - length, frames))
        beyond = max(max(window) - (frames - 1), 0)
        window = [index - beyond for index in window]
        if min(window) >= 0 and _ascends(window, may_wrap) and window not in windows:
            windows.append(window)
    return windows


def _ascends(window: IndexList, may_wrap: bool) -> bool:
    """Whether frames follow one another in time; a window that wraps must end before its first frame."""
    falls = sum(after <= before for before, after in pairwise(window))
    return falls == 0 or (may_wrap and falls == 1 and window[-1] < window[0])


def covering(windows: list[IndexList], spare: list[IndexList], frames: int) -> list[IndexList]:
    """``windows``, and those of ``spare`` that hold a frame that is in none of them.

    Uniform schedules with strides leave frames out at some steps. ``spare`` covers the whole animation.
    """
    seen = {index for window in windows for index in window}
    missing = set(range(frames)) - seen
    return windows + [window for window in spare if missing & set(window)]
