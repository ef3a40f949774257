"""FizzNodes: prompts and values over the frames, from texts such as ``"0": "a cat", "8": "a dog"``.

Its fields were texts and numbers until April 2024 and are sockets since then; rows have them as fields, in the order of the older
files. ``web/old_graphs.js`` brings the values of saved graphs into that order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...sampling.prompts.plan import SPACES, ZEROS, Mix, Travel, TravelOptions, plan
from ...sampling.timeline.curve import as_strength, make_curve
from ...sampling.timeline.expression import LAST
from .rows import (
    Field,
    Given,
    Link,
    NewGraph,
    OldNode,
    curve,
    flag,
    frames_in,
    integer,
    is_link,
    output_of,
    real,
    socket,
    text_socket,
    written,
)

Texts = tuple[Any, Any, Any]
"""Prompts of all keyframes, the text before each and after each; links to them in a graph on paper."""
_LETTERS = tuple("abcd")
_NO_END = -1
"""``end_frame`` of files from the time when there was none: ``start_frame`` made the animation longer then, and cut nothing."""


@dataclass(frozen=True)
class _Part:
    """The frames of a timeline that a node makes prompts for.

    Attributes:
        shown: how many, or a link to that number.
        total: length of the timeline; 0 if it ends with them.
        latent: a LATENT with as many frames, in place of ``shown``.
    """

    start: int = 0
    shown: Any = 1
    total: Any = 0
    latent: Link | None = None


def _part(frames: Any, start: int, end: int) -> _Part:
    """The part from ``start`` up to ``end`` (0: all the rest) of a timeline of ``frames``."""
    if not start and end <= 0:
        return _Part(shown=frames)
    if end < 0:
        return _Part(shown=frames + start)
    end = min(end, frames) if end else frames
    start = start if start < end else 0
    return _Part(start, end - start, frames)


def _one_frame(given: Given) -> _Part:
    frames = max(int(given["max_frames"]), 1)
    return _Part(given["current_frame"] % frames, 1, frames)


def _all_frames(given: Given) -> _Part:
    return _part(given["max_frames"], given["start_frame"], given["end_frame"])


def _of_latents(given: Given, start: int, texts: Texts) -> _Part:
    """As many frames as ``num_latents`` has. In a graph on paper that is a link, and only the start or a given end can be cut off.

    Raises:
        ValueError: what depends on the number of latents, on paper.
    """
    latents, end = given["num_latents"], given["end_frame"]
    if not is_link(latents):
        return _part(frames_in(latents), start, end)
    last_is_named = any(not isinstance(text, str) or LAST in text for text in texts)
    if (start and not end) or ((start or end > 0) and last_is_named):
        raise ValueError("its part from start_frame to end_frame depends on the number of latents, which is not known before a run")
    if end > 0:
        start = start if start < end else 0
        return _Part(start, end - start)
    return _Part(latent=latents)


# --- prompts ---------------------------------------------------------------------------------------------------------


def _travel(given: Given, graph: NewGraph, part: _Part, texts: Texts) -> tuple[Link, Link]:
    """Prompt Travel, and its two outputs."""
    text, before, after = texts
    weights = {letter: given[f"pw_{letter}"] for letter in _LETTERS if _is_used(given, letter, texts)}
    made = graph.node(
        "AnimateDiffPromptTravel", clip=given["clip"], prompts=text, num_frames=part.shown, prepend=before, append=after,
        easing="linear", loop=False, blend="linear", latent=part.latent, start_frame=part.start, timeline_frames=part.total, joint=SPACES,
        padding=ZEROS, **{f"values.{letter}": _as_link(graph, weight) for letter, weight in weights.items()},
    )  # fmt: skip
    return made, output_of(made, 1)


def _as_link(graph: NewGraph, weight: Any) -> Any:
    """A number for a socket that has no field."""
    return graph.node("PrimitiveFloat", value=float(weight)) if isinstance(weight, int | float) else weight


def _is_used(given: Given, letter: str, texts: Texts) -> bool:
    """Whether an expression may need a weight; 0 is needed only where a text names it."""
    return given[f"pw_{letter}"] != 0 or not all(isinstance(text, str) and f"pw_{letter}" not in text for text in texts)


def _texts(given: Given) -> Texts:
    return given["text"], given["pre_text"], given["app_text"]


def _prompts(given: Given, graph: NewGraph) -> tuple[Link, Link]:
    return _travel(given, graph, _all_frames(given), _texts(given))


def _prompts_of_latents(given: Given, graph: NewGraph) -> tuple[Any, ...]:
    texts = _texts(given)
    return (*_travel(given, graph, _of_latents(given, given["start_frame"], texts), texts), given["num_latents"])


def _prompt(given: Given, graph: NewGraph) -> tuple[Link, Link]:
    return _travel(given, graph, _one_frame(given), _texts(given))


def _end_of_flow(given: Given, graph: NewGraph) -> tuple[Link, Link]:
    text, *around = _texts(given)
    return _travel(given, graph, _one_frame(given), ("" if text is None else text.strip(","), *around))


def _flow(given: Given, graph: NewGraph) -> tuple[int, str]:
    before, after = given["max_frames"], given["max_frames"] + given["num_frames"]
    earlier = given["in_text"].rstrip(",")
    keyframe = f'"{after if before else 0}": "{given["text"]}"'
    return after, f"{earlier}, {keyframe}" if earlier else keyframe


def _for_both_encoders(given: Given, graph: NewGraph) -> Texts:
    """The texts of SDXL: those of the larger text encoder."""
    texts, others = ((given[f"text_{side}"], given[f"pre_text_{side.upper()}"], given[f"app_text_{side.upper()}"]) for side in "gl")
    if any(other not in ("", text) for other, text in zip(others, texts, strict=True)):
        graph.say(f"{given.row.title}: text_l has no effect; both text encoders read text_g.")
    return texts


def _large_prompts(given: Given, graph: NewGraph) -> tuple[Link, Link]:
    return _travel(given, graph, _all_frames(given), _for_both_encoders(given, graph))


def _large_prompts_of_latents(given: Given, graph: NewGraph) -> tuple[Any, ...]:
    texts = _for_both_encoders(given, graph)
    return (*_travel(given, graph, _of_latents(given, 0, texts), texts), given["num_latents"])


def _large_prompt(given: Given, graph: NewGraph) -> tuple[Link, Link]:
    graph.say(f"{given.row.title}: width, height, crop and target have no effect; the checkpoint takes them to be 768.")
    return _travel(given, graph, _one_frame(given), _for_both_encoders(given, graph))


# --- texts -----------------------------------------------------------------------------------------------------------


def _planned(given: Given, part: _Part) -> Travel:
    text, before, after = _texts(given)
    values = {letter: as_strength(given[f"pw_{letter}"]) for letter in _LETTERS}
    options = TravelOptions(before, after, joint=SPACES, start_frame=part.start, timeline_frames=part.total, values=values)
    return plan(text, part.shown, options)


def _string(given: Given, graph: NewGraph) -> tuple[Link, Link]:
    planned = _planned(given, _one_frame(given))
    positive, negative = (graph.node("PrimitiveStringMultiline", value=mixes[0].a.text) for mixes in (planned.positive, planned.negative))
    return positive, negative


def _strings(given: Given, graph: NewGraph) -> tuple[list[str], list[str]]:
    planned = _planned(given, _Part(shown=given["max_frames"]))

    def shown(mixes: list[Mix]) -> list[str]:
        return [mix.a.text for mix in mixes]

    return shown(planned.positive), shown(planned.negative)


# --- values ----------------------------------------------------------------------------------------------------------


def _value(given: Given, graph: NewGraph) -> tuple[float, int]:
    part = _one_frame(given)
    value = make_curve(given["text"], within=part.total).numbers(part.total)[part.start]
    return value, int(value)


def _values(given: Given, graph: NewGraph, frames: int) -> tuple[Link, list[int]]:
    """A Value Curve with the numbers of all frames, and the whole numbers. Nothing moves towards keyframes after the last frame."""
    every, inside = make_curve(given["text"]), make_curve(given["text"], within=frames)
    numbers = inside.numbers(frames)
    same = every.timeline.keyframes == inside.timeline.keyframes
    made = curve(graph, given["text"] if same else ", ".join(map(repr, numbers)), num_frames=frames)
    return output_of(made, 1), [int(value) for value in numbers]


def _batch_of_values(given: Given, graph: NewGraph) -> tuple[Link, list[int]]:
    return _values(given, graph, given["max_frames"])


def _values_of_latents(given: Given, graph: NewGraph) -> tuple[Any, ...]:
    latents = given["num_latents"]
    if not is_link(latents):
        return (*_values(given, graph, frames_in(latents)), latents)
    graph.say(f"{given.row.title}: where keyframes lie after the last frame, values move towards them.")
    return output_of(curve(graph, given["text"], latent=latents), 1), None, latents


# --- rows ------------------------------------------------------------------------------------------------------------


def _weights(*, linked: bool) -> tuple[Field, ...]:
    return tuple(real(f"pw_{letter}", 0.0, linked=linked) for letter in _LETTERS)


def _around(*names: str) -> tuple[Field, ...]:
    return tuple(written(name, multiline=True) for name in names)


_PROMPTS = "\n".join(f'"{frame}" :"",' for frame in (0, *range(11, 120, 12)))
_NUMBERS = "\n".join(f"{frame}:(0)," for frame in (0, *range(11, 120, 12)))
_TEXT, _VALUES = written("text", _PROMPTS, multiline=True), written("text", _NUMBERS, multiline=True)
_ENCODER, _LATENTS = socket("clip", "CLIP", needed=True), socket("num_latents", "LATENT", needed=True, linked=False)
_FRAMES, _FRAME, _PRINT = integer("max_frames", 120), integer("current_frame"), flag("print_output")
_AROUND, _CUT = _around("pre_text", "app_text"), (integer("start_frame"), integer("end_frame", _NO_END))
_LINKED, _KNOWN = _weights(linked=True), _weights(linked=False)
_SIZES = (
    integer("width", 1024), integer("height", 1024), integer("crop_w"), integer("crop_h"), integer("target_width", 1024),
    integer("target_height", 1024),
)  # fmt: skip
_LARGE = (*_SIZES, written("text_g", multiline=True), _ENCODER, written("text_l", multiline=True))
_AROUND_LARGE = _around("pre_text_G", "app_text_G", "pre_text_L", "app_text_L")
_OUT = (("POS", "CONDITIONING"), ("NEG", "CONDITIONING"))
_OUT_LATENTS = (*_OUT, ("INPUT_LATENTS", "LATENT"))
_OUT_TEXTS, _OUT_NUMBERS = (("POS", "STRING"), ("NEG", "STRING")), (("FLOAT", "FLOAT"), ("INT", "INT"))

NODES = (
    OldNode("BatchPromptSchedule", "Batch Prompt Schedule", (_TEXT, _ENCODER, _FRAMES, _PRINT, *_AROUND, *_CUT, *_LINKED), _OUT, _prompts),
    OldNode("BatchPromptScheduleLatentInput", "Batch Prompt Schedule (Latent Input)", (
        _TEXT, _ENCODER, _LATENTS, _PRINT, *_AROUND, *_CUT, *_LINKED), _OUT_LATENTS, _prompts_of_latents),
    OldNode("PromptSchedule", "Prompt Schedule", (_TEXT, _ENCODER, _FRAMES, _FRAME, _PRINT, *_AROUND, *_LINKED), _OUT, _prompt),
    OldNode("PromptScheduleNodeFlow", "Prompt Schedule NodeFlow", (
        written("text", multiline=True), integer("num_frames", 24), written("in_text"), integer("max_frames")),
        (("INT", "INT"), ("STRING", "STRING")), _flow),
    OldNode("PromptScheduleNodeFlowEnd", "Prompt Schedule NodeFlow End", (
        text_socket("text"), _ENCODER, integer("max_frames"), _PRINT, _FRAME, *_AROUND, *_LINKED), _OUT, _end_of_flow),
    OldNode("StringSchedule", "String Schedule", (_TEXT, _FRAMES, _FRAME, _PRINT, *_AROUND, *_KNOWN), _OUT_TEXTS, _string),
    OldNode("BatchStringSchedule", "Batch String Schedule", (_TEXT, _FRAMES, _PRINT, *_AROUND, *_KNOWN), _OUT_TEXTS, _strings),
    OldNode("ValueSchedule", "Value Schedule", (_VALUES, _FRAMES, _FRAME, _PRINT), _OUT_NUMBERS, _value),
    OldNode("BatchValueSchedule", "Batch Value Schedule", (_VALUES, _FRAMES, _PRINT), _OUT_NUMBERS, _batch_of_values),
    OldNode("BatchValueScheduleLatentInput", "Batch Value Schedule (Latent Input)", (_VALUES, _LATENTS, _PRINT), (
        *_OUT_NUMBERS, ("LATENT", "LATENT")), _values_of_latents),
    OldNode("PromptScheduleEncodeSDXL", "Prompt Schedule SDXL", (
        *_LARGE, _FRAMES, _FRAME, _PRINT, *_AROUND_LARGE, *_LINKED), _OUT, _large_prompt),
    OldNode("BatchPromptScheduleEncodeSDXL", "Batch Prompt Schedule SDXL", (
        *_LARGE, _FRAMES, _PRINT, *_AROUND_LARGE, *_LINKED, *_CUT), _OUT, _large_prompts),
    OldNode("BatchPromptScheduleSDXLLatentInput", "Batch Prompt Schedule SDXL (Latent Input)", (
        *_LARGE, _LATENTS, _PRINT, *_AROUND_LARGE, *_LINKED, *_CUT), _OUT_LATENTS, _large_prompts_of_latents),
)  # fmt: skip
