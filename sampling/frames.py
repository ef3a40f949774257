"""What one call of the model holds: which frames of the animation, how many there are in all, and when it happens.

One record under one key. ``run.around`` publishes it for a run and completes it for each evaluation, ``windows`` adds its
views, and ``call_of`` is how everything else asks: curves, controls, motion modules. What the host and other packs publish
about the frames of a window is read here, and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, Protocol

from torch import Tensor

from ..motion.views import Views

CALL = "animatediff_call"
"""Where the record of a call is in ``transformer_options``."""
FOREIGN = "ad_params"
"""Where IP-Adapter Plus, Advanced-ControlNet and AnimateDiff-Evolved publish and look for the frames of a window."""
BISECTIONS = 24
"""Halvings in search of a percentage: finer than the six digits it is rounded to."""


class NoiseSchedule(Protocol):
    """A noise schedule of the host.

    Attributes:
        sigma_max: of its last training step.
    """

    sigma_max: Tensor

    def percent_to_sigma(self, percent: float) -> float:
        """The sigma at a part of the sampling run, 0 to 1."""
        ...


@dataclass(frozen=True)
class Call:
    """One evaluation of the model.

    Attributes:
        indices: the frames it holds, in its order.
        full: frames of the whole animation.
        percent: how far the sampling run is, 0 to 1; worked out when it is asked for.
        step: number of the sampling step, from 0, worked out when it is asked for; None between two steps, where samplers of
            second order ask.
        sigma: its noise level.
        size: height and width of its latents. Masks are brought to it; with None they are not changed.
        views: windows for the temporal attention; None for attention over all frames of the call.
        iteration: which of how many samplings this is (FreeInit), from 0.
    """

    indices: Sequence[int]
    full: int
    percent: Callable[[], float] = float
    step: Callable[[], int | None] = int
    sigma: float = 0.0
    size: tuple[int, int] | None = None
    views: Views | None = None
    iteration: tuple[int, int] = (0, 1)

    @property
    def frames(self) -> int:
        """How many frames the call holds."""
        return len(self.indices)


def whole(frames: int, iteration: tuple[int, int] = (0, 1)) -> Call:
    """The record of a call that holds the whole animation."""
    return Call(range(frames), frames, iteration=iteration)


def call_of(options: dict[str, Any], x: Tensor, conds: int, model_sampling: NoiseSchedule, sigma: Tensor) -> Call:
    """The record of a model call.

    Args:
        options: its ``transformer_options``.
        x: its latents ``(conds · F, C, H, W)``.
        conds: how many conds are evaluated together, where nothing of ours published it.
        model_sampling: the noise schedule in use.
        sigma: of the call; all frames have the same.
    """
    size = (x.shape[-2], x.shape[-1])
    known: Call | None = options.get(CALL)
    if known is not None and known.size is not None:
        return known if known.size == size else replace(known, size=size)  # a tile of the picture
    return resolved(options, x.shape[0] // conds, size, model_sampling, sigma)


def resolved(
    options: dict[str, Any], frames: int, size: tuple[int, int], model_sampling: NoiseSchedule, sigma: Tensor
) -> Call:
    """The record of a call of ``frames`` from whatever was published before: by this pack, by others, or by the host."""
    known: Call | None = options.get(CALL)
    indices, full = frames_of_call(options, frames)
    level = float(sigma.flatten()[0])
    return replace(
        known or whole(full),
        indices=indices,
        full=full,
        percent=cache(partial(percent_of, model_sampling, level)),
        step=partial(_step_at, options.get("sample_sigmas"), level),
        sigma=level,
        size=size,
    )


def frames_of_call(options: dict[str, Any], frames: int) -> tuple[Sequence[int], int]:
    """Which frames of the animation a model call holds, and how many there are in all."""
    published = options.get(FOREIGN) or {}
    indices = published.get("sub_idxs")
    if indices is not None and len(indices) == frames:
        return list(indices), published["full_length"]
    window = options.get("context_window")
    if window is not None:
        indices = list(window.index_list)
        before = getattr(window, "causal_anchor_index", None)
        if len(indices) + 1 == frames and before is not None:  # the host's own windows bring a frame along
            indices = [before, *indices]
        if len(indices) == frames:
            return indices, window.total_frames
    return range(frames), frames


def _step_at(sigmas: Tensor | None, level: float) -> int | None:
    """Number of the sampling step that begins at a sigma."""
    found = [] if sigmas is None else [n for n, s in enumerate(sigmas.tolist()) if math.isclose(s, level, rel_tol=1e-4)]
    return found[0] if found else None


def percent_of(model_sampling: NoiseSchedule, sigma: float) -> float:
    """How far a sampling run is at ``sigma``: the inverse of the host's ``percent_to_sigma``, for any noise schedule."""
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if model_sampling.percent_to_sigma(middle) >= sigma else (low, middle)
    return round(low, 6)  # sigmas are single precision
