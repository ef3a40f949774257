"""MODEL + context window options -> MODEL. Called by ``animate`` and by ``nodes.context``."""

from __future__ import annotations

from typing import Any

from ..host.memory import ModelPatcher
from ..host.windows import HOST_WRAPPERS
from ..host.wrappers import WINDOWS, CallbacksMP, Executor, HostOptions, WrappersMP, put_callback, put_wrapper
from ..windows.handler import HANDLER, OURS, handler_for
from ..windows.options import WindowOptions, as_window_options
from .around import follow


def _prepare_sampling(executor: Executor, model: ModelPatcher, noise_shape: Any, conds: Any, *args: Any, **kw: Any) -> Any:
    """Let the host make room for as many frames as the UNet is given at once, not for the whole animation."""
    handler = kw["model_options"].get(HANDLER)
    if isinstance(handler, OURS):
        noise_shape = [handler.evaluated(noise_shape[0]), *noise_shape[1:]]
    return executor(model, noise_shape, conds, *args, **kw)


def set_windows(model: ModelPatcher, options: WindowOptions) -> None:
    """Give a freshly cloned MODEL context windows, replacing those it has, the host's own included.

    Raises:
        ValueError: options chained over steps leave steps without one, or two claim the same.
    """
    handler = handler_for(options)
    options_of_model: HostOptions = model.model_options
    options_of_model[HANDLER] = handler
    for kind, key in HOST_WRAPPERS:
        model.remove_wrappers_with_key(kind, key)
    put_wrapper(model, WrappersMP.PREPARE_SAMPLING, WINDOWS, _prepare_sampling)
    put_callback(model, CallbacksMP.ON_CLEANUP, WINDOWS, handler.forget)
    follow(model)


def with_windows(model: ModelPatcher, options: WindowOptions) -> ModelPatcher:
    """MODEL + options -> a MODEL with context windows, animated or not. The given MODEL is not changed."""
    model = model.clone()
    set_windows(model, as_window_options(options))
    return model
