"""What changes over a clip: values, prompts, CFG and the strength of controls."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io, ui

from ..sampling.control_curve import with_control_curve
from ..sampling.curve import AXES, FRAMES, as_curve, make_curve
from ..sampling.curve_picture import plot
from ..sampling.guidance import with_cfg_curve
from ..sampling.keyframes import EASES, LINEAR
from ..sampling.prompt_travel import BLENDS, TravelOptions, travel
from .types import CATEGORY, Floats, strength_input, text
from .types import ValueCurve as CurveSocket

HOOKS = [f"hooks_{number}" for number in range(1, 9)]
EASE_TIP = "How it goes from keyframe to keyframe, where a keyframe does not say."


def _frames(num_frames: int, latent: dict[str, Any] | None) -> int:
    return num_frames if latent is None else latent["samples"].shape[0]


class ValueCurve(io.ComfyNode):
    """Text -> VALUE_CURVE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ValueCurve",
            display_name="Value Curve",
            category=CATEGORY,
            description="A number that changes over the frames or over the sampling steps. Connect it to any strength, influence, "
            "attention scale or CFG of this pack. It is drawn on the node.",
            search_aliases=["value schedule", "keyframes", "multival", "fade", "ramp"],
            has_intermediate_output=True,
            inputs=[
                io.String.Input(
                    "values",
                    multiline=True,
                    default="0: 0.0\n-1: 1.0",
                    tooltip="One number; a list, one per frame; or keyframes such as 0: 1.0, 8 ease-in: 0.5, 50%: 2, -1: 0. See the "
                    "help page.",
                ),
                io.Combo.Input(
                    "over", options=list(AXES), default=FRAMES, tooltip="What it changes over: frames of the clip, or steps."
                ),
                io.Combo.Input("easing", options=list(EASES), default=LINEAR, tooltip=EASE_TIP),
                io.Boolean.Input(
                    "loop", default=False, tooltip="The last keyframe goes on to the first, for clips that loop; a list starts again."
                ),
                io.Int.Input(
                    "num_frames",
                    default=16,
                    min=1,
                    max=4096,
                    tooltip="Length of the clip for the drawing and the list; the curve itself fits any clip. Range 1 to 4096.",
                ),
                io.Latent.Input("latent", optional=True, tooltip="The clip; its length is taken in place of num_frames."),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Multiplies the value per frame and place, 0 to 1: one mask for all frames, or one each.",
                ),
                io.MultiType.Input(
                    "times", [CurveSocket, Floats], optional=True, tooltip="Another curve to multiply with, such as one over steps."
                ),
            ],
            outputs=[
                CurveSocket.Output("curve", tooltip="For the strengths of this pack."),
                Floats.Output("floats", tooltip="The numbers alone, one per frame, for other nodes."),
            ],
        )

    @classmethod
    def execute(
        cls, values: str, over: str, easing: str, loop: bool, num_frames: int, latent: Any = None, **others: Any
    ) -> io.NodeOutput:
        frames = _frames(num_frames, latent)
        curve = make_curve(values, over, easing, loop, **others)
        return io.NodeOutput(curve, curve.numbers(frames), ui=ui.PreviewImage(plot(curve, frames), cls=cls))


class PromptTravel(io.ComfyNode):
    """CLIP + text -> CONDITIONING."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        hooks = io.Autogrow.TemplateNames(io.Hooks.Input("hooks", optional=True), names=HOOKS, min=0)
        return io.Schema(
            node_id="PromptTravel",
            display_name="Prompt Travel",
            category=CATEGORY,
            description="Prompts that hold some frames of a clip and turn into one another in between. Shows which prompt holds "
            "which frames.",
            search_aliases=["prompt schedule", "batch prompt schedule", "prompt scheduling", "fizznodes", "travel"],
            has_intermediate_output=True,
            inputs=[
                io.Clip.Input("clip", tooltip="Text encoder of the checkpoint; SDXL's two are both used."),
                io.String.Input(
                    "prompts",
                    multiline=True,
                    default="0: a calm sea, morning\n8: a stormy sea, night",
                    tooltip='A line per keyframe: frame, colon, prompt. Also reads "0": "a cat", lines. See the help page.',
                ),
                io.Int.Input(
                    "num_frames", default=16, min=1, max=4096, tooltip="Length of the clip in frames. Range 1 to 4096."
                ),
                io.String.Input("prepend", multiline=True, default="", tooltip="Text in front of every prompt."),
                io.String.Input("append", multiline=True, default="", tooltip="Text behind every prompt."),
                io.Combo.Input("easing", options=list(EASES), default=LINEAR, tooltip=EASE_TIP),
                io.Boolean.Input(
                    "loop", default=False, tooltip="The last prompt turns into the first, for clips that loop."
                ),
                io.Combo.Input(
                    "blend",
                    options=list(BLENDS),
                    default=BLENDS[0],
                    advanced=True,
                    tooltip="How embeddings are mixed: linear, or spherical, which keeps their length.",
                ),
                io.Latent.Input("latent", optional=True, tooltip="The clip; its length is taken in place of num_frames."),
                io.Autogrow.Input(
                    "hooks",
                    template=hooks,
                    optional=True,
                    tooltip="LoRA hooks of the host for prompts that ask for them, such as 8 hooks 1: a cat.",
                ),
            ],
            outputs=[io.Conditioning.Output("conditioning", tooltip="One prompt embedding per frame, for any sampler.")],
        )

    @classmethod
    def execute(
        cls, clip: Any, prompts: str, num_frames: int, easing: str, latent: Any = None, hooks: Any = None, **choices: Any
    ) -> io.NodeOutput:
        connected = {HOOKS.index(name) + 1: given for name, given in (hooks or {}).items() if given is not None}
        options = TravelOptions(ease=easing, **choices)
        conditioning, summary = travel(clip, prompts, _frames(num_frames, latent), options, connected)
        return io.NodeOutput(conditioning, ui=text(summary))


class ApplyCFGCurve(io.ComfyNode):
    """MODEL + curve -> MODEL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ApplyCFGCurve",
            display_name="Apply CFG Curve",
            category=CATEGORY,
            description="Gives every frame, step or place a CFG of its own, in place of the sampler's.",
            search_aliases=["custom cfg", "cfg schedule", "guidance per frame"],
            inputs=[
                io.Model.Input("model", tooltip="Any MODEL whose latent batch is a clip; animated or not."),
                strength_input("cfg", 7.5, 0.0, 100.0, "CFG: a number, or a curve from Value Curve. Range 0 to 100.", step=0.1),
            ],
            outputs=[io.Model.Output("model", tooltip="The MODEL with this CFG. The one given stays as it is.")],
        )

    @classmethod
    def execute(cls, model: Any, cfg: Any) -> io.NodeOutput:
        return io.NodeOutput(with_cfg_curve(model, as_curve(cfg)))


class ApplyControlCurve(io.ComfyNode):
    """CONDITIONING + curve -> CONDITIONING."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ApplyControlCurve",
            display_name="Apply Control Curve",
            category=CATEGORY,
            description="Multiplies the strength of the ControlNet, T2I-Adapter or SparseCtrl applied last, per frame, step or place.",
            search_aliases=["controlnet strength schedule", "latent keyframe", "timestep keyframe", "soft weights"],
            inputs=[
                io.Conditioning.Input("positive", tooltip="From Apply ControlNet or Apply SparseCtrl."),
                io.Conditioning.Input("negative", tooltip="From Apply ControlNet or Apply SparseCtrl."),
                strength_input("strength", 1.0, 0.0, 10.0, "What to multiply with: a number, or a curve from Value Curve. Range 0 to 10."),
            ],
            outputs=[
                io.Conditioning.Output("positive", tooltip="For a sampler, or the next Apply ControlNet."),
                io.Conditioning.Output("negative", tooltip="For a sampler, or the next Apply ControlNet."),
            ],
        )

    @classmethod
    def execute(cls, positive: Any, negative: Any, strength: Any) -> io.NodeOutput:
        return io.NodeOutput(*with_control_curve([positive, negative], as_curve(strength)))
