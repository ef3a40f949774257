"""Context windows: how an animation longer than the motion module's training length is cut up."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io, ui

from ..sampling.run.windowed import with_windows
from ..sampling.windows.options import EQUAL_LENGTHS, FUSE_METHODS, SCHEDULES, WindowOptions, as_window_options
from ..sampling.windows.picture import describe_plan, draw
from .types import (
    CATEGORY,
    ContextOptionsSocket,
    choice,
    count,
    frames_of,
    latent_length_input,
    model_input,
    model_output,
    num_frames_input,
    start_percent_input,
)


class ContextWindowOptions(io.ComfyNode):
    """Settings -> ANIMATEDIFF_CONTEXT."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        schedule = (
            "Where windows lie: standard_static is the same at every step, uniform is shifted from step to step, "
            "looped also crosses the end, batched is side by side. Every window is full, and no frame is left out."
        )
        fuse = "How overlapping windows are averaged: pyramid favours the middle of each window."
        freenoise = "Later frames take the first window's noise, shuffled, so that windows agree better."
        views = (
            "Windows are used in the temporal attention only; the image model sees every frame once. This is faster, "
            "and all frames have to fit in memory."
        )
        stride = "How many strides the uniform and looped schedules use: 1 is every frame, 2 also every 2nd, 3 also every 4th."
        loop = "Windows of the looped schedule also run across the end of the animation, so that it loops."
        equal = (
            "Whether an animation exactly as long as a window has windows: closed loops only, always, which turns those of "
            "the looped schedule from step to step, or never."
        )
        previous = "Options that hold before these start, from another Context Window Options."
        user = "For Apply Motion Module, Apply Context Windows or AnimateDiff Sampler."
        return io.Schema(
            node_id="ContextWindowOptions",
            display_name="Context Window Options",
            category=CATEGORY,
            description="Lets an animation be longer than a module can take: overlapping windows slide over it.",
            search_aliases=["context options", "sliding window", "long video", "freenoise"],
            inputs=[
                count("context_length", 16, 1, 128, "Length of a window; 16, as trained, looks best.", unit="frames"),
                count("context_overlap", 4, 0, 127, "Overlap of windows; less than their length.", unit="frames"),
                choice("context_schedule", SCHEDULES, "standard_static", schedule),
                choice("fuse_method", FUSE_METHODS, "pyramid", fuse),
                io.Boolean.Input("freenoise", default=True, tooltip=freenoise),
                io.Boolean.Input("views", default=False, tooltip=views),
                count("context_stride", 1, 1, 32, stride, advanced=True),
                io.Boolean.Input("closed_loop", default=False, advanced=True, tooltip=loop),
                start_percent_input("When these options take over from previous_options.", advanced=True),
                ContextOptionsSocket.Input("previous_options", optional=True, advanced=True, tooltip=previous),
                choice("use_on_equal_length", EQUAL_LENGTHS, EQUAL_LENGTHS[0], equal, advanced=True),
            ],
            outputs=[ContextOptionsSocket.Output("context_options", tooltip=user)],
        )

    @classmethod
    def execute(
        cls,
        context_length: int,
        context_overlap: int,
        context_schedule: str,
        fuse_method: str,
        freenoise: bool = True,
        views: bool = False,
        context_stride: int = 1,
        closed_loop: bool = False,
        start_percent: float = 0.0,
        previous_options: WindowOptions | None = None,
        use_on_equal_length: str = EQUAL_LENGTHS[0],
    ) -> io.NodeOutput:
        options = WindowOptions(
            length=context_length,
            overlap=context_overlap,
            schedule=context_schedule,
            fuse=fuse_method,
            freenoise=freenoise,
            views=views,
            stride=context_stride,
            closed_loop=closed_loop,
            equal_length=use_on_equal_length,
            start_percent=start_percent,
            previous=() if previous_options is None else as_window_options(previous_options).plan,
        )
        return io.NodeOutput(options)


class ApplyContextWindows(io.ComfyNode):
    """MODEL + ANIMATEDIFF_CONTEXT -> MODEL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ApplyContextWindows",
            display_name="Apply Context Windows",
            category=CATEGORY,
            description="Gives any MODEL context windows over its latent batch, in place of those it has.",
            search_aliases=["context options", "sliding window", "context windows manual"],
            inputs=[
                model_input(),
                ContextOptionsSocket.Input("context_options", tooltip="From Context Window Options."),
            ],
            outputs=[model_output("MODEL with windows")],
        )

    @classmethod
    def execute(cls, model: io.Model.Type, context_options: WindowOptions) -> io.NodeOutput:
        return io.NodeOutput(with_windows(model, context_options))


class PreviewContextWindows(io.ComfyNode):
    """ANIMATEDIFF_CONTEXT -> a picture of them, before anything is sampled."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PreviewContextWindows",
            display_name="Preview Context Windows",
            category=CATEGORY,
            description="Draws which frames each window holds at which step, and how much they count: frames go to the "
            "right, steps go down, and brighter counts more.",
            search_aliases=["visualize context", "context windows", "debug"],
            is_output_node=True,
            inputs=[
                ContextOptionsSocket.Input("context_options", tooltip="From Context Window Options."),
                num_frames_input(48),
                count("steps", 20, 1, 1000, "Sampling steps, as on the sampler."),
                latent_length_input(),
            ],
            outputs=[
                io.Image.Output("image", tooltip="The picture."),
                io.String.Output("text", tooltip="How many windows there are and what they cost, as text."),
            ],
        )

    @classmethod
    def execute(
        cls, context_options: WindowOptions, num_frames: int, steps: int, latent: dict[str, Any] | None = None
    ) -> io.NodeOutput:
        frames = frames_of(num_frames, latent)
        image = draw(context_options, frames, steps)
        text = describe_plan(context_options, frames, steps)
        return io.NodeOutput(image, text, ui=ui.PreviewImage(image, cls=cls))
