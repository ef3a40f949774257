"""What an animation starts from: noise that belongs to frames, and FreeInit."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..sampling.run.start import with_frame_noise, with_free_init
from ..sampling.start.free_init import FILTERS, FreeInit
from ..sampling.start.noise import DRAWS, KINDS, FrameNoise, FrameNoiseSource
from .types import CATEGORY, choice, count, model_input, model_output, seed_input, share


def _kind_inputs(shortest: int, length: str) -> list[Any]:
    """Which frames share their noise: the first fields of ``FrameNoise``."""
    kind = (
        "per frame: each frame has noise of its own. repeated: the first frames' noise again. constant: the same for all. "
        "freenoise: that of the window before, shuffled. empty: none at the start."
    )
    length = f"For repeated and freenoise: length of a window{length}."
    return [
        choice("kind", KINDS, KINDS[0], kind),
        share("shared", 0.0, "How much of the noise all frames have in common: 0.0 is none, 1.0 is all."),
        count("length", 16, shortest, 4096, length, unit="frames", advanced=True),
        count("overlap", 4, 0, 4095, "For freenoise: overlap of windows.", unit="frames", advanced=True),
    ]


def _drawing_inputs() -> list[Any]:
    """Where the noise comes from: the last fields of ``FrameNoise``."""
    drawn = (
        "per frame: each frame has a seed of its own, and the steps' noise too. together: one seed for all, as the host "
        "does. seed + frame: seeds that follow one another, as in A1111."
    )
    skip = "Leaves out the first frames of what is drawn, to go on where another animation ended."
    return [
        choice("drawn", DRAWS, DRAWS[0], drawn, advanced=True, optional=True),
        count("seed_offset", 0, -1_000_000_000, 1_000_000_000, "Added to the seed.", advanced=True, optional=True),
        count("skip_frames", 0, 0, 4096, skip, unit="frames", advanced=True, optional=True),
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
            inputs=[seed_input("noise_seed"), *_kind_inputs(1, ""), *_drawing_inputs()],
            outputs=[io.Noise.Output("noise", tooltip="For SamplerCustomAdvanced.")],
        )

    @classmethod
    def execute(
        cls,
        noise_seed: int,
        kind: str,
        shared: float,
        length: int,
        overlap: int,
        drawn: str = DRAWS[0],
        seed_offset: int = 0,
        skip_frames: int = 0,
    ) -> io.NodeOutput:
        frames = FrameNoise(
            kind=kind,
            shared=shared,
            length=length,
            overlap=overlap,
            drawn=drawn,
            seed_offset=seed_offset,
            skip=skip_frames,
        )
        return io.NodeOutput(FrameNoiseSource(noise_seed, frames))


class ApplyFrameNoise(io.ComfyNode):
    """MODEL -> MODEL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        seed = "A seed for the noise alone, in place of the sampler's. Range 0 to 2^64 - 1."
        return io.Schema(
            node_id="ApplyFrameNoise",
            display_name="Apply Frame Noise",
            category=CATEGORY,
            description="Gives every frame noise of its own seed, so that a longer animation begins like a shorter "
            "one, or lets frames share noise. It works with any sampler, ancestral and SDE ones included.",
            search_aliases=["noise type", "per frame seed", "constant noise", "repeated noise", "freenoise"],
            inputs=[
                model_input(),
                *_kind_inputs(0, "; 0 takes length and overlap of the MODEL's context windows"),
                *_drawing_inputs(),
                io.Int.Input("noise_seed", optional=True, force_input=True, advanced=True, tooltip=seed),
            ],
            outputs=[model_output("MODEL with this noise")],
        )

    @classmethod
    def execute(
        cls,
        model: io.Model.Type,
        kind: str,
        shared: float,
        length: int,
        overlap: int,
        drawn: str = DRAWS[0],
        seed_offset: int = 0,
        skip_frames: int = 0,
        noise_seed: int | None = None,
    ) -> io.NodeOutput:
        frames = FrameNoise(
            kind=kind,
            shared=shared,
            length=length,
            overlap=overlap,
            drawn=drawn,
            seed_offset=seed_offset,
            skip=skip_frames,
            seed=noise_seed,
        )
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
