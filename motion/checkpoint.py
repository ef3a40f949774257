"""Motion module files: from any spelling to a configuration and a state dict that loads strictly.

``read_motion_module`` accepts nothing but a complete motion module. Called by ``sampling.patcher``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from .attention import sinusoidal_positions
from .config import (
    ALL_UNET_NORMS,
    FAMILIES,
    HEADS,
    MOTION_NORM,
    PER_FRAME,
    UNET_NORMS,
    MotionConfig,
    Overrides,
    with_family,
)
from .container import ModelFile
from .describe import PLACE, PREFIXES, Shapes, describe, first, lightning_steps, table_rows
from .model import block_names
from .module import TemporalBlock

_RENAMED = (
    (re.compile(r"^(transformer_blocks\.\d+)\.attn([12])\."), lambda m: f"{m[1]}.attention_blocks.{int(m[2]) - 1}."),
    (re.compile(r"^(transformer_blocks\.\d+)\.norm([12])\."), lambda m: f"{m[1]}.norms.{int(m[2]) - 1}."),
    (re.compile(r"^(transformer_blocks\.\d+)\.norm3\."), lambda m: f"{m[1]}.ff_norm."),
    (re.compile(r"\.pos_encoder\.(?:positional_encoding|pos_encoding)$"), lambda _: ".pos_encoder.pe"),
)
"""diffusers' names of a temporal block's parts, and HotshotXL's of the positional encoding -> the original ones."""
_SHARED_TABLE = re.compile(r"^(transformer_blocks\.\d+)\.pos_embed\.pe$")
_TABLE = ".pos_encoder.pe"


def original_keys(key: str) -> list[str]:
    """A motion key of any spelling in the original one.

    Returns:
        One key; two for diffusers' positional encoding, which both attentions share; none for anything else.
    """
    if (match := PLACE.match(PREFIXES.sub("", key))) is None:
        return []
    block, _, index, leaf = match.groups()
    leaf = leaf.removeprefix("temporal_transformer.")
    place = f"{block}.motion_modules.{index}.temporal_transformer"
    if shared := _SHARED_TABLE.match(leaf):
        return [f"{place}.{shared[1]}.attention_blocks.{i}{_TABLE}" for i in (0, 1)]
    for pattern, name in _RENAMED:
        leaf = pattern.sub(name, leaf)
    return [f"{place}.{leaf}"]


def _motion_part(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The motion tensors of a file in the original spelling. Raises ValueError where two would get one name."""
    state: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        for original in original_keys(key):
            if original in state:
                raise ValueError(f"spells {original} in two ways (one is {key}). Download it again.")
            state[original] = tensor
    return state


def read_config(shapes: Shapes, family: str) -> MotionConfig:
    """Sizes of a motion module, from the shapes of its tensors in the original spelling.

    Raises:
        ValueError: levels or channels that are no UNet's.
    """
    norms = {key: shape for key, shape in shapes.items() if key.endswith("temporal_transformer.norm.weight")}
    channels = {int(key.split(".")[1]): sum(shape[:1]) for key, shape in norms.items() if key.startswith("down_blocks.")}
    if sorted(channels) not in ([0, 1, 2], [0, 1, 2, 3]):
        raise ValueError(f"needs motion modules in down blocks 0 to 3, got {sorted(channels)}. The file is incomplete.")
    down_channels = tuple(channels[level] for level in sorted(channels))
    if any(c < 1 or c % 32 or c % HEADS for c in down_channels):
        raise ValueError(f"needs channels that are multiples of 32, got {down_channels}.")
    blocks = [int(m[1]) for key in shapes if (m := re.search(r"\.attention_blocks\.(\d+)\.", key))]
    if sorted(set(blocks)) != [0, 1]:
        raise ValueError(f"needs two temporal attentions per block, got {len(set(blocks))}. The file is incomplete.")
    tables = [shape for key, shape in shapes.items() if key.endswith(_TABLE)]
    if len({shape[1:2] for shape in tables}) > 1 or len(tables) not in (0, 2 * len(norms)):
        raise ValueError("has positional encodings of several lengths, or lacks some. The file is damaged.")
    has_mid = any(key.startswith("mid_block.") for key in norms)
    return MotionConfig(family, down_channels, has_mid, 2, table_rows(shapes))


def complete_tables(state: dict[str, Tensor], config: MotionConfig) -> dict[str, Tensor]:
    """Put in the positional encodings that a file lacks, or of which it holds another length than wanted.

    Stored tables are the formula's values (FAMILIES know no learned ones), so computing them changes nothing; those in
    8 bits are computed as well, for they have lost the difference between neighbouring frames.
    """
    tables = {}
    for key, norm in state.items():
        if match := re.match(r"^(.+)\.norms\.(\d+)\.weight$", key):
            table = f"{match[1]}.attention_blocks.{match[2]}{_TABLE}"
            stored = state.get(table)
            if stored is None or stored.element_size() < 2 or (stored.ndim == 3 and stored.shape[1] != config.positions):
                tables[table] = sinusoidal_positions(config.positions, norm.shape[0])
    return {**state, **tables}


class _Bare:
    """Torch's layers without initial values, which would cost more than everything else here."""

    class Linear(nn.Linear):
        def reset_parameters(self) -> None:
            pass

    LayerNorm, GroupNorm = nn.LayerNorm, nn.GroupNorm


def _shapes_of(config: MotionConfig) -> Shapes:
    """Every parameter and buffer of the network; blocks of one width are built once, without memory."""
    names = dict(block_names(config))
    leaves = {c: TemporalBlock(c, config, _Bare, device="meta").state_dict() for c in set(names.values())}
    return {f"{name}.{leaf}": tuple(t.shape) for name, c in names.items() for leaf, t in leaves[c].items()}


def check_complete(state: Mapping[str, Tensor], expected: Shapes) -> None:
    """Raise ValueError unless the keys and shapes are exactly those of a network."""
    got = {key: tuple(t.shape) for key, t in state.items()}
    if missing := expected.keys() - got.keys():
        raise ValueError(f"lacks {len(missing)} of {len(expected)} tensors: {first(missing)}. Download it again.")
    if surplus := got.keys() - expected.keys():
        raise ValueError(f"has {len(surplus)} tensors that no such model has: {first(surplus)}.")
    if wrong := {f"{key} is {got[key]}, needs {shape}" for key, shape in expected.items() if got[key] != shape}:
        raise ValueError(f"has {len(wrong)} tensors of another shape: {first(wrong)}.")
    if integer := {key for key, t in state.items() if not t.is_floating_point()}:
        raise ValueError(f"has {len(integer)} tensors that are not floating point: {first(integer)}.")


def read_motion_module(
    file: ModelFile, overrides: Overrides = Overrides()
) -> tuple[MotionConfig, dict[str, Tensor]]:
    """Configuration and state dict of a motion module; the latter loads strictly into ``MotionModel``.

    Args:
        file: in any spelling. A full training checkpoint is fine: only its motion part is used.
        overrides: what the user sets by hand.

    Raises:
        ValueError: something else, or incomplete.
    """
    description = describe(file.shapes, file.metadata, file.name)
    if description.kind != "motion module":
        raise ValueError(f"Needed a motion module, but {file.name} is {description}")
    try:
        state = _motion_part(file.tensors)
        config = read_config({key: tuple(t.shape) for key, t in state.items()}, description.family)
        config = with_family(config, overrides)
        check_complete(state := complete_tables(state, config), _shapes_of(config))
    except ValueError as error:
        raise ValueError(f"{file.name} {error}") from error
    return config, state


_SCOPES = {
    PER_FRAME: "one frame",
    UNET_NORMS: "all frames of a window (those of the image model)",
    MOTION_NORM: "all frames of a window (those of the module)",
    ALL_UNET_NORMS: "all frames of a window (all of the image model's)",
}
_DTYPES = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}


def summarize(name: str, config: MotionConfig, state: Mapping[str, Tensor]) -> str:
    """A few lines for the user: what was found in a motion module file and how to use it."""
    family = FAMILIES[config.family]
    sampling = family.sampling
    if family.name == "lightning":
        sampling = replace(sampling, steps=lightning_steps(name) or sampling.steps)
    weights = {key: t for key, t in state.items() if not key.endswith(_TABLE)}
    dtypes = "/".join(sorted({_DTYPES.get(t.dtype, "fp8" if t.element_size() == 1 else str(t.dtype)) for t in weights.values()}))
    blocks = sum(key.endswith("temporal_transformer.norm.weight") for key in state)
    millions = sum(t.numel() for t in weights.values()) / 1e6
    betas = config.beta_schedule
    schedule = f"{betas.curve} {betas.start:g} to {betas.end:g}" if betas else "the checkpoint's"
    if betas and betas.lcm_steps:
        schedule += f", LCM on {betas.lcm_steps} steps"
    lines = [
        f"{family.label}, for {family.base}",
        f"up to {config.positions} frames at once, trained on {family.frames}",
        f"{blocks} temporal blocks, {millions:.0f} M weights, {dtypes}",
        f"recommended: {sampling}",
        f"norms see {_SCOPES[config.norm_scope]}; betas: {schedule}",
    ]
    return "\n".join([*lines, *([f"note: {family.note}"] if family.note else [])])
