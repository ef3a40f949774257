"""The page for users of AnimateDiff-Evolved names every one of its nodes."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

from animatediff_native.nodes.legacy.evolved import NODES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "from-animatediff-evolved.md"


def test_every_node_has_a_place_on_the_page() -> None:
    patterns = re.findall(r"`([A-Za-z_*0-9]+)`", PAGE.read_text(encoding="utf-8"))
    missing = [row.id for row in NODES if not any(fnmatch(row.id, pattern) for pattern in patterns)]
    assert not missing
