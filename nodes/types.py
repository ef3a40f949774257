"""Socket types, menu category and text on nodes, shared by the nodes."""

from typing import Any

from comfy_api.latest import io, ui

CATEGORY = "AnimateDiff"
MotionModule = io.Custom("MOTION_MODULE")
ContextOptions = io.Custom("CONTEXT_OPTIONS")


def text(lines: str) -> Any:
    """What a node shows on itself after it ran."""
    return ui.PreviewText(lines)
