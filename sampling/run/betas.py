"""The noise schedule a motion module was trained with, put in place of the checkpoint's.

Only the betas change: prediction type, zero-terminal-SNR rescaling and distilled step counts of the MODEL are kept,
whether a node set them before or after ours. Latent consistency modules (AnimateLCM) also bring their prediction type
and steps to a MODEL that has nothing but the ordinary one. Called by ``animate`` and ``around``.

A schedule that the user chose with Apply Beta Schedule (``with_beta_schedule``) is another thing: it replaces whatever was there,
and stays until another node replaces it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from ...motion.config import BetaSchedule
from ..frames import NoiseSchedule
from ..host.memory import ModelPatcher
from ..host.noise_schedule import (
    EPS,
    LCM_STEPS,
    MODEL_SAMPLING,
    LatentConsistency,
    ModelSamplingDiscrete,
    make_schedule,
    schedule_class,
)
from ..host.wrappers import MOTION, SCHEDULE
from ..modules.choices import BETA_SCHEDULES, CHECKPOINT, betas_named
from ..modules.settings import config_of

TIMESTEPS = 1000
"""Training steps of the image models that motion modules are for."""


def schedule_of(model: ModelPatcher) -> NoiseSchedule:
    """The noise schedule of a MODEL."""
    schedule: Any = model.get_model_object(MODEL_SAMPLING)
    return schedule


# --- the motion module's ---------------------------------------------------------------------------------------------


class _Brought(NamedTuple):
    """Attachment of a MODEL: what this pack did to its noise schedule.

    Attributes:
        trained: the object patch that a motion module brought, if any.
        before: the one that it replaced, if any.
        chosen: whether the user chose a schedule afterwards; then the motion module's is not restored.
    """

    trained: Any = None
    before: Any = None
    chosen: bool = False


def _brought(model: ModelPatcher) -> _Brought:
    return cast("_Brought | None", model.get_attachment(SCHEDULE)) or _Brought()


def _is_plain(current: ModelSamplingDiscrete) -> bool:
    """Whether a schedule is that of an ordinary checkpoint: every training step, predicting noise."""
    kind = type(current)
    return kind.calculate_denoised is EPS.calculate_denoised and kind.timestep is ModelSamplingDiscrete.timestep


def retrained_sampling(current: Any, betas: BetaSchedule) -> Any:
    """A schedule of the same kind as ``current`` with the motion module's betas.

    The kind is the user's choice, if there is one; an ordinary one gives way to the latent consistency of a module.

    Returns ``current`` itself if it has them already, or has no betas at all (continuous EDM, flow).
    """
    if not isinstance(current, ModelSamplingDiscrete):
        return current
    kind, steps = type(current), getattr(current, "original_timesteps", LCM_STEPS)
    if betas.lcm_steps and _is_plain(current):
        kind, steps = LatentConsistency, betas.lcm_steps
    retrained = make_schedule(kind, betas, current.num_timesteps, current.zsnr, steps)
    same = kind is type(current) and torch.equal(_table(current), _table(retrained))
    return current if same else retrained


def set_beta_schedule(model: ModelPatcher, betas: BetaSchedule | None) -> None:
    """Give a freshly cloned MODEL the betas of its motion module; with None it is not changed."""
    if betas is None:
        return
    known, present = _brought(model), model.object_patches.get(MODEL_SAMPLING)
    before = known.before if present is known.trained else present
    retrained = retrained_sampling(model.get_model_object(MODEL_SAMPLING), betas)
    model.add_object_patch(MODEL_SAMPLING, retrained)
    model.set_attachments(SCHEDULE, _Brought(retrained, before))


def remove_beta_schedule(model: ModelPatcher) -> None:
    """Give a freshly cloned MODEL what it had before a motion module brought its schedule; what came later is kept."""
    known = _brought(model)
    if known.trained is not None and model.object_patches.get(MODEL_SAMPLING) is known.trained:
        model.object_patches.pop(MODEL_SAMPLING)
        if known.before is not None:
            model.add_object_patch(MODEL_SAMPLING, known.before)


def restore_beta_schedule(model: ModelPatcher, sigmas: Tensor) -> tuple[ModelPatcher, Tensor]:
    """Undo that a node placed after Apply Motion Module set a schedule with the checkpoint's betas.

    Returns:
        The MODEL to sample with and its sigmas; both unchanged when nothing was overwritten, or the user chose the schedule.
    """
    motions = model.get_additional_models_with_key(MOTION)
    betas = config_of(motions[-1]).beta_schedule if motions else None
    if betas is None or _brought(model).chosen:
        return model, sigmas
    current = model.get_model_object(MODEL_SAMPLING)
    retrained = retrained_sampling(current, betas)
    if retrained is current:
        return model, sigmas
    model = model.clone()
    model.add_object_patch(MODEL_SAMPLING, retrained)
    return model, convert_sigmas(sigmas, current, retrained)


# --- the same moments of training under another schedule -------------------------------------------------------------


def _exact(values: Tensor) -> Tensor:
    """In double precision on the CPU. Moved first: Apple's and Intel's devices have no such numbers."""
    return values.cpu().double()


def _table(model_sampling: ModelSamplingDiscrete) -> Tensor:
    """Log sigmas of the training steps, rising; every ``skip``-th of them for distilled models."""
    return _exact(cast(Tensor, model_sampling.log_sigmas))


def _skip(model_sampling: ModelSamplingDiscrete) -> int:
    return model_sampling.num_timesteps // len(cast(Tensor, model_sampling.log_sigmas))


def _timesteps(model_sampling: ModelSamplingDiscrete, sigmas: Tensor) -> Tensor:
    """Fractional training step (0 to 999) of each sigma; exact inverse of the schedule's ``sigma(timestep)``."""
    table, wanted, skip = _table(model_sampling), _exact(sigmas).log(), _skip(model_sampling)
    high = torch.searchsorted(table, wanted).clamp(1, len(table) - 1)
    low = high - 1
    fraction = (wanted - table[low]) / (table[high] - table[low])
    return (low + fraction).clamp(0, len(table) - 1) * skip + (skip - 1)


def _sigmas_at(model_sampling: ModelSamplingDiscrete, timesteps: Tensor) -> Tensor:
    """Sigma at a fractional training step."""
    table, skip = _table(model_sampling), _skip(model_sampling)
    index = ((timesteps - (skip - 1)) / skip).clamp(0, len(table) - 1)
    low = index.floor().long()
    high = index.ceil().long()
    return torch.lerp(table[low], table[high], index - low).exp()


def convert_sigmas(sigmas: Tensor, source: Any, target: Any) -> Tensor:
    """The same moments of training under other betas: sigma -> training step -> sigma. The final 0 stays 0."""
    if not isinstance(source, ModelSamplingDiscrete) or source.num_timesteps != target.num_timesteps:
        return sigmas
    converted = _sigmas_at(target, _timesteps(source, sigmas.clamp(min=1e-12)))
    return torch.where(sigmas.cpu() > 0, converted.to(sigmas.dtype), sigmas.cpu()).to(sigmas.device)


# --- the user's ------------------------------------------------------------------------------------------------------

PREDICTIONS = ("auto", "eps", "v_prediction", "lcm")


@dataclass(frozen=True)
class ScheduleChanges:
    """What differs from a named schedule; the defaults are those of the schedule.

    Attributes:
        prediction: of ``PREDICTIONS``; ``auto`` is ``lcm`` for schedules with LCM steps, and the checkpoint's for all others.
        start, end: first and last beta, 0 for those of the schedule.
        lcm_steps: training steps of a latent consistency model, 0 for those of the schedule, or 50.
        zsnr: whether the sigmas are rescaled to zero terminal signal-to-noise ratio.
    """

    prediction: str = PREDICTIONS[0]
    start: float = 0.0
    end: float = 0.0
    lcm_steps: int = 0
    zsnr: bool = False

    def of(self, betas: BetaSchedule) -> BetaSchedule:
        """A named schedule with the changes. One that is not for latent consistency has 0 LCM steps."""
        is_lcm = self.prediction == "lcm" or (self.prediction == "auto" and betas.lcm_steps > 0)
        steps = (self.lcm_steps or betas.lcm_steps or LCM_STEPS) if is_lcm else 0
        return replace(betas, start=self.start or betas.start, end=self.end or betas.end, lcm_steps=steps)


def with_beta_schedule(
    model: ModelPatcher, name: str, changes: ScheduleChanges = ScheduleChanges()
) -> ModelPatcher:
    """A MODEL with a noise schedule in place of whatever it has; the given MODEL is not changed.

    A later node that sets a schedule wins: that of a motion module on the MODEL is not restored any more.

    Args:
        name: of ``BETA_SCHEDULES``. ``authors`` and ``legacy`` are those of the motion module applied last; with
            ``checkpoint``, or without a motion module, the schedule is not changed.

    Raises:
        ValueError: changes to a schedule that is not changed, or betas that end in infinite noise.
    """
    if name == CHECKPOINT and changes != ScheduleChanges():
        raise ValueError(
            "beta_schedule is checkpoint, which leaves the MODEL's schedule as it is, and other settings would change it. Choose "
            "another beta_schedule, or leave the other settings at their defaults."
        )
    model = model.clone()
    motions = model.get_additional_models_with_key(MOTION)
    betas = betas_named(name, config_of(motions[-1])) if motions else BETA_SCHEDULES[name]
    model.set_attachments(SCHEDULE, _brought(model)._replace(chosen=True))
    schedule = betas and _chosen_schedule(model, changes.of(betas), changes)
    if schedule is not None:
        model.add_object_patch(MODEL_SAMPLING, schedule)
    return model


def _chosen_schedule(model: ModelPatcher, betas: BetaSchedule, changes: ScheduleChanges) -> Any:
    """None for a checkpoint without betas, as EDM and flow models. Raises ValueError for betas that end in infinite noise."""
    kind = schedule_class("lcm" if betas.lcm_steps else changes.prediction, model.model.model_type)
    if kind is None:
        return None
    schedule = make_schedule(kind, betas, TIMESTEPS, changes.zsnr, betas.lcm_steps)
    if not math.isfinite(highest := float(schedule.sigma_max.square())):
        raise ValueError(
            f"The schedule {betas} ends at noise levels that are too large to compute with (their square is {highest}), so every frame "
            "would be black. Lower linear_end, or choose another beta_schedule."
        )
    return schedule
