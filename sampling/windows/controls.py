"""ControlNets and T2I-Adapters in context windows: each frame keeps its own hint, and hints are prepared once.

Used by ``cache.RunCache``. The host hands a control to every window whole, so that each window would get the hints of the
first frames.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ..controls.chain import acts_at, knows_its_frames
from ..controls.curve import CurvedControl
from ..host.controls import OWN_KINDS, ControlBase, ControlIsolation, Residuals, T2IAdapter
from ..host.sample import scaled_to
from ..host.wrappers import HostOptions

Indices = tuple[int, ...]
"""The frames of a window."""
Size = tuple[int, ...]
"""Height and width of the latents that a control is prepared for."""
ENCODE_AT_ONCE = 16
"""Hints per run of a T2I-Adapter: as many as a window usually holds."""


def check_cuttable(control: ControlBase) -> None:
    """Raise ValueError for a control whose hints we cannot find, rather than show a window the hints of others."""
    if isinstance(control, CurvedControl):  # its inner control is asked by itself
        return
    if knows_its_frames(control) or type(control).get_control.__module__ == OWN_KINDS:
        return
    hint = control.cond_hint_original
    if isinstance(hint, Tensor) and hint.shape[0] == 1:
        return
    given = f"{hint.shape[0]} hints" if isinstance(hint, Tensor) else "hints of its own kind"
    raise ValueError(
        f"The control {type(control).__name__} (from {type(control).__module__}) has {given} and its own way to use "
        "them, so it cannot be cut to context windows. Use one hint for all frames, no more frames than in one window, the "
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


def _scaled_once(control: ControlBase, x: Tensor) -> ControlBase:
    """A copy whose hints have the size the host would give them; scaling to the same size again changes nothing."""
    whole = copy.copy(control)
    hint, size = control.cond_hint_original, tuple(side * control.compression_ratio for side in x.shape[-2:])
    if hint is not None and control.vae is None and tuple(hint.shape[-2:]) != size:
        whole.cond_hint_original = scaled_to(hint, size, control.upscale_algorithm)
    return whole


class _Link(ControlBase):
    """A link in a chain of controls that gets what it adds from elsewhere."""

    def own(self, x: Tensor, t: Tensor, cond: Any, conds: int, options: HostOptions) -> Residuals | None:
        """What this link alone adds, or None; see ``get_control``."""
        raise NotImplementedError

    def get_control(
        self, x_noisy: Tensor, t: Tensor, cond: Any, batched_number: int, transformer_options: HostOptions
    ) -> Residuals | None:
        """Called by the host: tensors ``(conds · frames, C, H, W)`` to add per UNet block, the chain's included."""
        before, previous = None, self.previous_controlnet
        if previous is not None:
            before = previous.get_control(x_noisy, t, cond, batched_number, transformer_options)
        own = self.own(x_noisy, t, cond, batched_number, transformer_options)
        return before if own is None else self.control_merge(own, before, None)


class SelfCutting(_Link):
    """A control that knows its frames, before controls that do not. It is shared, not copied: it keeps state during a run."""

    def __init__(self, control: ControlBase) -> None:
        super().__init__()
        self.control = control

    def own(self, x: Tensor, t: Tensor, cond: Any, conds: int, options: HostOptions) -> Residuals | None:
        with ControlIsolation(self.control):
            return self.control.get_control(x, t, cond, conds, options)


class AdapterFeatures(_Link):
    """What a T2I-Adapter adds to some frames, taken from what it computed once for all frames."""

    def __init__(self, whole: WholeAdapter, indices: Indices) -> None:
        super().__init__()
        self.whole = whole
        self.indices = indices

    def own(self, x: Tensor, t: Tensor, cond: Any, conds: int, options: HostOptions) -> Residuals | None:
        features = self.whole.features(x, t, cond, options)
        return features and {key: [self._pick(block, x, conds) for block in blocks] for key, blocks in features.items()}

    def _pick(self, block: Tensor | None, x: Tensor, conds: int) -> Tensor | None:
        frames = _frames_of(block, self.indices)
        if frames is None or frames.shape[0] == 1:
            return frames
        return frames.repeat(conds, 1, 1, 1).to(x)


class WholeAdapter:
    """A T2I-Adapter over all hints of an animation. It depends on nothing but its hints, so it runs once."""

    def __init__(self, control: Any) -> None:
        self.control = control
        self._features: Residuals | None = None

    def features(self, x: Tensor, t: Tensor, cond: Any, options: HostOptions) -> Residuals | None:
        """Per UNet block what is added for each hint, strength included; None outside the control's step range."""
        if not acts_at(self.control, t):
            return None
        if self._features is None:
            self._features = self._run(x, t, cond, options)
        return self._features

    def _run(self, x: Tensor, t: Tensor, cond: Any, options: HostOptions) -> Residuals:
        parts = []
        for hints in self.control.cond_hint_original.split(ENCODE_AT_ONCE):
            part = copy.copy(self.control)
            part.previous_controlnet, part.cond_hint, part.control_input = None, None, None
            part.cond_hint_original = hints
            parts.append(part.get_control(x[:1].expand(hints.shape[0], -1, -1, -1), t, cond, 1, options))
        joined: Residuals = {}
        for key in parts[0]:
            blocks = zip(*(part[key] for part in parts), strict=True)
            joined[key] = [None if block[0] is None else torch.cat(block) for block in blocks]
        return joined


class ControlCuts:
    """Controls cut to windows: one object per control and window, since the host batches conds only if they share it.

    Keys hold the ``id()`` of a control of the run. The entry keeps the control, so its id stays taken; ``RunCache`` says how
    long entries live.
    """

    def __init__(self) -> None:
        self._whole: dict[tuple[int, Size], tuple[ControlBase | WholeAdapter, ControlBase]] = {}  # the control is kept so that its id stays taken
        self._cuts: dict[tuple[Indices, int, Size], tuple[ControlBase, ControlBase]] = {}

    def keep_only(self, windows: Iterable[Indices]) -> None:
        """Drop what belongs to windows that are not used any more, as with schedules that move per step."""
        wanted = set(windows)
        self._cuts = {key: cut for key, cut in self._cuts.items() if key[0] in wanted}

    def clear(self) -> None:
        self._whole.clear()
        self._cuts.clear()

    def cut(self, control: ControlBase, indices: Indices, x: Tensor) -> ControlBase:
        """The control, and the rest of its chain, with the hints of the frames ``indices``; ``x`` gives the latent size.

        Raises:
            ValueError: the control cannot be cut.
        """
        check_cuttable(control)
        if knows_its_frames(control) and control.previous_controlnet is None:
            return control
        key = (indices, id(control), tuple(x.shape[-2:]))
        if key not in self._cuts:
            self._cuts[key] = (self._make(control, indices, x), control)
        return self._cuts[key][0]

    def _make(self, control: ControlBase, indices: Indices, x: Tensor) -> ControlBase:
        if isinstance(control, CurvedControl):
            previous = control.previous_controlnet
            made = control.with_inner(self.cut(control.inner, indices, x), previous and self.cut(previous, indices, x))
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

    def _prepared(self, control: ControlBase, x: Tensor) -> ControlBase | WholeAdapter:
        """What is the same for all windows."""
        key = (id(control), tuple(x.shape[-2:]))
        if key not in self._whole:
            adapter = isinstance(control, T2IAdapter)
            self._whole[key] = (WholeAdapter(control) if adapter else _scaled_once(control, x), control)
        return self._whole[key][0]
