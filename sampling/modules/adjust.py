"""ANIMATEDIFF_MODULE + changes of its numbers -> ANIMATEDIFF_MODULE. Called by ``nodes.adjust``.

Weights are changed by patches of the host, which hold no tensors and act before any motion LoRA, wherever the nodes stand: a
LoRA was trained to be added to the weights, not to be changed with them. The host patches no tables of positions, and moves
them by name, so a module with other tables is a network of its own, which shares every other tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from ...motion.model import MotionModel
from ..host.memory import TABLE, ModelPatcher, adopt, put_affine, unload, with_network_of
from .changes import PositionChange, WeightChange
from .settings import SETTINGS, config_of, settings_of

Change = PositionChange | WeightChange
Source = tuple[Callable[..., ModelPatcher], tuple[Any, ...]]
"""How a model was made: a function and its arguments."""


def load_adjusted(source: Source, change: Change, disable_dynamic: bool = False) -> ModelPatcher:
    """A motion module made again with other tables, as the host asks for by ``cached_patcher_init``."""
    load, arguments = source
    return _with_tables(load(*arguments, disable_dynamic=disable_dynamic), change, disable_dynamic)


def _with_tables(motion: ModelPatcher, change: Change, disable_dynamic: bool = False) -> ModelPatcher:
    """A network with changed positional encodings, and the weights of another, which must not be loaded."""
    state = motion.model.state_dict()
    tables = {key: change.table(tensor) for key, tensor in state.items() if key.endswith(TABLE)}
    rows = next(iter(tables.values())).shape[1]
    config = replace(config_of(motion), positions=rows)
    patcher = adopt(partial(MotionModel, config), {**state, **tables}, disable_dynamic)
    patcher.cached_patcher_init = (load_adjusted, (motion.cached_patcher_init, change))
    return patcher


def _noted(motion: ModelPatcher, note: str) -> ModelPatcher:
    """A fresh clone with a line for the user."""
    settings = settings_of(motion)
    motion.set_attachments(SETTINGS, replace(settings, adjustments=(*settings.adjustments, note)))
    return motion


def with_positions(motion: ModelPatcher, change: PositionChange, only_stored: bool = False) -> ModelPatcher:
    """An ANIMATEDIFF_MODULE with other positional encodings; the number of frames that it takes at once follows.

    Args:
        only_stored: leaves a module alone whose file stores none.

    Raises:
        ValueError: no position would be left.
    """
    had = config_of(motion).positions
    if only_stored and not settings_of(motion).stores_positions:
        return _noted(motion.clone(), "positions: not changed, the file stores none")
    if change == PositionChange():
        return _noted(motion.clone(), f"positions: not changed, {had}")
    unload(motion)
    adjusted = with_network_of(motion, _with_tables(motion, change, not motion.is_dynamic()))
    return _noted(adjusted, f"positions: {config_of(adjusted).positions} in place of {had}")


def with_weights(motion: ModelPatcher, change: WeightChange, only_stored: bool = False) -> ModelPatcher:
    """An ANIMATEDIFF_MODULE with other weights.

    Args:
        only_stored: leaves positional encodings alone that the file does not store.
    """
    table = f".attention_blocks.0.pos_encoder{TABLE}"
    if change.of(table) != (1.0, 0.0) and (settings_of(motion).stores_positions or not only_stored):
        unload(motion)
        adjusted = with_network_of(motion, _with_tables(motion, change, not motion.is_dynamic()))
    else:
        adjusted = motion.clone()
    changes = {name: change.of(name) for name, _ in motion.model.named_parameters()}
    changes = {name: affine for name, affine in changes.items() if affine != (1.0, 0.0)}
    put_affine(adjusted, changes)
    return _noted(adjusted, f"weights: {change.operation}, {len(changes)} of the tensors")
