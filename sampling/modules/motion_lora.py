"""Motion LoRAs on an ANIMATEDIFF_MODULE: merged by the host, or apart from the weights where their strength is a curve.

Called by ``nodes.load``.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from ...motion.container import ModelFile
from ...motion.describe import Shapes
from ...motion.lora import MotionLoRA, match_motion_lora, read_motion_lora
from ...motion.low_rank import LowRankNetwork, low_rank_state
from ..host.memory import ModelPatcher, adopt, lora_patches, open_file
from ..timeline.curve import Curve, Strength, as_strength
from .settings import CURVED_LORAS, SETTINGS, STRENGTH, settings_of

LoRASource = str | Path | ModelFile
"""A file, or one that is open already: tensors that have not been saved."""


def _opened(source: LoRASource) -> ModelFile:
    return source if isinstance(source, ModelFile) else open_file(source)


def load_curved_lora(source: LoRASource, shapes: Shapes, disable_dynamic: bool = False) -> ModelPatcher:
    """A motion LoRA as a model of its own, for the layers of a motion module with weights of ``shapes``.

    Raises:
        ValueError: not a motion LoRA, or one for another base.
    """
    lora = read_motion_lora(_opened(source))
    return _curved(lora, sorted(match_motion_lora(lora, shapes)), (source, shapes), disable_dynamic)


def _curved(
    lora: MotionLoRA, targets: list[str], source: tuple[LoRASource, Shapes], disable_dynamic: bool = False
) -> ModelPatcher:
    """A motion LoRA as a model.

    ``source`` are the arguments of ``load_curved_lora`` with which the host can make this model again (its
    ``cached_patcher_init`` protocol).
    """
    state = low_rank_state(lora.tensors, targets)
    downs = {name: lora.tensors[f"{name}.lora_down.weight"] for name in targets}
    outs = {name: lora.tensors[f"{name}.lora_up.weight"].shape[0] for name in targets}
    shapes = {name: (down.shape[1], down.shape[0], outs[name]) for name, down in downs.items()}
    patcher = adopt(partial(LowRankNetwork, shapes), state, disable_dynamic)
    patcher.cached_patcher_init = (load_curved_lora, source)
    return patcher


def with_motion_lora(motion: ModelPatcher, source: LoRASource, strength: Strength) -> ModelPatcher:
    """An ANIMATEDIFF_MODULE with a motion LoRA added at ``strength`` (1.0 as trained, negative reverses the move).

    A number is merged into the weights by the host. A curve cannot be: such a LoRA stays low-rank and is added to the output
    of its layers, per frame and region.

    Raises:
        ValueError: not a motion LoRA, or one for another base.
    """
    lora = read_motion_lora(_opened(source))
    shapes = {key: tuple(weight.shape) for key, weight in motion.model.named_parameters()}
    targets = match_motion_lora(lora, shapes)
    clone, strength = motion.clone(), as_strength(strength)
    if isinstance(strength, Curve):
        patcher = _curved(lora, sorted(targets), (source, shapes))
        patcher.set_attachments(STRENGTH, strength)
        clone.set_additional_models(CURVED_LORAS, [*clone.get_additional_models_with_key(CURVED_LORAS), patcher])
        how = "a curve"
    else:
        used = {key: t for key, t in lora.tensors.items() if key.split(".lora_")[0].removesuffix(".alpha") in targets}
        clone.add_patches(lora_patches(used, targets), strength)
        how = f"{strength:g}"
    note = f"{lora.name} at {how}: {len(targets)} of {len(lora.parameters)} keys matched"
    settings = settings_of(motion)
    clone.set_attachments(SETTINGS, replace(settings, loras=(*settings.loras, note)))
    return clone
