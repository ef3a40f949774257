"""Graphs of other packs, rewritten from the menu of the real front end: they run as before, and undo brings them back."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import pytest
from animatediff_native.demo.client import ComfyClient
from animatediff_native.nodes.legacy import known_rows
from animatediff_native.nodes.legacy.convert import converted_prompt
from animatediff_tests.old_graphs import SCENES, saved_graph
from animatediff_tests.saved_cases import CASES, told

COMMAND = "AnimateDiffNative.ReplaceNodes"
GRAPHS = {**{scene: lambda scene=scene: saved_graph(scene) for scene in SCENES}, **CASES}
REPORT = "dialog.animatediff-native-report"


def opened(page: Any, graph: dict[str, Any]) -> None:
    page.evaluate("graph => window.app.loadGraphData(graph, true, true, 'old', { openSource: 'template' })", graph)


def sent(page: Any) -> dict[str, Any]:
    """What the front end would send to the server."""
    found = page.evaluate("async () => (await window.app.graphToPrompt()).output")
    return {key: {"class_type": node["class_type"], "inputs": node["inputs"]} for key, node in found.items()}


def replaced(page: Any) -> str:
    """Run the menu entry and close its report, which is returned."""
    page.evaluate("id => window.app.extensionManager.command.execute(id)", COMMAND)
    page.locator(REPORT).wait_for(timeout=20_000)
    text = page.locator(REPORT).inner_text()
    page.locator(f"{REPORT} button").click()
    return text


def types(page: Any) -> list[str]:
    return sorted(page.evaluate("() => window.app.rootGraph._nodes.map(node => node.type)"))


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_sends_the_same_work_after_its_nodes_are_replaced(page: Any, client: ComfyClient, name: str) -> None:
    info = client.object_info()
    opened(page, GRAPHS[name]())
    before = sent(page)
    expected, _ = converted_prompt(before, lambda _, name: name)
    assert "Left as they are" not in replaced(page)
    after = sent(page)
    assert told(after, info) == told(expected, info)
    assert not {node["class_type"] for node in after.values()} & known_rows().keys()
    assert page.problems == []


@pytest.mark.parametrize("name", GRAPHS)
def test_new_nodes_cover_nothing(page: Any, name: str) -> None:
    opened(page, GRAPHS[name]())
    replaced(page)
    assert [(one, two) for one, two in itertools.combinations(boxes(page), 2) if cover(one, two)] == []


def boxes(page: Any) -> list[tuple[str, tuple[float, ...]]]:
    found = page.evaluate("() => window.app.rootGraph._nodes.map(node => [node.type, Array.from(node.getBounding())])")
    return [(kind, tuple(box)) for kind, box in found]


def cover(one: tuple[str, tuple[float, ...]], two: tuple[str, tuple[float, ...]]) -> bool:
    (_, a), (_, b) = one, two
    return all(a[i] + 2 < b[i] + b[i + 2] and b[i] + 2 < a[i] + a[i + 2] for i in (0, 1))


def test_undo_brings_the_old_graph_back(page: Any, tmp_path: Path) -> None:
    folder = Path(os.environ.get("ANIMATEDIFF_SCREENSHOTS", tmp_path))
    opened(page, saved_graph("second generation"))
    before, old = sent(page), types(page)
    page.evaluate("id => window.app.extensionManager.command.execute(id)", COMMAND)
    page.locator(REPORT).wait_for(timeout=20_000)
    page.screenshot(path=folder / "replaced_report.png")
    page.locator(f"{REPORT} button").click()
    page.wait_for_timeout(300)
    page.screenshot(path=folder / "replaced.png")
    assert "ADE_UseEvolvedSampling" not in types(page)
    changed = "() => window.app.extensionManager.workflow.activeWorkflow.isModified"
    assert page.evaluate(changed)
    page.evaluate("() => window.app.extensionManager.command.execute('Comfy.Undo')")
    assert types(page) == old and sent(page) == before
    assert not page.evaluate(changed)
    page.evaluate("() => window.app.extensionManager.command.execute('Comfy.Redo')")
    assert "ADE_UseEvolvedSampling" not in types(page)


def test_the_menus_offer_it_where_there_is_something_to_replace(page: Any) -> None:
    items = """() => {
        const { app } = window, label = item => item?.content;
        const old = app.graph._nodes.find(node => node.type.startsWith('ADE_'));
        return [app.collectCanvasMenuItems(app.canvas).map(label), old ? app.collectNodeMenuItems(old).map(label) : []];
    }"""
    entry = "AnimateDiff: Replace nodes of other packs"
    opened(page, saved_graph("windows without a motion module"))
    canvas, node = page.evaluate(items)
    assert entry in canvas and entry in node
    replaced(page)
    canvas, _ = page.evaluate(items)
    assert entry not in canvas
