"""Who watches a training: told of each step, and asked whether to go on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Progress:
    """What is told after a step.

    Attributes:
        step: steps done, from 1.
        steps: in all.
        loss: mean over the clips of the step.
        by_noise: the mean loss by quarter of the noise levels, little noise first; None where the step had no such clip.
    """

    step: int
    steps: int
    loss: float
    by_noise: tuple[float | None, ...]


class Watch:
    """Watches nothing and never stops; override what you need.

    Attributes:
        look_every: steps from one ``look`` to the next, 0 for never.
    """

    look_every = 0

    def after_step(self, progress: Progress) -> None:
        """Called after each step."""

    def stops(self) -> bool:
        """Asked before each clip: whether to end the training here. What was reached is saved and returned."""
        return False

    def look(self, step: int, model: Any) -> None:
        """Called every ``look_every`` steps with the MODEL as it is, which can be sampled with."""

    def warn(self, sentence: str) -> None:
        """Told of what does not end the training."""


@dataclass(frozen=True)
class Keeping:
    """Where and how often the state of a training is kept.

    Attributes:
        file: None keeps it nowhere, or in the folder.
        folder: where a training without a file keeps its state, under a name that follows from its settings and clips.
        every: seconds.
        resume: whether to go on from the file where it exists.
    """

    file: Path | None = None
    folder: Path | None = None
    every: float = 120.0
    resume: bool = True


@dataclass(frozen=True)
class Trained:
    """What a training made.

    Attributes:
        tensors: the file that it becomes, fp32 on the CPU.
        losses: of every step.
        steps: done in all.
        notes: what the user should know: why it ended early.
        metadata: for the file.
    """

    tensors: dict[str, Tensor]
    losses: list[float]
    steps: int
    notes: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict[str, str])


def detached(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies on the CPU that nothing changes any more."""
    with torch.no_grad():
        return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}
