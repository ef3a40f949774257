"""Opening model files of any age without copying them into memory or running code from them.

``read_file`` is called by ``sampling.host.memory``; what the tensors mean is for ``describe``.
"""

from __future__ import annotations

import collections
import pickle
import struct
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

SAFETENSORS = (".safetensors", ".sft")
NESTINGS = ("state_dict", "module", "controlnet", "omcm_state_dict", "pose_encoder_state_dict")
"""Names under which training scripts nest the weights."""
MAX_NESTING = 8


@dataclass(frozen=True)
class ModelFile:
    """An opened file: tensors by key, without wrappers and ``module.`` prefixes; ``metadata`` of safetensors.

    The tensors may be read-only views of the file: never write into them.
    """

    name: str
    tensors: dict[str, Tensor]
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor."""
        return {key: tuple(tensor.shape) for key, tensor in self.tensors.items()}


class _Inert:
    """Stands in for a configuration object that the authors left in a file; holds nothing, does nothing."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass


_CONFIG_CLASSES = (
    "dictconfig.DictConfig",
    "listconfig.ListConfig",
    "base.ContainerMetadata",
    "base.Metadata",
    "nodes.AnyNode",
    "nodes.StringNode",
    "nodes.IntegerNode",
    "nodes.FloatNode",
    "nodes.BooleanNode",
)
_ALLOWED: list[Any] = [(_Inert, f"omegaconf.{name}") for name in _CONFIG_CLASSES]
_ALLOWED += [(typing.Any, "typing.Any"), collections.defaultdict, dict, list, int, str, float, bool]
"""Beyond tensors, what a pickle may name: the classes of ``animatediff_config``, all of them replaced by stand-ins."""


def _check_content(path: Path) -> None:
    """Name the usual things a download leaves behind instead of a model. Raises ValueError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(512)
    again = "Download it again."
    if size == 0:
        raise ValueError(f"{path.name} is empty (0 bytes). {again}")
    if head.startswith(b"version https://git-lfs"):
        raise ValueError(f"{path.name} is a git-lfs pointer of {size} bytes, not the model itself. {again}")
    if head.lstrip()[:15].lower().startswith((b"<!doctype", b"<html")):
        raise ValueError(f"{path.name} is a web page, not a model (the download needs a login?). {again}")
    header = struct.unpack("<Q", head[:8])[0] if size >= 8 else 0
    if path.suffix.lower() not in SAFETENSORS:
        if head[8:9] == b"{" and header < size:
            raise ValueError(f"{path.name} is a safetensors file under a wrong name. Rename it to end in .safetensors.")
        if not head.startswith((b"PK", b"\x80")) and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
            raise ValueError(f"{path.name} is a text file, not a model. {again}")
        return
    if head.startswith((b"PK\x03\x04", b"\x80\x02")):
        raise ValueError(f"{path.name} is a torch pickle under a wrong name. Rename it to end in .ckpt.")
    if size < 8 or not head[8:9] == b"{":
        raise ValueError(f"{path.name} is not a safetensors file, whatever its name says. {again}")
    if 8 + header > size:
        raise ValueError(f"{path.name} is cut off: its header alone needs {8 + header} bytes, it has {size}. {again}")


def _unpickle(path: Path) -> Any:
    """Read a torch pickle with ``weights_only``: no code of the file runs. Memory-mapped where the format allows."""
    with torch.serialization.safe_globals(_ALLOWED):
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap" not in str(error):
                raise
            return torch.load(path, map_location="cpu", weights_only=True)  # from before torch 1.6: not mappable


def _peel(loaded: Any) -> dict[str, Tensor]:
    """The tensors of a loaded file without the wrappers and notes of training scripts."""
    for _ in range(MAX_NESTING):
        inner = [loaded[name] for name in NESTINGS if isinstance(loaded, Mapping) and isinstance(loaded.get(name), Mapping)]
        if not inner:
            break
        loaded = inner[0]
    if not isinstance(loaded, Mapping):
        return {}
    tensors = {str(key): value for key, value in loaded.items() if isinstance(value, Tensor)}
    return {key.removeprefix("module."): value for key, value in tensors.items()}


def _read_metadata(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        return dict(file.metadata() or {})


def read_file(path: str | Path, read_safetensors: Callable[[str], Mapping[str, Any]] = load_file) -> ModelFile:
    """Open a model file.

    Args:
        path: ``.safetensors``, or anything torch has pickled (``.ckpt``, ``.pth``, ``.pt``, ``.bin``).
        read_safetensors: reader for the former; the host brings one that its memory manager understands.

    Raises:
        ValueError: not a model, damaged, or a pickle that would run code.
    """
    path = Path(path)
    _check_content(path)
    try:
        if path.suffix.lower() in SAFETENSORS:
            return ModelFile(path.name, _peel(read_safetensors(str(path))), _read_metadata(path))
        return ModelFile(path.name, _peel(_unpickle(path)))
    except pickle.UnpicklingError as error:
        if "GLOBAL" in str(error):
            reason = str(error).split("Unsupported", 1)[-1].split("\n")[0].strip()[:120]
            raise ValueError(
                f"{path.name} holds more than weights, and opening it could run code ({reason}). "
                "Use a .safetensors version of it."
            ) from error
        raise _damaged(path, error) from error
    except Exception as error:  # a damaged file can make its parser raise anything
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ValueError:
    reason = str(error).split("\n")[0][:160] or type(error).__name__
    return ValueError(f"{path.name} is damaged, probably cut off. Download it again. ({reason})")
