"""Put the new nodes of a rewritten graph into its file, and take the old ones out."""

from __future__ import annotations

import copy
from typing import Any

from ..rows import is_link
from .arrange import Column, arrange
from .borders import Borders
from .definitions import size_of, slots_of, stored_values
from .follow import PRIMITIVE, SETS, Spot, hands_through, node_mode
from .rewrite import Rewrite
from .sheets import INSIDE, OUTSIDE, ROOT, Sheet, Wire

KEPT = ("color", "bgcolor", "mode", "flags")
"""What new nodes take over from the old one in whose position they stand."""


def drawn_graph(rewrite: Rewrite) -> dict[str, Any]:
    """The file with the new nodes in it."""
    return _Drawing(rewrite).finished()


class _Drawing:
    def __init__(self, rewrite: Rewrite) -> None:
        self._rewrite, self._sheets, self._borders = rewrite, rewrite.sheets, Borders(rewrite.sheets)
        self._drawn = [spot for spot in rewrite.outputs if rewrite.is_drawn(spot)]
        self._there = {key for spot in self._drawn for key in rewrite.made[spot]}
        self._gone = set(rewrite.outputs)
        self._in_use = self._bends_in_use()
        self._closed_inputs, self._closed_outputs = self._closed_borders()

    def finished(self) -> dict[str, Any]:
        changed = self._rewired()
        columns = [self._column(spot) for spot in self._drawn]
        self._sheets.count_nodes_to(max((int(key.partition(":")[2]) for key in self._there), default=0))
        for spot in self._drawn:
            self._connect(spot)
        for sheet, wire, link, kind in changed:
            wire.origin, wire.origin_slot = self._borders.reached(link, sheet.number, kind)
            wire.kind = kind
        for number, key in self._gone:
            self._sheets.all[number].remove(key)
        for number, slot in sorted(self._closed_inputs, reverse=True):
            self._borders.close_input(number, slot)
        for number, slot in sorted(self._closed_outputs, reverse=True):
            self._borders.close_output(number, slot)
        self._without_loose_bends()
        self._without_promoted_fields()
        for sheet in self._sheets.all:
            arrange(sheet, [column for column in columns if column.sheet == sheet.number])
        return self._sheets.write_back()

    # --- new nodes ---------------------------------------------------------------------------------------------------

    def _column(self, spot: Spot) -> Column:
        """Add the new nodes of an old one to its sheet, right after it."""
        rewrite, sheet, old = self._rewrite, self._sheets.all[spot[0]], self._rewrite.node(spot)
        made = rewrite.made[spot]
        new = {key.partition(":")[2]: self._node(key, node, spot, old) for key, node in made.items()}
        if len(new) == 1 and old.get("title"):
            next(iter(new.values()))["title"] = old["title"]
        before = list(sheet.nodes.items())
        at = [key for key, _ in before].index(spot[1]) + 1
        sheet.nodes = dict([*before[:at], *new.items(), *before[at:]])
        return Column(spot[0], old, list(new.values()))

    def _node(self, key: str, node: dict[str, Any], spot: Spot, old: dict[str, Any]) -> dict[str, Any]:
        kind, info = node["class_type"], self._rewrite.info
        slots = slots_of(kind, info, node["inputs"])
        taken = {name: copy.copy(old[name]) for name in KEPT if name in old}
        return {
            "id": int(key.partition(":")[2]), "type": kind, "pos": [0, 0], "size": size_of(kind, slots, info), "flags": {}, "order": old.get("order", 0),
            "mode": 0, **slots, "properties": {"Node name for S&R": kind},
            "widgets_values": stored_values(kind, self._fields(node), self._rewrite.goes_on[spot], info), **taken,
        }  # fmt: skip

    def _fields(self, node: dict[str, Any]) -> dict[str, Any]:
        """What a new node is given, as far as it is known: a field shows the value that is connected to it."""
        constants = self._rewrite.constants
        return {name: constants.get((value[0], value[1])) if is_link(value) else value for name, value in node["inputs"].items()}

    def _connect(self, spot: Spot) -> None:
        sheet = self._sheets.all[spot[0]]
        for key, made in self._rewrite.made[spot].items():
            target = key.partition(":")[2]
            for slot, entry in enumerate(sheet.nodes[target]["inputs"]):
                link = made["inputs"].get(entry["name"])
                if is_link(link) and self._is_there(link):
                    kind = self._kind(link)
                    origin, number = self._borders.reached(link, sheet.number, kind)
                    sheet.connect(Wire(self._sheets.new_wire(), origin, number, target, slot, kind))

    def _is_there(self, link: Any) -> bool:
        """Whether the node of a link is in the file in the end."""
        number, _, key = link[0].partition(":")
        return link[0] in self._there or key == INSIDE or (key in self._sheets.all[int(number)].nodes and (int(number), key) not in self._gone)

    def _kind(self, link: Any) -> str:
        """The type of an output."""
        number, _, key = link[0].partition(":")
        sheet = self._sheets.all[int(number)]
        outputs = sheet.body.get("inputs") if key == INSIDE else sheet.nodes[key].get("outputs")
        return str(outputs[link[1]]["type"]) if outputs and link[1] < len(outputs) else "*"

    # --- wires of nodes that stay ------------------------------------------------------------------------------------

    def _rewired(self) -> list[tuple[Sheet, Wire, Any, str]]:
        """Wires that begin at an old node and end at one that stays, with the links that take their spot.

        Those that get nothing are taken away.
        """
        changed: list[tuple[Sheet, Wire, Any, str]] = []
        for sheet in self._sheets.all:
            for wire in list(sheet.wires.values()):
                origin = (sheet.number, wire.origin)
                if origin not in self._gone or (sheet.number, wire.target) in self._gone:
                    continue
                link = self._instead(origin, wire)
                if is_link(link) and self._is_there(link):
                    changed.append((sheet, wire, link, str(wire.kind)))
                else:
                    del sheet.wires[wire.id]
        return changed

    def _instead(self, origin: Spot, wire: Wire) -> Any:
        rewrite = self._rewrite
        if origin in self._drawn:
            outputs = rewrite.outputs[origin]
            return outputs[wire.origin_slot] if wire.origin_slot < len(outputs) else None
        return rewrite.at(origin[0], wire, 0, wire.kind).value

    # --- what is of no use any more ----------------------------------------------------------------------------------

    def _closed_borders(self) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
        """Sockets of subgraphs through which only old nodes gave something to old nodes."""
        inputs, outputs = set[tuple[int, int]](), set[tuple[int, int]]()
        for sheet in self._sheets.all[1:]:
            if self._sheets.only_home(sheet.number) is None:
                continue
            for slot, entry in enumerate(sheet.body.get("inputs") or ()):
                wire = Wire(0, INSIDE, slot, "", 0, entry.get("type"))
                if self._only_old(sheet.number, wire):
                    inputs.add((sheet.number, slot))
            outputs |= {(sheet.number, wire.target_slot) for wire in sheet.wires_to(OUTSIDE) if self._only_old(sheet.number, wire)}
        return inputs, outputs

    def _only_old(self, number: int, wire: Wire) -> bool:
        found = self._rewrite.at(number, wire, 0, wire.kind)
        return found.maker is not None and not found.shared

    def _bends_in_use(self) -> set[Spot]:
        """Nodes that only hand on, and fields outside nodes, that lead somewhere."""
        return {(sheet.number, key) for sheet, key, node in self._sheets.every_node() if _is_bend(node) and self._leads((sheet.number, key))}

    def _leads(self, spot: Spot) -> bool:
        sheet = self._sheets.all[spot[0]]
        if sheet.wires_from(spot[1]):
            return True
        return sheet.nodes[spot[1]]["type"] in SETS and bool(self._rewrite.ways.getters(spot))

    def _without_loose_bends(self) -> None:
        """Take away what only led to old nodes."""
        loose = True
        while loose:
            loose = [spot for spot in self._in_use if not self._leads(spot)]
            for number, key in loose:
                self._in_use.discard((number, key))
                self._sheets.all[number].remove(key)

    def _without_promoted_fields(self) -> None:
        """Forget fields of old nodes that subgraphs showed on themselves."""
        for _, _, node in self._sheets.every_node():
            inner = self._sheets.inner(node)
            shown = (node.get("properties") or {}).get("proxyWidgets")
            if inner is not None and isinstance(shown, list):
                node["properties"]["proxyWidgets"] = [
                    entry for entry in shown if not (isinstance(entry, list) and entry and (inner, str(entry[0])) in self._gone)
                ]
        shown = (self._sheets.document.get("extra") or {}).get("linearData")
        linear: dict[str, Any] = shown if isinstance(shown, dict) else {}
        for side in ("inputs", "outputs"):
            if isinstance(linear.get(side), list):
                linear[side] = [entry for entry in linear[side] if (ROOT, str(entry[0] if isinstance(entry, list) else entry)) not in self._gone]


def _is_bend(node: dict[str, Any]) -> bool:
    return (hands_through(node) or node["type"] == PRIMITIVE) and not node_mode(node)
