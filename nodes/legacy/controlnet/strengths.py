"""Advanced-ControlNet: how strongly a control acts over frames, steps, regions and blocks, and what becomes of it here.

``stages`` lays timestep keyframes out on a run, and ``factor_of`` makes a Value Curve of one stage. Weights that are the same in all
blocks, or scaled from block to block, are done, and so is a number for the negative prompt. Other weights per block have no equal
here; ``say_of_weights`` says so where they are used.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ..rows import Link, NewGraph, curve

LatentKeys = tuple[tuple[int, float], ...]
"""What travels on LATENT_KEYFRAME: strengths of single frames; negative ones count from the end."""


class Extras(NamedTuple):
    """What travels on CN_WEIGHTS_EXTRAS: multipliers of the middle block, and of what SparseCtrl does."""

    middle: float = 1.0
    hinted: float = 1.0
    unhinted: float = 1.0
    presence: float = 1.0

    @property
    def for_sparse(self) -> bool:
        """Whether there are multipliers for SparseCtrl."""
        return self[1:] != (1.0, 1.0, 1.0)


class Weights(NamedTuple):
    """What travels on CONTROL_NET_WEIGHTS.

    Attributes:
        title: of the old node.
        factor: multiplies all blocks.
        falloff: multiplies a block once more the further it is from the middle of the UNet.
        uneven: the blocks have weights of their own, which are not done.
        negative: multiplies all blocks for the negative prompt.
    """

    title: str
    factor: float = 1.0
    falloff: float = 1.0
    uneven: bool = False
    negative: float = 1.0
    extras: Extras = Extras()


def say_of_weights(graph: NewGraph, weights: Weights | None, *, sparse: bool = False) -> None:
    """Tell the user what is not done; ``sparse`` where multipliers for SparseCtrl are."""
    if weights is None:
        return
    if weights.uneven or weights.extras.middle != 1.0:
        graph.say(
            f"{weights.title}: a weight of its own for each block has no equal here; all blocks count alike. Where details follow the control "
            "too closely, lower block_falloff of Apply Control Curve."
        )
    if weights.extras.for_sparse and not sparse:
        graph.say("SparseCtrl Weight Extras has an effect here only where it is connected to Load SparseCtrl Model, or its values are.")


class TimestepKey(NamedTuple):
    """An item of what travels on TIMESTEP_KEYFRAME.

    Attributes:
        latents: strengths of single frames, and ``others`` that of all frames that are not among them.
        inherits: latents and weights that it has not are those of the keyframe before.
    """

    start: float
    strength: float = 1.0
    latents: LatentKeys | None = None
    others: float = 0.0
    mask: Link | None = None
    weights: Weights | None = None
    inherits: bool = True


class Stage(NamedTuple):
    """A part of a sampling run in which the same frames, regions and blocks count.

    Attributes:
        strengths: from which part of the run on, and how much.
    """

    start: float
    strengths: tuple[tuple[float, float], ...]
    latents: LatentKeys | None = None
    others: float = 0.0
    mask: Link | None = None
    weights: Weights | None = None

    @property
    def is_silent(self) -> bool:
        """Whether it adds nothing at all."""
        return all(strength == 0 for _, strength in self.strengths)


def stages(keys: Iterable[TimestepKey] | None, latents: LatentKeys | None = None, weights: Weights | None = None) -> list[Stage]:
    """A whole run as its keyframes say; ``latents`` and ``weights``, where given, are used in place of theirs."""
    found = [Stage(0.0, ((0.0, 1.0),), latents, 0.0, None, weights)]
    for key in sorted(keys or (), key=lambda key: key.start):
        before = found[-1]
        kept = before if key.inherits else Stage(0.0, ())
        after = Stage(
            key.start, ((key.start, key.strength),),
            next((found for found in (latents, key.latents) if found is not None), kept.latents),
            key.others, before.mask if key.mask is None else key.mask, weights or key.weights or kept.weights,
        )  # fmt: skip
        if before.strengths[0][0] == key.start:
            found[-1:] = [after]
        elif _alike(before, after):
            found[-1] = before._replace(strengths=(*before.strengths, *after.strengths))
        else:
            found.append(after)
    return found


def _alike(one: Stage, other: Stage) -> bool:
    """Whether two stages differ in nothing but their strength."""
    same = (one.latents, one.mask, one.weights) == (other.latents, other.mask, other.weights)
    return same and (one.latents is None or one.others == other.others)


def inputs_of(graph: NewGraph, stage: Stage, mask: Link | None = None, span: tuple[float, float] | None = None) -> dict[str, Any]:
    """Inputs of Apply Control Curve or Set Control Curve for a stage; none where it needs neither. See ``factor_of``."""
    strength, falloff = factor_of(graph, stage, mask, span), stage.weights.falloff if stage.weights else 1.0
    if strength is None and falloff == 1.0:
        return {}
    return {"strength": 1.0 if strength is None else strength, "block_falloff": falloff}


def factor_of(graph: NewGraph, stage: Stage, mask: Link | None = None, span: tuple[float, float] | None = None) -> Any:
    """What multiplies a control in a stage: a number, a link to a curve, or None for nothing.

    Args:
        mask: another region, for the whole run.
        span: from when until when it acts, where that is not set elsewhere.
    """
    lines, made = _over_steps(stage, span), None
    whole = stage.weights.factor if stage.weights else 1.0
    if len(set(lines.values())) == 1:
        whole *= stage.strengths[0][1]
    else:
        made = curve(graph, "\n".join(f"{start}% step: {strength:.10g}" for start, strength in lines.items()), over="steps")
    for region in (stage.mask, mask):
        if region is not None:
            made = curve(graph, "1", mask=region, times=made)
    if stage.latents is not None:
        longest = max((abs(frame) + 1 for frame, _ in stage.latents), default=1)
        text = _over_frames(dict(stage.latents), stage.others)
        made = curve(graph, text, num_frames=max(16, min(longest, 4096)), times=made)
    if whole == 1.0:
        return made
    return whole if made is None else curve(graph, f"{whole:.10g}", times=made)


def _over_steps(stage: Stage, span: tuple[float, float] | None) -> dict[str, float]:
    """Strengths by the percent of the run from which they hold."""
    start, end = span or (0.0, 1.0)
    lines: dict[float, float] = {0.0: stage.strengths[0][1]}
    lines |= dict(stage.strengths)
    if start > 0:
        at_start = [strength for begins, strength in lines.items() if begins <= start][-1]
        lines = {0.0: 0.0, start: at_start, **{begins: strength for begins, strength in lines.items() if begins > start}}
    if end < 1:  # the end itself belongs to the span
        lines = {begins: strength for begins, strength in lines.items() if begins <= end} | {end + BEFORE_NEXT: 0.0}
    return {f"{100 * begins:.6f}": strength for begins, strength in lines.items()}


BEFORE_NEXT = 1e-5
"""Of a run: more than single precision rounds by, and less than any step."""


def _over_frames(strengths: dict[int, float], others: float) -> str:
    """Keyframes that are held, or a list where no frame counts from the end."""
    if not any(frame < 0 for frame in strengths):
        values = [strengths.get(frame, others) for frame in range(max(strengths, default=-1) + 1)]
        return ", ".join(f"{value:.10g}" for value in (*values, others))
    ends = {frame + 1 for frame in strengths if frame != -1} | {0}
    lines = dict.fromkeys(sorted(ends - strengths.keys()), others) | dict(sorted(strengths.items()))
    return "\n".join(f"{frame} step: {value:.10g}" for frame, value in lines.items())
