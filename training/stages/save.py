"""Trained files, in folders below the host's output folder where its loaders and ours look too. Called by ``nodes.train``."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from safetensors.torch import save_file
from torch import Tensor

from ...motion.describe import describe
from ...sampling.host.files import OutputFile, output_file
from ...sampling.host.memory import ModelPatcher
from ...sampling.modules.settings import config_of
from ..host.copies import weights_of

SAVED_TYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
MODULE_FOLDER, MOTION_LORA_FOLDER, IMAGE_LORA_FOLDER = "animatediff_models", "animatediff_motion_lora", "loras"


def save_motion_module(motion: ModelPatcher, prefix: str, dtype: str) -> OutputFile:
    """The weights of an ANIMATEDIFF_MODULE with its motion LoRAs of plain strength in them, in the original spelling."""
    with torch.inference_mode(False):
        return _write(weights_of(motion), f"{MODULE_FOLDER}/{prefix}", dtype, {"family": config_of(motion).family})


def save_trained_lora(tensors: Mapping[str, Tensor], prefix: str, dtype: str) -> OutputFile:
    """A trained motion LoRA or domain adapter. Raises ValueError for another LORA_MODEL."""
    kind = describe({key: tuple(tensor.shape) for key, tensor in tensors.items()}, {}, prefix).kind
    if kind not in {"motion lora", "domain adapter"}:
        raise ValueError(f"Needed the lora of Train Motion LoRA or Train Domain Adapter, got {kind}. Use Save LoRA Weights for others.")
    rank = next(tensor.shape[0] for key, tensor in tensors.items() if key.endswith(".down.weight"))
    folder = MOTION_LORA_FOLDER if kind == "motion lora" else IMAGE_LORA_FOLDER
    return _write(tensors, f"{folder}/{prefix}", dtype, {"rank": str(rank), "alpha": str(float(rank))})


def _write(tensors: Mapping[str, Tensor], prefix: str, dtype: str, metadata: dict[str, str]) -> OutputFile:
    """A safetensors file; positional encodings are not rounded."""
    file = output_file(prefix, "safetensors", (0, 0), kept=True)
    rounded = {key: (t if key.endswith(".pe") else t.to(SAVED_TYPES[dtype])).contiguous() for key, t in tensors.items()}
    save_file(rounded, file.path, {"format": "pt", **metadata})
    return file
