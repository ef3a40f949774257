"""AnimateDiff-Evolved: its loaders, generations 1 and 2, and what they take: motion LoRAs, settings, keyframes."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...files import CHECKPOINTS, LORAS, MODULES
from ..rows import Given, Link, NewGraph, OldNode, curve, file_in, flag, integer, one_of, output_of, real, socket
from .context import LOOPED, asked_windows, window_options
from .sample import BETA_NAMES, BETAS, schedule_of_field, with_sample_settings

LOADED, OLD_V2 = "legacy", "legacy_v2"
"""Norm scopes of Load Motion Module: as the old pack pools, with v2 modules used as trained or not."""


class NamedLoRA(NamedTuple):
    """An item of what travels on MOTION_LORA."""

    name: str
    strength: Any


class Settings(NamedTuple):
    """What travels on AD_SETTINGS: changes to the module's file, and the strength of its attention by regions."""

    adjustments: tuple[tuple[str, dict[str, Any]], ...] = ()
    mask: Link | None = None
    low: float = 1.0
    high: float = 1.0


class MotionKeyframe(NamedTuple):
    """An item of what travels on AD_KEYFRAMES."""

    start: float
    scale: Any
    effect: Any
    inherit: bool


class AppliedModule(NamedTuple):
    """An item of what travels on M_MODELS: a loaded motion module and how it is used."""

    module: Link
    loras: tuple[NamedLoRA, ...]
    scale: Any
    effect: Any
    keyframes: tuple[MotionKeyframe, ...]
    start: float = 0.0
    end: float = 1.0


# --- parts of a loader -----------------------------------------------------------------------------------------------


def loaded(graph: NewGraph, name: Any, norms: str, settings: Settings | None) -> Link:
    """A motion module from its file, adjusted as its settings say; its noise schedule is set later, on the MODEL."""
    module = graph.node(
        "LoadMotionModule",
        motion_module=graph.file(MODULES, name),
        family="auto",
        norm_scope=norms,
        positions=0,
        beta_schedule="checkpoint",
    )
    for kind, inputs in settings.adjustments if settings else ():
        module = graph.node(kind, motion_module=module, **inputs)
    return module


def with_loras(graph: NewGraph, module: Link, loras: tuple[NamedLoRA, ...]) -> Link:
    """A motion module with motion LoRAs, in their order."""
    for lora in loras:
        module = graph.node("ApplyMotionLoRA", motion_module=module, motion_lora=graph.file(LORAS, lora.name), strength=lora.strength)
    return module


def with_lora(before: tuple[NamedLoRA, ...] | None, name: Any, strength: Any) -> tuple[NamedLoRA, ...]:
    """A list of motion LoRAs and one more; fields that name no file add none."""
    return before or () if name in (None, "None", "") else (*(before or ()), NamedLoRA(name, strength))


def used(graph: NewGraph, applied: AppliedModule) -> Link:
    """A motion module with its motion LoRAs and strengths."""
    module = with_loras(graph, applied.module, applied.loras)
    scale = over_run(graph, applied.scale, [(key.start, key.scale, key.inherit) for key in applied.keyframes])
    effect = over_run(graph, applied.effect, [(key.start, key.effect, key.inherit) for key in applied.keyframes])
    if (scale, effect, applied.start, applied.end) == (None, None, 0.0, 1.0):
        return module
    return graph.node(
        "MotionSettings",
        motion_module=module,
        influence=1.0 if effect is None else effect,
        attention_scale=1.0 if scale is None else scale,
        start_percent=applied.start,
        end_percent=applied.end,
    )


def over_run(graph: NewGraph, constant: Any, keys: list[tuple[float, Any, bool]]) -> Any:
    """A strength times numbers for parts of the run: a number, a link, or None for as it is trained.

    A keyframe without a value keeps the last one if it inherits, else it is as trained.
    """
    if not any(value is not None for _, value, _ in keys):
        return constant
    lines: dict[float, float] = {0.0: 1.0}
    value = 1.0
    for start, own, inherits in sorted(keys, key=lambda key: key[0]):
        if own is not None and not isinstance(own, int | float):
            graph.say("AnimateDiff Keyframe: a multival with a mask or a list is not followed over the steps; it has no effect.")
            continue
        value = float(own) if own is not None else value if inherits else 1.0
        lines[start] = value
    text = "\n".join(f"{100 * start:.6g}% step: {number:g}" for start, number in lines.items())
    return curve(graph, text, over="steps", times=constant)


def masked(graph: NewGraph, settings: Settings | None, times: Any) -> Any:
    """A strength times the mask that old settings carry."""
    if settings is None or settings.mask is None:
        return times
    return curve(graph, f"{settings.high:g}", times=times, mask=settings.mask, outside=settings.low, stretch_mask=True)


def animated(graph: NewGraph, given: Given, modules: list[Link]) -> Link:
    """A MODEL with motion modules, context windows, a noise schedule and sample settings, as the old loaders leave it."""
    model, context = given["model"], given["context_options"]
    for module in modules:
        model = graph.node("ApplyMotionModule", model=model, motion_module=module, context_options=context)
    if not modules and context is not None:
        model = graph.node("ApplyContextWindows", model=model, context_options=context)
    betas = schedule_of_field(graph, given)
    return with_sample_settings(graph, model, given["sample_settings"], betas if modules or betas != BETAS["autoselect"] else "checkpoint")


# --- the nodes -------------------------------------------------------------------------------------------------------


def _gen1(given: Given, graph: NewGraph) -> Link:
    _no_blocks(given, graph, "per_block")
    module = loaded(graph, given["model_name"], LOADED, given["ad_settings"])
    scale = masked(graph, given["ad_settings"], given["scale_multival"])
    applied = AppliedModule(module, given["motion_lora"] or (), scale, given["effect_multival"], given["ad_keyframes"] or ())
    return animated(graph, given, [used(graph, applied)])


def _with_context(given: Given, graph: NewGraph) -> Link:
    norms = LOADED if given["apply_v2_models_properly"] else OLD_V2
    module = loaded(graph, given["model_name"], norms, given["ad_settings"])
    scale = masked(graph, given["ad_settings"], float(given["motion_scale"]))
    scale = None if scale == 1.0 else scale
    applied = AppliedModule(module, given["motion_lora"] or (), scale, None, given["ad_keyframes"] or ())
    return animated(graph, given, [used(graph, applied)])


def _first_loader(given: Given, graph: NewGraph) -> tuple[Link, Link]:
    model = graph.node("ApplyMotionModule", model=given["model"], motion_module=loaded(graph, given["model_name"], OLD_V2, None))
    return graph.node("ApplyBetaSchedule", model=model, beta_schedule=schedule_of_field(graph, given)), given["latents"]


def _first_loader_in_windows(given: Given, graph: NewGraph) -> tuple[Link, Link]:
    windows = window_options(graph, asked_windows(given, graph, LOOPED))
    module = loaded(graph, given["model_name"], OLD_V2, None)
    model = graph.node("ApplyMotionModule", model=given["model"], motion_module=module, context_options=windows)
    return graph.node("ApplyBetaSchedule", model=model, beta_schedule=schedule_of_field(graph, given)), given["latents"]


def _load(given: Given, graph: NewGraph) -> Link:
    settings: Settings | None = given["ad_settings"]
    if settings is not None and settings.mask is not None:
        graph.say("Motion Model Settings: the mask of the motion scale has no effect with Load AnimateDiff Model; use a multival.")
    return loaded(graph, given["model_name"], LOADED, settings)


def _load_i2v(given: Given, graph: NewGraph) -> tuple[Link, Link]:
    graph.say("AnimateLCM-I2V: the image encoder is not used here; the motion part is.")
    module = loaded(graph, given["model_name"], LOADED, given["ad_settings"])
    return module, module


def _apply(given: Given, graph: NewGraph) -> tuple[AppliedModule, ...]:
    _no_blocks(given, graph, "per_block")
    before: tuple[AppliedModule, ...] = given.get("prev_m_models") or ()
    applied = AppliedModule(
        given["motion_model"], given["motion_lora"] or (), given["scale_multival"], given["effect_multival"],
        given["ad_keyframes"] or (), given.get("start_percent", 0.0), given.get("end_percent", 1.0),
    )  # fmt: skip
    return (*before, applied)  # the last one applied acts last, and brings the noise schedule


def _apply_to_model(given: Given, graph: NewGraph) -> Any:
    """Graphs written by hand or by machine give this node a MODEL and take one from it, which no version of its pack did."""
    applied, model, context = _apply(given, graph), given["model"], given["context_options"]
    if model is None:
        if context is not None:
            graph.say(f"{given.row.title}: context_options has no effect here; connect it to Use Evolved Sampling.")
        return applied
    for module in applied:
        model = graph.node("ApplyMotionModule", model=model, motion_module=used(graph, module), context_options=context)
    return with_sample_settings(graph, model, None, BETAS["autoselect"])


def _apply_i2v(given: Given, graph: NewGraph) -> tuple[AppliedModule, ...]:
    graph.say("AnimateLCM-I2V: the reference image has no effect here; the motion part of the module is used.")
    return _apply(given, graph)


def _apply_camera(given: Given, graph: NewGraph) -> tuple[AppliedModule, ...]:
    graph.say("CameraCtrl: camera poses have no effect here; the motion module is used.")
    return _apply(given, graph)


def _apply_pia(given: Given, graph: NewGraph) -> tuple[AppliedModule, ...]:
    graph.say("PIA: the input image has no effect here; the motion part of the module is used.")
    return _apply(given, graph)


def _use_evolved(given: Given, graph: NewGraph) -> Link:
    return animated(graph, given, [used(graph, applied) for applied in given["m_models"] or ()])


def _lora(given: Given, graph: NewGraph) -> tuple[NamedLoRA, ...]:
    return with_lora(given["prev_motion_lora"], given["name"], given["strength"])


def _keyframe(given: Given, graph: NewGraph) -> tuple[MotionKeyframe, ...]:
    _no_blocks(given, graph, "per_block_replace")
    before: tuple[MotionKeyframe, ...] = given["prev_ad_keyframes"] or ()
    _guaranteed(given, graph)
    key = MotionKeyframe(given["start_percent"], given["scale_multival"], given["effect_multival"], given["inherit_missing"])
    return (*before, key)


def _guaranteed(given: Given, graph: NewGraph) -> None:
    if given["guarantee_steps"] > 1:
        graph.say(f"{given.row.title}: guarantee_steps has no effect here.")


def _no_blocks(given: Given, graph: NewGraph, name: str) -> None:
    if given[name] is not None:
        graph.say("AD Per Block: strengths for single blocks of the UNet have no effect here.")


def _checkpoint(given: Given, graph: NewGraph) -> tuple[Link, Link, Link]:
    loader = graph.node("CheckpointLoaderSimple", ckpt_name=graph.file(CHECKPOINTS, given["ckpt_name"]))
    schedule = schedule_of_field(graph, given)
    if given["use_custom_scale_factor"] and given["scale_factor"] != STANDARD_SCALE:
        graph.say(f"Load Checkpoint w/ Noise Select: scale_factor {given['scale_factor']:g} has no effect here.")
    model = loader if schedule == "checkpoint" else graph.node("ApplyBetaSchedule", model=loader, beta_schedule=schedule)
    return model, output_of(loader, 1), output_of(loader, 2)


STANDARD_SCALE = 0.18215
_STRENGTHS = (
    socket("motion_lora", "MOTION_LORA"), socket("scale_multival", "MULTIVAL"), socket("effect_multival", "MULTIVAL"),
    socket("ad_keyframes", "AD_KEYFRAMES"),
)  # fmt: skip
_RANGE = (real("start_percent", 0.0), real("end_percent", 1.0))
_MODEL = socket("model", "MODEL", needed=True)
_FILE = file_in("model_name", MODULES)
_MODULE = socket("motion_model", "MOTION_MODEL_ADE", needed=True)
_SETTINGS = socket("ad_settings", "AD_SETTINGS", "motion_model_settings")
_BLOCKS = socket("per_block", "PER_BLOCK")
_BEFORE = socket("prev_m_models", "M_MODELS")
_SAMPLING = socket("sample_settings", "SAMPLE_SETTINGS", "settings")
_CONTEXT = socket("context_options", "CONTEXT_OPTIONS")
_TO_MODEL, _OUT_BOTH = (socket("model", "MODEL"), _CONTEXT), ("M_MODELS", "M_MODELS,MODEL")
_OUT_MODEL, _OUT_MODULE, _OUT_MODULES = ("MODEL", "MODEL"), ("MOTION_MODEL", "MOTION_MODEL_ADE"), ("M_MODELS", "M_MODELS")

NODES = (
    OldNode("ADE_AnimateDiffLoaderWithContext", "AnimateDiff Loader [Legacy]", (
        _MODEL, _FILE, one_of("beta_schedule", BETA_NAMES), _CONTEXT, socket("motion_lora", "MOTION_LORA"), _SETTINGS, _SAMPLING,
        real("motion_scale"), flag("apply_v2_models_properly", True, absent=False), socket("ad_keyframes", "AD_KEYFRAMES"),
    ), (_OUT_MODEL,), _with_context),
    OldNode("ADE_AnimateDiffLoaderGen1", "AnimateDiff Loader (Gen1)", (
        _MODEL, _FILE, one_of("beta_schedule", BETA_NAMES), _CONTEXT, *_STRENGTHS, _SETTINGS, _SAMPLING, _BLOCKS,
    ), (_OUT_MODEL,), _gen1),
    OldNode("AnimateDiffLoaderV1", "AnimateDiff Loader (first version)", (
        _MODEL, socket("latents", "LATENT", needed=True), _FILE, flag("unlimited_area_hack"),
        one_of("beta_schedule", BETA_NAMES, "sqrt_linear (AnimateDiff)"),
    ), (_OUT_MODEL, ("LATENT", "LATENT")), _first_loader),
    OldNode("ADE_AnimateDiffLoaderV1Advanced", "AnimateDiff Loader (first version, advanced)", (
        _MODEL, socket("latents", "LATENT", needed=True), _FILE, flag("unlimited_area_hack"), integer("context_length", 16),
        integer("context_stride", 1), integer("context_overlap", 4), one_of("context_schedule", ("uniform",)), flag("closed_loop"),
        one_of("beta_schedule", BETA_NAMES, "sqrt_linear (AnimateDiff)"),
    ), (_OUT_MODEL, ("LATENT", "LATENT")), _first_loader_in_windows),
    OldNode("ADE_LoadAnimateDiffModel", "Load AnimateDiff Model", (_FILE, _SETTINGS), (_OUT_MODULE,), _load),
    OldNode("ADE_LoadAnimateLCMI2VModel", "Load AnimateLCM-I2V Model", (_FILE, _SETTINGS),
            (_OUT_MODULE, ("encoder_only", "MOTION_MODEL_ADE")), _load_i2v),
    OldNode("ADE_LoadAnimateDiffModelWithCameraCtrl", "Load AnimateDiff+CameraCtrl Model", (
        _FILE, file_in("camera_ctrl", MODULES), _SETTINGS), (_OUT_MODULE,), _load),
    OldNode("ADE_ApplyAnimateDiffModelSimple", "Apply AnimateDiff Model", (_MODULE, *_STRENGTHS, _BLOCKS, *_TO_MODEL), (_OUT_BOTH,),
            _apply_to_model),
    OldNode("ADE_ApplyAnimateDiffModel", "Apply AnimateDiff Model (Adv.)", (
        _MODULE, *_RANGE, *_STRENGTHS, _BEFORE, _BLOCKS, *_TO_MODEL), (_OUT_BOTH,), _apply_to_model),
    OldNode("ADE_ApplyAnimateLCMI2VModel", "Apply AnimateLCM-I2V Model", (
        _MODULE, socket("ref_latent", "LATENT"), real("ref_drift", 0.0), flag("apply_ref_when_disabled"), *_RANGE, *_STRENGTHS,
        _BEFORE, _BLOCKS), (_OUT_MODULES,), _apply_i2v),
    OldNode("ADE_ApplyAnimateDiffModelWithCameraCtrl", "Apply AnimateDiff+CameraCtrl Model", (
        _MODULE, socket("cameractrl_poses", "CAMERACTRL_POSES"), *_RANGE, *_STRENGTHS, socket("cameractrl_multival", "MULTIVAL"),
        _BEFORE, _BLOCKS), (_OUT_MODULES,), _apply_camera),
    OldNode("ADE_ApplyAnimateDiffModelWithPIA", "Apply AnimateDiff-PIA Model", (
        _MODULE, socket("image", "IMAGE"), socket("vae", "VAE"), *_RANGE, socket("pia_input", "PIA_INPUT"), *_STRENGTHS, _BEFORE,
        _BLOCKS), (_OUT_MODULES,), _apply_pia),
    OldNode("ADE_UseEvolvedSampling", "Use Evolved Sampling", (
        _MODEL, one_of("beta_schedule", BETA_NAMES), socket("m_models", "M_MODELS"), _CONTEXT, _SAMPLING), (_OUT_MODEL,), _use_evolved),
    OldNode("ADE_AnimateDiffLoRALoader", "Load AnimateDiff LoRA", (
        file_in("name", LORAS, "lora_name"), real("strength"), socket("prev_motion_lora", "MOTION_LORA")),
        (("MOTION_LORA", "MOTION_LORA"),), _lora),
    OldNode("ADE_AnimateDiffKeyframe", "AnimateDiff Keyframe", (
        real("start_percent", 0.0), socket("prev_ad_keyframes", "AD_KEYFRAMES"), socket("scale_multival", "MULTIVAL", linked=False),
        socket("effect_multival", "MULTIVAL", linked=False), socket("per_block_replace", "PER_BLOCK"), flag("inherit_missing", True),
        integer("guarantee_steps", 1)), (("AD_KEYFRAMES", "AD_KEYFRAMES"),), _keyframe),
    OldNode("CheckpointLoaderSimpleWithNoiseSelect", "Load Checkpoint w/ Noise Select", (
        file_in("ckpt_name", CHECKPOINTS), one_of("beta_schedule", BETA_NAMES, "use existing"), flag("use_custom_scale_factor"),
        real("scale_factor", STANDARD_SCALE)), (_OUT_MODEL, ("CLIP", "CLIP"), ("VAE", "VAE")), _checkpoint),
)  # fmt: skip
