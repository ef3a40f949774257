"""The real front end in headless Chromium, on a real server with the tiny models."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from animatediff_native.demo.client import ComfyClient
from animatediff_tests.server.conftest import client, server_log  # noqa: F401 - the same server, as fixtures

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACK = "animatediff-native"
SCREEN = {"width": 1920, "height": 1080}
SWITCH = """async on => {
    await window.app.extensionManager.setting.set('Comfy.VueNodes.Enabled', on);
    await new Promise(done => setTimeout(done, 500));
    return window.LiteGraph.vueNodesMode;
}"""
"""Draw nodes as Nodes 2.0 does, or on the canvas."""


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium. Before `client` in the arguments of a fixture: no server starts only to be skipped."""
    pytest.importorskip("playwright", reason="no playwright here: pip install playwright")
    path = os.environ.get("CHROMIUM") or next((path for name in NAMES if (path := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium here: apt-get install chromium, or set CHROMIUM to the path of one")
    return path


@pytest.fixture(scope="module")  # not longer: an open graph editor keeps a processor busy
def page(chromium: str, client: ComfyClient) -> Iterator[Any]:  # noqa: F811 - the fixture imported above
    """A page with the graph editor and our template text_to_video open, as from the template browser.

    ``page.problems`` collects what scripts throw and report as errors: while the editor starts what names our pack (the
    front end itself reports files that a new user does not have), then everything.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport=SCREEN)
        page.problems = []
        page.on("pageerror", lambda error: page.problems.append(error.stack or str(error)))
        page.on("console", lambda message: message.type == "error" and page.problems.append(_told(message)))
        # Or the list of templates that greets a new user would cover the graph.
        page.request.post(f"{client.base_url}/api/settings", data={"Comfy.TutorialCompleted": True})
        page.goto(f"{client.base_url}/?template=text_to_video&source={PACK}")
        page.wait_for_function(
            "() => window.app?.graph?._nodes.some(node => node.type === 'AnimateDiffNativeSampler')", timeout=90_000
        )
        page.problems[:] = [problem for problem in page.problems if PACK in problem]
        yield page
        browser.close()


@pytest.fixture(scope="module", params=[False, True], ids=["canvas", "nodes_2"])
def renderer(page: Any, request: pytest.FixtureRequest) -> Iterator[str]:
    """Each way in which the front end draws nodes; its name."""
    assert page.evaluate(SWITCH, request.param) == request.param
    yield "nodes_2" if request.param else "canvas"
    page.evaluate(SWITCH, False)


def _told(message: Any) -> str:
    return f"{message.text} ({message.location.get('url')})"
