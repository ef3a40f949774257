"""What the pack adds to the host's start."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def import_pack(name: str) -> float:
    """Seconds of processor time to import the pack anew, under another name, and ask it for its nodes, as the host does."""
    gc.collect()  # what other tests left behind does not count
    start = time.process_time()
    spec = importlib.util.spec_from_file_location(name, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    extension = asyncio.run(module.comfy_entrypoint())
    asyncio.run(extension.on_load())
    nodes = asyncio.run(extension.get_node_list())
    seconds = time.process_time() - start
    assert len(nodes) >= 7
    for imported in [key for key in sys.modules if key.split(".")[0] == name]:
        del sys.modules[imported]
    return seconds


def compile_pack() -> float:
    """Seconds of processor time to compile the sources of the pack: how fast this machine is."""
    folders = ("nodes", "motion", "sampling", "training")
    texts = [path.read_text(encoding="utf-8") for folder in folders for path in (ROOT / folder).rglob("*.py")]
    start = time.process_time()
    for text in texts:
        compile(text, "source", "exec")
    return time.process_time() - start


def test_importing_takes_little_more_than_compiling() -> None:
    """The best of three: a busy machine makes anything slow. Two thirds of it compile sources; an installed pack keeps that."""
    assert min(import_pack(f"animatediff_start_{i}") for i in range(3)) < 2 * min(compile_pack() for _ in range(3))


def pack_of(version: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The pack's entry on a host of this version."""
    monkeypatch.setattr("comfyui_version.__version__", version)
    spec = importlib.util.spec_from_file_location("animatediff_version", ROOT / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("version", ["0.26.9", "0.18.2", "0.3.75"])
def test_a_host_that_is_too_old_gets_one_sentence(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With both versions, before a schema or a run fails at something that the host lacks."""
    pack = pack_of(version, monkeypatch)
    with pytest.raises(RuntimeError) as caught:
        asyncio.run(pack.comfy_entrypoint())
    needed = pack.OLDEST_HOST
    assert str(caught.value) == f"AnimateDiff Native needs ComfyUI {needed} or newer; this is {version}. Update ComfyUI."


@pytest.mark.parametrize("version", ["0.27.0", "0.30.0", "0.100.1", "1.0", "0.31.0-rc1"])
def test_a_newer_host_is_not_refused(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pack_of(version, monkeypatch)._check_host()


def test_the_oldest_host_is_said_alike() -> None:
    pack = importlib.util.module_from_spec(importlib.util.spec_from_file_location("p", ROOT / "__init__.py"))
    pack.__spec__.loader.exec_module(pack)
    assert f'requires-comfyui = ">={pack.OLDEST_HOST}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f"{pack.OLDEST_HOST} or newer" in (ROOT / "README.md").read_text(encoding="utf-8")
