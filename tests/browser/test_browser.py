"""Every workflow opens in the real front end as it was drawn, and says the same to the server as our own converter."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import Any

import pytest
from animatediff_native.demo.animate import TINY_MODELS
from animatediff_native.demo.client import ComfyClient, workflow_to_prompt

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"
NAMES = sorted(path.stem for path in WORKFLOWS.glob("*.json"))
NOTES = ("MarkdownNote", "Note")


def workflow(name: str) -> dict[str, Any]:
    """A graph with the tiny models' names, so that no value is foreign to a list."""
    graph = json.loads((WORKFLOWS / f"{name}.json").read_text(encoding="utf-8"))
    for node in graph["nodes"]:
        node["widgets_values"] = [TINY_MODELS.get(v, v) if isinstance(v, str) else v for v in node["widgets_values"]]
    return graph


def opened(page: Any, graph: dict[str, Any]) -> list[dict[str, Any]]:
    """Load a graph; what the front end made of each node."""
    page.evaluate("graph => window.app.loadGraphData(graph)", graph)
    page.wait_for_timeout(500)
    return page.evaluate(
        """() => window.app.graph._nodes.map(node => ({
            id: Number(node.id), type: node.type, known: node.type in window.LiteGraph.registered_node_types,
            broken: !!node.has_errors, widgets: (node.widgets ?? []).map(widget => widget.value),
            box: Array.from(node.getBounding()),
        }))"""
    )


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: ANIMATEDIFF_SCREENSHOTS, to look at them, or a folder that pytest removes."""
    given = os.environ.get("ANIMATEDIFF_SCREENSHOTS")
    folder = Path(given) if given else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_workflow_opens_as_it_was_drawn(page: Any, client: ComfyClient, pictures: Path, name: str) -> None:
    graph = workflow(name)
    nodes = opened(page, graph)
    page.keyboard.press(".")  # fit the view
    page.wait_for_timeout(700)
    page.screenshot(path=pictures / f"{name}.png")
    assert [node["type"] for node in nodes if not node["known"] or node["broken"]] == []
    assert {node["id"] for node in nodes} == {node["id"] for node in graph["nodes"]}
    stored = {node["id"]: node["widgets_values"] for node in graph["nodes"]}
    for node in nodes:
        wanted = stored[node["id"]]
        assert node["widgets"][: len(wanted)] == wanted, node["type"]
    for one, two in itertools.combinations(nodes, 2):
        assert not overlap(one["box"], two["box"]), f"{one['type']} and {two['type']} overlap"
    assert page.problems == []


def overlap(one: list[float], two: list[float]) -> bool:
    """Whether two boxes (x, y, width, height) share more than a rim."""
    return all(one[i] + 2 < two[i] + two[i + 2] and two[i] + 2 < one[i] + one[i + 2] for i in (0, 1))


@pytest.mark.parametrize("name", NAMES)
def test_front_end_sends_what_our_converter_does(page: Any, client: ComfyClient, name: str) -> None:
    graph = workflow(name)
    opened(page, graph)
    sent = page.evaluate("async () => (await window.app.graphToPrompt()).output")
    ours = workflow_to_prompt(graph, client.object_info(), {})
    assert sent.keys() == ours.keys()
    for key, node in ours.items():
        theirs = sent[key]
        assert theirs["class_type"] == node["class_type"]
        assert {name: theirs["inputs"][name] for name in node["inputs"]} == node["inputs"], node["class_type"]


def test_nodes_show_what_they_found_and_do_not_store_it(page: Any, pictures: Path) -> None:
    graph = workflow("domain_adapter")
    for node in graph["nodes"]:
        if node["type"] == "EmptyLatentImage":
            node["widgets_values"][:2] = [64, 64]
        elif node["type"] == "AnimateDiffSampler":
            node["widgets_values"][2] = 1
    opened(page, graph)
    field = """type => {
        const node = window.app.graph._nodes.find(node => node.type === type);
        return node.widgets.find(widget => widget.name === 'found')?.value;
    }"""
    for _ in range(2):  # the second run finds everything in the cache, and still says so
        page.evaluate("() => window.app.queuePrompt(0)")
        page.wait_for_function(f"({field})('ApplyDomainAdapter')", timeout=60_000)
        assert "AnimateDiff v3 (v3_sd15_mm), for SD1.5" in page.evaluate(field, "LoadMotionModule")
        assert page.evaluate(field, "ApplyDomainAdapter") == "v3_sd15_adapter.ckpt at 1: 128 of 128 keys matched"
        stored = page.evaluate("() => window.app.graph.serialize().nodes.map(node => [node.type, node.widgets_values])")
        assert dict(stored)["ApplyDomainAdapter"] == ["v3_sd15_adapter.ckpt", 1]
        assert dict(stored)["LoadMotionModule"] == ["v3_sd15_mm.ckpt", "auto", "authors", 0, "authors"]
        page.keyboard.press(".")
        page.wait_for_timeout(700)
        page.screenshot(path=pictures / "after_a_run.png")
        opened(page, graph)
    assert page.problems == []
