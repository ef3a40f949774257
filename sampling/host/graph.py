"""The host's graph: nodes that a node puts in its own position while it runs, and the list of all nodes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from comfy_execution.graph_utils import GraphBuilder

import nodes as host_nodes

__all__ = ["GraphBuilder", "at_start", "known_ids", "withdraw"]


def known_ids() -> Mapping[str, Any]:
    """Every node id that is registered, with its class. It is read only."""
    return host_nodes.NODE_CLASS_MAPPINGS


def withdraw(own: Mapping[str, type], titles: Mapping[str, str]) -> None:
    """Take nodes of this pack out of the host's list again. What another pack has registered under the same id is not touched.

    A title is told from an equal one of another pack by being the same object.
    """
    names = host_nodes.NODE_DISPLAY_NAME_MAPPINGS
    for key, node in own.items():
        if host_nodes.NODE_CLASS_MAPPINGS.get(key) is node:
            del host_nodes.NODE_CLASS_MAPPINGS[key]
        if names.get(key) is titles[key]:
            del names[key]


def at_start(action: Callable[[], None]) -> None:
    """Call ``action`` when every pack is loaded and before the host serves anybody.

    Never where nothing is served, or where it is served already: some packs load others again while the host runs.
    """
    server = getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
    if server is None or server.app.on_startup.frozen:
        return

    async def begun(_: Any) -> None:
        action()

    server.app.on_startup.append(begun)
