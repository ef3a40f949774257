"""What every stage asks of its clips, and the run that they have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from ...motion.lora import original_lora_key
from ...sampling.host.controls import Conditioning
from ...sampling.host.memory import ModelPatcher
from ...sampling.modules.settings import family_of, settings_of
from ..host.copies import tensors_of
from ..host.guider import Clips, Evaluation, run_training
from ..loop.problem import ClipProblem, Seen
from ..loop.processes import Processes
from ..loop.run import Conditions, Loop
from ..loop.settings import TrainingSettings
from ..loop.state import digest_of, fingerprint, state_file
from ..loop.watch import Keeping, Trained, Watch


@dataclass(frozen=True)
class Run:
    """How a stage is run; the defaults are a training in memory that nobody watches.

    Attributes:
        untold: CONDITIONING of an empty prompt, for caption dropout.
        watch: told of each step.
        keeping: where the state is kept.
        processes: those that share the work.
    """

    untold: Conditioning | None = None
    watch: Watch = field(default_factory=Watch)
    keeping: Keeping = field(default_factory=Keeping)
    processes: Processes = field(default_factory=Processes)


def clips_of(latents: Sequence[Tensor], positive: Sequence[Conditioning], untold: Conditioning | None, positions: int = 0) -> Clips:
    """Clips and their captions, checked. One caption is that of all clips.

    Args:
        latents: ``(F, C, h, w)`` each.
        positions: the most frames a clip may have, 0 for any number; clips need two frames where it is given.

    Raises:
        ValueError: no clips, clips of a wrong length or shape, or not as many captions.
    """
    if not latents:
        raise ValueError("Needed clips to train on, got none. Connect latents with one list item per clip.")
    for number, clip in enumerate(latents):
        if clip.ndim != 4:
            raise ValueError(
                f"Needed clips of the shape (frames, channels, height, width), clip {number + 1} is {tuple(clip.shape)}. Use latents "
                "of an image model, one list item per clip."
            )
        if positions and clip.shape[0] < 2:
            raise ValueError(
                f"Clip {number + 1} has {clip.shape[0]} frame, motion needs at least 2. One list item of latents is one clip: make sure "
                "that the frames of a clip come as one batch."
            )
        if positions and clip.shape[0] > positions:
            raise ValueError(
                f"The motion module has {positions} positions, clip {number + 1} has {clip.shape[0]} frames. Cut the clips to "
                f"{positions} frames or less; 16 is what the public modules were trained on."
            )
    captions = list(positive) * len(latents) if len(positive) == 1 else list(positive)
    if len(captions) != len(latents):
        raise ValueError(
            f"Needed one caption per clip, got {len(captions)} captions for {len(latents)} clips. Give one for each, or one for all."
        )
    return Clips(list(latents), captions, untold)


def warn_of_short_clips(motion: ModelPatcher, clips: Clips, run: Run) -> None:
    """Tell of clips that are shorter than those an ANIMATEDIFF_MODULE was trained on."""
    name, trained, shortest = settings_of(motion).name, family_of(motion).frames, min(len(clip) for clip in clips.latents)
    if shortest < trained:
        run.watch.warn(
            f"{name} was trained on clips of {trained} frames, the shortest one here has {shortest}. What is learnt from it fits animations "
            f"of {shortest} frames; use clips of {trained} for others."
        )


def settings_for(settings: TrainingSettings, untold: Conditioning | None) -> TrainingSettings:
    """Settings without caption dropout where there is no empty prompt."""
    return settings if untold is not None else replace(settings, caption_dropout=0.0)


def train(
    stage: str,
    model: ModelPatcher,
    clips: Clips,
    settings: TrainingSettings,
    run: Run,
    parameters: Callable[[], dict[str, nn.Parameter]],
    seen: Seen = Seen(),
) -> Trained:
    """Run the loop on a private MODEL; the tensors that come back are named as ``parameters``, asked for when all is loaded.

    Args:
        stage: and everything about it that must not change when it goes on.
        seen: what of a clip is evaluated, and how.
    """
    if settings.caption_dropout and clips.untold is None:
        run.watch.warn("caption_dropout does nothing without an empty prompt. Give one, or set caption_dropout to 0.")
    settings = settings_for(settings, clips.untold)
    if settings.reversal and seen.act is None:
        raise ValueError(f"reversal is for motion LoRAs, which can act at strength -1; got {settings.reversal:g}. Set it to 0.")
    captions = ((str(number), part[0]) for number, prompt in enumerate(clips.prompts) for part in prompt)
    given = {"captions": digest_of(captions), "models": digest_of(tensors_of(model))}
    if seen.strengths:
        given["strengths"] = digest_of((str(clip), torch.tensor(strength)) for clip, strength in enumerate(seen.strengths))
    marks = fingerprint(settings, clips.latents, stage, run.processes.count, given)
    keeping = run.keeping
    if keeping.file is None and keeping.folder is not None:
        keeping = replace(keeping, file=state_file(keeping.folder, marks))
    conditions = Conditions(settings, run.watch, keeping, marks, run.processes)
    loops: list[Loop] = []

    def inside(evaluation: Evaluation) -> None:
        loops.append(Loop(ClipProblem(evaluation, settings, parameters(), seen), conditions))
        loops[0].run()

    run_training(model, clips, settings.gradient_checkpointing, inside)
    loop = loops[0]
    return Trained(loop.weights, loop.losses, loop.step, tuple(loop.notes))


def as_lora(trained: Trained, parameters: Mapping[str, str], rank: int) -> Trained:
    """Halves of low-rank changes as a file in the authors' spelling. Its alpha is its rank, as for readers that know of none.

    Args:
        parameters: the name of the changed weight for the name of each change; halves are ``<change>.down.weight`` and ``.up.weight``.
    """
    halves = {f"{change}.{side}.weight": original_lora_key(name, side) for change, name in parameters.items() for side in ("down", "up")}
    tensors = {halves[key]: tensor for key, tensor in trained.tensors.items()}
    return as_file(replace(trained, tensors=tensors), {}, {"rank": str(rank), "alpha": str(float(rank))})


def check_rank(rank: int) -> None:
    """Raise ValueError for a rank that no such file has."""
    if not 1 <= rank <= 128:
        raise ValueError(f"rank must be 1 to 128, got {rank}. The public motion LoRAs have 64, the domain adapter 128.")


def as_file(trained: Trained, tables: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Trained:
    """What was trained together with what was not, as the file that it becomes."""
    with torch.no_grad():
        rest = {key: table.detach().to("cpu", torch.float32, copy=True) for key, table in tables.items()}
    notes = {"format": "pt", "training_steps": str(trained.steps), **metadata}
    return replace(trained, tensors={**trained.tensors, **rest}, metadata=notes)
