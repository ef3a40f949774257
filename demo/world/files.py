"""The files of the small world: from what was trained to what is committed, and from that to files as people have them.

`export` writes `weights/`, in half precision; `checkpoint` makes of it what a real SD1.5 checkpoint holds. `train` calls the one,
`demo.write_models` the other. Needs torch and safetensors, not ComfyUI.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from .trained import CHECKPOINT, TRAINED, WEIGHTS

VOCABULARY = 49408
TEXT = "words.net.text_model."
UNET = "unet."
TABLE = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"


def export(state: dict[str, Tensor], name: str, metadata: dict[str, str] | None = None, folder: Path = WEIGHTS) -> Path:
    """Write trained tensors as `weights/<name>.safetensors`, floats in half precision."""
    file = folder / f"{name}.safetensors"
    halves, told = {key: _half(tensor) for key, tensor in sorted(state.items())}, {**(metadata or {}), "license": "Apache-2.0"}
    return whole(file, lambda part: save_file(halves, part, told))


def whole(file: Path, write: Callable[[Path], None]) -> Path:
    """Write a file whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(file.name + ".part")
    write(part)
    return part.replace(file)


def kept(file: Path, made_of: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What takes long to make, from a file where it was made of the same; else it is made, and kept there."""
    stored: dict[str, Any] = torch.load(file, weights_only=True) if file.exists() else {}
    if stored.get("made_of") != made_of:
        stored = {**make(), "made_of": made_of}
        whole(file, lambda part: torch.save(stored, part))
    return stored


def _half(tensor: Tensor) -> Tensor:
    return (tensor.half() if tensor.is_floating_point() else tensor).detach().contiguous()


def image_state(average: dict[str, Tensor], known: Tensor) -> dict[str, Tensor]:
    """What is exported of a trained image model: its tensors, and which tokens its rows belong to."""
    kept = {key: tensor for key, tensor in average.items() if key.startswith((UNET, TEXT)) or key == "words.rows"}
    return {**kept, "words.known": known.to(torch.int32)}


def load(name: str, folder: Path = WEIGHTS) -> dict[str, Tensor]:
    """What `export` wrote, in single precision."""
    stored = load_file(folder / f"{name}.safetensors")
    return {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in stored.items()}


def checkpoint(folder: Path = WEIGHTS) -> dict[str, Tensor]:
    """All tensors of the world's checkpoint, fp16, under the names of an SD1.5 file."""
    return assembled(load_file(folder / "image.safetensors"), load_file(folder / "autoencoder.safetensors"))


def model_file(name: str, folder: Path = WEIGHTS) -> dict[str, Tensor]:
    """The tensors of a file below ComfyUI's `models`, one of those in the table `TRAINED`."""
    return checkpoint(folder) if name == CHECKPOINT else load(TRAINED[name][0], folder)


def assembled(image: dict[str, Tensor], autoencoder: dict[str, Tensor]) -> dict[str, Tensor]:
    """The parts under the names of an SD1.5 file. Words that the text encoder never saw have a row of zeros."""
    rows = image["words.rows"]
    table = torch.zeros(VOCABULARY, rows.shape[1], dtype=rows.dtype)
    table[image["words.known"].long()] = rows
    tensors = {TABLE: table}
    for key, tensor in image.items():
        if key.startswith(UNET):
            tensors["model.diffusion_model." + key.removeprefix(UNET)] = tensor
        elif key.startswith(TEXT):
            tensors["cond_stage_model.transformer.text_model." + key.removeprefix(TEXT)] = tensor
    tensors |= {f"first_stage_model.{key}": tensor for key, tensor in autoencoder.items()}
    return tensors
