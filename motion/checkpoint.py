"""Motion module files: from any spelling to a configuration and a state dict that loads strictly.

``read_motion_module`` accepts nothing but a complete motion module. Called by ``sampling.modules.load``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from .attention import sinusoidal_positions
from .config import FAMILIES, HEADS, MotionConfig, NormScope, Overrides, with_family
from .container import ModelFile
from .describe import MOTION_KEY, PREFIXES, Shapes, describe, first, lightning_steps, table_rows
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
    if (match := MOTION_KEY.match(PREFIXES.sub("", key))) is None:
        return []
    block, _, index, leaf = match.groups()
    leaf = leaf.removeprefix("temporal_transformer.")
    site = f"{block}.motion_modules.{index}.temporal_transformer"
    if shared := _SHARED_TABLE.match(leaf):
        return [f"{site}.{shared[1]}.attention_blocks.{i}{_TABLE}" for i in (0, 1)]
    for pattern, name in _RENAMED:
        leaf = pattern.sub(name, leaf)
    return [f"{site}.{leaf}"]


def _parts(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The motion tensors of a file in the original spelling, and its others under their own keys.

    Raises:
        ValueError: two motion tensors would get one name.
    """
    motion: dict[str, Tensor] = {}
    extras: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        names = original_keys(key)
        if not names:
            extras[key] = tensor
        for original in names:
            if original in motion:
                raise ValueError(f"spells {original} in two ways (one is {key}). Download it again.")
            motion[original] = tensor
    return motion, extras


_NORM = "temporal_transformer.norm.weight"


def level_channels(shapes: Shapes) -> dict[int, int]:
    """Channels of the temporal blocks by down level, from shapes in the original spelling."""
    norms = {key: shape for key, shape in shapes.items() if key.endswith(_NORM) and key.startswith("down_blocks.")}
    return {int(key.split(".")[1]): sum(shape[:1]) for key, shape in norms.items()}


def read_config(shapes: Shapes, family: str) -> MotionConfig:
    """Sizes of a motion module, from the shapes of its tensors in the original spelling.

    Raises:
        ValueError: levels or channels that are no UNet's.
    """
    channels = level_channels(shapes)
    if sorted(channels) not in ([0, 1, 2], [0, 1, 2, 3]):
        raise ValueError(f"needs motion modules in down blocks 0 to 3, got {sorted(channels)}. The file is incomplete.")
    down_channels = tuple(channels[level] for level in sorted(channels))
    if any(c < 1 or c % 32 or c % HEADS for c in down_channels):
        raise ValueError(f"needs channels that are multiples of 32, got {down_channels}.")
    blocks = [int(m[1]) for key in shapes if (m := re.search(r"\.attention_blocks\.(\d+)\.", key))]
    if sorted(set(blocks)) != [0, 1]:
        raise ValueError(f"needs two temporal attentions per block, got {len(set(blocks))}. The file is incomplete.")
    tables = [shape for key, shape in shapes.items() if key.endswith(_TABLE)]
    norms = [key for key in shapes if key.endswith(_NORM)]
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


class BareLayers:
    """Torch's layers, for networks of which only the names and shapes are wanted.

    Linear layers get no initial values, which would cost more than everything else here.
    """

    class Linear(nn.Linear):
        def reset_parameters(self) -> None:
            pass

    LayerNorm, GroupNorm, Conv2d = nn.LayerNorm, nn.GroupNorm, nn.Conv2d

    @staticmethod
    def conv_nd(dims: int, *args: Any, **kw: Any) -> nn.Module:
        """The host's networks ask for two-dimensional convolutions this way."""
        return nn.Conv2d(*args, **kw)


def _shapes_of(config: MotionConfig) -> Shapes:
    """Every parameter and buffer of the network; blocks of one width are built once, without memory."""
    names = dict(block_names(config))
    leaves = {c: TemporalBlock(c, config, BareLayers, device="meta").state_dict() for c in set(names.values())}
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


@dataclass(frozen=True)
class MotionFile:
    """What a motion module file holds.

    Attributes:
        config: sizes, and how its family is run.
        motion: state dict that loads strictly into ``MotionModel``.
        extras: every other tensor under the file's own key: an image encoder, a first convolution, or a whole UNet.
    """

    config: MotionConfig
    motion: dict[str, Tensor]
    extras: dict[str, Tensor] = field(default_factory=dict)


def read_motion_module(file: ModelFile, overrides: Overrides = Overrides()) -> MotionFile:
    """Read a motion module.

    Args:
        file: in any spelling. A full training checkpoint is fine: its other tensors are ``extras``.
        overrides: what the user sets by hand.

    Raises:
        ValueError: something else, or incomplete.
    """
    description = describe(file.shapes, file.metadata, file.name)
    if description.kind != "motion module":
        raise ValueError(f"Needed a motion module, but {file.name} is {description}")
    try:
        state, extras = _parts(file.tensors)
        config = read_config({key: tuple(t.shape) for key, t in state.items()}, description.family)
        config = with_family(config, overrides)
        check_complete(state := complete_tables(state, config), _shapes_of(config))
    except ValueError as error:
        raise ValueError(f"{file.name} {error}") from error
    return MotionFile(config, state, extras)


_SCOPES = {
    NormScope.PER_FRAME: "one frame",
    NormScope.UNET: "all frames of a window (those of the image model)",
    NormScope.MOTION: "all frames of a window (those of the module)",
    NormScope.ALL: "all frames of a window (all of the image model's and the module's)",
}
_DTYPES = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}


def describe_motion_module(name: str, config: MotionConfig, state: Mapping[str, Tensor]) -> str:
    """A few lines for the user: what was found in a motion module file and how to use it."""
    family = FAMILIES[config.family]
    sampling = family.sampling
    if family.name == "lightning":
        sampling = replace(sampling, steps=lightning_steps(name) or sampling.steps)
    weights = {key: t for key, t in state.items() if not key.endswith(_TABLE)}
    dtypes = "/".join(sorted({_DTYPES.get(t.dtype, "fp8" if t.element_size() == 1 else str(t.dtype)) for t in weights.values()}))
    blocks = sum(key.endswith(_NORM) for key in state)
    millions = sum(t.numel() for t in weights.values()) / 1e6
    schedule = config.beta_schedule or "the checkpoint's"
    lines = [
        f"{family.label}, for {family.base}",
        f"up to {config.positions} frames at once, trained on {family.frames}",
        f"{blocks} temporal blocks, {millions:.0f} M weights, {dtypes}",
        f"recommended: {sampling}",
        f"norms see {_SCOPES[config.norm_scope]}; betas: {schedule}",
    ]
    return "\n".join([*lines, *([f"note: {family.note}"] if family.note else [])])
