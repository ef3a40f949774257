"""Graphs are found in the files that ComfyUI saves them in."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from animatediff_native.demo.convert import PNG, GraphFileError, read_graph

GRAPH = {"last_node_id": 1, "nodes": [{"id": 1, "type": "Ä"}], "links": []}
PROMPT = {"1": {"class_type": "KSampler", "inputs": {"seed": 1}}}
WORKFLOW, SENT = json.dumps(GRAPH, ensure_ascii=False).encode(), json.dumps(PROMPT).encode()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*chunks: bytes) -> bytes:
    return PNG + chunk(b"IHDR", bytes(13)) + b"".join(chunks) + chunk(b"IEND", b"")


FILES: dict[str, tuple[bytes, Any]] = {
    "graph.json": (WORKFLOW, GRAPH),
    "with_a_mark.json": (b"\xef\xbb\xbf" + WORKFLOW, GRAPH),
    "no_ending": (SENT, PROMPT),
    "text.png": (png(chunk(b"tEXt", b"prompt\0" + SENT), chunk(b"tEXt", b"workflow\0" + WORKFLOW)), GRAPH),
    "only_prompt.png": (png(chunk(b"tEXt", b"prompt\0" + SENT)), PROMPT),
    "international.png": (png(chunk(b"iTXt", b"workflow\0\0\0de\0Ablauf\0" + WORKFLOW)), GRAPH),
    "packed.png": (png(chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(WORKFLOW))), GRAPH),
    "old_packed.png": (png(chunk(b"zTXt", b"workflow\0\0" + zlib.compress(WORKFLOW))), GRAPH),
    "damaged_prompt.png": (png(chunk(b"tEXt", b"workflow\0" + WORKFLOW), chunk(b"zTXt", b"prompt\0\0broken")), GRAPH),
    "exif.webp": (b"RIFF....WEBPVP8 {\"a\": EXIFprompt:" + SENT + b"\0workflow:" + WORKFLOW + b"\0\0", GRAPH),
    "video.mp4": (b"\0\0\0\x20ftypisom{{{\"x\":" + bytes(99) + b"data\0\0\0\1\0\0\0\0" + SENT + bytes(9) + WORKFLOW + b"mdat", GRAPH),
}


@pytest.mark.parametrize("name", FILES)
def test_a_graph_is_found(tmp_path: Path, name: str) -> None:
    data, graph = FILES[name]
    (tmp_path / name).write_bytes(data)
    assert read_graph(tmp_path / name) == graph


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("broken.json", b'{"nodes": [', "it is no JSON"),
        ("empty.png", png(), "no workflow and no prompt"),
        ("cut.png", png(chunk(b"tEXt", b"workflow\0" + WORKFLOW))[:80], "no workflow and no prompt"),
        ("other.webp", b'RIFF {"a": 1} {"b": {"c": 2}} {"d":', "no workflow and no prompt"),
        ("binary.json", b"\xff\xfe\x00", "it is no JSON"),
    ],
)
def test_a_file_without_a_graph_is_refused(tmp_path: Path, name: str, data: bytes, why: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(GraphFileError, match=why):
        read_graph(tmp_path / name)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GraphFileError, match="cannot be read"):
        read_graph(tmp_path / "none.json")
