"""This pack under a name that can be imported: the small world is trained and measured with its code."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

NAME = "animatediff_native"
ROOT = Path(__file__).resolve().parents[2]


def pack() -> ModuleType:
    """This pack as a package, without putting its folder on the path: our `nodes` would hide the host's."""
    if NAME not in sys.modules:
        spec = importlib.util.spec_from_file_location(NAME, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
        if spec is None or spec.loader is None:
            raise ImportError(f"{ROOT} cannot be imported.")
        module = importlib.util.module_from_spec(spec)
        sys.modules[NAME] = module
        spec.loader.exec_module(module)
    return sys.modules[NAME]
