"""A ComfyUI pack for tests and the demo only: teach ComfyUI to recognise the tiny SD1.5 and SDXL checkpoints.

ComfyUI recognises a model by the widths of its UNet. This adds an entry to its list for each of the layouts of
`demo/tiny_checkpoint.py`, with text encoders of matching width. The AnimateDiff pack itself never does this.
"""

from __future__ import annotations

from typing import ClassVar

import comfy.supported_models
from comfy import sd1_clip, sdxl_clip
from comfy.supported_models_base import ClipTarget

SDXL_TEXT_WIDTHS = (16, 32)


def text_config(width: int, layers: int) -> dict[str, int | str]:
    """What the host reads from the configuration file of a CLIP text encoder."""
    return {
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_attention_heads": 4,
        "num_hidden_layers": layers,
        "hidden_act": "quick_gelu",
        "max_position_embeddings": 77,
        "vocab_size": 49408,
        "eos_token_id": 49407,
    }


class TinyTextEncoder(sd1_clip.SD1CheckpointClipModel):
    """The host's SD1 text encoder with two layers of width 64."""

    def __init__(self, device: str = "cpu", dtype: object = None, model_options: dict[str, object] | None = None) -> None:
        options = {**(model_options or {}), "clip_l_model_config": text_config(64, 2)}
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


class SmallWorld(TinySD15):
    """The trained model of `demo/world`: SD1.5 with 64 channels."""

    unet_config: ClassVar[dict[str, object]] = {**TinySD15.unet_config, "model_channels": 64}


class TinySDXLClipModel(sdxl_clip.SDXLClipModel):
    """The host's pair of SDXL text encoders, of widths 16 and 32."""

    def __init__(self, device: str = "cpu", dtype: object = None, model_options: dict[str, object] | None = None) -> None:
        first, second = (text_config(width, 3) for width in SDXL_TEXT_WIDTHS)
        options = {**(model_options or {}), "clip_l_model_config": first, "clip_g_model_config": second}
        super().__init__(device=device, dtype=dtype, model_options=options)


class TinySDXL(comfy.supported_models.SDXL):
    """SDXL with a tenth of the channels and one transformer where it has two or ten."""

    unet_config: ClassVar[dict[str, object]] = {
        **comfy.supported_models.SDXL.unet_config,
        "model_channels": 32,
        "transformer_depth": [0, 0, 1, 1, 1, 1],
        "context_dim": sum(SDXL_TEXT_WIDTHS),
        "adm_in_channels": SDXL_TEXT_WIDTHS[1] + 6 * 256,  # the host's vector: pooled text and six sizes
    }
    unet_extra_config: ClassVar[dict[str, object]] = {**comfy.supported_models.SDXL.unet_extra_config, "num_head_channels": 8}

    def clip_target(self, state_dict: dict[str, object] | None = None) -> ClipTarget:
        """The host's tokenizers, our small text encoders."""
        return ClipTarget(sdxl_clip.SDXLTokenizer, TinySDXLClipModel)


def register() -> None:
    """Add the entries once, also when the pack is loaded a second time in the same process."""
    known = comfy.supported_models.models
    names = {entry.__name__ for entry in known}
    known.extend(entry for entry in (TinySD15, SmallWorld, TinySDXL) if entry.__name__ not in names)


register()

NODE_CLASS_MAPPINGS: dict[str, type] = {}
