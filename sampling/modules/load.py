"""Load motion modules into the host's memory management: from a file to what travels on an ANIMATEDIFF_MODULE socket.

The host loads, offloads, casts and counts it like any model. Called by ``nodes.load``.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ...motion.checkpoint import describe_motion_module, read_motion_module
from ...motion.config import BETA_SCHEDULES, FAMILIES, NORM_SCOPES, Overrides
from ...motion.model import MotionModel
from ..host.memory import ModelPatcher, adopt, open_file
from .settings import SETTINGS, ModuleSettings

__all__ = ["OVERRIDES", "Overrides", "load_motion_module"]

OVERRIDES = {"family": ["auto", *FAMILIES], "norm_scope": list(NORM_SCOPES), "beta_schedule": list(BETA_SCHEDULES)}
"""What a user can choose for each field of ``Overrides``."""


def load_motion_module(
    path: str | Path, overrides: Overrides = Overrides(), disable_dynamic: bool = False
) -> ModelPatcher:
    """Load a motion module file.

    Args:
        overrides: what the user sets by hand.
        disable_dynamic: asked for by the host when it needs a copy outside of its dynamic VRAM management.

    Raises:
        ValueError: the file is no usable motion module; the message says what it is.
    """
    name = Path(path).name
    file = read_motion_module(open_file(path), overrides)
    patcher = adopt(partial(MotionModel, file.config), file.motion, disable_dynamic)
    patcher.cached_patcher_init = (load_motion_module, (path, overrides))
    patcher.set_attachments(SETTINGS, ModuleSettings(name, describe_motion_module(name, file.config, file.motion)))
    return patcher
