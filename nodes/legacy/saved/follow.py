"""Where a wire of a saved graph leads: through nodes that only hand on, through those that are bypassed, and out of subgraphs."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from .sheets import BYPASSED, INSIDE, MUTED, OUTSIDE, Sheet, Sheets, Wire

REROUTES = {"Reroute", "Reroute (rgthree)", "ReroutePrimitive|pysssss"}
SETS, GETS = {"SetNode", "easy setNode"}, {"GetNode", "easy getNode"}
"""Nodes of other packs that carry a wire by a name instead of by a line."""
PRIMITIVE = "PrimitiveNode"
"""A field outside the node that it is for."""
CONSTANT_NODES = {
    PRIMITIVE, "CR Prompt Text", "Float", "FloatConstant", "ImpactBoolean", "ImpactFloat", "ImpactInt", "INTConstant", "Int Literal", "Integer",
    "JWFloat", "JWInteger", "PrimitiveBoolean", "PrimitiveFloat", "PrimitiveInt", "PrimitiveString", "PrimitiveStringMultiline",
    "Simple String", "StringConstant", "Text Multiline", "Text box", "easy float", "easy int", "ttN float", "ttN int", "ttN text",
}  # fmt: skip
"""Nodes that give the value of their one field, which is the first that they store."""
EVERYWHERE = "Everywhere"
"""In the ids of nodes that feed all open inputs of a type when a graph runs."""

End = tuple[int, str, int]
"""An output: number of the sheet, id of the node, number of the output."""
Spot = tuple[int, str]
"""A node: number of the sheet, id."""


def hands_through(node: dict[str, Any]) -> bool:
    """Whether a node is only a bend in a wire."""
    return node["type"] in REROUTES | SETS | GETS


def node_mode(node: dict[str, Any]) -> int:
    """MUTED, BYPASSED, or 0 for a node that runs."""
    mode = node.get("mode", 0)
    return mode if mode in (MUTED, BYPASSED) else 0


def fits(one: Any, other: Any) -> bool:
    """Whether the front end lets sockets of these types be connected."""
    first, second = ({part.strip().lower() for part in str(kind).split(",")} for kind in (one, other))
    return bool(first & second) or bool({"*", "", "0"} & (first | second))


def constant_of(node: dict[str, Any]) -> Any:
    """The value that a node gives without a run; None for one that has to run."""
    values = node.get("widgets_values")
    known = node["type"] in CONSTANT_NODES and not any(entry.get("link") is not None for entry in node.get("inputs") or ())
    return values[0] if known and isinstance(values, list) and values else None


def bypass_input(node: dict[str, Any], slot: int, wanted: Any) -> int | None:
    """The input whose wire goes on at an output of a bypassed node, by the rule of the front end; None if there is none.

    Args:
        wanted: the type of the input at the far end.
    """
    inputs, outputs = node.get("inputs") or [], node.get("outputs") or []
    if not inputs or slot >= len(outputs):
        return None
    made = outputs[slot].get("type")
    if wanted in ("*", ""):
        return slot if slot < len(inputs) else 0
    if slot < len(inputs) and fits(inputs[slot].get("type"), made) and fits(inputs[slot].get("type"), wanted):
        return slot
    kinds = [entry.get("type") for entry in inputs]
    if wanted in kinds:
        return kinds.index(wanted)
    return next((number for number, kind in enumerate(kinds) if fits(kind, made) and fits(kind, wanted)), None)


class Ways:
    """Where the wires of a file lead before anything is replaced."""

    def __init__(self, sheets: Sheets) -> None:
        self._sheets = sheets
        self._sets = {
            (sheet.number, _name(node)): (sheet.number, key) for sheet, key, node in sheets.every_node() if node["type"] in SETS and _name(node)
        }
        self.users: dict[Spot, list[Spot]] = defaultdict(list)
        """Who takes something from a node in the end, through whatever lies between: (sheet, node)."""
        for sheet, key, node in sheets.every_node():
            if not hands_through(node) and sheets.inner(node) is None:
                for entry in node.get("inputs") or ():
                    wire = sheet.wire_into(entry)
                    source = self.source(sheet.number, wire) if wire is not None else None
                    if source is not None:
                        self.users[source[:2]].append((sheet.number, key))

    def sheet(self, number: int) -> Sheet:
        """A sheet by its number."""
        return self._sheets.all[number]

    def before(self, spot: Spot, slot: int = 0) -> tuple[int, Wire] | None:
        """The wire that goes on at an output of a node that only hands on, and the sheet it lies in."""
        sheet = self.sheet(spot[0])
        node = sheet.nodes[spot[1]]
        if node["type"] in GETS:
            named = self._set_of(spot[0], _name(node))
            return self.before(named) if named is not None else None
        inputs = node.get("inputs") or []
        wire = sheet.wire_into(inputs[min(slot, len(inputs) - 1)]) if inputs else None
        return (sheet.number, wire) if wire is not None else None

    def outside(self, number: int, slot: int) -> tuple[Spot, dict[str, Any]] | None:
        """The node of a subgraph that is used once, and its input that comes in at a socket of the border."""
        home = self._sheets.only_home(number)
        borders = self.sheet(number).body.get("inputs") or []
        if home is None or slot >= len(borders):
            return None
        inputs = self.sheet(home[0]).nodes[home[1]].get("inputs") or []
        name = borders[slot].get("name")
        same = inputs[slot : slot + 1] if slot < len(inputs) and inputs[slot].get("name") == name else []
        found = next(iter([*same, *(entry for entry in inputs if entry.get("name") == name)]), None)
        return (home, found) if found is not None else None

    def inside(self, number: int, slot: int) -> Wire | None:
        """The wire that leaves a subgraph at a socket of its border."""
        return next((wire for wire in self.sheet(number).wires_to(OUTSIDE) if wire.target_slot == slot), None)

    def source(self, number: int, wire: Wire) -> End | None:
        """The output where a wire begins, through all that only hands on and through borders; modes are not looked at."""
        seen: set[End] = set()
        while (end := (number, wire.origin, wire.origin_slot)) not in seen:
            seen.add(end)
            step = self._step(number, wire)
            if step is None:
                return None if wire.origin == INSIDE else end
            number, wire = step
        return None

    def _step(self, number: int, wire: Wire) -> tuple[int, Wire] | None:
        if wire.origin == INSIDE:
            out = self.outside(number, wire.origin_slot)
            before = self.sheet(out[0][0]).wire_into(out[1]) if out is not None else None
            return (out[0][0], before) if out is not None and before is not None else None
        node = self.sheet(number).nodes[wire.origin]
        if hands_through(node):
            return self.before((number, wire.origin), wire.origin_slot)
        inner = self._sheets.inner(node)
        if inner is None:
            return None
        found = self.inside(inner, wire.origin_slot)
        return (inner, found) if found is not None else None

    def _set_of(self, number: int, name: str) -> Spot | None:
        """The node that gives a name its wire: in the same sheet, else in one further out."""
        while (number, name) not in self._sets:
            home = self._sheets.only_home(number)
            if home is None:
                return None
            number = home[0]
        return self._sets[number, name]

    def getters(self, spot: Spot) -> list[Spot]:
        """The nodes that take the name that a node gives."""
        name = _name(self.sheet(spot[0]).nodes[spot[1]])
        return [
            (sheet.number, key)
            for sheet, key, node in self._sheets.every_node()
            if node["type"] in GETS and _name(node) == name and self._set_of(sheet.number, name) == spot
        ]


def _name(node: dict[str, Any]) -> str:
    values = node.get("widgets_values")
    first = values[0] if isinstance(values, list) and values else values.get("Constant") if isinstance(values, dict) else ""
    return str(first or "")
