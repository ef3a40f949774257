"""Nodes that set up a motion module and put it on a MODEL."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..sampling.inject import animate
from ..sampling.patcher import with_settings
from .types import CATEGORY, ContextOptions, MotionModule, strength_input


class MotionSettings(io.ComfyNode):
    """How strongly, and when, a motion module acts."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        percent: dict[str, Any] = {"min": 0.0, "max": 1.0, "step": 0.001}
        return io.Schema(
            node_id="MotionSettings",
            display_name="Motion Settings",
            category=CATEGORY,
            description="Sets how strongly a motion module acts and during which part of the sampling steps.",
            search_aliases=["motion scale", "multival", "effect"],
            inputs=[
                MotionModule.Input(
                    "motion_module", tooltip="The motion module to set up; the original stays as it is."
                ),
                strength_input(
                    "influence",
                    1.0,
                    0.0,
                    10.0,
                    "Multiplies what the module adds to the image model: 1.0 as trained, 0.0 off. A number or a curve. Range 0 to 10.",
                ),
                strength_input(
                    "attention_scale",
                    1.0,
                    0.0,
                    10.0,
                    "Multiplies the temporal attention's keys: above 1.0 moves more, below less. A number or a curve. Range 0 to 10.",
                ),
                io.Float.Input(
                    "start_percent",
                    default=0.0,
                    **percent,
                    tooltip="Where in the sampling run the module starts: 0.0 is the first step. Range 0 to 1.",
                ),
                io.Float.Input(
                    "end_percent",
                    default=1.0,
                    **percent,
                    tooltip="Where in the sampling run the module stops: 1.0 is the last step. Range 0 to 1.",
                ),
            ],
            outputs=[MotionModule.Output("motion_module", tooltip="The motion module with these settings.")],
        )

    @classmethod
    def execute(cls, motion_module: Any, **settings: Any) -> io.NodeOutput:
        return io.NodeOutput(with_settings(motion_module, **settings))


class ApplyMotionModule(io.ComfyNode):
    """MODEL + MOTION_MODULE -> MODEL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ApplyMotionModule",
            display_name="Apply Motion Module",
            category=CATEGORY,
            description="Animates a MODEL. Use the result with any KSampler or guider; each latent of a batch is a frame.",
            search_aliases=["animatediff", "evolved sampling", "animate"],
            inputs=[
                io.Model.Input(
                    "model", tooltip="Checkpoint of the module's base (SD1.5), with any LoRA or patch on it."
                ),
                MotionModule.Input("motion_module", tooltip="From Load Motion Module."),
                ContextOptions.Input(
                    "context_options",
                    optional=True,
                    tooltip="For clips longer than the module was trained on, from Context Window Options.",
                ),
            ],
            outputs=[io.Model.Output("model", tooltip="The animated MODEL. The one given stays as it is.")],
        )

    @classmethod
    def execute(cls, model: Any, motion_module: Any, context_options: Any = None) -> io.NodeOutput:
        return io.NodeOutput(animate(model, motion_module, context_options))
