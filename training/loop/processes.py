"""One process, or several that share the clips of each step and add their gradients."""

from __future__ import annotations

from collections.abc import Iterable

import torch.distributed as dist
from torch import Tensor, nn


class Processes:
    """A process alone; ``Several`` is one of many.

    Attributes:
        rank: its number, from 0. Only 0 writes.
        count: how many there are.
    """

    rank = 0
    count = 1

    def add(self, tensors: Iterable[Tensor]) -> None:
        """Add up tensors over all processes, in place."""

    def begin(self, parameters: Iterable[nn.Parameter]) -> None:
        """Let all have the weights of process 0."""


class Several(Processes):
    """One of several processes of ``torch.distributed``, whose group exists already."""

    def __init__(self) -> None:
        self.rank = dist.get_rank()
        self.count = dist.get_world_size()

    def add(self, tensors: Iterable[Tensor]) -> None:
        for tensor in tensors:
            dist.all_reduce(tensor)

    def begin(self, parameters: Iterable[nn.Parameter]) -> None:
        for parameter in parameters:
            dist.broadcast(parameter.data, src=0)
