"""Tensors on disk under keys: written whole or not at all, and checked when they are read. Called by ``encode``."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..host.encode import digest

_KEY, _CONTENT = "key", "content"


def kept(folder: Path, key: str) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    """The tensors and notes kept under ``key``; None if there are none, or if the file is not what was written."""
    path = _path(folder, key)
    try:
        with safe_open(path, framework="pt") as file:
            notes = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError, ValueError):
        return None
    if notes.pop(_KEY, None) != key or notes.pop(_CONTENT, None) != digest(tensors):
        return None
    return tensors, notes


def keep(folder: Path, key: str, tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> None:
    """Write tensors under ``key``, in place of others. Raises OSError where the disk is full or may not be written."""
    folder.mkdir(parents=True, exist_ok=True)
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    passing = folder / f"{key}.{uuid.uuid4().hex}.part"
    try:
        save_file(contiguous, passing, {**notes, _KEY: key, _CONTENT: digest(contiguous)})
        os.replace(passing, _path(folder, key))
    except SafetensorError as error:
        raise OSError(str(error)) from error
    finally:
        passing.unlink(missing_ok=True)


def _path(folder: Path, key: str) -> Path:
    return folder / f"{key}.safetensors"
