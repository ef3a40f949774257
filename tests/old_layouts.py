"""Other ways in which saved graphs hold what ``old_graphs`` has: lists of other lengths and orders, converted fields, old sockets.

A *round* is a scene whose nodes hold other values that mean the same; ``rounds`` gives them all. The other functions change how a
node is connected. What the front end is to send is always ``SCENES[scene]``.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from .old_graphs import CONTROL, FRAMES, LCM, SPARSE, V1, V2, saved_graph

INNER = 900
"""The number of a node in a subgraph."""
VARIANTS: dict[str, dict[str, list[Any]]] = {
    "loader of 2023 with two values": {
        "10": [
            [V1, "sqrt_linear (AnimateDiff)", 1, "lerp (normal)"],
            {"model_name": V1, "beta_schedule": "sqrt_linear (AnimateDiff)"},
            {"model_name": V1, "beta_schedule": "sqrt_linear (AnimateDiff)", "motion_scale": None, "apply_v2_models_properly": True},
        ],
    },
    "loader with context and motion LoRA": {
        "10": [[V2, "sqrt_linear (AnimateDiff)", 1.2, False], [V2, "sqrt_linear (AnimateDiff)", 1.2, 0, ""], [V2, "sqrt_linear (AnimateDiff)", 1.2, False, 0]],
        "11": [
            [4, 1, 1, "uniform", False, "flat", False, 0, 1],
            [4, 1, 1, "uniform", False, "flat", False, 0, 1, ""],
            {"context_length": 4, "context_stride": 1, "context_overlap": 1, "context_schedule": "uniform", "closed_loop": False},
        ],
        "12": [["v2_lora_PanLeft.ckpt", 0.8, ""], ["v2_lora_PanLeft.ckpt", 0.8, "", ""]],
        "13": [[None, 1, ""], ["None", 1]],
        "7": [
            [8, 0, "old", "image/gif", False, True],
            [8, 0, "Enabled", "old"],
            [8, 0, "Enabled", "old", "Disabled"],
            [8, 0, True, "old", False],
            {"frame_rate": 8, "loop_count": 0, "filename_prefix": "old", "format": "image/gif", "pingpong": False, "save_image": True},
        ],
    },
    "first generation with every setting": {
        "10": [[LCM, "lcm avg(sqrt_linear,linear)"]],
        "11": [[4, 1, "pyramid", False, 0, 1]],
        "12": [[], [""]],
        "13": [[16, 18, False]],
        "14": [[1.01, False]],
        "15": [
            [0, "FreeNoise", "comfy", 0, False],
            [0, "FreeNoise", "comfy", 0, 0, False],
            [0, "FreeNoise", "comfy", 0, 0, False, ""],
            {"batch_offset": 0, "noise_type": "FreeNoise", "seed_gen": "comfy", "seed_offset": 0, "adapt_denoise_steps": False},
        ],
        "16": [[2.5]],
        "17": [["lcm >> sqrt_linear", ""]],
        "18": [[1.1]],
        "19": [[0.5, 1, "absolute"]],
    },
    "second generation": {
        "10": [["autoselect", ""], {"beta_schedule": "autoselect"}],
        "11": [None, [""], ["", ""]],
        "12": [[V2], {"model_name": V2}],
        "13": [[4, 1, 2, True, "pyramid", False, 0, 1, ""]],
        "14": [[0, "repeated_context", "comfy", 5, 0, False], [0, "repeated_context", "comfy", 5, False, ""], [0, "repeated_context", "comfy", 5, False]],
        "15": [[1.25, ""]],
        "17": [["v2_lora_ZoomIn.ckpt", 0.5]],
    },
    "two modules over the steps": {
        "11": [[0, 0.6, ""]],
        "13": [[0.4, 1]],
        "15": [[0.3, True, 1]],
        "16": [[0.9]],
        "17": [[0.7, ""]],
    },
    "windows without a motion module": {"11": [[4, 0, 1, ""]]},
    "a schedule after the motion node": {
        "1": [
            ["tiny_sd15.safetensors", "sqrt_linear (AnimateDiff)", False, 0.18215],
            ["tiny_sd15.safetensors", "sqrt_linear (AnimateDiff)", False, None],
        ],
        "4": [[64, 64, FRAMES, ""]],
        "10": [[LCM, "lcm >> sqrt_linear"], [LCM, "lcm >> sqrt_linear", 1, True, ""]],
        "11": [[4, 1, 1, "overlap-linear", False, 0, 1, ""]],
        "13": [[4, 1, 1, ""]],
    },
    "a pass without motion": {
        "11": [[V2, "autoselect", ""]],
        "12": [[4, 1, "relative", False, 0, 1, ""]],
        "13": [[4, 1, "pyramid", ""]],
    },
    "the sampler of ArtVentureX": {
        "5": [
            {"inject_method": "default", "frame_number": 20, "seed": 3, "steps": 2, "cfg": 7, "sampler_name": "euler", "scheduler": "normal", "denoise": 1},
        ],
        "7": [[8, 0, True, "old", "image/webp", True, "/view?filename=old_00001_.webp&type=output"]],
        "10": [{"model_name": V2}],
    },
    "a ControlNet of 2023 with keyframes on its loader": {
        "20": [[0.7, 0, 0.9, ""], {"strength": 0.7, "start_percent": 0, "end_percent": 0.9}],
        "21": [[CONTROL, ""]],
        "22": [[0, 1, 0], [0, 1, 0, True, True], [0, 1, 0, True, 1, ""]],
        "23": [[0.825], [0.825, False, 1], [0.825, False, 1, ""]],
        "24": [[0, 0.5, ""]],
        "25": [[2, FRAMES, 1, 0.2, "ease-in"], [2, FRAMES, 1, 0.2, "ease-in", False, ""]],
    },
    "a ControlNet of 2024 with keyframes over steps": {
        "20": [[1, 0, 1]],
        "22": [[0.3, 0.6, 0.2, True, True], [0.3, 0.6, 0.2, True, 1]],
        "23": [[0, 0.25, 1, 0.5, "linear", 5, 0, True, False]],
        "24": [["0=1.0, 2:4=0.5, -1=0.8"], ["0=1.0, 2:4=0.5, -1=0.8", False]],
    },
    "SparseCtrl RGB of 2024": {
        "21": [[SPARSE.format("rgb"), True, 1, 1, "nearest_hint", 1, 1, 1], [SPARSE.format("rgb"), True]],
        "23": [["starting", ""]],
    },
    "SparseCtrl scribble by index": {
        "21": [[SPARSE.format("scribble"), True, 0.9, 1.1, "nearest_hint", 0.9, 0.8, 0.7, ""]],
        "23": [["0, 5,-1", ""]],
        "26": [[0.5, 1, 1]],
    },
}
"""Per scene and node: other stored values that mean the same; None is a node without any."""

@dataclass(frozen=True)
class Told:
    """What a file has for one node of a scene, which inputs that changes, and its type where that is another."""

    scene: str
    key: str
    values: Any
    inputs: dict[str, Any]
    kind: str = ""


_SETTINGS = {"pe_strength": 1.1, "attn_strength": 0.9, "other_strength": 1.0, "cap_initial_pe_length": 16, "interpolate_pe_to_length": 18,
             "initial_pe_idx_offset": 2}  # fmt: skip
_REST = {"motion_pe_stretch": 0, "final_pe_idx_offset": 0, "min_motion_scale": 1.0, "max_motion_scale": 1.0}
OTHER_VALUES: dict[str, Told] = {
    "a switch for the old norms": Told(
        "loader of 2023 with two values", "10", [V1, "sqrt_linear (AnimateDiff)", True], {"apply_v2_models_properly": False},
    ),
    "ArtVentureX saves without a format": Told(
        "the sampler of ArtVentureX", "7", [8, 0, "Disabled", "old"], {"save_image": False, "format": "image/gif", "pingpong": False},
    ),
    "ArtVentureX saves to and fro": Told(
        "the sampler of ArtVentureX", "7", [8, 0, True, "old", "Enabled"], {"format": "image/gif", "pingpong": True},
    ),
    "a fuse method with its emoji": Told(
        "first generation with every setting", "11", [4, 1, "\U0001f52cgauss-sigma", False, 0.0, 1], {"fuse_method": "\U0001f52cgauss-sigma"},
    ),
    "a choice as a number": Told("a pass without motion", "13", [4, 1, 2], {"fuse_method": 2}),
    "a choice that is empty": Told("a pass without motion", "13", [4, 1, ""], {"fuse_method": "pyramid"}),
    "numbers that are not there": Told("a pass without motion", "13", [4, None, "pyramid"], {"view_overlap": 4}),
    "a file in a folder": Told("second generation", "12", ["old/" + V2], {}),
    "a file with a back slash": Told("second generation", "12", ["SD15\\" + V2], {}),
    "a file with another extension": Told("two modules over the steps", "14", ["V3_sd15_mm.safetensors"], {}),
    "a file that was not chosen": Told("second generation", "12", [None], {"model_name": "None"}),
    "settings without a stretch": Told(
        "a schedule after the motion node", "13", [*_SETTINGS.values()], {**_SETTINGS, **_REST}, "ADE_AnimateDiffModelSettings",
    ),
    "settings with a stretch": Told(
        "a schedule after the motion node", "13", [1.1, 0.9, 1, 4, 16, 18, 2, 0], {**_SETTINGS, **_REST, "motion_pe_stretch": 4},
        "ADE_AnimateDiffModelSettings",
    ),
    "a list of CFGs whose input was stored": Told(
        "first generation with every setting", "16", [-1, 0.1, 0.9, True, ""],
        {"start_percent": 0.1, "end_percent": 0.9, "print_keyframes": True}, "ADE_CustomCFGKeyframeFromList",
    ),
    "a list of CFGs": Told(
        "first generation with every setting", "16", [0.1, 0.9, True],
        {"start_percent": 0.1, "end_percent": 0.9, "print_keyframes": True}, "ADE_CustomCFGKeyframeFromList",
    ),
    "SparseCtrl of two days in 2024": Told(
        "SparseCtrl scribble by index", "21", [SPARSE.format("scribble"), True, 0.9, 1.1, True, 0.9, 0.8, 0.7], {},
    ),
    "weights of a mask with locks": Told(
        "a ControlNet on one prompt", "27", [0.5, 1, True, False, 0.9],
        {"min_base_multiplier": 0.5, "max_base_multiplier": 1.0, "lock_min": True, "lock_max": False, "uncond_multiplier": 0.9},
        "ScaledSoftMaskedUniversalWeights",
    ),
    "weights of a mask": Told(
        "a ControlNet on one prompt", "27", [0.5, 1, 0.9],
        {"min_base_multiplier": 0.5, "max_base_multiplier": 1.0, "lock_min": False, "lock_max": False, "uncond_multiplier": 0.9},
        "ScaledSoftMaskedUniversalWeights",
    ),
    "a list of strengths whose input was stored": Told(
        "a ControlNet on one prompt", "27", [-1, 0.1, 0.9, 0, True, False, ""],
        {"start_percent": 0.1, "end_percent": 0.9, "null_latent_kf_strength": 0.0, "inherit_missing": True, "print_keyframes": False},
        "ACN_TimestepKeyframeFromStrengthList",
    ),
    "latent keyframes of a list whose input was stored": Told(
        "a ControlNet on one prompt", "27", [-1, True], {"print_keyframes": True}, "LatentKeyframeBatchedGroup",
    ),
    "a motion LoRA by its path": Told("second generation", "17", ["", 0.7], {"strength": 0.7}, "ADMD_LoadLora"),
}  # fmt: skip
"""Values that mean something else than those of the scene."""


def rounds(scene: str) -> Iterator[dict[str, Any]]:
    """The files of a scene, as often as its nodes have layouts; a node with fewer keeps its last."""
    variants = VARIANTS.get(scene, {})
    yield saved_graph(scene)
    for number in range(max(map(len, variants.values()), default=0)):
        graph = saved_graph(scene)
        for key, values in variants.items():
            hold(graph, key, values[min(number, len(values) - 1)])
        yield graph


def hold(graph: dict[str, Any], key: str, values: Any) -> None:
    """Change what the file of a graph has as values of a node."""
    node = node_of(graph, key)
    node.pop("widgets_values", None)
    if values is not None:
        node["widgets_values"] = deepcopy(values)


def node_of(graph: dict[str, Any], key: str) -> dict[str, Any]:
    """A node of a saved graph."""
    return next(node for node in graph["nodes"] if str(node["id"]) == key)


def from_primitive(graph: dict[str, Any], key: str, field: str, kind: str, value: Any) -> None:
    """Turn a field into an input, connected to a Primitive that holds its value."""
    target, number, link = node_of(graph, key), graph["last_node_id"] + 1, graph["last_link_id"] + 1
    target["inputs"].append({"name": field, "type": kind, "link": link, "widget": {"name": field, "config": [kind, {}]}})
    graph["nodes"].append({
        "id": number, "type": "PrimitiveNode", "pos": [-400, 0], "size": [210, 82], "flags": {}, "order": 0, "mode": 0,
        "outputs": [{"name": kind, "type": kind, "links": [link], "slot_index": 0, "widget": {"name": field, "config": [kind, {}]}}],
        "properties": {"Run widget replace on values": False}, "widgets_values": [value, "fixed"],
    })  # fmt: skip
    _linked(graph, link, [number, 0, int(key), len(target["inputs"]) - 1, kind])
    graph["last_node_id"] = number


def through_reroute(graph: dict[str, Any], key: str, name: str) -> None:
    """Put a Reroute into the connection of an input."""
    entry = next(entry for entry in node_of(graph, key)["inputs"] if entry["name"] == name)
    number, first = graph["last_node_id"] + 1, next(link for link in graph["links"] if link[0] == entry["link"])
    slot, kind, link = first[4], first[5], graph["last_link_id"] + 1
    first[3:] = [number, 0, "*"]
    graph["nodes"].append({
        "id": number, "type": "Reroute", "pos": [-400, 300], "size": [75, 26], "flags": {}, "order": 0, "mode": 0,
        "inputs": [{"name": "", "type": "*", "link": first[0]}], "outputs": [{"name": kind, "type": kind, "links": [link], "slot_index": 0}],
        "properties": {"showOutputText": True, "horizontal": False},
    })  # fmt: skip
    entry["link"] = link
    _linked(graph, link, [number, 0, int(key), slot, kind])
    graph["last_node_id"] = number


def _linked(graph: dict[str, Any], number: int, link: list[Any]) -> None:
    graph["links"].append([number, *link])
    graph["last_link_id"] = number


def with_old_sockets(graph: dict[str, Any]) -> None:
    """Names and types that sockets had before 2024."""
    types = {"AD_SETTINGS": "MOTION_MODEL_SETTINGS"}
    names = {"ad_settings": "motion_model_settings"}
    for node in graph["nodes"]:
        for entry in (*node["inputs"], *node["outputs"]):
            entry["name"] = "CONTEXT_OPTS" if entry["type"] == "CONTEXT_OPTIONS" and entry in node["outputs"] else names.get(entry["name"], entry["name"])
            entry["type"] = types.get(entry["type"], entry["type"])
    for link in graph["links"]:
        link[5] = types.get(link[5], link[5])


def in_subgraph(graph: dict[str, Any], key: str) -> None:
    """Put one node, as number 900, into a subgraph of its own, whose node has the old number."""
    outer, name = node_of(graph, key), str(UUID(int=7))
    inner = deepcopy(outer) | {"id": INNER}
    inner["outputs"][0]["links"] = [100]
    inputs, links = [], []
    for slot, entry in enumerate(inner["inputs"]):
        inputs.append({"id": str(UUID(int=20 + slot)), "name": entry["name"], "type": entry["type"], "linkIds": [slot + 1], "pos": [0, 20 * slot]})
        links.append({"id": slot + 1, "origin_id": -10, "origin_slot": slot, "target_id": INNER, "target_slot": slot, "type": entry["type"]})
        entry["link"] = slot + 1
    kind = outer["outputs"][0]["type"]
    links.append({"id": 100, "origin_id": INNER, "origin_slot": 0, "target_id": -20, "target_slot": 0, "type": kind})
    outer |= {"type": name, "widgets_values": [], "properties": {}}
    graph["definitions"] = {"subgraphs": [{
        "id": name, "version": 1, "revision": 0, "config": {}, "name": "loader", "groups": [], "widgets": [], "extra": {},
        "state": {"lastGroupId": 0, "lastNodeId": INNER, "lastLinkId": 100, "lastRerouteId": 0},
        "inputNode": {"id": -10, "bounding": [-400, 0, 120, 60]}, "outputNode": {"id": -20, "bounding": [600, 0, 120, 60]},
        "inputs": inputs, "outputs": [{"id": str(UUID(int=19)), "name": kind, "type": kind, "linkIds": [100], "pos": [600, 20]}],
        "nodes": [inner], "links": links,
    }]}  # fmt: skip


def in_group(graph: dict[str, Any], *keys: str) -> None:
    """Put nodes that are not connected to one another into a group node, as there were before subgraphs."""
    members = [node_of(graph, key) for key in keys]
    number, values = graph["last_node_id"] + 1, [value for node in members for value in node.get("widgets_values") or ()]
    inputs = [(node, entry) for node in members for entry in node["inputs"]]
    outputs = [(node, entry) for node in members for entry in node["outputs"]]
    for link in graph["links"]:
        if str(link[1]) in keys:
            link[1:3] = [number, next(i for i, (_, entry) in enumerate(outputs) if link[0] in entry["links"])]
        if str(link[3]) in keys:
            link[3:5] = [number, next(i for i, (_, entry) in enumerate(inputs) if link[0] == entry["link"])]
    inner = [
        {
            **{name: value for name, value in node.items() if name != "id"}, "index": i,
            "inputs": [{**entry, "link": None} for entry in node["inputs"]],
            "outputs": [{**entry, "links": []} for entry in node["outputs"]],
        }
        for i, node in enumerate(members)
    ]  # fmt: skip
    graph["nodes"] = [node for node in graph["nodes"] if node not in members]
    graph["nodes"].append({
        "id": number, "type": "workflow>group", "pos": [0, 900], "size": [300, 300], "flags": {}, "order": 0, "mode": 0,
        "inputs": [entry for _, entry in inputs], "outputs": [entry for _, entry in outputs], "properties": {}, "widgets_values": values,
    })  # fmt: skip
    external = [[i, 0, node["outputs"][0]["type"]] for i, node in enumerate(members)]
    graph["extra"] = {"groupNodes": {"group": {"nodes": inner, "links": [], "external": external}}}
    graph["last_node_id"] = number
