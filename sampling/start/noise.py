"""Noise that belongs to frames: what a run starts from, and what ancestral samplers add at each step.

``run.start`` puts the options on a MODEL, ``run.around`` carries them out. ``FrameNoiseSource`` is the same for a NOISE socket.
"""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ..host.sample import KSAMPLER, BrownianTreeNoiseSampler, Latent, Sampler
from ..host.windows import free_noise
from .free_init import FreeInit

OWN_SEED, REPEATED, CONSTANT, FREENOISE = "per frame", "repeated", "constant", "freenoise"
KINDS = (OWN_SEED, REPEATED, CONSTANT, FREENOISE)
_BROWNIAN = ("dpmpp_sde", "2m_sde", "3m_sde")
"""Samplers that ask for the noise between any two sigmas: parts of a step have to add up to the step."""


@dataclass(frozen=True)
class FrameNoise:
    """Which frames share their noise.

    Attributes:
        kind: one of ``KINDS``. Every frame has a seed of its own, which does not change when the animation grows; the others
            repeat the first ``length`` frames, use one for all, or shuffle those of the window before (FreeNoise).
        length, overlap: of a window, for the kinds repeated and freenoise.
        shared: variance that all frames have in common, 0 to 1.
    """

    kind: str = OWN_SEED
    length: int = 16
    overlap: int = 4
    shared: float = 0.0

    def __post_init__(self) -> None:
        if self.kind == FREENOISE and not 0 <= self.overlap < self.length:
            raise ValueError(
                f"overlap must be less than length for the kind freenoise, or windows never advance; got overlap {self.overlap} "
                f"and length {self.length}. Use an overlap of about {self.length // 4}."
            )


@dataclass(frozen=True)
class NoiseOptions:
    """What a MODEL carries: what its runs start from."""

    frames: FrameNoise | None = None
    free_init: FreeInit | None = None


class NoiseSource(Protocol):
    """The noise that a sampler adds between two sigmas: ``(F, C, H, W)``."""

    def __call__(self, sigma: Tensor | None, sigma_next: Tensor | None) -> Tensor: ...


def frame_seeds(seed: int, frames: int, options: FrameNoise) -> list[int]:
    """A seed per frame, far from those of other seeds and frames (steps of two odd constants, modulo 2^63)."""
    own = {REPEATED: lambda i: i % options.length, CONSTANT: lambda i: 0}.get(options.kind, lambda i: i)
    return [(seed * 0x9E3779B97F4A7C15 + own(i) * 0xBF58476D1CE4E5B9) % 2**63 for i in range(frames)]


class StepNoise:
    """The noise that ancestral samplers add at each step, a generator per frame. Called by the host's samplers."""

    def __init__(self, like: Tensor, seeds: list[int]) -> None:
        self.like = like
        self.seeds = seeds
        self.generators = {seed: torch.Generator().manual_seed(seed) for seed in seeds}

    def __call__(self, sigma: Tensor | None = None, sigma_next: Tensor | None = None) -> Tensor:
        """``(F, C, H, W)``, on the device and in the dtype of the tensor given at the start."""
        drawn = {seed: torch.randn(self.like.shape[1:], generator=g) for seed, g in self.generators.items()}
        return torch.stack([drawn[seed] for seed in self.seeds]).to(self.like)


def with_common(own: Tensor, common: Tensor, shared: float) -> Tensor:
    """Noise of variance 1 of which ``shared`` is common to all frames."""
    return shared**0.5 * common + (1 - shared) ** 0.5 * own


def initial_noise(like: Tensor, seed: int, options: FrameNoise) -> Tensor:
    """``(F, C, H, W)`` for the start of a run; the first frames are the same whatever F is."""
    seeds = frame_seeds(seed, like.shape[0], options)
    noise = StepNoise(like, seeds)()
    if options.shared:
        noise = with_common(noise, StepNoise(like, [seed] * len(seeds))(), options.shared)
    if options.kind == FREENOISE:
        noise = free_noise(noise, options.length, options.overlap, seed)
    return noise


class FrameNoiseSource:
    """Noise of frames on the host's NOISE socket. It covers the start of a run; what samplers add at each step is theirs."""

    def __init__(self, seed: int, options: FrameNoise) -> None:
        self.seed = seed
        self.options = options

    def generate_noise(self, input_latent: Latent) -> Tensor:
        """Called by the host: noise for the latents of an animation, ``(F, C, H, W)``."""
        return initial_noise(input_latent["samples"].cpu(), self.seed, self.options)


def _step_noise(like: Tensor, sigmas: Tensor, seed: int, options: FrameNoise, brownian: bool) -> NoiseSource:
    seeds = [s + 1 for s in frame_seeds(seed, like.shape[0], options)]  # not the noise of the start again

    def source(given: list[int]) -> NoiseSource:
        if not brownian:
            return StepNoise(like, given)
        return BrownianTreeNoiseSampler(like, sigmas[sigmas > 0].min(), sigmas.max(), seed=given, cpu=True)

    own = source(seeds)
    if options.shared == 0:
        return own
    shared = source([seed + 1] * len(seeds))
    return lambda sigma, sigma_next: with_common(own(sigma, sigma_next), shared(sigma, sigma_next), options.shared)


def with_step_noise(sampler: Sampler, like: Tensor, sigmas: Tensor, seed: int, options: FrameNoise) -> Sampler:
    """The sampler with noise of frames in place of its default, if it adds any; other samplers are returned unchanged."""
    if not isinstance(sampler, KSAMPLER):
        return sampler
    function: Any = sampler.sampler_function
    if "noise_sampler" not in inspect.signature(function).parameters:
        return sampler
    brownian = any(mark in function.__name__ for mark in _BROWNIAN)
    ours = copy.copy(sampler)  # keeps what a pack's own kind of sampler adds
    ours.extra_options = {"noise_sampler": _step_noise(like, sigmas, seed, options, brownian), **sampler.extra_options}
    return ours
