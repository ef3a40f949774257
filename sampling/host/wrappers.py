"""Wrappers, callbacks and attachments on a MODEL, and the names under which this pack registers them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from comfy.model_base import BaseModel
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import CallbacksMP, WrappersMP, add_callback_with_key

__all__ = ["BaseModel", "CallbacksMP", "ModelPatcher", "WrappersMP", "add_callback_with_key"]

HostOptions = dict[str, Any]
"""What the host calls ``model_options`` and ``transformer_options``; this pack writes to copies and to a run's own."""

MOTION = "animatediff"
"""Additional models of a MODEL: its motion modules. The layer call finds them in ``transformer_options`` by the same name."""
RUN = "animatediff_run"
WINDOWS = "animatediff_windows"
NOISE = "animatediff_noise"
CFG = "animatediff_cfg"
SCHEDULE = "animatediff_schedule"
OWN_KEYS = (MOTION, RUN, WINDOWS, NOISE, CFG, SCHEDULE)
"""All of them: what ``remove_own`` takes off."""

Wrapper = Callable[..., Any]


class Executor(Protocol):
    """What a wrapper is given: calls the next wrapper or the wrapped function; ``class_obj`` is the object that is wrapped."""

    class_obj: Any

    def __call__(self, *args: Any, **kw: Any) -> Any: ...


def put_wrapper(model: ModelPatcher, kind: str, key: str, wrapper: Wrapper) -> None:
    """Give a freshly cloned MODEL one wrapper of this kind and key, in place of those it has."""
    model.remove_wrappers_with_key(kind, key)
    model.add_wrapper_with_key(kind, key, wrapper)


def put_callback(model: ModelPatcher, kind: str, key: str, callback: Wrapper) -> None:
    """The same for a callback."""
    model.remove_callbacks_with_key(kind, key)
    model.add_callback_with_key(kind, key, callback)


def remove_own(model: ModelPatcher) -> None:
    """Take off a freshly cloned MODEL all models, attachments, wrappers and callbacks that this pack registered."""
    for key in OWN_KEYS:
        model.remove_additional_models(key)
        model.remove_attachments(key)
        for kind in model.wrappers:
            model.remove_wrappers_with_key(kind, key)
        for kind in model.callbacks:
            model.remove_callbacks_with_key(kind, key)
