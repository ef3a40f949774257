"""Prompt travel: prompts that apply to some frames and turn into one another between them.

``travel`` makes a CONDITIONING with an embedding per frame, token embeddings and pooled output alike, so any sampler, SD1.5
and SDXL, windows and ControlNets take it, and another one of what prompts say after ``--neg``. Called by ``nodes.schedule``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..host.controls import Conditioning
from ..host.sample import CLIP, HookGroup, ProgressBar, stop_if_interrupted, with_prompt_hooks
from ..timeline.errors import TimelineError
from .embeddings import interpolated, same_length
from .plan import Mix, Prompt, Travel, TravelOptions, describe_travel, distinct, plan

MASK_SIDE = 8
"""Side of the masks that share frames among LoRA hooks; the host scales them."""

Encoded = list[Any]
"""What the host makes of a prompt: ``[embedding, options]``, several where the text encoder changes over the steps."""


def _encode(clip: CLIP, hooks: Mapping[int, HookGroup], plan_: Travel) -> dict[Prompt, Encoded]:
    """What each distinct prompt that a frame sees encodes to."""
    encoders = {0: clip}
    for key in dict.fromkeys(number for found in plan_.blends for number in found[:2]):
        keyframe = plan_.keys[key].keyframe
        if keyframe.hooks not in encoders:
            if keyframe.hooks not in hooks:
                message = f"hooks {keyframe.hooks} is not connected. Connect LoRA hooks to the socket hooks_{keyframe.hooks}."
                raise TimelineError(message, plan_.timeline.text, keyframe.offset)
            encoders[keyframe.hooks] = with_prompt_hooks(clip, hooks[keyframe.hooks])
    prompts = distinct([*plan_.positive, *plan_.negative])
    bar, known = ProgressBar(len(prompts)), dict[Prompt, Encoded]()
    for done, prompt in enumerate(prompts):
        stop_if_interrupted()
        encoder = encoders[prompt.hooks]
        known[prompt] = encoder.encode_from_tokens_scheduled(encoder.tokenize(prompt.text), show_pbar=False)
        bar.update_absolute(done + 1)
    return known


def _rows(found: Mapping[Prompt, Tensor], mixes: Sequence[Mix], how: str) -> Tensor:
    """What each frame sees of the prompts in ``found``, ``(F, ...)``. Frames outside get an arbitrary row; their mask is 0."""
    rows, anything = [], next(iter(found))
    for a, b, t in mixes:
        if a in found and b in found:
            rows.append(found[a] if t == 0 else interpolated(found[a], found[b], t, how))
        else:
            rows.append(found[next((prompt for prompt in (a, b) if prompt in found), anything)])
    return torch.cat(rows)


def _share(hooks: int, mixes: Sequence[Mix]) -> Tensor:
    """``(F, H, W)``: how much each frame sees of the prompts with these hooks."""
    shares = [(a.hooks == hooks) * (1 - t) + (b.hooks == hooks) * t for a, b, t in mixes]
    return torch.tensor(shares, dtype=torch.float32)[:, None, None].repeat(1, MASK_SIDE, MASK_SIDE)


def _conditioning(mixes: Sequence[Mix], encoded: Mapping[Prompt, Encoded], options: TravelOptions) -> Conditioning:
    """The embeddings that each frame sees; those under different LoRA hooks apart, shared by masks."""
    used = distinct(mixes)
    if len(used) == 1:  # nothing changes
        return encoded[used[0]]
    sets: dict[int, list[Prompt]] = {}
    for prompt in used:
        sets.setdefault(prompt.hooks, []).append(prompt)
    conditioning = []
    for hooks, prompts in sets.items():
        for part, (_, given) in enumerate(encoded[prompts[0]]):
            entry = dict(given)
            lengths = same_length({prompt: encoded[prompt][part][0] for prompt in prompts}, options.padding)
            tokens = _rows(lengths, mixes, options.blend)
            if given.get("pooled_output") is not None:
                pooled = {prompt: encoded[prompt][part][1]["pooled_output"] for prompt in prompts}
                entry["pooled_output"] = _rows(pooled, mixes, options.blend)
            if len(sets) > 1:
                entry["mask"] = _share(hooks, mixes)
            conditioning.append([tokens, entry])
    return conditioning


def frame_of(conditioning: Conditioning, index: int) -> Conditioning:
    """What one frame sees of a CONDITIONING with an embedding per frame; one for all frames is returned as it is.

    Raises:
        ValueError: a frame that it does not have.
    """
    frames = max((tokens.shape[0] for tokens, _ in conditioning), default=1)
    if frames > 1 and not 0 <= index < frames:
        raise ValueError(f"Needed a frame from 0 to {frames - 1}; got {index}. Choose one that these prompts have.")

    def of_frame(value: Any) -> Any:
        many = isinstance(value, Tensor) and value.ndim > 0 and value.shape[0] == frames > 1
        return value[index : index + 1] if many else value

    return [[of_frame(tokens), {name: of_frame(value) for name, value in given.items()}] for tokens, given in conditioning]


class Travelled(NamedTuple):
    """CONDITIONING of an animation, that of the negative parts of its prompts, and what applies where, in words."""

    positive: Conditioning
    negative: Conditioning
    summary: str


def travel(
    clip: CLIP | None, text: str, frames: int, options: TravelOptions = TravelOptions(), hooks: Mapping[int, HookGroup] | None = None
) -> Travelled:
    """Prompts -> CONDITIONING for an animation of ``frames``; each distinct prompt is encoded once.

    Args:
        hooks: LoRA hooks by the number that keyframes name. Frames under different hooks are shared by masks, and evaluated
            once for each of them.

    Raises:
        TimelineError: in the text, with line and column; hooks that are not connected.
        ValueError: a checkpoint without a text encoder; a value that is no number per frame.
    """
    if clip is None:
        raise ValueError("Needed a CLIP, got none: the checkpoint has no text encoder. Connect that of another loader.")
    plan_ = plan(text, frames, options)
    encoded = _encode(clip, hooks or {}, plan_)
    positive, negative = (_conditioning(mixes, encoded, options) for mixes in (plan_.positive, plan_.negative))
    return Travelled(positive, negative, describe_travel(plan_))
