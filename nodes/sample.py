"""Animate and sample in one node, for the common case; and what a clip starts from."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..sampling.inject import animate
from ..sampling.pin_frames import FILLS, pin_frames
from ..sampling.run import SAMPLERS, SCHEDULERS, sample
from .types import CATEGORY, ContextOptions, MotionModule, strength_input


class AnimateDiffSampler(io.ComfyNode):
    """Apply Motion Module and the host's KSampler in one."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AnimateDiffSampler",
            display_name="AnimateDiff Sampler",
            category=CATEGORY,
            description="Makes a clip: animates the MODEL with the motion module and samples every latent as a frame.",
            search_aliases=["animatediff", "ksampler", "text to video"],
            inputs=[
                io.Model.Input(
                    "model", tooltip="Checkpoint of the module's base (SD1.5), with any LoRA or patch on it."
                ),
                MotionModule.Input("motion_module", tooltip="From Load Motion Module."),
                io.Conditioning.Input("positive", tooltip="What the clip shows."),
                io.Conditioning.Input("negative", tooltip="What to keep out of the clip."),
                io.Latent.Input(
                    "latent_image", tooltip="The batch size is the number of frames; 16 suits most modules."
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Starting point of the noise: the same seed gives the same clip. 0 to 2^64 - 1.",
                ),
                io.Int.Input(
                    "steps", default=25, min=1, max=10000, tooltip="Denoising steps; 20 to 30 suit most modules."
                ),
                strength_input(
                    "cfg",
                    7.5,
                    0.0,
                    100.0,
                    "How strictly the prompts are followed; the authors used 7.5. A number or a curve. Range 0 to 100.",
                    step=0.1,
                ),
                io.Combo.Input(
                    "sampler_name", options=SAMPLERS, default="euler", tooltip="Sampling algorithm of the host."
                ),
                io.Combo.Input(
                    "scheduler", options=SCHEDULERS, default="normal", tooltip="How noise falls over the steps."
                ),
                io.Float.Input(
                    "denoise",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip="How much of the given latent is redone: 1.0 starts from pure noise. Range 0 to 1.",
                ),
                ContextOptions.Input(
                    "context_options",
                    optional=True,
                    tooltip="For clips longer than the module was trained on, from Context Window Options.",
                ),
            ],
            outputs=[io.Latent.Output("latent", tooltip="The clip, one latent per frame; decode it with VAE Decode.")],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        motion_module: Any,
        positive: Any,
        negative: Any,
        latent_image: dict[str, Any],
        context_options: Any = None,
        **choices: Any,
    ) -> io.NodeOutput:
        animated = animate(model, motion_module, context_options)
        return io.NodeOutput(sample(animated, latent_image, positive, negative, **choices))


class PinFrames(io.ComfyNode):
    """LATENT + IMAGE -> a LATENT some of whose frames are given."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PinFrames",
            display_name="Pin Frames",
            category=CATEGORY,
            description="Pins frames of a clip to images, such as the first and the last; sampling makes the others to fit. "
            "Chain it to pin more.",
            search_aliases=["image to video", "first frame", "last frame", "start image", "inpaint frames"],
            inputs=[
                io.Latent.Input("latent", tooltip="The clip: its batch size is the number of frames."),
                io.Image.Input("images", tooltip="One image for all frames named, or one per frame; cut to the clip's shape."),
                io.Vae.Input("vae", tooltip="Of the checkpoint; it encodes the images."),
                io.String.Input(
                    "frames",
                    default="0",
                    tooltip="Which frames, separated by commas: 0 is the first, -1 the last, 50% the middle.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="1.0 keeps the images as they are; less lets sampling change them. Range 0 to 1.",
                ),
                io.Combo.Input(
                    "fill",
                    options=list(FILLS),
                    default=FILLS[0],
                    tooltip="What the other frames start from when denoise is below 1.0: a blend of the pinned frames around "
                    "them, the nearest one, or what the latent holds (keep).",
                ),
            ],
            outputs=[io.Latent.Output("latent", tooltip="The clip with its pinned frames, for any sampler.")],
        )

    @classmethod
    def execute(cls, latent: dict[str, Any], images: Any, vae: Any, **choices: Any) -> io.NodeOutput:
        return io.NodeOutput(pin_frames(latent, images, vae, **choices))
