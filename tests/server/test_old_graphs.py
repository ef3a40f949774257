"""API prompts made for other packs, on a server without those packs."""

from __future__ import annotations

import pytest
from animatediff_native.demo.client import ComfyClient
from animatediff_tests.old_graphs import FRAMES, SCENES

LENGTHS = {"first generation with every setting": 2 * FRAMES - 2, "the sampler of ArtVentureX": 38}
"""Frames that a scene saves, where they are not ``FRAMES``."""


@pytest.mark.parametrize("scene", SCENES)
def test_a_prompt_of_another_pack_runs_to_a_file(client: ComfyClient, scene: str) -> None:
    outputs = client.run(SCENES[scene])
    files = [entry for node in outputs.values() for value in node.values() for entry in value if isinstance(entry, dict)]
    assert [entry["filename"] for entry in files if entry.get("type") == "output"], outputs
