"""One process, or several that share the clips of each step and add their gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

Value = TypeVar("Value")
BUCKET = 25 * 2**20
"""Bytes that are sent at once: hundreds of small messages would take longer than a step."""


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

    def from_first(self, make: Callable[[], Value]) -> Value:
        """What process 0 makes, in all; the others make nothing. All raise what it raises."""
        return make()

    def in_turn(self, make: Callable[[], Value]) -> Value:
        """What each makes, process 0 before the others, which may then find what it left on disk."""
        return make()


class Several(Processes):
    """One of several processes of ``torch.distributed``, whose group exists already."""

    def __init__(self) -> None:
        self.rank = dist.get_rank()
        self.count = dist.get_world_size()

    def add(self, tensors: Iterable[Tensor]) -> None:
        for bucket in _buckets(tensors):
            whole = torch.cat([tensor.flatten() for tensor in bucket])
            dist.all_reduce(whole)
            for tensor, part in zip(bucket, whole.split([tensor.numel() for tensor in bucket]), strict=True):
                tensor.copy_(part.view_as(tensor))

    def begin(self, parameters: Iterable[nn.Parameter]) -> None:
        for parameter in parameters:
            dist.broadcast(parameter.data, src=0)

    def from_first(self, make: Callable[[], Value]) -> Value:
        made: list[object] = [None, None]
        if self.rank == 0:
            try:
                made[0] = make()
            except Exception as error:
                made[1] = error
        dist.broadcast_object_list(made, src=0)
        if isinstance(made[1], Exception):
            raise made[1]
        return made[0]  # type: ignore[return-value]

    def in_turn(self, make: Callable[[], Value]) -> Value:
        first = [make()] if self.rank == 0 else []
        dist.barrier()
        return first[0] if first else make()


def _buckets(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Tensors of one type each, in their order, together no more than a bucket where that is possible."""
    bucket: list[Tensor] = []
    held = 0
    for tensor in tensors:
        if bucket and (held + tensor.nbytes > BUCKET or tensor.dtype != bucket[0].dtype):
            yield bucket
            bucket, held = [], 0
        bucket.append(tensor)
        held += tensor.nbytes
    if bucket:
        yield bucket
