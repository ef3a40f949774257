"""Pickles as the authors uploaded them for two days in December 2023: with an omegaconf object beside the weights."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch


def _stand_in(module: str, name: str) -> type:
    """A class that pickles as ``omegaconf.<module>.<name>``."""
    return type(name, (), {"__module__": f"omegaconf.{module}", "__init__": lambda self, **fields: self.__dict__.update(fields)})


def save_with_config(tensors: Mapping[str, Any], path: Path, zipped: bool = True) -> Path:
    """Write ``tensors`` and an ``animatediff_config`` with the structure that omegaconf's own pickles have."""
    names = {"dictconfig": "DictConfig", "listconfig": "ListConfig", "base": "ContainerMetadata", "nodes": "AnyNode"}
    classes = {module: _stand_in(module, name) for module, name in names.items()}
    metadata = _stand_in("base", "Metadata")
    modules = {"omegaconf": ModuleType("omegaconf")}
    for module, kind in classes.items():
        modules[f"omegaconf.{module}"] = ModuleType(f"omegaconf.{module}")
        setattr(modules[f"omegaconf.{module}"], kind.__name__, kind)
    modules["omegaconf.base"].Metadata = metadata
    note = {"ref_type": Any, "object_type": dict, "optional": True, "key": None, "element_type": Any, "key_type": str}
    value = classes["nodes"](_metadata=metadata(**note), _parent=None, _val=512)
    sizes = classes["listconfig"](_metadata=classes["base"](**note), _parent=None, _content=[value])
    config = classes["dictconfig"](_metadata=classes["base"](**note), _parent=None, _content={"size": value, "sizes": sizes})
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        torch.save({**tensors, "animatediff_config": config}, path, _use_new_zipfile_serialization=zipped)
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    return path
