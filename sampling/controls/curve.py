"""The strength of a ControlNet, T2I-Adapter or SparseCtrl over frames, steps and regions of the picture.

``with_control_curve`` puts a ``CurvedControl`` where the control was that was applied last, ``curved_control`` one in place of a
control that is not applied yet. Called by ``nodes.schedule`` and ``controls.sparse``; ``windows.controls`` cuts it to context windows.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ...motion.low_rank import resized
from ..frames import call_of
from ..host.controls import Conditioning, ControlBase, Residuals
from ..host.wrappers import HostOptions
from ..timeline.curve import Curve, value_at


class CurvedControl(ControlBase):
    """A control in a chain, multiplied by a curve. It owns ``inner``, a copy of the control without the rest of the chain.

    Attributes:
        falloff: see ``softened``.
    """

    def __init__(self, control: ControlBase, curve: Curve, falloff: float = 1.0) -> None:
        super().__init__()
        self.inner = control.copy()
        self.curve = curve
        self.falloff = falloff
        self.previous_controlnet = control.previous_controlnet
        self._sampling: Any = None

    @property
    def innermost(self) -> ControlBase:
        """The control itself, whatever curves are around it."""
        return self.inner.innermost if isinstance(self.inner, CurvedControl) else self.inner

    def with_inner(self, inner: ControlBase, previous: ControlBase | None) -> CurvedControl:
        """This curve around another control, such as one cut to a window."""
        cut = copy.copy(self)
        cut.inner, cut.previous_controlnet, cut.multigpu_clones = inner, previous, {}
        return cut

    # --- what the host asks of a control ---

    def set_cond_hint(self, *args: Any, **more: Any) -> CurvedControl:
        """Called by Apply ControlNet with the images, the strength and the rest, on a copy."""
        self.inner.set_cond_hint(*args, **more)
        return self

    def set_extra_arg(self, argument: str, value: Any = None) -> None:
        """Called by Set Union ControlNet Type, on a copy."""
        self.inner.set_extra_arg(argument, value)

    def pre_run(self, model: Any, percent_to_timestep_function: Any) -> None:
        """Called by the host before a run."""
        self._sampling = model.model_sampling
        self.inner.pre_run(model, percent_to_timestep_function)
        super().pre_run(model, percent_to_timestep_function)

    def get_control(
        self, x_noisy: Tensor, t: Tensor, cond: Any, batched_number: int, transformer_options: HostOptions
    ) -> Residuals | None:
        """What the control adds, times the curve, and what the rest of the chain adds."""
        args = (x_noisy, t, cond, batched_number, transformer_options)
        before = None if self.previous_controlnet is None else self.previous_controlnet.get_control(*args)
        own = self.inner.get_control(*args)
        if own is None:
            return before
        weights = self._weights(x_noisy, t, batched_number, transformer_options)
        return self.control_merge(weighted_residuals(softened(own, self.falloff), weights), before, None)

    def _weights(self, x: Tensor, sigma: Tensor, conds: int, options: HostOptions) -> float | Tensor:
        value = value_at(self.curve, call_of(options, x, conds, self._sampling, sigma))
        return value.to(x.device).repeat(conds, 1, 1, 1) if isinstance(value, Tensor) else value

    def cleanup(self) -> None:
        """Called by the host after a run."""
        self.inner.cleanup()
        self._sampling = None
        super().cleanup()

    def get_models(self) -> list[Any]:
        """Called by the host: what has to be loaded."""
        return [*self.inner.get_models(), *super().get_models()]

    def get_extra_hooks(self) -> list[Any]:
        """Called by the host: hooks that come with the control."""
        return [*self.inner.get_extra_hooks(), *super().get_extra_hooks()]

    def inference_memory_requirements(self, dtype: torch.dtype) -> float:
        """Called by the host: bytes beside the weights."""
        return self.inner.inference_memory_requirements(dtype) + super().inference_memory_requirements(dtype)

    def copy(self) -> CurvedControl:
        """Called by Apply ControlNet and by curves around this one."""
        return CurvedControl(self.inner, self.curve, self.falloff)

    def deepclone_multigpu(self, load_device: torch.device, autoregister: bool = False) -> CurvedControl:
        """Called by the host for another device."""
        clone = self.with_inner(self.inner.deepclone_multigpu(load_device), None)
        if autoregister:
            self.multigpu_clones[load_device] = clone
        return clone


def weighted(x: Tensor, weights: float | Tensor) -> Tensor:
    """``(B·F, C, H, W)``, or tokens ``(B·F, N, C)``, times a number, or weights ``(B·F, 1, h, w)`` of whatever size."""
    if not isinstance(weights, Tensor):
        return x * weights
    if x.ndim != 4:  # tokens have no region of their own: they get the mean
        return x * weights.mean((1, 2, 3)).view(-1, *[1] * (x.ndim - 1)).to(x)
    return x * resized(weights, x.shape[-2:]).to(x)


def weighted_residuals(residuals: Residuals, weights: float | Tensor) -> Residuals:
    """What a control adds, each block ``weighted``."""
    return {stage: [None if x is None else weighted(x, weights) for x in blocks] for stage, blocks in residuals.items()}


FALLOFF_OF_ADAPTERS = (0, 1, 2, 7)
"""Powers for the four levels of a T2I-Adapter, the deepest first; it lists three blocks for each."""


def softened(residuals: Residuals, falloff: float) -> Residuals:
    """What a control adds, less in blocks further from the middle of the UNet, where details are: soft weights.

    Of the ``n`` blocks that a ControlNet lists from the first to the deepest, block ``i`` is multiplied by ``falloff ** (n - i)``,
    the middle by 1. T2I-Adapters: see ``FALLOFF_OF_ADAPTERS``. Source: sd-webui-controlnet, "my prompt is more important", whose
    falloff is 0.825; Advanced-ControlNet's scaled soft weights.
    """
    if falloff == 1.0:
        return residuals
    last = len(FALLOFF_OF_ADAPTERS) - 1

    def power(stage: str, number: int, count: int) -> int:
        if stage == "output":
            return count - number
        return FALLOFF_OF_ADAPTERS[min(number // 3, last)] if stage == "input" else 0

    return {
        stage: [None if x is None else x * falloff ** power(stage, number, len(blocks)) for number, x in enumerate(blocks)]
        for stage, blocks in residuals.items()
    }


def curved_control(control: Any, curve: Curve, falloff: float = 1.0) -> CurvedControl:
    """CONTROL_NET -> CONTROL_NET that follows the curve wherever it is applied. That given is not changed.

    Raises:
        ValueError: it is no control.
    """
    if not isinstance(control, ControlBase):
        raise ValueError(f"Needed a ControlNet, T2I-Adapter or SparseCtrl; got {type(control).__name__}. Connect one from its loader.")
    return CurvedControl(control, curve, falloff)


def with_control_curve(conditioning: Iterable[Conditioning], curve: Curve, falloff: float = 1.0) -> list[Conditioning]:
    """Several CONDITIONINGs whose control applied last follows the curve, ``softened``. Those given are not changed.

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
                    made[id(control)] = CurvedControl(control, curve, falloff)
                options = {**options, "control": made[id(control)]}
            curved[-1].append([cond, options])
    if not made:
        raise ValueError("There is no control here yet. Put this after Apply ControlNet or Apply SparseCtrl.")
    return curved
