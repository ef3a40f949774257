"""Ids of other packs, hidden, so that the graphs people have open and run. A family is registered only where its own pack is absent.

``rows`` says what an old node is, the tables list them, ``adapter`` makes nodes of them. ``convert`` rewrites a saved graph into the
nodes they expand to.
"""

from __future__ import annotations

from comfy_api.latest import io

from ...sampling.host.graph import at_start, known_ids, withdraw
from . import artventure, controlnet, evolved, fizz, motion_director
from .adapter import node_of
from .rows import OldNode

PACKS: dict[str, tuple[OldNode, ...]] = {
    "AnimateDiff-Evolved": evolved.NODES,
    "Advanced-ControlNet": controlnet.NODES,
    "images of a folder": controlnet.IMAGES,
    "ArtVentureX": artventure.NODES,
    "ADMotionDirector": motion_director.NODES,
    "FizzNodes": fizz.NODES,
    "Efficiency": motion_director.SCRIPTS,
}
"""The packs whose graphs open, and their nodes."""


def known_rows() -> dict[str, OldNode]:
    """Every old node by its id, whether it is registered or not."""
    return {row.id: row for rows in PACKS.values() for row in rows}


class OldNodes:
    """The old nodes of one host: registered while the packs load, and withdrawn where a pack of theirs loads later."""

    def __init__(self) -> None:
        known = known_ids()
        absent = [rows for rows in PACKS.values() if not any(row.id in known for row in rows)]
        self.families = [{row.id: (node_of(row), row.title) for row in rows} for rows in absent]
        at_start(self.withdraw_known)

    def listed(self) -> list[type[io.ComfyNode]]:
        """The nodes to register."""
        return [node for family in self.families for node, _ in family.values()]

    def withdraw_known(self) -> None:
        """Take out every family of which another pack has registered an id: never half of one."""
        known = known_ids()
        for family in self.families:
            if any(known.get(key) is not node for key, (node, _) in family.items()):
                withdraw({key: node for key, (node, _) in family.items()}, {key: title for key, (_, title) in family.items()})
