"""Noise that belongs to frames: what a run starts from, and what ancestral samplers add at each step.

``run.start`` puts the options on a MODEL, ``run.around`` carries them out. ``FrameNoiseSource`` is the same for a NOISE socket.
"""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from ..host.sample import KSAMPLER, BrownianTreeNoiseSampler, Latent, Sampler
from ..host.windows import free_noise
from .free_init import FreeInit

OWN_SEED, REPEATED, CONSTANT, FREENOISE, NO_NOISE = "per frame", "repeated", "constant", "freenoise", "empty"
KINDS = (OWN_SEED, REPEATED, CONSTANT, FREENOISE, NO_NOISE)
DRAWN_PER_FRAME, DRAWN_TOGETHER, DRAWN_IN_A_ROW = "per frame", "together", "seed + frame"
DRAWS = (DRAWN_PER_FRAME, DRAWN_TOGETHER, DRAWN_IN_A_ROW)
_BROWNIAN = ("dpmpp_sde", "2m_sde", "3m_sde")
"""Samplers that ask for the noise between any two sigmas: parts of a step have to add up to the step."""


@dataclass(frozen=True)
class FrameNoise:
    """Which frames share their noise.

    Attributes:
        kind: one of ``KINDS``. Every frame has noise of its own; the others repeat the first ``length`` frames, use one for
            all, shuffle those of the window before (FreeNoise), or have no noise at the start at all.
        length, overlap: of a window, for the kinds repeated and freenoise. Length 0 is that of the MODEL's windows; see
            ``in_windows``.
        shared: variance that all frames have in common, 0 to 1.
        drawn: one of ``DRAWS``, where the frames come from. Per frame, each has a seed of its own, far from all others, which
            does not change when the animation grows. Together, one seed makes them all, as the host does. Seed + frame, their
            seeds follow one another, as in A1111. Only noise that is drawn per frame is also that of the steps.
        seed_offset: added to the seed of the run.
        skip: this many frames of what is drawn are left out at the start.
        seed: in place of that of the run.
    """

    kind: str = OWN_SEED
    length: int = 16
    overlap: int = 4
    shared: float = 0.0
    drawn: str = DRAWN_PER_FRAME
    seed_offset: int = 0
    skip: int = 0
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.kind == FREENOISE and self.length and not 0 <= self.overlap < self.length:
            raise ValueError(
                f"overlap must be less than length for the kind freenoise, or windows never advance; got overlap {self.overlap} "
                f"and length {self.length}. Use an overlap of about {self.length // 4}."
            )

    @property
    def is_hosts(self) -> bool:
        """Whether this is what the host draws by itself: noise that came to a run is then kept."""
        changed = self.shared or self.seed_offset or self.skip or self.seed is not None
        return self.kind == OWN_SEED and self.drawn == DRAWN_TOGETHER and not changed

    def in_windows(self, length: int, overlap: int) -> FrameNoise:
        """The same with a length: where it is 0, that of context windows, or no repetition where these are 0 too."""
        if self.length or self.kind not in (REPEATED, FREENOISE):
            return self
        return replace(self, length=length, overlap=overlap) if length else replace(self, kind=OWN_SEED)


@dataclass(frozen=True)
class NoiseOptions:
    """What a MODEL carries: what its runs start from."""

    frames: FrameNoise | None = None
    free_init: FreeInit | None = None


class NoiseSource(Protocol):
    """The noise that a sampler adds between two sigmas: ``(F, C, H, W)``."""

    def __call__(self, sigma: Tensor | None, sigma_next: Tensor | None) -> Tensor: ...


def own_seed(seed: int, frame: int) -> int:
    """A seed far from those of other seeds and frames: steps of two odd constants, modulo 2^63."""
    return (seed * 0x9E3779B97F4A7C15 + frame * 0xBF58476D1CE4E5B9) % 2**63


def _sources(frames: int, options: FrameNoise) -> list[int]:
    """Which frame of what is drawn each frame takes, without those that are skipped."""
    own = {REPEATED: lambda i: i % options.length, CONSTANT: lambda i: 0}.get(options.kind, lambda i: i)
    return [own(i) for i in range(frames)]


def frame_seeds(seed: int, frames: int, options: FrameNoise) -> list[int]:
    """A seed per frame, for noise that is drawn per frame."""
    return [own_seed(seed, source + options.skip) for source in _sources(frames, options)]


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


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed % 2**64)


def _drawn(like: Tensor, seed: int, options: FrameNoise) -> Tensor:
    """``(F, C, H, W)``, each frame with noise of its own or that of another. Torch's last numbers depend on how many are drawn."""
    if options.drawn == DRAWN_PER_FRAME:
        return StepNoise(like, frame_seeds(seed, like.shape[0], options))()
    frames, size, skip = like.shape[0], like.shape[1:], options.skip
    count = 1 if options.kind == CONSTANT else frames
    if options.drawn == DRAWN_TOGETHER:
        drawn = torch.randn((skip + count, *size), generator=_generator(seed))[skip:]
    else:
        drawn = torch.stack([torch.randn(size, generator=_generator(seed + skip + i)) for i in range(count)])
    return drawn[_sources(frames, options)].to(like)


def initial_noise(like: Tensor, seed: int, options: FrameNoise) -> Tensor:
    """``(F, C, H, W)`` for the start of a run. Drawn per frame, the first frames are the same whatever F is.

    Args:
        seed: of the run, or the one that ``options`` have in its place.
    """
    seed += options.seed_offset
    if options.kind == NO_NOISE:
        return torch.zeros_like(like)
    noise = _drawn(like, seed, options)
    if options.shared:
        common = seed if options.drawn == DRAWN_PER_FRAME else own_seed(seed, -1)  # not that of a frame again
        noise = with_common(noise, StepNoise(like, [common % 2**64] * like.shape[0])(), options.shared)
    if options.kind == FREENOISE:
        noise = free_noise(noise, options.length, options.overlap, seed % 2**64)
    return noise


class FrameNoiseSource:
    """Noise of frames on the host's NOISE socket. It covers the start of a run; what samplers add at each step is theirs.

    Raises:
        ValueError: the length of a MODEL's windows is wanted, which are not known here.
    """

    def __init__(self, seed: int, options: FrameNoise) -> None:
        if options.in_windows(0, 0) != options:
            raise ValueError(
                f"The kind {options.kind} needs a length of at least 1 frame here, got 0: NOISE does not know the windows of a "
                "MODEL. Set length to their context_length, or use Apply Frame Noise."
            )
        self.seed = seed
        self.options = options

    def generate_noise(self, input_latent: Latent) -> Tensor:
        """Called by the host: noise for the latents of an animation, ``(F, C, H, W)``."""
        return initial_noise(input_latent["samples"].cpu(), self.seed, self.options)


def _step_noise(like: Tensor, sigmas: Tensor, seed: int, options: FrameNoise, brownian: bool) -> NoiseSource:
    seed += options.seed_offset
    seeds = [s + 1 for s in frame_seeds(seed, like.shape[0], options)]  # not the noise of the start again

    def source(given: list[int]) -> NoiseSource:
        if not brownian:
            return StepNoise(like, given)
        return BrownianTreeNoiseSampler(like, sigmas[sigmas > 0].min(), sigmas.max(), seed=given, cpu=True)

    own = source(seeds)
    if options.shared == 0:
        return own
    shared = source([(seed + 1) % 2**64] * len(seeds))
    return lambda sigma, sigma_next: with_common(own(sigma, sigma_next), shared(sigma, sigma_next), options.shared)


def with_step_noise(sampler: Sampler, like: Tensor, sigmas: Tensor, seed: int, options: FrameNoise) -> Sampler:
    """The sampler with noise of frames in place of its default, if it adds any; other samplers are returned unchanged.

    So is every sampler for noise that is not drawn per frame: it covers what a run starts from.
    """
    if not isinstance(sampler, KSAMPLER) or options.drawn != DRAWN_PER_FRAME:
        return sampler
    function: Any = sampler.sampler_function
    if "noise_sampler" not in inspect.signature(function).parameters:
        return sampler
    brownian = any(mark in function.__name__ for mark in _BROWNIAN)
    ours = copy.copy(sampler)  # keeps what a pack's own kind of sampler adds
    ours.extra_options = {"noise_sampler": _step_noise(like, sigmas, seed, options, brownian), **sampler.extra_options}
    return ours
