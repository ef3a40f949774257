"""The host's graph: nodes that a node puts in its own position while it runs, and the list of all nodes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web
from comfy_execution.graph_utils import GraphBuilder

import nodes as host_nodes

__all__ = ["GraphBuilder", "at_start", "known_ids", "node_info", "serve", "withdraw"]


def known_ids() -> Mapping[str, Any]:
    """Every node id that is registered, with its class. It is read only."""
    return host_nodes.NODE_CLASS_MAPPINGS


def node_info(kind: str) -> Mapping[str, Any] | None:
    """The definition of a node type as the host tells it to browsers: inputs, their order, outputs; None for one it does not have."""
    node = host_nodes.NODE_CLASS_MAPPINGS.get(kind)
    if node is None:
        return None
    if hasattr(node, "GET_NODE_INFO_V1"):
        return node.GET_NODE_INFO_V1()
    inputs = node.INPUT_TYPES()
    return {
        "input": inputs,
        "input_order": {group: list(members) for group, members in inputs.items()},
        "output": node.RETURN_TYPES,
        "output_name": getattr(node, "RETURN_NAMES", node.RETURN_TYPES),
        "output_node": getattr(node, "OUTPUT_NODE", False),
        "display_name": host_nodes.NODE_DISPLAY_NAME_MAPPINGS.get(kind, kind),
    }


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
    server = _server()
    if server is None or server.app.on_startup.frozen:
        return

    async def begun(_: Any) -> None:
        action()

    server.app.on_startup.append(begun)


def serve(method: str, path: str, answer: Callable[[bytes], tuple[int, Any]]) -> None:
    """Let the host's server answer at ``path``; never where nothing is served.

    Args:
        answer: gets the body of a request; returns a status and what is sent as JSON.
    """
    server = _server()
    if server is None:
        return

    async def handle(request: web.Request) -> web.Response:
        status, told = answer(await request.read())
        return web.json_response(told, status=status)

    server.routes.route(method, path)(handle)


def _server() -> Any:
    """The host's server; None in a process that serves nothing."""
    return getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
