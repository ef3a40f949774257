"""Save Animation in the real front end: every format plays on the node, and a file that is dropped brings its graph along."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from animatediff_native.demo.client import ComfyClient
from animatediff_tests.browser.test_browser import run

PLAYS = {"webp": "img", "gif": "img", "mp4": "video"}
"""What the front end plays a format with."""
MIME = {"webp": "image/webp", "gif": "image/gif", "mp4": "video/mp4"}
TWO_COLOURS = """format => {
    const { graph } = window.app;
    graph.clear();
    const make = (type, values) => {
        const node = window.LiteGraph.createNode(type);
        graph.add(node);
        for (const [name, value] of Object.entries(values)) node.widgets.find(widget => widget.name === name).value = value;
        return node;
    };
    const batch = make('ImageBatch', {});
    [0xff0000, 0x0000ff].forEach((color, index) => make('EmptyImage', { width: 64, height: 64, color }).connect(0, batch, index));
    batch.connect(0, make('SaveAnimation', { format, filename_prefix: 'browser' }), 'images');
}"""
CHOOSE = """format => {
    const node = window.app.graph._nodes.find(node => node.type === 'SaveAnimation');
    node.widgets.find(widget => widget.name === 'format').value = format;
}"""
PLAYERS = """() => {
    const node = window.app.graph._nodes.find(node => node.type === 'SaveAnimation');
    const players = node.widgets.filter(widget => ['img', 'video'].includes(widget.type));
    return players.map(widget => [widget.type, widget.element.firstChild?.src ?? '', widget.computedHeight > 100]);
}"""
DROP = """([name, type, data]) => {
    window.app.graph.clear();
    const bytes = Uint8Array.from(atob(data), character => character.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], name, { type }));
    const at = { dataTransfer, bubbles: true, cancelable: true, clientX: 800, clientY: 500 };
    for (const kind of ['dragenter', 'dragover', 'drop']) window.app.canvasEl.dispatchEvent(new DragEvent(kind, at));
}"""


def players_of(page: Any, format: str) -> list[list[Any]]:
    """[kind, address, has room] of what plays on the node, once it plays a file of the format."""
    loaded = f"() => {{ const [player] = ({PLAYERS})(); return player?.[1].includes('.{format}') && player[2]; }}"
    page.wait_for_function(loaded, timeout=15_000)
    return page.evaluate(PLAYERS)


def test_every_format_plays_on_the_node_whatever_it_played_before(page: Any) -> None:
    page.evaluate(TWO_COLOURS, "gif")
    for format in ("gif", "mp4", "webp", "mp4", "gif"):
        page.evaluate(CHOOSE, format)
        run(page)
        assert [kind for kind, _, _ in players_of(page, format)] == [PLAYS[format]]
    assert page.problems == []


@pytest.mark.parametrize(("format", "brings"), [("webp", True), ("mp4", True), ("gif", False)])
def test_a_dropped_file_brings_its_graph(page: Any, client: ComfyClient, format: str, brings: bool) -> None:
    """The front end reads no GIF: it loads it as an image."""
    page.evaluate(TWO_COLOURS, format)
    run(page)
    players_of(page, format)
    outputs = page.evaluate("() => Object.values(window.app.nodeOutputs).map(output => output.images[0])")
    (file,) = [file for file in outputs if file["filename"].startswith("browser") and file["filename"].endswith(format)]
    page.evaluate(DROP, [file["filename"], MIME[format], base64.b64encode(client.view(file)).decode()])
    page.wait_for_function("() => window.app.graph._nodes.length", timeout=15_000)
    types = page.evaluate("() => window.app.graph._nodes.map(node => node.type).sort()")
    assert types == (["EmptyImage", "EmptyImage", "ImageBatch", "SaveAnimation"] if brings else ["LoadImage"])
