"""Which clip a step sees, at which noise level, with which random numbers: all of it follows from seed, step and item.

An item is one clip of a step, counted over all processes, so that two processes with one clip each see what one process
with two would see, and a training that goes on sees what it would have seen.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from .settings import TrainingSettings

QUARTERS = 4
"""Parts of the noise levels by which the loss is reported, from little noise to most."""


class Draw(NamedTuple):
    """One clip of a step.

    Attributes:
        clip: its number.
        level: its noise level, an index into the table of the noise schedule: 0 is the least noise.
        untold: whether it is shown without its caption.
        backwards: whether it is shown from its last frame to its first, at strength -1.
        random: for its noise.
    """

    clip: int
    level: int
    untold: bool
    backwards: bool
    random: torch.Generator


def generator(*key: int | str) -> torch.Generator:
    """Random numbers of their own for every key."""
    digest = hashlib.sha256("/".join(str(part) for part in key).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def level_of(share: float, levels: int, noise_bias: float) -> int:
    """The noise level at a share of 0 to 1 of a biased distribution; 1.0 is uniform, larger biases favour high noise."""
    return min(int(levels * share ** (1.0 / noise_bias)), levels - 1)


@dataclass(frozen=True)
class Lottery:
    """All draws of a training.

    All clips are seen equally often: in a new order each time round. The noise levels of a step lie evenly apart, at a random
    place, so that a step sees little and much noise alike.

    Attributes:
        per_step: clips of a step, over all processes.
        clips, levels: how many there are.
    """

    settings: TrainingSettings
    per_step: int
    clips: int
    levels: int
    _orders: dict[int, list[int]] = field(default_factory=dict[int, list[int]])

    def draw(self, step: int, item: int) -> Draw:
        """One clip of a step; ``item`` is 0 to ``per_step - 1``."""
        seed, position = self.settings.seed, step * self.per_step + item
        shift = float(torch.rand((), generator=generator(seed, step, "level")))
        share = (shift + item / self.per_step) % 1.0
        random = generator(seed, step, item)
        untold = float(torch.rand((), generator=random)) < self.settings.caption_dropout
        backwards = self.settings.reversal > 0 and float(torch.rand((), generator=random)) < self.settings.reversal
        clip = self._order(position // self.clips)[position % self.clips]
        return Draw(clip, level_of(share, self.levels, self.settings.noise_bias), untold, backwards, random)

    def _order(self, epoch: int) -> list[int]:
        """The clips in the order of one time round; only the last is remembered."""
        if epoch not in self._orders:
            self._orders.clear()
            self._orders[epoch] = torch.randperm(self.clips, generator=generator(self.settings.seed, "order", epoch)).tolist()
        return self._orders[epoch]


def quarter_of(level: int, levels: int) -> int:
    """Which part of the noise levels a level is in."""
    return min(level * QUARTERS // levels, QUARTERS - 1)
