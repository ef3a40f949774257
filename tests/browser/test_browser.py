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
from animatediff_tests.room import ROOM

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"
NAMES = sorted(path.stem for path in WORKFLOWS.glob("*.json"))
COMPLAINTS = "[role=dialog], .p-dialog, [data-testid=error-overlay]"
"""What the front end shows over a graph with missing nodes, missing files or errors."""
TWO_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def workflow(name: str) -> dict[str, Any]:
    """A graph with the tiny models' names, so that no value is foreign to a list."""
    graph = json.loads((WORKFLOWS / f"{name}.json").read_text(encoding="utf-8"))
    for node in graph["nodes"]:
        node["widgets_values"] = [TINY_MODELS.get(v, v) if isinstance(v, str) else v for v in node["widgets_values"]]
    return graph


def opened(page: Any, graph: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Load a graph as the template browser does, which fits the view to it; what the front end made of each node."""
    load = "([graph, name]) => window.app.loadGraphData(graph, true, true, name, { openSource: 'template' })"
    page.evaluate(load, [graph, name])
    return drawn(page)


def drawn(page: Any) -> list[dict[str, Any]]:
    """The nodes as they are on the screen."""
    page.evaluate(TWO_FRAMES)
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
def test_workflow_opens_as_it_was_drawn(page: Any, renderer: str, pictures: Path, name: str) -> None:
    graph = workflow(name)
    nodes = opened(page, graph, name)
    page.screenshot(path=pictures / f"{name}_{renderer}.png")
    assert [node["type"] for node in nodes if not node["known"] or node["broken"]] == []
    assert sorted(node["id"] for node in nodes) == sorted(node["id"] for node in graph["nodes"])
    stored = {node["id"]: node["widgets_values"] for node in graph["nodes"]}
    for node in nodes:
        wanted = stored[node["id"]]
        assert node["widgets"][: len(wanted)] == wanted, node["type"]
    assert overlaps(nodes) == []
    assert page.locator(COMPLAINTS).all_inner_texts() == []
    assert page.problems == []


@pytest.mark.parametrize("name", NAMES)
def test_workflow_fits_the_screen_and_can_be_read(page: Any, name: str) -> None:
    nodes = opened(page, workflow(name), name)
    left, top, width, height = page.evaluate("() => Array.from(window.app.canvas.visible_area)")
    for node in nodes:
        x, y, w, h = node["box"]
        assert left < x and top < y and x + w < left + width and y + h < top + height, node["type"]
    assert not page.evaluate("() => window.app.canvas.low_quality"), "so far away that no title is written"


def overlaps(nodes: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Pairs of nodes that share more than a rim of their boxes (x, y, width, height)."""

    def overlap(one: list[float], two: list[float]) -> bool:
        return all(one[i] + 2 < two[i] + two[i + 2] and two[i] + 2 < one[i] + one[i + 2] for i in (0, 1))

    pairs = itertools.combinations(nodes, 2)
    return [(one["type"], two["type"]) for one, two in pairs if overlap(one["box"], two["box"])]


@pytest.mark.parametrize("name", NAMES)
def test_front_end_sends_what_our_converter_does(page: Any, client: ComfyClient, name: str) -> None:
    graph = workflow(name)
    opened(page, graph, name)
    sent = page.evaluate("async () => (await window.app.graphToPrompt()).output")
    ours = workflow_to_prompt(graph, client.object_info(), {})
    for node in sent.values():
        node["inputs"].pop("video-preview", None)  # the player that the front end itself adds to Load Video
    assert {key: (node["class_type"], node["inputs"]) for key, node in sent.items()} == {
        key: (node["class_type"], node["inputs"]) for key, node in ours.items()
    }


FOUND = """type => {
    const node = window.app.graph._nodes.find(node => node.type === type);
    return node.widgets.find(widget => widget.name === 'found')?.value;
}"""
SEEN = """() => Array.from(document.querySelectorAll('textarea'))
    .filter(({ clientWidth, clientHeight }) => clientWidth && clientHeight).map(({ value }) => value)"""
"""What stands in the fields that are on the screen."""


def test_nodes_show_what_they_found_and_do_not_store_it(page: Any, renderer: str, pictures: Path) -> None:
    graph = quick(workflow("domain_adapter"), seed=len(renderer), steps=1)
    for _ in range(2):  # the second run finds everything in the cache, and still says so
        opened(page, graph, "domain_adapter")
        assert page.evaluate(FOUND, "LoadMotionModule") is None
        run(page)
        found = page.evaluate(FOUND, "LoadMotionModule")
        assert "AnimateDiff v3 (v3_sd15_mm), for SD1.5" in found
        assert page.evaluate(FOUND, "ApplyDomainAdapter") == "v3_sd15_adapter.ckpt at 1: 128 of 128 keys matched"
        page.evaluate(TWO_FRAMES)
        assert {found, page.evaluate(FOUND, "ApplyDomainAdapter")} <= set(page.evaluate(SEEN))
        stored = page.evaluate("() => window.app.graph.serialize().nodes.map(node => [node.type, node.widgets_values])")
        assert dict(stored)["ApplyDomainAdapter"] == ["v3_sd15_adapter.ckpt", 1]
        assert dict(stored)["LoadMotionModule"] == ["v3_sd15_mm.ckpt", "auto", "authors", 0, "authors"]
        sent = page.evaluate("async () => Object.values((await window.app.graphToPrompt()).output)")
        assert not any("found" in node["inputs"] for node in sent)
    page.wait_for_timeout(1_000)  # the clips load
    page.screenshot(path=pictures / f"after_a_run_{renderer}.png")
    assert overlaps(drawn(page)) == []
    assert page.locator(COMPLAINTS).all_inner_texts() == []
    assert page.problems == []


def quick(graph: dict[str, Any], seed: int, steps: int) -> dict[str, Any]:
    """A graph with few pixels and steps."""
    for node in graph["nodes"]:
        if node["type"] == "EmptyLatentImage":
            node["widgets_values"] = [64, 64, min(20, node["widgets_values"][2])]
        elif node["type"] in SAMPLERS:
            node["widgets_values"][0], node["widgets_values"][2] = seed, steps
    return graph


SAMPLERS = ("AnimateDiffNativeSampler", "KSampler")
AFTER = [
    "text_to_video", "long_clip", "sparsectrl_storyboard", "sparsectrl_controlnet", "value_curves", "control_curve", "prompt_travel",
    "prompt_travel_loras", "motion_schedule", "upscale", "any_sampler",
]  # fmt: skip
PREVIEW = "() => window.app.extensionManager.setting.set('Comfy.Execution.PreviewMethod', 'latent2rgb')"


@pytest.mark.parametrize("name", AFTER)
def test_nothing_overlaps_after_a_run(page: Any, renderer: str, pictures: Path, name: str) -> None:
    """Nodes grow when they show what they found, pictures, and the live preview, which is on. How far, `ROOM` says."""
    page.evaluate(PREVIEW)
    opened(page, quick(workflow(name), seed=len(renderer) + 100, steps=2), name)
    run(page)
    page.wait_for_timeout(1_500)  # pictures load
    page.screenshot(path=pictures / f"{name}_after_a_run_{renderer}.png")
    nodes = drawn(page)
    assert overlaps(nodes) == []
    assert max(node["box"][3] for node in nodes if node["type"] in SAMPLERS) > 480, "the preview is shown"
    for kind, height in ROOM.items():
        assert all(node["box"][3] <= height for node in nodes if node["type"] == kind), kind
    assert page.problems == []


def test_help_of_a_node_opens(page: Any, pictures: Path) -> None:
    """From the button above a selected node. The front end asks for a page in the user's language first."""
    opened(page, workflow("text_to_video"), "text_to_video")
    page.evaluate(
        """() => {
            const { graph, canvas } = window.app;
            canvas.selectNode(graph._nodes.find(node => node.type === 'LoadMotionModule'));
        }"""
    )
    page.get_by_test_id("info-button").click()
    text = (WORKFLOWS.parent / "web" / "docs" / "LoadMotionModule.md").read_text(encoding="utf-8")
    heading = text.splitlines()[0].lstrip("# ")
    page.get_by_role("heading", name=heading).wait_for(timeout=10_000)
    page.screenshot(path=pictures / "help.png")
    page.problems[:] = [problem for problem in page.problems if "/docs/LoadMotionModule/en.md" not in problem]
    assert page.problems == []


def run(page: Any) -> None:
    """Press Run, and wait for the end."""
    page.evaluate(
        """() => {
            window.ended = null;
            for (const kind of ['execution_success', 'execution_error'])
                window.comfyAPI.api.api.addEventListener(kind, () => (window.ended = kind), { once: true });
            window.app.queuePrompt(0);
        }"""
    )
    assert page.wait_for_function("() => window.ended", timeout=60_000).json_value() == "execution_success"
