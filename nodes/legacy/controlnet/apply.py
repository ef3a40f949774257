"""Advanced-ControlNet: nodes that put a control on prompts, in its stages."""

from __future__ import annotations

from typing import Any

from ..rows import Given, Link, NewGraph, OldNode, output_of, real, socket
from .strengths import BEFORE_NEXT, Stage, inputs_of, say_of_weights, stages


def _apply(given: Given, graph: NewGraph) -> tuple[Link | None, ...]:
    pair = (given["positive"], given["negative"])
    for stage, span in _spans(given, graph):
        pair = _applied(given, graph, stage, span, pair)
    return (*pair, *_model(given))


def _apply_to_one(given: Given, graph: NewGraph) -> tuple[Link | None, ...]:
    conditioning = given["conditioning"]
    for stage, span in _spans(given, graph):
        if stage.weights and stage.weights.negative != 1.0:
            graph.say(f"{given.row.title}: uncond_multiplier has no effect here; use Apply Advanced ControlNet with both prompts.")
        conditioning = graph.node(
            "ControlNetApply", conditioning=conditioning, control_net=given["control_net"], image=given["image"], strength=given["strength"]
        )
        inputs = inputs_of(graph, stage, given["mask_optional"], span)
        if inputs:
            conditioning = graph.node("ApplyControlCurve", positive=conditioning, negative=conditioning, **inputs)
    return conditioning, *(_model(given) or (None,))


def _spans(given: Given, graph: NewGraph) -> list[tuple[Stage, tuple[Any, Any]]]:
    """The stages in which the control adds something, and from when until when."""
    if given["strength"] == 0:
        return []
    found = stages(given["timestep_kf"], given["latent_kf_override"], given["weights_override"])
    start, end = given["start_percent"], given["end_percent"]
    spans = [(found[0], (start, end))]
    if len(found) > 1:
        ends = [*(after.start - BEFORE_NEXT for after in found[1:]), end]
        spans = [(stage, (max(start, stage.start), min(end, until))) for stage, until in zip(found, ends, strict=True)]
        spans = [(stage, (begins, until)) for stage, (begins, until) in spans if begins <= until]
    spans = [(stage, span) for stage, span in spans if not stage.is_silent]
    for stage, _ in spans:
        say_of_weights(graph, stage.weights)
    return spans


def _applied(given: Given, graph: NewGraph, stage: Stage, span: tuple[Any, Any], pair: tuple[Link, Link]) -> tuple[Link, Link]:
    """Both prompts with the control in one stage."""
    inputs = {"control_net": given["control_net"], "image": given["image"], "strength": given["strength"], "vae": given["vae_optional"]}
    start, end = span
    node = graph.node("ControlNetApplyAdvanced", positive=pair[0], negative=pair[1], start_percent=start, end_percent=end, **inputs)
    curved = inputs_of(graph, stage, given["mask_optional"])
    if curved:
        node = graph.node("ApplyControlCurve", positive=node, negative=output_of(node, 1), **curved)
    negative = output_of(node, 1)
    less = stage.weights.negative if stage.weights else 1.0
    if less == 0:
        negative = pair[1]
    elif less != 1:
        negative = graph.node("ApplyControlCurve", positive=negative, negative=negative, strength=less, block_falloff=1.0)
    return node, negative


def _model(given: Given) -> tuple[Link | None, ...]:
    """The MODEL that the first versions passed on."""
    return (given["model_optional"],) if "model_optional" in given else ()


_PAIR = (socket("positive", "CONDITIONING", needed=True), socket("negative", "CONDITIONING", needed=True))
_ONE = (socket("conditioning", "CONDITIONING", needed=True),)
_CONTROL = (
    socket("control_net", "CONTROL_NET", needed=True), socket("image", "IMAGE", needed=True), real("strength"), real("start_percent", 0.0),
    real("end_percent", 1.0), socket("mask_optional", "MASK"), socket("timestep_kf", "TIMESTEP_KEYFRAME"),
    socket("latent_kf_override", "LATENT_KEYFRAME"), socket("weights_override", "CONTROL_NET_WEIGHTS", "cn_weights_override"),
)  # fmt: skip
_VAE, _PASSED = socket("vae_optional", "VAE"), socket("model_optional", "MODEL")
_OUT_PAIR, _OUT_ONE = (("positive", "CONDITIONING"), ("negative", "CONDITIONING")), (("CONDITIONING", "CONDITIONING"), ("model_opt", "MODEL"))

NODES = (
    OldNode("ACN_AdvancedControlNetApply", "Apply Advanced ControlNet (first version)", (*_PAIR, *_CONTROL, _PASSED, _VAE),
            (*_OUT_PAIR, ("model_opt", "MODEL")), _apply),
    OldNode("ACN_AdvancedControlNetApply_v2", "Apply Advanced ControlNet", (*_PAIR, *_CONTROL, _VAE), _OUT_PAIR, _apply),
    OldNode("ACN_AdvancedControlNetApplySingle", "Apply Advanced ControlNet(1) (first version)", (*_ONE, *_CONTROL, _PASSED, _VAE), _OUT_ONE, _apply_to_one),
    OldNode("ACN_AdvancedControlNetApplySingle_v2", "Apply Advanced ControlNet(1)", (*_ONE, *_CONTROL, _VAE), _OUT_ONE, _apply_to_one),
)  # fmt: skip
