"""Write the tiny models the demo and the tests run on: `python -m demo.write_models DIRECTORY`.

DIRECTORY is a `models` folder of ComfyUI; a picture and a video go into the `input` folder beside it. `environment` calls
this; it needs torch, safetensors, Pillow and av, not ComfyUI. Motion modules and LoRAs have the names of the real files,
so that graphs that name those find them.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from .example_inputs import t2i_adapter, write_picture, write_video
from .image_loras import domain_adapter, kohya_lora
from .synthetic import FAMILIES, family_module, motion_lora
from .tiny_checkpoint import checkpoint, sdxl_checkpoint
from .tiny_sparse_control import sparse_control

SINGLE_PRECISION = ("v3",)  # as the original; the others are halved to keep the folder small
CAMERA_MOVES = ("PanLeft", "PanRight", "TiltUp", "TiltDown", "ZoomIn", "ZoomOut", "RollingClockwise", "RollingAnticlockwise")


def write_models(models: Path) -> list[Path]:
    """Write checkpoints, a motion module of each family, LoRAs and inputs into ComfyUI's folders.

    Returns the files' paths below `models`.
    """
    half = torch.float16
    written = [
        _write(models, "checkpoints/tiny_sd15.safetensors", checkpoint(), half),
        _write(models, "checkpoints/tiny_sdxl.safetensors", sdxl_checkpoint(), half),
        _write(models, "loras/v3_sd15_adapter.ckpt", domain_adapter()),
        _write(models, "loras/AnimateLCM_sd15_t2v_lora.safetensors", kohya_lora(), half),
        _write(models, "controlnet/tiny_t2i_adapter.safetensors", t2i_adapter(), half),
        *(
            _write(models, f"controlnet/mm_sd15_v3_sparsectrl_{kind}.safetensors", sparse_control(kind), half)
            for kind in ("rgb", "scribble")
        ),
        _place(models, "../input/example.png", write_picture),
        _place(models, "../input/example.mp4", write_video),
    ]
    for seed, (family, layout) in enumerate(FAMILIES.items(), start=10):
        dtype = None if family in SINGLE_PRECISION else half
        written.append(_write(models, f"animatediff_models/{layout.file}", family_module(family, seed=seed), dtype))
    for seed, move in enumerate(CAMERA_MOVES, start=30):
        written.append(_write(models, f"animatediff_motion_lora/v2_lora_{move}.ckpt", motion_lora(seed=seed), half))
    return written


def _write(models: Path, name: str, tensors: dict[str, Tensor], dtype: torch.dtype | None = None) -> Path:
    """Write one file, in the container its name asks for. A server that has the old one open keeps that one."""
    tensors = {key: tensor.to(dtype).contiguous() for key, tensor in tensors.items()}
    safe = name.endswith(".safetensors")  # the official files are torch pickles
    return _place(models, name, lambda part: save_file(tensors, part) if safe else torch.save(tensors, part))


def _place(models: Path, name: str, write: Callable[[Path], None]) -> Path:
    """Have a file written beside its place, then put it there whole."""
    path = models / name
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    write(part)
    os.replace(part, path)
    return Path(name)


def main() -> None:
    """Read the command line, write, and print the files' paths below the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, help="the models folder of a ComfyUI")
    print(*(path.as_posix() for path in write_models(parser.parse_args().models)), sep="\n")


if __name__ == "__main__":
    main()
