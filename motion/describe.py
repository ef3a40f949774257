"""What a model file is and where it belongs, from its keys, shapes and metadata alone.

``describe`` is the one function that decides it: every loader asks it first, and every error repeats its answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from .config import FAMILIES

Shapes = Mapping[str, tuple[int, ...]]

PREFIXES = re.compile(r"^(?:module\.|unet\.|base_model\.model\.|model\.diffusion_model\.|diffusion_model\.)+")
MOTION_KEY = re.compile(r"^((?:down_blocks|up_blocks)\.\d+|mid_block)\.(motion_modules|temporal_attentions)\.(\d+)\.(.+)$")
"""UNet block, spelling, number and leaf of a motion module's tensor."""

_LORA_MARKS = ("_lora.", ".lora_down.", ".lora_up.", ".lora_A.", ".lora_B.", ".lora.up.", ".lora.down.")
_MOTION_MARKS = ("motion_modules.", "motion_modules_", "temporal_attentions.")


@dataclass(frozen=True)
class Description:
    """What a file is. ``advice`` says where it goes; ``family`` is a motion module's row of ``config.FAMILIES``."""

    kind: str
    text: str
    advice: str
    family: str = ""

    def __str__(self) -> str:
        return f"{self.text}. {self.advice}." if self.advice else f"{self.text}."


_LORAS = "Put it into models/loras and use {} on the MODEL"
_NOT_USED = "This pack does not use it"

_KINDS: dict[str, tuple[str, str]] = {
    "motion module": ("a motion module", "Put it into models/animatediff_models and use Load Motion Module"),
    "motion lora": ("a motion LoRA", "Put it into models/animatediff_motion_lora and use Apply Motion LoRA"),
    "domain adapter": (
        "a LoRA of the image model (a domain adapter, such as v3_sd15_adapter)",
        _LORAS.format("Apply Domain Adapter"),
    ),
    "spatial lora": (
        "a LoRA of the image model (the spatial half of a MotionDirector training)",
        _LORAS.format("Apply Domain Adapter"),
    ),
    "lora": ("a LoRA of the image model", _LORAS.format("Load LoRA")),
    "camera": ("a CameraCtrl or MotionCtrl adapter", _NOT_USED),
    "fancyvideo": ("a FancyVideo model, made for an image model of its own", _NOT_USED),
    "sparsectrl": ("a SparseCtrl model", "Put it into models/controlnet and use Load SparseCtrl"),
    "controlnet": ("a ControlNet", "Put it into models/controlnet and use Load ControlNet Model"),
    "checkpoint": ("an image model checkpoint", "Put it into models/checkpoints and use Load Checkpoint"),
    "unet": ("the UNet of an image model, without motion", "Put it into models/diffusion_models"),
    "vae": ("a VAE", "Put it into models/vae and use Load VAE"),
    "text encoder": ("a text encoder", "Put it into models/text_encoders and use Load CLIP"),
}


class Rule(NamedTuple):
    """A kind of file, and what tells it: of each group of marks at least one is part of some key, and all ``keys`` are there."""

    kind: str
    groups: tuple[tuple[str, ...], ...] = ()
    keys: tuple[str, ...] = ()


_CONTROL_MARKS = ("input_hint_block", "controlnet_cond_embedding", "zero_convs", "controlnet_down_blocks")
_MODULE_MARKS = ("motion_modules.", "temporal_attentions.")
RULES = (
    Rule("camera", (("qkv_merge", "cc_projection", "encoder_down_attention_blocks."),)),
    Rule("camera", keys=("body.0.block1.weight", "conv_in.weight")),
    Rule("motion lora", (_LORA_MARKS, _MOTION_MARKS)),
    Rule("spatial lora", (_LORA_MARKS, ("proj_in_lora.", ".net.2_lora.", ".net.0.proj_lora."))),
    Rule("lora", (_LORA_MARKS,)),
    Rule("sparsectrl", (_CONTROL_MARKS, _MOTION_MARKS)),
    Rule("controlnet", (_CONTROL_MARKS,)),
    Rule("fancyvideo", (_MODULE_MARKS, ("fps_embedding.", "FancyVideo"))),
    Rule("motion module", (_MODULE_MARKS,)),
    Rule("checkpoint", (("model.diffusion_model.", "first_stage_model."),)),
    Rule("unet", (("down_blocks.0.resnets.", "input_blocks.0.0."),)),
    Rule("vae", (("decoder.conv_out", "taesd_decoder."),)),
    Rule("text encoder", (("text_model.encoder.", "encoder.block.0."),)),
)
"""The first rule that fits decides; the order matters, since training checkpoints carry the marks of several kinds."""


def _kind(shapes: Shapes, metadata: Mapping[str, str]) -> str | None:
    """The kind of a file by ``RULES``; LoRAs of an image model also by what their trainer wrote or changed."""

    def fits(rule: Rule) -> bool:
        found = (any(mark in key for key in shapes for mark in group) for group in rule.groups)
        return all(key in shapes for key in rule.keys) and all(found)

    kind = next((rule.kind for rule in RULES if fits(rule)), None)
    if kind == "lora" and metadata.get("model_type") == "motion_director":
        return "spatial lora"
    if kind == "lora" and all(".processor.to_" in key for key in shapes):
        return "domain adapter"  # processors on nothing but attentions are how domain adapters were saved
    return kind


# --- families --------------------------------------------------------------------------------------------------------

_HINTS = {
    "lightning": re.compile(r"lightning", re.I),
    "lcm": re.compile(r"animate[-_ ]?lcm", re.I),
    "v1": re.compile(r"sd[-_]?v?1[45](?![-_.]?v?[23])|sd15_v1|v1[-_.][45](?![-_.][23])|temporaldiff|stabilized", re.I),
    "hotshot": re.compile(r"hotshot|hsxl|sdxl_hs", re.I),
}
"""File names tell apart what keys cannot."""


def _levels(shapes: Shapes) -> set[int]:
    return {int(key.split(".")[1]) for key in shapes if key.startswith("down_blocks.")}


def table_rows(shapes: Shapes) -> int:
    """Rows of the stored positional encodings (the shortest); 0 where a file stores none."""
    marks = ("pos_encoder.", "pos_embed.")
    return min((s[1] for key, s in shapes.items() if len(s) == 3 and any(m in key for m in marks)), default=0)


def recognise_family(shapes: Shapes, name: str = "") -> str:
    """Which row of ``config.FAMILIES`` a motion module belongs to; ``name`` (of the file) decides where keys do not."""
    shapes = {PREFIXES.sub("", key): shape for key, shape in shapes.items()}
    part = {key: shape for key, shape in shapes.items() if MOTION_KEY.match(key)}
    rows = table_rows(part)
    original = any(".temporal_transformer." in key for key in part)
    if _levels(part) == {0, 1, 2}:
        spelled = any(".temporal_attentions." in key for key in part)
        named = rows == 0 and _HINTS["hotshot"].search(name)
        return "hotshot" if spelled or rows == 24 or named else "sdxl"
    if any(key.startswith("img_encoder.") for key in shapes):
        return "i2v"
    if len(conv := shapes.get("conv_in.weight", ())) == 4 and conv[1] == 9:
        return "pia"
    if not any(key.startswith("mid_block.") for key in part):
        return "v1" if 0 < rows < 32 or (rows == 0 and _HINTS["v1"].search(name)) else "v3"
    if (rows == 0 and original) or _HINTS["lcm"].search(name):
        return "lcm"
    if rows > 32:
        return "long32" if rows <= 64 else "long64"
    return "lightning" if _HINTS["lightning"].search(name) else "v2"


def lightning_steps(name: str) -> int | None:
    """For how many steps a Lightning file was distilled, from its name: ``..._4step_...``."""
    match = re.search(r"(\d+)[-_ ]?steps?", name, re.I)
    return int(match[1]) if match else None


# --- the answer ------------------------------------------------------------------------------------------------------


def first(names: Iterable[str], count: int = 5) -> str:
    """The first few names of a list, for a message."""
    names = sorted(names)
    rest = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + rest


def describe(shapes: Shapes, metadata: Mapping[str, str] | None = None, name: str = "") -> Description:
    """Say what a file is and where it goes.

    Args:
        shapes: shape of each tensor by key, as ``container.read_file`` gives them.
        metadata: of safetensors files.
        name: of the file; used only to choose between families with the same keys.
    """
    kind = _kind(shapes, metadata or {})
    if kind is None:
        seen = ", ".join(list(shapes)[:5]) or "no tensors at all"
        return Description("unknown", f"an unknown kind of file (first keys: {seen})", "")
    text, advice = _KINDS[kind]
    if kind == "sparsectrl":
        rgb = any(key.endswith(("controlnet_cond_embedding.weight", "input_hint_block.0.weight")) and shape[1:2] == (5,)
                  for key, shape in shapes.items())  # fmt: skip
        text += f" for {'images (rgb)' if rgb else 'drawings (scribble)'}"
    if kind != "motion module":
        return Description(kind, text, advice)
    family = FAMILIES[recognise_family(shapes, name)]
    return Description(kind, f"{text} for {family.base} ({family.label})", advice, family.name)
