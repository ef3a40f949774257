"""The optimizer, the learning rate by step, and the moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from .settings import TrainingSettings

FAST_FIRST = 10
"""The average of the first steps follows faster, so that it does not remember the start: (1 + step) / (10 + step)."""


def make_optimizer(parameters: Iterable[nn.Parameter], settings: TrainingSettings) -> torch.optim.Optimizer:
    """One of the four optimizers of the host's training node."""
    trained, rate = list(parameters), settings.learning_rate
    if settings.optimizer == "AdamW":
        return torch.optim.AdamW(trained, lr=rate, weight_decay=settings.weight_decay)
    if settings.optimizer == "Adam":
        return torch.optim.Adam(trained, lr=rate)
    if settings.optimizer == "SGD":
        return torch.optim.SGD(trained, lr=rate)
    return torch.optim.RMSprop(trained, lr=rate)


def learning_rate(step: int, settings: TrainingSettings) -> float:
    """The learning rate of a step, counted from 0."""
    rate = settings.learning_rate * min(1.0, (step + 1) / max(settings.warm_up, 1))
    if settings.schedule == "constant":
        return rate
    low, share = settings.lowest_rate, min(step / settings.steps, 1.0)
    return rate * (low + (1.0 - low) * (0.5 + 0.5 * math.cos(math.pi * share)))


def move_average(average: Mapping[str, Tensor], parameters: Mapping[str, Tensor], step: int, decay: float) -> None:
    """Bring the average of the weights nearer to the weights after a step."""
    keep = min(decay, (1 + step) / (FAST_FIRST + step))
    with torch.no_grad():
        for name, mean in average.items():
            mean.lerp_(parameters[name], 1.0 - keep)
