"""Prompts laid out on an animation: which texts each frame sees, and what is shown of it in words. No tensors, no host."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from ..timeline.curve import Strength, per_frame
from ..timeline.errors import TimelineError
from ..timeline.expression import FRAME, LAST, plain_name
from ..timeline.keyframes import LINEAR, Blend, Keyframe, Stretch, Timeline, blend, laid_out
from ..timeline.template import Template, filled, read_template, split_negative
from ..timeline.text import TEXTS, parse

SPHERICAL = "spherical"
BLENDS = ("linear", SPHERICAL)
SPACES = "spaces"
JOINTS = ("commas", SPACES)
ZEROS = "zeros"
PADDINGS = ("repeat", ZEROS)


@dataclass(frozen=True)
class TravelOptions:
    """How prompts become embeddings per frame.

    Attributes:
        prepend, append: text around every prompt.
        easing: from keyframe to keyframe, where a keyframe does not say.
        loop: the last prompt turns into the first.
        blend: one of ``BLENDS``: along the straight line between two embeddings, or keeping their length.
        joint: one of ``JOINTS``: what stands between a prompt and the text around it.
        padding: one of ``PADDINGS``: how embeddings of several lengths come to one.
        start_frame: the frame of the timeline that is the first of this animation.
        timeline_frames: length of the whole timeline; 0 if it ends with this animation.
        values: what expressions in prompts may name; curves over frames.
    """

    prepend: str = ""
    append: str = ""
    easing: str = LINEAR
    loop: bool = False
    blend: str = BLENDS[0]
    joint: str = JOINTS[0]
    padding: str = PADDINGS[0]
    start_frame: int = 0
    timeline_frames: int = 0
    values: Mapping[str, Strength] = field(default_factory=dict[str, Strength])


class Prompt(NamedTuple):
    """A text and the number of its LoRA hooks; 0 is none."""

    text: str
    hooks: int


class Mix(NamedTuple):
    """What one frame sees: prompt ``a``, on the way to ``b`` by the share ``t``."""

    a: Prompt
    b: Prompt
    t: float


class Travel(NamedTuple):
    """Prompts laid out on an animation.

    Attributes:
        total: length of the timeline.
        start: the frame of the timeline that is the first of the animation.
        blends: the keyframes that apply in each frame.
        positive, negative: what each frame sees.
    """

    timeline: Timeline
    total: int
    start: int
    keys: list[Stretch]
    blends: list[Blend]
    positive: list[Mix]
    negative: list[Mix]


def plan(text: str, frames: int, options: TravelOptions) -> Travel:
    """Lay the prompts of a text out on an animation. Raises TimelineError, with line and column."""
    total, start = options.timeline_frames or options.start_frame + frames, options.start_frame
    values = {plain_name(name): per_frame(value, max(total, start + frames)) for name, value in options.values.items()}
    for where, around in (("prepend", options.prepend), ("append", options.append)):
        _check_around(where, around, values)
    timeline = parse(text, TEXTS, values)
    keys = laid_out(timeline, total)
    shown = range(start, start + frames)
    blends = [blend(keys, i % total if options.loop else i, options.easing, float(total) if options.loop else None) for i in shown]
    pairs = [_templates(timeline, key.keyframe, options, values) for key in keys]
    known = [{FRAME: float(i), LAST: total - 1.0, **{name: value[i] for name, value in values.items()}} for i in shown]

    def mixes(part: int) -> list[Mix]:
        return [_mix(found, keys, [pair[part] for pair in pairs], names) for found, names in zip(blends, known, strict=True)]

    return Travel(timeline, total, start, keys, blends, mixes(0), mixes(1))


def _mix(found: Blend, keys: Sequence[Stretch], templates: Sequence[Template], names: Mapping[str, float]) -> Mix:
    a, b = (Prompt(filled(templates[key], names), keys[key].keyframe.hooks) for key in found[:2])
    return Mix(a, b, found.t if a != b else 0.0)


def _check_around(where: str, text: str, names: Collection[str]) -> None:
    """Refuse what is wrong in the text around prompts; prompts themselves are checked when the timeline is read."""
    try:
        split_negative(text, text, 0)
        read_template(text, names, text, 0)
    except TimelineError as error:
        raise TimelineError(f"in {where}: {error.reason}", text, error.offset) from None


def _templates(timeline: Timeline, keyframe: Keyframe, options: TravelOptions, names: Collection[str]) -> tuple[Template, Template]:
    """The whole prompt of a keyframe, and its negative part."""
    texts = (options.prepend, timeline.head, str(keyframe.value), timeline.tail, options.append)
    sides = zip(*(split_negative(text, text, 0) for text in texts), strict=True)
    positive, negative = (_joined(side, options.joint) for side in sides)
    source, at = timeline.text, keyframe.offset
    return read_template(positive, names, source, at, exact=False), read_template(negative, names, source, at, exact=False)


def _joined(parts: Sequence[str], joint: str) -> str:
    """Texts as one prompt, with one comma or one space between two; a single text is returned unchanged."""
    given = [part for part in parts if part.strip()]
    if len(given) == 1:
        return given[0]
    return " ".join(given) if joint == SPACES else ", ".join(part.strip(" ,\n\t") for part in given)


def distinct(mixes: Sequence[Mix]) -> list[Prompt]:
    """The prompts that frames see, in their order."""
    return list(dict.fromkeys(prompt for mix in mixes for prompt in mix[:2]))


# --- in words --------------------------------------------------------------------------------------------------------


def _named(keyframe: Keyframe) -> str:
    value = str(keyframe.value) or "(no prompt)"
    short = value if len(value) < 50 else f"{value[:47]}..."
    return f"{short} [hooks {keyframe.hooks}]" if keyframe.hooks else short


def describe_travel(plan_: Travel) -> str:
    """A line for every stretch of frames: its prompt, or the two between which it lies."""
    frames, start = len(plan_.blends), plan_.start
    count = len(distinct(plan_.positive))
    from_frame = f" from {start} of {plan_.total}" if (start, plan_.total) != (0, frames) else ""
    lines = [f"{frames} frames{from_frame}, {count} prompt{'s' * (count > 1)}"]
    around = [text for text in (plan_.timeline.head, plan_.timeline.tail) if text]
    lines += [f"with every prompt: {text}" for text in around]
    for (a, b), group in groupby(range(frames), key=lambda i: plan_.blends[i][:2]):
        stretch = list(group)
        ends = dict.fromkeys((stretch[0] + start, stretch[-1] + start))
        names = " > ".join(_named(plan_.keys[key].keyframe) for key in dict.fromkeys((a, b)))
        lines.append(f"{'-'.join(map(str, ends))}: {names}")
    beyond = [key.keyframe.start for key in plan_.keys if key.first >= plan_.total]
    lines += [f"{position} lies after the last frame, {plan_.total - 1}" for position in beyond]
    return "\n".join(lines)
