"""Write the tiny models the demo and the tests run on: `python -m demo.write_models DIRECTORY`.

DIRECTORY is a `models` folder of ComfyUI; a picture and a video go into the `input` folder beside it. `environment` calls
this; it needs torch, safetensors, Pillow and av, not ComfyUI. Motion modules and LoRAs have the names of the real files,
so that graphs that name those find them. What `world.trained` lists is made of the weights of the small world where they
are there; all else, and SDXL, is random, of widths that fit the checkpoint.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from .example_inputs import write_picture, write_video
from .image_loras import domain_adapter, kohya_lora
from .synthetic import FAMILIES, TINY_CHANNELS, family_module, motion_lora
from .tiny_checkpoint import checkpoint, sdxl_checkpoint
from .tiny_sparse_control import control_net, sparse_control
from .tiny_unet import WORLD
from .world.files import model_file
from .world.trained import CHECKPOINT, MOTION_LORAS, is_trained

SINGLE_PRECISION = ("v3",)  # as the original; the others are halved to keep the folder small
SDXL_LEVELS = 3


@dataclass(frozen=True)
class TinyFile:
    """A file to write: its path below `models`, what makes random tensors for it, and in which precision they are stored."""

    name: str
    random: Callable[[], dict[str, Tensor]]
    dtype: torch.dtype = torch.float16

    def tensors(self) -> dict[str, Tensor]:
        """What the file holds: trained weights where there are some, else random ones."""
        return model_file(self.name) if is_trained(self.name) else self.random()


def model_files() -> Iterator[TinyFile]:
    """Checkpoints, a motion module of each family, LoRAs and controls."""
    yield TinyFile(CHECKPOINT, partial(checkpoint, layout=WORLD))
    yield TinyFile("checkpoints/tiny_sdxl.safetensors", sdxl_checkpoint)
    yield TinyFile("loras/v3_sd15_adapter.ckpt", partial(domain_adapter, layout=WORLD), torch.float32)
    yield TinyFile("loras/AnimateLCM_sd15_t2v_lora.safetensors", partial(kohya_lora, layout=WORLD))
    yield TinyFile("controlnet/tiny_controlnet.safetensors", partial(control_net, layout=WORLD))
    for kind in ("rgb", "scribble"):
        yield TinyFile(f"controlnet/mm_sd15_v3_sparsectrl_{kind}.safetensors", partial(sparse_control, kind, layout=WORLD))
    for seed, (family, layout) in enumerate(FAMILIES.items(), start=10):
        channels = TINY_CHANNELS if layout.levels == SDXL_LEVELS else WORLD.widths
        dtype = torch.float32 if family in SINGLE_PRECISION else torch.float16
        yield TinyFile(f"animatediff_models/{layout.file}", partial(family_module, family, channels, seed), dtype)
    for seed, move in enumerate(MOTION_LORAS, start=30):
        yield TinyFile(f"animatediff_motion_lora/v2_lora_{move}.ckpt", partial(motion_lora, WORLD.widths, seed=seed))


def write_models(models: Path) -> list[Path]:
    """Write all models and inputs into ComfyUI's folders.

    Returns the files' paths below `models`.
    """
    written = [_write(models, file.name, file.tensors(), file.dtype) for file in model_files()]
    return [*written, _place(models, "../input/example.png", write_picture), _place(models, "../input/example.mp4", write_video)]


def _write(models: Path, name: str, tensors: dict[str, Tensor], dtype: torch.dtype) -> Path:
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
