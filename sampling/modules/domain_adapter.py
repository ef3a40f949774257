"""LoRAs of the image model that belong to AnimateDiff: the v3 domain adapter, MotionDirector's spatial half.

The host's LoRA code does the work. This adds what it leaves out: files that its reader refuses because the authors
left a configuration object in them, and an answer when a file does not fit. Called by ``nodes.load``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ...motion.container import ModelFile
from ...motion.describe import describe, first
from ...motion.lora import metadata_alpha
from ..host.memory import ModelPatcher, image_lora_patches, open_file

ADAPTER_KINDS = ("domain adapter", "spatial lora", "lora")
_UPS = ("lora_up.weight", "_lora.up.weight", ".lora.up.weight", ".lora_B.weight")
_TEXT_ENCODER = ("lora_te", "text_encoder.")


def _scale(file: ModelFile) -> float:
    """alpha / rank, where the trainer wrote alpha into the metadata and not into the keys."""
    alpha = metadata_alpha(file.metadata)
    if alpha is None or any(key.endswith(".alpha") for key in file.tensors):
        return 1.0
    return alpha / next(tensor.shape[1] for key, tensor in file.tensors.items() if key.endswith(_UPS))


def _misfits(patches: Mapping[str, Any], weights: Mapping[str, Tensor]) -> list[str]:
    """Weights whose shape the patch does not match. The host would skip these with a log line at each step."""
    wrong = []
    for key, adapter in patches.items():
        up, down = getattr(adapter, "weights", (None, None))[:2]
        if isinstance(up, Tensor) and isinstance(down, Tensor):
            change = (up.shape[0], down.flatten(1).shape[1], up.shape[1] == down.shape[0])
            if change != (weights[key].shape[0], weights[key].flatten(1).shape[1], True):
                wrong.append(f"{key} (changes {change[0]}x{change[1]}, the MODEL has {tuple(weights[key].shape)})")
    return wrong


def with_domain_adapter(model: ModelPatcher, path: str | Path, strength: float) -> tuple[ModelPatcher, str]:
    """A MODEL with a LoRA of the image model added at ``strength``, its scaler alpha (1.0 as trained).

    Returns:
        The new MODEL and a line for the user; the given MODEL is not changed.

    Raises:
        ValueError: not a LoRA of an image model, or one for another base: never applied in part.
    """
    file = open_file(path)
    description = describe(file.shapes, file.metadata, file.name)
    if description.kind not in ADAPTER_KINDS:
        raise ValueError(f"Needed a domain adapter or another LoRA of the image model, but {file.name} is {description}")
    wanted = [key for key in file.tensors if key.endswith(_UPS) and not key.startswith(_TEXT_ENCODER)]
    patches = image_lora_patches(model, file.tensors)
    misfits = _misfits(patches, model.model.state_dict())
    if len(patches) < len(wanted) or misfits:
        base = type(model.model.model_config).__name__
        reason = f"first: {first(misfits, 1)}" if misfits else f"only {len(patches)} of {len(wanted)} keys match"
        raise ValueError(f"{file.name} was trained for another base than this MODEL ({base}): {reason}. Use another one.")
    clone = model.clone()
    clone.add_patches(patches, strength * _scale(file))
    return clone, f"{file.name} at {strength:g}: {len(patches)} of {len(wanted)} keys matched"
