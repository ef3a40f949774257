"""The noise schedule a motion module was trained with, put in place of the checkpoint's.

Only the betas change: prediction type, zero-terminal-SNR rescaling and distilled step counts of the MODEL are kept,
whether a node set them before or after ours. Latent consistency modules (AnimateLCM) also bring their prediction type
and steps to a MODEL that has nothing but the ordinary one. Called by ``animate`` and ``around``.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import torch
from torch import Tensor

from ...motion.config import BetaSchedule
from ..frames import NoiseSchedule
from ..host.memory import ModelPatcher
from ..host.sample import EPS, LCM, MODEL_SAMPLING, ModelSamplingDiscrete, ModelSamplingDiscreteDistilled

HOST_CURVES = {"linear": "sqrt_linear", "scaled_linear": "linear"}
"""Authors' name of a beta curve -> the host's."""


def schedule_of(model: ModelPatcher) -> NoiseSchedule:
    """The noise schedule of a MODEL."""
    schedule: Any = model.get_model_object(MODEL_SAMPLING)
    return schedule


def _sampling_settings(betas: BetaSchedule) -> dict[str, Any]:
    return {"beta_schedule": HOST_CURVES[betas.curve], "linear_start": betas.start, "linear_end": betas.end}


class _LCM100(ModelSamplingDiscreteDistilled, LCM):
    """Latent consistency sampling on the steps AnimateLCM was distilled on."""

    original_timesteps = 100


class _LCM200(_LCM100):
    """The same for AnimateLCM-I2V."""

    original_timesteps = 200


_LCM_KINDS = {100: _LCM100, 200: _LCM200}


def _exact(values: Tensor) -> Tensor:
    """In double precision on the CPU. Moved first: Apple's and Intel's devices have no such numbers."""
    return values.cpu().double()


def _table(model_sampling: ModelSamplingDiscrete) -> Tensor:
    """Log sigmas of the training steps, rising; every ``skip``-th of them for distilled models."""
    return _exact(cast(Tensor, model_sampling.log_sigmas))


def _skip(model_sampling: ModelSamplingDiscrete) -> int:
    return model_sampling.num_timesteps // len(cast(Tensor, model_sampling.log_sigmas))


def _is_plain(current: ModelSamplingDiscrete) -> bool:
    """Whether a schedule is that of an ordinary checkpoint: every training step, predicting noise."""
    kind = type(current)
    return kind.calculate_denoised is EPS.calculate_denoised and kind.timestep is ModelSamplingDiscrete.timestep


def _sampling_class(current: ModelSamplingDiscrete, betas: BetaSchedule) -> type:
    """The class of schedule to build: the user's choice, if there is one, goes before that of the module."""
    return _LCM_KINDS[betas.lcm_steps] if betas.lcm_steps and _is_plain(current) else type(current)


def retrained_sampling(current: Any, betas: BetaSchedule) -> Any:
    """A schedule of the same kind as ``current`` with the motion module's betas.

    Returns ``current`` itself if it has them already, or has no betas at all (continuous EDM, flow).
    """
    if not isinstance(current, ModelSamplingDiscrete):
        return current
    settings = {**_sampling_settings(betas), "timesteps": current.num_timesteps}
    kind = _sampling_class(current, betas)
    retrained = kind(cast(Any, SimpleNamespace(sampling_settings=settings)), zsnr=current.zsnr)
    same = kind is type(current) and torch.equal(_table(current), _table(retrained))
    return current if same else retrained


def set_beta_schedule(model: ModelPatcher, betas: BetaSchedule | None) -> None:
    """Give a freshly cloned MODEL the betas of its motion module; with None it is not changed."""
    if betas is None:
        return
    current = model.get_model_object(MODEL_SAMPLING)
    model.add_object_patch(MODEL_SAMPLING, retrained_sampling(current, betas))


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


def restore_beta_schedule(
    model: ModelPatcher, betas: BetaSchedule | None, sigmas: Tensor
) -> tuple[ModelPatcher, Tensor]:
    """Undo that a node placed after ours set a schedule with the checkpoint's betas.

    Returns:
        The MODEL to sample with and its sigmas; both unchanged when nothing was overwritten.
    """
    current = model.get_model_object(MODEL_SAMPLING)
    retrained = retrained_sampling(current, betas) if betas is not None else current
    if retrained is current:
        return model, sigmas
    model = model.clone()
    model.add_object_patch(MODEL_SAMPLING, retrained)
    return model, convert_sigmas(sigmas, current, retrained)
