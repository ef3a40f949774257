"""Context windows: how a clip longer than the motion module's training length is cut up."""

from __future__ import annotations

from comfy_api.latest import io

from ..sampling.windows import FUSE_METHODS, SCHEDULES, ContextOptions
from .types import CATEGORY
from .types import ContextOptions as ContextOptionsSocket


class ContextWindowOptions(io.ComfyNode):
    """Settings -> CONTEXT_OPTIONS."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ContextWindowOptions",
            display_name="Context Window Options",
            category=CATEGORY,
            description="Lets clips grow beyond the frames a motion module can take: overlapping windows slide over them.",
            search_aliases=["context options", "sliding window", "long video", "freenoise"],
            inputs=[
                io.Int.Input(
                    "context_length",
                    default=16,
                    min=1,
                    max=128,
                    tooltip="Frames per window. The length the module was trained on (16) looks best. Range 1 to 128.",
                ),
                io.Int.Input(
                    "context_overlap",
                    default=4,
                    min=0,
                    max=127,
                    tooltip="Frames that neighbouring windows share; less than context_length. Range 0 to 127.",
                ),
                io.Combo.Input(
                    "context_schedule",
                    options=SCHEDULES,
                    default="standard_static",
                    tooltip="How windows are placed: static at every step alike, uniform shifted per step, looped over the "
                    "end of the clip, batched side by side. Every window is full, every frame in one.",
                ),
                io.Combo.Input(
                    "fuse_method",
                    options=FUSE_METHODS,
                    default="pyramid",
                    tooltip="How overlapping windows are averaged: pyramid favours the middle of each window.",
                ),
                io.Boolean.Input(
                    "freenoise",
                    default=True,
                    tooltip="Reuse the first window's noise, shuffled, for later frames: windows then agree better.",
                ),
                io.Int.Input(
                    "context_stride",
                    default=1,
                    min=1,
                    max=32,
                    advanced=True,
                    tooltip="Uniform and looped schedules: also use windows of every 2nd, 4th, ... frame up to this many "
                    "doublings. Range 1 to 32.",
                ),
                io.Boolean.Input(
                    "closed_loop",
                    default=False,
                    advanced=True,
                    tooltip="Looped schedule: windows also run across the end of the clip, so that it loops.",
                ),
            ],
            outputs=[
                ContextOptionsSocket.Output(
                    "context_options", tooltip="For Apply Motion Module or AnimateDiff Sampler."
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        context_length: int,
        context_overlap: int,
        context_schedule: str,
        fuse_method: str,
        freenoise: bool,
        context_stride: int = 1,
        closed_loop: bool = False,
    ) -> io.NodeOutput:
        windows = (context_length, context_overlap, context_schedule, fuse_method)
        return io.NodeOutput(ContextOptions(*windows, freenoise, context_stride, closed_loop))
