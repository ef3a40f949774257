"""A training that can be stopped at any time and goes on where it was: `train` runs every stage of the world in one."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

SAVE_EVERY = 90.0  # seconds
AVERAGE = 0.998  # how slowly the averaged weights follow
WARM_UP = 100  # steps


class Training:
    """Weights, their running average, an optimiser and a step count, with a file they are saved in.

    Attributes:
        average: running averages of the weights, which are better than the last ones and are what is shipped.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], file: Path, steps: int, rate: float) -> None:
        """Begin, or go on from `file` where it exists.

        Args:
            steps: how many there will be; the learning rate falls to a twentieth of `rate` along a cosine.
        """
        self.parameters, self.file, self.steps, self.rate = dict(parameters), file, steps, rate
        self.optimizer = torch.optim.AdamW(list(self.parameters.values()), lr=rate, weight_decay=0.01, betas=(0.9, 0.99))
        self.average = {name: value.detach().clone() for name, value in self.parameters.items()}
        self.step, self.seconds = 0, 0.0
        self.losses: list[float] = []
        if file.exists():
            self._load(torch.load(file, weights_only=True))

    def _load(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            for name, value in state["weights"].items():
                self.parameters[name].copy_(value)
        self.average = state["average"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds, self.losses = state["step"], state["seconds"], state["losses"]

    def save(self) -> None:
        """Write everything to the file, whole or not at all."""
        state = {
            "weights": {name: value.detach() for name, value in self.parameters.items()},
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "losses": self.losses,
        }
        self.file.parent.mkdir(parents=True, exist_ok=True)
        part = self.file.with_suffix(".part")
        torch.save(state, part)
        os.replace(part, self.file)

    def run(self, loss: Callable[[torch.Generator], Tensor], report: Callable[[str], None]) -> None:
        """Train to the last step, saving every now and then.

        Args:
            loss: makes one step's loss from a generator that is seeded by the number of the step.
        """
        begun = time.monotonic()
        while self.step < self.steps:
            self.until(self.steps, loss, begun + SAVE_EVERY)
            now = time.monotonic()
            self.seconds, begun = self.seconds + now - begun, now
            self.save()
            recent = self.losses[-200:]
            report(f"step {self.step} of {self.steps}, loss {sum(recent) / len(recent):.4f}, {self.seconds / 60:.1f} minutes")

    def until(self, step: int, loss: Callable[[torch.Generator], Tensor], moment: float = math.inf) -> None:
        """Train until this step or this moment, whichever comes first."""
        while self.step < step and time.monotonic() < moment:
            value = loss(torch.Generator().manual_seed(7919 * self.step + 1))
            value.backward()
            nn.utils.clip_grad_norm_(self.parameters.values(), 1.0)
            share = self.step / self.steps
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate * min(1.0, (self.step + 1) / WARM_UP) * (0.525 + 0.475 * math.cos(math.pi * share))
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            self._follow()
            self.step += 1
            self.losses.append(round(float(value.detach()), 5))

    def _follow(self) -> None:
        keep = min(AVERAGE, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                self.average[name].lerp_(parameter, 1.0 - keep)
