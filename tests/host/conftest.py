"""Fixtures of the host tests: one tiny real UNet and motion modules on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from animatediff_native.sampling.modules.load import load_motion_module
from animatediff_native.sampling.run.animate import animate
from animatediff_tests.tiny import motion_file, tiny_model, tiny_sdxl_model


@pytest.fixture(autouse=True)
def as_in_a_node() -> Iterator[None]:
    """The host runs every node in inference mode."""
    with torch.inference_mode():
        yield


@pytest.fixture(scope="session")
def model():
    """A MODEL without motion. Tests never change it; that they do not is one of the tests."""
    return tiny_model()


@pytest.fixture(scope="session")
def sdxl_model():
    """A MODEL of SDXL without motion, which tests never change either."""
    return tiny_sdxl_model()


@pytest.fixture(scope="session")
def motion(tmp_path_factory: pytest.TempPathFactory):
    """A v2 ANIMATEDIFF_MODULE."""
    return load_motion_module(motion_file(tmp_path_factory.mktemp("v2"), "v2", seed=1))


@pytest.fixture(scope="session")
def other_motion(tmp_path_factory: pytest.TempPathFactory):
    """A v3 ANIMATEDIFF_MODULE with other weights."""
    return load_motion_module(motion_file(tmp_path_factory.mktemp("v3"), "v3", seed=2, container="safetensors"))


@pytest.fixture
def animated(model, motion):
    """The MODEL with the v2 module."""
    return animate(model, motion)
