"""AnimateDiff-Evolved: its scheduling nodes, prompts and values over the frames."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from ....sampling.prompts.plan import BLENDS, ZEROS
from ....sampling.timeline.curve import make_curve
from ....sampling.timeline.keyframes import Keyframe
from ....sampling.timeline.text import NUMBERS, TEXTS, parse
from ..rows import (
    Given,
    Link,
    NewGraph,
    OldNode,
    curve,
    flag,
    frames_in,
    integer,
    is_link,
    one_of,
    output_of,
    socket,
    text_socket,
    written,
)

Replacements = dict[str, Any]
"""What travels on VALUES_REPLACE: names of numbers in prompts, and lists or links to them."""
LETTERS = "abcdefgh"
"""The sockets for numbers of Prompt Travel."""
INTERPOLATIONS: dict[str, str] = dict(zip(("lerp", "slerp"), BLENDS, strict=True))


# --- how many frames there are ---------------------------------------------------------------------------------------


def _frames(given: Given, text: str, kind: str, names: Collection[str] = ()) -> int:
    """``max_length``, or else up to the last frame that the text names."""
    if given["max_length"]:
        return given["max_length"]
    keyframes = parse(text, kind, names).keyframes
    positions = [position for key in keyframes for position in (key.start, key.end) if position is not None]
    if any(position.part or position.number < 0 for position in positions):
        raise ValueError(f"{given.row.title}: positions such as -1 and 0.5 need a max_length; got 0. Choose the number of frames there.")
    return 1 + max(map(_last_frame, keyframes), default=0)


def _last_frame(keyframe: Keyframe) -> int:
    ends = [int(position.number) for position in (keyframe.start, keyframe.end) if position is not None]
    return max(ends) - (keyframe.end_exclusive and min(ends) < max(ends))


def _of_latent(latent: Any) -> dict[str, Any]:
    """The length for nodes that take either; in a graph on paper the latent is a link."""
    return {"num_frames": 1, "latent": latent} if is_link(latent) else {"num_frames": frames_in(latent)}


# --- prompts ---------------------------------------------------------------------------------------------------------


def _letters(given: Given) -> dict[str, str]:
    """The sockets of Prompt Travel for the numbers that prompts name."""
    names: Replacements = given["values_replace"] or {}
    if len(names) > len(LETTERS):
        raise ValueError(f"{given.row.title}: needs at most {len(LETTERS)} names of values; got {len(names)}. Write some numbers into the prompts.")
    return dict(zip(names, LETTERS, strict=False))


def _renamed(text: Any, letters: Mapping[str, str]) -> Any:
    """A prompt whose numbers have the names of sockets."""
    if text is None or not letters:
        return "" if text is None else text
    return re.sub(r"`(\w+)`", lambda found: f"`{letters.get(found[1], found[1])}`", text)


def _travel(given: Given, graph: NewGraph, **length: Any) -> Link:
    letters = _letters(given)
    if not letters:
        graph.say(f"{given.row.title}: prompts between two keyframes are mixed evenly here; AnimateDiff-Evolved came to the second one sooner.")
    prompts, prepend, append = (_renamed(given[name], letters) for name in ("prompts", "prepend_text", "append_text"))
    return graph.node(
        "AnimateDiffPromptTravel", clip=given["clip"], prompts=prompts, prepend=prepend, append=append, easing="linear", loop=False,
        blend=given.choice("tensor_interp", INTERPOLATIONS), padding=ZEROS, **length,
        **{f"values.{letter}": given["values_replace"][name] for name, letter in letters.items()},
    )  # fmt: skip


def _prompts(given: Given, graph: NewGraph) -> Link:
    letters = _letters(given)
    return _travel(given, graph, num_frames=_frames(given, _renamed(given["prompts"], letters), TEXTS, letters.values()))


def _prompts_of_latent(given: Given, graph: NewGraph) -> tuple[Link, Any]:
    return _travel(given, graph, **_of_latent(given["latent"])), given["latent"]


def _more_values(given: Given, graph: NewGraph) -> Replacements:
    return {**(given["prev_replace"] or {}), given["value_key"]: given["floats"]}


def _prompt_of_frame(given: Given, graph: NewGraph) -> Link:
    if given["index"] < 0:
        return given["conditioning"]
    return graph.node("PromptOfFrame", conditioning=given["conditioning"], frame=given["index"])


# --- values ----------------------------------------------------------------------------------------------------------


def _values(given: Given, graph: NewGraph) -> tuple[Any, ...]:
    return _listed(given, graph, _frames(given, given["values"], NUMBERS))


def _listed(given: Given, graph: NewGraph, frames: int) -> tuple[Any, ...]:
    whole = [round(value) for value in make_curve(given["values"]).numbers(frames)]
    floats = output_of(curve(graph, given["values"], num_frames=frames), 1)
    return floats, floats, whole, whole


def _values_of_latent(given: Given, graph: NewGraph) -> tuple[Any, ...]:
    if not is_link(given["latent"]):
        return _listed(given, graph, frames_in(given["latent"]))
    floats = output_of(curve(graph, given["values"], latent=given["latent"]), 1)
    return floats, floats, None, None


# --- rows ------------------------------------------------------------------------------------------------------------

_ENCODER, _LATENT = socket("clip", "CLIP", needed=True), socket("latent", "LATENT", needed=True, linked=False)
_TEXT, _LIST = written("prompts", multiline=True), written("values", multiline=True)
_AROUND = (text_socket("prepend_text"), text_socket("append_text"), socket("values_replace", "VALUES_REPLACE"), flag("print_schedule"))
_HOW = one_of("tensor_interp", tuple(INTERPOLATIONS))
_OUT, _OUT_LISTS = ("CONDITIONING", "CONDITIONING"), tuple((kind, kind) for kind in ("FLOAT", "FLOATS", "INT", "INTS"))
_REPLACE = (("VALUES_REPLACE", "VALUES_REPLACE"),)

NODES = (
    OldNode("ADE_PromptScheduling", "Prompt Scheduling", (_TEXT, _ENCODER, *_AROUND, integer("max_length"), _HOW), (_OUT,), _prompts),
    OldNode("ADE_PromptSchedulingLatents", "Prompt Scheduling [Latents]", (_TEXT, _ENCODER, _LATENT, *_AROUND, _HOW), (
        _OUT, ("LATENT", "LATENT")), _prompts_of_latent),
    OldNode("ADE_ValueScheduling", "Value Scheduling", (_LIST, flag("print_schedule"), integer("max_length")), _OUT_LISTS, _values),
    OldNode("ADE_ValueSchedulingLatents", "Value Scheduling [Latents]", (_LIST, _LATENT, flag("print_schedule")), _OUT_LISTS, _values_of_latent),
    OldNode("ADE_ValuesReplace", "Add Values Replace", (
        written("value_key"), socket("floats", "FLOATS", needed=True), socket("prev_replace", "VALUES_REPLACE")), _REPLACE, _more_values),
    OldNode("ADE_ConditionExtraction", "Condition Step Extraction", (
        socket("conditioning", "CONDITIONING", needed=True), integer("index")), (_OUT,), _prompt_of_frame),
)  # fmt: skip
