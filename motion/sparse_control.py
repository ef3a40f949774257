"""SparseCtrl: its files in every spelling, and the motion part of its network.

SparseCtrl is a ControlNet with temporal blocks of its own, which carry what is given for a few frames to all others. The
spatial part is the host's ControlNet network; ``sampling.controls.sparse_network`` puts both together.
Source: Guo et al. 2023, SparseCtrl, arXiv 2311.16933, and its released code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from .checkpoint import complete_tables, level_channels, original_keys
from .config import HEADS, MotionConfig
from .container import ModelFile
from .describe import PREFIXES, describe, table_rows
from .model import down_levels, down_sites
from .module import TemporalBlock

RGB, SCRIBBLE = "rgb", "scribble"
POSITIONS = 32
_HINT_CHANNELS = {5: RGB, 4: SCRIBBLE}
"""Channels of the first hint layer -> kind: latents or pixels, and the mask of frames that have a hint."""
_HINT = re.compile(r"^(?:controlnet_cond_embedding|input_hint_block\.0)\.(?:(conv_in|conv_out|blocks)\.)?(?:(\d)\.)?(weight|bias)$")
_SIMPLE = (
    (re.compile(r"^controlnet_down_blocks\.(\d+)\."), r"zero_convs.\1.0."),
    (re.compile(r"^controlnet_mid_block\."), "middle_block_out.0."),
)


@dataclass(frozen=True)
class SparseConfig:
    """One SparseCtrl file.

    Attributes:
        kind: ``rgb`` takes latents of images, ``scribble`` pixels of drawings.
        motion: its temporal blocks: down blocks only, one attention each, norms always per frame.
        text_width: of the text embedding it attends to.
    """

    kind: str
    motion: MotionConfig
    text_width: int


class SparseMotion(nn.Module):
    """The temporal blocks of a SparseCtrl model."""

    def __init__(self, config: MotionConfig, operations: Any = nn, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.down_blocks = down_levels(config, operations, device=device, dtype=dtype)

    def sites(self) -> dict[int, TemporalBlock]:
        """Which temporal block runs after which input block."""
        return {index: block for (_, index), block in down_sites(self.down_blocks).items()}


def _hint_layer(match: re.Match[str]) -> str:
    """A layer of the hint encoder in the host's names: a sequence in which every second entry is an activation."""
    part, number, leaf = match.groups()
    index = {None: 0, "conv_in": 0, "conv_out": 14}.get(part, 2 * (int(number or 0) + 1))
    return f"input_hint_block.{index}.{leaf}"


def _control_key(key: str) -> str:
    """A key of the spatial part with its own layers in the host's names; encoder keys keep their spelling."""
    if match := _HINT.match(key):
        return _hint_layer(match)
    for pattern, name in _SIMPLE:
        key = pattern.sub(name, key)
    return key


def _config(control: Mapping[str, Tensor], motion: Mapping[str, Tensor]) -> SparseConfig:
    hint = control.get("input_hint_block.0.weight")
    kind = _HINT_CHANNELS.get(hint.shape[1]) if hint is not None and hint.ndim == 4 else None
    text = [t.shape[1] for key, t in control.items() if key.endswith("attn2.to_k.weight") and t.ndim == 2]
    shapes = {key: tuple(t.shape) for key, t in motion.items()}
    channels = level_channels(shapes)
    if kind is None or not text or sorted(channels) != [0, 1, 2, 3] or any(c % 32 or c % HEADS for c in channels.values()):
        raise ValueError("lacks the hint encoder, the text attention or a level of temporal blocks. The file is incomplete.")
    rows = table_rows(shapes) or POSITIONS
    sizes = MotionConfig("v3", tuple(channels[level] for level in range(4)), False, 1, rows)
    return SparseConfig(kind, sizes, text[0])


def read_sparse_control(file: ModelFile) -> tuple[SparseConfig, dict[str, Tensor], dict[str, Tensor]]:
    """Configuration, spatial part and motion part of a SparseCtrl file.

    Returns:
        the spatial part's hint encoder and output layers in the host's names, its encoder as in the file (diffusers'
        or latent-diffusion names); the motion part as ``SparseMotion`` wants it.

    Raises:
        ValueError: something else, or incomplete.
    """
    description = describe(file.shapes, file.metadata, file.name)
    if description.kind != "sparsectrl":
        raise ValueError(f"Needed a SparseCtrl model, but {file.name} is {description}")
    control: dict[str, Tensor] = {}
    motion: dict[str, Tensor] = {}
    for key, tensor in file.tensors.items():
        spelled = PREFIXES.sub("", key)
        if names := original_keys(spelled):
            motion[names[0]] = tensor  # where diffusers' positions stand for two attentions, there is only the first
        else:
            control[_control_key(spelled)] = tensor
    try:
        config = _config(control, motion)
        return config, control, complete_tables(motion, config.motion)
    except ValueError as error:
        raise ValueError(f"{file.name} {error}") from error
