"""MODEL -> MODEL without this pack. Called by ``nodes.apply``."""

from __future__ import annotations

from ..host.memory import ModelPatcher
from ..host.wrappers import HostOptions, remove_own
from ..windows.handler import HANDLER, OURS
from .betas import remove_beta_schedule


def without_motion(model: ModelPatcher) -> ModelPatcher:
    """A MODEL without what our nodes put on it: motion modules and their schedule, windows, noise, FreeInit, CFG curves.

    Patches of other nodes are kept, before or after ours, and so is a schedule that the user chose. The given MODEL is not changed.
    """
    model = model.clone()
    options: HostOptions = model.model_options
    if isinstance(options.get(HANDLER), OURS):
        options.pop(HANDLER)
    remove_beta_schedule(model)
    remove_own(model)
    return model
