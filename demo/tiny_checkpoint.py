"""Random checkpoints with the layout of SD1.5 and SDXL files and a hundredth of their size: UNet, text encoders, VAE.

Sampling with them shows something: see `tiny_unet`. ComfyUI loads them like real ones once `tiny_models_pack` has told
it the widths. `write_models` writes them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .tiny_autoencoder import autoencoder
from .tiny_unet import SD15, SD15_TEXT_WIDTH, SDXL, SDXL_TEXT_WIDTHS, Layout, unet
from .tiny_weights import Weights

VOCABULARY = 49408
TOKENS = 77
SD15_TEXT_LAYERS = 2
SDXL_TEXT_LAYERS = 3  # the host takes the output of the last but one, and wants layers before it
PROJECTIONS = ("q_proj", "k_proj", "v_proj")
# The names of a text encoder in open_clip, which SDXL's second has, beside those of transformers.
OPEN_CLIP = {
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.": "ln_final.",
    "text_model.encoder.layers.": "transformer.resblocks.",
    ".self_attn.out_proj.": ".attn.out_proj.",
    ".layer_norm1.": ".ln_1.",
    ".layer_norm2.": ".ln_2.",
    ".mlp.fc1.": ".mlp.c_fc.",
    ".mlp.fc2.": ".mlp.c_proj.",
}


def checkpoint(seed: int = 0, layout: Layout = SD15) -> dict[str, Tensor]:
    """All tensors of a random checkpoint of SD1.5's layout, fp32, under the names of its file."""
    parts = {
        "model.diffusion_model.": unet(layout, seed),
        "cond_stage_model.transformer.": text_encoder(SD15_TEXT_WIDTH, SD15_TEXT_LAYERS, seed + 1),
        "first_stage_model.": autoencoder(0.18215, seed + 2),
    }
    return {prefix + name: tensor for prefix, part in parts.items() for name, tensor in part.items()}


def sdxl_checkpoint(seed: int = 0) -> dict[str, Tensor]:
    """All tensors of the tiny SDXL checkpoint, fp32, under the names of an SDXL file with its two text encoders."""
    first, second = SDXL_TEXT_WIDTHS
    parts = {
        "model.diffusion_model.": unet(SDXL, seed),
        "conditioner.embedders.0.transformer.": text_encoder(first, SDXL_TEXT_LAYERS, seed + 1),
        "conditioner.embedders.1.model.": open_clip_spelling(text_encoder(second, SDXL_TEXT_LAYERS, seed + 3)),
        "first_stage_model.": autoencoder(0.13025, seed + 2),
    }
    return {prefix + name: tensor for prefix, part in parts.items() for name, tensor in part.items()}


def text_encoder(width: int, layers: int, seed: int = 1) -> dict[str, Tensor]:
    """A CLIP text encoder of a few layers, with the vocabulary of the real one."""
    weights = Weights(seed)
    prefix = "text_model.embeddings"
    weights[f"{prefix}.token_embedding.weight"] = torch.randn(VOCABULARY, width, generator=weights.random)
    weights[f"{prefix}.position_embedding.weight"] = 0.1 * torch.randn(TOKENS, width, generator=weights.random)
    for layer in range(layers):
        inner = f"text_model.encoder.layers.{layer}"
        for projection in (*PROJECTIONS, "out_proj"):
            weights.linear(f"{inner}.self_attn.{projection}", width, width)
        weights.linear(f"{inner}.mlp.fc1", 2 * width, width)
        weights.linear(f"{inner}.mlp.fc2", width, 2 * width)
        weights.norm(f"{inner}.layer_norm1", width)
        weights.norm(f"{inner}.layer_norm2", width)
    weights.norm("text_model.final_layer_norm", width)
    return weights


def open_clip_spelling(encoder: dict[str, Tensor]) -> dict[str, Tensor]:
    """A text encoder under open_clip's names: q, k and v in one matrix, and the projection of the pooled output."""
    renamed: dict[str, Tensor] = {}
    for name, tensor in encoder.items():
        for ours, theirs in OPEN_CLIP.items():
            name = name.replace(ours, theirs)
        renamed[name] = tensor
    for query in [name for name in renamed if ".q_proj." in name]:
        stem, leaf = query.split(".self_attn.q_proj.")
        parts = [renamed.pop(f"{stem}.self_attn.{projection}.{leaf}") for projection in PROJECTIONS]
        renamed[f"{stem}.attn.in_proj_{leaf}"] = torch.cat(parts)
    renamed["text_projection"] = torch.eye(encoder["text_model.final_layer_norm.weight"].numel())
    return renamed
