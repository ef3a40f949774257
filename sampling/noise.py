"""Noise that belongs to frames, and FreeInit: what a clip starts from, with any sampler.

``with_noise`` puts it on a MODEL, animated or not; one wrapper around the host's sampling carries it out. ``ClipNoise`` is the
same for a NOISE socket. Called by ``nodes.noise``.
"""

from __future__ import annotations

import copy
import inspect
import math
from dataclasses import dataclass, replace
from typing import Any

import comfy.context_windows
import comfy.samplers
import torch
from comfy.k_diffusion.sampling import BrownianTreeNoiseSampler
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from torch import Tensor

KEY = "animatediff_noise"
ITERATION = "animatediff_iteration"
"""Where the progress of windows finds (iteration, iterations) in ``transformer_options``."""
PER_FRAME, REPEATED, CONSTANT, FREENOISE = "per frame", "repeated", "constant", "freenoise"
KINDS = (PER_FRAME, REPEATED, CONSTANT, FREENOISE)
FILTERS = ("butterworth", "gaussian", "ideal")
_BROWNIAN = ("dpmpp_sde", "2m_sde", "3m_sde")
"""Samplers that ask for the noise between any two sigmas: parts of a step have to add up to the step."""


@dataclass(frozen=True)
class FrameNoise:
    """Which frames share their noise.

    Attributes:
        kind: one of ``KINDS``. Every frame has a seed of its own, which does not change when the clip grows; the others
            repeat the first ``length`` frames, use one for all, or shuffle those of the window before (FreeNoise).
        length, overlap: of a window, for the kinds repeated and freenoise.
        shared: variance that all frames have in common, 0 to 1.
    """

    kind: str = PER_FRAME
    length: int = 16
    overlap: int = 4
    shared: float = 0.0


@dataclass(frozen=True)
class FreeInit:
    """Sample several times, each from the slow part of the last result and new noise for the rest.

    Source: Wu et al. 2023, FreeInit, arXiv 2312.07537, section 4 and equations 6 to 8.

    Attributes:
        iterations: how often the clip is sampled; 1 is ordinary sampling.
        spatial, temporal: where the low-pass ends, as a share of the highest frequency.
        order: of the Butterworth filter.
    """

    iterations: int = 3
    filter: str = "butterworth"
    spatial: float = 0.25
    temporal: float = 0.25
    order: int = 4


@dataclass(frozen=True)
class NoiseOptions:
    """What a MODEL carries."""

    frames: FrameNoise | None = None
    free_init: FreeInit | None = None


# --- noise of frames -------------------------------------------------------------------------------------------------


def frame_seeds(seed: int, frames: int, options: FrameNoise) -> list[int]:
    """A seed per frame, far from those of other seeds and frames (steps of two odd constants, modulo 2^63)."""
    own = {REPEATED: lambda i: i % options.length, CONSTANT: lambda i: 0}.get(options.kind, lambda i: i)
    return [(seed * 0x9E3779B97F4A7C15 + own(i) * 0xBF58476D1CE4E5B9) % 2**63 for i in range(frames)]


class StepNoise:
    """The noise that ancestral samplers add at each step, a generator per frame. Called by the host's samplers."""

    def __init__(self, like: Tensor, seeds: list[int]) -> None:
        self.like = like
        known = {seed: torch.Generator().manual_seed(seed) for seed in seeds}
        self.seeds, self.generators = seeds, known

    def __call__(self, sigma: Any = None, sigma_next: Any = None) -> Tensor:
        """``(F, C, H, W)``, in the place of the tensor given at the start."""
        drawn = {seed: torch.randn(self.like.shape[1:], generator=g) for seed, g in self.generators.items()}
        return torch.stack([drawn[seed] for seed in self.seeds]).to(self.like)


def mixed(own: Tensor, common: Tensor, shared: float) -> Tensor:
    """Noise of variance 1 of which ``shared`` is common."""
    return shared**0.5 * common + (1 - shared) ** 0.5 * own


def initial_noise(like: Tensor, seed: int, options: FrameNoise) -> Tensor:
    """``(F, C, H, W)`` for the start of a run; the first frames are the same whatever F is."""
    seeds = frame_seeds(seed, like.shape[0], options)
    noise = StepNoise(like, seeds)()
    if options.shared:
        noise = mixed(noise, StepNoise(like, [seed] * len(seeds))(), options.shared)
    if options.kind == FREENOISE:
        comfy.context_windows.apply_freenoise(noise, 0, options.length, options.overlap, seed)
    return noise


class ClipNoise:
    """Noise of frames on the host's NOISE socket. It covers the start of a run; what samplers add at each step is theirs."""

    def __init__(self, seed: int, options: FrameNoise) -> None:
        self.seed = seed
        self.options = options

    def generate_noise(self, input_latent: dict[str, Any]) -> Tensor:
        """Called by the host: noise for the latents of a clip, ``(F, C, H, W)``."""
        return initial_noise(input_latent["samples"].cpu(), self.seed, self.options)


def _step_noise(like: Tensor, sigmas: Tensor, seed: int, options: FrameNoise, brownian: bool) -> Any:
    seeds = [s + 1 for s in frame_seeds(seed, like.shape[0], options)]  # not the noise of the start again

    def source(given: list[int]) -> Any:
        if not brownian:
            return StepNoise(like, given)
        return BrownianTreeNoiseSampler(like, sigmas[sigmas > 0].min(), sigmas.max(), seed=given, cpu=True)

    own = source(seeds)
    if options.shared == 0:
        return own
    shared = source([seed + 1] * len(seeds))
    return lambda sigma, sigma_next: mixed(own(sigma, sigma_next), shared(sigma, sigma_next), options.shared)


def _with_step_noise(sampler: Any, like: Tensor, sigmas: Tensor, seed: int, options: FrameNoise) -> Any:
    """The sampler with our noise in place of its default, if it takes any."""
    if not isinstance(sampler, comfy.samplers.KSAMPLER):
        return sampler
    function: Any = sampler.sampler_function
    if "noise_sampler" not in inspect.signature(function).parameters:
        return sampler
    brownian = any(mark in function.__name__ for mark in _BROWNIAN)
    ours = copy.copy(sampler)  # keeps what a pack's own kind of sampler adds
    ours.extra_options = {"noise_sampler": _step_noise(like, sigmas, seed, options, brownian), **sampler.extra_options}
    return ours


# --- FreeInit --------------------------------------------------------------------------------------------------------


def low_pass(shape: tuple[int, int, int], options: FreeInit) -> Tensor:
    """The filter over frequencies ``(F, H, W)``, zero frequency in the middle; 1 keeps, 0 drops."""
    if options.spatial == 0 or options.temporal == 0:
        return torch.zeros(shape)
    t, y, x = (2 * torch.arange(size) / size - 1 for size in shape)
    t = t * (options.spatial / options.temporal)
    square = t[:, None, None] ** 2 + y[:, None] ** 2 + x**2
    end = options.spatial**2
    if options.filter == "gaussian":
        return torch.exp(-square / (2 * end))
    if options.filter == "ideal":
        return (square <= end).float()
    return 1 / (1 + (square / end) ** options.order)


def reinitialized(noisy: Tensor, fresh: Tensor, filter_: Tensor) -> Tensor:
    """The slow part of ``noisy`` and the fast part of ``fresh``, both ``(F, C, H, W)``: equations 7 and 8."""
    axes = (0, 2, 3)
    keep = filter_.to(noisy)[:, None]
    slow, fast = (torch.fft.fftshift(torch.fft.fftn(x, dim=axes), dim=axes) for x in (noisy, fresh))
    return torch.fft.ifftn(torch.fft.ifftshift(slow * keep + fast * (1 - keep), dim=axes), dim=axes).real


# --- on a MODEL ------------------------------------------------------------------------------------------------------


def options_of(model: ModelPatcher) -> NoiseOptions:
    return model.get_attachment(KEY) or NoiseOptions()


def with_noise(model: ModelPatcher, **changes: Any) -> ModelPatcher:
    """A MODEL with ``frames`` (FrameNoise) or ``free_init`` (FreeInit) set; the given one stays as it is."""
    model = model.clone()
    model.set_attachments(KEY, replace(options_of(model), **changes))
    model.remove_wrappers_with_key(WrappersMP.OUTER_SAMPLE, KEY)
    model.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, _around_run)
    return model


def _counting(callback: Any, iteration: int, iterations: int) -> Any:
    """One progress over all iterations."""
    if callback is None or iterations == 1:
        return callback
    return lambda step, x0, x, total: callback(iteration * total + step, x0, x, total * iterations)


def _around_run(
    executor: Any,
    noise: Tensor,
    latent_image: Tensor,
    sampler: Any,
    sigmas: Tensor,
    denoise_mask: Tensor | None = None,
    callback: Any = None,
    disable_pbar: bool = False,
    seed: int | None = None,
    **kw: Any,
) -> Any:
    guider = executor.class_obj
    options = options_of(guider.model_patcher)
    start = seed or 0
    if not torch.any(noise):  # the user switched it off, as for the second half of a run
        options = NoiseOptions()
    if options.frames is not None:
        noise = initial_noise(noise, start, options.frames)
        device = guider.model_patcher.load_device
        sampler = _with_step_noise(sampler, noise.to(device), sigmas, start, options.frames)
    free_init = options.free_init or FreeInit(iterations=1)
    filter_ = low_pass((noise.shape[0], noise.shape[-2], noise.shape[-1]), free_init)
    given = noise
    for iteration in range(free_init.iterations):
        guider.model_options.setdefault("transformer_options", {})[ITERATION] = (iteration, free_init.iterations)
        told = _counting(callback, iteration, free_init.iterations)
        out = executor(noise, latent_image, sampler, sigmas, denoise_mask, told, disable_pbar, seed, **kw)
        if iteration + 1 < free_init.iterations:
            parts = _next_noise(guider, out, latent_image, given, sigmas, start + iteration + 1, options.frames)
            noise = reinitialized(*parts, filter_)
    return out


def _next_noise(
    guider: Any, out: Tensor, latent: Tensor, first: Tensor, sigmas: Tensor, seed: int, frames: FrameNoise | None
) -> tuple[Tensor, Tensor]:
    """Equation 6: the result, noised to the first sigma with the noise it came from, in the scale in which the host takes
    noise; and new noise."""
    patcher, sigma = guider.model_patcher, float(sigmas[0])
    clean = patcher.model.process_latent_in(out.to(first))
    start = patcher.model.process_latent_in(latent.to(first)) if torch.any(latent) else torch.zeros_like(first)
    highest = float(patcher.get_model_object("model_sampling").sigma_max)
    whole = sigma > highest or math.isclose(sigma, highest, rel_tol=1e-5)  # the host scales a whole run like this
    noisy = (clean + sigma * first - start) / ((1 + sigma**2) ** 0.5 if whole else sigma)
    return noisy, initial_noise(first, seed, frames or FrameNoise())
