"""What a clip starts from: noise that belongs to frames, and FreeInit."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..sampling.noise import FILTERS, KINDS, ClipNoise, FrameNoise, FreeInit, with_noise
from .types import CATEGORY


def _kind_inputs() -> list[Any]:
    """How frames share their noise."""
    return [
        io.Combo.Input(
            "kind",
            options=list(KINDS),
            default=KINDS[0],
            tooltip="per frame: a seed each. repeated: the first frames again. constant: one for all. freenoise: those of the "
            "window before, shuffled.",
        ),
        io.Float.Input(
            "shared",
            default=0.0,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="How much of the noise all frames have in common: 0.0 none, 1.0 all. Range 0 to 1.",
        ),
        io.Int.Input(
            "length",
            default=16,
            min=1,
            max=4096,
            advanced=True,
            tooltip="For repeated and freenoise: after how many frames. Range 1 to 4096.",
        ),
        io.Int.Input(
            "overlap",
            default=4,
            min=0,
            max=4095,
            advanced=True,
            tooltip="For freenoise: frames that windows share. Range 0 to 4095.",
        ),
    ]


class RandomFrameNoise(io.ComfyNode):
    """Seed -> NOISE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="RandomFrameNoise",
            display_name="Random Frame Noise",
            category=CATEGORY,
            description="Noise of a seed per frame, or that frames share, for SamplerCustomAdvanced and other nodes that take NOISE.",
            search_aliases=["noise type", "per frame seed", "random noise", "freenoise"],
            inputs=[
                io.Int.Input(
                    "noise_seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="The same seed gives the same noise. 0 to 2^64 - 1.",
                ),
                *_kind_inputs(),
            ],
            outputs=[io.Noise.Output("noise", tooltip="For SamplerCustomAdvanced.")],
        )

    @classmethod
    def execute(cls, noise_seed: int, **choices: Any) -> io.NodeOutput:
        return io.NodeOutput(ClipNoise(noise_seed, FrameNoise(**choices)))


class ApplyFrameNoise(io.ComfyNode):
    """MODEL -> MODEL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ApplyFrameNoise",
            display_name="Apply Frame Noise",
            category=CATEGORY,
            description="Gives every frame noise of its own seed, so that a longer clip begins like a shorter one; or lets frames "
            "share noise. For any sampler, ancestral and SDE ones included.",
            search_aliases=["noise type", "per frame seed", "constant noise", "repeated noise", "freenoise"],
            inputs=[
                io.Model.Input("model", tooltip="Any MODEL whose latent batch is a clip; animated or not."),
                *_kind_inputs(),
            ],
            outputs=[io.Model.Output("model", tooltip="The MODEL with this noise. The one given stays as it is.")],
        )

    @classmethod
    def execute(cls, model: Any, **choices: Any) -> io.NodeOutput:
        return io.NodeOutput(with_noise(model, frames=FrameNoise(**choices)))


class ApplyFreeInit(io.ComfyNode):
    """MODEL -> MODEL."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        share: dict[str, Any] = {"default": 0.25, "min": 0.0, "max": 1.0, "step": 0.01}
        return io.Schema(
            node_id="ApplyFreeInit",
            display_name="Apply FreeInit",
            category=CATEGORY,
            description="Samples the clip several times, each from the slow part of the last result: steadier, and as many times "
            "slower.",
            search_aliases=["freeinit", "iterations", "consistency", "flicker"],
            inputs=[
                io.Model.Input("model", tooltip="The animated MODEL."),
                io.Int.Input(
                    "iterations", default=3, min=1, max=20, tooltip="How often the clip is sampled. Range 1 to 20."
                ),
                io.Combo.Input(
                    "filter", options=list(FILTERS), default=FILTERS[0], tooltip="How slow and fast parts are told apart."
                ),
                io.Float.Input(
                    "spatial", **share, tooltip="Where slow ends within a frame, of the highest frequency. Range 0 to 1."
                ),
                io.Float.Input(
                    "temporal", **share, tooltip="Where slow ends from frame to frame, of the highest. Range 0 to 1."
                ),
                io.Int.Input(
                    "order", default=4, min=1, max=20, advanced=True, tooltip="Steepness of the Butterworth filter. 1 to 20."
                ),
            ],
            outputs=[io.Model.Output("model", tooltip="The MODEL with FreeInit. The one given stays as it is.")],
        )

    @classmethod
    def execute(cls, model: Any, **choices: Any) -> io.NodeOutput:
        return io.NodeOutput(with_noise(model, free_init=FreeInit(**choices)))
