"""Graphs made for other packs, on a server without those packs."""

from __future__ import annotations

import json
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from animatediff_native.demo import convert
from animatediff_native.demo.client import ComfyClient, workflow_to_prompt
from animatediff_native.demo.convert import PATH
from animatediff_tests.old_graphs import FRAMES, SCENES, saved_graph
from PIL import Image, ImageSequence

LENGTHS = {"first generation with every setting": 2 * FRAMES - 2, "the sampler of ArtVentureX": 38}
"""Frames that a scene saves, where they are not ``FRAMES``."""


@pytest.mark.parametrize("scene", SCENES)
def test_a_prompt_of_another_pack_runs_to_a_file(client: ComfyClient, scene: str) -> None:
    outputs = client.run(SCENES[scene])
    files = [entry for node in outputs.values() for value in node.values() for entry in value if isinstance(entry, dict)]
    assert [entry["filename"] for entry in files if entry.get("type") == "output"], outputs


def test_images_of_a_folder_become_a_batch(client: ComfyClient) -> None:
    """More than the host's Batch Images takes at once."""
    given = Path(os.environ["ANIMATEDIFF_BASE"]) / "input"
    folder = given / "test_images_of_a_folder"
    folder.mkdir(exist_ok=True)
    for number in range(51):
        shutil.copy(given / "example.png", folder / f"{number:02}.png")
    prompt = {
        "1": {"class_type": "LoadImagesFromDirectory", "inputs": {"directory": folder.name}},
        "2": {"class_type": "ImageScale", "inputs": {"image": ["1", 0], "upscale_method": "area", "width": 8, "height": 8, "crop": "disabled"}},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
        "4": {"class_type": "MaskPreview", "inputs": {"mask": ["1", 1]}},
        "5": {"class_type": "PreviewAny", "inputs": {"source": ["1", 2]}},
    }
    try:
        outputs = client.run(prompt)
    finally:
        shutil.rmtree(folder)
    assert (len(outputs["3"]["images"]), len(outputs["4"]["images"]), outputs["5"]["text"]) == (51, 51, ["51"])


# --- the same graphs, rewritten --------------------------------------------------------------------------------------


def asked(client: ComfyClient, body: bytes) -> tuple[int, dict[str, Any]]:
    """What the server answers when a graph is to be rewritten."""
    request = urllib.request.Request(f"{client.base_url}{PATH}", data=body, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def lossless(prompt: dict[str, Any]) -> dict[str, Any]:
    """A prompt that saves its frames without loss, in place of what it saved them with."""
    inputs = {"images": ["6", 0], "filename_prefix": "same", "fps": 8.0, "lossless": True, "quality": 80, "method": "default"}
    rest = {key: node for key, node in prompt.items() if key != "7" and node["class_type"] != "SaveAnimation"}
    return {**rest, "7": {"class_type": "SaveAnimatedWEBP", "inputs": inputs}}


def frames(client: ComfyClient, prompt: dict[str, Any]) -> list[bytes]:
    """The frames of the one file that a prompt saves, without the graph that is in it too."""
    (file,) = client.run(prompt)["7"]["images"]
    picture = Image.open(BytesIO(client.view(file)))
    return [frame.convert("RGB").tobytes() for frame in ImageSequence.Iterator(picture)]


@pytest.mark.parametrize("scene", SCENES)
def test_a_rewritten_graph_gives_the_same_frames(client: ComfyClient, scene: str) -> None:
    status, answer = asked(client, json.dumps({"graph": saved_graph(scene)}).encode())
    assert status == 200 and answer["left"] == [] and answer["done"]
    new = workflow_to_prompt(answer["graph"], client.object_info())
    old_kinds = {node["class_type"] for node in SCENES[scene].values()}
    assert not {node["class_type"] for node in new.values()} & {kind for kind in old_kinds if kind.startswith(("ADE_", "AnimateDiff"))}
    before, after = frames(client, lossless(SCENES[scene])), frames(client, lossless(new))
    assert after == before and len(before) >= FRAMES and len(set(before)) > 1


def test_the_server_names_the_nodes_that_it_can_replace(client: ComfyClient) -> None:
    listed = client.get_json(PATH)["nodes"]
    assert {"ADE_AnimateDiffLoaderWithContext", "AnimateDiffSampler", "CheckpointLoaderSimpleWithNoiseSelect"} <= set(listed)


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        (b"{", 400, "as JSON"),
        (b"[1]", 400, "as JSON"),
        (b'{"graph": {"nodes": 3}}', 422, "Needed a graph"),
        (b'{"graph": {"nodes": [{"id": 1, "type": "ADE_EmptyLatentImageLarge"}], "links": []}}', 500, "could not be rewritten (KeyError"),
        (b" " * (8 * 2**20 + 1), 413, "at most 8 MiB, got 8.0"),
    ],
)
def test_what_cannot_be_rewritten_is_refused_in_words(client: ComfyClient, body: bytes, status: int, why: str) -> None:
    got, answer = asked(client, body)
    assert got == status and why in answer["error"]


def test_the_command_writes_the_graph_and_says_what_is_left(
    client: ComfyClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def running(*_: Any, **__: Any) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(url=client.base_url)

    monkeypatch.setattr(convert, "Server", running)  # one that runs already
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    graph = saved_graph("second generation")
    old.write_text(json.dumps(graph), encoding="utf-8")
    assert convert.convert(None, old, new, None) == 0
    assert "- Use Evolved Sampling (10): ApplyMotionLoRA, " in capsys.readouterr().out
    assert json.loads(new.read_text(encoding="utf-8"))["version"] == 0.4
    graph["nodes"].append({**graph["nodes"][0], "id": 77, "type": "ADE_Unknown", "inputs": [], "outputs": []})
    old.write_text(json.dumps(graph), encoding="utf-8")
    assert convert.convert(None, old, new, None) == 1
    assert "Left as they are:\n- ADE_Unknown (77): this node is not known here." in capsys.readouterr().out
    old.write_text(json.dumps({"prompt": SCENES["second generation"]}), encoding="utf-8")
    assert convert.convert(None, old, new, None) == 0
    assert list(json.loads(new.read_text(encoding="utf-8"))) == ["prompt"]
    assert convert.convert(None, old, new, tmp_path / "none") == convert.convert(None, old, tmp_path / "none" / "new.json", None) == 2
    assert "there is no folder" in capsys.readouterr().out
    old.write_text("[]", encoding="utf-8")
    assert convert.convert(None, old, new, None) == 2
    assert "could not be rewritten: Needed a graph" in capsys.readouterr().out
