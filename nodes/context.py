"""Context windows: how a clip longer than the motion module's training length is cut up."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io, ui

from ..sampling.context_options import FUSE_METHODS, SCHEDULES, ContextOptions
from ..sampling.window_picture import draw, summary
from ..sampling.windows import with_windows
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
                io.Boolean.Input(
                    "views",
                    default=False,
                    tooltip="Windows inside the temporal attention only: the image model sees every frame once. Faster, and "
                    "the whole clip has to fit in memory.",
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
                io.Float.Input(
                    "start_percent",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    advanced=True,
                    tooltip="Where in the sampling run these options take over from previous_options: 0.0 is the first step. "
                    "Range 0 to 1.",
                ),
                ContextOptionsSocket.Input(
                    "previous_options",
                    optional=True,
                    advanced=True,
                    tooltip="Options that hold before these start, from another Context Window Options.",
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
        cls, context_length: int, context_overlap: int, context_schedule: str, fuse_method: str, **choices: Any
    ) -> io.NodeOutput:
        previous = choices.pop("previous_options", None)
        options = ContextOptions(
            context_length,
            context_overlap,
            context_schedule,
            fuse_method,
            stride=choices.pop("context_stride", 1),
            previous=previous.plan if previous is not None else (),
            **choices,
        )
        return io.NodeOutput(options)


class ApplyContextWindows(io.ComfyNode):
    """MODEL + CONTEXT_OPTIONS -> MODEL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ApplyContextWindows",
            display_name="Apply Context Windows",
            category=CATEGORY,
            description="Gives any MODEL context windows over its latent batch, with or without a motion module, replacing "
            "those it has.",
            search_aliases=["context options", "sliding window", "context windows manual"],
            inputs=[
                io.Model.Input("model", tooltip="Any MODEL whose latent batch is a clip; animated or not."),
                ContextOptionsSocket.Input("context_options", tooltip="From Context Window Options."),
            ],
            outputs=[io.Model.Output("model", tooltip="The MODEL with windows. The one given stays as it is.")],
        )

    @classmethod
    def execute(cls, model: Any, context_options: ContextOptions) -> io.NodeOutput:
        return io.NodeOutput(with_windows(model, context_options))


class PreviewContextWindows(io.ComfyNode):
    """CONTEXT_OPTIONS -> a picture of them, before anything is sampled."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PreviewContextWindows",
            display_name="Preview Context Windows",
            category=CATEGORY,
            description="Draws which frames each window holds at which step, and how much they count: frames to the right, "
            "steps down, brighter counts more.",
            search_aliases=["visualize context", "context windows", "debug"],
            is_output_node=True,
            inputs=[
                ContextOptionsSocket.Input("context_options", tooltip="From Context Window Options."),
                io.Int.Input(
                    "num_frames", default=48, min=1, max=4096, tooltip="Length of the clip in frames. Range 1 to 4096."
                ),
                io.Int.Input(
                    "steps", default=20, min=1, max=1000, tooltip="Sampling steps, as on the sampler. Range 1 to 1000."
                ),
            ],
            outputs=[
                io.Image.Output("image", tooltip="The picture."),
                io.String.Output("text", tooltip="How many windows there are and what they cost, as text."),
            ],
        )

    @classmethod
    def execute(cls, context_options: ContextOptions, num_frames: int, steps: int) -> io.NodeOutput:
        image = draw(context_options, num_frames, steps)
        text = summary(context_options, num_frames, steps)
        return io.NodeOutput(image, text, ui=ui.PreviewImage(image, cls=cls))
