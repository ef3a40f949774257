"""The problem that all stages solve: what the model should have put out for a clip with noise, at every noise level."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..host.guider import Evaluation
from .draws import Draw
from .loss import loss_function, snr_weight
from .settings import TrainingSettings
from .watch import Watch


class ClipProblem:
    """Clips, and a model inside a sampling run that is to predict their noise; see ``run.Problem``.

    Args:
        pictures: how many frames of a clip are taken as pictures of their own; 0 takes the clip as it is.
    """

    def __init__(
        self, evaluation: Evaluation, settings: TrainingSettings, parameters: dict[str, nn.Parameter], pictures: int = 0
    ) -> None:
        self.pictures = pictures
        self.evaluation, self.settings, self._parameters = evaluation, settings, parameters
        self.criterion = loss_function(settings.loss_function)
        self.clips, self.levels = len(evaluation.latents), len(evaluation.sigmas)

    def parameters(self) -> dict[str, nn.Parameter]:
        """What is trained, by name."""
        return self._parameters

    def look(self, watch: Watch, step: int) -> None:
        """Let a watch see the model as it is."""
        with self.evaluation.at_rest() as model:
            watch.look(step, model)

    def loss(self, draw: Draw) -> Tensor:
        """The distance between what the model put out and what it should have, in fp32, weighed by the noise level."""
        length, *shape = self.evaluation.latents[draw.clip].shape
        chosen = torch.randperm(length, generator=draw.random)[: self.pictures].tolist() if self.pictures else range(length)
        noise = torch.randn(len(chosen), *shape, generator=draw.random)
        found, wanted = self.evaluation.outputs(draw.clip, draw.level, noise, draw.untold, chosen if self.pictures else None)
        sigma, slope = self.evaluation.sigmas[draw.level], self.evaluation.slopes[draw.level]
        return self.criterion(found, wanted) * snr_weight(sigma, slope, self.settings.min_snr, self.settings.debias)
