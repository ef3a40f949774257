"""CFG that differs from frame to frame, from step to step or from place to place.

``with_cfg_curve`` puts it on a MODEL, animated or not; it takes the place of the sampler's CFG. Called by ``nodes.schedule``
and ``nodes.sample``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from comfy.samplers import CFGGuider
from torch import Tensor

from .curve import Curve, moment_of_call, resized, value_at

KEY = "animatediff_cfg"


def with_cfg_curve(model: ModelPatcher, curve: Curve) -> ModelPatcher:
    """A MODEL whose CFG is that of the curve, whatever the sampler says; the given MODEL stays as it is."""
    model = model.clone()
    model.set_attachments(KEY, curve)
    model.remove_wrappers_with_key(WrappersMP.PREDICT_NOISE, KEY)
    model.add_wrapper_with_key(WrappersMP.PREDICT_NOISE, KEY, _predict_noise)
    return model


def _check(guider: Any) -> None:
    """Raise ValueError for guiders that have not one CFG between two prompts."""
    if type(guider).predict_noise is not CFGGuider.predict_noise or "negative" not in guider.conds:
        raise ValueError(
            f"A CFG curve needs one CFG between a positive and a negative prompt; {type(guider).__name__} has none or several. "
            "Use KSampler, AnimateDiff Sampler or CFGGuider, or leave the CFG curve out."
        )


def _predict_noise(
    executor: Any,
    x: Tensor,
    timestep: Tensor,
    model_options: dict[str, Any] = {},  # noqa: B006 - the host's own signature; it is never written to
    *rest: Any,
    **kw: Any,
) -> Any:
    """Around one prediction: the host works with the largest CFG of all frames, the others are brought down before it."""
    guider = executor.class_obj
    _check(guider)
    patcher = guider.model_patcher
    moment = moment_of_call({}, x.shape[0], patcher.get_model_object("model_sampling"), timestep)  # windows lie further in
    value = value_at(patcher.get_attachment(KEY), moment)
    given = guider.cfg
    if isinstance(value, Tensor):
        value = resized(value, x.shape[-2:])
        largest = float(value.flatten()[value.abs().argmax()])
        before = [*model_options.get("sampler_pre_cfg_function", []), partial(_bring_down, value / (largest or 1.0))]
        model_options = {**model_options, "sampler_pre_cfg_function": before, "disable_cfg1_optimization": True}
        value = largest
    try:
        guider.cfg = value
        return executor(x, timestep, model_options, *rest, **kw)
    finally:
        guider.cfg = given


def _bring_down(shares: Tensor, args: dict[str, Any]) -> list[Tensor]:
    """Called by the host with both predictions: move the conditional one so that each place gets its share of the CFG."""
    positive, negative, *others = args["conds_out"]
    shares = shares.to(positive)
    return [torch.where(shares == 1, positive, negative + (positive - negative) * shares), negative, *others]
