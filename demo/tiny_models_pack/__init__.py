"""A ComfyUI pack for tests and the demo only: teach ComfyUI to recognise the tiny SD1.5 checkpoint.

ComfyUI recognises a model by the widths of its UNet. This adds one entry to its list for the widths of
`demo/tiny_checkpoint.py`, with a text encoder of matching width. The AnimateDiff pack itself never does this.
"""

from __future__ import annotations

from typing import ClassVar

import comfy.supported_models
from comfy import sd1_clip
from comfy.supported_models_base import ClipTarget

TEXT_CONFIG: dict[str, int | str] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "hidden_act": "quick_gelu",
    "max_position_embeddings": 77,
    "vocab_size": 49408,
    "eos_token_id": 49407,
}


class TinyTextEncoder(sd1_clip.SD1CheckpointClipModel):
    """The host's SD1 text encoder with two layers of width 64."""

    def __init__(self, device: str = "cpu", dtype: object = None, model_options: dict[str, object] | None = None) -> None:
        options = {**(model_options or {}), "clip_l_model_config": TEXT_CONFIG}
        super().__init__(device=device, dtype=dtype, model_options=options)


class TinySD1ClipModel(sd1_clip.SD1ClipModel):
    """The host's SD1 CLIP wrapper around the tiny text encoder."""

    def __init__(self, device: str = "cpu", dtype: object = None, model_options: dict[str, object] | None = None) -> None:
        super().__init__(device=device, dtype=dtype, model_options=model_options or {}, clip_model=TinyTextEncoder)


class TinySD15(comfy.supported_models.SD15):
    """SD1.5 with a tenth of the channels."""

    unet_config: ClassVar[dict[str, object]] = {**comfy.supported_models.SD15.unet_config, "context_dim": 64, "model_channels": 32}

    def clip_target(self, state_dict: dict[str, object] | None = None) -> ClipTarget:
        """The host's tokenizer, our small text encoder."""
        return ClipTarget(sd1_clip.SD1Tokenizer, TinySD1ClipModel)


def register() -> None:
    """Add the entry once, also when the pack is loaded a second time in the same process."""
    known = comfy.supported_models.models
    if all(entry.__name__ != TinySD15.__name__ for entry in known):
        known.append(TinySD15)


register()

NODE_CLASS_MAPPINGS: dict[str, type] = {}
