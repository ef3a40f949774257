"""ControlNets and T2I-Adapters in context windows: each frame keeps its own hint, and hints are prepared once.

Used by ``windows.FrameWindows``. The host hands a control to every window whole, so that each window would get the
hints of the first frames.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

import comfy.controlnet
import torch
from comfy.utils import common_upscale
from torch import Tensor

from .control_curve import CurvedControl

Indices = tuple[int, ...]
Size = tuple[int, ...]
"""Height and width of the latents that a control is prepared for."""
ENCODE_AT_ONCE = 16
"""Hints per run of a T2I-Adapter: as many as a window usually holds."""


def knows_its_frames(control: Any) -> bool:
    """Whether a control reads ``ad_params`` or ``context_window`` and cuts itself (Advanced-ControlNet, SparseCtrl)."""
    return hasattr(control, "sub_idxs") or getattr(control, "handles_context_windows", False)


def chain(control: Any) -> Iterator[Any]:
    """A control and those it is chained to, without the curves around them."""
    while control is not None:
        yield control.innermost if isinstance(control, CurvedControl) else control
        control = control.previous_controlnet


def acts_at(control: Any, t: Tensor) -> bool:
    """Whether a model call at ``t`` lies in the control's step range; before a run it has none, and always acts."""
    start, end = control.timestep_range or (float("inf"), float("-inf"))
    return not bool(t[0] > start or t[0] < end)


def check_cuttable(control: Any) -> None:
    """Raise ValueError for a control whose hints we cannot find, rather than show a window the hints of others."""
    if isinstance(control, CurvedControl):  # its inner control is asked by itself
        return
    if knows_its_frames(control) or type(control).get_control.__module__ == comfy.controlnet.__name__:
        return
    hint = control.cond_hint_original
    if isinstance(hint, Tensor) and hint.shape[0] == 1:
        return
    given = f"{hint.shape[0]} hints" if isinstance(hint, Tensor) else "hints of its own kind"
    raise ValueError(
        f"The control {type(control).__name__} (from {type(control).__module__}) has {given} and its own way to use "
        "them, so it cannot be cut to context windows. Use one hint for the whole clip, a clip of one window, the "
        "views option of Context Window Options, or the same control through Apply ControlNet or Advanced-ControlNet."
    )


def _frames_of(batch: Tensor | None, indices: Indices) -> Tensor | None:
    """Entry ``i`` of a batch for frame ``i``, starting over at its end as the host does."""
    if batch is None or batch.shape[0] == 1:
        return batch
    first, last = indices[0], indices[-1]
    if last < batch.shape[0] and indices == tuple(range(first, last + 1)):
        return batch[first : last + 1]  # a view: hints are large
    return batch[[index % batch.shape[0] for index in indices]]


def _scaled_once(control: Any, x: Tensor) -> Any:
    """A copy whose hints have the size the host would give them; scaling to the same size again changes nothing."""
    whole = copy.copy(control)
    hint, height, width = control.cond_hint_original, *(size * control.compression_ratio for size in x.shape[-2:])
    if hint is not None and control.vae is None and hint.shape[-2:] != (height, width):
        whole.cond_hint_original = common_upscale(hint, width, height, control.upscale_algorithm, "center")
    return whole


class _Link(comfy.controlnet.ControlBase):
    """A link in a chain of controls that gets what it adds from elsewhere."""

    def own(self, x: Tensor, t: Tensor, cond: Any, conds: int, options: Any) -> Any:
        """What this link alone adds, or None; see ``get_control``."""
        raise NotImplementedError

    def get_control(self, x_noisy: Tensor, t: Tensor, cond: Any, batched_number: int, transformer_options: Any) -> Any:
        """Called by the host: tensors ``(conds · frames, C, H, W)`` to add per UNet block, the chain's included."""
        before, previous = None, self.previous_controlnet
        if previous is not None:
            before = previous.get_control(x_noisy, t, cond, batched_number, transformer_options)
        own = self.own(x_noisy, t, cond, batched_number, transformer_options)
        return before if own is None else self.control_merge(own, before, None)


class SelfCutting(_Link):
    """A control that knows its frames, in front of controls that do not. Such objects must not be copied."""

    def __init__(self, control: Any) -> None:
        super().__init__()
        self.control = control

    def own(self, x: Tensor, t: Tensor, cond: Any, conds: int, options: Any) -> Any:
        with comfy.controlnet.ControlIsolation(self.control):
            return self.control.get_control(x, t, cond, conds, options)


class AdapterFeatures(_Link):
    """What a T2I-Adapter adds to some frames, taken from what it computed once for the whole clip."""

    def __init__(self, whole: WholeAdapter, indices: Indices) -> None:
        super().__init__()
        self.whole = whole
        self.indices = indices

    def own(self, x: Tensor, t: Tensor, cond: Any, conds: int, options: Any) -> Any:
        features = self.whole.features(x, t, cond, options)
        return features and {key: [self._pick(block, x, conds) for block in blocks] for key, blocks in features.items()}

    def _pick(self, block: Tensor | None, x: Tensor, conds: int) -> Tensor | None:
        frames = _frames_of(block, self.indices)
        if frames is None or frames.shape[0] == 1:
            return frames
        return frames.repeat(conds, 1, 1, 1).to(x)


class WholeAdapter:
    """A T2I-Adapter over all hints of a clip. It depends on nothing but its hints, so it runs once."""

    def __init__(self, control: Any) -> None:
        self.control = control
        self._features: dict[str, list[Tensor | None]] | None = None

    def features(self, x: Tensor, t: Tensor, cond: Any, options: Any) -> dict[str, list[Tensor | None]] | None:
        """Per UNet block what is added for each hint, strength included; None outside the control's step range."""
        if not acts_at(self.control, t):
            return None
        if self._features is None:
            self._features = self._run(x, t, cond, options)
        return self._features

    def _run(self, x: Tensor, t: Tensor, cond: Any, options: Any) -> dict[str, list[Tensor | None]]:
        parts = []
        for hints in self.control.cond_hint_original.split(ENCODE_AT_ONCE):
            part = copy.copy(self.control)
            part.previous_controlnet, part.cond_hint, part.control_input = None, None, None
            part.cond_hint_original = hints
            parts.append(part.get_control(x[:1].expand(hints.shape[0], -1, -1, -1), t, cond, 1, options))
        joined: dict[str, list[Tensor | None]] = {}
        for key in parts[0]:
            blocks = zip(*(part[key] for part in parts), strict=True)
            joined[key] = [None if block[0] is None else torch.cat(block) for block in blocks]
        return joined


class ControlCuts:
    """Controls cut to windows: one object per control and window, since the host batches conds only if they share it."""

    def __init__(self) -> None:
        self._whole: dict[tuple[int, Size], tuple[Any, Any]] = {}  # the control is kept so that its id stays taken
        self._cuts: dict[tuple[Indices, int, Size], Any] = {}

    def keep_only(self, windows: Iterable[Indices]) -> None:
        """Drop what belongs to windows that are not used any more, as with schedules that move per step."""
        wanted = set(windows)
        self._cuts = {key: cut for key, cut in self._cuts.items() if key[0] in wanted}

    def clear(self) -> None:
        self._whole.clear()
        self._cuts.clear()

    def cut(self, control: Any, indices: Indices, x: Tensor) -> Any:
        """The control, and the chain behind it, with the hints of the frames ``indices``; ``x`` gives the latent size.

        Raises:
            ValueError: the control cannot be cut.
        """
        check_cuttable(control)
        if knows_its_frames(control) and control.previous_controlnet is None:
            return control
        key = (indices, id(control), tuple(x.shape[-2:]))
        if key not in self._cuts:
            self._cuts[key] = self._make(control, indices, x)
        return self._cuts[key]

    def _make(self, control: Any, indices: Indices, x: Tensor) -> Any:
        if isinstance(control, CurvedControl):
            previous = control.previous_controlnet
            made = control.over(self.cut(control.inner, indices, x), previous and self.cut(previous, indices, x))
            made.multigpu_clones = {device: self.cut(clone, indices, x) for device, clone in control.multigpu_clones.items()}
            return made
        whole = control if knows_its_frames(control) else self._prepared(control, x)
        if whole is control:
            cut = SelfCutting(control)
        elif isinstance(whole, WholeAdapter):
            cut = AdapterFeatures(whole, indices)
        else:
            cut = copy.copy(whole)
            cut.cond_hint = None
            cut.cond_hint_original = _frames_of(whole.cond_hint_original, indices)
            cut.extra_concat_orig = [_frames_of(extra, indices) for extra in whole.extra_concat_orig]
            cut.multigpu_clones = {device: self.cut(clone, indices, x) for device, clone in control.multigpu_clones.items()}
        if control.previous_controlnet is not None:
            cut.previous_controlnet = self.cut(control.previous_controlnet, indices, x)
        return cut

    def _prepared(self, control: Any, x: Tensor) -> Any:
        """What is the same for all windows."""
        key = (id(control), tuple(x.shape[-2:]))
        if key not in self._whole:
            adapter = isinstance(control, comfy.controlnet.T2IAdapter)
            self._whole[key] = (WholeAdapter(control) if adapter else _scaled_once(control, x), control)
        return self._whole[key][0]
