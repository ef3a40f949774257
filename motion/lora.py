"""Motion LoRAs: low-rank changes of a motion module's attention (and feed-forward) weights.

Five spellings are in use: that of the original files, of conrevo's second release (underscores), of diffusers, of
PEFT, and of MotionDirector. ``read_motion_lora`` turns each into the host's LoRA names on our parameter names; the
maths, alpha and strength are the host's. Called by ``sampling.modules.motion_lora``; ``metadata_alpha`` also by ``modules.domain_adapter``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .checkpoint import original_keys
from .container import ModelFile
from .describe import PREFIXES, Shapes, describe, first

_HALF = re.compile(
    r"^(?P<path>.+?)(?:_lora|\.lora)?[._](?P<half>lora_down|lora_up|lora_A|lora_B|down|up)(?:\.(?!weight)\w+)?\.weight$"
)
_SIDES = {"down": "down", "lora_down": "down", "lora_A": "down", "up": "up", "lora_up": "up", "lora_B": "up"}
_UNDERSCORED = re.compile(
    r"^(?:lora_unet_)?(?P<block>down_blocks_\d+|up_blocks_\d+|mid_block)_motion_modules_(?P<index>\d+)_"
    r"(?:temporal_transformer_)?transformer_blocks_(?P<inner>\d+)_"
    r"(?:(?:attention_blocks_(?P<attention>\d+)|attn(?P<attn>[12]))_to_(?P<weight>q|k|v|out_0|out)|ff_net_(?P<ff>0_proj|2))$"
)

_ALPHA_NOTES = ("alpha", "lora_alpha", "ss_network_alpha")


@dataclass(frozen=True)
class MotionLoRA:
    """A motion LoRA's tensors as ``<parameter>.lora_up.weight``, ``.lora_down.weight`` and, where there is one, ``.alpha``."""

    name: str
    tensors: dict[str, Tensor]

    @property
    def parameters(self) -> list[str]:
        """What it changes: parameter names without ``.weight``."""
        return [key.removesuffix(".lora_up.weight") for key in self.tensors if key.endswith(".lora_up.weight")]


def _dotted(path: str) -> str:
    """A path in which underscores stand for dots, in dots. Others are not changed."""
    if (match := _UNDERSCORED.match(path)) is None:
        return path
    block = match["block"] if match["block"] == "mid_block" else match["block"].replace("blocks_", "blocks.")
    path = f"{block}.motion_modules.{match['index']}.transformer_blocks.{match['inner']}"
    if match["ff"]:
        return f"{path}.ff.net.{match['ff'].replace('_', '.')}"
    attention = match["attention"] or int(match["attn"]) - 1
    return f"{path}.attention_blocks.{attention}.to_{match['weight'].replace('_', '.')}"


def _parameter(path: str) -> str | None:
    """Name of the parameter that a LoRA key's path stands for, or None."""
    path = _dotted(PREFIXES.sub("", path)).replace(".processor.", ".")
    if path.endswith(".to_out"):  # the output projection sits in a list
        path += ".0"
    names = original_keys(f"{path}.weight")
    return names[0].removesuffix(".weight") if len(names) == 1 else None


def metadata_alpha(metadata: Mapping[str, str]) -> float | None:
    """The alpha that a trainer wrote into the metadata of a safetensors file."""
    notes: dict[str, Any] = dict(metadata)
    try:
        notes |= json.loads(metadata.get("lora_adapter_metadata", "{}"))
        return next(float(value) for key, value in notes.items() if key.rsplit(".", 1)[-1] in _ALPHA_NOTES)
    except (ValueError, TypeError, StopIteration):
        return None


def _has_other_half(key: str, tensors: Mapping[str, Tensor]) -> bool:
    """Whether what belongs to a tensor is there too: up and down to each other, and up to an alpha, which is one number."""
    up, down = ".lora_up.weight", ".lora_down.weight"
    if key.endswith(".alpha"):
        return key.removesuffix(".alpha") + up in tensors and tensors[key].numel() == 1
    if key.endswith(up):
        return key.removesuffix(up) + down in tensors
    return not key.endswith(down) or key.removesuffix(down) + up in tensors


def _check_pairs(tensors: Mapping[str, Tensor], name: str) -> None:
    """Raise ValueError unless every half has its other half, and the two multiply.

    The host would pass over a pair that does not, with nothing but a line in the log.
    """
    halves = [key for key in tensors if not _has_other_half(key, tensors)]
    if halves:
        raise ValueError(f"{name} is incomplete: {len(halves)} tensors lack their other half, first {min(halves)}.")
    for key, up in tensors.items():
        if key.endswith(".lora_up.weight"):
            down = tensors[key.replace(".lora_up.", ".lora_down.")]
            if up.ndim != 2 or down.ndim != 2 or up.shape[1] != down.shape[0] or not up.is_floating_point():
                raise ValueError(
                    f"{name} is damaged: the halves of {key.removesuffix('.lora_up.weight')} do not multiply "
                    f"(up {tuple(up.shape)}, down {tuple(down.shape)}). Download it again."
                )


def read_motion_lora(file: ModelFile) -> MotionLoRA:
    """A motion LoRA in any of the five spellings.

    Raises:
        ValueError: not a motion LoRA, keys of no known spelling, half a pair, or halves that do not multiply.
    """
    description = describe(file.shapes, file.metadata, file.name)
    if description.kind != "motion lora":
        raise ValueError(f"Needed a motion LoRA, but {file.name} is {description}")
    renamed: dict[str, Tensor] = {}
    unknown = []
    for key, tensor in file.tensors.items():
        half = _HALF.match(key)
        path = half["path"] if half else key.removesuffix(".alpha")
        parameter = _parameter(path) if half or key.endswith(".alpha") else None
        own = f"{parameter}.lora_{_SIDES[half['half']]}.weight" if half else f"{parameter}.alpha"
        if parameter is None:
            unknown.append(key)
        elif own in renamed:
            raise ValueError(f"{file.name} changes {parameter} twice (one key is {key}). Download it again.")
        else:
            renamed[own] = tensor
    if unknown:
        raise ValueError(
            f"{file.name} is a motion LoRA with {len(unknown)} keys of no known spelling: {first(unknown)}. "
            "Download it again, or convert it to the original spelling."
        )
    _check_pairs(renamed, file.name)
    if (alpha := metadata_alpha(file.metadata)) is not None:
        ups = [key.removesuffix(".lora_up.weight") for key in renamed if key.endswith(".lora_up.weight")]
        renamed = {**{f"{parameter}.alpha": torch.tensor(alpha) for parameter in ups}, **renamed}
    return MotionLoRA(file.name, renamed)


ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
"""The layers of a temporal attention that motion LoRAs change."""


def attention_parameters(shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """Shapes of the weights that a motion LoRA in the original spelling changes, by parameter name without ``.weight``."""
    parameters = {key.removesuffix(".weight"): shape for key, shape in shapes.items() if ".attention_blocks." in key}
    return {name: shape for name, shape in parameters.items() if name.endswith(ATTENTION)}


def original_lora_key(parameter: str, side: str) -> str:
    """The key of the authors' files for one half, ``up`` or ``down``, of the change of an attention's weight.

    Works for temporal attention and for the image model's in diffusers' names, as in the v3 domain adapter.
    """
    block, layer = parameter.removesuffix(".0").rsplit(".", 1)
    return f"{block}.processor.{layer}_lora.{side}.weight"


def match_motion_lora(lora: MotionLoRA, shapes: Shapes) -> dict[str, str]:
    """Which of a motion module's weights a motion LoRA changes: ``{parameter: weight key}``.

    Middle-block entries are passed over for modules without one, so that v2 LoRAs run on v3 modules; the authors' code raises.

    Args:
        lora: from ``read_motion_lora``.
        shapes: of the motion module's parameters.

    Raises:
        ValueError: entries for weights the module does not have, or of another size: a LoRA of another base.
    """
    targets, unknown, wrong = {}, [], []
    for parameter in lora.parameters:
        weight = f"{parameter}.weight"
        up, down = (lora.tensors[f"{parameter}.lora_{side}.weight"] for side in ("up", "down"))
        change = (up.shape[0], down.shape[-1])
        if weight not in shapes:
            unknown.append(parameter)
        elif shapes[weight] != change:
            wrong.append(f"{parameter} changes {change[0]}x{change[1]}, the module has {shapes[weight]}")
        else:
            targets[parameter] = weight
    has_mid = any(key.startswith("mid_block.") for key in shapes)
    unknown = [parameter for parameter in unknown if has_mid or not parameter.startswith("mid_block.")]
    if wrong or unknown or not targets:
        example = (wrong + unknown + ["it changes nothing in this module"])[0]
        raise ValueError(
            f"{lora.name} was trained for another base than this motion module: {len(wrong) + len(unknown)} of "
            f"{len(lora.parameters)} weights do not fit, first: {example}. "
            "Use a motion LoRA of the module's base (SD1.5 or SDXL)."
        )
    return targets
