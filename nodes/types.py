"""Socket types, menu category and text on nodes, shared by the nodes."""

from typing import Any

from comfy_api.latest import io, ui

CATEGORY = "AnimateDiff"
MotionModule = io.Custom("MOTION_MODULE")
ContextOptions = io.Custom("CONTEXT_OPTIONS")
ValueCurve = io.Custom("VALUE_CURVE")
Floats = io.Custom("FLOATS")
"""Lists of numbers, as the host's hook keyframes and other packs name them."""


def text(lines: str) -> Any:
    """What a node shows on itself after it ran."""
    return ui.PreviewText(lines)


def strength_input(name: str, default: float, low: float, high: float, tooltip: str, step: float = 0.01) -> Any:
    """A number with a field, whose socket also takes a curve or a list of numbers."""
    number = io.Float.Input(name, default=default, min=low, max=high, step=step, tooltip=tooltip)
    return io.MultiType.Input(number, [ValueCurve, Floats])
