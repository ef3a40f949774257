"""AnimateDiff-Evolved: multivals, adjustments of a motion module, and what is left: latents, saving, unloading."""

from __future__ import annotations

from typing import Any

from ..rows import Given, Link, NewGraph, OldNode, curve, flag, integer, is_link, one_of, real, socket, written
from .load import Settings

Adjustments = tuple[tuple[str, dict[str, Any]], ...]
"""What travels on PE_ADJUST and WEIGHT_ADJUST: nodes after Load Motion Module, with their inputs."""


# --- multivals: numbers and curves of our own ------------------------------------------------------------------------


def _multival(given: Given, graph: NewGraph) -> Any:
    """A number, or a list of one per frame, as FizzNodes hands to fields for a number."""
    value, mask = given["float_val"], given["mask_optional"]
    if mask is None:
        return value
    many = isinstance(value, list) and not is_link(value)
    return curve(graph, "1", mask=mask, times=value) if many else curve(graph, f"{value:.10g}", mask=mask)


def _multival_of_list(given: Given, graph: NewGraph) -> Any:
    values, mask = given[given.row.fields[0].name], given["mask_optional"]
    return values if mask is None else curve(graph, "1", mask=mask, times=values)


def _scaled_mask(given: Given, graph: NewGraph) -> Link:
    relative = str(given["scaling"]) == "relative"
    low, high = given["min_float_val"], given["max_float_val"]
    return curve(graph, f"{high:.10g}", mask=given["mask"], outside=low, stretch_mask=relative)


# --- adjustments -----------------------------------------------------------------------------------------------------


def _settings(given: Given, graph: NewGraph) -> Settings:
    return Settings((*(given["pe_adjust"] or ()), *(given["weight_adjust"] or ())))


def _sweetspot(given: Given, graph: NewGraph) -> Adjustments:
    return (*(given["prev_pe_adjust"] or ()), *_positions(stretch_from=given["sweetspot"], stretch_to=given["new_sweetspot"]))


def _full_stretch(given: Given, graph: NewGraph) -> Adjustments:
    return (*(given["prev_pe_adjust"] or ()), *_positions(stretch_by=given["pe_stretch"]))


def _manual(given: Given, graph: NewGraph) -> Adjustments:
    return (*(given["prev_pe_adjust"] or ()), *_by_hand(given))


def _by_hand(given: Given) -> Adjustments:
    return _positions(
        stretch_from=given["cap_initial_pe_length"], stretch_to=given["interpolate_pe_to_length"],
        skip_first=given["initial_pe_idx_offset"], skip_after=given["final_pe_idx_offset"],
    )  # fmt: skip


def _positions(**inputs: int) -> Adjustments:
    """Files without positions, such as AnimateLCM, were left as they are there: ``only_stored``."""
    usual = {"stretch_from": 0, "stretch_to": 0}
    return (("AdjustMotionPositions", {**usual, **inputs, "only_stored": True}),) if any(inputs.values()) else ()


def _scaled(operation: str, amounts: dict[str, float]) -> Adjustments:
    """Amounts by part; those of Adjust Motion Weights are 0 where nothing changes, in both operations."""
    usual = dict.fromkeys(PARTS.values(), 0.0)
    return (("AdjustMotionWeights", {"operation": operation, **usual, **amounts, "only_stored": True}),) if any(amounts.values()) else ()


def _weights(given: Given, graph: NewGraph) -> Adjustments:
    names = [field.name for field in given.row.fields if field.name.endswith(("_ADD", "_MULT"))]
    adds = names[0].endswith("_ADD")
    amounts = {PARTS[name.rpartition("_")[0]]: given[name] - (0.0 if adds else 1.0) for name in names}
    return (*(given["prev_weight_adjust"] or ()), *_scaled("add" if adds else "multiply", amounts))


PARTS = {
    "all": "all", "pe": "positions", "attn": "attention", "attn_q": "query", "attn_k": "key", "attn_v": "value",
    "attn_out_weight": "out_weight", "attn_out_bias": "out_bias", "other": "other",
}  # fmt: skip
"""Parts of a motion module there and in Adjust Motion Weights."""
STRENGTHS = {"pe_strength": "positions", "attn_strength": "attention", "other_strength": "other"} | {
    f"attn_{old}_strength": new for old, new in (("q", "query"), ("k", "key"), ("v", "value"), ("out_weight", "out_weight"), ("out_bias", "out_bias"))
}


def _old_settings(given: Given, graph: NewGraph) -> Settings:
    amounts = {new: given[old] - 1.0 for old, new in STRENGTHS.items() if old in given}
    positions = _by_hand(given) if "cap_initial_pe_length" in given else ()
    stretched = _positions(stretch_by=given.get("motion_pe_stretch", 0))
    return Settings((*stretched, *positions, *_scaled("multiply", amounts)), given["mask_motion_scale"], given["min_motion_scale"], given["max_motion_scale"])


# --- the rest --------------------------------------------------------------------------------------------------------


def _latent(given: Given, graph: NewGraph) -> Link:
    return graph.node("EmptyLatentImage", width=given["width"], height=given["height"], batch_size=given["batch_size"])


def _unload(given: Given, graph: NewGraph) -> Link:
    return graph.node("RemoveMotionModule", model=given["model"])


def combined(given: Given, graph: NewGraph) -> tuple[()]:
    """What the Combine nodes of 2023 did; also used by ``artventure``."""
    name = str(given["format"]).rpartition("/")[2].lower()
    kind = next((kind for kind in ("gif", "webp", "mp4") if kind in name), "mp4")
    if kind == "mp4" and name not in {"mp4", "h264-mp4"}:
        graph.say(f"{given.row.title}: the format {given['format']} is saved as H.264 in an MP4 file here.")
    loops = int(given["loop_count"])
    again = loops + 1 if kind == "gif" and loops else loops  # there a GIF was told how often it is played again
    graph.node(
        "SaveAnimation", images=given["images"], frame_rate=float(given["frame_rate"]), filename_prefix=given["filename_prefix"],
        format=kind, ping_pong=bool(given["pingpong"]), loop_count=again, save_output=bool(given["save_image"]),
    )  # fmt: skip
    return ()


FORMATS = ("image/gif", "image/webp", "video/h264-mp4", "video/h265-mp4", "video/av1-webm", "video/webm", "video/ProRes")
_MASK = socket("mask_optional", "MASK")
_OUT_VALUE, _OUT_PE = (("MULTIVAL", "MULTIVAL"),), (("PE_ADJUST", "PE_ADJUST"),)
_OUT_WEIGHT, _OUT_SETTINGS = (("WEIGHT_ADJUST", "WEIGHT_ADJUST"),), (("AD_SETTINGS", "AD_SETTINGS"),)
_PRINT, _BEFORE_PE, _BEFORE_WEIGHT = flag("print_adjustment"), socket("prev_pe_adjust", "PE_ADJUST"), socket("prev_weight_adjust", "WEIGHT_ADJUST")
_BY_HAND = (integer("cap_initial_pe_length"), integer("interpolate_pe_to_length"), integer("initial_pe_idx_offset"), integer("final_pe_idx_offset"))
_SCALE = (socket("mask_motion_scale", "MASK"), real("min_motion_scale", 1.0), real("max_motion_scale", 1.0))


def _adjust_weights(suffix: str, title: str, *parts: str) -> OldNode:
    operation, usual = ("ADD", 0.0) if suffix.endswith("Add") else ("MULT", 1.0)
    fields = tuple(real(f"{part}_{operation}", usual) for part in parts)
    return OldNode(f"ADE_AdjustWeight{suffix}", f"Adjust Weight [{title}]", (*fields, _PRINT, _BEFORE_WEIGHT), _OUT_WEIGHT, _weights)


_ATTENTION = ("pe", "attn", "attn_q", "attn_k", "attn_v", "attn_out_weight", "attn_out_bias", "other")

NODES = (
    OldNode("ADE_MultivalDynamic", "Multival", (real("float_val"), _MASK), _OUT_VALUE, _multival),
    OldNode("ADE_MultivalDynamicFloatInput", "Multival [Float List]", (
        socket("float_val", "FLOAT,FLOATS", needed=True, linked=True), _MASK), _OUT_VALUE, _multival_of_list),
    OldNode("ADE_MultivalDynamicFloats", "Multival [Floats]", (socket("floats", "FLOATS", needed=True), _MASK), _OUT_VALUE, _multival_of_list),
    OldNode("ADE_MultivalScaledMask", "Multival Scaled Mask", (
        real("min_float_val", 0.0), real("max_float_val", 1.0), socket("mask", "MASK", needed=True),
        one_of("scaling", ("absolute", "relative"))), _OUT_VALUE, _scaled_mask),
    OldNode("ADE_AnimateDiffSettings", "AnimateDiff Settings", (
        socket("pe_adjust", "PE_ADJUST"), socket("weight_adjust", "WEIGHT_ADJUST")), _OUT_SETTINGS, _settings),
    OldNode("ADE_AdjustPESweetspotStretch", "Adjust PE [Sweetspot]", (
        integer("sweetspot", 16), integer("new_sweetspot", 16), _PRINT, _BEFORE_PE), _OUT_PE, _sweetspot),
    OldNode("ADE_AdjustPEFullStretch", "Adjust PE [Full Stretch]", (integer("pe_stretch"), _PRINT, _BEFORE_PE), _OUT_PE, _full_stretch),
    OldNode("ADE_AdjustPEManual", "Adjust PE [Manual]", (*_BY_HAND, _PRINT, _BEFORE_PE), _OUT_PE, _manual),
    _adjust_weights("AllAdd", "All, Add", "all"),
    _adjust_weights("AllMult", "All, Mult", "all"),
    _adjust_weights("IndivAdd", "Indiv, Add", "pe", "attn", "other"),
    _adjust_weights("IndivMult", "Indiv, Mult", "pe", "attn", "other"),
    _adjust_weights("IndivAttnAdd", "Indiv-Attn, Add", *_ATTENTION),
    _adjust_weights("IndivAttnMult", "Indiv-Attn, Mult", *_ATTENTION),
    OldNode("ADE_AnimateDiffModelSettings_Release", "Motion Model Settings", (*_SCALE[1:], _SCALE[0]), _OUT_SETTINGS, _old_settings),
    OldNode("ADE_AnimateDiffModelSettingsSimple", "Motion Model Settings (Simple)", (integer("motion_pe_stretch"), *_SCALE), _OUT_SETTINGS, _old_settings),
    OldNode("ADE_AnimateDiffModelSettings", "Motion Model Settings (Advanced)", (
        real("pe_strength"), real("attn_strength"), real("other_strength"), integer("motion_pe_stretch"), *_BY_HAND, *_SCALE),
        _OUT_SETTINGS, _old_settings),
    OldNode("ADE_AnimateDiffModelSettingsAdvancedAttnStrengths", "Motion Model Settings (Adv. Attn)", (
        real("pe_strength"), real("attn_strength"), *(real(f"attn_{part}_strength") for part in ("q", "k", "v", "out_weight", "out_bias")),
        real("other_strength"), integer("motion_pe_stretch"), *_BY_HAND, *_SCALE), _OUT_SETTINGS, _old_settings),
    OldNode("ADE_EmptyLatentImageLarge", "Empty Latent Image (Big Batch)", (
        integer("width", 512), integer("height", 512), integer("batch_size", 1)), (("LATENT", "LATENT"),), _latent),
    OldNode("ADE_AnimateDiffUnload", "AnimateDiff Unload", (socket("model", "MODEL", needed=True),), (("MODEL", "MODEL"),), _unload),
    OldNode("ADE_AnimateDiffCombine", "AnimateDiff Combine", (
        socket("images", "IMAGE", needed=True), integer("frame_rate", 8), integer("loop_count", 0), written("filename_prefix", "AnimateDiff"),
        one_of("format", FORMATS), flag("pingpong"), flag("save_image", True)), (("GIF", "GIF"),), combined, saves=True),
)  # fmt: skip
