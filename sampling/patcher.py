"""Motion modules under the host's memory management: what travels on a MOTION_MODULE socket.

A MOTION_MODULE is a host ``ModelPatcher`` around a ``MotionModel``, so the host loads, offloads, casts and counts it
like any model, and motion LoRAs are ordinary weight patches. Called by ``nodes.load``; read by ``inject``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import comfy.lora
import comfy.model_management
import comfy.model_patcher
import comfy.ops
import comfy.utils
import torch
from comfy.model_patcher import ModelPatcher

from ..motion.checkpoint import read_motion_module, summarize
from ..motion.config import BETA_SCHEDULES, FAMILIES, NORM_SCOPES, Family, MotionConfig, Overrides
from ..motion.container import ModelFile, read_file
from ..motion.lora import match_motion_lora, read_motion_lora
from ..motion.model import MotionModel

SETTINGS = "animatediff_settings"
OVERRIDES = {"family": ["auto", *FAMILIES], "norm_scope": list(NORM_SCOPES), "beta_schedule": list(BETA_SCHEDULES)}
"""What a user can choose for each field of ``Overrides``."""
COMPUTE_DTYPES = [torch.float16, torch.bfloat16, torch.float32]


@dataclass(frozen=True)
class MotionSettings:
    """How a motion module is used. 1.0 means as trained; percents are of the sampling run, 0 is its start.

    ``summary`` says in words what the file holds, ``loras`` what was added to it.
    """

    name: str
    summary: str = ""
    loras: tuple[str, ...] = ()
    influence: float = 1.0
    attention_scale: float = 1.0
    start_percent: float = 0.0
    end_percent: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.start_percent < self.end_percent <= 1.0:
            raise ValueError(
                f"start_percent must lie before end_percent, both from 0 to 1; got {self.start_percent} and "
                f"{self.end_percent}. Lower the start or raise the end."
            )


def settings_of(motion: ModelPatcher) -> MotionSettings:
    """The settings that a MOTION_MODULE carries."""
    settings = motion.get_attachment(SETTINGS)
    if not isinstance(settings, MotionSettings):
        raise ValueError("Needed a MOTION_MODULE, got another model. Use Load Motion Module.")
    return settings


def config_of(motion: ModelPatcher) -> MotionConfig:
    """Sizes of a MOTION_MODULE's network."""
    return motion.model.config


def family_of(motion: ModelPatcher) -> Family:
    """Training facts of a MOTION_MODULE's family."""
    return FAMILIES[config_of(motion).family]


def _read_safetensors(path: str) -> Any:
    """The host's reader: memory-mapped, and known to its dynamic VRAM so that weights stream from the file."""
    return comfy.utils.load_torch_file(path, safe_load=True)


def open_file(path: str | Path) -> ModelFile:
    """Open a model file of any container. Raises ValueError for what is no model."""
    return read_file(path, _read_safetensors)


def load_motion_module(
    path: str | Path, overrides: Overrides = Overrides(), disable_dynamic: bool = False
) -> ModelPatcher:
    """Load a motion module file.

    Weights stay views of the file until they are used. Under dynamic VRAM they are staged in the dtype the host
    computes in; otherwise they are converted here, unless the host computes on the CPU.

    Args:
        overrides: what the user sets by hand.
        disable_dynamic: asked for by the host when it needs a copy outside of its dynamic VRAM management.

    Raises:
        ValueError: the file is no usable motion module; the message says what it is.
    """
    name = Path(path).name
    config, state = read_motion_module(open_file(path), overrides)
    device = comfy.model_management.get_torch_device()
    dtype = comfy.model_management.unet_dtype(device, supported_dtypes=COMPUTE_DTYPES)
    network = MotionModel(config, comfy.ops.manual_cast, device="meta", dtype=dtype)
    comfy.model_management.archive_model_dtypes(network)
    patcher_class = ModelPatcher if disable_dynamic else comfy.model_patcher.CoreModelPatcher
    patcher = patcher_class(network, device, comfy.model_management.unet_offload_device())
    settings = MotionSettings(name, summarize(name, config, state))
    if not patcher.is_dynamic() and not comfy.model_management.is_device_cpu(device):
        state = {key: t if key.endswith(".pe") else t.to(dtype) for key, t in state.items()}
    network.load_state_dict(state, strict=True, assign=True)
    network.requires_grad_(False)
    patcher.cached_patcher_init = (load_motion_module, (path, overrides))
    patcher.set_attachments(SETTINGS, settings)
    return patcher


def with_settings(motion: ModelPatcher, **changes: float) -> ModelPatcher:
    """A MOTION_MODULE with other settings; the given one stays as it is. Raises ValueError for impossible ones."""
    clone = motion.clone()
    clone.set_attachments(SETTINGS, replace(settings_of(motion), **changes))
    return clone


def with_motion_lora(motion: ModelPatcher, path: str | Path, strength: float) -> ModelPatcher:
    """A MOTION_MODULE with a motion LoRA added at ``strength`` (1.0 as trained, negative reverses the move).

    Raises:
        ValueError: not a motion LoRA, or one for another base.
    """
    lora = read_motion_lora(open_file(path))
    targets = match_motion_lora(lora, {key: tuple(weight.shape) for key, weight in motion.model.named_parameters()})
    used = {key: t for key, t in lora.tensors.items() if key.split(".lora_")[0].removesuffix(".alpha") in targets}
    clone = motion.clone()
    clone.add_patches(comfy.lora.load_lora(used, targets), strength)
    note = f"{lora.name} at {strength:g}: {len(targets)} of {len(lora.parameters)} keys matched"
    settings = settings_of(motion)
    clone.set_attachments(SETTINGS, replace(settings, loras=(*settings.loras, note)))
    return clone
