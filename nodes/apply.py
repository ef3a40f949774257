"""Nodes that set up a motion module, put it on a MODEL, and take it off again."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..sampling.modules.settings import with_settings
from ..sampling.run.animate import animate
from ..sampling.run.remove import without_motion
from ..sampling.windows.options import WindowOptions
from .types import (
    CATEGORY,
    MotionModuleSocket,
    NumberOrCurve,
    context_options_input,
    model_input,
    model_output,
    percent_range,
    strength_input,
)


class MotionSettings(io.ComfyNode):
    """How strongly, and when, a motion module acts."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        influence = "Multiplies what the module adds to the image model: 1.0 is as trained, 0.0 is off."
        attention = "Multiplies the temporal attention's keys: more than 1.0 moves more, less than 1.0 moves less."
        return io.Schema(
            node_id="MotionSettings",
            display_name="Motion Settings",
            category=CATEGORY,
            description="Sets how strongly a motion module acts and during which part of the sampling steps.",
            search_aliases=["motion scale", "multival", "effect"],
            inputs=[
                MotionModuleSocket.Input("motion_module", tooltip="The motion module to set up. It is not changed."),
                strength_input("influence", 1.0, 0.0, 10.0, influence),
                strength_input("attention_scale", 1.0, 0.0, 10.0, attention),
                *percent_range("the module"),
            ],
            outputs=[MotionModuleSocket.Output("motion_module", tooltip="The motion module with these settings.")],
        )

    @classmethod
    def execute(
        cls,
        motion_module: Any,
        influence: NumberOrCurve,
        attention_scale: NumberOrCurve,
        start_percent: float,
        end_percent: float,
    ) -> io.NodeOutput:
        module = with_settings(
            motion_module,
            influence=influence,
            attention_scale=attention_scale,
            start_percent=start_percent,
            end_percent=end_percent,
        )
        return io.NodeOutput(module)


class ApplyMotionModule(io.ComfyNode):
    """MODEL + ANIMATEDIFF_MODULE -> MODEL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ApplyMotionModule",
            display_name="Apply Motion Module",
            category=CATEGORY,
            description="Animates a MODEL for any KSampler or guider. Each latent of a batch becomes a frame.",
            search_aliases=["animatediff", "evolved sampling", "animate"],
            inputs=[
                model_input("A checkpoint for the module's base model, with any LoRA or patch on it."),
                MotionModuleSocket.Input("motion_module", tooltip="From Load Motion Module."),
                context_options_input(),
            ],
            outputs=[model_output("animated MODEL")],
        )

    @classmethod
    def execute(
        cls, model: io.Model.Type, motion_module: Any, context_options: WindowOptions | None = None
    ) -> io.NodeOutput:
        return io.NodeOutput(animate(model, motion_module, context_options))


class RemoveMotionModule(io.ComfyNode):
    """MODEL -> MODEL as it was before Apply Motion Module."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="RemoveMotionModule",
            display_name="Remove Motion Module",
            category=CATEGORY,
            description="Takes all that AnimateDiff nodes put on a MODEL off it: it makes single images again.",
            search_aliases=["unload", "animatediff unload", "image model"],
            inputs=[model_input("An animated MODEL.")],
            outputs=[model_output("MODEL without motion, with the patches of other nodes")],
        )

    @classmethod
    def execute(cls, model: io.Model.Type) -> io.NodeOutput:
        return io.NodeOutput(without_motion(model))
