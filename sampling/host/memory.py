"""Models under the host's memory management: made from a network and its weights, loaded, unloaded, patched by LoRAs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import comfy.lora
import comfy.lora_convert
import comfy.model_management
import comfy.model_patcher
import comfy.ops
import comfy.utils
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor, nn

from ...motion.container import ModelFile, read_file

COMPUTE_DTYPES = [torch.float16, torch.bfloat16, torch.float32]
TABLE = ".pe"
"""End of the keys of positional encodings, which stay in single precision."""


def compute_device() -> torch.device:
    """Where the host computes."""
    return comfy.model_management.get_torch_device()


def compute_dtype() -> torch.dtype:
    """What the host computes in on its device."""
    return comfy.model_management.unet_dtype(compute_device(), supported_dtypes=COMPUTE_DTYPES)


def open_file(path: str | Path) -> ModelFile:
    """Open a model file of any container. Raises ValueError for what is no model."""
    return read_file(path, _read_safetensors)


def _read_safetensors(path: str) -> Mapping[str, Any]:
    """The host's reader: memory-mapped, and known to its dynamic VRAM so that weights stream from the file."""
    state: Any = comfy.utils.load_torch_file(path, safe_load=True)
    return state


def adopt(
    build: Callable[..., nn.Module], state: Mapping[str, Tensor], disable_dynamic: bool = False
) -> ModelPatcher:
    """A network and its weights as a model of the host, which loads, offloads, casts and counts it.

    Weights stay views of the file until they are used. Under dynamic VRAM they are staged in the dtype the host computes
    in; otherwise they are converted here, unless the host computes on the CPU.

    Args:
        build: makes the network; called with the host's ``operations``, ``device`` and ``dtype``.
        state: loads strictly; the tensors are assigned, never copied.
        disable_dynamic: asked for by the host when it needs a copy outside of its dynamic VRAM management.
    """
    management, device = comfy.model_management, compute_device()
    network = build(operations=comfy.ops.manual_cast, device="meta", dtype=compute_dtype())
    management.archive_model_dtypes(network)
    patcher_class = ModelPatcher if disable_dynamic else comfy.model_patcher.CoreModelPatcher
    patcher = patcher_class(network, device, management.unet_offload_device())
    if not patcher.is_dynamic() and not management.is_device_cpu(device):
        dtype = compute_dtype()
        state = {key: t if key.endswith(TABLE) else t.to(dtype) for key, t in state.items()}
    network.load_state_dict(state, strict=True, assign=True)
    network.requires_grad_(False)
    return patcher


def load_only(active: list[ModelPatcher], among: list[ModelPatcher]) -> None:
    """Load the models ``active`` and unload the others of ``among``. With dynamic VRAM the host does the latter itself."""
    loaded = comfy.model_management.loaded_models()
    for model in among:
        if model not in active and model in loaded and not model.is_dynamic():
            comfy.model_management.unload_model_and_clones(model)
    if any(model not in loaded for model in active):
        in_use = comfy.model_management.loaded_models(only_currently_used=True)
        wanted = [part for model in active for part in (model, *model.get_nested_additional_models())]
        comfy.model_management.load_models_gpu(list(dict.fromkeys([*in_use, *wanted])))


@contextmanager
def kept_loaded() -> Iterator[None]:
    """Whatever is loaded inside, such as a VAE, the models in use before are loaded again after it."""
    in_use = comfy.model_management.loaded_models(only_currently_used=True)
    yield
    comfy.model_management.load_models_gpu(in_use)


def lora_patches(tensors: Mapping[str, Tensor], targets: Mapping[str, str]) -> dict[str, Any]:
    """The host's patches from LoRA tensors, for the weights named by ``targets`` (LoRA name -> weight key)."""
    return comfy.lora.load_lora(dict(tensors), dict(targets))


def image_lora_patches(model: ModelPatcher, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The host's patches from a LoRA of the image model in any spelling it knows; only the keys that match."""
    names = comfy.lora.model_lora_keys_unet(model.model, {})
    return comfy.lora.load_lora(comfy.lora_convert.convert_lora(dict(tensors)), names, log_missing=False)
