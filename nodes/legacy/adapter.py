"""A hidden node of the host from a row of data: its inputs never refuse an old graph, and running it expands it into our own nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfy_api.latest import io

from ...sampling.host.graph import GraphBuilder
from ...sampling.host.sample import warn
from ..files import files_in, modified, same_file
from ..types import CATEGORY
from .rows import WIDGETS, Field, Given, Link, OldNode, built, is_link

WIDEST = 2**53
SEEDS = {"noise_seed", "seed", "seed_override"}
DESCRIPTION = "Opens graphs that were made with another pack. In new graphs, use the nodes of the category AnimateDiff."


class Expansion:
    """What an old node becomes in a run. A ``rows.NewGraph``."""

    def __init__(self) -> None:
        self._builder = GraphBuilder()
        self.said: list[str] = []

    def node(self, kind: str, /, **inputs: Any) -> Link:
        """A node of the expansion, and the link to its first output."""
        given = {name: value for name, value in inputs.items() if value is not None}
        return self._builder.node(kind, **given).out(0)

    def file(self, folder: str, name: Any) -> str:
        """What a model file is called here."""
        found = same_file(folder, str(name)) if name else None
        if found is None:
            raise ValueError(
                f"Needed a file in models/{folder}, got {name or 'none'}, which is not there, in no folder of it and with no other "
                "extension. Download it, or choose another."
            )
        if found != name:
            self.say(f"{name} is {found} here.")
        return found

    def say(self, sentence: str) -> None:
        """Tell the user, once the node has expanded."""
        if sentence not in self.said:
            self.said.append(sentence)

    def finished(self) -> dict[str, Any]:
        """The nodes as the host takes them."""
        return self._builder.finalize()


def expanded(row: OldNode, inputs: Mapping[str, Any]) -> io.NodeOutput:
    """What an old node gives for these inputs, as outputs and nodes that make them."""
    graph = Expansion()
    outputs = built(row, Given(row, inputs), graph)
    warn(graph.said)
    if not row.saves and not any(map(is_link, outputs)):
        return io.NodeOutput(*outputs)
    return io.NodeOutput(*(outputs or (None,)), expand=graph.finished())  # the host counts what an expansion gives: never nothing


def node_of(row: OldNode) -> type[io.ComfyNode]:
    """The node class of a row."""

    class Old(io.ComfyNode):
        @classmethod
        def define_schema(cls) -> io.Schema:
            return io.Schema(
                node_id=row.id,
                display_name=row.title,
                category=f"{CATEGORY}/other packs",
                description=DESCRIPTION,
                is_deprecated=True,
                is_output_node=row.saves,
                enable_expand=True,
                accept_all_inputs=True,
                inputs=[_input_of(field) for field in row.fields],
                outputs=[io.Custom(kind).Output(display_name=name) for name, kind in row.outputs],
            )

        @classmethod
        def validate_inputs(cls, **_: Any) -> bool:
            """Takes every value: the expander understands old ones, and says what it does not."""
            return True

        @classmethod
        def fingerprint_inputs(cls, **inputs: Any) -> Any:
            """Load again when a file was replaced."""
            return [modified(field.folder, name) for field, name in _files(row, inputs)]

        @classmethod
        def execute(cls, **inputs: Any) -> io.NodeOutput:
            return expanded(row, inputs)

    Old.__name__ = Old.__qualname__ = row.id
    return Old


def _files(row: OldNode, inputs: Mapping[str, Any]) -> list[tuple[Field, str]]:
    """The file fields that name a file."""
    given = Given(row, inputs)
    named = [(field, given[field.name]) for field in row.fields if field.folder]
    found = [(field, same_file(field.folder, name)) for field, name in named if isinstance(name, str)]
    return [(field, name) for field, name in found if name is not None]


def _input_of(field: Field) -> Any:
    """An input of the host from a field."""
    common = {"optional": not field.needed, "raw_link": field.is_linked or None}
    if not field.is_widget:
        # The front end would make a field of a number or a text.
        return io.Custom(field.kind).Input(field.name, extra_dict={"forceInput": field.kind in WIDGETS or None}, **common)
    if field.kind == "INT":
        low, high = (0, 2**64 - 1) if field.name in SEEDS else (-WIDEST, WIDEST)
        return io.Int.Input(field.name, default=field.default, min=low, max=high, **common)
    if field.kind == "FLOAT":
        return io.Float.Input(field.name, default=field.default, min=-1e9, max=1e9, step=0.001, **common)
    if field.kind == "BOOLEAN":
        return io.Boolean.Input(field.name, default=field.default, **common)
    if field.kind == "STRING":
        return io.String.Input(field.name, default=field.default, multiline=field.multiline, **common)
    options = files_in(field.folder) if field.folder else list(field.options)
    return io.Combo.Input(field.name, options=options, default=field.default, **common)
