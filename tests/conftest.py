"""Set-up shared by all tests: the real host on the CPU, and the pack under a name that can be imported.

Run through ``python3 dev.py test``, which sets COMFYUI_PATH.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]


def _package(name: str, folder: Path) -> ModuleType:
    """Make ``folder`` importable as ``name`` without putting it on the path: our `nodes` would hide the host's."""
    init = folder / "__init__.py"
    spec = importlib.util.spec_from_file_location(name, init, submodule_search_locations=[str(folder)])
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _host(path: str) -> None:
    """Make ComfyUI importable. Tests run on the CPU unless ANIMATEDIFF_GPU is set.

    With torch's attention, as on a GPU: the one that the host chooses for CPUs breaks compiled graphs 34 times a step.
    The server tests run with the host's choice.
    """
    sys.path.insert(0, path)
    from comfy.cli_args import args

    args.use_pytorch_cross_attention = True
    args.cpu = os.environ.get("ANIMATEDIFF_GPU") != "1"


torch.set_num_threads(1)  # files run side by side
torch.set_num_interop_threads(1)
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
_package("animatediff_native", ROOT)
_package("animatediff_tests", ROOT / "tests")
if "COMFYUI_PATH" not in os.environ:
    raise pytest.UsageError("COMFYUI_PATH is not set: the tests run against a real ComfyUI. Use: python3 dev.py test")
_host(os.environ["COMFYUI_PATH"])


@pytest.hookimpl(tryfirst=True)  # before the names of groups are read
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Side by side, a file stays in one process; those that need a server share one, or two would share a folder."""
    for item in items:
        folder = item.path.parent.name
        group = "served" if folder in {"server", "browser"} else f"{folder}/{item.path.name}"
        item.add_marker(pytest.mark.xdist_group(group))
