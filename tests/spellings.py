"""One motion LoRA in each of the five spellings that are in circulation."""

from __future__ import annotations

import re

from torch import Tensor

Tensors = dict[str, Tensor]


def _underscores(key: str) -> str:
    path, weight, side = re.fullmatch(r"(.+)\.processor\.to_(q|k|v|out)_lora\.(up|down)\.weight", key).groups()
    end = "out_0" if weight == "out" else weight
    return f"{path}.to_{end}".replace(".", "_") + f".lora_{side}.weight"


def _diffusers(key: str) -> str:
    key = key.replace(".temporal_transformer.", ".")
    return "unet." + re.sub(r"attention_blocks\.(\d)", lambda m: f"attn{int(m[1]) + 1}", key)


def _peft(key: str) -> str:
    path, weight, side = re.fullmatch(r"(.+)\.processor\.to_(q|k|v|out)_lora\.(up|down)\.weight", _diffusers(key)).groups()
    end = "out.0" if weight == "out" else weight
    return f"{path}.to_{end}.lora_{'A' if side == 'down' else 'B'}.weight"


def _motion_director(key: str) -> str:
    return key.replace(".processor.to_out_lora.", ".to_out.processor.0_lora.")


SPELLINGS = {
    "original": lambda key: key,
    "conrevo": _underscores,
    "diffusers": _diffusers,
    "peft": _peft,
    "motion_director": _motion_director,
}


def spelled(original: Tensors, spelling: str) -> Tensors:
    """The tensors of a LoRA in the original spelling under the names of another one."""
    return {SPELLINGS[spelling](key): tensor for key, tensor in original.items()}
