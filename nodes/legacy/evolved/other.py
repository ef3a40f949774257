"""AnimateDiff-Evolved: nodes for what this pack does not do. They open; where they are used, a sentence says what has no effect."""

from __future__ import annotations

from typing import Any

from ...files import MODULES
from ..rows import Field, Given, Link, NewGraph, OldNode, file_in, flag, integer, one_of, real, socket, written

MOVES = (
    "Static", "Pan Up", "Pan Down", "Pan Left", "Pan Right", "Zoom In", "Zoom Out", "Roll Clockwise", "Roll Anticlockwise", "Tilt Up",
    "Tilt Down", "Tilt Left", "Tilt Right",
)  # fmt: skip
PRESETS = tuple(
    f"{kind} ({size} Motion)" for kind in ("Animation", "Loop", "Style Transfer") for size in ("Small", "Medium", "Large")
)
WITHOUT_EFFECT = "without effect"
"""What travels on a socket whose node does nothing here; the node that takes it says so."""


def _nothing(given: Given, graph: NewGraph) -> str:
    return WITHOUT_EFFECT


def _passed(given: Given, graph: NewGraph) -> Link:
    graph.say(f"{given.row.title} has no equal here and no effect; the motion module is used as it is.")
    return given["motion_model"]


def _encoded(given: Given, graph: NewGraph) -> Link:
    return graph.node("VAEEncode", pixels=given["image"], vae=given["vae"])


def _floats(given: Given, graph: NewGraph) -> Any:
    return given["FLOAT"]


def _guidance(kind: str, name: str, old: str) -> Any:
    def expand(given: Given, graph: NewGraph) -> Link:
        value = given[old]
        if not isinstance(value, int | float):
            graph.say(f"{given.row.title}: a multival with a mask or a list has no equal here and no effect.")
            return given["model"]
        return graph.node(kind, model=given["model"], **{name: float(value)})

    return expand


def _no_mask(given: Given, graph: NewGraph) -> Link:
    raise ValueError("Multival to Mask has no equal here. Connect the mask itself, or remove this node.")


def _dead(id_: str, title: str, kind: str, *fields: Field, name: str = "") -> OldNode:
    return OldNode(id_, title, fields, ((name or kind, kind),), _nothing)


_BLOCK = "AD_BLOCK"
_SPAN = (real("start_percent", 0.0), real("end_percent", 1.0))
_LISTED = (flag("inherit_missing", True), flag("print_keyframes"))
_START = (real("mult"), real("start_percent", 0.0), integer("guarantee_steps", 1), flag("inherit_missing", True))
_BETWEEN = (
    *_SPAN, real("mult_start"), real("mult_end"), one_of("interpolation", ("linear", "ease_in", "ease_out", "ease_in_out")),
    integer("intervals", 50), *_LISTED,
)  # fmt: skip
_POSES = socket("prev_poses", "CAMERACTRL_POSES", linked=False)
_SPEED = (real("speed"), integer("frame_length", 16))


def _multivals(*names: str) -> tuple[Field, ...]:
    return tuple(socket(name, "MULTIVAL") for name in names)


def _blocks(*names: str) -> tuple[Field, ...]:
    return tuple(socket(name, _BLOCK) for name in names)


def _numbered(levels: dict[str, int], middle: str = "mid") -> tuple[Field, ...]:
    down = [f"down_{level}__{i}" for level in range(levels["down"]) for i in range(2)]
    up = [f"up_{level}__{i}" for level in range(levels["down"]) for i in range(3)]
    return _blocks(*down, middle, *up)


def _extras(kind: str, title: str) -> tuple[OldNode, ...]:
    upper = kind.upper()
    before = socket("prev_kf", f"{upper}_KEYFRAME")
    more = (*_multivals("mult_multival"), socket("mode_replace", "CONTEXTREF_MODE"), socket("tune_replace", "CONTEXTREF_TUNE"))
    out, name = f"{upper}_KEYFRAME", f"{upper}_KF"
    values = socket("mults_float", "FLOAT,FLOATS", linked=False)
    return (
        _dead(f"ADE_ContextExtras_{kind}_Keyframe", f"{title} Keyframe", out, before, *more, *_START, name=name),
        _dead(f"ADE_ContextExtras_{kind}_KeyframeInterpolation", f"{title} Keyframes Interp.", out, *_BETWEEN, before, *more, name=name),
        _dead(f"ADE_ContextExtras_{kind}_KeyframeFromList", f"{title} Keyframes From List", out, values, *_SPAN, *_LISTED, before, *more, name=name),
    )


_MODE, _TUNE, _POSE = "CONTEXTREF_MODE", "CONTEXTREF_TUNE", "CAMERACTRL_POSES"
_TUNED = ("style_fidelity", "ref_weight", "strength")
_SIX = range(1, 7)

NODES = (
    _dead("ADE_ADBlockCombo", "AD Block", _BLOCK, *_multivals("effect", "scale")),
    _dead("ADE_ADBlockIndiv", "AD Block+", _BLOCK, *_multivals("effect", "scale_0", "scale_1")),
    _dead("ADE_PerBlockHighLevel", "AD Per Block", "PER_BLOCK", *_blocks("down", "mid", "up")),
    _dead("ADE_PerBlock_SD15_MidLevel", "AD Per Block+ (SD1.5)", "PER_BLOCK", *_blocks(
        *(f"down_{i}" for i in range(4)), "mid", *(f"up_{i}" for i in range(4)))),
    _dead("ADE_PerBlock_SD15_LowLevel", "AD Per Block++ (SD1.5)", "PER_BLOCK", *_numbered({"down": 4})),
    _dead("ADE_PerBlock_SD15_FromFloats", "AD Per Block Floats (SD1.5)", "PER_BLOCK", socket("effect_21_floats", "FLOATS"),
          socket("scale_21_floats", "FLOATS")),
    _dead("ADE_PerBlock_SDXL_MidLevel", "AD Per Block+ (SDXL)", "PER_BLOCK", *_blocks(
        *(f"down_{i}" for i in range(3)), "mid", *(f"up_{i}" for i in range(3)))),
    _dead("ADE_PerBlock_SDXL_LowLevel", "AD Per Block++ (SDXL)", "PER_BLOCK", *_numbered({"down": 3})),
    _dead("ADE_PerBlock_SDXL_FromFloats", "AD Per Block Floats (SDXL)", "PER_BLOCK", socket("effect_16_floats", "FLOATS"),
          socket("scale_16_floats", "FLOATS")),
    _dead("ADE_ContextExtras_ContextRef_ModeFirst", "ContextRef Mode: First", _MODE),
    _dead("ADE_ContextExtras_ContextRef_ModeSliding", "ContextRef Mode: Sliding", _MODE, integer("sliding_width", 2)),
    _dead("ADE_ContextExtras_ContextRef_ModeIndexes", "ContextRef Mode: Indexes", _MODE, written("switch_on_idxs"), flag("always_include_0", True)),
    _dead("ADE_ContextExtras_ContextRef_TuneAttn", "ContextRef Tune: Attn", _TUNE, *(real(f"attn_{name}") for name in _TUNED)),
    _dead("ADE_ContextExtras_ContextRef_TuneAttnAdain", "ContextRef Tune: Attn+Adain", _TUNE, *(
        real(f"{part}_{name}") for part in ("attn", "adain") for name in _TUNED)),
    *_extras("ContextRef", "ContextRef"),
    *_extras("NaiveReuse", "NaiveReuse"),
    OldNode("ADE_CameraCtrlAnimateDiffKeyframe", "AnimateDiff+CameraCtrl Keyframe", (
        real("start_percent", 0.0), socket("prev_ad_keyframes", "AD_KEYFRAMES"),
        *_multivals("scale_multival", "effect_multival", "cameractrl_multival"), flag("inherit_missing", True),
        integer("guarantee_steps", 1)), (("AD_KEYFRAMES", "AD_KEYFRAMES"),), lambda given, graph: given["prev_ad_keyframes"] or ()),
    OldNode("ADE_PIA_AnimateDiffKeyframe", "AnimateDiff-PIA Keyframe", (
        real("start_percent", 0.0), socket("prev_ad_keyframes", "AD_KEYFRAMES"), *_multivals("scale_multival", "effect_multival"),
        socket("pia_input", "PIA_INPUT"), flag("inherit_missing", True), integer("guarantee_steps", 1)),
        (("AD_KEYFRAMES", "AD_KEYFRAMES"),), lambda given, graph: given["prev_ad_keyframes"] or ()),
    _dead("ADE_LoadCameraPoses", "Load CameraCtrl Poses (File)", _POSE, written("pose_filename")),
    _dead("ADE_LoadCameraPosesFromPath", "Load CameraCtrl Poses (Path)", _POSE, written("file_path")),
    _dead("ADE_CameraPoseBasic", "Create CameraCtrl Poses", _POSE, one_of("motion_type", MOVES), *_SPEED, _POSES),
    _dead("ADE_CameraPoseCombo", "Create CameraCtrl Poses (Combo)", _POSE, *(one_of(f"motion_type{i}", MOVES) for i in _SIX), *_SPEED, _POSES),
    _dead("ADE_CameraPoseAdvanced", "Create CameraCtrl Poses (Adv.)", _POSE, *(
        field for i in _SIX for field in (one_of(f"motion_type{i}", MOVES), real(f"strength{i}"))), *_SPEED, _POSES),
    _dead("ADE_CameraManualPoseAppend", "Manual Append CameraCtrl Poses", _POSE, socket("poses_first", _POSE, linked=False),
          socket("poses_last", _POSE, linked=False)),
    _dead("ADE_ReplaceCameraParameters", "Replace Camera Parameters", _POSE, socket("poses", _POSE, linked=False), real("fx", 0.474812461),
          real("fy", 0.844111024), real("cx", 0.5), real("cy", 0.5)),
    _dead("ADE_ReplaceOriginalPoseAspectRatio", "Replace Orig. Pose Aspect Ratio", _POSE, socket("poses", _POSE, linked=False),
          integer("orig_pose_width", 1280), integer("orig_pose_height", 720)),
    _dead("ADE_InputPIA_Multival", "PIA Input [Multival]", "PIA_INPUT", *_multivals("multival")),
    _dead("ADE_InputPIA_PaperPresets", "PIA Input [Paper Presets]", "PIA_INPUT", one_of("preset", PRESETS), integer("batch_index"),
          *_multivals("mult_multival"), flag("print_values")),
    OldNode("ADE_InjectI2VIntoAnimateDiffModel", "Inject I2V into AnimateDiff Model", (
        file_in("model_name", MODULES), socket("motion_model", "MOTION_MODEL_ADE", needed=True), socket("ad_settings", "AD_SETTINGS")),
        (("MOTION_MODEL", "MOTION_MODEL_ADE"),), _passed),
    OldNode("ADE_InjectPIAIntoAnimateDiffModel", "Inject PIA into AnimateDiff Model", (
        file_in("model_name", MODULES), socket("motion_model", "MOTION_MODEL_ADE", needed=True), socket("ad_settings", "AD_SETTINGS")),
        (("MOTION_MODEL", "MOTION_MODEL_ADE"),), _passed),
    OldNode("ADE_UpscaleAndVAEEncode", "Scale Ref Image and VAE Encode", (
        socket("image", "IMAGE", needed=True), socket("vae", "VAE", needed=True), socket("latent_size", "LATENT"),
        one_of("scale_method", ("nearest-exact", "bilinear", "area", "bicubic", "lanczos")), one_of("crop", ("disabled", "center"), "center")),
        (("LATENT", "LATENT"),), _encoded),
    OldNode("ADE_FloatToFloats", "Float to Floats", (socket("FLOAT", "FLOAT,FLOATS", needed=True, linked=True),), (("FLOATS", "FLOATS"),), _floats),
    OldNode("ADE_MultivalConvertToMask", "Multival to Mask", _multivals("multival"), (("MASK", "MASK"),), _no_mask),
    OldNode("ADE_PerturbedAttentionGuidanceMultival", "PerturbedAttnGuide [Multival]", (
        socket("model", "MODEL", needed=True), socket("scale_multival", "MULTIVAL", needed=True, linked=False)), (("MODEL", "MODEL"),),
        _guidance("PerturbedAttentionGuidance", "scale", "scale_multival")),
    OldNode("ADE_RescaleCFGMultival", "RescaleCFG [Multival]", (
        socket("model", "MODEL", needed=True), socket("mult_multival", "MULTIVAL", needed=True, linked=False)), (("MODEL", "MODEL"),),
        _guidance("RescaleCFG", "multiplier", "mult_multival")),
)  # fmt: skip
