"""Context windows: the host's own handler, made aware that our frames lie on the batch axis.

A clip longer than a motion module's positions is denoised in overlapping windows at every step. Choosing windows and
fusing their results is the host's work; added here is what it leaves out for batches of frames: control hints and
prompts that follow their frame, and ``ad_params``, by which other packs learn which frames a window holds.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import comfy.context_windows as host
import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import CallbacksMP, add_callback_with_key
from comfy.utils import repeat_to_batch_size

KEY = "animatediff_windows"
HANDLER = "context_handler"
SCHEDULES = list(host.CONTEXT_MAPPING)
FUSE_METHODS = list(host.ContextFuseMethods.LIST_STATIC)


@dataclass(frozen=True)
class ContextOptions:
    """Windows of ``length`` frames, neighbours sharing ``overlap``; the other fields are the host's choices."""

    length: int = 16
    overlap: int = 4
    schedule: str = host.ContextSchedules.STATIC_STANDARD
    fuse: str = host.ContextFuseMethods.PYRAMID
    freenoise: bool = True
    stride: int = 1
    closed_loop: bool = False

    def __post_init__(self) -> None:
        if self.length < 1 or self.overlap < 0:
            raise ValueError(
                f"context_length must be at least 1 and overlap at least 0; got {self.length}, {self.overlap}."
            )
        if self.overlap >= self.length:
            raise ValueError(
                f"context_overlap must be less than context_length, or windows never advance; got overlap "
                f"{self.overlap} and length {self.length}. Use an overlap of about {self.length // 4}."
            )


class FrameWindows(host.IndexListContextHandler):
    """The host's handler for frames on axis 0. What it caches for a run is dropped when the run ends."""

    def __init__(self, options: ContextOptions) -> None:
        # The host's linear blend over no overlap at all fails; where nothing overlaps, any fuse is the flat one.
        fuse = options.fuse if options.overlap else host.ContextFuseMethods.FLAT
        super().__init__(
            host.get_matching_context_schedule(options.schedule),
            host.get_matching_fuse_method(fuse),
            context_length=options.length,
            context_overlap=options.overlap,
            context_stride=options.stride,
            closed_loop=options.closed_loop,
            dim=0,
            freenoise=options.freenoise,
            causal_window_fix=False,  # it prepends a frame to every window, which no motion module was trained for
        )
        self._controls: dict[tuple[tuple[int, ...], int], tuple[Any, Any]] = {}
        add_callback_with_key(host.IndexListCallbacks.EVALUATE_CONTEXT_WINDOWS, KEY, publish_window, self.callbacks)
        add_callback_with_key(host.IndexListCallbacks.RESIZE_COND_ITEM, KEY, resize_prompts, self.callbacks)

    def should_use_context(self, model: Any, conds: Any, x_in: torch.Tensor, timestep: Any, model_options: Any) -> bool:
        """Whether the clip is longer than a window. The host's version says so in the log at every step."""
        return x_in.shape[0] > self.context_length

    def get_context_windows(self, model: Any, x_in: torch.Tensor, model_options: Any) -> list[Any]:
        """The host's windows, repaired. Raises ValueError where a frame is left out, which would become noise."""
        frames = x_in.shape[0]
        try:
            windows = super().get_context_windows(model, x_in, model_options)
        except IndexError:
            windows = []
        index_lists = repaired([window.index_list for window in windows], frames, self.context_length)
        covered = {index for index_list in index_lists for index in index_list}
        if len(covered) < frames:
            raise ValueError(
                f"Context windows of {self.context_length} frames with overlap {self.context_overlap} and stride "
                f"{self.context_stride} ({self.context_schedule.name}) reach {len(covered)} of {frames} frames. "
                "Lower context_stride, or use the standard_static schedule."
            )
        overlap = self.context_overlap
        return [host.IndexListContextWindow(w, dim=0, total_frames=frames, context_overlap=overlap) for w in index_lists]

    def get_resized_cond(self, cond_in: Any, x_in: Any, window: Any, device: Any = None) -> list[Any]:
        """Cut conditioning to a window; controls too, which the host passes on whole."""
        resized = super().get_resized_cond(cond_in, x_in, window, device)
        for cond in resized or []:
            if cond.get("control") is not None:
                cond["control"] = self._cut_control(cond["control"], window)
        return resized

    def _cut_control(self, control: Any, window: Any) -> Any:
        """A shallow copy of a control whose hints are those of the window's frames; one per window and control,
        since the host batches conds only if they share the object. Controls that know ``sub_idxs`` cut themselves.
        """
        if hasattr(control, "sub_idxs"):
            return control
        key = (tuple(window.index_list), id(control))
        if key not in self._controls:
            cut = copy.copy(control)
            cut.cond_hint = None
            cut.cond_hint_original = _cut_batch(control.cond_hint_original, window)
            cut.extra_concat_orig = [_cut_batch(extra, window) for extra in control.extra_concat_orig]
            if hasattr(control, "control_input"):
                cut.control_input = None
            if control.previous_controlnet is not None:
                cut.previous_controlnet = self._cut_control(control.previous_controlnet, window)
            self._controls[key] = (cut, control)  # the original is kept so that its id stays taken
        return self._controls[key][0]

    def forget(self, patcher: ModelPatcher) -> None:
        """Drop what one run cached; called by the host when sampling ends, also by an error."""
        self._controls.clear()


def repaired(index_lists: list[list[int]], frames: int, length: int) -> list[list[int]]:
    """Windows fit for a motion module, which wants every frame once and as many as it was trained on.

    The host's schedules can run past the end of the clip, leave a short rest, repeat a window, or, with strides, hold
    a frame twice: the first are moved back to the end, the second made longer, the others left out.
    """
    windows: list[list[int]] = []
    for window in index_lists:
        if len(window) < length <= frames:
            window = list(range(frames - length, frames))
        beyond = max(max(window) - (frames - 1), 0)
        window = [index - beyond for index in window]
        if min(window) >= 0 and len(set(window)) == len(window) and window not in windows:
            windows.append(window)
    return windows


def _cut_batch(batch: torch.Tensor | None, window: Any) -> torch.Tensor | None:
    """Entry ``i`` of a batch for frame ``i``, starting over at its end as the host does."""
    if batch is None or batch.shape[0] == 1:
        return batch
    return batch[[index % batch.shape[0] for index in window.index_list]]


def publish_window(
    handler: Any,
    model: Any,
    x_in: torch.Tensor,
    conds: Any,
    timestep: Any,
    model_options: Any,
    idx: int,
    window: Any,
    *_: Any,
) -> None:
    """Tell IP-Adapter and Advanced-ControlNet which frames come next, under the name they read."""
    model_options["transformer_options"]["ad_params"] = {
        "full_length": x_in.shape[0],
        "context_length": len(window.index_list),
        "sub_idxs": list(window.index_list),
    }


def resize_prompts(key: str, value: Any, window: Any, x_in: torch.Tensor, device: Any, conds: Any) -> Any:
    """Spread a batch of prompts over the clip before it is cut; the host cuts only batches of the clip's length."""
    if key != "c_crossattn" or value.cond.shape[0] in (1, x_in.shape[0]):
        return None
    return value._copy_with(window.get_tensor(repeat_to_batch_size(value.cond, x_in.shape[0])))


def set_windows(model: ModelPatcher, options: ContextOptions) -> None:
    """Give a freshly cloned MODEL context windows, replacing those it has."""
    handler = FrameWindows(options)
    options_of_model: dict[str, Any] = model.model_options
    options_of_model[HANDLER] = handler
    host.create_prepare_sampling_wrapper(model)
    host.create_sampler_sample_wrapper(model)
    model.remove_callbacks_with_key(CallbacksMP.ON_CLEANUP, KEY)
    model.add_callback_with_key(CallbacksMP.ON_CLEANUP, KEY, handler.forget)


def window_length(model_options: dict[str, Any], frames: int) -> int:
    """How many frames the UNet will see at once, for a clip of ``frames``."""
    handler = model_options.get(HANDLER)
    return min(frames, handler.context_length) if handler is not None and getattr(handler, "dim", 0) == 0 else frames
