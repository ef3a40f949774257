"""Socket types, the menu category, and the inputs that nodes have in common. Used by every file of nodes.

Helpers write an input's range, and its unit where it has one, after the tooltip; no tooltip has them by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comfy_api.latest import io, ui

from ..sampling.host.files import OutputFile

CATEGORY = "AnimateDiff"
TRAINING = f"{CATEGORY}/training"
MotionModuleSocket = io.Custom("ANIMATEDIFF_MODULE")
ContextOptionsSocket = io.Custom("ANIMATEDIFF_CONTEXT")
ValueCurveSocket = io.Custom("ANIMATEDIFF_CURVE")
FloatsSocket = io.Custom("FLOATS")
"""Lists of numbers, as the host's hook keyframes and other packs name them."""

NumberOrCurve = Any
"""What arrives from a ``strength_input``: a number, a curve, or a list of one number per frame."""


def text(lines: str) -> ui.PreviewText:
    """What a node shows on itself after it ran."""
    return ui.PreviewText(lines)


def text_and_picture(lines: str, picture: io.Image.Type, node: type[io.ComfyNode]) -> dict[str, Any]:
    """What a node shows on itself after it ran: lines and a picture."""
    return {**text(lines).as_dict(), **ui.PreviewImage(picture, cls=node).as_dict()}


def played(file: OutputFile) -> ui.SavedImages:
    """A file that plays on the node. The front end takes what is called animated for a video unless it is a WEBP.

    A GIF is therefore not called animated; ``web/save_animation.js`` lets it move.
    """
    folder = io.FolderType.output if file.kept else io.FolderType.temp
    saved = ui.SavedResult(file.filename, file.subfolder, folder)
    return ui.SavedImages([saved], is_animated=file.path.suffix != ".gif")


def played_with_text(file: OutputFile, lines: str) -> dict[str, Any]:
    """A file that plays on the node, and what the node found."""
    return {**played(file).as_dict(), **text(lines).as_dict()}


def graph_of(hidden: io.HiddenHolder | None) -> dict[str, Any]:
    """What a saved file remembers: the workflow and what else the front end sends for it, and the prompt."""
    if hidden is None:
        return {}
    return {**(hidden.extra_pnginfo or {}), **({"prompt": hidden.prompt} if hidden.prompt is not None else {})}


# --- numbers ---------------------------------------------------------------------------------------------------------


def _with_range(tooltip: str, low: float, high: float, unit: str = "") -> str:
    return f"{tooltip} Range {low:.10g} to {high:.10g} {unit}".rstrip() + "."


def _only_true(advanced: bool) -> Any:
    """The host leaves None out of what it tells a browser, but not False."""
    return advanced or None


def number(
    name: str,
    default: float,
    low: float,
    high: float,
    tooltip: str,
    *,
    unit: str = "",
    step: float = 0.01,
    advanced: bool = False,
    optional: bool = False,
) -> io.Float.Input:
    """A field for any number of ``unit``. Optional ones may be missing from a prompt: those that a node gained."""
    tooltip, shown = _with_range(tooltip, low, high, unit), _only_true(advanced)
    return io.Float.Input(
        name, optional=optional, default=default, min=low, max=high, step=step, tooltip=tooltip, advanced=shown
    )


def share(name: str, default: float, tooltip: str, *, advanced: bool = False, optional: bool = False) -> io.Float.Input:
    """A part of a whole, from 0 to 1."""
    return number(name, default, 0.0, 1.0, tooltip, advanced=advanced, optional=optional)


def strength_input(
    name: str, default: float, low: float, high: float, tooltip: str, *, step: float = 0.01
) -> io.MultiType.Input:
    """A field for a number, whose socket also takes a curve or a list of numbers; see ``NumberOrCurve``."""
    field = number(name, default, low, high, f"{tooltip} Takes a number or a curve.", step=step)
    return io.MultiType.Input(field, [ValueCurveSocket, FloatsSocket])


def start_percent_input(tooltip: str, *, advanced: bool = False) -> io.Float.Input:
    """When something begins, as a part of the sampling run from 0 to 1."""
    tooltip = f"{tooltip} 0.0 is the first step."
    return number("start_percent", 0.0, 0.0, 1.0, tooltip, step=0.001, advanced=advanced)


def percent_range(what: str, *, advanced: bool = False) -> tuple[io.Float.Input, io.Float.Input]:
    """``start_percent`` and ``end_percent``: during which part of the sampling run ``what`` acts."""
    end = f"Where in the sampling run {what} stops. 1.0 is the last step."
    return (
        start_percent_input(f"Where in the sampling run {what} starts.", advanced=advanced),
        number("end_percent", 1.0, 0.0, 1.0, end, step=0.001, advanced=advanced),
    )


def count(
    name: str,
    default: int,
    low: int,
    high: int,
    tooltip: str,
    *,
    unit: str = "",
    advanced: bool = False,
    optional: bool = False,
) -> io.Int.Input:
    """A field for a whole number of ``unit``, from ``low`` to ``high``; ``optional`` where saved prompts may lack it."""
    tooltip, shown = _with_range(tooltip, low, high, unit), _only_true(advanced)
    return io.Int.Input(name, optional=optional, default=default, min=low, max=high, tooltip=tooltip, advanced=shown)


def num_frames_input(default: int, tooltip: str = "Length of the animation.") -> io.Int.Input:
    """How many frames an animation has."""
    return count("num_frames", default, 1, 4096, tooltip, unit="frames")


def latent_length_input() -> io.Latent.Input:
    """A latent that says how many frames there are."""
    return io.Latent.Input("latent", optional=True, tooltip="Its number of frames is taken in place of num_frames.")


def frames_of(num_frames: int, latent: dict[str, Any] | None) -> int:
    """How many frames a node is to work for, see ``latent_length_input``."""
    return num_frames if latent is None else latent["samples"].shape[0]


def seed_input(name: str, *, changes: bool = True) -> io.Int.Input:
    """A seed; the host may change it after each run, unless ``changes`` is False: with another one a training would begin anew."""
    tooltip = "Starting point of the noise; the same seed gives the same result. Range 0 to 2^64 - 1."
    return io.Int.Input(name, default=0, min=0, max=2**64 - 1, control_after_generate=changes, tooltip=tooltip)


# --- choices and sockets ---------------------------------------------------------------------------------------------


def choice(
    name: str, options: Sequence[str], default: str, tooltip: str, *, advanced: bool = False, optional: bool = False
) -> io.Combo.Input:
    """A list to choose one of; ``optional`` where saved prompts may lack it."""
    shown = _only_true(advanced)
    return io.Combo.Input(name, optional=optional, options=list(options), default=default, tooltip=tooltip, advanced=shown)


def model_input(
    tooltip: str = "A MODEL whose latent batch is an animation, with or without a motion module.",
) -> io.Model.Input:
    """The MODEL that a node puts something on."""
    return io.Model.Input("model", tooltip=tooltip)


def model_output(what: str) -> io.Model.Output:
    """The MODEL with what a node put on it, in the words ``what``."""
    return io.Model.Output("model", tooltip=f"The {what}. The MODEL given is not changed.")


def conditioning_inputs(
    positive: str = "What the animation shows.", negative: str = "What to keep out of the animation."
) -> tuple[io.Conditioning.Input, io.Conditioning.Input]:
    """The two prompts."""
    return io.Conditioning.Input("positive", tooltip=positive), io.Conditioning.Input("negative", tooltip=negative)


def conditioning_outputs(tooltip: str) -> list[io.Output]:
    """The two prompts with what a node put on them."""
    return [io.Conditioning.Output(name, tooltip=tooltip) for name in ("positive", "negative")]


def context_options_input() -> Any:
    """Context windows for nodes that animate a MODEL; may be left open."""
    tooltip = "Windows for more frames than the module was trained on, from Context Window Options."
    return ContextOptionsSocket.Input("context_options", optional=True, tooltip=tooltip)


def region_mask(name: str, what: str, *, advanced: bool = False) -> io.Mask.Input:
    """A mask that multiplies ``what`` per frame and region; may be left open."""
    tooltip = f"Multiplies the {what} per frame and region of the picture. One mask for all frames, or one for each."
    return io.Mask.Input(name, optional=True, tooltip=_with_range(tooltip, 0, 1), advanced=_only_true(advanced))
