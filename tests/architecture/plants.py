"""Offences against every rule, each in a file of its own. Read by ``test_architecture.py``; ``clean`` is a pack without any."""

from __future__ import annotations

from typing import NamedTuple

OFFENDER = "sampling/host/x.py"


class Plant(NamedTuple):
    """A miniature pack that a rule must complain of."""

    rule: str
    files: dict[str, str]
    complaint: str
    """A part of what it must say."""


def _one(rule: str, *rows: tuple[str, str, str]) -> list[Plant]:
    """Plants of one file each: (path, source, complaint)."""
    return [Plant(rule, {path: source}, complaint) for path, source, complaint in rows]


def _several(rule: str, path: str, *rows: tuple[str, str]) -> list[Plant]:
    """Plants at the same path: (source, complaint)."""
    return [Plant(rule, {path: source}, complaint) for source, complaint in rows]


def _lines(count: int) -> str:
    return "    x = 1\n" * count


IMPORTS = [
    *_one(
        "imports_point_down",
        ("motion/net.py", "from ..sampling.host import memory", "not below motion"),
        ("motion/sub/x.py", "from ...nodes import load", "not below motion"),
        ("motion/sub/x.py", "from ... import sampling", "not below motion"),
        ("sampling/room/x.py", "from ...nodes import load", "not below sampling"),
        ("sampling/host/x.py", "from ...training.loop import train", "not below sampling"),
        ("sampling/host/sub/x.py", "from ....nodes import load", "not below sampling"),
        ("training/loop.py", "from ..nodes.types import CATEGORY", "not below training"),
        ("training/host/x.py", "from ..loop.run import Loop", "loop lies above host"),
        ("training/loop/x.py", "from ..stages.clips import train", "stages lies above loop"),
        ("training/sub/x.py", "def f():\n    from ... import nodes", "not below training"),
        ("nodes/load.py", "from ..motion.model import Net", "not below nodes"),
        ("nodes/legacy/x.py", "from ...motion import model", "not below nodes"),
        ("motion/x.py", "if TYPE_CHECKING:\n    from ..sampling.frames import Call", "not below motion"),
        ("__init__.py", "from .sampling.host import memory", "not below the pack"),
        ("sampling/timeline/x.py", "from ...kernels import fused", "only sampling/host"),
        ("motion/x.py", "from ..kernels import fused", "not below motion"),
        ("nodes/x.py", "from ..demo import server", "no storey"),
        ("nodes/x.py", "from .. import WEB_DIRECTORY", "no storey"),
        ("nodes/x.py", "from ... import custom_nodes", "no storey"),
        ("sampling/host/x.py", "from ..run.animate import animate", "run lies above host"),
        ("sampling/host/x.py", "from .. import frames", "frames lies above host"),
        ("sampling/frames.py", "from .timeline.curve import Curve", "timeline lies above frames"),
        ("sampling/files/x.py", "from ..timeline.picture import plot", "timeline lies above files"),
        ("sampling/frames.py", "from . import windows", "windows lies above frames"),
        ("sampling/timeline/x.py", "from ...sampling.start import noise", "start lies above timeline"),
        ("sampling/start/sub/x.py", "from ...modules import load", "modules lies above start"),
        ("sampling/modules/x.py", "async def f():\n    from ..controls.chain import chain", "controls lies above modules"),
        ("sampling/controls/x.py", "from ..windows.handler import VIEWS", "windows lies above controls"),
        ("sampling/guides/x.py", "from ..windows import handler", "windows lies above guides"),
        ("sampling/windows/x.py", "from ..run import around", "run lies above windows"),
        ("training/host/x.py", "from ..clips import load", "clips lies above host"),
        ("training/clips/x.py", "from ..stages.motion_lora import train", "stages lies above clips"),
        ("training/__init__.py", "from .loop import settings", "training/__init__.py imports nothing"),
        ("sampling/run/x.py", "from .. import CONSTANT", "CONSTANT is no room"),
        ("sampling/run/x.py", "from ... import sampling", "sampling itself is no room"),
        ("sampling/__init__.py", "from .run.animate import animate", "imports nothing"),
        ("nodes/load.py", "from .legacy import ade", "only nodes/__init__.py"),
        ("nodes/legacy/ade.py", "from ..apply import MotionSettings", "only the socket types"),
        ("nodes/legacy/ade.py", "from ... import nodes", "only the socket types"),
        ("motion/x.py", "import animatediff_native.sampling", "absolute"),
        ("sampling/host/x.py", "from sampling.run import animate", "absolute"),
        ("nodes/x.py", "import tests.tiny", "absolute"),
    ),
    *_one(
        "host_at_its_doors",
        ("motion/sub/x.py", "import comfy.samplers", "comfy.samplers of the host"),
        ("sampling/room/x.py", "import comfy.samplers", "comfy.samplers of the host"),
        ("sampling/timeline/sub/x.py", "def f():\n    import comfy.utils", "comfy.utils"),
        ("nodes/legacy/x.py", "import comfy", "comfy of the host"),
        ("training/sub/x.py", "import comfy", "comfy of the host"),
        ("kernels/sub/x.py", "import comfy.ops", "comfy.ops"),
        ("training/x.py", "from comfy_api.latest import io", "comfy_api.latest.io"),
        ("nodes/x.py", "import comfy_extras.nodes_hooks", "comfy_extras"),
        ("nodes/x.py", "import latent_preview", "latent_preview"),
        ("nodes/x.py", "import server", "server of the host"),
        ("nodes/x.py", "import nodes as host_nodes", "nodes of the host"),
        ("nodes/x.py", "from comfy_execution import graph", "comfy_execution"),
        ("nodes/x.py", "import folder_paths", "folder_paths"),
        ("nodes/legacy/load.py", "from folder_paths import get_full_path", "folder_paths"),
        ("nodes/load.py", "import folder_paths", "folder_paths"),
        ("nodes/x.py", "if TYPE_CHECKING:\n    from comfy.sd import CLIP", "comfy.sd.CLIP"),
        ("sampling/run/x.py", "from nodes import common_ksampler", "nodes.common_ksampler"),
        ("sampling/run/x.py", "from comfy.ldm.modules import attention", "comfy.ldm"),
        ("sampling/run/layers.py", "import comfy.samplers", "comfy.samplers"),
        ("sampling/run/layers.py", "from comfy import ldmx", "comfy.ldmx"),
        ("sampling/frames.py", "from comfy_api.latest import io", "comfy_api"),
        ("motion/x.py", "from nodes import KSampler", "nodes.KSampler"),
        ("__init__.py", "from comfy_api.latest import ComfyExtension", "comfy_api"),
        *[("sampling/modules/x.py", f"import {name}", name) for name in ("execution", "node_helpers", "app.logger", "comfyui_version")],
    ),
    *_one(
        "known_packages",
        ("motion/sub/x.py", "import numpy", "numpy, which is not on the list of motion"),
        ("motion/x.py", "from einops import rearrange", "einops"),
        ("kernels/x.py", "import numpy", "numpy"),
        ("kernels/x.py", "from ..motion.attention import Attention", "know nothing of the pack"),
        ("nodes/x.py", "import torch.nn.functional as F", "no arithmetic"),
        ("nodes/legacy/x.py", "def f():\n    from numpy import array", "no arithmetic"),
        ("__init__.py", "import os", "the door"),
    ),
    *_one(
        "no_import_by_hand",
        ("nodes/legacy/x.py", 'import importlib\nimportlib.import_module("comfy.samplers")', "imports by hand"),
        ("motion/x.py", 'from importlib import import_module as load\nload(name="comfy")', "imports by hand"),
        ("sampling/run/x.py", '__import__("nodes")', "imports by hand"),
        ("sampling/run/x.py", 'import importlib as i\ni.import_module("..nodes", "x")', "imports by hand"),
        ("training/x.py", 'import importlib\nimportlib.import_module(f"{host}.samplers")', "imports by hand"),
        ("nodes/x.py", 'import sys\nhost = sys.modules["nodes"]', "sys.modules"),
        ("nodes/x.py", 'from sys import modules\nhost = modules.get("nodes")', "sys.modules"),
    ),
]

S = "import comfy.samplers as s\n"
WRITES = [
    *_several(
        "nothing_foreign_is_written",
        OFFENDER,
        ("import comfy.samplers\ncomfy.samplers.sampling_function = None", "comfy.samplers.sampling_function: a module"),
        (f"{S}f = s\nf.sampling_function = None", "f.sampling_function"),
        (f"{S}def f():\n    g = s\n    g.x = None", "g.x"),
        ("import comfy.samplers\ng = comfy.samplers.KSampler\ng.x = 1", "g.x: something imported"),
        (f"{S}def f():\n    for g in (1, s):\n        g.x = 1", "g.x"),
        (f"{S}def f():\n    with s as g:\n        g.x = 1", "g.x"),
        (f"{S}def f():\n    with open(1) as s.x:\n        pass", "s.x"),
        (f"{S}def f():\n    for s.x in (1, 2):\n        pass", "s.x"),
        (f"{S}def f():\n    (g := s).x\n    g.x = 1", "g.x"),
        (f"{S}def f():\n    a, g = 1, s\n    g.x = 1", "g.x"),
        (f"{S}def f():\n    (a, [g, *_]) = 1, [s, 2]\n    g.x = 1", "g.x"),
        (f"{S}def f():\n    a, s.x = 1, 2", "s.x"),
        (f"{S}def f(g=s):\n    g.x = 1", "g.x"),
        (f"{S}def f(own):\n    g = own or s\n    g.x = 1", "g.x"),
        (f"{S}def f(own):\n    g = own\n    if own.x:\n        g = s\n    else:\n        g = own\n    g.x = 1", "g.x"),
        (f"{S}def f(own):\n    g = own\n    for _ in own:\n        g.x = 1\n        g = s", "g.x"),
        (f"{S}def f(own):\n    try:\n        g = s\n    except KeyError:\n        g = own\n    g.x = 1", "g.x"),
        (f"{S}def f(own):\n    match own:\n        case 1:\n            s.x = 1", "s.x"),
        (f"{S}def f():\n    def inner():\n        s.x = 1\n    return inner", "s.x"),
        (f"{S}class A:\n    def f(self):\n        s.x = 1", "s.x"),
        (f"{S}class A:\n    s.x = 1", "s.x"),
        (f"{S}s.x += 1", "s.x"),
        (f"{S}s.x: int = 1", "s.x"),
        (f"{S}del s.x", "s.x"),
        (f"{S}s.TABLE['a'] = 1", "s.TABLE['a']"),
        (f"{S}s.TABLE.append(1)", "s.TABLE.append"),
        (f"{S}def f():\n    [s.TABLE.append(i) for i in (1, 2)]", "s.TABLE.append"),
        (f"{S}def f():\n    getattr(s, 'KSampler').x = 1", "getattr(s, 'KSampler').x"),
        ("from comfy.samplers import KSampler\nKSampler.sample = None", "KSampler.sample: something imported"),
        ("from ...motion.config import FAMILIES\ndef f():\n    FAMILIES['a'] = 1", "FAMILIES['a']"),
        ("from ...motion.config import FAMILIES as known\ndef f():\n    known.update({})", "known.update"),
        ("from ...motion import config\ndef f():\n    config.FAMILIES.pop('a')", "config.FAMILIES.pop"),
        ("import os\ndef f():\n    os.environ['A'] = '1'", "os.environ['A']"),
        ("import sys\nsys.path.insert(0, 'a')", "sys.path.insert"),
        ("import importlib\nimportlib.import_module('comfy').x = 1", "importlib.import_module('comfy').x"),
        ("import torch\ndef f():\n    torch.backends.cuda.matmul.allow_tf32 = True", "torch.backends.cuda.matmul.allow_tf32"),
        ("def f(model):\n    type(model).forward = None", "type(model).forward"),
        ("def f(model):\n    kind = type(model)\n    kind.x = None", "kind.x: a class"),
        ("def f(model):\n    model.__class__.x = None", "model.__class__.x: a class"),
        ("def f(model):\n    model.__class__ = dict", "model.__class__"),
        ("def f(model):\n    model.forward = None", "model.forward"),
        ("import types\ndef f(model, g):\n    model.x = types.MethodType(g, model)", "uses types.MethodType"),
        ("import torch\nsetattr(torch, 'a', 1)", "setattr"),
        ("def f(model):\n    put = setattr\n    put(model, 'a', 1)", "setattr"),
        ("def f(model):\n    delattr(model, 'a')", "delattr"),
        (f"{S}object.__setattr__(s, 'a', 1)", "object.__setattr__"),
        ("def f(a):\n    type.__setattr__(a, 'a', 1)", "type.__setattr__"),
        ("class A:\n    def __init__(self):\n        object.__setattr__(self, 'a', 1)", "object.__setattr__"),
        ("@dataclass(frozen=True)\nclass A:\n    def f(self, o):\n        object.__setattr__(o, 'a', 1)", "object.__setattr__"),
        ("@dataclass(frozen=True)\nclass A:\n    def f(self):\n        type.__setattr__(self, 'a', 1)", "type.__setattr__"),
        ("def f(x):\n    vars(x)['a'] = 1", "vars(x)['a']"),
        ("def f(x):\n    vars(x).update(a=1)", "vars(x).update"),
        ("def f(x):\n    x.__dict__['a'] = 1", "x.__dict__['a']"),
        ("def f(x):\n    x.__dict__.update(a=1)", "x.__dict__.update"),
        ("def f(x):\n    d = x.__dict__\n    d |= {}\n    d['a'] = 1", "d['a']"),
        ("def f():\n    globals()['a'] = 1", "globals()['a']"),
        ("from unittest import mock\nmock.patch('a.b')", "unittest.mock, which changes"),
        ("def f(monkeypatch):\n    monkeypatch.setitem(1, 2, 3)", "uses monkeypatch"),
        ("class Own:\n    pass\nOwn.x = 1", "Own.x: a class or function of this file"),
        ("class Own:\n    pass\ndef f():\n    Own.x = 1", "Own.x"),
        ("class Own:\n    @classmethod\n    def f(cls):\n        cls.x = 1", "cls.x"),
        ("def own():\n    own.calls += 1", "own.calls"),
    ),
    *_one("nothing_foreign_is_written", ("__init__.py", "import logging\nlogging.raiseExceptions = False", "logging.raiseExceptions")),
    *_several(
        "no_written_state",
        "sampling/timeline/sub/x.py",
        ("CACHE = {}\ndef f():\n    CACHE['a'] = 1", "CACHE['a']: a container"),
        ("def f():\n    CACHE['a'] = 1\nCACHE: dict[str, int] = {}", "CACHE['a']"),
        ("class A:\n    def f(self):\n        CACHE['a'] = 1\nCACHE = {}", "CACHE['a']"),
        ("A, CACHE = 1, []\ndef f():\n    CACHE.append(1)", "CACHE.append"),
        ("CACHE = set()\ndef f(x):\n    if x:\n        return lambda: CACHE.add(1)", "CACHE.add"),
        ("CACHE = {i: 1 for i in 'ab'}\ndef f():\n    del CACHE['a']", "CACHE['a']"),
        ("CACHE = [1]\ndef f():\n    CACHE[0] += 1", "CACHE[0]"),
        ("CACHE = [1]\ndef f():\n    mine = CACHE\n    mine += [2]", "mine"),
        ("from collections import defaultdict\nCACHE = defaultdict(list)\ndef f():\n    CACHE['a'].append(1)", "CACHE['a'].append"),
        ("import collections\nCACHE = collections.deque()\ndef f():\n    CACHE.popleft()", "CACHE.popleft"),
        ("CACHE = {}\ndef f():\n    CACHE.setdefault('a', []).append(1)", "CACHE.setdefault"),
        ("CACHE = {}\ndef f():\n    for row in CACHE.values():\n        row.x = 1", "row.x"),
        ("CACHE = {}\ndef f():\n    for i, (k, row) in enumerate(CACHE.items()):\n        row['x'] = 1", "row['x']"),
        ("CACHE = {}\ndef f():\n    row = CACHE.get('a')\n    row.x = 1", "row.x: something at module level"),
        ("CACHE = object()\ndef f():\n    CACHE.x = 1", "CACHE.x"),
        ("CACHE = {}\ndef f(known=CACHE):\n    known.clear()", "known.clear"),
        *[(f"X = {{}}\ndef f():\n    X.{name}(1)", f"X.{name}") for name in ("update", "extend", "insert", "remove", "discard", "popitem")],
        ("COUNT = 0\ndef f():\n    global COUNT\n    COUNT += 1", "global COUNT"),
        ("class A:\n    known = {}\n    def f(self):\n        self.known['a'] = 1", "self.known['a']: a container"),
        ("class A:\n    known: list[int] = []\n    def f(me):\n        me.known.append(1)", "me.known.append"),
        ("class A:\n    known = set()\n    def f(self):\n        known = self.known\n        known.add(1)", "known.add"),
    ),
    *_several(
        "caches_are_listed",
        "motion/sub/x.py",
        ("from functools import lru_cache\n@lru_cache(maxsize=8)\ndef f(): ...", "lru_cache at module level"),
        ("import functools\n@functools.cache\ndef f(): ...", "functools.cache at module level"),
        ("from functools import cache as keep\nclass A:\n    @keep\n    def f(self): ...", "keep at module level"),
        ("from functools import cache\ndef g(): ...\nf = cache(g)", "cache at module level"),
        ("from functools import lru_cache\n@lru_cache\ndef _hooks(): ...", "lru_cache at module level"),
    ),
    *_several(
        "no_mutable_defaults",
        "nodes/legacy/x.py",
        ("def f(a={}): ...", "default {}"),
        ("def f(*, a=[]): ...", "default []"),
        ("class A:\n    async def f(self, a=dict()): ...", "default dict()"),
        ("f = lambda a={1}: a", "default {1}"),
    ),
    *_several(
        "no_setter_chains",
        "motion/sub/x.py",
        ("class A(nn.Module):\n    def set_scale(self, x):\n        self.scale = x", "set_scale sets self.scale"),
        ("class A(nn.Module):\n    def set_scale(self, x):\n        self.scales[0] = x", "set_scale sets self.scales[0]"),
        ("class A(Module): ...\nclass B(A):\n    def f(self):\n        a, self.x = 1, 2", "f sets self.x"),
        ("class A(nn.Module):\n    def f(self):\n        for block in self.blocks:\n            block.scale = 1", "f sets block.scale"),
        ("def scale(net, x):\n    for block in net.modules():\n        block.scale = x", "scale sets block.scale"),
    ),
    Plant(
        "no_setter_chains",
        {"motion/a.py": "class A(B):\n    def f(self):\n        self.x += 1", "motion/b.py": "class B(torch.nn.ModuleList): ..."},
        "motion/a.py:3: f sets self.x",
    ),
]

MANNERS = [
    *_one(
        "short_functions",
        ("sampling/room/x.py", f"def f():\n{_lines(60)}", "f has 61 lines"),
        ("motion/sub/x.py", f"class A:\n    async def f(self):\n{'        x = 1' + chr(10)}{_lines(50).replace('    ', '        ')}", "f has 52"),
        ("training/x.py", f"def f():\n    def define_schemas():\n{_lines(50).replace('    ', '        ')}", "define_schemas has 51"),
    ),
    *_one("short_files", ("kernels/sub/x.py", "x = 1\n" * 401, "401 lines")),
    *_one(
        "nodes_only_translate",
        ("nodes/legacy/x.py", f"class A:\n    def execute(cls):\n{_lines(16).replace('    ', '        ')}", "execute has 16 lines"),
        ("nodes/x.py", "class A:\n    async def execute(cls, model, **choices): ...", "takes **choices"),
        ("nodes/legacy/x.py", "NODE_CLASS_MAPPINGS = {}", "NODE_CLASS_MAPPINGS"),
        ("__init__.py", "from .nodes import NODE_CLASS_MAPPINGS", "NODE_CLASS_MAPPINGS"),
    ),
    *_several(
        "good_manners",
        "sampling/room/sub/x.py",
        ("def f():\n    print()", "calls print"),
        ("raise Exception('no')", "a bare Exception"),
        ("raise Exception", "a bare Exception"),
        ("error = Exception('no')", "a bare Exception"),
        ("raise BaseException()", "a bare BaseException"),
        ("def f(x):\n    assert x", "assert"),
        ("try:\n    x = 1\nexcept:\n    x = 2", "bare except"),
        ("try:\n    x = 1\nexcept BaseException:\n    x = 2", "bare except"),
        ("try:\n    x = 1\nexcept (ValueError, BaseException):\n    x = 2", "bare except"),
        ("import torch\ndef f():\n    torch.manual_seed(1)", "calls torch.manual_seed"),
        ("from torch import set_default_dtype as s\ndef f(x):\n    s(x)", "calls torch.set_default_dtype"),
        ("import os\ndef f():\n    os.putenv('A', 'b')", "calls os.putenv"),
        ("def f(model):\n    model.model.diffusion_model.input_blocks[0] = None", "which is the host's"),
        ("def f(m):\n    m.diffusion_model.out = None", "which is the host's"),
        ("def f(m):\n    del m.diffusion_model.out", "which is the host's"),
        ("exec('import comfy')", "calls exec"),
    ),
    *_one(
        "layout",
        ("motion/utils.py", "", "utils says nothing"),
        ("sampling/host/common.py", "", "common says nothing"),
        ("nodes/legacy/helpers/x.py", "", "helpers says nothing"),
        ("motion/sub/x.py", "", "motion/ has no rooms"),
        ("nodes/sub/x.py", "", "nodes/ has no room but legacy/"),
        ("sampling/inject.py", "", "sampling/ has no room inject"),
        ("sampling/room/x.py", "", "sampling/ has no room room"),
        ("sampling/run.py", "", "a room is a folder"),
        ("core/x.py", "", "lies in no storey"),
        ("helper.py", "", "lies in no storey"),
    ),
    Plant("rooms_of_a_size", {f"sampling/host/{name}.py": "x = 1\n" * 540 for name in "abc"}, "sampling/host/: 1620 lines"),
    Plant("rooms_of_a_size", {"motion/a.py": "x = 1\n" * 1601}, "motion/: 1601 lines"),
    Plant("rooms_of_a_size", {f"sampling/start/{name}.py": "" for name in ("__init__", "a", "b")}, "sampling/start/: 2 files"),
    Plant("rooms_of_a_size", {"nodes/legacy/a.py": "", "nodes/a.py": ""}, "nodes/legacy/: 1 files"),
]

WORDS = [
    *[
        Plant("one_meaning", {"motion/a.py": source, path: source}, complaint)
        for path, source, complaint in (
            ("nodes/legacy/x.py", "def f(): ...", "f is defined in motion/a.py, nodes/legacy/x.py"),
            ("training/x.py", "class A: ...", "A is defined in"),
            ("sampling/host/x.py", "LIMIT = 1", "LIMIT is defined in"),
            ("sampling/frames.py", "LIMIT: int = 1", "LIMIT is defined in"),
            ("nodes/x.py", "try:\n    A, (B, C) = 1, (2, 3)\nexcept KeyError: ...", "C is defined in"),
            ("nodes/x.py", "NODES = []", "NODES is defined in"),
        )
    ],
    Plant("one_meaning", {f"nodes/{name}.py": "class MotionSettings: ..." for name in "abc"}, "MotionSettings is defined in"),
    *[
        Plant("functions_named_once", {"motion/a.py": first, "sampling/run/x.py": second}, complaint)
        for first, second, complaint in (
            ("def summary(): ...", "def summary(): ...", "summary is defined at motion/a.py:1, sampling/run/x.py:1"),
            ("class A:\n    def mixed(self): ...", "def mixed(): ...", "mixed is defined at"),
            ("def _around_run(): ...", "def f():\n    def _around_run(): ...", "_around_run is defined at"),
            ("def family_of(): ...", "async def family_of(): ...", "family_of is defined at"),
        )
    ],
    *_several("telling_constants", "sampling/run/x.py", ("KEY = 'a'", "KEY: of what?"), ("PER_FRAME: str = 'a'", "PER_FRAME: of what?")),
    *_several(
        "one_word_per_thing",
        "sampling/controls/x.py",
        ("def f(place): ...", "argument place: say site"),
        ("def f(*, all_places=()): ...", "argument all_places"),
        ("def f(**clips): ...", "argument clips"),
        ("def place_of(): ...", "name place_of"),
        ("class A:\n    def down_places(self): ...", "name down_places"),
        ("class ClipNoise: ...", "name ClipNoise: say frames"),
        ("class Place2: ...", "name Place2"),
        ("_PLACE = 1", "name _PLACE"),
        ("class A(NamedTuple):\n    place: int", "name place"),
        ("def f(clip): ...", "argument clip"),
    ),
    *_one(
        "one_word_per_thing",
        ("sampling/start/clip.py", "", "file clip"),
        ("nodes/schedule.py", "def follow_clip(clip): ...", "name follow_clip"),
        ("sampling/prompts/travel.py", "clip = 1", "name clip"),
        ("training/x.py", "def f(place): ...", "argument place"),
    ),
]

PLANTS = [*IMPORTS, *WRITES, *MANNERS, *WORDS]

_FIRST = "import comfy.samplers\nfrom ...nodes import load\ncomfy.samplers.sampling_function = None\nprint()\n"
_SECOND = f"""{S}CACHE = {{}}
def f(model):
    CACHE["a"] = 1
    f = s
    f.sampling_function = None
    type(model).forward = None
    object.__setattr__(s, "a", 1)
def long():
{_lines(60)}
"""
EVIL = {
    "motion/sub/evil.py": _FIRST,
    "sampling/room/evil.py": _FIRST,
    "nodes/legacy/evil.py": _FIRST,
    "nodes/evil.py": "import comfy_extras\nimport latent_preview\nimport server\n",
    "sampling/evil.py": _SECOND,
}
"""What was planted, unseen, while the guard looked one folder deep and at few ways to write."""
MISSED = {
    **dict.fromkeys(EVIL, ("imports_point_down", "host_at_its_doors", "nothing_foreign_is_written", "good_manners")),
    "nodes/legacy/evil.py": ("host_at_its_doors", "nothing_foreign_is_written", "good_manners"),
    "nodes/evil.py": ("host_at_its_doors",),
    "sampling/evil.py": ("host_at_its_doors", "nothing_foreign_is_written", "no_written_state", "short_functions", "layout"),
}
"""The rules that must complain of each."""
