"""One real server for all server tests, on the tiny models."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from animatediff_native.demo.client import ComfyClient
from animatediff_native.demo.environment import Environment
from animatediff_native.demo.server import Server


@pytest.fixture(scope="session")
def server_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's output."""
    return tmp_path_factory.mktemp("server") / "server.log"


@pytest.fixture(scope="session")
def client(server_log: Path) -> Iterator[ComfyClient]:
    """A client of a server that runs as long as the tests."""
    if "ANIMATEDIFF_BASE" not in os.environ:
        raise pytest.UsageError("ANIMATEDIFF_BASE is not set: server tests need the tiny models. Use: python3 dev.py test")
    base, host = Path(os.environ["ANIMATEDIFF_BASE"]), Path(os.environ["COMFYUI_PATH"])
    environment = Environment(comfyui=host, python=Path(sys.executable), base=base)
    user = server_log.parent / "user"  # a new user: neither the developer's settings nor those of an earlier run
    user.mkdir()
    arguments = ("--output-directory", str(server_log.parent), "--user-directory", str(user), "--verbose", "INFO")
    with Server(environment, server_log, arguments=arguments) as server:
        yield ComfyClient(server.url)
