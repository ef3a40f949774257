"""Motion module files: open them, say what they are, and turn them into a configuration and a state dict.

``read_tensors`` opens any model file without copying it into memory or running code from it; ``describe`` is the one
place that decides what a file is, from its keys and shapes alone; ``read_motion_module`` accepts nothing but a
complete motion module. Called by ``sampling.patcher`` and ``lora``.
"""

from __future__ import annotations

import pickle
import re
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from .config import HEADS, MotionConfig
from .model import MotionModel

SAFETENSORS = (".safetensors", ".sft")
WRAPPERS = ("state_dict", "module", "controlnet")
"""Names under which training scripts nest the weights."""

_MOTION_KEY = re.compile(r"^((down_blocks|up_blocks)\.\d+|mid_block)\.motion_modules\.\d+\.temporal_transformer\.")
_LORA_MARKS = ("_lora.", ".lora_down.", ".lora_up.", ".lora_A.", ".lora_B.", ".lora.up.", ".lora.down.")
_MOTION_MARKS = ("motion_modules.", "motion_modules_", "temporal_attentions.")

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Description:
    """What a file is. ``advice`` says where it goes."""

    kind: str
    text: str
    advice: str

    def __str__(self) -> str:
        return f"{self.text}. {self.advice}" if self.advice else f"{self.text}."


# --- what is it? -----------------------------------------------------------------------------------------------------

_KINDS: dict[str, tuple[str, str]] = {
    "motion module": ("a motion module", "Put it into models/animatediff_models and use Load Motion Module"),
    "motion lora": ("a motion LoRA", "Put it into models/animatediff_motion_lora and use Apply Motion LoRA"),
    "camera": ("a CameraCtrl or MotionCtrl adapter", "This pack does not use it"),
    "sparsectrl": ("a SparseCtrl model", "It is a control net for single frames, not a motion module"),
    "controlnet": ("a ControlNet", "Put it into models/controlnet and use Load ControlNet Model"),
    "lora": (
        "a LoRA of the image model (the v3 domain adapter is one)",
        "Put it into models/loras and use Load LoRA on the MODEL",
    ),
    "checkpoint": ("an image model checkpoint", "Put it into models/checkpoints and use Load Checkpoint"),
    "unet": ("the UNet of an image model, without motion", "Put it into models/diffusion_models"),
    "vae": ("a VAE", "Put it into models/vae and use Load VAE"),
    "text encoder": ("a text encoder", "Put it into models/text_encoders and use Load CLIP"),
}


def _kind(keys: Iterable[str]) -> str | None:
    """The first rule that fits; the order matters, since training checkpoints carry several of these at once."""
    keys = list(keys)

    def some(*marks: str) -> bool:
        return any(mark in key for key in keys for mark in marks)

    if some("qkv_merge", "cc_projection") or ("body.0.block1.weight" in keys and "conv_in.weight" in keys):
        return "camera"
    if some(*_LORA_MARKS):
        return "motion lora" if some(*_MOTION_MARKS) else "lora"
    if some("input_hint_block", "controlnet_cond_embedding", "zero_convs", "controlnet_down_blocks"):
        return "sparsectrl" if some("motion_modules.") else "controlnet"
    if some("motion_modules.", "temporal_attentions."):
        return "motion module"
    if some("model.diffusion_model.", "first_stage_model."):
        return "checkpoint"
    if some("down_blocks.0.resnets.", "input_blocks.0.0."):
        return "unet"
    if some("decoder.conv_out", "taesd_decoder."):
        return "vae"
    return "text encoder" if some("text_model.encoder.", "encoder.block.0.") else None


def describe(keys: Iterable[str]) -> Description:
    """Say what a file with these keys is and where it goes."""
    keys = list(keys)
    kind = _kind(keys)
    if kind is None:
        first = ", ".join(keys[:5]) or "no tensors at all"
        return Description("unknown", f"an unknown kind of file (first keys: {first})", "")
    return Description(kind, *_KINDS[kind])


# --- opening files ---------------------------------------------------------------------------------------------------


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
    if size < 8 or not head[8:9] == b"{":
        raise ValueError(f"{path.name} is not a safetensors file, whatever its name says. {again}")
    if 8 + header > size:
        raise ValueError(f"{path.name} is cut off: its header alone needs {8 + header} bytes, it has {size}. {again}")


def _unpickle(path: Path) -> Any:
    """Read a torch pickle with ``weights_only``: no code of the file runs. Memory-mapped where the format allows."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError as error:
        if "mmap" not in str(error):
            raise
        return torch.load(path, map_location="cpu", weights_only=True)  # written before torch 1.6: not mappable


def _peel(loaded: Any) -> dict[str, Tensor]:
    """The tensors of a loaded file without the wrappers and notes of training scripts."""
    while isinstance(loaded, Mapping):
        inner = next((loaded[name] for name in WRAPPERS if isinstance(loaded.get(name), Mapping)), None)
        if inner is None:
            break
        loaded = inner
    if not isinstance(loaded, Mapping):
        return {}
    tensors = {str(key): value for key, value in loaded.items() if isinstance(value, Tensor)}
    return {key.removeprefix("module."): value for key, value in tensors.items()}


def read_tensors(
    path: str | Path, read_safetensors: Callable[[str], Mapping[str, Any]] = load_file
) -> dict[str, Tensor]:
    """Open a model file.

    Args:
        path: ``.safetensors``, or anything torch has pickled (``.ckpt``, ``.pth``, ``.pt``, ``.bin``).
        read_safetensors: reader for the former; the host brings one that its memory manager understands.

    Returns:
        Tensors by key, wrappers and ``module.`` prefixes removed. They may be read-only views of the file.

    Raises:
        ValueError: not a model, damaged, or a pickle that would run code.
    """
    path = Path(path)
    _check_content(path)
    try:
        if path.suffix.lower() in SAFETENSORS:
            return _peel(read_safetensors(str(path)))
        return _peel(_unpickle(path))
    except pickle.UnpicklingError as error:
        if "GLOBAL" in str(error):
            reason = str(error).split("Unsupported", 1)[-1].split("\n")[0].strip()[:120]
            raise ValueError(
                f"{path.name} holds more than weights, and opening it could run code ({reason}). "
                "Use a .safetensors version of it."
            ) from error
        raise ValueError(f"{path.name} is damaged or not a torch file. Download it again. ({error})") from error
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError, OSError, struct.error) as error:
        reason = str(error).split("\n")[0][:160]
        raise ValueError(f"{path.name} is damaged, probably cut off. Download it again. ({reason})") from error


# --- motion modules --------------------------------------------------------------------------------------------------


def _first(names: Iterable[str], count: int = 5) -> str:
    names = sorted(names)
    rest = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + rest


def _family(shapes: Shapes, levels: int, has_mid: bool, positions: int) -> str:
    """Which row of ``FAMILIES`` a motion module belongs to. Raises ValueError for those not supported yet."""
    unsupported = {
        levels == 3: "AnimateDiff-SDXL or HotshotXL",
        "conv_in.weight" in shapes and shapes["conv_in.weight"][1] == 9: "PIA",
        any(key.startswith("img_encoder.") for key in shapes): "AnimateLCM-I2V",
        has_mid and positions == 0: "AnimateLCM",
        positions > 32: "LongAnimateDiff",
        not has_mid and positions not in (0, 32): "AnimateDiff v1",
    }
    if True in unsupported:
        raise ValueError(
            f"is a motion module of the family {unsupported[True]}, which this version does not support yet. "
            "Use an AnimateDiff v2 or v3 module, such as mm_sd_v15_v2.ckpt or v3_sd15_mm.ckpt."
        )
    return "v2" if has_mid else "v3"


def read_config(shapes: Shapes) -> MotionConfig:
    """Sizes and family of a motion module, from the shapes of its tensors in the original spelling.

    Raises:
        ValueError: a spelling or a family that is not supported, or levels that are no UNet's.
    """
    norms = {key: shape for key, shape in shapes.items() if key.endswith("temporal_transformer.norm.weight")}
    if not norms:
        raise ValueError(
            "is a motion module in the diffusers or HotshotXL spelling, which this version does not read yet. "
            "Use the original .ckpt or a .safetensors with the same key names."
        )
    channels = {int(key.split(".")[1]): shape[0] for key, shape in norms.items() if key.startswith("down_blocks.")}
    if sorted(channels) not in ([0, 1, 2], [0, 1, 2, 3]):
        raise ValueError(f"needs motion modules in down blocks 0 to 3, got {sorted(channels)}. The file is incomplete.")
    down_channels = tuple(channels[level] for level in sorted(channels))
    if any(c % 32 or c % HEADS for c in down_channels):
        raise ValueError(f"needs channels that are multiples of 32, got {down_channels}.")
    tables = [shape[1] for key, shape in shapes.items() if key.endswith("pos_encoder.pe") and len(shape) == 3]
    blocks = [int(key.split("attention_blocks.")[1].split(".")[0]) for key in shapes if "attention_blocks." in key]
    has_mid = any(key.startswith("mid_block.") for key in norms)
    positions = min(tables, default=0)
    family = _family(shapes, len(channels), has_mid, positions)
    return MotionConfig(family, down_channels, has_mid, 1 + max(blocks, default=0), positions)


def _check_complete(state: Mapping[str, Tensor], config: MotionConfig) -> None:
    """Raise ValueError unless the keys and shapes are exactly those of the network."""
    expected = {key: tuple(t.shape) for key, t in MotionModel(config, device="meta").state_dict().items()}
    got = {key: tuple(t.shape) for key, t in state.items()}
    if missing := expected.keys() - got.keys():
        raise ValueError(f"lacks {len(missing)} of {len(expected)} tensors: {_first(missing)}. Download it again.")
    if surplus := got.keys() - expected.keys():
        raise ValueError(f"has {len(surplus)} tensors that no motion module has: {_first(surplus)}.")
    if wrong := {f"{key} is {got[key]}, needs {shape}" for key, shape in expected.items() if got[key] != shape}:
        raise ValueError(f"has {len(wrong)} tensors of another shape: {_first(wrong)}.")
    if integer := {key for key, t in state.items() if not t.is_floating_point()}:
        raise ValueError(f"has {len(integer)} tensors that are not floating point: {_first(integer)}.")


def read_motion_module(tensors: Mapping[str, Tensor], name: str) -> tuple[MotionConfig, dict[str, Tensor]]:
    """Configuration and state dict of a motion module; the latter loads strictly into ``MotionModel``.

    Args:
        tensors: from ``read_tensors``. A full training checkpoint is fine: only its motion part is used.
        name: file name, for errors.

    Raises:
        ValueError: something else, incomplete, or of a family that is not supported.
    """
    description = describe(tensors)
    if description.kind != "motion module":
        raise ValueError(f"Needed a motion module, but {name} is {description}")
    try:
        config = read_config({key: tuple(t.shape) for key, t in tensors.items()})
        state = {key: tensor for key, tensor in tensors.items() if _MOTION_KEY.match(key)}
        if not config.positions:
            raise ValueError("has no positional encoding, which this version needs.")
        _check_complete(state, config)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from error
    return config, state
