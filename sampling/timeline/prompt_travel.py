"""Prompt travel: prompts that apply to some frames and turn into one another between them.

``travel`` makes a CONDITIONING with an embedding per frame, token embeddings and pooled output alike, so any sampler, SD1.5
and SDXL, windows and ControlNets take it. Called by ``nodes.schedule``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..host.controls import Conditioning
from ..host.sample import CLIP, HookGroup, ProgressBar, stop_if_interrupted, with_prompt_hooks
from .keyframes import LINEAR, Blend, Keyframe, Stretch, Timeline, TimelineError, blend, laid_out
from .text import TEXTS, parse

SPHERICAL = "spherical"
BLENDS = ("linear", SPHERICAL)
MASK_SIDE = 8
"""Side of the masks that share frames among LoRA hooks; the host scales them."""
LONGEST = 4
"""How many times the longest prompt embeddings are at most repeated to."""


@dataclass(frozen=True)
class TravelOptions:
    """How prompts become embeddings per frame.

    Attributes:
        prepend, append: text around every prompt.
        easing: from keyframe to keyframe, where a keyframe does not say.
        loop: the last prompt turns into the first.
        blend: one of ``BLENDS``: along the straight line between two embeddings, or keeping their length.
    """

    prepend: str = ""
    append: str = ""
    easing: str = LINEAR
    loop: bool = False
    blend: str = BLENDS[0]


class Travel(NamedTuple):
    """Prompts laid out on an animation: each keyframe's whole prompt, and what applies in each frame."""

    timeline: Timeline
    keys: list[Stretch]
    prompts: list[str]
    blends: list[Blend]

    @property
    def used(self) -> list[int]:
        """The keyframes that any frame sees."""
        return sorted({number for found in self.blends for number in found[:2]})

    def hooks(self, key: int) -> int:
        return self.keys[key].keyframe.hooks


def plan(text: str, frames: int, options: TravelOptions) -> Travel:
    """Lay the prompts of a text out on an animation. Raises TimelineError, with line and column."""
    timeline = parse(text, TEXTS)
    keys = laid_out(timeline, frames)
    period = float(frames) if options.loop else None
    blends = [blend(keys, i, options.easing, period) for i in range(frames)]
    parts = [(options.prepend, timeline.head, str(key.keyframe.value), timeline.tail, options.append) for key in keys]
    return Travel(timeline, keys, [_joined(part) for part in parts], blends)


def _joined(parts: tuple[str, ...]) -> str:
    """Texts as one prompt, with one comma between two; a single text is returned unchanged."""
    given = [part for part in parts if part.strip()]
    return given[0] if len(given) == 1 else ", ".join(part.strip(" ,\n\t") for part in given)


# --- encoding --------------------------------------------------------------------------------------------------------

Encoded = list[Any]
"""What the host makes of a prompt: ``[embedding, options]``, several where the text encoder changes over the steps."""


def _encode(clip: CLIP, hooks: Mapping[int, HookGroup], plan_: Travel) -> dict[int, Encoded]:
    """What each used keyframe's prompt encodes to; each distinct prompt is encoded once."""
    known: dict[tuple[str, int], Encoded] = {}
    encoders = {0: clip}
    bar = ProgressBar(len(plan_.used))
    for done, key in enumerate(plan_.used):
        number, keyframe = plan_.hooks(key), plan_.keys[key].keyframe
        if number not in encoders:
            if number not in hooks:
                message = f"hooks {number} is not connected. Connect LoRA hooks to the socket hooks_{number}."
                raise TimelineError(message, plan_.timeline.text, keyframe.offset)
            encoders[number] = with_prompt_hooks(clip, hooks[number])
        prompt = (plan_.prompts[key], number)
        if prompt not in known:
            stop_if_interrupted()
            known[prompt] = encoders[number].encode_from_tokens_scheduled(encoders[number].tokenize(prompt[0]), show_pbar=False)
        bar.update_absolute(done + 1)
    return {key: known[plan_.prompts[key], plan_.hooks(key)] for key in plan_.used}


def same_length(embeddings: Mapping[int, Tensor]) -> dict[int, Tensor]:
    """Token embeddings ``(1, T, C)`` of several lengths at one length, by repeating them.

    Cross-attention to a prompt repeated k times equals attention to it once; the host does the same.
    """
    lengths = [embedding.shape[1] for embedding in embeddings.values()]
    length = math.lcm(*lengths)
    if length > LONGEST * max(lengths):  # parts of tokens count a little more then
        length = max(lengths)
    return {key: e.repeat(1, math.ceil(length / e.shape[1]), 1)[:, :length] for key, e in embeddings.items()}


def interpolated(a: Tensor, b: Tensor, t: float, how: str) -> Tensor:
    """``a`` on the way to ``b`` by the share ``t``, over the last axis.

    Source of the spherical way: Shoemake 1985, section 3.3, on vectors of their own length.
    """
    if how != SPHERICAL:
        return torch.lerp(a, b, t)
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=-1).clamp(-1, 1).unsqueeze(-1)
    angle = cosine.acos()
    arc = (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / angle.sin().clamp(min=1e-6)
    return torch.where(angle.sin() < 1e-3, torch.lerp(a, b, t), arc)


def _per_frame(found: Mapping[int, Tensor], plan_: Travel, how: str) -> Tensor:
    """What each frame sees of the keyframes in ``found``, ``(F, ...)``. Frames outside get an arbitrary row; their mask is 0."""
    rows, anything = [], next(iter(found))
    for a, b, t in plan_.blends:
        if a in found and b in found:
            rows.append(found[a] if t == 0 else interpolated(found[a], found[b], t, how))
        else:
            rows.append(found[next((key for key in (a, b) if key in found), anything)])
    return torch.cat(rows)


def _share(numbers: set[int], plan_: Travel) -> Tensor:
    """``(F, H, W)``: how much each frame sees of some keyframes."""
    shares = [(a in numbers) * (1 - t) + (b in numbers) * t for a, b, t in plan_.blends]
    return torch.tensor(shares, dtype=torch.float32)[:, None, None].repeat(1, MASK_SIDE, MASK_SIDE)


def travel(
    clip: CLIP | None, text: str, frames: int, options: TravelOptions = TravelOptions(), hooks: Mapping[int, HookGroup] | None = None
) -> tuple[Conditioning, str]:
    """Prompts -> CONDITIONING for an animation of ``frames``, and which prompt applies to which frames, in words.

    Args:
        hooks: LoRA hooks by the number that keyframes name. Frames under different hooks are shared by masks, and evaluated
            once for each of them.

    Raises:
        TimelineError: in the text, with line and column; hooks that are not connected.
        ValueError: a checkpoint without a text encoder.
    """
    if clip is None:
        raise ValueError("Needed a CLIP, got none: the checkpoint has no text encoder. Connect that of another loader.")
    plan_ = plan(text, frames, options)
    encoded = _encode(clip, hooks or {}, plan_)
    if len(plan_.used) == 1:  # nothing changes
        return encoded[plan_.used[0]], describe_travel(plan_)
    sets: dict[int, list[int]] = {}
    for key in plan_.used:
        sets.setdefault(plan_.hooks(key), []).append(key)
    conditioning = []
    for keys in sets.values():
        for part, (_, given) in enumerate(encoded[keys[0]]):
            entry = dict(given)
            tokens = _per_frame(same_length({key: encoded[key][part][0] for key in keys}), plan_, options.blend)
            if given.get("pooled_output") is not None:
                pooled = {key: encoded[key][part][1]["pooled_output"] for key in keys}
                entry["pooled_output"] = _per_frame(pooled, plan_, options.blend)
            if len(sets) > 1:
                entry["mask"] = _share(set(keys), plan_)
            conditioning.append([tokens, entry])
    return conditioning, describe_travel(plan_)


# --- in words --------------------------------------------------------------------------------------------------------


def _named(keyframe: Keyframe) -> str:
    value = str(keyframe.value) or "(no prompt)"
    short = value if len(value) < 50 else f"{value[:47]}..."
    return f"{short} [hooks {keyframe.hooks}]" if keyframe.hooks else short


def describe_travel(plan_: Travel) -> str:
    """A line for every stretch of frames: its prompt, or the two between which it lies."""
    frames = len(plan_.blends)
    count = len({(plan_.prompts[key], plan_.hooks(key)) for key in plan_.used})
    lines = [f"{frames} frames, {count} prompt{'s' * (count > 1)}"]
    around = [text for text in (plan_.timeline.head, plan_.timeline.tail) if text]
    lines += [f"with every prompt: {text}" for text in around]
    for (a, b), group in groupby(range(frames), key=lambda i: plan_.blends[i][:2]):
        stretch = list(group)
        where = str(stretch[0]) if len(stretch) == 1 else f"{stretch[0]}-{stretch[-1]}"
        names = " > ".join(_named(plan_.keys[key].keyframe) for key in dict.fromkeys((a, b)))
        lines.append(f"{where}: {names}")
    beyond = [key.keyframe.start for key in plan_.keys if key.first >= frames]
    lines += [f"{position} lies after the last frame, {frames - 1}" for position in beyond]
    return "\n".join(lines)
