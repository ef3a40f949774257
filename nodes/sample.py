"""Animate and sample in one node, for the common case."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..sampling.inject import animate
from ..sampling.run import SAMPLERS, SCHEDULERS, sample
from .types import CATEGORY, ContextOptions, MotionModule


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
                io.Float.Input(
                    "cfg",
                    default=7.5,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    round=0.01,
                    tooltip="How strictly the prompts are followed; the authors used 7.5. Range 0 to 100.",
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
