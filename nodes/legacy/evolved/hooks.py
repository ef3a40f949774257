"""AnimateDiff-Evolved: its LoRA hooks and conditioning nodes of 2024, which the host has had since under other names."""

from __future__ import annotations

from ...files import CHECKPOINTS, IMAGE_LORAS
from ..rows import (
    Expander,
    Field,
    Given,
    Link,
    NewGraph,
    OldNode,
    file_in,
    flag,
    integer,
    one_of,
    output_of,
    real,
    socket,
)

CONDITIONING = "CONDITIONING"


def _as(kind: str, outputs: int = 1, /, **names: str) -> Expander:
    """The host's node ``kind``: its inputs by the names of the old ones."""

    def expand(given: Given, graph: NewGraph) -> Link | tuple[Link, ...]:
        made = graph.node(kind, **{new: given[old] for new, old in names.items()})
        return made if outputs == 1 else tuple(output_of(made, i) for i in range(outputs))

    return expand


def _register(kind: str, folder: str) -> Expander:
    def expand(given: Given, graph: NewGraph) -> tuple[Link, ...]:
        name = "lora_name" if folder == IMAGE_LORAS else "ckpt_name"
        inputs = {name: graph.file(folder, given[name]), "strength_model": given["strength_model"]}
        if "clip" not in given:
            return given["model"], graph.node(kind, **inputs)
        return given["model"], given["clip"], graph.node(kind, **inputs, strength_clip=given["strength_clip"])

    return expand


def _combine(given: Given, graph: NewGraph) -> Link:
    letters = [field.name[-1] for field in given.row.fields]
    return graph.node(f"CombineHooks{len(letters)}", **{f"hooks_{letter}": given[f"lora_hook_{letter}"] for letter in letters})


def _hooked(given: Given, graph: NewGraph) -> Link:
    return graph.node("SetClipHooks", clip=given["clip"], apply_to_conds=False, schedule_clip=False, hooks=given["lora_hook"])


def _keyframe(given: Given, graph: NewGraph) -> Link:
    before = given["prev_hook_kf"]
    return graph.node(
        "CreateHookKeyframe", strength_mult=given["strength_model"], start_percent=given["start_percent"], prev_hook_kf=before
    )


def _between(given: Given, graph: NewGraph) -> Link:
    names = ("strength_start", "strength_end", "interpolation", "start_percent", "end_percent", "print_keyframes", "prev_hook_kf")
    return graph.node(
        "CreateHookKeyframesInterpolated", keyframes_count=given["intervals"], **{name: given[name] for name in names}
    )


def _listed(given: Given, graph: NewGraph) -> Link:
    names = ("start_percent", "end_percent", "print_keyframes", "prev_hook_kf")
    return graph.node(
        "CreateHookKeyframesFromFloats", floats_strength=given["strengths_float"], **{name: given[name] for name in names}
    )


_EXTRA = {"mask": "opt_mask", "hooks": "opt_lora_hook", "timesteps": "opt_timesteps"}
_PROPERTIES = {"strength": "strength", "set_cond_area": "set_cond_area", **_EXTRA}
_FIELDS: tuple[Field, ...] = (
    real("strength"), one_of("set_cond_area", ("default", "mask bounds")), socket("opt_mask", "MASK"), socket("opt_lora_hook", "HOOKS"),
    socket("opt_timesteps", "TIMESTEPS_RANGE"),
)  # fmt: skip
_HOOK = socket("lora_hook", "HOOKS", needed=True)
_OUT, _OUT_PAIR = ((CONDITIONING, CONDITIONING),), (("positive", CONDITIONING), ("negative", CONDITIONING))
_OUT_HOOKS, _OUT_KEYS = (("HOOKS", "HOOKS"),), (("HOOK_KF", "HOOK_KEYFRAMES"),)
_BEFORE = socket("prev_hook_kf", "HOOK_KEYFRAMES")
_SPAN = (real("start_percent", 0.0), real("end_percent", 1.0))


def _conds(*names: str) -> tuple[Field, ...]:
    return tuple(socket(name, CONDITIONING, needed=True) for name in names)


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


def _hooks(*letters: str) -> tuple[Field, ...]:
    return tuple(socket(f"lora_hook_{letter}", "HOOKS") for letter in letters)


_PAIR_NEW = {"positive_NEW": "positive_ADD", "negative_NEW": "negative_ADD"}
_MODEL, _ENCODER = socket("model", "MODEL", needed=True), socket("clip", "CLIP", needed=True)
_STRENGTHS = (real("strength_model"), real("strength_clip"))
_OUT_ALL = (("MODEL", "MODEL"), ("CLIP", "CLIP"), ("HOOKS", "HOOKS"))
_OUT_TWO = (("MODEL", "MODEL"), ("HOOKS", "HOOKS"))
_PAIR = _same("positive_A", "negative_A", "positive_B", "negative_B")

NODES = (
    OldNode("ADE_SetLoraHookKeyframe", "Set LoRA Hook Keyframes", (_HOOK, socket("hook_kf", "HOOK_KEYFRAMES", needed=True)), _OUT_HOOKS,
            _as("SetHookKeyframes", hooks="lora_hook", hook_kf="hook_kf")),
    OldNode("ADE_AttachLoraHookToCLIP", "Set CLIP LoRA Hook", (_ENCODER, _HOOK), (("hook_ENCODER", "CLIP"),), _hooked),
    OldNode("ADE_AttachLoraHookToConditioning", "Set Model LoRA Hook", (*_conds("conditioning"), _HOOK), _OUT,
            _as("ConditioningSetProperties", cond_NEW="conditioning", hooks="lora_hook")),
    OldNode("ADE_PairedConditioningSetMask", "Set Props on Conds", (*_conds("positive_ADD", "negative_ADD"), *_FIELDS), _OUT_PAIR,
            _as("PairConditioningSetProperties", 2, **_PAIR_NEW, **_PROPERTIES)),
    OldNode("ADE_PairedConditioningSetMaskAndCombine", "Set Props and Combine Conds", (
        *_conds("positive", "negative", "positive_ADD", "negative_ADD"), *_FIELDS), _OUT_PAIR,
        _as("PairConditioningSetPropertiesAndCombine", 2, **_same("positive", "negative"), **_PAIR_NEW, **_PROPERTIES)),
    OldNode("ADE_PairedConditioningSetUnmaskedAndCombine", "Set Unmasked Conds", (
        *_conds("positive", "negative", "positive_DEFAULT", "negative_DEFAULT"), _FIELDS[3]), _OUT_PAIR,
        _as("PairConditioningSetDefaultCombine", 2, **_same("positive", "negative", "positive_DEFAULT", "negative_DEFAULT"),
            hooks="opt_lora_hook")),
    OldNode("ADE_PairedConditioningCombine", "Manual Combine Conds", _conds(*_PAIR), _OUT_PAIR, _as("PairConditioningCombine", 2, **_PAIR)),
    OldNode("ADE_ConditioningSetMask", "Set Props on Cond", (*_conds("cond_ADD"), *_FIELDS), _OUT,
            _as("ConditioningSetProperties", cond_NEW="cond_ADD", **_PROPERTIES)),
    OldNode("ADE_ConditioningSetMaskAndCombine", "Set Props and Combine Cond", (*_conds("cond", "cond_ADD"), *_FIELDS), _OUT,
            _as("ConditioningSetPropertiesAndCombine", cond="cond", cond_NEW="cond_ADD", **_PROPERTIES)),
    OldNode("ADE_ConditioningSetUnmaskedAndCombine", "Set Unmasked Cond", (*_conds("cond", "cond_DEFAULT"), _FIELDS[3]), _OUT,
            _as("ConditioningSetDefaultCombine", cond="cond", cond_DEFAULT="cond_DEFAULT", hooks="opt_lora_hook")),
    OldNode("ADE_ConditioningCombine", "Manual Combine Cond", _conds("cond_A", "cond_B"), _OUT,
            _as("ConditioningCombine", conditioning_1="cond_A", conditioning_2="cond_B")),
    OldNode("ADE_TimestepsConditioning", "Timesteps Conditioning", _SPAN, (("TIMESTEPS_RANGE", "TIMESTEPS_RANGE"),),
            _as("ConditioningTimestepsRange", **_same("start_percent", "end_percent"))),
    OldNode("ADE_CombineLoraHooks", "Combine LoRA Hooks [2]", _hooks(*"AB"), _OUT_HOOKS, _combine),
    OldNode("ADE_CombineLoraHooksFour", "Combine LoRA Hooks [4]", _hooks(*"ABCD"), _OUT_HOOKS, _combine),
    OldNode("ADE_CombineLoraHooksEight", "Combine LoRA Hooks [8]", _hooks(*"ABCDEFGH"), _OUT_HOOKS, _combine),
    OldNode("ADE_RegisterLoraHook", "Register LoRA Hook", (_MODEL, _ENCODER, file_in("lora_name", IMAGE_LORAS), *_STRENGTHS), _OUT_ALL,
            _register("CreateHookLora", IMAGE_LORAS)),
    OldNode("ADE_RegisterLoraHookModelOnly", "Register LoRA Hook (Model Only)", (
        _MODEL, file_in("lora_name", IMAGE_LORAS), _STRENGTHS[0]), _OUT_TWO, _register("CreateHookLoraModelOnly", IMAGE_LORAS)),
    OldNode("ADE_RegisterModelAsLoraHook", "Register Model as LoRA Hook", (
        _MODEL, _ENCODER, file_in("ckpt_name", CHECKPOINTS), *_STRENGTHS), _OUT_ALL, _register("CreateHookModelAsLora", CHECKPOINTS)),
    OldNode("ADE_RegisterModelAsLoraHookModelOnly", "Register Model as LoRA Hook (MO)", (
        _MODEL, file_in("ckpt_name", CHECKPOINTS), _STRENGTHS[0]), _OUT_TWO, _register("CreateHookModelAsLoraModelOnly", CHECKPOINTS)),
    OldNode("ADE_LoraHookKeyframe", "LoRA Hook Keyframe", (
        real("strength_model"), real("start_percent", 0.0), integer("guarantee_steps", 1), _BEFORE), _OUT_KEYS, _keyframe),
    OldNode("ADE_LoraHookKeyframeInterpolation", "LoRA Hook Keyframes Interp.", (
        *_SPAN, real("strength_start"), real("strength_end"), one_of("interpolation", ("linear", "ease_in", "ease_out", "ease_in_out")),
        integer("intervals", 5), flag("print_keyframes"), _BEFORE), _OUT_KEYS, _between),
    OldNode("ADE_LoraHookKeyframeFromStrengthList", "LoRA Hook Keyframes From List", (
        socket("strengths_float", "FLOAT,FLOATS", needed=True, linked=True), *_SPAN, flag("print_keyframes"), _BEFORE), _OUT_KEYS, _listed),
)  # fmt: skip
