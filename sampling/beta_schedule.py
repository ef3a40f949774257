"""The noise schedule a motion module was trained with, put in place of the checkpoint's.

Only the betas change: prediction type, zero-terminal-SNR rescaling and distilled step counts of the MODEL are kept,
whether a node set them before or after ours. Called by ``inject``.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import torch
from comfy.model_patcher import ModelPatcher
from comfy.model_sampling import ModelSamplingDiscrete
from torch import Tensor

from ..motion.config import BetaSchedule

MODEL_SAMPLING = "model_sampling"
HOST_CURVES = {"linear": "sqrt_linear", "scaled_linear": "linear"}
"""Authors' name of a beta curve -> the host's."""


def _sampling_settings(betas: BetaSchedule) -> dict[str, Any]:
    return {"beta_schedule": HOST_CURVES[betas.curve], "linear_start": betas.start, "linear_end": betas.end}


def _table(model_sampling: Any) -> Tensor:
    """Log sigmas of the training steps, rising."""
    return model_sampling.log_sigmas.double().cpu()


def retrained_sampling(current: Any, betas: BetaSchedule) -> Any:
    """A schedule of the same kind as ``current`` with the motion module's betas.

    Returns ``current`` itself if it has them already, or has no betas at all (continuous EDM, flow).
    """
    if not isinstance(current, ModelSamplingDiscrete):
        return current
    settings = {**_sampling_settings(betas), "timesteps": current.num_timesteps}
    retrained = type(current)(cast(Any, SimpleNamespace(sampling_settings=settings)), zsnr=current.zsnr)
    return current if torch.equal(_table(current), _table(retrained)) else retrained


def set_beta_schedule(model: ModelPatcher, betas: BetaSchedule) -> None:
    """Give a freshly cloned MODEL the betas of its motion module."""
    current = model.get_model_object(MODEL_SAMPLING)
    model.add_object_patch(MODEL_SAMPLING, retrained_sampling(current, betas))


def _timesteps(model_sampling: ModelSamplingDiscrete, sigmas: Tensor) -> Tensor:
    """Fractional index of each sigma in a schedule's table; exact inverse of its ``sigma(timestep)``."""
    table, wanted = _table(model_sampling), sigmas.double().cpu().log()
    high = torch.searchsorted(table, wanted).clamp(1, len(table) - 1)
    low = high - 1
    fraction = (wanted - table[low]) / (table[high] - table[low])
    return (low + fraction).clamp(0, len(table) - 1)


def _at(model_sampling: ModelSamplingDiscrete, index: Tensor) -> Tensor:
    """Sigma at a fractional index of the table."""
    table = _table(model_sampling)
    low = index.floor().long()
    high = index.ceil().long()
    return torch.lerp(table[low], table[high], index - low).exp()


def convert_sigmas(sigmas: Tensor, source: Any, target: Any) -> Tensor:
    """The same moments of training under other betas: sigma -> timestep -> sigma. The final 0 stays 0."""
    if not (isinstance(source, ModelSamplingDiscrete) and _table(source).shape == _table(target).shape):
        return sigmas
    converted = _at(target, _timesteps(source, sigmas.clamp(min=1e-12)))
    return torch.where(sigmas.cpu() > 0, converted.to(sigmas.dtype), sigmas.cpu()).to(sigmas.device)


def restore_beta_schedule(model: ModelPatcher, betas: BetaSchedule, sigmas: Tensor) -> tuple[ModelPatcher, Tensor]:
    """Undo that a node placed after ours set a schedule with the checkpoint's betas.

    Returns:
        The MODEL to sample with and its sigmas; both unchanged when nothing was overwritten.
    """
    current = model.get_model_object(MODEL_SAMPLING)
    retrained = retrained_sampling(current, betas)
    if retrained is current:
        return model, sigmas
    model = model.clone()
    model.add_object_patch(MODEL_SAMPLING, retrained)
    return model, convert_sigmas(sigmas, current, retrained)
