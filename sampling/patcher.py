"""Motion modules under the host's memory management: what travels on a MOTION_MODULE socket.

A MOTION_MODULE is a host ``ModelPatcher`` around a ``MotionModel``, so the host loads, offloads, casts and counts it
like any model, and motion LoRAs are ordinary weight patches. One whose strength is a curve stays apart, as a model of its
own that travels with the module. Called by ``nodes.load``; read by ``inject``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

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
from ..motion.describe import Shapes
from ..motion.lora import MotionLoRA, match_motion_lora, read_motion_lora
from ..motion.low_rank import LowRankNetwork, low_rank_state
from ..motion.model import MotionModel
from .curve import Curve, Strength, as_strength

SETTINGS = "animatediff_settings"
CURVED_LORAS = "animatediff_curved_loras"
"""Additional models of a MOTION_MODULE: its motion LoRAs whose strength is a curve."""
STRENGTH = "animatediff_strength"
OVERRIDES = {"family": ["auto", *FAMILIES], "norm_scope": list(NORM_SCOPES), "beta_schedule": list(BETA_SCHEDULES)}
"""What a user can choose for each field of ``Overrides``."""
COMPUTE_DTYPES = [torch.float16, torch.bfloat16, torch.float32]


@dataclass(frozen=True)
class MotionSettings:
    """How a motion module is used. 1.0 means as trained; percents are of the sampling run, 0 is its start. Both strengths may
    be curves.

    ``summary`` says in words what the file holds, ``loras`` what was added to it.
    """

    name: str
    summary: str = ""
    loras: tuple[str, ...] = ()
    influence: Strength = 1.0
    attention_scale: Strength = 1.0
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


class CurvedLoRA(NamedTuple):
    """A motion LoRA that is not merged: its network, and how strongly it acts."""

    network: LowRankNetwork
    strength: Curve


def curved_loras(motion: ModelPatcher) -> list[CurvedLoRA]:
    """The motion LoRAs of a MOTION_MODULE whose strength is a curve."""
    patchers = motion.get_additional_models_with_key(CURVED_LORAS)
    return [CurvedLoRA(patcher.model, cast(Curve, patcher.get_attachment(STRENGTH))) for patcher in patchers]


def without_dynamic(motion: ModelPatcher) -> ModelPatcher:
    """A MOTION_MODULE, and what travels with it, outside of the host's dynamic VRAM management."""
    if not motion.is_dynamic():
        return motion
    delegate = motion.get_non_dynamic_delegate()
    loras = [lora.get_non_dynamic_delegate() if lora.is_dynamic() else lora for lora in motion.get_additional_models()]
    delegate.set_additional_models(CURVED_LORAS, loras)
    return delegate


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
    network = MotionModel(config, comfy.ops.manual_cast, device="meta", dtype=_compute_dtype())
    patcher = _under_host(network, state, disable_dynamic)
    patcher.cached_patcher_init = (load_motion_module, (path, overrides))
    patcher.set_attachments(SETTINGS, MotionSettings(name, summarize(name, config, state)))
    return patcher


def _compute_dtype() -> torch.dtype:
    return comfy.model_management.unet_dtype(comfy.model_management.get_torch_device(), supported_dtypes=COMPUTE_DTYPES)


def _under_host(network: torch.nn.Module, state: dict[str, torch.Tensor], disable_dynamic: bool) -> ModelPatcher:
    """A network made on the meta device, with its weights, under the host's memory management."""
    device = comfy.model_management.get_torch_device()
    comfy.model_management.archive_model_dtypes(network)
    patcher_class = ModelPatcher if disable_dynamic else comfy.model_patcher.CoreModelPatcher
    patcher = patcher_class(network, device, comfy.model_management.unet_offload_device())
    if not patcher.is_dynamic() and not comfy.model_management.is_device_cpu(device):
        dtype = _compute_dtype()
        state = {key: t if key.endswith(".pe") else t.to(dtype) for key, t in state.items()}
    network.load_state_dict(state, strict=True, assign=True)
    network.requires_grad_(False)
    return patcher


def with_settings(motion: ModelPatcher, **changes: Strength) -> ModelPatcher:
    """A MOTION_MODULE with other settings; the given one stays as it is. Raises ValueError for impossible ones."""
    strengths = {name: as_strength(changes[name]) for name in ("influence", "attention_scale") if name in changes}
    clone = motion.clone()
    clone.set_attachments(SETTINGS, replace(settings_of(motion), **{**changes, **strengths}))
    return clone


def load_curved_lora(path: str | Path, shapes: Shapes, disable_dynamic: bool = False) -> ModelPatcher:
    """A motion LoRA as a model of its own, for the layers of a motion module with weights of ``shapes``.

    Raises:
        ValueError: not a motion LoRA, or one for another base.
    """
    lora = read_motion_lora(open_file(path))
    return _curved(lora, sorted(match_motion_lora(lora, shapes)), (path, shapes), disable_dynamic)


def _curved(lora: MotionLoRA, targets: list[str], source: tuple[Any, Any], disable_dynamic: bool = False) -> ModelPatcher:
    """A motion LoRA as a model. ``source``: what ``load_curved_lora`` makes it from, for a host that wants another copy."""
    state = low_rank_state(lora.tensors, targets)
    ranks = {name: lora.tensors[f"{name}.lora_down.weight"].shape for name in targets}
    outs = {name: lora.tensors[f"{name}.lora_up.weight"].shape[0] for name in targets}
    shapes = {name: (width, rank, outs[name]) for name, (rank, width) in ranks.items()}
    network = LowRankNetwork(shapes, comfy.ops.manual_cast, device="meta", dtype=_compute_dtype())
    patcher = _under_host(network, state, disable_dynamic)
    patcher.cached_patcher_init = (load_curved_lora, source)
    return patcher


def with_motion_lora(motion: ModelPatcher, path: str | Path, strength: Strength) -> ModelPatcher:
    """A MOTION_MODULE with a motion LoRA added at ``strength`` (1.0 as trained, negative reverses the move).

    A number is merged into the weights by the host. A curve cannot be: such a LoRA stays low-rank and is added to the output
    of its layers, per frame and place.

    Raises:
        ValueError: not a motion LoRA, or one for another base.
    """
    lora = read_motion_lora(open_file(path))
    shapes = {key: tuple(weight.shape) for key, weight in motion.model.named_parameters()}
    targets = match_motion_lora(lora, shapes)
    clone, strength = motion.clone(), as_strength(strength)
    if isinstance(strength, Curve):
        patcher = _curved(lora, sorted(targets), (path, shapes))
        patcher.set_attachments(STRENGTH, strength)
        clone.set_additional_models(CURVED_LORAS, [*clone.get_additional_models_with_key(CURVED_LORAS), patcher])
        how = "a curve"
    else:
        used = {key: t for key, t in lora.tensors.items() if key.split(".lora_")[0].removesuffix(".alpha") in targets}
        clone.add_patches(comfy.lora.load_lora(used, targets), strength)
        how = f"{strength:g}"
    note = f"{lora.name} at {how}: {len(targets)} of {len(lora.parameters)} keys matched"
    settings = settings_of(motion)
    clone.set_attachments(SETTINGS, replace(settings, loras=(*settings.loras, note)))
    return clone
