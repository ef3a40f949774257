"""What changes over an animation: values, prompts, CFG and the strength of controls."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io, ui

from ..sampling.controls.curve import curved_control, with_control_curve
from ..sampling.prompts.plan import BLENDS, JOINTS, PADDINGS, TravelOptions
from ..sampling.prompts.travel import frame_of, travel
from ..sampling.run.cfg import with_cfg_curve
from ..sampling.timeline.curve import AXES, FRAMES, as_curve, as_strength, make_curve
from ..sampling.timeline.keyframes import EASINGS, LINEAR
from ..sampling.timeline.picture import plot
from .types import (
    CATEGORY,
    FloatsSocket,
    NumberOrCurve,
    ValueCurveSocket,
    choice,
    conditioning_inputs,
    conditioning_outputs,
    count,
    frames_of,
    latent_length_input,
    model_input,
    model_output,
    num_frames_input,
    number,
    region_mask,
    strength_input,
    text,
)

HOOKS = [f"hooks_{number}" for number in range(1, 9)]
VALUES = list("abcdefgh")
EASE_TIP = "How it goes from keyframe to keyframe, where a keyframe does not say."


class ValueCurve(io.ComfyNode):
    """Text -> ANIMATEDIFF_CURVE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        values = (
            "One number, a list with one per frame, keyframes such as 0: 1.0, 8 ease-in: 0.5, 50%: 2, -1: 0, or an "
            "expression such as 0.5 + 0.2 * sin(t / 5). See the help page."
        )
        loop = "The last keyframe leads to the first, for animations that loop; a list starts again."
        times = "Another curve to multiply with, such as one over steps."
        outside = "The value where the mask is 0; between 0 and 1 the two are mixed. For nothing without a mask."
        stretch = "The lowest value of the mask, over all frames, counts as 0 and the highest as 1."
        return io.Schema(
            node_id="ValueCurve",
            display_name="Value Curve",
            category=CATEGORY,
            description="Makes a number that changes over the frames or over the sampling steps, and draws it. Connect "
            "it to any strength, influence, attention scale or CFG of this pack.",
            search_aliases=["value schedule", "batch value schedule", "keyframes", "expression", "multival", "fade", "ramp"],
            has_intermediate_output=True,
            inputs=[
                io.String.Input("values", multiline=True, default="0: 0.0\n-1: 1.0", tooltip=values),
                choice("over", AXES, FRAMES, "What it changes over: the frames or the sampling steps."),
                choice("easing", EASINGS, LINEAR, EASE_TIP),
                io.Boolean.Input("loop", default=False, tooltip=loop),
                num_frames_input(16, "Length of the drawing and the list; the curve itself fits any length."),
                latent_length_input(),
                region_mask("mask", "value"),
                io.MultiType.Input("times", [ValueCurveSocket, FloatsSocket], optional=True, tooltip=times),
                number("outside", 0.0, -100.0, 100.0, outside, advanced=True, optional=True),
                io.Boolean.Input("stretch_mask", optional=True, default=False, advanced=True, tooltip=stretch),
            ],
            outputs=[
                ValueCurveSocket.Output("curve", tooltip="For the strengths of this pack."),
                FloatsSocket.Output("floats", tooltip="The numbers alone, one per frame, for other nodes."),
            ],
        )

    @classmethod
    def execute(
        cls,
        values: str,
        over: str,
        easing: str,
        loop: bool,
        num_frames: int,
        latent: dict[str, Any] | None = None,
        mask: io.Mask.Type | None = None,
        times: NumberOrCurve = None,
        outside: float = 0.0,
        stretch_mask: bool = False,
    ) -> io.NodeOutput:
        frames = frames_of(num_frames, latent)
        curve = make_curve(
            values,
            over=over,
            easing=easing,
            loop=loop,
            mask=mask,
            times=times,
            outside=outside,
            stretch_mask=stretch_mask,
        )
        return io.NodeOutput(curve, curve.numbers(frames), ui=ui.PreviewImage(plot(curve, frames), cls=cls))


class PromptTravel(io.ComfyNode):
    """CLIP + text -> CONDITIONING, positive and negative."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        prompts = (
            'A line per keyframe: frame, colon, prompt. Lines like "0": "a cat", are read too. --neg begins the negative part; '
            "`a * 2` is a number in each frame. See the help page."
        )
        sea = "0: a calm sea, morning\n8: a stormy sea, night"
        hooks = io.Autogrow.TemplateNames(io.Hooks.Input("hooks", optional=True), names=HOOKS, min=0)
        hooks_tip = "LoRA hooks of the host for prompts that ask for them, such as 8 hooks 1: a cat."
        blend = "How embeddings are mixed: linear, or spherical, which keeps their length."
        value = io.MultiType.Input("value", [io.Float, io.Int, ValueCurveSocket, FloatsSocket], optional=True)
        values = io.Autogrow.TemplateNames(value, names=VALUES, min=0)
        values_tip = "Numbers, lists of one per frame or curves over frames, for prompts such as (smile:`a`) or (smile:`a * 0.5`)."
        start = "The frame of the timeline that is the first of this animation, for animations made in parts."
        whole = "Length of the whole timeline, which -1, 50% and max_f speak of. 0: it ends with this animation."
        joint = "How prepend and append are joined to prompts: with one comma, or with a space as FizzNodes does."
        padding = (
            "How prompts of several lengths (75 tokens, 150, ...) come to one: repeated, which does not change what they mean, or "
            "with zeros around them, which makes shorter ones weaker, as FizzNodes and AnimateDiff-Evolved do."
        )
        return io.Schema(
            node_id="AnimateDiffPromptTravel",
            display_name="Prompt Travel",
            category=CATEGORY,
            description="Turns prompts into one another over the frames. Shows which prompt holds in which frames.",
            search_aliases=["prompt schedule", "batch prompt schedule", "prompt scheduling", "fizznodes", "travel"],
            has_intermediate_output=True,
            inputs=[
                io.Clip.Input("clip", tooltip="The checkpoint's CLIP; both text encoders of SDXL are used."),
                io.String.Input("prompts", multiline=True, default=sea, tooltip=prompts),
                num_frames_input(16),
                io.String.Input("prepend", multiline=True, default="", tooltip="Text before every prompt."),
                io.String.Input("append", multiline=True, default="", tooltip="Text after every prompt."),
                choice("easing", EASINGS, LINEAR, EASE_TIP),
                io.Boolean.Input("loop", default=False, tooltip="The last prompt turns into the first."),
                choice("blend", BLENDS, BLENDS[0], blend, advanced=True),
                latent_length_input(),
                io.Autogrow.Input("hooks", template=hooks, optional=True, tooltip=hooks_tip),
                io.Autogrow.Input("values", template=values, optional=True, tooltip=values_tip),
                count("start_frame", 0, 0, 999_999, start, unit="frames", advanced=True, optional=True),
                count("timeline_frames", 0, 0, 999_999, whole, unit="frames", advanced=True, optional=True),
                choice("joint", JOINTS, JOINTS[0], joint, advanced=True, optional=True),
                choice("padding", PADDINGS, PADDINGS[0], padding, advanced=True, optional=True),
            ],
            outputs=[
                io.Conditioning.Output("conditioning", tooltip="Prompt embeddings per frame, for any sampler."),
                io.Conditioning.Output("negative", tooltip="What prompts say after --neg, per frame; the empty prompt where none does."),
            ],
        )

    @classmethod
    def execute(
        cls,
        clip: io.Clip.Type,
        prompts: str,
        num_frames: int,
        prepend: str,
        append: str,
        easing: str,
        loop: bool,
        blend: str,
        latent: dict[str, Any] | None = None,
        hooks: dict[str, Any] | None = None,
        values: dict[str, Any] | None = None,
        start_frame: int = 0,
        timeline_frames: int = 0,
        joint: str = JOINTS[0],
        padding: str = PADDINGS[0],
    ) -> io.NodeOutput:
        connected = {HOOKS.index(name) + 1: given for name, given in (hooks or {}).items() if given is not None}
        numbers = {name: as_strength(given) for name, given in (values or {}).items() if given is not None}
        options = TravelOptions(
            prepend, append, easing, loop, blend, joint, padding, start_frame, timeline_frames, numbers
        )
        made = travel(clip, prompts, frames_of(num_frames, latent), options, connected)
        return io.NodeOutput(made.positive, made.negative, ui=text(made.summary))


class PromptOfFrame(io.ComfyNode):
    """CONDITIONING of an animation -> that of one frame."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PromptOfFrame",
            display_name="Prompt of Frame",
            category=CATEGORY,
            description="Takes what one frame of an animation sees of prompts that change over the frames, to sample that frame "
            "alone: to repair it, to enlarge it, or as a still.",
            search_aliases=["condition extraction", "conditioning of frame", "single frame", "keyframe prompt"],
            inputs=[
                io.Conditioning.Input("conditioning", tooltip="From Prompt Travel, or any with an embedding per frame."),
                count("frame", 0, 0, 999_999, "Which frame; the first is 0."),
            ],
            outputs=[io.Conditioning.Output("conditioning", tooltip="For a latent with one frame, or with frames that are all to look so.")],
        )

    @classmethod
    def execute(cls, conditioning: io.Conditioning.Type, frame: int) -> io.NodeOutput:
        return io.NodeOutput(frame_of(conditioning, frame))


class ApplyCFGCurve(io.ComfyNode):
    """MODEL + curve -> MODEL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ApplyCFGCurve",
            display_name="Apply CFG Curve",
            category=CATEGORY,
            description="Gives every frame, step or region a CFG of its own, in place of the sampler's.",
            search_aliases=["custom cfg", "cfg schedule", "guidance per frame"],
            inputs=[
                model_input(),
                strength_input("cfg", 7.5, 0.0, 100.0, "How strictly the prompts are followed.", step=0.1),
            ],
            outputs=[model_output("MODEL with this CFG")],
        )

    @classmethod
    def execute(cls, model: io.Model.Type, cfg: NumberOrCurve) -> io.NodeOutput:
        return io.NodeOutput(with_cfg_curve(model, as_curve(cfg)))


def _falloff_input() -> io.Float.Input:
    """How much less a control adds in blocks far from the middle of the UNet."""
    falloff = (
        "Multiplies the control once more in each block further from the middle of the UNet. Below 1.0 it shapes the picture and "
        "leaves details free; 0.825 are the usual soft weights."
    )
    return number("block_falloff", 1.0, 0.0, 1.0, falloff, step=0.001, advanced=True, optional=True)


class ApplyControlCurve(io.ComfyNode):
    """CONDITIONING + curve -> CONDITIONING."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        source = "From Apply ControlNet or Apply SparseCtrl."
        return io.Schema(
            node_id="ApplyControlCurve",
            display_name="Apply Control Curve",
            category=CATEGORY,
            description="Multiplies the strength of the ControlNet, T2I-Adapter or SparseCtrl applied last, per frame, "
            "step or region.",
            search_aliases=["controlnet strength schedule", "latent keyframe", "timestep keyframe", "soft weights"],
            inputs=[
                *conditioning_inputs(source, source),
                strength_input("strength", 1.0, 0.0, 10.0, "What to multiply the control's strength with."),
                _falloff_input(),
            ],
            outputs=conditioning_outputs("For a sampler, or the next Apply ControlNet."),
        )

    @classmethod
    def execute(
        cls,
        positive: io.Conditioning.Type,
        negative: io.Conditioning.Type,
        strength: NumberOrCurve,
        block_falloff: float = 1.0,
    ) -> io.NodeOutput:
        return io.NodeOutput(*with_control_curve([positive, negative], as_curve(strength), block_falloff))


class SetControlCurve(io.ComfyNode):
    """CONTROL_NET + curve -> CONTROL_NET."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SetControlCurve",
            display_name="Set Control Curve",
            category=CATEGORY,
            description="Multiplies the strength of a ControlNet, T2I-Adapter or SparseCtrl per frame, step or region, before "
            "it is applied.",
            search_aliases=["controlnet strength schedule", "latent keyframe", "timestep keyframe"],
            inputs=[
                io.ControlNet.Input("control_net", tooltip="From its loader. It is not changed."),
                strength_input("strength", 1.0, 0.0, 10.0, "What to multiply the control's strength with."),
                _falloff_input(),
            ],
            outputs=[io.ControlNet.Output("control_net", tooltip="The control, for Apply ControlNet.")],
        )

    @classmethod
    def execute(
        cls, control_net: io.ControlNet.Type, strength: NumberOrCurve, block_falloff: float = 1.0
    ) -> io.NodeOutput:
        return io.NodeOutput(curved_control(control_net, as_curve(strength), block_falloff))
