"""Animate and sample in one node, for the common case; and frames that are given before sampling."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..sampling.run.animate import animate
from ..sampling.run.sample import SAMPLERS, SCHEDULERS, sample
from ..sampling.start.pin_frames import FILLS, pin_frames, with_frames
from ..sampling.windows.options import WindowOptions
from .types import (
    CATEGORY,
    MotionModuleSocket,
    NumberOrCurve,
    choice,
    conditioning_inputs,
    context_options_input,
    count,
    model_input,
    num_frames_input,
    seed_input,
    share,
    strength_input,
)


class AnimateDiffSampler(io.ComfyNode):
    """Apply Motion Module and the host's KSampler in one."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        cfg = "How strictly the prompts are followed; the authors used 7.5."
        denoise = "How much of the given latent is redone: 1.0 starts from pure noise."
        return io.Schema(
            node_id="AnimateDiffNativeSampler",
            display_name="AnimateDiff Sampler",
            category=CATEGORY,
            description="Makes an animation: puts the motion module on the MODEL and samples every latent as a frame.",
            search_aliases=["animatediff", "ksampler", "text to video"],
            inputs=[
                model_input("A checkpoint for the module's base model, with any LoRA or patch on it."),
                MotionModuleSocket.Input("motion_module", tooltip="From Load Motion Module."),
                *conditioning_inputs(),
                io.Latent.Input("latent_image", tooltip="Its batch size is the number of frames; 16 suits most."),
                seed_input("seed"),
                count("steps", 25, 1, 10000, "Denoising steps; 20 to 30 suit most modules."),
                strength_input("cfg", 7.5, 0.0, 100.0, cfg, step=0.1),
                choice("sampler_name", SAMPLERS, "euler", "Sampling algorithm of the host."),
                choice("scheduler", SCHEDULERS, "normal", "How noise falls over the steps."),
                share("denoise", 1.0, denoise, advanced=True),
                context_options_input(),
            ],
            outputs=[io.Latent.Output("latent", tooltip="One latent per frame; decode them with VAE Decode.")],
        )

    @classmethod
    def execute(
        cls,
        model: io.Model.Type,
        motion_module: Any,
        positive: io.Conditioning.Type,
        negative: io.Conditioning.Type,
        latent_image: dict[str, Any],
        seed: int,
        steps: int,
        cfg: NumberOrCurve,
        sampler_name: str,
        scheduler: str,
        denoise: float,
        context_options: WindowOptions | None = None,
    ) -> io.NodeOutput:
        latent = sample(
            animate(model, motion_module, context_options),
            latent_image,
            positive,
            negative,
            cfg,
            seed=seed,
            steps=steps,
            sampler_name=sampler_name,
            scheduler=scheduler,
            denoise=denoise,
        )
        return io.NodeOutput(latent)


class SetLatentFrames(io.ComfyNode):
    """LATENT -> a LATENT with another number of frames."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SetLatentFrames",
            display_name="Set Latent Frames",
            category=CATEGORY,
            description="Gives a latent the number of frames of an animation: the last one is repeated, or those after it are left "
            "out. Use it to animate from one image.",
            search_aliases=["repeat latent batch", "image to video", "number of frames"],
            inputs=[
                io.Latent.Input("latent", tooltip="One or more frames."),
                num_frames_input(16),
            ],
            outputs=[io.Latent.Output("latent", tooltip="The latent with so many frames; masks are repeated too.")],
        )

    @classmethod
    def execute(cls, latent: dict[str, Any], num_frames: int) -> io.NodeOutput:
        return io.NodeOutput(with_frames(latent, num_frames))


class PinFrames(io.ComfyNode):
    """LATENT + IMAGE -> a LATENT some of whose frames are given."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        frames = "Which frames. 0 is the first, -1 the last, .5 the middle; 0, 2..4, -1 names five."
        fill = (
            "What the other frames start from when denoise is below 1.0: a blend of the pinned frames on both sides, "
            "the nearest one, or what the latent holds (keep)."
        )
        return io.Schema(
            node_id="PinFrames",
            display_name="Pin Frames",
            category=CATEGORY,
            description="Pins frames to images; sampling makes the others to fit. Chain several to pin more.",
            search_aliases=["image to video", "first frame", "last frame", "start image", "inpaint frames"],
            inputs=[
                io.Latent.Input("latent", tooltip="The animation; its batch size is the number of frames."),
                io.Image.Input("images", tooltip="One for all frames or one for each; cut to the latent's shape."),
                io.Vae.Input("vae", tooltip="The checkpoint's VAE; it encodes the images."),
                io.String.Input("frames", default="0", tooltip=frames),
                share("strength", 1.0, "With 1.0 the images are not changed; with less, sampling may change them."),
                choice("fill", FILLS, FILLS[0], fill),
            ],
            outputs=[io.Latent.Output("latent", tooltip="The animation with its pinned frames, for any sampler.")],
        )

    @classmethod
    def execute(
        cls, latent: dict[str, Any], images: io.Image.Type, vae: io.Vae.Type, frames: str, strength: float, fill: str
    ) -> io.NodeOutput:
        return io.NodeOutput(pin_frames(latent, images, vae, frames=frames, strength=strength, fill=fill))
