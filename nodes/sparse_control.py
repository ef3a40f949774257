"""SparseCtrl: images or drawings for some frames of an animation; the others follow."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..sampling.controls.placement import PLACEMENTS, SparseSettings
from ..sampling.controls.sparse import apply_sparse_control
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


class SparseCtrlApply(io.ComfyNode):
    """CONDITIONING + CONTROL_NET + IMAGE -> CONDITIONING."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        placement = (
            "Where the images go: spread evenly (one image: the first frame), the first frames, the first and the "
            "last, the frames named, or those with a mask."
        )
        frames = "For the placement indexes. 0 is the first frame, -1 the last, .5 the middle; 0, 2..4, -1 names five."
        unhinted = "Multiplies the strength for frames without an image: 1.0 is as trained."
        nearest = "A context window without an image uses the one nearest in time."
        hint_mask = "For the placement mask: one mask per frame. Frames whose mask is not empty get an image."
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
                choice("placement", PLACEMENTS, PLACEMENTS[0], placement),
                io.String.Input("frames", default="0", tooltip=frames),
                strength_input("strength", 1.0, 0.0, 10.0, "1.0 is as trained, 0.0 has no effect."),
                io.Vae.Input("vae", optional=True, tooltip="The checkpoint's VAE. Only RGB models need it."),
                *percent_range("SparseCtrl", advanced=True),
                number("unhinted_strength", 1.0, 0.0, 10.0, unhinted, advanced=True),
                io.Boolean.Input("nearest", default=False, advanced=True, tooltip=nearest),
                region_mask("strength_mask", "strength", advanced=True),
                io.Mask.Input("hint_mask", optional=True, advanced=True, tooltip=hint_mask),
                io.Latent.Input("latent", optional=True, tooltip=latent),
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
    ) -> io.NodeOutput:
        settings = SparseSettings(
            placement=placement,
            frames=frames,
            hint_mask=hint_mask,
            unhinted=unhinted_strength,
            nearest=nearest,
            strength_mask=strength_mask,
        )
        percents = (start_percent, end_percent)
        length = None if latent is None else latent["samples"].shape[0]
        *conds, shown = apply_sparse_control(
            positive, negative, control_net, images, vae, settings, strength, percents, length
        )
        return io.NodeOutput(*conds, ui=text(shown))
