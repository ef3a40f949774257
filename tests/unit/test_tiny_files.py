"""The tiny motion files of demo and tests have the keys, the shapes and the names of the public ones."""

from __future__ import annotations

import pytest
from animatediff_native.demo import image_loras, synthetic
from animatediff_tests.formats import FORMATS, SMALL
from torch import Tensor

PUBLIC = {
    "v1": "mm_sd_v15",
    "v2": "mm_sd_v15_v2",
    "v3": "v3_sd15_mm",
    "lightning": "animatediff_lightning_4step_comfyui",
    "lcm": "AnimateLCM_sd15_t2v",
    "long32": "lt_long_mm_32_frames",
    "long64": "lt_long_mm_16_64_frames",
    "pia": "pia",
    "sdxl": "mm_sdxl_v10_beta",
    "hotshot": "hsxl_temporal_layers_f16",
}


def shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in tensors.items()}


@pytest.mark.parametrize("family", synthetic.FAMILIES)
def test_motion_modules(family: str) -> None:
    public = FORMATS[PUBLIC[family]]
    assert shapes(synthetic.family_module(family)) == public.shapes(SMALL)
    assert synthetic.FAMILIES[family].file in (public.file, "mm_sd_v15.ckpt")


def test_loras() -> None:
    assert shapes(synthetic.motion_lora()) == FORMATS["v2_lora_original"].shapes(SMALL)
    adapter, lcm = image_loras.domain_adapter(), image_loras.kohya_lora()
    assert shapes(adapter) == FORMATS["v3_sd15_adapter"].shapes(SMALL)
    assert shapes(lcm) == FORMATS["AnimateLCM_sd15_lora"].shapes(SMALL)
    assert (len(adapter), len(lcm)) == (256, 3 * 278)
