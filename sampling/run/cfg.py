"""CFG that differs from frame to frame, from step to step or from region to region.

``with_cfg_curve`` puts it on a MODEL, animated or not; it takes the place of the sampler's CFG. Called by ``nodes.schedule``
and ``run.sample``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from ..frames import call_of
from ..host.memory import ModelPatcher
from ..host.sample import CFGGuider, guided_with
from ..host.wrappers import CFG, Executor, HostOptions, WrappersMP, put_wrapper
from ..timeline.curve import Curve, value_at
from .betas import schedule_of


def with_cfg_curve(model: ModelPatcher, curve: Curve) -> ModelPatcher:
    """A MODEL whose CFG is that of the curve, whatever the sampler says; the given MODEL is not changed."""
    model = model.clone()
    model.set_attachments(CFG, curve)
    put_wrapper(model, WrappersMP.PREDICT_NOISE, CFG, _predict_noise)
    return model


def _check_guider(guider: CFGGuider) -> None:
    """Raise ValueError for guiders without a single CFG scale between a positive and a negative prompt."""
    if type(guider).predict_noise is not CFGGuider.predict_noise or "negative" not in guider.conds:
        raise ValueError(
            f"A CFG curve needs one CFG between a positive and a negative prompt; {type(guider).__name__} has none or several. "
            "Use KSampler, AnimateDiff Sampler or CFGGuider, or leave the CFG curve out."
        )


def _predict_noise(
    executor: Executor,
    x: Tensor,
    timestep: Tensor,
    model_options: HostOptions = {},  # noqa: B006 - the host's own signature; it is never written to
    *rest: Any,
    **kw: Any,
) -> Tensor:
    """Around one prediction: where frames differ, the host's formula, or that of another node, is given a CFG for each."""
    guider: CFGGuider = executor.class_obj
    _check_guider(guider)
    patcher = guider.model_patcher
    call = call_of({}, x, 1, schedule_of(patcher), timestep)  # context windows lie further in
    curve: Any = patcher.get_attachment(CFG)
    value = value_at(curve, call)
    if isinstance(value, Tensor):
        value = value.to(x)
        formula = partial(_guided, value, model_options.get("sampler_cfg_function"))
        model_options = {**model_options, "sampler_cfg_function": formula, "disable_cfg1_optimization": True}
        value = float(value.max())
    with guided_with(guider, value):
        return executor(x, timestep, model_options, *rest, **kw)


def _guided(scales: Tensor, formula: Callable[[HostOptions], Tensor] | None, args: HostOptions) -> Tensor:
    """Called by the host in place of its formula.

    Returns noise ``(F, C, H, W)``, with ``scales``, ``(F, 1, 1, 1)`` or ``(F, 1, H, W)``, as the CFG.
    """
    if formula is not None:
        return formula({**args, "cond_scale": scales})
    return args["uncond"] + (args["cond"] - args["uncond"]) * scales
