"""Context windows: the host's own handler, made aware that our frames lie on the batch axis.

An animation longer than a motion module's positions is denoised in overlapping windows at every step. Choosing windows and
fusing their results is the host's work; added here is what it leaves out for batches of frames: windows that are always
full and in order, control hints that follow their frame, ``ad_params``, by which other packs learn which frames a window
holds, views, and several settings one after another. ``run.windowed`` puts a handler on a MODEL.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from ...motion.views import Views, views_over
from ..frames import CALL, FOREIGN, Call, whole
from ..host.sample import ProgressBar
from ..host.windows import (
    HANDLER,
    MOVING,
    ContextFuseMethod,
    ContextFuseMethods,
    ContextHandlerABC,
    ContextSchedules,
    IndexListCallbacks,
    IndexListContextHandler,
    IndexListContextWindow,
    get_context_weights,
    get_matching_context_schedule,
    get_matching_fuse_method,
    windows_of,
)
from ..host.wrappers import WINDOWS, BaseModel, HostOptions, Wrapper, add_callback_with_key
from .cache import Records, RunCache
from .indices import covering, full_windows
from .options import ALWAYS, CLOSED_LOOPS, WindowOptions

__all__ = ["HANDLER", "OURS", "FrameWindows", "WindowPlan", "adopted", "handler_for"]


class FrameWindows(IndexListContextHandler):
    """The host's handler for frames on axis 0. What it works out for a run is dropped when the run ends."""

    def __init__(self, options: WindowOptions) -> None:
        # The host's linear blend over no overlap at all fails. The others also weigh a last window that was moved back.
        linear = options.fuse == ContextFuseMethods.OVERLAP_LINEAR
        fuse = ContextFuseMethods.FLAT if linear and not options.overlap else options.fuse
        super().__init__(
            get_matching_context_schedule(options.schedule),
            get_matching_fuse_method(fuse),
            context_length=options.length,
            context_overlap=options.overlap,
            context_stride=options.stride,
            closed_loop=options.closed_loop,
            dim=0,
            freenoise=False,  # ``run.around`` does it: once, and to fresh noise only
            causal_window_fix=False,  # it prepends a frame to every window, which no motion module was trained for
        )
        self.options = options
        self.cache = RunCache()
        self._is_counted = False
        self._weigh = self.fuse_method.func
        self.fuse_method = ContextFuseMethod(self.fuse_method.name, self._weigh_once)
        add_callback_with_key(IndexListCallbacks.EVALUATE_CONTEXT_WINDOWS, WINDOWS, publish_window, self.callbacks)

    # --- which windows ---

    def should_use_context(
        self, model: BaseModel, conds: list[Any], x_in: torch.Tensor, timestep: torch.Tensor, model_options: HostOptions
    ) -> bool:
        """See ``is_needed``. The host's version logs at every step, and has no windows for as many frames as in one."""
        return self.is_needed(x_in.shape[0])

    def is_needed(self, frames: int) -> bool:
        """Whether an animation of ``frames`` has windows: if it is longer than one, or as long and the options say so."""
        return frames > self.context_length or (frames == self.context_length > 1 and self._has_equal_length())

    def _has_equal_length(self) -> bool:
        if self.options.equal_length != CLOSED_LOOPS:
            return self.options.equal_length == ALWAYS
        return self.closed_loop and self.context_schedule.name == ContextSchedules.UNIFORM_LOOPED

    def index_lists(self, frames: int) -> list[list[int]]:
        """The frames of each window at the current step: full, ascending, and together all ``frames``."""
        name, length = self.context_schedule.name, self.context_length
        looped = name == ContextSchedules.UNIFORM_LOOPED
        windows = full_windows(windows_of(self, name, frames), frames, length, may_wrap=looped)
        if len({index for window in windows for index in window}) == frames:
            return windows
        static = windows_of(self, ContextSchedules.STATIC_STANDARD, frames)
        return covering(windows, full_windows(static, frames, length, may_wrap=False), frames)

    def at_step(self, step: int) -> None:
        """Set the current step (0-based): by ``run.around``, which counts the steps that a sampler reports, and for previews."""
        self._step, self._is_counted = step, True

    def set_step(self, timestep: torch.Tensor, model_options: HostOptions) -> None:
        """The host finds the step by its sigma. Where samplers evaluate between two steps, only a count can tell."""
        if not self._is_counted:
            super().set_step(timestep, model_options)

    def weights(self, index_list: list[int], frames: int) -> list[float]:
        """How much each frame of a window counts where windows overlap."""
        return get_context_weights(len(index_list), frames, index_list, self)

    def _weigh_once(self, length: int, full_length: int, idxs: list[int], **kw: Any) -> list[float]:
        """The host's weights of a window, which depend on nothing that changes during a run."""
        return self.cache.weights(full_length, idxs, lambda: self._weigh(length, full_length=full_length, idxs=idxs, **kw))

    def get_context_windows(
        self, model: BaseModel | None, x_in: torch.Tensor, model_options: HostOptions | None
    ) -> list[IndexListContextWindow]:
        """Windows as the host wants them; the same objects as long as they are the same windows."""
        frames, overlap = x_in.shape[0], self.context_overlap
        step = self._step if self.context_schedule.name in MOVING else None
        return self.cache.windows(
            (frames, step),
            lambda: [IndexListContextWindow(w, 0, frames, context_overlap=overlap) for w in self.index_lists(frames)],
        )

    def _step_views(self, x_in: torch.Tensor) -> Views:
        """The windows of this step for the temporal attention, on the device of the latents."""
        frames, windows = x_in.shape[0], self.get_context_windows(None, x_in, None)

        def make() -> Views:
            index_lists = [window.index_list for window in windows]
            views = views_over(index_lists, [self.weights(window, frames) for window in index_lists], frames)
            return Views(*(part.to(x_in.device) for part in views))

        return self.cache.views(windows, make)

    def attended(self, frames: int) -> int:
        """How many frames the temporal attention sees at once, for an animation of ``frames``."""
        return min(frames, self.context_length)

    def evaluated(self, frames: int) -> int:
        """How many frames the UNet is given at once."""
        return frames if self.options.views else self.attended(frames)

    # --- a step ---

    def execute(
        self,
        calc_cond_batch: Wrapper,
        model: BaseModel,
        conds: list[Any],
        x_in: torch.Tensor,
        timestep: torch.Tensor,
        model_options: HostOptions,
    ) -> list[torch.Tensor]:
        """One evaluation of the animation. What windows publish is written to a copy, and gone when it ends."""
        options = {**model_options, "transformer_options": {**model_options["transformer_options"]}}
        self.cache.keep_conds(conds)
        if not self.options.views:
            return super().execute(calc_cond_batch, model, conds, x_in, timestep, options)
        self.set_step(timestep, options)
        known: Call = options["transformer_options"].get(CALL) or whole(x_in.shape[0])
        options["transformer_options"][CALL] = replace(known, views=self._step_views(x_in))
        return calc_cond_batch(model, conds, x_in, timestep, options)

    def get_resized_cond(
        self, cond_in: Records | None, x_in: torch.Tensor, window: IndexListContextWindow, device: torch.device | None = None
    ) -> Records | None:
        """Cut conditioning to a window; controls too, which the host passes on whole."""
        if cond_in is None:
            return None
        indices = tuple(window.index_list)

        def make() -> Records:
            cut = super(FrameWindows, self).get_resized_cond(cond_in, x_in, window, device)
            for cond in cut:
                if cond.get("control") is not None:
                    cond["control"] = self.cache.controls.cut(cond["control"], indices, x_in)
            return cut

        return self.cache.resized(cond_in, indices, make)

    def forget(self, _: object = None) -> None:
        """Drop what one run worked out; called by the host when sampling ends, also by an error."""
        self.cache.clear()
        self.rewind()
        self._model = None  # the host's handler keeps the model of its last call

    def rewind(self) -> None:
        """Begin at the first step again, for each sampling of a run."""
        self._step, self._is_counted = 0, False


class WindowPlan(ContextHandlerABC):
    """Several options, one after another over the steps: a handler for each, of which the one whose time has come works."""

    def __init__(self, plan: tuple[WindowOptions, ...]) -> None:
        self.parts = [(options.start_percent, FrameWindows(options)) for options in plan]
        self.options = plan[0]

    def _at(self, model: BaseModel, timestep: torch.Tensor) -> FrameWindows:
        """The handler whose time has come."""
        sigma, percent_to_sigma = float(timestep.flatten()[0]), model.model_sampling.percent_to_sigma
        return [handler for start, handler in self.parts if sigma <= percent_to_sigma(start)][-1]

    def should_use_context(
        self, model: BaseModel, conds: list[Any], x_in: torch.Tensor, timestep: torch.Tensor, model_options: HostOptions
    ) -> bool:
        return self._at(model, timestep).is_needed(x_in.shape[0])

    def get_resized_cond(
        self, cond_in: Records | None, x_in: torch.Tensor, window: IndexListContextWindow, device: torch.device | None = None
    ) -> Records | None:
        """The host asks the handler that executes; this one never does itself."""
        return self.parts[0][1].get_resized_cond(cond_in, x_in, window, device)

    def execute(
        self,
        calc_cond_batch: Wrapper,
        model: BaseModel,
        conds: list[Any],
        x_in: torch.Tensor,
        timestep: torch.Tensor,
        model_options: HostOptions,
    ) -> list[torch.Tensor]:
        """One evaluation of the animation by the handler whose time has come."""
        return self._at(model, timestep).execute(calc_cond_batch, model, conds, x_in, timestep, model_options)

    def attended(self, frames: int) -> int:
        """The most frames that the temporal attention sees at once."""
        return max(handler.attended(frames) for _, handler in self.parts)

    def evaluated(self, frames: int) -> int:
        """The most frames that the UNet is given at once."""
        return max(handler.evaluated(frames) for _, handler in self.parts)

    def at_step(self, step: int) -> None:
        """Set the current step (0-based)."""
        for _start, handler in self.parts:
            handler.at_step(step)

    def rewind(self) -> None:
        """Begin at the first step again, for each sampling of a run."""
        for _start, handler in self.parts:
            handler.rewind()

    def forget(self, _: object = None) -> None:
        """Drop what one run worked out."""
        for _start, handler in self.parts:
            handler.forget()


OURS = (FrameWindows, WindowPlan)
"""The handlers of this pack, for ``isinstance``."""


def handler_for(options: WindowOptions) -> FrameWindows | WindowPlan:
    """A handler that carries the options out.

    Raises:
        ValueError: options chained over steps leave steps without one, or two claim the same.
    """
    plan = options.plan
    return FrameWindows(plan[0]) if len(plan) == 1 else WindowPlan(plan)


def publish_window(
    handler: FrameWindows,
    model: BaseModel,
    x_in: torch.Tensor,
    conds: list[Any],
    timestep: torch.Tensor,
    model_options: HostOptions,
    idx: int,
    window: IndexListContextWindow,
    *_: Any,
) -> None:
    """Before each window: say which frames it holds, under the name that IP-Adapter and Advanced-ControlNet read, and
    move the progress bar, which otherwise waits for whole steps."""
    options = model_options["transformer_options"]
    options[FOREIGN] = {
        "full_length": x_in.shape[0],
        "context_length": len(window.index_list),
        "sub_idxs": list(window.index_list),
    }
    call: Call = options.get(CALL) or whole(x_in.shape[0])
    iteration, iterations = call.iteration
    steps, windows = len(options["sample_sigmas"]) - 1, len(handler.get_context_windows(model, x_in, model_options))
    done = (iteration * steps + handler._step) * windows + idx
    ProgressBar(iterations * steps * windows).update_absolute(done)


def adopted(handler: IndexListContextHandler) -> FrameWindows:
    """A handler of ours from the host's own, set by its Context Windows node, for a batch of frames.

    Raises:
        ValueError: the host's handler cuts along another axis than the frames, or its windows never advance.
    """
    if handler.dim != 0:
        raise ValueError(
            f"The Context Windows node of this MODEL cuts along dimension {handler.dim}; the frames of an animation are "
            "dimension 0. Set its dim to 0, or use Context Window Options."
        )
    options = WindowOptions(
        handler.context_length,
        handler.context_overlap,
        handler.context_schedule.name,
        handler.fuse_method.name,
        handler.freenoise,
        stride=handler.context_stride,
        closed_loop=handler.closed_loop,
    )
    ours = FrameWindows(options)
    ours.cond_retain_index_list = handler.cond_retain_index_list
    ours.latent_retain_index_list = handler.latent_retain_index_list
    ours.split_conds_to_windows = handler.split_conds_to_windows
    return ours
