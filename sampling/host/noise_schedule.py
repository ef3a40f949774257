"""The host's noise schedules, made of the betas of a motion module. Called by ``run``."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import torch
from comfy.ldm.modules.diffusionmodules.util import make_beta_schedule
from comfy.model_base import ModelType, model_sampling
from comfy.model_sampling import EPS, ModelSamplingDiscrete, rescale_zero_terminal_snr_sigmas
from comfy_extras.nodes_model_advanced import LCM, ModelSamplingDiscreteDistilled
from torch import Tensor

from ...motion.config import BetaSchedule

__all__ = ["EPS", "LCM", "ModelSamplingDiscrete"]

MODEL_SAMPLING = "model_sampling"
"""The noise schedule among a MODEL's objects."""
LCM_STEPS = 50
"""Training steps of latent consistency models, where nothing else is said."""
_HOST_CURVES = {"linear": "sqrt_linear", "scaled_linear": "linear"}
"""Authors' name of a beta curve -> the host's, where they differ."""
_MEAN_OF = ("linear", "scaled_linear")
_SQUAREDCOS = "squaredcos_cap_v2"
_TYPES = {"eps": ModelType.EPS, "v_prediction": ModelType.V_PREDICTION}


class LatentConsistency(ModelSamplingDiscreteDistilled, LCM):
    """Latent consistency sampling on the training steps a model was distilled on: ``lcm_steps`` of its settings."""

    def __init__(self, model_config: Any, zsnr: bool | None = None) -> None:
        self.original_timesteps = model_config.sampling_settings["lcm_steps"]  # read by the host's constructor
        super().__init__(model_config, zsnr=zsnr)


def schedule_class(prediction: str, model_type: ModelType) -> type | None:
    """The class of noise schedules for ``checkpoint``, ``eps``, ``v_prediction`` or ``lcm``.

    Args:
        prediction: ``checkpoint`` is that of ``model_type``.

    Returns:
        None where the checkpoint has no betas, as EDM and flow models.
    """
    own: Any = model_sampling(_config({}), model_type)
    if not isinstance(own, ModelSamplingDiscrete):
        return None
    if prediction == "lcm":
        return LatentConsistency
    return type(model_sampling(_config({}), _TYPES[prediction])) if prediction in _TYPES else type(own)


def make_schedule(kind: type, betas: BetaSchedule, timesteps: int, zsnr: bool, lcm_steps: int = LCM_STEPS) -> Any:
    """A noise schedule of a class of the host.

    Args:
        kind: a ``ModelSamplingDiscrete``, distilled or not.
        timesteps: training steps of the image model.
        zsnr: whether the sigmas are rescaled to zero terminal signal-to-noise ratio.
        lcm_steps: for ``LatentConsistency``, which takes every ``timesteps / lcm_steps``-th of the sigmas.
    """
    common = {"timesteps": timesteps, "lcm_steps": lcm_steps, "linear_start": betas.start, "linear_end": betas.end}
    full = _full_table(betas, timesteps, zsnr)
    curve = _MEAN_OF[0] if full is not None else betas.curve
    schedule = kind(_config({**common, "beta_schedule": _HOST_CURVES.get(curve, curve)}), zsnr=zsnr)
    if full is not None:
        count = len(schedule.sigmas)
        schedule.set_sigmas(full[timesteps - 1 - timesteps // count * torch.arange(count).flip(0)])
    return schedule


def _full_table(betas: BetaSchedule, timesteps: int, zsnr: bool) -> Tensor | None:
    """Sigmas of all training steps, rising, for curves that the host's classes cannot make; None for the others."""
    if betas.curve == _SQUAREDCOS:
        products = (1 - torch.as_tensor(make_beta_schedule(_SQUAREDCOS, timesteps))).cumprod(0)
        sigmas = ((1 - products) / products).sqrt()
        return rescale_zero_terminal_snr_sigmas(sigmas) if zsnr else sigmas
    if betas.curve != "mean":
        return None
    tables = [
        make_schedule(ModelSamplingDiscrete, BetaSchedule(curve, betas.start, betas.end), timesteps, zsnr).sigmas
        for curve in _MEAN_OF
    ]
    return torch.stack(tables).mean(0)


def _config(settings: dict[str, Any]) -> Any:
    """What the host's constructors read of a model's configuration."""
    return cast(Any, SimpleNamespace(sampling_settings=settings))
