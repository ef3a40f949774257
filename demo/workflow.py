"""Turn a workflow file of ComfyUI's front end (nodes, links, widgets) into the prompt its server executes.

The front end does this in the browser; the demo and the tests have none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

WIDGET_TYPES = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COMFY_DYNAMICCOMBO_V3"}
NOTES = {"Note", "MarkdownNote"}
SEED_NAMES = {"seed", "noise_seed"}
SKIPPED_MODES = {2: "muted", 4: "bypassed"}

Prompt = dict[str, dict[str, Any]]


class WorkflowError(ValueError):
    """A workflow that cannot be turned into a prompt. The message names the node."""


def workflow_to_prompt(
    graph: Mapping[str, Any], object_info: Mapping[str, Any], rename: Mapping[str, str] | None = None
) -> Prompt:
    """The prompt of a workflow.

    Args:
        graph: a workflow as the front end saves it (version 0.4 or 1).
        object_info: what the server's /object_info answers.
        rename: widget texts to replace, to put the name of a file that is there for the one in the workflow.

    Raises: WorkflowError for node types the server lacks, muted nodes, and widget values that do not fit the node.
    """
    nodes = {node["id"]: node for node in graph["nodes"]}
    links = {link[0]: (link[1], link[2]) for link in map(_link, graph["links"])}
    prompt: Prompt = {}
    for node in nodes.values():
        if node["type"] in NOTES or node["type"] == "Reroute":
            continue
        _check(node, object_info)
        inputs = _widget_values(node, object_info[node["type"]], rename or {})
        for socket in node.get("inputs", []):
            source = _source(socket.get("link"), nodes, links)
            if source is not None:
                inputs[socket["name"]] = [str(source[0]), source[1]]
        title = node.get("title") or object_info[node["type"]]["display_name"]
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs, "_meta": {"title": title}}
    return prompt


def _link(link: Sequence[Any] | Mapping[str, Any]) -> Sequence[Any]:
    """A link as [id, from node, from slot, ...]; version 1 of the format stores an object."""
    if isinstance(link, Mapping):
        return [link["id"], link["origin_id"], link["origin_slot"]]
    return link


def _check(node: Mapping[str, Any], object_info: Mapping[str, Any]) -> None:
    name = f"Node {node['id']} ({node['type']})"
    if node.get("mode", 0) in SKIPPED_MODES:
        raise WorkflowError(f"{name} is {SKIPPED_MODES[node['mode']]}; only active nodes can be run. Enable or delete it.")
    if node["type"] not in object_info:
        raise WorkflowError(f"{name} is of a type this server does not have. Install the pack it belongs to.")


def _source(link: int | None, nodes: Mapping[int, Any], links: Mapping[int, Any]) -> tuple[int, int] | None:
    """The node and slot a link comes from, looking through Reroute nodes."""
    while link is not None:
        if link not in links:
            raise WorkflowError(f"A node uses link {link}, which the workflow does not have. Save the workflow again.")
        origin, slot = links[link]
        if nodes[origin]["type"] != "Reroute":
            return origin, slot
        link = nodes[origin]["inputs"][0].get("link")
    return None


def _widget_values(node: Mapping[str, Any], info: Mapping[str, Any], rename: Mapping[str, str]) -> dict[str, Any]:
    stored = node.get("widgets_values") or []
    if isinstance(stored, Mapping):
        return {name: rename.get(value, value) if isinstance(value, str) else value for name, value in stored.items()}
    values = iter(stored)
    found: dict[str, Any] = {}
    for name, value in _read_widgets(_inputs(info["input"], info.get("input_order")), values):
        found[name] = rename.get(value, value) if isinstance(value, str) else value
    surplus = list(values)
    if surplus:
        raise WorkflowError(f"Node {node['id']} ({node['type']}) has widget values its type does not know: {surplus}.")
    return found


def _inputs(spec: Mapping[str, Any], order: Mapping[str, Sequence[str]] | None = None) -> Iterator[tuple[str, Any]]:
    """The inputs of a node type in the order the front end makes widgets of them."""
    for group in ("required", "optional"):
        members = spec.get(group) or {}
        for name in (order or {}).get(group) or members:
            yield name, members[name]


def _read_widgets(inputs: Iterator[tuple[str, Any]], values: Iterator[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Pair widgets with stored values. A workflow older than a node's newest widgets has too few: they keep defaults."""
    for name, spec in inputs:
        kind, options = spec[0], spec[1] if len(spec) > 1 else {}
        is_widget = isinstance(kind, list) or options.get("widgetType", kind) in WIDGET_TYPES
        if not is_widget or options.get("forceInput"):
            continue
        default = options.get("default", kind[0] if isinstance(kind, list) and kind else None)
        value = next(values, default)
        if value is not None:
            yield prefix + name, value
        if kind == "COMFY_DYNAMICCOMBO_V3":
            for option in options.get("options", []):
                if option["key"] == value:
                    yield from _read_widgets(_inputs(option["inputs"]), values, f"{prefix}{name}.")
        if options.get("control_after_generate", kind == "INT" and name in SEED_NAMES):
            next(values, None)  # "fixed", "randomize", ...: a widget of the front end that the server never sees
        if options.get("image_upload") or options.get("video_upload"):
            next(values, None)  # the upload button counts as a widget
