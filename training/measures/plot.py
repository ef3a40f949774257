"""Pictures of measures and losses, in the charts that the pack draws curves with. Called by nodes that train or measure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate

import torch
from torch import Tensor

from ...sampling.timeline.chart import LEFT, WIDTH, Chart, Colour
from ...sampling.timeline.ink import GAP, INK, PAPER

_COLOURS = ((93, 173, 226), (244, 208, 63), (130, 200, 120), (231, 111, 81), (187, 143, 206), (200, 200, 200))
"""Of the lines, in their order; more lines begin again."""
_FAINT = 0.35
"""How much of its colour a line keeps that a smoothed one is drawn over."""
_POINTS = 2 * (WIDTH - LEFT)
"""More values than these are drawn as means of neighbours."""
_HIGHEST = 0.99
"""Of losses, the share that is drawn as it is; a few large ones would hide all others."""
_NUMBERED = 200
"""Up to so many values each has a number; more have five marks."""


def smoothed(values: Sequence[float], over: float) -> list[float]:
    """An exponential running mean over about ``over`` values that has no start to catch up from; what is not finite is skipped."""
    keep = 1 - 1 / max(over, 1.0)

    def follow(state: tuple[float, float], value: float) -> tuple[float, float]:
        return (state[0] * keep + value, state[1] * keep + 1) if math.isfinite(value) else state

    states = list(accumulate(values, follow, initial=(0.0, 0.0)))[1:]
    return [total / weight if weight else math.nan for total, weight in states]


def _thinned(values: Sequence[float]) -> list[float]:
    """At most ``_POINTS`` values: means of as many neighbours as it takes."""
    width = math.ceil(len(values) / _POINTS)
    parts = [[value for value in values[start : start + width] if math.isfinite(value)] for start in range(0, len(values), width)]
    return [sum(part) / len(part) if part else math.nan for part in parts]


def line_plot(series: Mapping[str, Sequence[float]], title: str = "", *, smooth: float = 0.0, first: int = 0, unit: str = "") -> Tensor:
    """Lines of numbers as IMAGE ``(1, H, W, 3)``, 0 to 1: value upwards, steps or frames to the right.

    Args:
        series: a name for each line, and its values; what is not finite leaves a gap. Values are counted from ``first``.
        smooth: over how many values a second, brighter line is smoothed; 0 draws none.
        unit: written after the title.

    Raises:
        ValueError: no line, or no finite value in any.
    """
    known = [value for values in series.values() for value in values if math.isfinite(value)]
    if not known:
        raise ValueError(f"A plot needs at least one finite number; got none in {', '.join(series) or 'no lines'}. Train or measure first.")
    count = max(len(values) for values in series.values())
    drawn = {name: _thinned(values) for name, values in series.items()}
    shown = [value for values in drawn.values() for value in values if math.isfinite(value)]
    chart = Chart("", min(shown), max(shown), max(len(values) for values in drawn.values()) - 1)
    _title(chart, f"{title} ({unit})" if unit else title, list(series))
    if count <= _NUMBERED:
        chart.count(count, first)
    for quarter in range(5) if count > _NUMBERED else ():
        chart.mark(quarter / 4, str(first + round((count - 1) * quarter / 4)))
    for index, (name, values) in enumerate(drawn.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        faint = _faint(colour)
        chart.line(values, faint if smooth else colour, dots=not smooth, thick=1 if smooth else 2)
        if smooth:
            over = smooth * len(values) / max(len(series[name]), 1)
            chart.line(smoothed(values, over), colour, dots=False)
    return chart.picture()


def loss_picture(losses: Sequence[float]) -> Tensor:
    """IMAGE ``(1, H, W, 3)``, 0 to 1: the loss of each step of a training, and a bright line through them."""
    finite = sorted(loss for loss in losses if math.isfinite(loss))
    if not finite:
        return line_plot({"": [0.0]}, "no steps")
    most = finite[math.ceil(_HIGHEST * (len(finite) - 1))]
    over = max(1.0, min(20.0, len(losses) / 10))
    ends = smoothed(losses, over)
    told = f"loss of {len(losses)} steps, from {ends[0]:.4f} to {ends[-1]:.4f}"
    return line_plot({"": [min(loss, most) for loss in losses]}, told, smooth=over, first=1)


def _faint(colour: Colour) -> Colour:
    """The same, near the paper's colour."""
    red, green, blue = (round(paper + _FAINT * (part - paper)) for part, paper in zip(colour, PAPER, strict=True))
    return red, green, blue


def _title(chart: Chart, title: str, names: list[str]) -> None:
    """The title, and after it the name of each line in its colour."""
    x = float(GAP)
    colours = [_COLOURS[index % len(_COLOURS)] for index in range(len(names))]
    for word, colour in [(title, INK), *zip(names, colours, strict=True)]:
        if word:
            chart.pen.text((x, 8), word, colour)
            x += chart.pen.textlength(word) + 1.5 * GAP


def below_each_other(pictures: Sequence[Tensor]) -> Tensor:
    """Pictures ``(1, H, W, 3)`` of one width as one."""
    return torch.cat(list(pictures), dim=1)
