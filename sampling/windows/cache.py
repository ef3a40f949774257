"""What context windows work out once per run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...motion.views import Views
from ..host.windows import IndexListContextWindow
from .controls import ControlCuts, Indices

Windows = list[IndexListContextWindow]
"""Windows as the host wants them."""
Records = list[dict[str, Any]]
"""The records of one conditioning of a run, such as the positive one."""


class RunCache:
    """Windows, weights, views, cut conditioning and cut controls of one sampling run.

    Reason: they are the same at every step, or at every step that has the same windows; the host batches conds only if
    they share one control object; and hints are large. Lifetime: until ``clear``, which the host calls when a run ends,
    also by an error; entries of windows that are used no more go earlier (``keep_only``). Keys hold ``id()``s of objects
    of the run. Each such entry keeps the objects it was made from, and counts only while they are the same objects
    (compared with ``is``), so an id that was freed and given to another object is never mistaken.
    """

    def __init__(self) -> None:
        self.controls = ControlCuts()
        self._windows: tuple[tuple[int, int | None] | None, Windows] = (None, [])
        self._views: tuple[Windows | None, Views | None] = (None, None)
        self._weights: dict[tuple[int, Indices], list[float]] = {}
        self._resized: dict[tuple[int, Indices], tuple[list[Any], Records]] = {}

    def windows(self, key: tuple[int, int | None], make: Callable[[], Windows]) -> Windows:
        """The host's window objects for (frames, step); the same objects as long as the key is the same."""
        if self._windows[0] != key:
            made = make()
            self.keep_only({tuple(window.index_list) for window in made})
            self._windows = (key, made)
        return self._windows[1]

    def views(self, windows: Windows, make: Callable[[], Views]) -> Views:
        """Views made from window objects, as long as they are the same objects."""
        made_for, views = self._views
        if views is None or made_for is not windows:
            views = make()
            self._views = (windows, views)
        return views

    def weights(self, frames: int, indices: Sequence[int], make: Callable[[], Sequence[float]]) -> list[float]:
        """How much each frame of a window counts, by the length of the animation and the window."""
        key = (frames, tuple(indices))
        if key not in self._weights:
            self._weights[key] = [float(weight) for weight in make()]
        return self._weights[key]

    def resized(self, conds: Records, indices: Indices, make: Callable[[], Records]) -> Records:
        """Conditioning cut to a window, valid while every value in ``conds`` is the same object (compared with ``is``)."""
        parts = [part for cond in conds for part in (*cond.values(), *cond.get("model_conds", {}).values())]
        known, cut = self._resized.get((id(conds), indices), ([], []))
        if len(known) != len(parts) or any(one is not other for one, other in zip(known, parts, strict=True)):
            cut = make()
            self._resized[id(conds), indices] = (parts, cut)
        return cut

    def keep_conds(self, conds: Sequence[Records | None]) -> None:
        """Drop what was cut from conditioning that is used no more."""
        given = {id(cond) for cond in conds}
        self._resized = {key: found for key, found in self._resized.items() if key[0] in given}

    def keep_only(self, windows: set[Indices]) -> None:
        """Drop what belongs to windows that are used no more, as with schedules that move per step."""
        self.controls.keep_only(windows)
        self._resized = {key: found for key, found in self._resized.items() if key[1] in windows}
        self._weights = {key: found for key, found in self._weights.items() if key[1] in windows}

    def clear(self) -> None:
        """Drop everything: the run has ended."""
        self.controls.clear()
        self._windows, self._views = (None, []), (None, None)
        self._weights.clear()
        self._resized.clear()
