"""Rewrite a graph that was made with other packs: read its file, ask a server that has the nodes, write the new one.

Graphs are read from JSON, and from the pictures and videos that ComfyUI saves them in. Standard library only.
"""

from __future__ import annotations

import json
import re
import struct
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .cache import say, stage
from .environment import Environment
from .server import Server

PATH = "/animatediff_native/convert"
NAMES = ("workflow", "prompt")
"""What ComfyUI calls the graphs in a file, best first."""
PNG = b"\x89PNG\r\n\x1a\n"
LONGEST = 64 * 2**20
"""Bytes of a text in a file; more is no graph."""
REPLACED, LEFT, FAILED = 0, 1, 2
"""Exit statuses."""


class GraphFileError(ValueError):
    """A file in which there is no graph. The message says what was looked for."""


def convert(environment: Environment, old: Path, new: Path, models: Path | None) -> int:
    """Rewrite the graph in ``old`` into ``new`` and print what became of each old node.

    Args:
        models: a folder like ComfyUI's `models`, whose files the graph is to name; None keeps the names that it has.

    Returns:
        An exit status: REPLACED when nothing of another AnimateDiff pack is left, LEFT when something is, FAILED when nothing is
        written.
    """
    try:
        if models is not None and not models.is_dir():
            raise GraphFileError(f"--models needs a folder like ComfyUI's models; there is no folder {models}.")
        answer = _asked(environment, read_graph(old), models)
        new.write_text(json.dumps(answer["graph"], ensure_ascii=False, indent=1), encoding="utf-8")
    except (GraphFileError, OSError) as error:
        say(f"{old} could not be rewritten: {error}")
        return FAILED
    say(answer["text"] or "There are no nodes of other AnimateDiff packs in it.")
    say(f"\nWritten to {new}.")
    return LEFT if answer["left"] else REPLACED


def _asked(environment: Environment, graph: Any, models: Path | None) -> dict[str, Any]:
    """The server's answer about a graph. Raises GraphFileError with its reason when it cannot rewrite it."""
    body = json.dumps({"graph": graph, "names": "kept" if models is None else "here"}).encode()
    arguments = () if models is None else ("--models-directory", str(models.resolve()))
    with (
        tempfile.TemporaryDirectory() as folder,
        stage("a server that has the nodes"),
        Server(environment, Path(folder) / "server.log", arguments=arguments) as server,
    ):
        request = urllib.request.Request(server.url + PATH, data=body, headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise GraphFileError(json.load(error).get("error", "")) from None


# --- reading ---------------------------------------------------------------------------------------------------------


def read_graph(path: Path) -> Any:
    """The graph in a file: all of a JSON file; of a picture or video the workflow, else the prompt.

    Raises:
        GraphFileError: there is none.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise GraphFileError(f"it cannot be read ({error.strerror}).") from None
    if path.suffix.lower() == ".json" or data[:1] in (b"{", b"["):
        return _json_file(data)
    texts = dict(_png_texts(data)) if data.startswith(PNG) else dict(_texts(data))
    for name in NAMES:
        found = _parsed(texts[name]) if name in texts else None
        if isinstance(found, dict):
            return found
    raise GraphFileError("there is no workflow and no prompt of ComfyUI in it. Programs that edit or upload pictures take them out.")


def _json_file(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise GraphFileError(f"it is no JSON ({error}). Save the graph again.") from None


def _png_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """(keyword, text) of the text chunks of a PNG file; what is cut off or damaged is left out."""
    at = len(PNG)
    while at + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        keyword, _, text = data[at + 8 : at + 8 + length].partition(b"\0")
        if kind == b"tEXt":
            yield keyword.decode("latin-1"), _decoded(text)
        elif kind == b"zTXt":
            yield keyword.decode("latin-1"), _decoded(_inflated(text[1:]))
        elif kind == b"iTXt":
            packed, (_, _, text) = text[:1] == b"\1", _three(text[2:])
            yield keyword.decode("latin-1"), _decoded(_inflated(text) if packed else text)
        at += 12 + length


def _three(text: bytes) -> tuple[bytes, bytes, bytes]:
    language, _, rest = text.partition(b"\0")
    translated, _, rest = rest.partition(b"\0")
    return language, translated, rest


def _inflated(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, LONGEST)
    except zlib.error:
        return b""


def _decoded(text: bytes) -> str:
    """Text in UTF-8, which ComfyUI writes, or in Latin-1, which PNG says."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _texts(data: bytes) -> Iterator[tuple[str, str]]:
    """(name, text) of the graphs in any other file: WEBP, MP4, WEBM, FLAC and others hold them as plain JSON.

    What a text is called stands in another spot in each format; what it is can be seen.
    """
    end = 0
    for start in re.finditer(rb'\{\s*"[\w.:-]{1,64}"\s*:', data):
        if start.start() < end:
            continue
        text = data[start.start() : start.start() + LONGEST].partition(b"\0")[0].decode("utf-8", "replace")
        try:
            found, length = json.JSONDecoder().raw_decode(text)
        except (ValueError, RecursionError):
            continue
        end = start.start() + len(text[:length].encode())
        if isinstance(found.get("nodes"), list):
            yield "workflow", text[:length]
        elif found and all(isinstance(node, dict) and "class_type" in node for node in found.values()):
            yield "prompt", text[:length]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
