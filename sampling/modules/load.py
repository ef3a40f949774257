"""Load motion modules into the host's memory management: from a file to what travels on an ANIMATEDIFF_MODULE socket.

The host loads, offloads, casts and counts it like any model. Called by ``nodes.load``.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ...motion.checkpoint import describe_motion_module, read_motion_module
from ...motion.config import FAMILIES, Overrides
from ...motion.container import ModelFile
from ...motion.model import MotionModel
from ..host.memory import ModelPatcher, adopt, open_file
from .choices import BETA_SCHEDULES, NORM_SCOPES, with_choices
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
    patcher = make_motion_module(open_file(path), overrides, disable_dynamic)
    patcher.cached_patcher_init = (load_motion_module, (path, overrides))
    return patcher


def make_motion_module(
    opened: ModelFile, overrides: Overrides = Overrides(), disable_dynamic: bool = False
) -> ModelPatcher:
    """The same for a file that is open already, or for tensors that have not been saved. Raises ValueError."""
    file = read_motion_module(opened, overrides)
    config = with_choices(file.config, overrides)
    patcher = adopt(partial(MotionModel, config), file.motion, disable_dynamic)
    patcher.cached_patcher_init = (make_motion_module, (opened, overrides))
    summary = describe_motion_module(opened.name, config, file.motion)
    patcher.set_attachments(SETTINGS, ModuleSettings(opened.name, summary, stores_positions=config.stored_positions > 0))
    return patcher
