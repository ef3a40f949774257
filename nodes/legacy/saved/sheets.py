"""A saved graph as it is read and edited: one sheet for the graph itself, one for the definition of each subgraph.

The file holds links as lists (version 0.4) or as tables (subgraphs, version 1); here both are a ``Wire``. Edits go into the tables of
the file, so that all that is not understood here stays in it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

INSIDE, OUTSIDE = "-10", "-20"
"""Ids of the borders of a subgraph's definition: what comes in, and what goes out."""
MUTED, BYPASSED = 2, 4
"""Modes of nodes that do not run."""
ROOT = 0


@dataclass
class Wire:
    """A link of a saved graph. Ids of nodes are text here, whatever the file holds."""

    id: int
    origin: str
    origin_slot: int
    target: str
    target_slot: int
    kind: Any
    more: dict[str, Any] = field(default_factory=dict[str, Any])


class Sheet:
    """A graph, or the definition of a subgraph.

    Attributes:
        number: its place in ``Sheets.all``; 0 is the graph itself.
        body: its part of the file.
        nodes: by id, as text.
        wires: by id.
    """

    def __init__(self, number: int, body: dict[str, Any]) -> None:
        self.number, self.body = number, body
        self.nodes: dict[str, dict[str, Any]] = {}
        for node in body["nodes"]:
            if not (isinstance(node, dict) and isinstance(node.get("type"), str) and "id" in node):
                raise ValueError("Needed nodes with an id and a type, got something else in the list of nodes; save the graph again.")
            self.nodes[str(node["id"])] = node
        found = {wire.id: wire for wire in (_wire(link) for link in body.get("links") or () if link is not None)}
        claimed = self._claimed(found)
        self.wires = {key: claimed[key] for key in (*found, *claimed) if key in claimed}
        self._as_lists = number == ROOT and not any(isinstance(link, dict) for link in body.get("links") or ())

    def _claimed(self, found: dict[int, Wire]) -> dict[int, Wire]:
        """The wires that are there, by what nodes say of their inputs.

        Tables of links name sockets that have moved, and links that are gone; files written by hand use one twice.
        """
        claimed = {wire.id: wire for wire in found.values() if wire.target == OUTSIDE and (wire.origin in self.nodes or wire.origin == INSIDE)}
        free = max([0, *found, self.body.get("last_link_id") or 0]) + 1
        for key, node in self.nodes.items():
            for slot, entry in enumerate(node.get("inputs") or ()):
                wire = found.get(entry["link"]) if isinstance(entry.get("link"), int) else None
                if wire is None or not (wire.origin in self.nodes or wire.origin == INSIDE):
                    continue
                if wire.id in claimed:
                    wire = replace(wire, id=free)
                    entry["link"], free = free, free + 1
                wire.target, wire.target_slot = key, slot
                claimed[wire.id] = wire
        return claimed

    def wire_into(self, entry: dict[str, Any]) -> Wire | None:
        """The wire that ends in an input of a node."""
        link = entry.get("link")
        return self.wires.get(link) if isinstance(link, int) else None

    def wires_from(self, key: str, slot: int | None = None) -> list[Wire]:
        """The wires that begin at a node, or at one of its outputs."""
        return [wire for wire in self.wires.values() if wire.origin == key and slot in (None, wire.origin_slot)]

    def wires_to(self, key: str) -> list[Wire]:
        """The wires that end at a node, or leave a subgraph."""
        return [wire for wire in self.wires.values() if wire.target == key]

    def connect(self, wire: Wire) -> None:
        """Add a wire; its ends are told of it by ``write_back``."""
        self.wires[wire.id] = wire

    def remove(self, key: str) -> None:
        """Take out a node with its wires."""
        del self.nodes[key]
        for wire in [wire for wire in self.wires.values() if key in (wire.origin, wire.target)]:
            del self.wires[wire.id]

    def write_back(self) -> None:
        """Bring the lists of the file, and what each socket says of its wires, into agreement with ``nodes`` and ``wires``."""
        self.body["nodes"] = list(self.nodes.values())
        ends = {(wire.target, wire.target_slot): wire.id for wire in self.wires.values()}
        for key, node in self.nodes.items():
            for slot, entry in enumerate(node.get("inputs") or ()):
                if "link" in entry or (key, slot) in ends:
                    entry["link"] = ends.get((key, slot))
            for slot, entry in enumerate(node.get("outputs") or ()):
                links = [wire.id for wire in self.wires_from(key, slot)]
                if links or entry.get("links"):
                    entry["links"] = links
        if self.number != ROOT:
            for slot, entry in enumerate(self.body.get("inputs") or ()):
                entry["linkIds"] = [wire.id for wire in self.wires_from(INSIDE, slot)]
            for slot, entry in enumerate(self.body.get("outputs") or ()):
                entry["linkIds"] = [wire.id for wire in self.wires_to(OUTSIDE) if wire.target_slot == slot]
        self.body["links"] = [self._stored(wire) for wire in self.wires.values()]
        self._forget_bends()

    def _stored(self, wire: Wire) -> Any:
        origin, target = (self.nodes[key]["id"] if key in self.nodes else int(key) for key in (wire.origin, wire.target))
        if self._as_lists:
            return [wire.id, origin, wire.origin_slot, target, wire.target_slot, wire.kind]
        ends = {"origin_id": origin, "origin_slot": wire.origin_slot, "target_id": target, "target_slot": wire.target_slot}
        return {**wire.more, "id": wire.id, **ends, "type": wire.kind}

    def _forget_bends(self) -> None:
        """Take wires that are gone out of the bends of wires, which the front end calls reroutes too."""
        extra = self.body.get("extra") or {}
        if extra.get("linkExtensions"):
            extra["linkExtensions"] = [entry for entry in extra["linkExtensions"] if entry.get("id") in self.wires]
        for home in (extra, self.body):
            for bend in home.get("reroutes") or ():
                bend["linkIds"] = [link for link in bend.get("linkIds") or () if link in self.wires]
            if home.get("reroutes"):
                used = {bend.get("parentId") for bend in home["reroutes"]}
                home["reroutes"] = [bend for bend in home["reroutes"] if bend["linkIds"] or bend.get("floating") or bend.get("id") in used]


class Sheets:
    """All sheets of a file, which is copied first.

    Attributes:
        document: the copy, for the answer.
        all: the sheets.
        home: by the number of a subgraph's sheet, where it is used: the numbers of sheets and the ids of nodes.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = copy.deepcopy(document)
        bodies = [self.document, *_definitions(self.document)]
        self.all = [Sheet(number, body) for number, body in enumerate(bodies)]
        self.by_type = {sheet.body.get("id"): sheet.number for sheet in self.all[1:]}
        self.home: dict[int, list[tuple[int, str]]] = {sheet.number: [] for sheet in self.all}
        for sheet, key, node in self.every_node():
            if node["type"] in self.by_type:
                self.home[self.by_type[node["type"]]].append((sheet.number, key))
        numbers = [int(key) for _, key, _ in self.every_node() if key.isdigit()]
        self._last_node = max([0, *numbers, *self._said("last_node_id", "lastNodeId")])
        self._last_wire = max([0, *(wire for sheet in self.all for wire in sheet.wires), *self._said("last_link_id", "lastLinkId")])

    def every_node(self) -> Iterator[tuple[Sheet, str, dict[str, Any]]]:
        """Each node with its sheet and id."""
        for sheet in self.all:
            for key, node in sheet.nodes.items():
                yield sheet, key, node

    def inner(self, node: dict[str, Any]) -> int | None:
        """The number of the sheet of a node that is a subgraph."""
        return self.by_type.get(node["type"])

    def only_home(self, number: int) -> tuple[int, str] | None:
        """Where a subgraph is used, if that is in one place."""
        homes = self.home[number]
        return homes[0] if len(homes) == 1 else None

    def count_nodes_to(self, number: int) -> None:
        """Say that ids up to this one are taken."""
        self._last_node = max(self._last_node, number)

    def new_wire(self) -> int:
        """An id for a new wire."""
        self._last_wire += 1
        return self._last_wire

    def last_node(self) -> int:
        """The highest id of a node so far."""
        return self._last_node

    def write_back(self) -> dict[str, Any]:
        """The file, with all that was changed."""
        for sheet in self.all:
            sheet.write_back()
            if "last_node_id" in sheet.body:
                sheet.body |= {"last_node_id": self._last_node, "last_link_id": self._last_wire}
            if isinstance(sheet.body.get("state"), dict):
                sheet.body["state"] |= {"lastNodeId": self._last_node, "lastLinkId": self._last_wire}
        return self.document

    def _said(self, *names: str) -> list[int]:
        tables = [table for sheet in self.all for table in (sheet.body, sheet.body.get("state") or {})]
        return [table[name] for table in tables for name in names if isinstance(table.get(name), int)]


def _definitions(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for inner in (body.get("definitions") or {}).get("subgraphs") or ():
        if isinstance(inner, dict) and isinstance(inner.get("nodes"), list):
            yield inner
            yield from _definitions(inner)


def _wire(link: Any) -> Wire:
    if isinstance(link, list) and len(link) >= 5:
        return Wire(link[0], str(link[1]), int(link[2]), str(link[3]), int(link[4]), link[5] if len(link) > 5 else "*")
    if isinstance(link, dict) and {"id", "origin_id", "origin_slot", "target_id", "target_slot"} <= link.keys():
        ends = str(link["origin_id"]), int(link["origin_slot"]), str(link["target_id"]), int(link["target_slot"])
        return Wire(link["id"], *ends, link.get("type", "*"), dict(link))
    raise ValueError(f"Needed links as lists of six entries or as tables with both ends, got {str(link)[:100]}; save the graph again.")
