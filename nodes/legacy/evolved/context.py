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


class ViewOptions(NamedTuple):
    """What travels on VIEW_OPTS."""

    schedule: str
    length: int
    overlap: int
    fuse: str
    stride: int = 1
    closed_loop: bool = False
    on_equal_length: bool = False


def fuse_method(given: Given, graph: NewGraph, default: str) -> str:
    """How overlapping windows are averaged, in our words."""
    found = given.choice("fuse_method", FUSE) if given["fuse_method"] is not None else default
    if not found:
        graph.say(f"{given.row.title}: the fuse method {given['fuse_method']} has no equal here; pyramid is used.")
    return found or "pyramid"


def context_windows(graph: NewGraph, given: Given, schedule: str, fuse: str, **more: Any) -> Link:
    """Context Window Options from the fields of an old node; those it has not are as they were there."""
    has = {field.name for field in given.row.fields}

    def field(name: str, default: Any) -> Any:
        return given[name] if name in has else default

    length = max(1, int(given["context_length"]))
    inputs = {
        "context_length": length,
        "context_overlap": min(int(field("context_overlap", 0)), length - 1),
        "context_schedule": schedule,
        "fuse_method": fuse,
        "freenoise": False,
        "views": False,
        "context_stride": int(field("context_stride", 1)),
        "closed_loop": bool(field("closed_loop", False)),
        "start_percent": 0.0,
        "use_on_equal_length": EQUAL_LENGTH[bool(field("use_on_equal_length", False))],
    }
    return graph.node("ContextWindowOptions", **{**inputs, **more})


def _options(schedule: str, default_fuse: str) -> Any:
    def expand(given: Given, graph: NewGraph) -> Link:
        has = {field.name for field in given.row.fields}
        fuse = fuse_method(given, graph, default_fuse) if "fuse_method" in has else default_fuse
        more = _after(given, graph)
        views: ViewOptions | None = given["view_opts"] if "view_opts" in has else None
        if views is not None:
            graph.say(
                f"{given.row.title}: views inside context windows are not done together here; the animation is evaluated in views of "
                f"{views.length} frames, and whole in the image model."
            )
            return _viewed(graph, views, **more)
        return context_windows(graph, given, schedule, fuse, **more)

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


def _viewed(graph: NewGraph, views: ViewOptions, **more: Any) -> Link:
    inputs = {
        "context_length": views.length,
        "context_overlap": min(views.overlap, views.length - 1),
        "context_schedule": views.schedule,
        "fuse_method": views.fuse,
        "freenoise": False,
        "views": True,
        "context_stride": views.stride,
        "closed_loop": views.closed_loop,
        "start_percent": 0.0,
        "use_on_equal_length": EQUAL_LENGTH[views.on_equal_length],
    }
    return graph.node("ContextWindowOptions", **{**inputs, **more})


def _views_only(given: Given, graph: NewGraph) -> Link:
    return _viewed(graph, given["view_opts_req"], **_after(given, graph))


def _views(schedule: str) -> Any:
    def expand(given: Given, graph: NewGraph) -> ViewOptions:
        has = {field.name for field in given.row.fields}
        fuse = fuse_method(given, graph, "pyramid" if schedule != LOOPED else "flat")
        stride = int(given["view_stride"]) if "view_stride" in has else 1
        looped = (bool(given["closed_loop"]), bool(given["use_on_equal_length"])) if "closed_loop" in has else (False, False)
        return ViewOptions(schedule, max(1, int(given["view_length"])), int(given["view_overlap"]), fuse, stride, *looped)

    return expand


def _extras(given: Given, graph: NewGraph) -> Link:
    if given["context_extras"] is not None:
        graph.say("Set Context Extras: ContextRef and NaiveReuse have no equal here; the context options are used without them.")
    return given["context_opts"]


def _no_extras(given: Given, graph: NewGraph) -> tuple[()]:
    return ()


def _preview(given: Given, graph: NewGraph) -> Link:
    has = {field.name for field in given.row.fields}
    steps = int(given["steps"]) if "steps" in has else 20
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
        _LENGTH, _STRIDE, _OVERLAP, one_of("context_schedule", ("uniform",)), _LOOP, _fuse("flat"), *_LATER), _OUT, _options(LOOPED, "flat")),
    OldNode("ADE_LoopedUniformContextOptions", "Context Options: Looped Uniform", (
        _LENGTH, _STRIDE, _OVERLAP, _LOOP, Field("fuse_method", "COMBO", "pyramid", "flat", FUSE_METHODS_OF_OLD), *_LATER),
        _OUT, _options(LOOPED, "flat")),
    OldNode("ADE_StandardUniformContextOptions", "Context Options: Standard Uniform", (
        _LENGTH, _STRIDE, _OVERLAP, _fuse("pyramid"), *_LATER), _OUT, _options(UNIFORM, "pyramid")),
    OldNode("ADE_StandardStaticContextOptions", "Context Options: Standard Static", (
        _LENGTH, _OVERLAP, _fuse("pyramid"), *_LATER), _OUT, _options(STATIC, "pyramid")),
    OldNode("ADE_BatchedContextOptions", "Context Options: Batched", (
        _LENGTH, real("start_percent", 0.0), integer("guarantee_steps", 1), socket("prev_context", "CONTEXT_OPTIONS")),
        _OUT, _options(BATCHED, "flat")),
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
