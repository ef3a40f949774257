"""Our own nodes and sockets have ids of their own: none that another pack or the host has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from animatediff_native.demo.client import ComfyClient
from animatediff_tests.known_ids import IDS, PREFIXES, SOCKETS


@pytest.fixture(scope="module")
def info(client: ComfyClient) -> dict[str, Any]:
    return client.object_info()


def of(info: Mapping[str, Any], *modules: str) -> dict[str, Any]:
    """Nodes from modules of these names, without those that open graphs of other packs."""
    return {
        key: node
        for key, node in info.items()
        if node["python_module"].startswith(modules) and not node["category"].endswith("/other packs")
    }


def types(nodes: Mapping[str, Any]) -> set[str]:
    """Every type of a socket or field, those of inputs that grow included."""

    def of_inputs(groups: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
        for group in ("required", "optional"):
            for kind, *options in groups.get(group, {}).values():
                if isinstance(kind, str):
                    yield from kind.split(",")
                template = options[0].get("template", {}) if options else {}
                if isinstance(template.get("input"), Mapping):
                    yield from of_inputs(template["input"])

    inputs = {kind for node in nodes.values() for kind in of_inputs(node["input"])}
    return inputs | {kind for node in nodes.values() for output in node["output"] if isinstance(output, str) for kind in output.split(",")}


def test_ids_are_no_other_packs_and_not_the_hosts(info: dict[str, Any]) -> None:
    ours, host = of(info, "custom_nodes.animatediff-native"), of(info, "nodes", "comfy_extras", "comfy_api_nodes")
    assert len(ours) >= 20 and len(host) >= 300
    assert set(ours) & (set(host) | IDS) == set()
    assert [key for key in ours if key.startswith(PREFIXES)] == []
    letters = {key.casefold() for key in IDS | set(host)}
    assert [key for key in ours if key.casefold() in letters] == [], "only capitals apart"


def test_types_are_no_other_packs(info: dict[str, Any]) -> None:
    """FLOATS, a list with a number per frame, is the host's: those of other packs may be connected to ours."""
    ours, host = (types(of(info, *modules)) for modules in (("custom_nodes.animatediff-native",), ("nodes", "comfy_extras")))
    assert ours & SOCKETS == {"FLOATS"} and "FLOATS" in host
    assert all(kind.startswith("ANIMATEDIFF_") for kind in ours - host), ours - host
