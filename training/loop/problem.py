"""The problem that all stages solve: what the model should have put out for a clip with noise, at every noise level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..host.guider import Evaluation
from .draws import Draw
from .loss import loss_function, snr_weight
from .settings import TrainingSettings
from .watch import Watch


@dataclass(frozen=True)
class Seen:
    """What of a clip a step sees.

    Attributes:
        pictures: how many frames of a clip are taken as pictures of their own; 0 takes the clip as it is.
        act: told before each clip the strength at which what is trained acts; None where that has no strength.
        strengths: one for each clip; 1 for all where there is none. A clip that comes backwards has its strength with the sign turned.
    """

    pictures: int = 0
    act: Callable[[float], None] | None = None
    strengths: tuple[float, ...] = ()

    def strength(self, draw: Draw) -> float:
        """At which a clip is seen."""
        strength = self.strengths[draw.clip] if self.strengths else 1.0
        return -strength if draw.backwards else strength

    def frames(self, count: int, draw: Draw) -> list[int] | None:
        """Which of ``count`` frames, in which order; None for all as they are."""
        if self.pictures:
            return torch.randperm(count, generator=draw.random)[: self.pictures].tolist()
        return list(reversed(range(count))) if draw.backwards else None


class ClipProblem:
    """Clips, and a model inside a sampling run that is to predict their noise; see ``run.Problem``.

    Args:
        seen: what of a clip is evaluated, and how.
    """

    def __init__(
        self, evaluation: Evaluation, settings: TrainingSettings, parameters: dict[str, nn.Parameter], seen: Seen = Seen()
    ) -> None:
        self.seen = seen
        self.evaluation, self.settings, self._parameters = evaluation, settings, parameters
        self.criterion = loss_function(settings.loss_function)
        self.clips, self.levels = len(evaluation.latents), len(evaluation.sigmas)

    def parameters(self) -> dict[str, nn.Parameter]:
        """What is trained, by name."""
        return self._parameters

    def look(self, watch: Watch, step: int) -> None:
        """Let a watch see the model as it is, and what is trained at strength 1."""
        if self.seen.act is not None:
            self.seen.act(1.0)
        with self.evaluation.at_rest() as model:
            watch.look(step, model)

    def loss(self, draw: Draw) -> Tensor:
        """The distance between what the model put out and what it should have, in fp32, weighed by the noise level."""
        frames, *shape = self.evaluation.latents[draw.clip].shape
        chosen = self.seen.frames(frames, draw)
        noise = torch.randn(frames if chosen is None else len(chosen), *shape, generator=draw.random)
        if self.seen.act is not None:
            self.seen.act(self.seen.strength(draw))
        found, wanted = self.evaluation.outputs(draw.clip, draw.level, noise, draw.untold, chosen)
        sigma, slope = self.evaluation.sigmas[draw.level], self.evaluation.slopes[draw.level]
        return self.criterion(found, wanted) * snr_weight(sigma, slope, self.settings.min_snr, self.settings.debias)
