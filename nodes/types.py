"""Socket types and menu category shared by the nodes."""

from comfy_api.latest import io

CATEGORY = "AnimateDiff"
MotionModule = io.Custom("MOTION_MODULE")
ContextOptions = io.Custom("CONTEXT_OPTIONS")
