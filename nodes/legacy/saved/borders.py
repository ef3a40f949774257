"""Wires across the borders of subgraphs: sockets for new ones, and away with those that only carried what old nodes understand."""

from __future__ import annotations

import uuid
from typing import Any

from ..rows import Link
from .sheets import INSIDE, OUTSIDE, Sheet, Sheets, Wire


class Borders:
    """Takes links into other sheets. Only through borders of subgraphs that are used once."""

    def __init__(self, sheets: Sheets) -> None:
        self._sheets = sheets
        self._taken: dict[tuple[str, int, int], tuple[str, int]] = {}

    def reached(self, link: Link, number: int, kind: str) -> tuple[str, int]:
        """The node and output that stand for a link in a sheet, with sockets in all borders between."""
        home, _, key = link[0].partition(":")
        here = (int(home), key, link[1])
        outward = self._path(int(home))
        common = next(sheet for sheet in outward if sheet in self._path(number))
        for sheet in outward[: outward.index(common)]:
            here = self._out_of(sheet, here, kind)
        inward = self._path(number)
        for sheet in reversed(inward[: inward.index(common)]):
            here = self._into(sheet, here, kind)
        return here[1], here[2]

    def _path(self, number: int) -> list[int]:
        """A sheet and those around it, from the inside out."""
        path = [number]
        while (home := self._sheets.only_home(path[-1])) is not None and home[0] not in path:
            path.append(home[0])
        return path

    def _into(self, number: int, here: tuple[int, str, int], kind: str) -> tuple[int, str, int]:
        known = (f"{here[0]}:{here[1]}", here[2], number)
        if known not in self._taken:
            outer, key = self._sheets.home[number][0]
            sheet, around = self._sheets.all[number], self._sheets.all[outer]
            entry, node = _socket(sheet, "inputs", kind), around.nodes[key]
            sheet.body.setdefault("inputs", []).append(entry)
            node.setdefault("inputs", []).append({"name": entry["name"], "type": kind, "link": None})
            around.connect(Wire(self._sheets.new_wire(), here[1], here[2], key, len(node["inputs"]) - 1, kind))
            self._taken[known] = (INSIDE, len(sheet.body["inputs"]) - 1)
        return (number, *self._taken[known])

    def _out_of(self, number: int, here: tuple[int, str, int], kind: str) -> tuple[int, str, int]:
        outer, key = self._sheets.home[number][0]
        known = (f"{here[0]}:{here[1]}", here[2], outer)
        if known not in self._taken:
            sheet, node = self._sheets.all[number], self._sheets.all[outer].nodes[key]
            entry = _socket(sheet, "outputs", kind)
            sheet.body.setdefault("outputs", []).append(entry)
            node.setdefault("outputs", []).append({"name": entry["name"], "type": kind, "links": []})
            sheet.connect(Wire(self._sheets.new_wire(), here[1], here[2], OUTSIDE, len(sheet.body["outputs"]) - 1, kind))
            self._taken[known] = (key, len(node["outputs"]) - 1)
        return (outer, *self._taken[known])

    def close_input(self, number: int, slot: int) -> None:
        """Take a socket away through which something came into a subgraph."""
        outer, key = self._sheets.home[number][0]
        sheet, around = self._sheets.all[number], self._sheets.all[outer]
        name = sheet.body["inputs"].pop(slot)["name"]
        _close_origin(sheet, INSIDE, slot)
        entries = around.nodes[key].get("inputs") or []
        at = next((i for i in (slot, *range(len(entries))) if i < len(entries) and entries[i].get("name") == name), None)
        if at is not None:
            del entries[at]
            _close_target(around, key, at)

    def close_output(self, number: int, slot: int) -> None:
        """Take a socket away through which something left a subgraph."""
        outer, key = self._sheets.home[number][0]
        sheet, around = self._sheets.all[number], self._sheets.all[outer]
        del sheet.body["outputs"][slot]
        _close_target(sheet, OUTSIDE, slot)
        entries = around.nodes[key].get("outputs") or []
        if slot < len(entries):
            del entries[slot]
            _close_origin(around, key, slot)


def _close_origin(sheet: Sheet, key: str, slot: int) -> None:
    """Take away the wires that begin at an output that is gone; those after it move up."""
    for wire in sheet.wires_from(key):
        if wire.origin_slot == slot:
            del sheet.wires[wire.id]
        elif wire.origin_slot > slot:
            wire.origin_slot -= 1


def _close_target(sheet: Sheet, key: str, slot: int) -> None:
    """Take away the wire that ends at an input that is gone; those after it move up."""
    for wire in sheet.wires_to(key):
        if wire.target_slot == slot:
            del sheet.wires[wire.id]
        elif wire.target_slot > slot:
            wire.target_slot -= 1


def _socket(sheet: Sheet, side: str, kind: str) -> dict[str, Any]:
    """A new socket in the border of a subgraph."""
    entries = sheet.body.get(side) or []
    plain = kind.split(",")[0].lower()
    names = {entry.get("name") for entry in entries}
    name = next(name for name in (plain, *(f"{plain}_{i}" for i in range(1, len(entries) + 2))) if name not in names)
    made = uuid.uuid5(uuid.NAMESPACE_OID, f"{sheet.body.get('id')}/{side}/{len(entries)}/{name}")
    return {"id": str(made), "name": name, "type": kind, "linkIds": []}
