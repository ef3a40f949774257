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


def _chromium() -> str | None:
    given = os.environ.get("CHROMIUM")
    return given or next((path for name in NAMES if (path := shutil.which(name))), None)


@pytest.fixture(scope="module")  # not longer: an open graph editor keeps a processor busy
def page(client: ComfyClient) -> Iterator[Any]:  # noqa: F811 - the fixture imported above
    """A page with the graph editor, ready. ``page.problems`` collects errors that scripts throw."""
    path = _chromium()
    if path is None:
        pytest.skip("no Chromium here: apt-get install chromium, or set CHROMIUM to the path of one")
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright here: pip install playwright")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 2400, "height": 1000})
        page.problems = []
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.goto(client.base_url)
        page.wait_for_function("() => !!window.app?.graph && 'LoadMotionModule' in (window.LiteGraph?.registered_node_types ?? {})", timeout=90_000)
        page.wait_for_timeout(2_000)
        yield page
        browser.close()
