"""Context windows: the host's own handler, made aware that our frames lie on the batch axis.

A clip longer than a motion module's positions is denoised in overlapping windows at every step. Choosing windows and
fusing their results is the host's work; added here is what it leaves out for batches of frames: windows that are always
full, control hints that follow their frame, ``ad_params``, by which other packs learn which frames a window holds,
views, and several settings one after another.
"""

from __future__ import annotations

from typing import Any

import comfy.context_windows as host
import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import CallbacksMP, WrappersMP, add_callback_with_key
from comfy.utils import ProgressBar

from ..motion.views import Views, views_over
from .clip import follow_clip
from .context_options import ContextOptions
from .noise import ITERATION
from .window_controls import ControlCuts

KEY = "animatediff_windows"
HANDLER = "context_handler"
VIEWS = "animatediff_views"
"""Where ``inject`` finds the views of a step in ``transformer_options``."""
MOVING = (host.ContextSchedules.UNIFORM_LOOPED, host.ContextSchedules.UNIFORM_STANDARD)
"""Schedules whose windows are others at every step."""
HOST_WRAPPERS = (
    (WrappersMP.PREPARE_SAMPLING, "ContextWindows_prepare_sampling"),
    (WrappersMP.SAMPLER_SAMPLE, "ContextWindows_sampler_sample"),
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
        self.views = options.views
        self._weigh = self.fuse_method.func
        self.fuse_method = host.ContextFuseMethod(self.fuse_method.name, self._weigh_once)
        self._controls = ControlCuts()
        self.forget()
        add_callback_with_key(host.IndexListCallbacks.EVALUATE_CONTEXT_WINDOWS, KEY, publish_window, self.callbacks)

    # --- which windows ---

    def should_use_context(self, model: Any, conds: Any, x_in: torch.Tensor, timestep: Any, model_options: Any) -> bool:
        """Whether the clip is longer than a window, or as long in a loop. The host's version logs at every step."""
        frames = x_in.shape[0]
        return frames > self.context_length or (frames == self.context_length > 1 and self._is_loop())

    def _is_loop(self) -> bool:
        return self.closed_loop and self.context_schedule.name == host.ContextSchedules.UNIFORM_LOOPED

    def index_lists(self, frames: int) -> list[list[int]]:
        """The host's windows at the current step, repaired. Raises ValueError where a frame is left out."""
        try:
            chosen = self.context_schedule.func(frames, self, {})
        except IndexError:  # the host's uniform schedules, with strides on some lengths
            chosen = []
        windows = repaired(chosen, frames, self.context_length)
        covered = {index for window in windows for index in window}
        if len(covered) < frames:
            raise ValueError(
                f"Context windows of {self.context_length} frames with overlap {self.context_overlap} and stride "
                f"{self.context_stride} ({self.context_schedule.name}) reach {len(covered)} of {frames} frames. "
                "Lower context_stride, or use the standard_static schedule."
            )
        return windows

    def at_step(self, step: int) -> None:
        """Stand at a step (from 0) without sampling; the host's ``set_step`` finds it from the sigma."""
        self._step = step

    def weights(self, index_list: list[int], frames: int) -> list[float]:
        """How much each frame of a window counts where windows overlap."""
        return host.get_context_weights(len(index_list), frames, index_list, self)

    def _weigh_once(self, length: int, full_length: int, idxs: list[int], **kw: Any) -> list[float]:
        """The host's weights of a window, which depend on nothing that changes during a run."""
        key = (full_length, tuple(idxs))
        if key not in self._weights:
            weights = self._weigh(length, full_length=full_length, idxs=idxs, **kw)
            self._weights[key] = [float(weight) for weight in weights]
        return self._weights[key]

    def get_context_windows(self, model: Any, x_in: torch.Tensor, model_options: Any) -> list[Any]:
        """Windows as the host wants them; the same objects as long as they are the same windows."""
        frames = x_in.shape[0]
        key = (frames, self._step if self.context_schedule.name in MOVING else None)
        if self._windows[0] != key:
            index_lists, overlap = self.index_lists(frames), self.context_overlap
            self._keep_only({tuple(index_list) for index_list in index_lists})
            windows = [host.IndexListContextWindow(w, 0, frames, context_overlap=overlap) for w in index_lists]
            self._windows = (key, windows)
        return self._windows[1]

    def _keep_only(self, windows: set[tuple[int, ...]]) -> None:
        """Drop what belongs to windows that are not used any more, as with schedules that move per step."""
        self._controls.keep_only(windows)
        self._resized = {key: found for key, found in self._resized.items() if key[1] in windows}
        self._weights = {key: found for key, found in self._weights.items() if key[1] in windows}

    def _step_views(self, x_in: torch.Tensor, model_options: Any) -> Views:
        """The windows of this step for the temporal attention, on the device of the clip."""
        frames, windows = x_in.shape[0], self.get_context_windows(None, x_in, model_options)
        made_for, views = self._views
        if views is None or made_for is not windows:
            index_lists = [window.index_list for window in windows]
            views = views_over(index_lists, [self.weights(window, frames) for window in index_lists], frames)
            views = Views(*(part.to(x_in.device) for part in views))
            self._views = (windows, views)
        return views

    def attended(self, frames: int) -> int:
        """How many frames the temporal attention sees at once, for a clip of ``frames``."""
        return min(frames, self.context_length)

    def evaluated(self, frames: int) -> int:
        """How many frames the UNet is given at once."""
        return frames if self.views else self.attended(frames)

    # --- a step ---

    def execute(
        self, calc_cond_batch: Any, model: Any, conds: Any, x_in: torch.Tensor, timestep: Any, model_options: Any
    ) -> Any:
        """One evaluation of the clip. What windows publish is written to a copy, and gone when it ends."""
        options = {**model_options, "transformer_options": {**model_options["transformer_options"]}}
        given = {id(cond) for cond in conds}
        self._resized = {key: found for key, found in self._resized.items() if key[0] in given}
        if not self.views:
            return super().execute(calc_cond_batch, model, conds, x_in, timestep, options)
        self.set_step(timestep, options)
        options["transformer_options"][VIEWS] = self._step_views(x_in, options)
        return calc_cond_batch(model, conds, x_in, timestep, options)

    def get_resized_cond(self, cond_in: Any, x_in: Any, window: Any, device: Any = None) -> Any:
        """Cut conditioning to a window; controls too, which the host passes on whole. Once per window, as long as the
        conditioning holds the same objects."""
        if cond_in is None:
            return None
        indices = tuple(window.index_list)
        parts = [part for cond in cond_in for part in (*cond.values(), *cond.get("model_conds", {}).values())]
        known, resized = self._resized.get((id(cond_in), indices), ([], []))
        if len(known) != len(parts) or any(one is not other for one, other in zip(known, parts, strict=True)):
            resized = super().get_resized_cond(cond_in, x_in, window, device)
            for cond in resized:
                if cond.get("control") is not None:
                    cond["control"] = self._controls.cut(cond["control"], indices, x_in)
            self._resized[id(cond_in), indices] = (parts, resized)
        return resized

    def forget(self, _: ModelPatcher | None = None) -> None:
        """Drop what one run cached; called by the host when sampling ends, also by an error."""
        self._controls.clear()
        self._windows: tuple[Any, list[Any]] = (None, [])
        self._views: tuple[Any, Views | None] = (None, None)
        self._resized: dict[tuple[int, tuple[int, ...]], tuple[list[Any], list[Any]]] = {}
        self._weights: dict[tuple[int, tuple[int, ...]], list[float]] = {}


class WindowPlan(FrameWindows):
    """Several options, one after another over the steps. To the host it looks like the first of them."""

    def __init__(self, plan: tuple[ContextOptions, ...]) -> None:
        self.parts = [(options.start_percent, FrameWindows(options)) for options in plan]
        super().__init__(plan[0])

    def at(self, model: Any, timestep: torch.Tensor) -> FrameWindows:
        """The handler whose time has come."""
        sigma, percent_to_sigma = float(timestep.flatten()[0]), model.model_sampling.percent_to_sigma
        return [handler for start, handler in self.parts if sigma <= percent_to_sigma(start)][-1]

    def should_use_context(self, model: Any, conds: Any, x_in: torch.Tensor, timestep: Any, model_options: Any) -> bool:
        return self.at(model, timestep).should_use_context(model, conds, x_in, timestep, model_options)

    def execute(
        self, calc_cond_batch: Any, model: Any, conds: Any, x_in: torch.Tensor, timestep: Any, model_options: Any
    ) -> Any:
        return self.at(model, timestep).execute(calc_cond_batch, model, conds, x_in, timestep, model_options)

    def attended(self, frames: int) -> int:
        return max(handler.attended(frames) for _, handler in self.parts)

    def evaluated(self, frames: int) -> int:
        return max(handler.evaluated(frames) for _, handler in self.parts)

    def forget(self, _: ModelPatcher | None = None) -> None:
        super().forget()
        for _start, handler in self.parts:
            handler.forget()


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
    """Before each window: say which frames it holds, under the name that IP-Adapter and Advanced-ControlNet read, and
    move the progress bar, which otherwise waits for whole steps."""
    options = model_options["transformer_options"]
    options["ad_params"] = {
        "full_length": x_in.shape[0],
        "context_length": len(window.index_list),
        "sub_idxs": list(window.index_list),
    }
    iteration, iterations = options.get(ITERATION, (0, 1))
    steps, windows = len(options["sample_sigmas"]) - 1, len(handler._windows[1])
    done = (iteration * steps + handler._step) * windows + idx
    ProgressBar(iterations * steps * windows).update_absolute(done)


# --- on a MODEL ------------------------------------------------------------------------------------------------------


def _prepare_sampling(executor: Any, model: ModelPatcher, noise_shape: Any, conds: Any, *args: Any, **kw: Any) -> Any:
    """Let the host make room for as many frames as the UNet is given at once, not for the whole clip."""
    handler = kw["model_options"].get(HANDLER)
    if isinstance(handler, FrameWindows):
        noise_shape = [handler.evaluated(noise_shape[0]), *noise_shape[1:]]
    return executor(model, noise_shape, conds, *args, **kw)


def set_windows(model: ModelPatcher, options: ContextOptions) -> None:
    """Give a freshly cloned MODEL context windows, replacing those it has, the host's own included.

    Raises:
        ValueError: options chained over steps leave steps without one, or two claim the same.
    """
    plan = options.plan
    handler = FrameWindows(plan[0]) if len(plan) == 1 else WindowPlan(plan)
    options_of_model: dict[str, Any] = model.model_options
    options_of_model[HANDLER] = handler
    for kind, key in HOST_WRAPPERS:
        model.remove_wrappers_with_key(kind, key)
    model.remove_wrappers_with_key(WrappersMP.PREPARE_SAMPLING, KEY)
    model.add_wrapper_with_key(WrappersMP.PREPARE_SAMPLING, KEY, _prepare_sampling)
    host.create_sampler_sample_wrapper(model)
    follow_clip(model)
    model.remove_callbacks_with_key(CallbacksMP.ON_CLEANUP, KEY)
    model.add_callback_with_key(CallbacksMP.ON_CLEANUP, KEY, handler.forget)


def with_windows(model: ModelPatcher, options: ContextOptions) -> ModelPatcher:
    """MODEL + options -> a MODEL with context windows, animated or not. The given MODEL stays as it is."""
    model = model.clone()
    set_windows(model, options)
    return model


def understood(handler: Any) -> Any:
    """The context handler for an animated clip: the host's own, set by its Context Windows node, becomes one of ours.

    Raises:
        ValueError: the host's handler cuts along another axis than the frames.
    """
    if isinstance(handler, FrameWindows) or not isinstance(handler, host.IndexListContextHandler):
        return handler
    if handler.dim != 0:
        raise ValueError(
            f"The Context Windows node of this MODEL cuts along dimension {handler.dim}; the frames of an animated clip "
            "are dimension 0. Set its dim to 0, or use Context Window Options."
        )
    ours = FrameWindows(
        ContextOptions(
            handler.context_length,
            handler.context_overlap,
            handler.context_schedule.name,
            handler.fuse_method.name,
            handler.freenoise,
            stride=handler.context_stride,
            closed_loop=handler.closed_loop,
        )
    )
    ours.cond_retain_index_list = handler.cond_retain_index_list
    ours.latent_retain_index_list = handler.latent_retain_index_list
    ours.split_conds_to_windows = handler.split_conds_to_windows
    return ours
