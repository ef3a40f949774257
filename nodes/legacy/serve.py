"""What the host's server answers about old graphs: the menu entry of ``web/convert.js`` and ``dev.py convert`` ask."""

from __future__ import annotations

import json
import logging
from typing import Any

from ...sampling.host.graph import node_info, serve
from ..files import same_file
from . import known_rows
from .saved import converted

PATH = "/animatediff_native/convert"
LARGEST_GRAPH = 8 * 2**20
"""Bytes of a graph: some hundred times what the largest known one has."""


def serve_conversion() -> None:
    """Answer at ``PATH``: GET names the old nodes, POST rewrites a graph. Nothing where nothing is served."""
    serve("GET", PATH, _listed)
    serve("POST", PATH, _answered)


def _listed(_: bytes) -> tuple[int, dict[str, Any]]:
    return 200, {"nodes": sorted(known_rows())}


def _answered(body: bytes) -> tuple[int, dict[str, Any]]:
    """The status and the answer to ``{"graph": ..., "names": "here" or "kept"}``.

    With "here", model files are named as they are on this machine; with "kept", as they are in the graph.
    """
    if len(body) > LARGEST_GRAPH:
        return 413, {"error": f"Needed a graph of at most {LARGEST_GRAPH >> 20} MiB, got {len(body) / 2**20:.1f}. Take pictures that are stored in notes out of it."}
    try:
        asked = json.loads(body)
        graph, names = asked["graph"], asked.get("names", "here")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return 400, {"error": 'Needed {"graph": ...} as JSON, got something else.'}
    try:
        new, report = converted(graph, same_file if names == "here" else _as_named, node_info)
    except ValueError as error:
        return 422, {"error": str(error)}
    except Exception as error:
        logging.exception("A graph could not be rewritten.")
        return 500, {"error": f"The graph could not be rewritten ({type(error).__name__}: {error}). The server's log says where."}
    return 200, {"graph": new, "done": report.done, "notes": report.notes, "left": report.left, "text": str(report)}


def _as_named(folder: str, name: str) -> str:
    return name
