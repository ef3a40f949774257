"""The strength of a ControlNet, T2I-Adapter or SparseCtrl over frames, steps and places.

``with_control_curve`` puts a ``CurvedControl`` in the place of the control that was applied last. Called by ``nodes.schedule``
and ``nodes.sparse_control``; ``window_controls`` cuts it to context windows.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import comfy.controlnet
import torch
from torch import Tensor

from ..motion.low_rank import resized
from .curve import Curve, moment_of_call, value_at


class CurvedControl(comfy.controlnet.ControlBase):
    """A control in a chain, multiplied by a curve. It owns ``inner``, a copy of the control without the chain behind it."""

    def __init__(self, control: Any, curve: Curve) -> None:
        super().__init__()
        self.inner = control.copy()
        self.curve = curve
        self.previous_controlnet = control.previous_controlnet
        self._sampling: Any = None

    @property
    def innermost(self) -> Any:
        """The control itself, whatever curves are around it."""
        return self.inner.innermost if isinstance(self.inner, CurvedControl) else self.inner

    def over(self, inner: Any, previous: Any) -> CurvedControl:
        """The same for other hints: those of a context window."""
        cut = copy.copy(self)
        cut.inner, cut.previous_controlnet, cut.multigpu_clones = inner, previous, {}
        return cut

    # --- what the host asks of a control ---

    def pre_run(self, model: Any, percent_to_timestep_function: Any) -> None:
        self._sampling = model.model_sampling
        self.inner.pre_run(model, percent_to_timestep_function)
        super().pre_run(model, percent_to_timestep_function)

    def get_control(self, x_noisy: Tensor, t: Tensor, cond: Any, batched_number: int, transformer_options: Any) -> Any:
        """What the control adds, times the curve, and what the chain behind it adds."""
        args = (x_noisy, t, cond, batched_number, transformer_options)
        before = None if self.previous_controlnet is None else self.previous_controlnet.get_control(*args)
        own = self.inner.get_control(*args)
        if own is None:
            return before
        weights = self._weights(x_noisy, t, batched_number, transformer_options)
        scaled = {key: [None if x is None else weighted(x, weights) for x in blocks] for key, blocks in own.items()}
        return self.control_merge(scaled, before, None)

    def _weights(self, x: Tensor, t: Tensor, conds: int, options: Any) -> float | Tensor:
        value = value_at(self.curve, moment_of_call(options, x, conds, self._sampling, t))
        return value.to(x.device).repeat(conds, 1, 1, 1) if isinstance(value, Tensor) else value

    def cleanup(self) -> None:
        self.inner.cleanup()
        self._sampling = None
        super().cleanup()

    def get_models(self) -> list[Any]:
        return [*self.inner.get_models(), *super().get_models()]

    def get_extra_hooks(self) -> list[Any]:
        return [*self.inner.get_extra_hooks(), *super().get_extra_hooks()]

    def inference_memory_requirements(self, dtype: torch.dtype) -> float:
        return self.inner.inference_memory_requirements(dtype) + super().inference_memory_requirements(dtype)

    def copy(self) -> CurvedControl:
        return CurvedControl(self.inner, self.curve)

    def deepclone_multigpu(self, load_device: Any, autoregister: bool = False) -> CurvedControl:
        clone = self.over(self.inner.deepclone_multigpu(load_device), None)
        if autoregister:
            self.multigpu_clones[load_device] = clone
        return clone


def weighted(x: Tensor, weights: float | Tensor) -> Tensor:
    """``(B·F, C, H, W)``, or tokens ``(B·F, N, C)``, times a number, or weights ``(B·F, 1, h, w)`` of whatever size."""
    if not isinstance(weights, Tensor):
        return x * weights
    if x.ndim != 4:  # without places: their mean
        return x * weights.mean((1, 2, 3)).view(-1, *[1] * (x.ndim - 1)).to(x)
    return x * resized(weights, x.shape[-2:]).to(x)


def with_control_curve(conditioning: Iterable[Any], curve: Curve) -> list[Any]:
    """Several CONDITIONINGs whose control applied last follows the curve. What is given stays as it is.

    A control that they share becomes one object again: the host evaluates prompts together only if they have the same.

    Raises:
        ValueError: none of them has a control.
    """
    made: dict[int, CurvedControl] = {}
    curved = []
    for entries in conditioning:
        curved.append([])
        for cond, options in entries:
            control = options.get("control")
            if control is not None:
                if id(control) not in made:
                    made[id(control)] = CurvedControl(control, curve)
                options = {**options, "control": made[id(control)]}
            curved[-1].append([cond, options])
    if not made:
        raise ValueError("There is no control here yet. Put this behind Apply ControlNet or Apply SparseCtrl.")
    return curved
