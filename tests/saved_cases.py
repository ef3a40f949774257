"""Saved graphs of other packs in all the ways that people arrange them: bends, names, fields outside, muted nodes, subgraphs.

Each is a scene of ``old_graphs`` with something done to its file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from animatediff_native.demo.workflow import workflow_to_prompt

from .old_graphs import saved_graph

Graph = dict[str, Any]


def node_of(graph: Graph, key: int) -> Graph:
    """A node by its id."""
    return next(node for node in graph["nodes"] if node["id"] == key)


def input_of(graph: Graph, key: int, name: str) -> Graph:
    """An input of a node, which is added if it is not there."""
    node = node_of(graph, key)
    found = next((entry for entry in node["inputs"] if entry["name"] == name), None)
    if found is None:
        found = {"name": name, "type": "*", "link": None}
        node["inputs"].append(found)
    return found


def added(graph: Graph, key: int, kind: str, inputs: list[tuple[str, str]], outputs: list[str], values: list[Any], **more: Any) -> Graph:
    """A new node below all others."""
    low = max(node["pos"][1] for node in graph["nodes"]) + 500
    node = {
        "id": key, "type": kind, "pos": [0, low], "size": [210, 60], "flags": {}, "order": 0, "mode": 0,
        "inputs": [{"name": name, "type": made, "link": None} for name, made in inputs],
        "outputs": [{"name": made, "type": made, "links": [], "slot_index": i} for i, made in enumerate(outputs)],
        "properties": {}, "widgets_values": values, **more,
    }  # fmt: skip
    graph["nodes"].append(node)
    graph["last_node_id"] = max(graph["last_node_id"], key)
    return node


def connect(graph: Graph, source: int, slot: int, target: int, name: str) -> None:
    """A link between two nodes; what was connected there before is disconnected."""
    disconnect(graph, target, name)
    graph["last_link_id"] += 1
    entry, made = input_of(graph, target, name), node_of(graph, source)["outputs"][slot]
    entry["link"] = graph["last_link_id"]
    made["links"].append(graph["last_link_id"])
    at = node_of(graph, target)["inputs"].index(entry)
    graph["links"].append([graph["last_link_id"], source, slot, target, at, made["type"]])


def disconnect(graph: Graph, target: int, name: str) -> tuple[int, int]:
    """Take a link away; where it came from."""
    entry = input_of(graph, target, name)
    link = next((link for link in graph["links"] if link[0] == entry["link"]), None)
    if link is None:
        return -1, -1
    graph["links"].remove(link)
    node_of(graph, link[1])["outputs"][link[2]]["links"].remove(link[0])
    entry["link"] = None
    return link[1], link[2]


def bend(graph: Graph, key: int, target: int, name: str) -> None:
    """A Reroute in the link of an input."""
    source, slot = disconnect(graph, target, name)
    added(graph, key, "Reroute", [("", "*")], ["*"], [])
    connect(graph, source, slot, key, "")
    connect(graph, key, 0, target, name)


# --- cases -----------------------------------------------------------------------------------------------------------


def bends() -> Graph:
    """Reroutes in the wires of a MODEL, of context options, of data, and one after another."""
    graph = saved_graph("loader with context and motion LoRA")
    bend(graph, 20, 10, "model")
    bend(graph, 21, 5, "model")
    bend(graph, 22, 10, "context_options")
    bend(graph, 23, 10, "motion_lora")
    bend(graph, 24, 10, "motion_lora")
    return graph


def fields_outside() -> Graph:
    """Primitives for a context length and for a seed that is drawn anew after each run."""
    graph = saved_graph("the sampler of ArtVentureX")
    added(graph, 20, "PrimitiveNode", [], ["INT"], [6, "fixed"])
    input_of(graph, 12, "context_length").update(type="INT", widget={"name": "context_length"})
    connect(graph, 20, 0, 12, "context_length")
    added(graph, 21, "PrimitiveNode", [], ["INT"], [77, "randomize"])
    input_of(graph, 5, "seed").update(type="INT", widget={"name": "seed"})
    connect(graph, 21, 0, 5, "seed")
    return graph


def muted_windows() -> Graph:
    """The windows of a loader are muted, and its motion LoRA is bypassed, which leaves the LoRA before it."""
    graph = saved_graph("loader with context and motion LoRA")
    node_of(graph, 11)["mode"] = 2
    node_of(graph, 12)["mode"] = 4
    node_of(graph, 13)["widgets_values"] = ["v2_lora_TiltUp.ckpt", 0.5]
    return graph


def bypassed_loader() -> Graph:
    """A whole animation is switched off: the loader, its windows and its LoRA are bypassed."""
    graph = saved_graph("loader with context and motion LoRA")
    for key in (10, 11, 12):
        node_of(graph, key)["mode"] = 4
    return graph


def bypassed_without_model() -> Graph:
    """A loader that is bypassed passes on a MODEL, and one that is muted none."""
    graph = saved_graph("a schedule after the motion node")
    node_of(graph, 10)["mode"] = 4
    node_of(graph, 1)["mode"] = 0
    return graph


def in_a_subgraph(graph: Graph, keys: set[int], *, twice: bool = False) -> Graph:
    """A graph with some of its nodes in a subgraph, as the front end of 2025 saves it."""
    number, made = graph["last_node_id"] + 1, "5a1e7f2c-8d0b-4c7e-9a46-3b2f1c0d9e8f"
    inner = [node for node in graph["nodes"] if node["id"] in keys]
    instance: Graph = {
        "id": number, "type": made, "pos": [0, 2000], "size": [300, 200], "flags": {}, "order": 0, "mode": 0, "inputs": [], "outputs": [],
        "properties": {}, "widgets_values": [],
    }  # fmt: skip
    borders: dict[str, list[Graph]] = {"inputs": [], "outputs": []}
    inside, outside, leaving = [], [], {}
    for link in graph["links"]:
        wire, source, slot, target, at, kind = link
        if source in keys and target in keys:
            inside.append([source, slot, target, at, kind, wire])
        elif target in keys:
            place = len(borders["inputs"])
            name = f"{node_of(graph, target)['inputs'][at]['name']}_{place}"
            borders["inputs"].append({"id": f"{place:08d}-0000-4000-8000-000000000000", "name": name, "type": kind, "linkIds": [wire + 1000]})
            instance["inputs"].append({"name": name, "type": kind, "link": wire})
            inside.append([-10, place, target, at, kind, wire + 1000])
            node_of(graph, target)["inputs"][at]["link"] = wire + 1000
            outside.append([wire, source, slot, number, place, kind])
        elif source in keys:
            if (source, slot) not in leaving:
                place = leaving[source, slot] = len(borders["outputs"])
                name = f"{kind}_{place}"
                borders["outputs"].append({"id": f"{place:08d}-0000-4000-9000-000000000000", "name": name, "type": kind, "linkIds": [wire + 1000]})
                instance["outputs"].append({"name": name, "type": kind, "links": []})
                inside.append([source, slot, -20, place, kind, wire + 1000])
                node_of(graph, source)["outputs"][slot]["links"] = [wire + 1000]
            instance["outputs"][leaving[source, slot]]["links"].append(wire)
            outside.append([wire, number, leaving[source, slot], target, at, kind])
        else:
            outside.append(link)
    definition = {
        "id": made, "version": 1, "revision": 0, "state": {"lastGroupId": 0, "lastNodeId": number, "lastLinkId": 2000, "lastRerouteId": 0},
        "config": {}, "name": "Animation", "inputNode": {"id": -10, "bounding": [-200, 0, 120, 100]},
        "outputNode": {"id": -20, "bounding": [2200, 0, 120, 100]}, **borders, "widgets": [], "nodes": inner, "groups": [],
        "links": [
            {"id": wire, "origin_id": source, "origin_slot": slot, "target_id": target, "target_slot": at, "type": kind}
            for source, slot, target, at, kind, wire in inside
        ],
    }  # fmt: skip
    for node in inner:
        for slot, entry in enumerate(node["outputs"]):
            entry["links"] = [link[5] for link in inside if link[:2] == [node["id"], slot]]
    others = [node for node in graph["nodes"] if node["id"] not in keys]
    new = {**graph, "nodes": [*others, instance], "links": outside, "last_node_id": number, "definitions": {"subgraphs": [definition]}}
    if twice:
        new["nodes"].append({**instance, "id": number + 1, "inputs": [{**entry, "link": None} for entry in instance["inputs"]],
                             "outputs": [{**entry, "links": []} for entry in instance["outputs"]], "pos": [0, 2400]})  # fmt: skip
        new["last_node_id"] = number + 1
        again = [(link[1], link[2], link[4]) for link in outside if link[3] == number]
        for source, slot, at in again:
            new["last_link_id"] += 1
            new["links"].append([new["last_link_id"], source, slot, number + 1, at, borders["inputs"][at]["type"]])
            new["nodes"][-1]["inputs"][at]["link"] = new["last_link_id"]
            next(node for node in others if node["id"] == source)["outputs"][slot]["links"].append(new["last_link_id"])
    return new


def loader_inside() -> Graph:
    """The loader with its windows in a subgraph, the motion LoRA outside."""
    return in_a_subgraph(saved_graph("loader with context and motion LoRA"), {10, 11})


def windows_outside() -> Graph:
    """The sampling node in a subgraph; windows, settings and the loaded module come in from outside."""
    return in_a_subgraph(saved_graph("second generation"), {10})


def data_from_inside() -> Graph:
    """What loads and sets the module lies in a subgraph, which gives data to the node that samples outside."""
    return in_a_subgraph(saved_graph("second generation"), {11, 12, 15, 17})


CASES: dict[str, Callable[[], Graph]] = {
    made.__name__.replace("_", " "): made
    for made in (bends, fields_outside, muted_windows, bypassed_loader, bypassed_without_model, loader_inside, windows_outside, data_from_inside)
}
"""Graphs of which nothing of another pack is left."""


# --- comparing prompts -----------------------------------------------------------------------------------------------

Prompt = dict[str, dict[str, Any]]


def told(prompt: Prompt, object_info: Any) -> list[str]:
    """Each node that is needed for a result, with all that it comes from, as text without ids.

    Fields that are left out count as their standards.
    """
    known: dict[str, str] = {}

    def tell(key: str) -> str:
        if key not in known:
            node = prompt[key]
            inputs = {**_standards(node["class_type"], object_info), **node["inputs"]}
            parts = [f"{name}={tell(value[0])}[{value[1]}]" if _is_link(value) else f"{name}={_plain(value)}" for name, value in sorted(inputs.items())]
            known[key] = f"{node['class_type']}({', '.join(parts)})"
        return known[key]

    return sorted(tell(key) for key, node in prompt.items() if object_info[node["class_type"]].get("output_node"))


def _plain(value: Any) -> str:
    """A value as text; JavaScript knows no difference between 1 and 1.0."""
    return f"{float(value):g}" if isinstance(value, int | float) and not isinstance(value, bool) else repr(value)


def _is_link(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def _standards(kind: str, object_info: Any) -> dict[str, Any]:
    bare = {"id": 1, "type": kind, "inputs": [], "outputs": []}
    return workflow_to_prompt({"nodes": [bare], "links": []}, object_info)["1"]["inputs"]
