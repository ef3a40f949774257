"""Advanced-ControlNet: nodes for the weights of the blocks of a control."""

from __future__ import annotations

from math import isclose
from typing import Any

from ..rows import Field, Given, NewGraph, OldNode, flag, real, socket
from .strengths import Extras, TimestepKey, Weights


def _weights(given: Given, factor: float = 1.0, falloff: float = 1.0, *, uneven: bool = False) -> tuple[Weights, Any]:
    """Both outputs of a node of weights: they themselves, and a keyframe at the beginning of the run with them."""
    made = Weights(given.row.title, factor, falloff, uneven, extras=given["cn_extras"] or Extras())
    if "uncond_multiplier" in given:
        made = made._replace(negative=given["uncond_multiplier"])
    return made, (TimestepKey(0.0, weights=made),)


def _default(given: Given, graph: NewGraph) -> Any:
    return _weights(given)


def _scaled(given: Given, graph: NewGraph) -> Any:
    return _weights(given, falloff=given["base_multiplier"])


def _scaled_by_mask(given: Given, graph: NewGraph) -> Any:
    least, most = given["min_base_multiplier"], given["max_base_multiplier"]
    return _weights(given, falloff=most, uneven=least != most)


def _by_block(given: Given, graph: NewGraph) -> Any:
    values = [given[field.name] for field in given.row.fields if field.name.partition("_")[2].isdecimal()]
    if len(set(values)) == 1:
        return _weights(given, values[0])
    falloff = _falloff(values)
    return _weights(given, falloff=falloff or 1.0, uneven=falloff is None)


def _falloff(values: list[float]) -> float | None:
    """The number of which the weights of a ControlNet's 12 blocks are powers, the deepest the first, with 1 in the middle."""
    if len(values) != 13 or values[12] != 1.0:
        return None
    scaled = all(isclose(value, values[11] ** (12 - number), rel_tol=0.01) for number, value in enumerate(values[:12]))
    return values[11] if scaled else None


def _middle(given: Given, graph: NewGraph) -> Extras:
    return (given["cn_extras"] or Extras())._replace(middle=given["middle_mult"])


def _sparse_extras(given: Given, graph: NewGraph) -> Extras:
    before = given["cn_extras"] or Extras()
    return Extras(before.middle, given["sparse_hint_mult"], given["sparse_nonhint_mult"], given["sparse_mask_mult"])


def _same_extras(given: Given, graph: NewGraph) -> Extras:
    graph.say(f"{given.row.title} has no equal here and no effect.")
    return given["cn_extras"] or Extras()


_EXTRAS = socket("cn_extras", "CN_WEIGHTS_EXTRAS", "extras")
_LATER = (real("uncond_multiplier"), _EXTRAS)
_OUT = (("CN_WEIGHTS", "CONTROL_NET_WEIGHTS"), ("TK_SHORTCUT", "TIMESTEP_KEYFRAME"))
_OUT_EXTRAS = (("cn_extras", "CN_WEIGHTS_EXTRAS"),)
_FLIP = flag("flip_weights")
_SOFT = tuple(0.825**power for power in range(12, 0, -1))
_SOFT_ADAPTER = (0.25, 0.62, 0.825, 1.0)


def _numbers(name: str, values: tuple[float, ...], width: int = 1) -> tuple[Field, ...]:
    return tuple(real(f"{name}_{number:0{width}}", value) for number, value in enumerate(values))


def _blocks(id_: str, title: str, *fields: Field) -> OldNode:
    return OldNode(id_, title, (*fields, *_LATER), _OUT, _by_block)


def _sd15(values: tuple[float, ...]) -> tuple[Field, ...]:
    return (*_numbers("output", values), real("middle_0", 1.0))


NODES = (
    OldNode("ScaledSoftControlNetWeights", "Scaled Soft Weights (first version)", (real("base_multiplier", 0.825), _FLIP, *_LATER), _OUT, _scaled),
    OldNode("ACN_ScaledSoftControlNetWeights", "Scaled Soft Weights", (real("base_multiplier", 0.825), *_LATER), _OUT, _scaled),
    OldNode("ScaledSoftMaskedUniversalWeights", "Scaled Soft Masked Weights", (
        socket("mask", "MASK", needed=True), real("min_base_multiplier", 0.0), real("max_base_multiplier", 1.0), flag("lock_min"), flag("lock_max"),
        *_LATER), _OUT, _scaled_by_mask),
    OldNode("ACN_DefaultUniversalWeights", "Default Weights", (_EXTRAS,), _OUT, _default),
    _blocks("SoftControlNetWeights", "ControlNet Soft Weights", *_numbers("weight", (*_SOFT, 1.0), 2), _FLIP),
    _blocks("CustomControlNetWeights", "ControlNet Custom Weights", *_numbers("weight", (1.0,) * 13, 2), _FLIP),
    _blocks("SoftT2IAdapterWeights", "T2IAdapter Soft Weights", *_numbers("weight", _SOFT_ADAPTER, 2), _FLIP),
    _blocks("CustomT2IAdapterWeights", "T2IAdapter Custom Weights", *_numbers("weight", (1.0,) * 4, 2), _FLIP),
    _blocks("ACN_SoftControlNetWeightsSD15", "ControlNet Soft Weights [SD1.5]", *_sd15(_SOFT)),
    _blocks("ACN_CustomControlNetWeightsSD15", "ControlNet Custom Weights [SD1.5]", *_sd15((1.0,) * 12)),
    _blocks("ACN_CustomControlNetWeightsFlux", "ControlNet Custom Weights [Flux]", *_numbers("input", (1.0,) * 19)),
    _blocks("ACN_CustomControlNetWeightsAnima", "ControlNet Custom Weights [Anima]", *_numbers("block", (1.0,) * 28)),
    _blocks("ACN_SoftT2IAdapterWeights", "T2IAdapter Soft Weights (inputs)", *_numbers("input", _SOFT_ADAPTER)),
    _blocks("ACN_CustomT2IAdapterWeights", "T2IAdapter Custom Weights (inputs)", *_numbers("input", (1.0,) * 4)),
    OldNode("ACN_ExtrasMiddleMult", "Middle Weight Extras", (real("middle_mult", 1.0), _EXTRAS), _OUT_EXTRAS, _middle),
    OldNode("ACN_SparseCtrlWeightExtras", "SparseCtrl Weight Extras", (
        _EXTRAS, real("sparse_hint_mult"), real("sparse_nonhint_mult"), real("sparse_mask_mult")), _OUT_EXTRAS, _sparse_extras),
    OldNode("ACN_AnimaLLLiteExtras", "Anima LLLite Extras", (socket("inpaint_mask", "MASK"), _EXTRAS), _OUT_EXTRAS, _same_extras),
)  # fmt: skip
