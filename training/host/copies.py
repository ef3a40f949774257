"""Private copies of models, whose weights may take part in gradients and whose changes nobody sees.

Nodes run in inference mode, and what is loaded there can never be kept for gradients; weights may also be maps of a file.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import comfy.lora
import comfy.model_management
import comfy.model_patcher
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor, nn

COMPUTED_IN = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32, "none": None}
"""What layers compute in, by the name of a setting; None is as the MODEL does."""


def private_copy(model: ModelPatcher, training_dtype: str = "none") -> ModelPatcher:
    """A MODEL with its patches around a network of its own, outside of the host's dynamic VRAM, frozen.

    Call it outside of inference mode. The network is loaded again where the host knows from where, else copied.

    Args:
        training_dtype: one of ``COMPUTED_IN``. Weights are brought to it once; else each use would keep a copy for its gradients.
    """
    clone = _copy(model)
    for module in clone.model.modules():
        _disinfect(module)
    clone.model.requires_grad_(False)
    if (dtype := COMPUTED_IN[training_dtype]) is not None:
        for parameter in clone.model.diffusion_model.parameters():
            if parameter.dtype in COMPUTED_IN.values():  # others are cast by the host, layer by layer
                parameter.data = parameter.data.to(dtype)
        clone.set_model_compute_dtype(dtype)
    return clone


def _copy(model: ModelPatcher) -> ModelPatcher:
    """The same MODEL around another network."""
    if model.cached_patcher_init is not None:
        clone = model.clone(disable_dynamic=True, force_deepcopy=True)
    else:
        comfy.model_management.unload_model_and_clones(model)  # so that its weights are those it was made with
        shared: dict[int, Any] = {id(part): part for part in (model.model.model_config, model.model.latent_format)}
        shared[id(model.model.current_patcher)] = None
        network: nn.Module = copy.deepcopy(model.model, shared)
        clone = model.clone(disable_dynamic=True, model_override=(network, ({}, {}, {}, set())))
    clone.parent = None  # a parent stands in for a clone that is gone
    return clone


def _disinfect(module: nn.Module) -> None:
    """Replace weights that were made in inference mode. Only for networks that are nobody else's."""
    for name, parameter in list(module.named_parameters(recurse=False)):
        if parameter.is_inference():
            module.register_parameter(name, nn.Parameter(plain(parameter), requires_grad=False))
    for name, buffer in list(module.named_buffers(recurse=False)):
        if buffer.is_inference():
            module.register_buffer(name, plain(buffer), persistent=name in module.state_dict())


def plain(value: Any) -> Any:
    """The same value without tensors of inference mode; containers are copied. Call it outside of inference mode."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}  # type: ignore[misc]
    if isinstance(value, list | tuple):
        return type(value)(plain(part) for part in value)  # type: ignore[misc]
    return value


def weights_of(model: ModelPatcher, dtype: torch.dtype | None = torch.float32) -> dict[str, Tensor]:
    """The weights of a model with its patches (LoRAs) in them, as new tensors on the CPU. Call it outside of inference mode.

    Args:
        dtype: None leaves each as it is.
    """
    comfy.model_management.unload_model_and_clones(model)
    state = {key: tensor.detach().to("cpu", dtype, copy=True) for key, tensor in model.model.state_dict().items()}
    for key, patches in model.patches.items():
        if key in state:
            patched: Tensor = comfy.lora.calculate_weight(list(patches), state[key].float(), key)
            state[key] = patched.detach().to("cpu", state[key].dtype, copy=True)
    return state


COMPUTED = "model_sampling."
"""What the names of a model's noise levels begin with."""


def tensors_of(model: ModelPatcher) -> Iterator[tuple[str, Tensor]]:
    """All tensors that decide what a model and those that travel with it do: weights, and patches with their strengths.

    They come in the same order in every process and on every machine: the host adds the patches of a LoRA in that of a set. The
    noise levels are left out: the host computes them, and on another machine their last digit may be another.
    """
    for part in (model, *model.get_nested_additional_models()):
        yield from ((name, value) for name, value in part.model.state_dict().items() if not name.startswith(COMPUTED))
        for key, patches in sorted(part.patches.items()):
            for strength, patch, *_ in patches:
                held = getattr(patch, "weights", patch)
                values = held if isinstance(held, list | tuple) else (held,)
                yield from ((f"{key} at {strength}", value) for value in values if isinstance(value, Tensor))


def wrapped(network: nn.Module) -> ModelPatcher:
    """A network as a model of the host, outside of its dynamic VRAM management: its parameters remain the same objects."""
    device, offload = comfy.model_management.get_torch_device(), comfy.model_management.unet_offload_device()
    return ModelPatcher(network, device, offload)
