"""CFG that differs from frame to frame, from step to step or from place to place.

``with_cfg_curve`` puts it on a MODEL, animated or not; it takes the place of the sampler's CFG. Called by ``nodes.schedule``
and ``nodes.sample``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from comfy.samplers import CFGGuider
from torch import Tensor

from .curve import Curve, moment_of_call, value_at

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
    """Around one prediction: where frames differ, the host's formula, or that of another node, is given a CFG for each."""
    guider = executor.class_obj
    _check(guider)
    patcher = guider.model_patcher
    moment = moment_of_call({}, x, 1, patcher.get_model_object("model_sampling"), timestep)  # windows lie further in
    value = value_at(patcher.get_attachment(KEY), moment)
    given = guider.cfg
    if isinstance(value, Tensor):
        value = value.to(x)
        formula = partial(_guided, value, model_options.get("sampler_cfg_function"))
        model_options = {**model_options, "sampler_cfg_function": formula, "disable_cfg1_optimization": True}
        value = float(value.max())
    try:
        guider.cfg = value
        return executor(x, timestep, model_options, *rest, **kw)
    finally:
        guider.cfg = given


def _guided(scales: Tensor, formula: Any, args: dict[str, Any]) -> Tensor:
    """Called by the host in place of its formula: noise ``(F, C, H, W)``, with ``scales`` as the CFG of each frame and place."""
    if formula is not None:
        return formula({**args, "cond_scale": scales})
    return args["uncond"] + (args["cond"] - args["uncond"]) * scales
