"""How a motion module is used: what travels on an ANIMATEDIFF_MODULE socket beside its network.

An ANIMATEDIFF_MODULE is a host ``ModelPatcher`` around a ``MotionModel``; ``load`` makes it, ``run`` reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, cast

from ...motion.config import FAMILIES, Family, MotionConfig
from ...motion.low_rank import LowRankNetwork
from ..host.memory import ModelPatcher
from ..timeline.curve import Curve, Strength, as_strength

SETTINGS = "animatediff_settings"
CURVED_LORAS = "animatediff_curved_loras"
"""Additional models of an ANIMATEDIFF_MODULE: its motion LoRAs whose strength is a curve."""
STRENGTH = "animatediff_strength"


@dataclass(frozen=True)
class ModuleSettings:
    """How a motion module is used. 1.0 means as trained; both strengths may be curves.

    Attributes:
        name: of its file.
        summary: what the file holds, in words.
        loras: what was added to it, in words.
        adjustments: what was changed of its numbers, in words.
        stores_positions: whether the file holds its positional encodings, which are computed otherwise.
        influence: multiplies what the module adds to the image model.
        attention_scale: multiplies the keys of the temporal attention.
        start_percent, end_percent: the part of the sampling run in which it acts; 0 is the start, 1 the end.
        in_training: whether its weights, or a motion LoRA of it, are being trained; nobody is then told what it was trained on.
    """

    name: str
    summary: str = ""
    loras: tuple[str, ...] = ()
    adjustments: tuple[str, ...] = ()
    stores_positions: bool = True
    influence: Strength = 1.0
    attention_scale: Strength = 1.0
    start_percent: float = 0.0
    end_percent: float = 1.0
    in_training: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.start_percent < self.end_percent <= 1.0:
            raise ValueError(
                f"start_percent must lie before end_percent, both from 0 to 1; got {self.start_percent} and "
                f"{self.end_percent}. Lower the start or raise the end."
            )


def settings_of(motion: ModelPatcher) -> ModuleSettings:
    """The settings that an ANIMATEDIFF_MODULE carries. Raises ValueError for another model."""
    settings = motion.get_attachment(SETTINGS) if isinstance(motion, ModelPatcher) else None
    if not isinstance(settings, ModuleSettings):
        raise ValueError("Needed an ANIMATEDIFF_MODULE, got another model. Use Load Motion Module.")
    return settings


def config_of(motion: ModelPatcher) -> MotionConfig:
    """Sizes of an ANIMATEDIFF_MODULE's network."""
    return motion.model.config


def family_of(motion: ModelPatcher) -> Family:
    """Training facts of an ANIMATEDIFF_MODULE's family."""
    return FAMILIES[config_of(motion).family]


def with_settings(
    motion: ModelPatcher,
    influence: Strength = 1.0,
    attention_scale: Strength = 1.0,
    start_percent: float = 0.0,
    end_percent: float = 1.0,
) -> ModelPatcher:
    """An ANIMATEDIFF_MODULE with other settings; the given one is not changed. Raises ValueError for impossible ones."""
    clone = motion.clone()
    changed = replace(
        settings_of(motion),
        influence=as_strength(influence),
        attention_scale=as_strength(attention_scale),
        start_percent=start_percent,
        end_percent=end_percent,
    )
    clone.set_attachments(SETTINGS, changed)
    return clone


class CurvedLoRA(NamedTuple):
    """A motion LoRA that is not merged: its network, and how strongly it acts."""

    network: LowRankNetwork
    strength: Curve


def curved_loras(motion: ModelPatcher) -> list[CurvedLoRA]:
    """The motion LoRAs of an ANIMATEDIFF_MODULE whose strength is a curve."""
    patchers = motion.get_additional_models_with_key(CURVED_LORAS)
    return [CurvedLoRA(patcher.model, cast(Curve, patcher.get_attachment(STRENGTH))) for patcher in patchers]


def without_dynamic(motion: ModelPatcher) -> ModelPatcher:
    """An ANIMATEDIFF_MODULE, and what travels with it, outside of the host's dynamic VRAM management."""
    if not motion.is_dynamic():
        return motion
    delegate = motion.get_non_dynamic_delegate()
    loras = [lora.get_non_dynamic_delegate() if lora.is_dynamic() else lora for lora in motion.get_additional_models()]
    delegate.set_additional_models(CURVED_LORAS, loras)
    return delegate
