"""How the graphs of `workflows/` are laid out: room for what nodes show when they have run, and notes that can be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from animatediff_tests.room import ROOM

WORKFLOWS = sorted((Path(__file__).resolve().parents[2] / "workflows").glob("*.json"))


def graph(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))["nodes"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_nodes_have_room_to_grow(path: Path) -> None:
    nodes = graph(path)
    for node in nodes:
        (left, top), (width, _), room = node["pos"], node["size"], ROOM.get(node["type"], 0)
        for other in nodes:
            (x, y), (w, _) = other["pos"], other["size"]
            beside = x >= left + width or x + w <= left
            assert other is node or not room or beside or y <= top or y >= top + room, (node["id"], other["id"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_notes_have_no_code(path: Path) -> None:
    """Nodes 2.0 draws it dark blue on brown, and nobody can read it."""
    notes = [node["widgets_values"][0] for node in graph(path) if node["type"] == "MarkdownNote"]
    assert notes and not any("`" in note for note in notes)
