"""Advanced-ControlNet: keyframes over steps and over frames."""

from __future__ import annotations

from typing import Any

from ....sampling.timeline.keyframes import EASINGS, STEP, eased
from ..rows import Field, Given, NewGraph, OldNode, flag, integer, is_link, one_of, real, socket, written
from .strengths import LatentKeys, TimestepKey

TimestepKeys = tuple[TimestepKey, ...]


# --- over steps ------------------------------------------------------------------------------------------------------


def _timestep(given: Given, graph: NewGraph) -> TimestepKeys:
    if int(given["guarantee_steps"]) > 1:
        graph.say(f"{given.row.title}: guarantee_steps has no effect here; a keyframe ends where the next begins.")
    return (*_before(given), _keyframe(given, given["start_percent"], given["strength"]))


def _timesteps_between(given: Given, graph: NewGraph) -> TimestepKeys:
    last = max(2, int(given["intervals"])) - 1
    return (*_before(given), *(
        _keyframe(given, _between(given, "start_percent", "end_percent", i / last),
                  _between(given, "strength_start", "strength_end", eased(i / last, str(given["interpolation"]))))
        for i in range(last + 1)
    ))  # fmt: skip


def _timesteps_of_list(given: Given, graph: NewGraph) -> TimestepKeys:
    values = _numbers(given["float_strengths"])
    shares = ((i / max(len(values) - 1, 1), value) for i, value in enumerate(values))
    keys = (_keyframe(given, _between(given, "start_percent", "end_percent", share), value) for share, value in shares)
    return (*_before(given), *keys)


def _before(given: Given) -> TimestepKeys:
    return given["prev_timestep_kf"] or ()


def _keyframe(given: Given, start: float, strength: float) -> TimestepKey:
    return TimestepKey(
        float(start), float(strength), given["latent_keyframe"], float(given["null_latent_kf_strength"]), given["mask_optional"],
        given["cn_weights"], bool(given["inherit_missing"]),
    )  # fmt: skip


def _between(given: Given, first: str, last: str, share: float) -> float:
    return given[first] + (given[last] - given[first]) * share


def _numbers(value: Any) -> list[float]:
    return [float(value)] if isinstance(value, int | float) else [float(number) for number in value]


# --- over frames -----------------------------------------------------------------------------------------------------


def _latent(given: Given, graph: NewGraph) -> LatentKeys:
    return _with((int(given["batch_index"]), float(given["strength"])), over=given["prev_latent_kf"])


def _latents_between(given: Given, graph: NewGraph) -> LatentKeys:
    first, after = int(given["batch_index_from"]), int(given["batch_index_to_excl"])
    if first > after or (first < 0 <= after):
        raise ValueError(
            f"{given.row.title} needs batch_index_from before batch_index_to_excl, and both from the start or both from the end (negative); "
            f"got {first} and {after}."
        )
    how, last = str(given["interpolation"]), max(after - first - 1, 1)
    shares = (eased(i / last, how) for i in range(after - first))
    keys = ((first + i, float(_between(given, "strength_from", "strength_to", share))) for i, share in enumerate(shares))
    return _with(*(given["prev_latent_kf"] or ()), over=tuple(keys))


def _latents_of_list(given: Given, graph: NewGraph) -> LatentKeys:
    values = given["float_strengths"]
    keys = () if isinstance(values, int | float) else tuple(enumerate(_numbers(values)))
    return _with(*(given["prev_latent_kf"] or ()), over=keys)


def _latent_group(given: Given, graph: NewGraph) -> LatentKeys:
    frames = _frames(given["latent_optional"])
    parts = (part.strip() for part in str(given["index_strengths"]).split(",") if part.strip())
    keys = [key for part in parts for key in _group_part(part, frames)]
    return _with(*(given["prev_latent_kf"] or ()), over=tuple(keys))


def _group_part(part: str, frames: int | None) -> LatentKeys:
    """``3``, ``3=0.5`` or ``2:8=0.5``, where the last frame is not included."""
    where, _, strength = (piece.strip() for piece in part.partition("="))
    try:
        value = float(strength) if strength else 1.0
        first, colon, after = where.partition(":")
        if not colon:
            return ((int(first), value),)
        span = range(int(first), int(after)) if frames is None else range(frames)[int(first) : int(after)]
    except ValueError as error:
        raise ValueError(f"Latent Keyframe Group needs parts such as 3=0.5 or 2:8=0.5, got {part}.") from error
    if frames is None and span.start < 0:
        raise ValueError(f"Latent Keyframe Group needs a latent for ranges that count from the end, such as {part}. Connect latent_optional.")
    return tuple((frame, value) for frame in span)


def _frames(latent: Any) -> int | None:
    """How many frames a latent has; None without one, or where that is not known before a run."""
    return None if latent is None or is_link(latent) else int(latent["samples"].shape[0])


def _with(*keys: tuple[int, float], over: LatentKeys | None) -> LatentKeys:
    """Keyframes in the order of their frames; ``keys`` are used in place of those of the same frames."""
    return tuple(sorted({**dict(over or ()), **dict(keys)}.items()))


_HOW = one_of("interpolation", tuple(name for name in EASINGS if name != STEP))
_BEFORE_STEP = socket("prev_timestep_kf", "TIMESTEP_KEYFRAME", "prev_timestep_keyframe")
_BEFORE_FRAME = socket("prev_latent_kf", "LATENT_KEYFRAME", "prev_latent_keyframe")
_PRINT = flag("print_keyframes")
_OTHERS = real("null_latent_kf_strength", 0.0, "default_latent_strength")
_INHERIT, _MASK = flag("inherit_missing", True), socket("mask_optional", "MASK")
_CARRIED: tuple[Field, ...] = (
    socket("cn_weights", "CONTROL_NET_WEIGHTS", "control_net_weights", "t2i_adapter_weights"), socket("latent_keyframe", "LATENT_KEYFRAME"),
)  # fmt: skip
_SPAN = (real("start_percent", 0.0), real("end_percent", 1.0))
_LIST = socket("float_strengths", "FLOAT,FLOATS", "strengths", needed=True, linked=False)
_OUT_STEPS, _OUT_FRAMES = (("TIMESTEP_KF", "TIMESTEP_KEYFRAME"),), (("LATENT_KF", "LATENT_KEYFRAME"),)

NODES = (
    OldNode("TimestepKeyframe", "Timestep Keyframe", (
        real("start_percent", 0.0), _BEFORE_STEP, real("strength"), *_CARRIED, _OTHERS, _INHERIT, integer("guarantee_steps", 1, "guarantee_usage"),
        _MASK), _OUT_STEPS, _timestep),
    OldNode("ACN_TimestepKeyframeInterpolation", "Timestep Keyframe Interp.", (
        *_SPAN, real("strength_start"), real("strength_end"), _HOW, integer("intervals", 50), _BEFORE_STEP, *_CARRIED, _OTHERS, _INHERIT, _MASK,
        _PRINT), _OUT_STEPS, _timesteps_between),
    OldNode("ACN_TimestepKeyframeFromStrengthList", "Timestep Keyframe From List", (
        _LIST, *_SPAN, _BEFORE_STEP, *_CARRIED, _OTHERS, _INHERIT, _MASK, _PRINT), _OUT_STEPS, _timesteps_of_list),
    OldNode("LatentKeyframe", "Latent Keyframe", (integer("batch_index"), real("strength"), _BEFORE_FRAME), _OUT_FRAMES, _latent),
    OldNode("LatentKeyframeTiming", "Latent Keyframe Interp.", (
        integer("batch_index_from"), integer("batch_index_to_excl", 0, "batch_index_to"), real("strength_from"), real("strength_to"), _HOW,
        _BEFORE_FRAME, _PRINT), _OUT_FRAMES, _latents_between),
    OldNode("LatentKeyframeGroup", "Latent Keyframe Group", (
        written("index_strengths", multiline=True), _BEFORE_FRAME,
        Field("latent_optional", "LATENT", also=("latent_image_opt",), linked=False), _PRINT), _OUT_FRAMES, _latent_group),
    OldNode("LatentKeyframeBatchedGroup", "Latent Keyframe From List", (_LIST, _BEFORE_FRAME, _PRINT), _OUT_FRAMES, _latents_of_list),
)  # fmt: skip
