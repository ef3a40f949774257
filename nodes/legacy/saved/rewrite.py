"""What each old node of a saved graph becomes. ``Rewrite`` decides on paper; ``draw`` puts it into the file.

An old node that cannot be replaced stays, and so do the old nodes that feed it what only old nodes understand. That is found by
trying: each round replaces all but those that the rounds before it found to stay.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from .. import known_rows
from ..convert import FindFile, NodeInfo, NotKnownError, PromptNodes, Report, Rewriting, hands_on, replaced
from ..rows import Link, OldNode, is_link
from .definitions import check_inputs, slots_of
from .fields import GOES_ON, stored_fields
from .follow import EVERYWHERE, Spot, Ways, bypass_input, constant_of, hands_through, node_mode
from .sheets import BYPASSED, INSIDE, MUTED, OUTSIDE, Sheets, Wire


@dataclass(frozen=True)
class Found:
    """What a wire gives to an input.

    Attributes:
        value: None for nothing, a value, data for old nodes, or a link, whose node is named "number of the sheet:id".
        shared: it is what other nodes than old ones understand too.
        maker: the old node that it comes from.
        constant: what a link gives whenever it runs, if that is known.
        goes_on: of a constant that is a seed, how it goes on after a run.
    """

    value: Any = None
    shared: bool = False
    maker: Spot | None = None
    constant: Any = None
    goes_on: str | None = None


NOTHING = Found()


class Rewrite:
    """One round: every old node replaced on paper but those in ``kept``.

    Attributes:
        made: the new nodes of an old one.
        outputs: what the outputs of an old node become.
        goes_on: how seeds of an old node go on after a run, by the name of the field.
        constants: what links of fields to nodes outside give, by the link.
        stuck: old nodes that turned out to have to stay too, and why.
    """

    def __init__(self, sheets: Sheets, ways: Ways, find: FindFile, info: NodeInfo, kept: dict[Spot, str]) -> None:
        self.sheets, self.ways, self.info, self.report = sheets, ways, info, Report()
        self.made: dict[Spot, PromptNodes] = {}
        self.outputs: dict[Spot, tuple[Any, ...]] = {}
        self.goes_on: dict[Spot, dict[str, str]] = {}
        self.constants: dict[tuple[str, int], Any] = {}
        self.stuck: dict[Spot, str] = {}
        self._find, self._kept, self._rows = find, kept, known_rows()
        self._numbers = itertools.count(sheets.last_node() + 1)
        self._open: set[Spot] = set()
        self._broadcast = {
            wire.kind
            for sheet, _, node in sheets.every_node()
            if EVERYWHERE in node["type"] and not node_mode(node)
            for entry in node.get("inputs") or ()
            if (wire := sheet.wire_into(entry)) is not None
        }
        for sheet, key, _ in sheets.every_node():
            self.outputs_of((sheet.number, key))
        self._find_stuck()

    # --- what old nodes become ---------------------------------------------------------------------------------------

    def row(self, spot: Spot) -> OldNode | None:
        """The row of an old node that is to be replaced; None for every other node."""
        node = self.node(spot)
        return None if spot in self._kept else self._rows.get(node["type"])

    def node(self, spot: Spot) -> dict[str, Any]:
        """A node of the file."""
        return self.sheets.all[spot[0]].nodes[spot[1]]

    def outputs_of(self, spot: Spot) -> tuple[Any, ...] | None:
        """What the outputs of an old node become, as if it and those of its mode were active; None if it stays."""
        row = self.row(spot)
        if row is None or spot in self.stuck:
            return None
        if spot not in self.outputs:
            try:
                self._replace(spot, row)
            except ValueError as error:
                self.stuck[spot] = str(error)
                return None
        return self.outputs[spot]

    def _replace(self, spot: Spot, row: OldNode) -> None:
        if spot in self._open:
            raise ValueError("it takes something from itself, through other nodes")
        self._open.add(spot)
        try:
            inputs, from_old = self._inputs(spot, row)
        finally:
            self._open.discard(spot)
        graph = Rewriting(self._ids(spot[0]), self._find, self.report)
        try:
            outputs = replaced(row, inputs, graph, from_old)
        except NotKnownError:
            known = {name: self.constants[value[0], value[1]] for name, value in inputs.items() if is_link(value) and (value[0], value[1]) in self.constants}
            if not known:
                raise
            graph = Rewriting(self._ids(spot[0]), self._find, self.report)
            outputs = replaced(row, {**inputs, **known}, graph, from_old)
            graph.say(f"{row.title} ({spot[1]}): {', '.join(known)} has the value that was connected; it is a field of the new nodes now.")
        for node in graph.made.values():
            check_inputs(node["class_type"], node["inputs"], self.info)
        self.outputs[spot], self.made[spot] = outputs, graph.made

    def _ids(self, number: int) -> Iterator[str]:
        return (f"{number}:{next(self._numbers)}" for _ in itertools.repeat(None))

    def _inputs(self, spot: Spot, row: OldNode) -> tuple[dict[str, Any], set[str]]:
        """The inputs of an old node by name, as a prompt would give them, and the names of those from other old nodes."""
        node, sheet, known = self.node(spot), self.sheets.all[spot[0]], row.known_names()
        inputs, self.goes_on[spot] = stored_fields(row, node.get("widgets_values"))
        from_old: set[str] = set()
        for entry in node.get("inputs") or ():
            field = known.get(entry.get("name"))
            name = field.name if field is not None else entry.get("name")
            wire = sheet.wire_into(entry)
            if wire is None:
                if field is not None and not field.needed and not field.is_widget and entry.get("type") in self._broadcast:
                    raise ValueError(f"its {name} is open, and another node feeds every open {entry['type']}")
                continue
            found = self.at(sheet.number, wire, node_mode(node), entry.get("type"))
            if found.value is not None or found.maker is not None:
                inputs[name] = found.value
            if found.maker is not None:
                from_old.add(name)
            link: Any = found.value
            if found.constant is not None and is_link(link):
                self.constants[link[0], link[1]] = found.constant
            if found.goes_on is not None:
                self.goes_on[spot][name] = found.goes_on
        return inputs, from_old

    # --- what a wire gives -------------------------------------------------------------------------------------------

    def at(self, number: int, wire: Wire, mode: int, wanted: Any) -> Found:
        """What a wire gives to an input of a node with this mode: nodes of the same mode count as active.

        Args:
            wanted: the type of the input.
        """
        own = [f"{number}:{wire.origin}", wire.origin_slot]
        if wire.origin == INSIDE:
            return self._from_outside(number, wire, mode, wanted, own)
        spot = (number, wire.origin)
        node = self.node(spot)
        if node_mode(node) not in (0, mode):
            return self._past(spot, wire.origin_slot, mode, wanted, own)
        if hands_through(node):
            before = self.ways.before(spot, wire.origin_slot)
            found = self.at(*before, mode, wanted) if before is not None else NOTHING
            return replace(found, value=own) if found.shared else found
        inner = self.sheets.inner(node)
        if inner is not None:
            return self._from_inside(inner, wire.origin_slot, mode, wanted, own)
        outputs, row = self.outputs_of(spot), self.row(spot)
        if outputs is None or row is None:
            return Found(own, True, constant=constant_of(node), goes_on=_goes_on(node))
        value = outputs[wire.origin_slot] if wire.origin_slot < len(outputs) else None
        return Found(value, is_link(value) and hands_on(row, wire.origin_slot, value), spot)

    def _past(self, spot: Spot, slot: int, mode: int, wanted: Any, own: Link) -> Found:
        """What comes through a node that does not run."""
        node = self.node(spot)
        number = bypass_input(node, slot, wanted) if node_mode(node) == BYPASSED else None
        wire = self.sheets.all[spot[0]].wire_into(node["inputs"][number]) if number is not None else None
        found = self.at(spot[0], wire, mode, wanted) if wire is not None else NOTHING
        return replace(found, value=own) if found.shared and self.row(spot) is None else found

    def _from_inside(self, inner: int, slot: int, mode: int, wanted: Any, own: Link) -> Found:
        wire = self.ways.inside(inner, slot)
        found = self.at(inner, wire, mode, wanted) if wire is not None else NOTHING
        crosses = self.sheets.only_home(inner) is not None
        return found if crosses and not found.shared else replace(found, value=own, shared=True) if found.value is not None else NOTHING

    def _from_outside(self, number: int, wire: Wire, mode: int, wanted: Any, own: Link) -> Found:
        out = self.ways.outside(number, wire.origin_slot)
        if out is None:
            self._same_in_all_uses(number, wire.origin_slot)
            return Found(own, True)
        (outer, _), entry = out
        before = self.sheets.all[outer].wire_into(entry)
        if before is None:
            return Found(own, True) if entry.get("widget") else NOTHING
        found = self.at(outer, before, mode, wanted)
        return replace(found, value=own) if found.shared else found

    def _same_in_all_uses(self, number: int, slot: int) -> None:
        homes = [self.node(home) for home in self.sheets.home[number]]
        entries = [home["inputs"][slot] for home in homes if slot < len(home.get("inputs") or ())]
        if len({bool(entry.get("link") is not None or entry.get("widget")) for entry in entries}) > 1:
            raise ValueError("an input of its subgraph is connected in one of its uses and open in another")

    # --- what has to stay --------------------------------------------------------------------------------------------

    def _find_stuck(self) -> None:
        """Old nodes whose data goes to nodes that stay."""
        for sheet, key, node in self.sheets.every_node():
            inner = self.sheets.inner(node)
            ends = self.row((sheet.number, key)) is not None or hands_through(node)
            if ends or (inner is not None and self.sheets.only_home(inner) is not None):
                continue
            for entry in node.get("inputs") or ():
                wire = sheet.wire_into(entry)
                if wire is not None:
                    self._hold(sheet.number, wire, entry.get("type"), f"{self._title(node)} ({key})")
        for sheet in self.sheets.all[1:]:
            if self.sheets.only_home(sheet.number) is None:
                for wire in sheet.wires_to(OUTSIDE):
                    self._hold(sheet.number, wire, wire.kind, "a subgraph that is used in several places")

    def _title(self, node: dict[str, Any]) -> str:
        row = self._rows.get(node["type"])
        return row.title if row is not None else node.get("title") or node["type"]

    def _hold(self, number: int, wire: Wire, wanted: Any, who: str) -> None:
        try:
            found = self.at(number, wire, 0, wanted)
        except ValueError:
            return
        if found.maker is not None and not found.shared:
            self.stuck.setdefault(found.maker, f"{who} takes something from it and is not replaced")

    # --- nodes that do not run ---------------------------------------------------------------------------------------

    def is_drawn(self, spot: Spot) -> bool:
        """Whether the new nodes of an old one go into the file: not those of a muted one that only gave data to others."""
        mode = node_mode(self.node(spot))
        if not mode:
            return True
        users = self.ways.users[spot]
        if users and all(self.row(user) is not None and node_mode(self.node(user)) != mode for user in users):
            return False
        sheet = self.sheets.all[spot[0]]
        return all(self._stays_so(spot, wire, mode) for wire in sheet.wires_from(spot[1]))

    def _stays_so(self, spot: Spot, wire: Wire, mode: int) -> bool:
        """Whether new nodes with the mode of the old one give a wire what the old one gave."""
        outputs, made = self.outputs[spot], self.made[spot]
        link: Any = outputs[wire.origin_slot] if wire.origin_slot < len(outputs) else None
        if not is_link(link) or link[0] not in made:
            row = self.row(spot)
            return row is not None and not hands_on(row, wire.origin_slot, link)
        if mode == MUTED:
            return True
        while is_link(link) and link[0] in made:
            node = slots_of(made[link[0]]["class_type"], self.info, made[link[0]]["inputs"])
            number = bypass_input(node, link[1], wire.kind)
            link = made[link[0]]["inputs"].get(node["inputs"][number]["name"]) if number is not None else None
        return (link if is_link(link) else None) == self._past(spot, wire.origin_slot, 0, wire.kind, []).value


def _goes_on(node: dict[str, Any]) -> str | None:
    values = node.get("widgets_values")
    return values[1] if isinstance(values, list) and len(values) > 1 and values[1] in GOES_ON else None
