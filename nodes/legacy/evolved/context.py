"""AnimateDiff-Evolved: context options and view options."""

from __future__ import annotations

from typing import Any, NamedTuple

from ....sampling.run.sample import SAMPLERS, SCHEDULERS
from ..rows import Field, Given, Link, NewGraph, OldNode, flag, integer, one_of, real, socket

STATIC, UNIFORM, LOOPED, BATCHED = "standard_static", "standard_uniform", "looped_uniform", "batched"
"""Schedules of Context Window Options."""
FUSE = {
    "pyramid": "pyramid",
    "relative": "relative",
    "flat": "flat",
    "overlap-linear": "overlap-linear",
    "delayed reverse sawtooth": "",
    "pyramid-sigma": "",
    "pyramid-sigma inverse": "",
    "gauss-sigma": "",
    "gauss-sigma inverse": "",
    "random": "",
}
"""Fuse methods there and here; those it calls experimental have no equal."""


EQUAL_LENGTH = {False: "never", True: "always"}
"""Whether windows are used where the animation is as long as one, in words of Context Window Options."""


class OldWindows(NamedTuple):
    """Windows as an old node asks for them; what travels on VIEW_OPTS."""

    schedule: str
    length: int
    overlap: int
    fuse: str
    stride: int = 1
    closed_loop: bool = False
    on_equal_length: bool = False


def fuse_method(given: Given, graph: NewGraph) -> str:
    """How overlapping windows are averaged, in our words. Old nodes without a choice had flat."""
    if "fuse_method" not in given:
        return "flat"
    found = given.choice("fuse_method", FUSE)
    if not found:
        graph.say(f"{given.row.title}: the fuse method {given['fuse_method']} has no equal here; pyramid is used.")
    return found or "pyramid"


def asked_windows(given: Given, graph: NewGraph, schedule: str, fields: str = "context") -> OldWindows:
    """The windows that an old node's fields ask for; those that it has not are as they were there."""
    return OldWindows(
        schedule,
        max(1, int(given[f"{fields}_length"])),
        int(given.get(f"{fields}_overlap", 0)),
        fuse_method(given, graph),
        int(given.get(f"{fields}_stride", 1)),
        bool(given.get("closed_loop", False)),
        bool(given.get("use_on_equal_length", False)),
    )


def window_options(graph: NewGraph, windows: OldWindows, **more: Any) -> Link:
    """Context Window Options, whose other inputs are named in ``more``."""
    inputs = {
        "context_length": windows.length,
        "context_overlap": min(windows.overlap, windows.length - 1),
        "context_schedule": windows.schedule,
        "fuse_method": windows.fuse,
        "freenoise": False,
        "views": False,
        "context_stride": windows.stride,
        "closed_loop": windows.closed_loop,
        "start_percent": 0.0,
        "use_on_equal_length": EQUAL_LENGTH[windows.on_equal_length],
    }
    return graph.node("ContextWindowOptions", **{**inputs, **more})


def _options(schedule: str) -> Any:
    def expand(given: Given, graph: NewGraph) -> Link:
        windows, more = asked_windows(given, graph, schedule), _after(given, graph)
        views: OldWindows | None = given.get("view_opts")
        if views is None:
            return window_options(graph, windows, **more)
        graph.say(
            f"{given.row.title}: views inside context windows are not done together here; the animation is evaluated in views of "
            f"{views.length} frames, and whole in the image model."
        )
        return window_options(graph, views, views=True, **more)

    return expand


def _after(given: Given, graph: NewGraph) -> dict[str, Any]:
    """Inputs of Context Window Options for options that hold before these.

    There the earliest options hold from the beginning, whenever they start, and of several that start at 0 the last that was added.
    """
    previous, start = given["prev_context"], given["start_percent"]
    if previous is None or start == 0:
        return {}
    if given["guarantee_steps"] != 1:
        graph.say(f"{given.row.title}: guarantee_steps has no effect here.")
    return {"previous_options": previous, "start_percent": start}


def _views_only(given: Given, graph: NewGraph) -> Link:
    return window_options(graph, given["view_opts_req"], views=True, **_after(given, graph))


def _views(schedule: str) -> Any:
    def expand(given: Given, graph: NewGraph) -> OldWindows:
        return asked_windows(given, graph, schedule, "view")

    return expand


def _extras(given: Given, graph: NewGraph) -> Link:
    if given["context_extras"] is not None:
        graph.say("Set Context Extras: ContextRef and NaiveReuse have no equal here; the context options are used without them.")
    return given["context_opts"]


def _no_extras(given: Given, graph: NewGraph) -> tuple[()]:
    return ()


def _preview(given: Given, graph: NewGraph) -> Link:
    steps = int(given.get("steps", 20))
    options = given["context_opts"]
    if options is None:
        raise ValueError(f"{given.row.title} needs context options; connect some, or remove it.")
    return graph.node("PreviewContextWindows", context_options=options, num_frames=int(given["latents_length"]), steps=max(1, steps))


FUSE_METHODS_OF_OLD = tuple(FUSE)
_LENGTH, _OVERLAP, _STRIDE = integer("context_length", 16), integer("context_overlap", 4), integer("context_stride", 1)
_LATER: tuple[Field, ...] = (
    flag("use_on_equal_length"), real("start_percent", 0.0), integer("guarantee_steps", 1), socket("prev_context", "CONTEXT_OPTIONS"),
    socket("view_opts", "VIEW_OPTS"),
)  # fmt: skip
_OUT = (("CONTEXT_OPTS", "CONTEXT_OPTIONS"),)
_LOOP = flag("closed_loop")
_VIEW = (integer("view_length", 16), integer("view_overlap", 4))
_SAMPLER = (one_of("sampler_name", SAMPLERS, "euler"), one_of("scheduler", SCHEDULERS, "normal"))
_WIDTH = (integer("visual_width", 1440), integer("latents_length", 32))
_EXTRA = socket("prev_extras", "CONTEXT_EXTRAS")


def _fuse(default: str) -> Field:
    return one_of("fuse_method", FUSE_METHODS_OF_OLD, default)


NODES = (
    OldNode("ADE_AnimateDiffUniformContextOptions", "Context Options: Looped Uniform (first version)", (
        _LENGTH, _STRIDE, _OVERLAP, one_of("context_schedule", ("uniform",)), _LOOP, _fuse("flat"), *_LATER), _OUT, _options(LOOPED)),
    OldNode("ADE_LoopedUniformContextOptions", "Context Options: Looped Uniform", (
        _LENGTH, _STRIDE, _OVERLAP, _LOOP, Field("fuse_method", "COMBO", "pyramid", "flat", FUSE_METHODS_OF_OLD), *_LATER),
        _OUT, _options(LOOPED)),
    OldNode("ADE_StandardUniformContextOptions", "Context Options: Standard Uniform", (
        _LENGTH, _STRIDE, _OVERLAP, _fuse("pyramid"), *_LATER), _OUT, _options(UNIFORM)),
    OldNode("ADE_StandardStaticContextOptions", "Context Options: Standard Static", (
        _LENGTH, _OVERLAP, _fuse("pyramid"), *_LATER), _OUT, _options(STATIC)),
    OldNode("ADE_BatchedContextOptions", "Context Options: Batched", (
        _LENGTH, real("start_percent", 0.0), integer("guarantee_steps", 1), socket("prev_context", "CONTEXT_OPTIONS")),
        _OUT, _options(BATCHED)),
    OldNode("ADE_ViewsOnlyContextOptions", "Context Options: Views Only", (
        socket("view_opts_req", "VIEW_OPTS", needed=True), real("start_percent", 0.0), integer("guarantee_steps", 1),
        socket("prev_context", "CONTEXT_OPTIONS")), _OUT, _views_only),
    OldNode("ADE_StandardStaticViewOptions", "View Options: Standard Static", (*_VIEW, _fuse("pyramid")),
            (("VIEW_OPTS", "VIEW_OPTS"),), _views(STATIC)),
    OldNode("ADE_StandardUniformViewOptions", "View Options: Standard Uniform", (
        _VIEW[0], integer("view_stride", 1), _VIEW[1], _fuse("pyramid")), (("VIEW_OPTS", "VIEW_OPTS"),), _views(UNIFORM)),
    OldNode("ADE_LoopedUniformViewOptions", "View Options: Looped Uniform", (
        _VIEW[0], integer("view_stride", 1), _VIEW[1], _LOOP, _fuse("pyramid"), flag("use_on_equal_length")),
        (("VIEW_OPTS", "VIEW_OPTS"),), _views(LOOPED)),
    OldNode("ADE_ContextExtras_Set", "Set Context Extras", (
        socket("context_opts", "CONTEXT_OPTIONS", needed=True), socket("context_extras", "CONTEXT_EXTRAS")), _OUT, _extras),
    OldNode("ADE_ContextExtras_ContextRef", "Context Extras: ContextRef", (
        _EXTRA, socket("strength_multival", "MULTIVAL"), socket("contextref_mode", "CONTEXTREF_MODE"),
        socket("contextref_tune", "CONTEXTREF_TUNE"), socket("contextref_kf", "CONTEXTREF_KEYFRAME"), real("start_percent", 0.0),
        real("end_percent", 0.25)), (("CONTEXT_EXTRAS", "CONTEXT_EXTRAS"),), _no_extras),
    OldNode("ADE_ContextExtras_NaiveReuse", "Context Extras: NaiveReuse", (
        _EXTRA, socket("strength_multival", "MULTIVAL"), socket("naivereuse_kf", "NAIVEREUSE_KEYFRAME"), real("start_percent", 0.0),
        real("end_percent", 0.15), real("weighted_mean", 0.95)), (("CONTEXT_EXTRAS", "CONTEXT_EXTRAS"),), _no_extras),
    OldNode("ADE_VisualizeContextOptionsK", "Visualize Context Options (K.)", (
        socket("model", "MODEL"), *_SAMPLER, socket("context_opts", "CONTEXT_OPTIONS"), *_WIDTH, integer("steps", 20),
        real("denoise", 1.0)), (("IMAGE", "IMAGE"),), _preview),
    OldNode("ADE_VisualizeContextOptionsKAdv", "Visualize Context Options (K.Adv.)", (
        socket("model", "MODEL"), *_SAMPLER, socket("context_opts", "CONTEXT_OPTIONS"), *_WIDTH, integer("steps", 20),
        integer("start_step", 0), integer("end_step", 20)), (("IMAGE", "IMAGE"),), _preview),
    OldNode("ADE_VisualizeContextOptionsSCustom", "Visualize Context Options (S.Cus.)", (
        socket("model", "MODEL"), socket("sigmas", "SIGMAS"), socket("context_opts", "CONTEXT_OPTIONS"), *_WIDTH),
        (("IMAGE", "IMAGE"),), _preview),
)  # fmt: skip
