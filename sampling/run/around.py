"""Around a sampling run: one wrapper, whose stages run in one fixed order, whatever the order of our nodes in the graph.

``follow`` adds it; ``animate``, ``windowed`` and ``start`` call that, and whichever comes first adds it once. The stages:
adopt the host's windows, check, fit the conditioning to the frames, restore the training schedule, make the preview and the
noise, then sample as often as FreeInit asks.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..controls.sparse import check_controls
from ..frames import CALL, resolved, whole
from ..host.memory import ModelPatcher
from ..host.sample import CFGGuider, Sampler, StepCallback, sampling_with, warn
from ..host.windows import IndexListContextHandler, free_noise
from ..host.wrappers import MOTION, NOISE, RUN, BaseModel, Executor, HostOptions, WrappersMP, put_wrapper
from ..modules.settings import config_of, family_of, settings_of
from ..start.free_init import FreeInit, diffused, low_pass, reinitialized
from ..start.noise import FrameNoise, NoiseOptions, initial_noise, with_step_noise
from ..windows.handler import HANDLER, OURS, FrameWindows, adopted
from .betas import restore_beta_schedule, schedule_of
from .conditioning import fit_to_frames
from .norms import evaluates_apart
from .preview import with_frames_preview

EVOLVED = "ADE"
"""Additional models of AnimateDiff-Evolved: the motion modules that it inserts into the UNet."""


def follow(model: ModelPatcher) -> None:
    """Have a freshly cloned MODEL treat each latent batch as an animation."""
    put_wrapper(model, WrappersMP.OUTER_SAMPLE, RUN, around_run)
    put_wrapper(model, WrappersMP.CALC_COND_BATCH, RUN, around_evaluation)


def noise_options(model: ModelPatcher) -> NoiseOptions:
    """What the runs of a MODEL start from."""
    return model.get_attachment(NOISE) or NoiseOptions()


# --- before the run --------------------------------------------------------------------------------------------------


def check_alone(model: ModelPatcher) -> None:
    """Raise ValueError for a MODEL with motion modules of AnimateDiff-Evolved: both would act, and destroy the animation."""
    if model.get_additional_models_with_key(EVOLVED):
        raise ValueError(
            "This MODEL has a motion module of AnimateDiff-Evolved and one of AnimateDiff Native; needed is one or the other. "
            "Remove Apply AnimateDiff Model (ADE) or Apply Motion Module from this MODEL."
        )


def _check_frames(motions: list[ModelPatcher], frames: int, at_once: int) -> list[str]:
    """Warnings about numbers of frames that motion modules were not trained for.

    Raises:
        ValueError: no frames, or more at once than a motion module can take.
    """
    if motions and frames == 0:
        raise ValueError("The latent has 0 frames. Set the batch size of the empty latent to the number of frames.")
    warnings = []
    for motion in motions:
        name, positions, trained = settings_of(motion).name, config_of(motion).positions, family_of(motion).frames
        if at_once > positions:
            advice = "Add Context Window Options" if at_once == frames else f"Set context_length to {positions} or less"
            raise ValueError(
                f"{name} handles at most {positions} frames at once; this latent has {at_once}. {advice} or lower the "
                "batch size."
            )
        if at_once < trained and not settings_of(motion).in_training:
            warnings.append(
                f"{name} was trained on clips of {trained} frames, this animation has {at_once}: motion will be weak or "
                "broken. The batch size of the latent is the number of frames."
            )
    return warnings


@dataclass(frozen=True)
class _Windows:
    """Context windows of a run: their length and overlap in frames, and whether they ask for FreeNoise."""

    length: int = 0
    overlap: int = 0
    freenoise: bool = False


def _adopt_windows(options: HostOptions, animated: bool, noise: Tensor) -> _Windows:
    """Put a handler of ours in place of the host's own, and take FreeNoise over from it.

    The host shuffles the noise of every sampling; what FreeInit keeps from the last result must not be shuffled again.

    Args:
        options: the run's own ``model_options``.
        animated: whether the MODEL has a motion module; without one, the host's handler keeps its windows.
        noise: of the run; that of video models is not shuffled by us.

    Returns:
        The windows; those of length 0 are none.
    """
    handler = options.get(HANDLER)
    if animated and isinstance(handler, IndexListContextHandler) and not isinstance(handler, FrameWindows):
        options[HANDLER] = handler = adopted(handler)
    if not _is_animation(noise):
        return _Windows()
    if isinstance(handler, OURS):
        return _Windows(handler.options.length, handler.options.overlap, handler.options.freenoise)
    if isinstance(handler, IndexListContextHandler) and handler.dim == 0:
        if handler.freenoise:
            options[HANDLER] = _quiet(handler)
        return _Windows(handler.context_length, handler.context_overlap, handler.freenoise)
    return _Windows()


def _quiet(handler: IndexListContextHandler) -> IndexListContextHandler:
    """The host's handler without FreeNoise, for one run."""
    quiet = copy.copy(handler)
    quiet.freenoise = False
    return quiet


# --- the run ---------------------------------------------------------------------------------------------------------


def around_run(
    executor: Executor,
    noise: Tensor,
    latent_image: Tensor,
    sampler: Sampler,
    sigmas: Tensor,
    denoise_mask: Tensor | None = None,
    callback: StepCallback | None = None,
    disable_pbar: bool = False,
    seed: int | None = None,
    **kw: Any,
) -> Tensor:
    """Around a whole sampling run; see the head of this file for its stages.

    Args:
        noise, latent_image: ``(F, C, H, W)``, on the CPU; noise of zeros means that the user switched it off.
        sigmas: ``(steps + 1,)``, falling.
    """
    guider: CFGGuider = executor.class_obj
    with _prepared(guider, noise) as windows, _training_schedule(guider, sigmas) as sigmas:
        if _is_animation(noise) and noise.shape[0] > 1:
            callback = with_frames_preview(callback, guider.model_patcher)
        run = _Run(guider, noise, latent_image, sigmas, seed or 0, windows)
        sampler = run.with_step_noise(sampler)
        noise = run.first_noise
        for iteration in range(run.iterations):
            run.publish(iteration)
            counted = _counted(callback, iteration, run.iterations)
            followed = _moving_windows(counted, guider.model_options.get(HANDLER))
            out = executor(noise, latent_image, sampler, sigmas, denoise_mask, followed, disable_pbar, seed, **kw)
            if iteration + 1 < run.iterations:
                noise = run.next_noise(out, iteration + 1)
    return out


def _is_animation(noise: Tensor) -> bool:
    """Whether latents are a batch of images: those of video and audio models have more axes, or fewer."""
    return noise.ndim == 4


@contextmanager
def _prepared(guider: CFGGuider, noise: Tensor) -> Iterator[_Windows]:
    """Windows, checks and conditioning of a run; gives its windows.

    A handler adopted from the host is this run's own, so what it worked out is dropped here, also after an error.
    """
    windows = _prepare(guider, noise)
    handler = guider.model_options.get(HANDLER)
    try:
        yield windows
    finally:
        if isinstance(handler, OURS):
            handler.forget()


def _prepare(guider: CFGGuider, noise: Tensor) -> _Windows:
    """See ``_prepared``. Raises ValueError for what cannot be animated."""
    model, options, frames = guider.model_patcher, guider.model_options, noise.shape[0]
    motions = model.get_additional_models_with_key(MOTION)
    if motions:
        check_alone(model)
    windows = _adopt_windows(options, bool(motions), noise)
    handler = options.get(HANDLER)
    at_once = handler.attended(frames) if isinstance(handler, OURS) else frames
    warnings = _check_frames(motions, frames, at_once)
    if motions:
        warnings += check_controls(guider.conds, [config_of(motion).family for motion in motions])
    if _is_animation(noise):
        warnings += fit_to_frames(guider.conds, frames)
    warn(warnings)
    return windows


@contextmanager
def _training_schedule(guider: CFGGuider, sigmas: Tensor) -> Iterator[Tensor]:
    """The run's sigmas; inside, the guider has the motion module's schedule again if a later node replaced it."""
    model, sigmas = restore_beta_schedule(guider.model_patcher, sigmas)
    with sampling_with(guider, model):
        yield sigmas


def _counted(callback: StepCallback | None, iteration: int, iterations: int) -> StepCallback | None:
    """One progress over all iterations."""
    if callback is None or iterations == 1:
        return callback
    return lambda step, x0, x, total_steps: callback(iteration * total_steps + step, x0, x, total_steps * iterations)


def _moving_windows(callback: StepCallback | None, handler: Any) -> StepCallback | None:
    """The callback of one sampling, with which windows of ours move on: after each step that the sampler reports.

    Samplers that evaluate the model twice per step report it after the first, so the second has the windows of the next step.
    """
    if not isinstance(handler, OURS):
        return callback
    handler.rewind()

    def after_step(step: int, x0: Tensor, x: Tensor, total_steps: int) -> None:
        if callback is not None:
            callback(step, x0, x, total_steps)
        handler.at_step(step + 1)

    return after_step


class _Run:
    """What a sampling run starts from, and what each further iteration of FreeInit starts from.

    Source of the iterations: Wu et al. 2023, FreeInit, algorithm 1.
    """

    def __init__(
        self, guider: CFGGuider, noise: Tensor, latent: Tensor, sigmas: Tensor, seed: int, windows: _Windows
    ) -> None:
        self.guider, self.latent, self.sigmas, self.seed = guider, latent, sigmas, seed
        switched_off = not torch.any(noise)  # by the user, as for the second half of a run
        options = NoiseOptions() if switched_off else noise_options(guider.model_patcher)
        frames = self.frame_noise = options.frames and options.frames.in_windows(windows.length, windows.overlap)
        if frames is not None and frames.seed is not None:
            self.seed = frames.seed
        self.free_noise = windows if windows.freenoise and not switched_off and frames is None else None
        self.free_init = options.free_init or FreeInit(iterations=1)
        if self.free_init.iterations > 1 and not (_is_animation(noise) and noise.shape[0] > 1):
            raise ValueError(
                f"FreeInit needs a batch of at least 2 frames, (frames, channels, height, width); got {tuple(noise.shape)}. Raise the "
                "batch size of the latent, or remove Apply FreeInit."
            )
        self.iterations = self.free_init.iterations
        fresh = noise if frames is None or frames.is_hosts else initial_noise(noise, self.seed, frames)
        self.first_noise = self._shuffled(fresh, self.seed)

    def _shuffled(self, fresh: Tensor, seed: int) -> Tensor:
        """Fresh noise as context windows with FreeNoise want it. Noise that the user chose per frame is not shuffled."""
        free = self.free_noise
        return fresh if free is None else free_noise(fresh, free.length, free.overlap, seed)

    def with_step_noise(self, sampler: Sampler) -> Sampler:
        """The sampler, with noise of frames for each step if the user asked for it."""
        if self.frame_noise is None:
            return sampler
        noise = self.first_noise.to(self.guider.model_patcher.load_device)
        return with_step_noise(sampler, noise, self.sigmas, self.seed, self.frame_noise)

    def publish(self, iteration: int) -> None:
        """Say which iteration runs, in the record of its calls."""
        options: HostOptions = self.guider.model_options  # this run's own
        call = whole(self.first_noise.shape[0], (iteration, self.iterations))
        options.setdefault("transformer_options", {})[CALL] = call

    def next_noise(self, out: Tensor, iteration: int) -> Tensor:
        """The noise of the next iteration: the slow part of the last result, diffused, and fresh noise for the rest."""
        seed, first = self.seed + iteration, self.first_noise
        fresh = self._shuffled(initial_noise(first, seed, self.frame_noise or FrameNoise()), seed)
        shape = (first.shape[0], first.shape[-2], first.shape[-1])
        return reinitialized(self._diffused(out), fresh, low_pass(shape, self.free_init))

    def _diffused(self, out: Tensor) -> Tensor:
        """Equation 6: the last result diffused with the noise it came from, in the scale in which the host takes noise.

        A run from nothing is diffused to the schedule's last training step, as the authors do. One from a latent, at
        whatever part of the schedule, is diffused to its own first sigma: that latent is taken off, as the host adds it.
        """
        patcher, first = self.guider.model_patcher, self.first_noise
        clean = patcher.model.process_latent_in(out.to(first))
        highest = float(schedule_of(patcher).sigma_max)
        if not torch.any(self.latent):
            return diffused(clean, first, highest)
        sigma = float(self.sigmas[0])
        start = patcher.model.process_latent_in(self.latent.to(first))
        is_whole = sigma > highest or math.isclose(sigma, highest, rel_tol=1e-5)  # the host scales a whole run like this
        return (clean + sigma * first - start) / ((1 + sigma**2) ** 0.5 if is_whole else sigma)


def around_evaluation(
    executor: Executor, model: BaseModel, conds: list[Any], x_in: Tensor, timestep: Tensor, model_options: HostOptions
) -> list[Tensor]:
    """Around the evaluation of all conds for one animation or window: here, and only here, the batch is the frames."""
    options = model_options.get("transformer_options", {})
    size = (x_in.shape[-2], x_in.shape[-1])
    call = resolved(options, x_in.shape[0], size, model.model_sampling, timestep)
    model_options = {**model_options, "transformer_options": {**options, CALL: call}}
    if not evaluates_apart(model, x_in.device.type):
        return executor(model, conds, x_in, timestep, model_options)
    alone = [[cond if i == own else None for i, cond in enumerate(conds)] for own in range(len(conds))]
    return [executor(model, one, x_in, timestep, model_options)[own] for own, one in enumerate(alone)]
