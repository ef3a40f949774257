"""Small real models for the tests: the host's UNet with 32 channels, and motion files of matching width."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.model_patcher
import comfy.supported_models
import torch
from animatediff_native.demo import synthetic
from safetensors.torch import save_file

import nodes as host_nodes

CHANNELS = (32, 64, 128, 128)
_UNET = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 32,
    "context_dim": 64,
    "use_temporal_attention": False,
    "use_spatial_transformer": True,
    "legacy": False,
    "dtype": torch.float32,
}
_SD15 = {
    "num_res_blocks": [2, 2, 2, 2],
    "channel_mult": (1, 2, 4, 4),
    "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
    "transformer_depth_output": [1] * 9 + [0] * 3,
    "transformer_depth_middle": 1,
    "use_linear_in_transformer": False,
    "adm_in_channels": None,
    "num_heads": 8,
    "num_head_channels": -1,
}
_SDXL = {
    "num_res_blocks": [2, 2, 2],
    "channel_mult": (1, 2, 4),
    "transformer_depth": [0, 0, 1, 1, 1, 1],
    "transformer_depth_output": [0, 0, 0, 1, 1, 1, 1, 1, 1],
    "transformer_depth_middle": 1,
    "use_linear_in_transformer": True,
    "adm_in_channels": 64 + 6 * 256,  # the host's vector: pooled text and six sizes
    "num_classes": "sequential",
    "num_heads": -1,
    "num_head_channels": 8,
}


def _model(family: type, layout: dict[str, Any], seed: int) -> comfy.model_patcher.ModelPatcher:
    config = family({**_UNET, **layout})
    config.unet_config.update(layout)
    config.set_inference_dtype(torch.float32, None)
    model = config.get_model({}, device="cpu")
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.diffusion_model.named_parameters():
        if parameter.ndim > 1:
            fan_in = parameter[0].numel()
            parameter.data = torch.randn(parameter.shape, generator=generator) * (0.5 / fan_in**0.5)
        else:
            parameter.data = torch.full(parameter.shape, float(name.endswith("weight")))
    device = comfy.model_management.get_torch_device()
    return comfy.model_patcher.CoreModelPatcher(model, device, comfy.model_management.unet_offload_device())


def tiny_model(seed: int = 0) -> comfy.model_patcher.ModelPatcher:
    """A MODEL with the block layout of SD1.5 and seeded random weights, fp32."""
    return _model(comfy.supported_models.SD15, _SD15, seed)


def tiny_inpaint_model(seed: int = 0) -> comfy.model_patcher.ModelPatcher:
    """A MODEL like ``tiny_model`` that also takes a mask and a masked picture per frame, nine channels in all."""
    return _model(comfy.supported_models.SD15, {**_SD15, "in_channels": 9}, seed)


def tiny_sdxl_model(seed: int = 0) -> comfy.model_patcher.ModelPatcher:
    """A MODEL with the block layout of SDXL and seeded random weights, fp32."""
    return _model(comfy.supported_models.SDXL, _SDXL, seed)


def _write(state: dict[str, torch.Tensor], folder: Path, name: str, container: str) -> Path:
    path = Path(folder) / f"{name}.{container}"
    if container == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


def motion_file(
    folder: Path,
    version: str = "v2",
    seed: int = 0,
    channels: tuple[int, ...] = CHANNELS,
    container: str = "ckpt",
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Write the motion module of a family (``demo.synthetic.FAMILIES``); those for SDXL take three of the channels."""
    state = synthetic.family_module(version, channels, seed, dtype)
    return _write(state, folder, f"{version}_mm", container)


def lora_file(folder: Path, seed: int = 0, channels: tuple[int, ...] = CHANNELS, container: str = "ckpt") -> Path:
    """Write a motion LoRA in the original spelling."""
    return _write(synthetic.motion_lora(channels=channels, mid=True, rank=4, seed=seed), folder, "lora", container)


def conditioning(seed: int, tokens: int = 77, width: int = 64, notes: dict[str, Any] | None = None) -> list[Any]:
    """A CONDITIONING of random embeddings, with the pooled output and the sizes that SDXL reads; ``notes`` replaces some."""
    generator = torch.Generator().manual_seed(seed)
    embedding = torch.randn(1, tokens, width, generator=generator)
    sizes = {"width": 512, "height": 384, "crop_w": 8, "crop_h": 0, "target_width": 512, "target_height": 384}
    return [[embedding, {"pooled_output": torch.randn(1, width, generator=generator), **sizes, **(notes or {})}]]


def run_ksampler(
    model: Any,
    frames: int = 16,
    steps: int = 2,
    cfg: float = 3.0,
    seed: int = 1,
    size: int = 8,
    sampler: str = "euler",
    scheduler: str = "normal",
    positive: list[Any] | None = None,
) -> torch.Tensor:
    """Sample with the host's KSampler: ``(frames, 4, size, size)``."""
    latent = {"samples": torch.zeros(frames, 4, size, size)}
    prompts = (positive or conditioning(1), conditioning(2))
    return host_nodes.common_ksampler(model, seed, steps, cfg, sampler, scheduler, *prompts, latent)[0]["samples"]
