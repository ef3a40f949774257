"""SparseCtrl: images or drawings for some frames of a clip; the others follow."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..sampling.placement import PLACEMENTS, SparseSettings
from ..sampling.sparse_control import apply_sparse_control
from .types import CATEGORY, strength_input, text


class SparseCtrlApply(io.ComfyNode):
    """CONDITIONING + CONTROL_NET + IMAGE -> CONDITIONING."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        percent: dict[str, Any] = {"min": 0.0, "max": 1.0, "step": 0.001, "advanced": True}
        return io.Schema(
            node_id="SparseCtrlApply",
            display_name="Apply SparseCtrl",
            category=CATEGORY,
            description="Gives some frames of the clip an image or a drawing; the others follow. Shows which frame has which.",
            search_aliases=["sparsectrl", "image to video", "interpolation", "storyboard", "keyframes"],
            has_intermediate_output=True,
            inputs=[
                io.Conditioning.Input("positive", tooltip="What the clip shows."),
                io.Conditioning.Input("negative", tooltip="What to keep out of the clip."),
                io.ControlNet.Input("control_net", tooltip="From Load SparseCtrl."),
                io.Image.Input("images", tooltip="Images for an RGB model, white drawings on black for a scribble model."),
                io.Combo.Input(
                    "placement",
                    options=list(PLACEMENTS),
                    default=PLACEMENTS[0],
                    tooltip="Where the images go: spread evenly (one image: the first frame), the first frames, the first and the "
                    "last, the frames named, or those with a mask.",
                ),
                io.String.Input(
                    "frames",
                    default="0",
                    tooltip="For the placement indexes: numbers separated by commas. 0 is the first, -1 the last, 50% the middle.",
                ),
                strength_input("strength", 1.0, 0.0, 10.0, "1.0 as trained, 0.0 no effect. A number or a curve. Range 0 to 10."),
                io.Vae.Input(
                    "vae", optional=True, tooltip="Of the checkpoint; RGB models need it, scribble models do not use it."
                ),
                io.Float.Input(
                    "start_percent", default=0.0, **percent, tooltip="Where in the sampling run it starts. Range 0 to 1."
                ),
                io.Float.Input(
                    "end_percent", default=1.0, **percent, tooltip="Where in the sampling run it stops. Range 0 to 1."
                ),
                io.Float.Input(
                    "unhinted_strength",
                    default=1.0,
                    min=0.0,
                    max=10.0,
                    step=0.01,
                    advanced=True,
                    tooltip="Multiplies the strength for frames without an image: 1.0 as trained. Range 0 to 10.",
                ),
                io.Boolean.Input(
                    "nearest",
                    default=False,
                    advanced=True,
                    tooltip="A context window without an image uses the one nearest in time.",
                ),
                io.Mask.Input(
                    "strength_mask",
                    optional=True,
                    advanced=True,
                    tooltip="Multiplies the strength per frame and place, 0 to 1: one mask for all frames, or one each.",
                ),
                io.Mask.Input(
                    "hint_mask",
                    optional=True,
                    advanced=True,
                    tooltip="For the placement mask: one mask per frame; frames whose mask is not empty get an image.",
                ),
                io.Latent.Input(
                    "latent", optional=True, tooltip="The clip that will be sampled: its length is checked and drawn."
                ),
            ],
            outputs=[
                io.Conditioning.Output("positive", tooltip="With SparseCtrl, for a sampler."),
                io.Conditioning.Output("negative", tooltip="With SparseCtrl, for a sampler."),
            ],
        )

    @classmethod
    def execute(
        cls, positive: Any, negative: Any, control_net: Any, images: Any, strength: Any, vae: Any = None, **choices: Any
    ) -> io.NodeOutput:
        percents = (choices.pop("start_percent", 0.0), choices.pop("end_percent", 1.0))
        latent = choices.pop("latent", None)
        settings = SparseSettings(unhinted=choices.pop("unhinted_strength", 1.0), **choices)
        frames = None if latent is None else latent["samples"].shape[0]
        result = apply_sparse_control(positive, negative, control_net, images, vae, settings, strength, percents, frames)
        return io.NodeOutput(*result[:2], ui=text(result[2]))
