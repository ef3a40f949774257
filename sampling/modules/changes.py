"""Changes to the numbers of a motion module: its positional encodings, and its weights by group.

Made by ``nodes.adjust``; ``adjust`` carries them out. Nothing here knows about models or files.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

MULTIPLY, ADD = "multiply", "add"
OPERATIONS = (MULTIPLY, ADD)
_LAYERS = {"to_q": "query", "to_k": "key", "to_v": "value"}


def stretched(table: Tensor, rows: int) -> Tensor:
    """A table ``(1, R, C)`` as ``(1, rows, C)`` over the same span: what lies between two rows is a mixture of them."""
    return nn.functional.interpolate(table.transpose(1, 2), size=rows, mode="linear").transpose(1, 2)


@dataclass(frozen=True)
class PositionChange:
    """Other positional encodings, in this order; 0 leaves a step out. All in rows, one per frame.

    Attributes:
        stretch_by: the table is stretched by this many rows.
        skip: the first rows are left out.
        keep: only so many of the first rows are kept.
        stretch_to: what is left is stretched, or compressed, to this many rows.
        skip_after: the first rows of the result are left out.
    """

    stretch_by: int = 0
    skip: int = 0
    keep: int = 0
    stretch_to: int = 0
    skip_after: int = 0

    def table(self, table: Tensor) -> Tensor:
        """``(1, R, C)`` -> ``(1, R', C)``, float32.

        Raises:
            ValueError: no rows are left.
        """
        had, table = table.shape[1], table.float()
        if self.stretch_by:
            table = stretched(table, had + self.stretch_by)
        table = table[:, self.skip :]
        table = table[:, : self.keep or None]
        if self.stretch_to and table.shape[1]:
            table = stretched(table, self.stretch_to)
        table = table[:, self.skip_after :]
        if table.shape[1] == 0:
            raise ValueError(
                f"No position would be left of {had}: skip_first {self.skip} and skip_after {self.skip_after} leave out all of "
                "them. Lower these."
            )
        return table


@dataclass(frozen=True)
class WeightChange:
    """Other weights: each is multiplied by 1 plus the amounts that concern it, or these are added to it; 0 changes nothing.

    Attributes:
        operation: one of ``OPERATIONS``.
        all: every weight, positional encodings included.
        positions: the positional encodings.
        attention: every weight and bias of the temporal attentions; the next five are parts of them.
        other: norms, projections and feed forward.
    """

    operation: str = MULTIPLY
    all: float = 0.0
    positions: float = 0.0
    attention: float = 0.0
    query: float = 0.0
    key: float = 0.0
    value: float = 0.0
    out_weight: float = 0.0
    out_bias: float = 0.0
    other: float = 0.0

    def of(self, name: str) -> tuple[float, float]:
        """A factor and what is added after it, for the tensor ``name`` of a ``MotionModel``."""
        amounts = [getattr(self, group) for group in groups_of(name)]
        if self.operation == ADD:
            return 1.0, sum(amounts)
        factor = 1.0
        for amount in amounts:
            factor *= 1.0 + amount
        return factor, 0.0

    def table(self, table: Tensor) -> Tensor:
        """A positional encoding ``(1, R, C)``, float32."""
        factor, term = self.of(".attention_blocks.0.pos_encoder.pe")
        return table.float() * factor + term


def groups_of(name: str) -> tuple[str, ...]:
    """Which amounts of a ``WeightChange`` concern a tensor of a ``MotionModel``."""
    if ".attention_blocks." not in name:
        return "all", "other"
    if ".pos_encoder." in name:
        return "all", "positions"
    layer, leaf = name.split(".attention_blocks.")[1].split(".")[1], name.rsplit(".", 1)[1]
    return "all", "attention", _LAYERS.get(layer, f"out_{leaf}")
