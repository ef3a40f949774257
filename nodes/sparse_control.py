"""SparseCtrl: images or drawings for some frames of an animation; the others follow.

Apply SparseCtrl does all at once; the other two prepare a SparseCtrl model and its images for Apply ControlNet.
"""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..sampling.controls.images import images_with_vae
from ..sampling.controls.placement import PLACEMENTS, RESIZES, SparseSettings
from ..sampling.controls.sparse import apply_sparse_control, with_sparse_settings
from .types import (
    CATEGORY,
    NumberOrCurve,
    choice,
    conditioning_inputs,
    conditioning_outputs,
    number,
    percent_range,
    region_mask,
    strength_input,
    text,
)


def _where_inputs() -> list[io.Input]:
    """Which frames get the images."""
    placement = (
        "Where the images go: spread evenly (one image: the first frame), also without the last frame, without the first or "
        "without both; the first frames, the first and the last, the frames named, or those with a mask."
    )
    frames = (
        "For the placements indexes, and indexes in turn, where frames beyond the number of images get none. 0 is the first "
        "frame, -1 the last, .5 the middle; 0, 2..4, -1 names five."
    )
    return [
        choice("placement", PLACEMENTS, PLACEMENTS[0], placement),
        io.String.Input("frames", default="0", tooltip=frames),
    ]


def _motion_input(*, advanced: bool = False) -> io.Float.Input:
    tooltip = "Multiplies what SparseCtrl's own temporal blocks add: 1.0 is as trained; with 0.0 frames do not see each other in it."
    return number("motion_strength", 1.0, 0.0, 10.0, tooltip, advanced=advanced)


def _advanced_inputs() -> list[io.Input]:
    """How frames without an image are treated."""
    unhinted = "Multiplies the strength for frames without an image: 1.0 is as trained."
    nearest = "A context window without an image uses the one nearest in time."
    hint_mask = "For the placement mask: one mask per frame. Frames whose mask is not empty get an image."
    return [
        number("unhinted_strength", 1.0, 0.0, 10.0, unhinted, advanced=True),
        io.Boolean.Input("nearest", default=False, advanced=True, tooltip=nearest),
        region_mask("strength_mask", "strength", advanced=True),
        io.Mask.Input("hint_mask", optional=True, advanced=True, tooltip=hint_mask),
    ]


class SparseCtrlFrames(io.ComfyNode):
    """CONTROL_NET -> CONTROL_NET."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        hinted = "Multiplies the strength for frames with an image: 1.0 is as trained."
        presence = "What the model is told about frames with an image, where it is told 0 about the others: 1.0 is as trained."
        attention = "Multiplies the keys of SparseCtrl's own temporal attention: 1.0 is as trained."
        resize = "How images are brought to the size of the animation. lanczos keeps most, nearest-exact is as hosts do it."
        return io.Schema(
            node_id="SparseCtrlFrames",
            display_name="Set SparseCtrl Frames",
            category=CATEGORY,
            description="Sets which frames a SparseCtrl model gives its images, for Apply ControlNet.",
            search_aliases=["sparsectrl", "sparse control", "index method", "spread method"],
            inputs=[
                io.ControlNet.Input("control_net", tooltip="From Load SparseCtrl. It is not changed."),
                *_where_inputs(),
                _motion_input(),
                *_advanced_inputs(),
                number("hinted_strength", 1.0, 0.0, 10.0, hinted, advanced=True),
                number("presence", 1.0, 0.0, 10.0, presence, advanced=True),
                number("attention_scale", 1.0, 0.0, 10.0, attention, advanced=True),
                choice("resize", RESIZES, RESIZES[0], resize, advanced=True),
            ],
            outputs=[io.ControlNet.Output("control_net", tooltip="The SparseCtrl model with these settings.")],
        )

    @classmethod
    def execute(
        cls,
        control_net: io.ControlNet.Type,
        placement: str = PLACEMENTS[0],
        frames: str = "0",
        motion_strength: float = 1.0,
        unhinted_strength: float = 1.0,
        nearest: bool = False,
        strength_mask: io.Mask.Type | None = None,
        hint_mask: io.Mask.Type | None = None,
        hinted_strength: float = 1.0,
        presence: float = 1.0,
        attention_scale: float = 1.0,
        resize: str = RESIZES[0],
    ) -> io.NodeOutput:
        settings = SparseSettings(
            placement=placement,
            frames=frames,
            hint_mask=hint_mask,
            unhinted=unhinted_strength,
            nearest=nearest,
            strength_mask=strength_mask,
            hinted=hinted_strength,
            presence=presence,
            motion=motion_strength,
            attention_scale=attention_scale,
            resize=resize,
        )
        return io.NodeOutput(with_sparse_settings(control_net, settings))


class SparseCtrlImages(io.ComfyNode):
    """IMAGE + VAE -> IMAGE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        user = "The same images, for Apply ControlNet without a VAE. Another node in between takes the VAE off again."
        return io.Schema(
            node_id="SparseCtrlImages",
            display_name="Images for SparseCtrl",
            category=CATEGORY,
            description="Sends the VAE along with images, so that SparseCtrl RGB can encode them where no VAE is connected.",
            search_aliases=["sparsectrl", "rgb sparsectrl", "preprocessor"],
            inputs=[
                io.Image.Input("images", tooltip="Images of any size. They are not changed."),
                io.Vae.Input("vae", tooltip="The checkpoint's VAE."),
            ],
            outputs=[io.Image.Output("images", tooltip=user)],
        )

    @classmethod
    def execute(cls, images: io.Image.Type, vae: io.Vae.Type) -> io.NodeOutput:
        return io.NodeOutput(images_with_vae(images, vae))


class SparseCtrlApply(io.ComfyNode):
    """CONDITIONING + CONTROL_NET + IMAGE -> CONDITIONING."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        latent = "The animation that will be sampled: its length is checked and drawn."
        return io.Schema(
            node_id="SparseCtrlApply",
            display_name="Apply SparseCtrl",
            category=CATEGORY,
            description="Gives some frames an image or a drawing; the others follow. Shows which frame has which.",
            search_aliases=["sparsectrl", "image to video", "interpolation", "storyboard", "keyframes"],
            has_intermediate_output=True,
            inputs=[
                *conditioning_inputs(),
                io.ControlNet.Input("control_net", tooltip="From Load SparseCtrl."),
                io.Image.Input("images", tooltip="Images for RGB models, white lines on black for scribble models."),
                *_where_inputs(),
                strength_input("strength", 1.0, 0.0, 10.0, "1.0 is as trained, 0.0 has no effect."),
                io.Vae.Input("vae", optional=True, tooltip="The checkpoint's VAE. Only RGB models need it."),
                *percent_range("SparseCtrl", advanced=True),
                *_advanced_inputs(),
                io.Latent.Input("latent", optional=True, tooltip=latent),
                _motion_input(advanced=True),
            ],
            outputs=conditioning_outputs("The prompt with SparseCtrl, for a sampler."),
        )

    @classmethod
    def execute(
        cls,
        positive: io.Conditioning.Type,
        negative: io.Conditioning.Type,
        control_net: io.ControlNet.Type,
        images: io.Image.Type,
        strength: NumberOrCurve,
        vae: io.Vae.Type | None = None,
        placement: str = PLACEMENTS[0],
        frames: str = "0",
        start_percent: float = 0.0,
        end_percent: float = 1.0,
        unhinted_strength: float = 1.0,
        nearest: bool = False,
        strength_mask: io.Mask.Type | None = None,
        hint_mask: io.Mask.Type | None = None,
        latent: dict[str, Any] | None = None,
        motion_strength: float = 1.0,
    ) -> io.NodeOutput:
        settings = SparseSettings(
            placement=placement,
            frames=frames,
            hint_mask=hint_mask,
            unhinted=unhinted_strength,
            nearest=nearest,
            strength_mask=strength_mask,
            motion=motion_strength,
        )
        percents = (start_percent, end_percent)
        length = None if latent is None else latent["samples"].shape[0]
        *conds, shown = apply_sparse_control(
            positive, negative, control_net, images, vae, settings, strength, percents, length
        )
        return io.NodeOutput(*conds, ui=text(shown))
