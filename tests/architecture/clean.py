"""A small pack in which no rule finds anything: every line of it looks a little like an offence. Read by ``test_architecture.py``."""

from __future__ import annotations

_ENTRY = '''
import logging
async def comfy_entrypoint():
    from .nodes import Extension
    return Extension()
'''
_NET = '''
from __future__ import annotations
import torch
from dataclasses import dataclass, field, replace
from torch import Tensor, nn
from .config import FAMILIES

class Net(nn.Module):
    steps = (1, 2)
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = channels
        self.sizes = {}
        self.sizes["a"] = 1
    def __setstate__(self, state): self.scale = state
    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        table = torch.empty(2, 2)
        table[:, 0] = x[:, 0]
        family = FAMILIES["v1"]
        family = replace(family, frames=3)
        torch.add(x, x)
        size = self.scale
        size += 1
        return table

class Reader:
    def read(self) -> None:
        self.at = 3
        self.found.append(self.at)

@dataclass(frozen=True)
class Known:
    _known: dict[str, int] = field(default_factory=dict)
    other: list[int] = field(default_factory=list)
    def __post_init__(self) -> None:
        object.__setattr__(self, "size", 1)
    def value(self) -> int:
        self._known["a"] = 1
        object.__setattr__(self, "size", 2)
        return self._known.setdefault("b", 2)

def built() -> Net:
    net = Net(3)
    net.training = False
    return net
'''
_OWN_OBJECTS = '''
import copy
import logging
from functools import cache, partial
import torch
from comfy import samplers
import comfy.utils
import nodes as host_nodes
from . import memory
from .memory import FrameWindows, LIMITS
from ...kernels import fused
from ..host.sub import x

TABLE: dict[str, int] = {}
for number, letter in enumerate("abc"):
    TABLE[letter] = number
TABLE["d"] = TABLE.pop("c")
__all__ = ["summary"]
__all__ += ["TABLE"]

def run(options, host_nodes, torch, samplers=None, **kw):
    options = {**options}
    options["a"] = 1
    kw |= {"b": 2}
    host_nodes.x = 1
    samplers.calls = torch.sizes["a"] = 1
    options.update(TABLE)
    memory.update(options)
    FrameWindows.update(options)
    comfy.utils.pop(options)

def shadowed(rows):
    TABLE = {}
    TABLE["a"] = 1
    LIMITS = []
    LIMITS.append(1)
    return [samplers.append(1) for samplers in rows]

def rebound():
    limits = LIMITS
    limits = [*limits, 1]
    limits.append(2)
    part = LIMITS[:]
    part.append(2)
    count = LIMITS[0]
    count += 1
    for name, own in zip(LIMITS, run(), strict=True):
        own.x = name
    known = samplers.KSampler()
    known.x = 1
    ours = copy.copy(comfy.utils.thing)
    ours.y = type(known)
    percent = cache(partial(run, 1))
    with open("a") as file:
        file.mode = "b"
    return sorted(LIMITS), getattr(samplers, "x", None), percent

def nested(x: int):
    seen = set()
    def add(samplers):
        nonlocal x
        x = 2
        samplers.x = 1
        seen.add(1)
    add.calls = 1
    return add

class Handler(FrameWindows):
    known = {}
    limits = (1, 2)
    def __init__(self, model):
        self.known = {}
        self.model: int = model
        self.__dict__.get("a")
    def step(self, at):
        self.at, self.model.patcher = at, None
        self.known["a"] = 1
        del self.known["a"]
        self.model.options["a"] = 2
        raise ValueError("needed, got, do this")
    @classmethod
    def make(cls, model):
        own = cls(model)
        own.x = 1
        return own
    @staticmethod
    def follow(x):
        x.known = 1

def wrapper(x, transformer_options: dict[str, int] = {}):  # noqa: B006 - the host's own signature
    return (lambda samplers: samplers.update(1))(x), type(x).__name__, vars(x), x.placement, x.clip, replace
'''
_SCHEMA = "    def define_schema(cls):\n" + "        x = 1\n" * 60
_NODE = f"""
from __future__ import annotations
from typing import Any
import folder_paths
from comfy_api.latest import io
from ..sampling.run.animate import animate
from ..training import loop
from .types import CATEGORY
class MotionSettings(io.ComfyNode):
{_SCHEMA}
    def execute(cls, model: Any, *, strength: float = 1.0) -> Any:
        return io.NodeOutput(animate(model, strength))
"""

CLEAN = {
    "__init__.py": _ENTRY,
    "motion/__init__.py": "",
    "motion/net.py": _NET,
    "motion/config.py": "FAMILIES = {'v1': 1}\nclass Family: ...",
    "kernels/fused.py": "import torch\nimport triton\nimport triton.language as tl\nfrom . import tables",
    "kernels/tables.py": "ROWS = (1, 2)",
    "sampling/__init__.py": "",
    "sampling/frames.py": "from ..motion.config import FAMILIES as known\nfrom .host import memory\nfrom .host.memory import load",
    "sampling/host/__init__.py": "import comfy.model_management\nimport importlib, sys\nnodes = importlib.import_module('nodes')\nsys.modules.get('x')",
    "sampling/host/memory.py": "import nodes\nimport comfy_extras.nodes_hooks\nimport latent_preview\nLIMITS = [1]\ndef load(): ...",
    "sampling/host/own.py": _OWN_OBJECTS,
    "sampling/host/wrap.py": "from __future__ import annotations\nimport server\nfrom . import memory, own\nfrom .own import TABLE",
    "sampling/timeline/curve.py": "from ..frames import known\nfrom .. import frames\nfrom ...motion import net\nfrom ..host import wrap",
    "sampling/timeline/keyframes.py": "",
    "sampling/prompts/embeddings.py": "",
    "sampling/prompts/plan.py": "",
    "sampling/prompts/travel.py": "def travel(clip, placed, placement, replaced, clipped): ...",
    "sampling/timeline/text.py": "import importlib\nimportlib.import_module('PIL')\ndef summary(): ...",
    "sampling/run/layers.py": "from comfy.ldm.modules.attention import SpatialTransformer\nimport comfy.ldm.modules\nfrom comfy import ldm",
    "sampling/run/animate.py": "from ..timeline.curve import known\nfrom .layers import SpatialTransformer\nfrom . import norms\ndef animate(): ...",
    "sampling/run/norms.py": "from functools import lru_cache\n@lru_cache(maxsize=8)\ndef _hooks(): ...",
    "training/loop/run.py": "from ...sampling.host import memory\nfrom ...motion.net import Net\nimport torch\ndef clips(clip): ...",
    "training/loop/draws.py": "from ..host import guider",
    "training/loop/state.py": "from . import draws",
    "nodes/clips.py": "from .types import CATEGORY\nfrom ..training.loop import run\nclass CameraClips: ...",
    "nodes/__init__.py": "from .legacy import ade\nfrom .load import LoadMotionModule\nNODES = []",
    "nodes/types.py": "CATEGORY = 'a'",
    "nodes/files.py": _NODE,
    "nodes/load.py": "from .files import path_of\nclass LoadMotionModule: ...",
    "nodes/schedule.py": "from ..sampling.prompts import travel\nclass A:\n    def execute(cls, clip): ...",
    "nodes/legacy/ade.py": "from ..types import CATEGORY\nfrom ...sampling.run import animate\nfrom . import acn\nNODES = []",
    "nodes/legacy/acn.py": "from comfy_api.latest import io\nNODES = []",
    "nodes/legacy/adapter.py": "from ..files import path_of\nfrom .ade import NODES\nclass B:\n    def execute(cls, **inputs): ...",
}
