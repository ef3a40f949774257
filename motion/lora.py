"""Motion LoRAs: low-rank changes of a motion module's attention weights.

``read_motion_lora`` turns a file into the host's LoRA names on our parameter names; the maths, alpha and strength are
the host's. Called by ``sampling.patcher``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from .checkpoint import describe

_ORIGINAL = re.compile(
    r"^(?P<module>.+\.attention_blocks\.\d+)\.processor\.(?P<weight>to_(?:q|k|v|out))_lora\.(?P<side>up|down)\.weight$"
)


def _parameter(match: re.Match[str]) -> str:
    """Name of the changed parameter; the output projection sits in a list."""
    weight = match["weight"]
    return f"{match['module']}.{weight}" + (".0" if weight == "to_out" else "")


def read_motion_lora(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Rename a motion LoRA's tensors to ``<parameter>.lora_up.weight`` and ``<parameter>.lora_down.weight``.

    Raises:
        ValueError: not a motion LoRA, a spelling that is not supported, or half a pair.
    """
    description = describe(tensors)
    if description.kind != "motion lora":
        raise ValueError(f"Needed a motion LoRA, but {name} is {description}")
    renamed = {}
    for key, tensor in tensors.items():
        if (match := _ORIGINAL.match(key.removeprefix("unet."))) is None:
            raise ValueError(
                f"{name} is a motion LoRA in a spelling this version does not read yet (first such key: {key}). "
                "Use the original .ckpt or a .safetensors with the same key names."
            )
        renamed[f"{_parameter(match)}.lora_{match['side']}.weight"] = tensor
    halves = [key for key in renamed if key.replace("lora_up", "lora_down") not in renamed]
    halves += [key for key in renamed if key.replace("lora_down", "lora_up") not in renamed]
    if halves:
        raise ValueError(f"{name} is incomplete: {len(halves)} tensors lack their other half, first {halves[0]}.")
    _check_ranks(renamed, name)
    return renamed


def _check_ranks(lora: Mapping[str, Tensor], name: str) -> None:
    """Raise ValueError unless every pair multiplies: the host would pass over a pair that does not, with a log line."""
    ups = {key: lora[key] for key in lora if key.endswith(".lora_up.weight")}
    for key, up in ups.items():
        down = lora[key.replace("lora_up", "lora_down")]
        if up.ndim != 2 or down.ndim != 2 or up.shape[1] != down.shape[0]:
            raise ValueError(
                f"{name} is damaged: the halves of {key.removesuffix('.lora_up.weight')} do not multiply "
                f"(up {tuple(up.shape)}, down {tuple(down.shape)}). Download it again."
            )


def match_motion_lora(lora: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], name: str) -> dict[str, str]:
    """Which of a motion module's weights a motion LoRA changes: ``{parameter: weight key}``.

    Middle-block entries are passed over for modules without one, as the authors do: v2 LoRAs run on v3 modules.

    Args:
        lora: from ``read_motion_lora``.
        shapes: of the motion module's parameters.

    Raises:
        ValueError: entries for weights the module does not have, or of another size: a LoRA of another base.
    """
    targets, unknown, wrong = {}, [], []
    for key in lora:
        if not key.endswith(".lora_up.weight"):
            continue
        parameter = key.removesuffix(".lora_up.weight")
        weight = f"{parameter}.weight"
        change = (lora[key].shape[0], lora[f"{parameter}.lora_down.weight"].shape[-1])
        if weight not in shapes:
            unknown.append(parameter)
        elif shapes[weight] != change:
            wrong.append(f"{parameter} changes {change[0]}x{change[1]}, the module has {shapes[weight]}")
        else:
            targets[parameter] = weight
    unknown = [parameter for parameter in unknown if not parameter.startswith("mid_block.")]
    if wrong or unknown or not targets:
        example = (wrong + unknown + ["it changes nothing in this module"])[0]
        raise ValueError(
            f"{name} was trained for another base than this motion module: {len(wrong) + len(unknown)} of "
            f"{len(lora) // 2} weights do not fit, first: {example}. Use a motion LoRA of the module's base (SD1.5 or SDXL)."
        )
    return targets
