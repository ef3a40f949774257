"""Whose nodes a host has where another pack brings the ids that we open graphs with: theirs, and then none of ours of that pack.

The other packs are written here: they register the ids of a pack, all or some, as both kinds of node, before and after ours.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from animatediff_native.demo.client import ComfyClient
from animatediff_native.demo.environment import Environment
from animatediff_native.demo.server import Server
from animatediff_native.nodes import NODES, AnimateDiffExtension
from animatediff_native.nodes.files import register_model_folders
from animatediff_native.nodes.legacy import PACKS
from animatediff_native.sampling.host.graph import known_ids
from comfy_api.latest import io

EVOLVED, ARTVENTURE, DIRECTOR, SCRIPT = "AnimateDiff-Evolved", "ArtVentureX", "ADMotionDirector", "Efficiency"
OURS, THEIRS = "AnimateDiff/other packs", "another pack"

V1 = """
class Other:
    RETURN_TYPES, FUNCTION, CATEGORY = ("MODEL",), "run", {category!r}
    @classmethod
    def INPUT_TYPES(cls):
        return {{"required": {{}}}}
    def run(self):
        return (None,)
NODE_CLASS_MAPPINGS = {{name: type(name, (Other,), {{}}) for name in {ids!r}}}
NODE_DISPLAY_NAME_MAPPINGS = {titles!r}
"""
V3 = """
from comfy_api.latest import ComfyExtension, io
def node(name):
    class Other(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            return io.Schema(node_id=name, display_name={titles!r}.get(name), category={category!r}, inputs=[], outputs=[io.Model.Output()])
        @classmethod
        def execute(cls):
            return io.NodeOutput(None)
    return Other
class Pack(ComfyExtension):
    async def get_node_list(self):
        return [node(name) for name in {ids!r}]
async def comfy_entrypoint():
    return Pack()
"""
AGAIN = """
import logging
import nodes
from server import PromptServer
async def again(app):
    for path in [path for path in nodes.LOADED_MODULE_DIRS.values() if path.endswith({folder!r})]:
        logging.info("Loaded again: %s", await nodes.load_custom_node(path))
PromptServer.instance.app.on_startup.append(again)
NODE_CLASS_MAPPINGS = {{}}
"""
FAILS = "\nraise RuntimeError('a library is missing')\n"


@pytest.fixture(scope="module", autouse=True)
def own() -> set[str]:
    """Ids of our own nodes; lists of files can be asked for."""
    register_model_folders()
    return {node.GET_SCHEMA().node_id for node in NODES}


def ids(pack: str) -> list[str]:
    return [row.id for row in PACKS[pack]]


def write(folder: Path, name: str, text: str, names: Sequence[str] = (), **titles: str) -> None:
    """A pack in a folder of packs."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(text.format(ids=list(names), titles=titles, category=THEIRS, folder="animatediff-native"))


class Host:
    """What a server with our pack between others answers."""

    def __init__(self, folder: Path) -> None:
        self.first, self.last, self.log = folder / "first", folder / "last", folder / "server.log"
        self._folder = folder
        self.nodes: dict[str, Any] = {}

    def started(self) -> Host:
        """Start the server, ask for its nodes, and end it."""
        for folder in (self.first, self.last, self._folder / "user"):
            folder.mkdir(exist_ok=True)
        roots = self._folder / "roots.yaml"
        roots.write_text(
            f"first:\n  is_default: true\n  custom_nodes: {self.first}\nlast:\n  custom_nodes: {self.last}\n", encoding="utf-8"
        )
        base, host = Path(os.environ["ANIMATEDIFF_BASE"]), Path(os.environ["COMFYUI_PATH"])
        arguments = ("--extra-model-paths-config", str(roots), "--user-directory", str(self._folder / "user"))
        with Server(Environment(comfyui=host, python=Path(sys.executable), base=base), self.log, arguments=arguments) as server:
            self.nodes = ComfyClient(server.url).object_info()
        return self

    def whose(self, pack: str) -> dict[str, int]:
        """How many of a pack's ids are ours and how many theirs."""
        found = [self.nodes[name]["category"] for name in ids(pack) if name in self.nodes]
        return {category: found.count(category) for category in sorted(set(found))}

    def title(self, name: str) -> str:
        return self.nodes[name]["display_name"]


@pytest.fixture(scope="module")
def two_hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Host]]:
    """Each pack is there once whole and once in parts, once before ours and once after, once of each kind."""
    one, two = Host(tmp_path_factory.mktemp("one")), Host(tmp_path_factory.mktemp("two"))
    combine = next(row.title for row in PACKS[ARTVENTURE] if row.id == "AnimateDiffCombine")
    write(one.first, "evolved", V1, ids(EVOLVED)[:3], **{ids(EVOLVED)[0]: "Loader of theirs"})
    write(one.last, "artventure", V1, ids(ARTVENTURE), AnimateDiffCombine=combine, AnimateDiffSampler="Sampler of theirs")
    write(one.first, "director", V3 + FAILS, ids(DIRECTOR))
    write(one.first, "again", AGAIN)
    write(two.last, "evolved", V3, ids(EVOLVED)[1:4], **{ids(EVOLVED)[1]: "Loader of theirs"})
    write(two.first, "artventure", V3, ids(ARTVENTURE))
    write(two.last, "director", V1 + FAILS, ids(DIRECTOR))
    with ThreadPoolExecutor() as both:
        yield tuple(both.map(Host.started, (one, two)))


def test_a_pack_has_its_ids_alone_wherever_it_is_loaded(two_hosts: tuple[Host, Host]) -> None:
    for host in two_hosts:
        assert host.whose(EVOLVED) == {THEIRS: 3}
        assert host.whose(ARTVENTURE) == {THEIRS: len(ids(ARTVENTURE))}


def test_titles_are_those_of_the_pack_that_has_the_id(two_hosts: tuple[Host, Host]) -> None:
    one, two = two_hosts
    assert (one.title(ids(EVOLVED)[0]), one.title(ids(EVOLVED)[1])) == ("Loader of theirs", ids(EVOLVED)[1])
    assert (two.title(ids(EVOLVED)[1]), two.title(ids(EVOLVED)[2])) == ("Loader of theirs", None)
    assert one.title("AnimateDiffSampler") == "Sampler of theirs"
    assert one.title("AnimateDiffCombine") == "Animate Diff Combine", "a title that is ours word for word is theirs too"
    assert one.title("AnimateDiffModuleLoader") == "AnimateDiffModuleLoader", "a pack without titles is not given ours"


def test_other_packs_and_our_own_nodes_do_not_notice(two_hosts: tuple[Host, Host], own: set[str]) -> None:
    for host in two_hosts:
        for pack in set(PACKS) - {EVOLVED, ARTVENTURE}:
            assert host.whose(pack) == {OURS: len(ids(pack))}, "a pack that cannot be imported is absent"
        assert own <= set(host.nodes)
        assert all(host.title(row.id) == row.title for row in PACKS[DIRECTOR])


def test_a_pack_that_loads_others_again_can_load_ours(two_hosts: tuple[Host, Host]) -> None:
    log = two_hosts[0].log.read_text(encoding="utf-8")
    assert "RuntimeError: a library is missing" in log
    assert "Loaded again: True" in log


def listed() -> dict[str, type[io.ComfyNode]]:
    """Our nodes, as the host asks for them."""
    return {node.GET_SCHEMA().node_id: node for node in asyncio.run(AnimateDiffExtension().get_node_list())}


def test_the_list_is_made_without_a_server(monkeypatch: pytest.MonkeyPatch, own: set[str]) -> None:
    old = {name for pack in PACKS for name in ids(pack)}
    assert set(listed()) == own | old
    monkeypatch.setitem(known_ids(), ids(EVOLVED)[5], object)
    assert set(listed()) == (own | old) - set(ids(EVOLVED))


def test_a_widget_is_a_widget_in_the_front_end_too() -> None:
    """Or the values of a saved graph would shift: it makes a field of every number and text that is not forced to be an input."""
    kinds = {"INT", "FLOAT", "BOOLEAN", "STRING", "COMBO"}
    nodes = listed()
    for row in (row for rows in PACKS.values() for row in rows):
        inputs = nodes[row.id].INPUT_TYPES()
        specs = [(name, spec) for group in ("required", "optional") for name, spec in inputs.get(group, {}).items()]
        fields = [name for name, spec in specs if spec[0] in kinds and not spec[1].get("forceInput")]
        assert fields == [field.name for field in row.fields if field.is_widget], row.id
