"""Graphs of other packs open in the real front end: no missing node, and every value where it was."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from animatediff_native.demo.client import ComfyClient
from animatediff_tests.browser.conftest import SWITCH
from animatediff_tests.old_graphs import SCENES, V1, Prompt, saved_graph
from animatediff_tests.old_layouts import (
    INNER,
    OTHER_VALUES,
    from_primitive,
    hold,
    in_group,
    in_subgraph,
    node_of,
    rounds,
    through_reroute,
    with_old_sockets,
)
from PIL import Image
from PIL.PngImagePlugin import PngInfo

COMPLAINTS = "[role=dialog], .p-dialog, [data-testid=error-overlay]"
"""What the front end shows over a graph with missing nodes, missing files or errors."""
DRAWN = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
SENT = "async () => (await window.app.graphToPrompt()).output"
MISSING = """() => window.app.graph._nodes.map(node => node.type)
    .filter(type => !(type in window.LiteGraph.registered_node_types))"""
LORAS, LOOP, ONE, TWO = (
    "loader with context and motion LoRA",
    "second generation",
    "first generation with every setting",
    "a schedule after the motion node",
)


@pytest.fixture(scope="module", params=["classic", "nodes 2.0"])
def editor(request: pytest.FixtureRequest, page: Any) -> Iterator[Any]:
    """The page with one of the two ways in which the front end draws nodes."""
    wanted = request.param == "nodes 2.0"
    assert page.evaluate(SWITCH, wanted) == wanted
    yield page
    page.evaluate(SWITCH, False)


def opened(page: Any, graph: dict[str, Any]) -> Prompt:
    """Load a saved graph; what the front end would send of it."""
    page.evaluate("async graph => { await window.app.loadGraphData(graph, true, true); }", graph)
    return sent(page)


def sent(page: Any) -> Prompt:
    """What the front end would send of the graph that is open; nothing is missing, and nothing is complained about."""
    page.evaluate(DRAWN)
    prompt = page.evaluate(SENT)
    assert page.evaluate(MISSING) == []
    assert page.locator(COMPLAINTS).all_inner_texts() == []
    assert page.problems == []
    return {key: {"class_type": node["class_type"], "inputs": node["inputs"]} for key, node in prompt.items()}


def wanted(scene: str, key: str = "", **changes: Any) -> Prompt:
    """A scene as it is to be sent; ``changes`` are inputs of one node. A file that was not chosen is called None."""
    prompt = deepcopy(SCENES[scene])
    for node in prompt.values():
        node["inputs"] = {name: "None" if value is None else value for name, value in node["inputs"].items()}
    if key:
        prompt[key]["inputs"] |= changes
    return prompt


def files(outputs: dict[str, Any]) -> list[str]:
    """Files that a prompt saved."""
    entries = [entry for node in outputs.values() for value in node.values() for entry in value if isinstance(entry, dict)]
    return [entry["filename"] for entry in entries if entry.get("type") == "output"]


@pytest.mark.parametrize("scene", SCENES)
def test_a_saved_graph_opens_with_its_values_and_runs(editor: Any, client: ComfyClient, scene: str) -> None:
    """What is sent is the same from both, so that it runs only once."""
    prompt = opened(editor, saved_graph(scene))
    assert prompt == wanted(scene)
    if not editor.evaluate("() => window.LiteGraph.vueNodesMode"):
        assert files(client.run(prompt))


@pytest.mark.parametrize("scene", SCENES)
def test_every_layout_of_values_means_the_same(page: Any, scene: str) -> None:
    for graph in rounds(scene):
        assert opened(page, graph) == wanted(scene)


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_values_of_old_versions_are_understood(page: Any, name: str) -> None:
    told = OTHER_VALUES[name]
    graph, prompt = saved_graph(told.scene), wanted(told.scene, told.key, **told.inputs)
    hold(graph, told.key, told.values)
    if told.kind:
        node_of(graph, told.key)["type"] = told.kind
        prompt[told.key] = {"class_type": told.kind, "inputs": told.inputs}
    assert opened(page, graph) == prompt


def test_a_file_that_is_not_here_keeps_its_name_and_is_complained_about(page: Any) -> None:
    graph = saved_graph(LOOP)
    hold(graph, "12", ["my/own.ckpt"])
    page.evaluate("async graph => { await window.app.loadGraphData(graph, true, true); }", graph)
    page.locator(COMPLAINTS, has_text="my/own.ckpt").first.wait_for(timeout=10_000)
    assert page.evaluate(SENT)["12"]["inputs"] == {"model_name": "my/own.ckpt"}
    opened(page, saved_graph(LOOP))  # the complaint goes


@pytest.mark.parametrize(
    "key, field, kind, value",
    [("10", "motion_scale", "FLOAT", 1.4), ("10", "model_name", "COMBO", V1), ("11", "context_length", "INT", 8)],
)
def test_a_field_that_was_made_an_input_takes_its_value_from_a_primitive(page: Any, key: str, field: str, kind: str, value: Any) -> None:
    graph = saved_graph(LORAS)
    from_primitive(graph, key, field, kind, value)
    assert opened(page, graph) == wanted(LORAS, key, **{field: value})


def test_connections_by_a_reroute_and_by_old_names_of_sockets_are_kept(page: Any) -> None:
    graph = saved_graph(LORAS)
    through_reroute(graph, "10", "context_options")
    with_old_sockets(graph)
    assert opened(page, graph) == wanted(LORAS)
    graph = saved_graph(TWO)
    with_old_sockets(graph)
    assert opened(page, graph) == wanted(TWO)


@pytest.mark.parametrize("scene, key", [(LORAS, "10"), (ONE, "15"), (TWO, "10")])
def test_values_are_read_inside_subgraphs(editor: Any, scene: str, key: str) -> None:
    graph = saved_graph(scene)
    in_subgraph(graph, key)
    prompt = wanted(scene)
    prompt[f"{key}:{INNER}"] = prompt.pop(key)
    for node in prompt.values():
        node["inputs"] = {name: [f"{key}:{INNER}", 0] if value == [key, 0] else value for name, value in node["inputs"].items()}
    assert opened(editor, graph) == prompt


@pytest.mark.parametrize("end", [[], [""]])
def test_values_are_read_inside_group_nodes(page: Any, end: list[Any]) -> None:
    """Which hold all of them in one list; the front end makes subgraphs of them."""
    graph, prompt = saved_graph(LOOP), wanted(LOOP)
    hold(graph, "13", [4, 1, 2, True, "pyramid", False, 0, 1, *end])
    hold(graph, "14", [0, "repeated_context", "comfy", 5, False, *end])
    in_group(graph, "13", "14")
    kinds = {prompt[key]["class_type"]: prompt[key]["inputs"] for key in ("13", "14")}
    found = {node["class_type"]: node["inputs"] for node in opened(page, graph).values()}
    assert {kind: found[kind] for kind in kinds} == kinds


def test_a_picture_with_a_graph_in_it_opens(page: Any) -> None:
    info, data = PngInfo(), io.BytesIO()
    info.add_text("workflow", json.dumps(saved_graph(LORAS)))
    info.add_text("prompt", json.dumps(SCENES[LORAS]))
    Image.new("RGB", (8, 8)).save(data, "png", pnginfo=info)
    page.evaluate(
        """async text => {
            const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
            await window.app.handleFile(new File([bytes], 'old.png', { type: 'image/png' }));
        }""",
        base64.b64encode(data.getvalue()).decode(),
    )
    assert sent(page) == wanted(LORAS)


def test_a_prompt_for_the_api_opens_as_a_graph(page: Any) -> None:
    page.evaluate("async prompt => { await window.app.loadApiJson(prompt, 'old'); }", SCENES[LOOP])
    assert sent(page) == wanted(LOOP)


def test_a_node_that_is_given_a_model_passes_one_on(page: Any, client: ComfyClient) -> None:
    """Apply AnimateDiff Model as graphs by hand have it: it stands where Use Evolved Sampling does."""
    graph = saved_graph(LOOP)
    node = node_of(graph, "10")
    node |= {"type": "ADE_ApplyAnimateDiffModel", "widgets_values": []}
    node["inputs"] = [entry for entry in node["inputs"] if entry["name"] in {"model", "m_models", "context_options"}]
    module = next(link for link in graph["links"] if link[0] == node["inputs"][1]["link"])
    node["inputs"][1] |= {"name": "motion_model", "type": "MOTION_MODEL_ADE"}
    module[1], module[5] = 12, "MOTION_MODEL_ADE"
    graph["nodes"] = [other for other in graph["nodes"] if other["id"] not in {11, 14, 15, 16, 17}]
    kept = {other["id"] for other in graph["nodes"]}
    graph["links"] = [link for link in graph["links"] if link[1] in kept and link[3] in kept]
    for slot, entry in enumerate(node["inputs"]):
        next(link for link in graph["links"] if link[0] == entry["link"])[4] = slot
    prompt = opened(page, graph)
    assert prompt["10"]["inputs"] == {
        "model": ["1", 0], "motion_model": ["12", 0], "context_options": ["13", 0], "start_percent": 0.0, "end_percent": 1.0,
    }  # fmt: skip
    assert files(client.run(prompt))


def test_a_graph_that_is_saved_again_opens_as_before(page: Any) -> None:
    """Also with the values in their new order, and without the texts of widgets that are gone."""
    for scene in (LORAS, ONE):
        opened(page, saved_graph(scene))
        assert opened(page, page.evaluate("() => window.app.graph.serialize()")) == wanted(scene)
