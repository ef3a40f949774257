"""Write the tiny models the demo and the tests run on: `python -m demo.write_models DIRECTORY [--fp16]`.

DIRECTORY is a `models` folder of ComfyUI. `environment` calls this; it needs torch and safetensors, not ComfyUI.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file

from .synthetic import motion_lora, motion_module
from .tiny_checkpoint import checkpoint


def write_models(models: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write a checkpoint, a v2 and a v3 motion module and a motion LoRA into ComfyUI's folders below `models`."""
    folders = {name: models / name for name in ("checkpoints", "animatediff_models", "animatediff_motion_lora")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.to(dtype).contiguous() for name, tensor in checkpoint().items()}
    save_file(tensors, folders["checkpoints"] / "tiny_sd15.safetensors")
    modules = folders["animatediff_models"]
    save_file(motion_module(mid=True, positions=32, seed=10, dtype=dtype), modules / "tiny_v2_mm.safetensors")
    # The official files are torch pickles, so one of ours is too.
    torch.save(motion_module(mid=False, positions=32, seed=11, dtype=dtype), modules / "tiny_v3_mm.ckpt")
    lora = motion_lora(mid=True, rank=4, seed=12, dtype=dtype)
    save_file(lora, folders["animatediff_motion_lora"] / "tiny_pan_left.safetensors")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, help="the models folder of a ComfyUI")
    parser.add_argument("--fp16", action="store_true", help="half the size")
    options = parser.parse_args()
    write_models(options.models, torch.float16 if options.fp16 else torch.float32)


if __name__ == "__main__":
    main()
