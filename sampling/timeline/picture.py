"""A plot of a curve: its value at each frame, or along the sampling steps. Called by ``nodes.schedule.ValueCurve``."""

from __future__ import annotations

from torch import Tensor

from .chart import Chart
from .curve import STEPS, Curve
from .expression import Expression
from .keyframes import laid_out

LINE, DOT = (93, 173, 226), (244, 208, 63)
SAMPLES = 200
"""Points along the sampling run."""


def drawn_values(curve: Curve, frames: int) -> list[float]:
    """The values that are drawn: one per frame, or ``SAMPLES`` from the first step to the last."""
    return curve.numbers(SAMPLES if curve.over == STEPS else frames)


def plot(curve: Curve, frames: int) -> Tensor:
    """The picture as IMAGE ``(1, H, W, 3)``, 0 to 1: value upwards, frames or steps to the right, keyframes as dots.

    Raises:
        TimelineError: a position before the first of ``frames``.
    """
    values, over_steps = drawn_values(curve, frames), curve.over == STEPS
    last = max(len(values) - 1, 1)
    chart = Chart(describe_curve(curve, frames), min(values), max(values), last)
    if over_steps:
        for quarter in range(5):
            chart.mark(quarter / 4, f"{25 * quarter}%")
    else:
        chart.count(len(values))
    chart.line(values, LINE, dots=not over_steps)
    for key in [] if curve.timeline.values else laid_out(curve.timeline, None if over_steps else frames):
        index = key.first * (last if over_steps else 1)
        if index <= last:
            x, y = chart.point(index, values[round(index)] if isinstance(key.keyframe.value, Expression) else float(key.keyframe.value))
            chart.pen.ellipse((x - 3, y - 3, x + 3, y + 3), DOT)
    return chart.picture()


def describe_curve(curve: Curve, frames: int) -> str:
    """A line for the user: range, and what else takes part."""
    values = drawn_values(curve, frames)
    low, high = min(values), max(values)
    span = f"{low:.4g} everywhere" if low == high else f"{low:.4g} to {high:.4g}"
    mask = "" if curve.mask is None else f"a mask of {curve.mask.shape[0]}"
    inside = f" inside {mask}, {curve.outside:.4g} outside" if mask and curve.outside else ""
    extras = [extra for extra in ("" if inside else mask, "another curve" if curve.times is not None else "") if extra]
    return f"{span}{inside}, over {curve.over}" + (f", times {' and '.join(extras)}" if extras else "")
