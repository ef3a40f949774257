"""The networks of the small world: the host's own classes in sizes of their own, and what their files hold.

`image` trains the UNet and the text encoder together, `motion` builds on them, `files` writes the checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from comfy import ops
from comfy.clip_model import CLIPTextModel
from comfy.ldm.modules.attention import attention_pytorch
from comfy.ldm.modules.diffusionmodules.openaimodel import ResBlock, SpatialTransformer, UNetModel
from comfy.sd1_clip import SD1Tokenizer
from torch import Tensor, nn

CHANNELS = 64  # of every level, where SD1.5 has 320, 640, 1280 and 1280
LEVELS = 4
TEXT_WIDTH, TEXT_LAYERS = 64, 2
TEXT_CONFIG: dict[str, int | str] = {
    "hidden_size": TEXT_WIDTH,
    "intermediate_size": 2 * TEXT_WIDTH,
    "num_attention_heads": 4,
    "num_hidden_layers": TEXT_LAYERS,
    "hidden_act": "quick_gelu",
    "max_position_embeddings": 77,
    "vocab_size": 49408,
    "eos_token_id": 49407,
}
SEED = 11


def unet() -> UNetModel:
    """The untrained UNet: the host's, with the blocks of SD1.5 and 64 channels everywhere."""
    depths: Any = [1, 1] * (LEVELS - 1) + [0, 0]  # the host's annotation says int
    net = UNetModel(
        image_size=32,
        in_channels=4,
        out_channels=4,
        model_channels=CHANNELS,
        num_res_blocks=[2] * LEVELS,
        channel_mult=[1] * LEVELS,
        num_heads=8,
        use_spatial_transformer=True,
        transformer_depth=depths,
        transformer_depth_output=[1, 1, 1] * (LEVELS - 1) + [0, 0, 0],
        transformer_depth_middle=1,
        context_dim=TEXT_WIDTH,
        use_linear_in_transformer=False,
        legacy=False,
        dtype=torch.float32,
        operations=ops.disable_weight_init,
    )
    initialise(net)
    for layer in net.modules():
        last: Any = layer.out_layers[-1] if isinstance(layer, ResBlock) else getattr(layer, "proj_out", None)
        if isinstance(layer, (ResBlock, SpatialTransformer)):
            nn.init.zeros_(last.weight)
    last = net.out[-1]
    nn.init.zeros_(last.weight)
    return net


def initialise(net: nn.Module) -> None:
    """Give every layer the start that torch gives its own; the host's layers begin without one."""
    torch.manual_seed(SEED)
    for layer in net.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, (nn.GroupNorm, nn.LayerNorm)):
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Embedding):
            nn.init.normal_(layer.weight, std=0.02)
    net.requires_grad_(True)


class Words(nn.Module):
    """The host's CLIP text encoder in small, which learns the rows of the words that captions have and no others.

    Attributes:
        known: ids of the tokens that have a row, ascending. All others have a row of zeros in the file.
    """

    def __init__(self, captions: Iterable[str]) -> None:
        super().__init__()
        self.tokenizer = SD1Tokenizer()
        tokens = self.tokens(sorted(set(captions) | {""}))
        self.known = tokens.unique()
        self.net = CLIPTextModel(TEXT_CONFIG, torch.float32, "cpu", ops.disable_weight_init)
        initialise(self.net)
        self.net.set_input_embeddings(nn.Identity())
        self.rows = nn.Parameter(0.1 * torch.randn(len(self.known), TEXT_WIDTH, generator=torch.Generator().manual_seed(SEED)))

    def tokens(self, captions: Iterable[str]) -> Tensor:
        """The token ids of captions, (N, 77), as the host's loader of checkpoints would make them."""
        weighted = [self.tokenizer.tokenize_with_weights(caption)["l"] for caption in captions]
        return torch.tensor([[int(token) for token, _ in chunks[0]] for chunks in weighted])

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids (B, 77) -> text embeddings (B, 77, 64).

        What the host's encoder computes, with its layers; the host adds in place, through which no gradient passes.
        """
        model = self.net.text_model
        x = self.rows[torch.searchsorted(self.known, tokens)] + model.embeddings.position_embedding.weight
        mask = torch.full((x.shape[1], x.shape[1]), -torch.finfo(x.dtype).max).triu_(1)
        layers: Any = model.encoder.layers
        for layer in layers:
            x = x + layer.self_attn(layer.layer_norm1(x), mask, attention_pytorch)
            x = x + layer.mlp(layer.layer_norm2(x))
        return model.final_layer_norm(x)
