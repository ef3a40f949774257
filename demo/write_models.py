"""Write the tiny models the demo and the tests run on: `python -m demo.write_models DIRECTORY [--fp16]`.

DIRECTORY is a `models` folder of ComfyUI. `environment` calls this; it needs torch and safetensors, not ComfyUI.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file

from . import synthetic
from .synthetic import TINY_CHANNELS, motion_module
from .tiny_checkpoint import checkpoint, sdxl_checkpoint

HALF = torch.float16
SDXL_CHANNELS = TINY_CHANNELS[:3]


def write_models(models: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write checkpoints, a motion module of each family and LoRAs into ComfyUI's folders below `models`."""
    names = ("checkpoints", "animatediff_models", "animatediff_motion_lora", "loras")
    folders = {name: models / name for name in names}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    for name, tensors, kept in (("tiny_sd15", checkpoint(), dtype), ("tiny_sdxl", sdxl_checkpoint(), HALF)):
        tensors = {key: tensor.to(kept).contiguous() for key, tensor in tensors.items()}
        save_file(tensors, folders["checkpoints"] / f"{name}.safetensors")
    _write_modules(folders["animatediff_models"], dtype)
    lora = synthetic.motion_lora(mid=True, rank=4, seed=12, dtype=dtype)
    save_file(lora, folders["animatediff_motion_lora"] / "tiny_pan_left.safetensors")
    torch.save(synthetic.domain_adapter(), folders["loras"] / "tiny_v3_adapter.ckpt")
    save_file(synthetic.kohya_lora(), folders["loras"] / "tiny_lcm_lora.safetensors")


def _write_modules(folder: Path, dtype: torch.dtype) -> None:
    """One motion module per family. The official files are torch pickles, so some of ours are too."""
    save_file(motion_module(mid=True, positions=32, seed=10, dtype=dtype), folder / "tiny_v2_mm.safetensors")
    torch.save(motion_module(mid=False, positions=32, seed=11, dtype=dtype), folder / "tiny_v3_mm.ckpt")
    torch.save(motion_module(mid=False, positions=24, seed=13, dtype=HALF), folder / "tiny_v1_mm.ckpt")
    torch.save(motion_module(mid=True, positions=None, seed=14, dtype=HALF), folder / "tiny_AnimateLCM_mm.ckpt")
    lightning = motion_module(mid=True, positions=32, seed=15, dtype=HALF)
    save_file(lightning, folder / "tiny_lightning_4step_mm.safetensors")
    torch.save(motion_module(mid=True, positions=64, seed=16, dtype=HALF), folder / "tiny_long_32_mm.ckpt")
    sdxl = motion_module(SDXL_CHANNELS, mid=False, positions=32, seed=17, dtype=HALF)
    torch.save(sdxl, folder / "tiny_sdxl_mm.ckpt")
    hotshot = motion_module(SDXL_CHANNELS, mid=False, positions=24, seed=18, dtype=HALF)
    save_file(synthetic.hotshot_spelling(hotshot), folder / "tiny_hotshot_mm.safetensors")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, help="the models folder of a ComfyUI")
    parser.add_argument("--fp16", action="store_true", help="half the size")
    options = parser.parse_args()
    write_models(options.models, torch.float16 if options.fp16 else torch.float32)


if __name__ == "__main__":
    main()
