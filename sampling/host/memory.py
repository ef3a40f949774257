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
from comfy.weight_adapter import WeightAdapterBase
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


def unload(model: ModelPatcher) -> None:
    """Unload a model and its clones, so that its network has the tensors it was made with."""
    comfy.model_management.unload_model_and_clones(model)


def with_network_of(model: ModelPatcher, other: ModelPatcher) -> ModelPatcher:
    """A clone of ``model``, with its patches and all that travels with it, around the network of a freshly made ``other``."""
    clone = model.clone(model_override=other.get_clone_model_override())
    clone.cached_patcher_init = other.cached_patcher_init
    clone.clone_base_uuid = other.clone_base_uuid  # or the host takes the two for one network
    clone.parent = None  # the same: a parent stands in for a clone that is gone
    return clone


class Affine(WeightAdapterBase):
    """A weight times a factor, plus a number: a patch of the host's kind.

    ``weights`` is one tensor of both numbers, which the host moves as it moves the halves of a LoRA.
    """

    name = "affine"

    def __init__(self, loaded_keys: set[str], weights: tuple[Tensor]) -> None:
        self.loaded_keys = loaded_keys
        self.weights: Any = weights

    def calculate_weight(self, weight: Tensor, *_: Any, **__: Any) -> Tensor:
        """Called by the host with a weight of its own."""
        factor, term = self.weights[0]
        return (weight.float() * factor + term).to(weight.dtype)


def put_affine(model: ModelPatcher, changes: Mapping[str, tuple[float, float]]) -> None:
    """Have a freshly cloned model change weights by name, each by a factor and what is added after it.

    These patches act in the order in which they are put, and before those of LoRAs, whenever those were added.
    """
    model.add_patches({key: Affine({key}, (torch.tensor(change),)) for key, change in changes.items()})
    for key in changes:
        patches: list[Any] = model.patches[key]
        patches.insert(sum(isinstance(patch[1], Affine) for patch in patches[:-1]), patches.pop())


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
