"""What an animation starts from: noise that belongs to frames, and FreeInit."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..sampling.run.start import with_frame_noise, with_free_init
from ..sampling.start.free_init import FILTERS, FreeInit
from ..sampling.start.noise import KINDS, FrameNoise, FrameNoiseSource
from .types import CATEGORY, choice, count, model_input, model_output, seed_input, share


def _kind_inputs() -> list[Any]:
    """How frames share their noise: the fields of ``FrameNoise``."""
    kind = (
        "per frame: each frame has its own seed. repeated: the first frames' noise again. constant: the same for all. "
        "freenoise: that of the window before, shuffled."
    )
    return [
        choice("kind", KINDS, KINDS[0], kind),
        share("shared", 0.0, "How much of the noise all frames have in common: 0.0 is none, 1.0 is all."),
        count("length", 16, 1, 4096, "For repeated and freenoise: length of a window.", unit="frames", advanced=True),
        count("overlap", 4, 0, 4095, "For freenoise: overlap of windows.", unit="frames", advanced=True),
    ]


class RandomFrameNoise(io.ComfyNode):
    """Seed -> NOISE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="RandomFrameNoise",
            display_name="Random Frame Noise",
            category=CATEGORY,
            description="Makes noise with a seed per frame, or noise that frames share, for nodes that take NOISE.",
            search_aliases=["noise type", "per frame seed", "random noise", "freenoise"],
            inputs=[seed_input("noise_seed"), *_kind_inputs()],
            outputs=[io.Noise.Output("noise", tooltip="For SamplerCustomAdvanced.")],
        )

    @classmethod
    def execute(cls, noise_seed: int, kind: str, shared: float, length: int, overlap: int) -> io.NodeOutput:
        frames = FrameNoise(kind=kind, shared=shared, length=length, overlap=overlap)
        return io.NodeOutput(FrameNoiseSource(noise_seed, frames))


class ApplyFrameNoise(io.ComfyNode):
    """MODEL -> MODEL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ApplyFrameNoise",
            display_name="Apply Frame Noise",
            category=CATEGORY,
            description="Gives every frame noise of its own seed, so that a longer animation begins like a shorter "
            "one, or lets frames share noise. It works with any sampler, ancestral and SDE ones included.",
            search_aliases=["noise type", "per frame seed", "constant noise", "repeated noise", "freenoise"],
            inputs=[model_input(), *_kind_inputs()],
            outputs=[model_output("MODEL with this noise")],
        )

    @classmethod
    def execute(cls, model: io.Model.Type, kind: str, shared: float, length: int, overlap: int) -> io.NodeOutput:
        frames = FrameNoise(kind=kind, shared=shared, length=length, overlap=overlap)
        return io.NodeOutput(with_frame_noise(model, frames))


class ApplyFreeInit(io.ComfyNode):
    """MODEL -> MODEL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        cutoff = "cut-off of the low-pass filter, as a share of the highest frequency."
        return io.Schema(
            node_id="ApplyFreeInit",
            display_name="Apply FreeInit",
            category=CATEGORY,
            description="Samples several times, each time from the low frequencies of the last result. The animation "
            "gets steadier and takes as many times longer.",
            search_aliases=["freeinit", "iterations", "consistency", "flicker"],
            inputs=[
                model_input("The animated MODEL."),
                count("iterations", 3, 1, 20, "How many times the animation is sampled."),
                choice("filter", FILTERS, FILTERS[0], "Low-pass filter."),
                share("spatial", 0.25, f"Spatial {cutoff}"),
                share("temporal", 0.25, f"Temporal {cutoff}"),
                count("order", 4, 1, 20, "Steepness of the Butterworth filter.", advanced=True),
            ],
            outputs=[model_output("MODEL with FreeInit")],
        )

    @classmethod
    def execute(
        cls,
        model: io.Model.Type,
        iterations: int = 3,
        filter: str = FILTERS[0],
        spatial: float = 0.25,
        temporal: float = 0.25,
        order: int = 4,
    ) -> io.NodeOutput:
        options = FreeInit(iterations=iterations, filter=filter, spatial=spatial, temporal=temporal, order=order)
        return io.NodeOutput(with_free_init(model, options))
