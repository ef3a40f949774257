"""Who may import whom: storeys and rooms from top to bottom, and where the host may be named."""

from __future__ import annotations

import ast

from .source import APART, STOREYS, Import, Source

ROOMS = ("run", "windows", "guides", "controls", "modules", "start", "prompts", "timeline", "files", "frames", "host")
"""The rooms of ``sampling/`` from top to bottom: a room imports only itself and those after it."""
TRAINING_ROOMS = ("stages", "loop", "clips", "measures", "host")
"""The same of ``training/``."""
BELOW: dict[str, set[str]] = {
    "": {"nodes"},
    "nodes": {"training", "sampling"},
    "training": {"sampling", "motion"},
    "sampling": {"motion"},
    "motion": set(),
    "kernels": set(),
}
"""Which other storeys a storey imports. ``sampling/host/`` alone imports ``kernels`` too."""
DIVIDED = {"sampling": ROOMS, "training": TRAINING_ROOMS}
LEGACY_TAKES = {"files", "types"}
"""The files of ``nodes/`` that ``nodes/legacy/`` imports; all else it takes from below, as every node does."""

HOST = {
    "api_server", "app", "cuda_malloc", "custom_nodes", "execution", "folder_paths", "latent_preview", "main", "middleware", "node_helpers", "nodes",
    "protocol", "server", "utils",
}  # fmt: skip
"""Packages and modules of ComfyUI, besides all those whose names begin with comfy."""
LAYERS = "sampling/run/layers.py"
"""The one file outside ``sampling/host/`` that names classes of the host: those of the UNet's layers."""
ALONE = {
    "": {"__future__", "comfyui_version", "logging", "re"},
    "motion": {
        "__future__", "collections", "dataclasses", "enum", "functools", "json", "math", "pathlib", "pickle", "re", "safetensors",
        "struct", "torch", "typing",
    },
    "kernels": {"__future__", "collections", "dataclasses", "functools", "math", "torch", "triton", "typing"},
}  # fmt: skip
"""All that these storeys import from outside the pack; the others import what a host's environment has."""
ARITHMETIC = {"numpy", "torch", "torchaudio", "torchvision"}
DYNAMIC = {"__import__", "importlib.__import__", "importlib.import_module", "runpy.run_module", "runpy.run_path"}


def _first(target: str) -> str:
    return target.split(".")[0]


def _of_host(target: str) -> bool:
    return _first(target) in HOST or target.startswith("comfy")


def _of_pack(target: str) -> bool:
    """Whether an absolute import means this pack, which has that name only on some machines."""
    first = _first(target)
    return first in {*STOREYS, *APART} - {"nodes"} or first.startswith("animatediff")


def _may_name(source: Source, target: str) -> bool:
    """Whether this file may import this part of the host."""
    if source.storey in {"sampling", "training"}:
        return source.room == "host" or (source.path == LAYERS and f"{target}.".startswith("comfy.ldm."))
    if source.storey == "nodes":
        return _first(target) == "comfy_api" or (_first(target) == "folder_paths" and source.path == "nodes/files.py")
    return source.storey == "" and _first(target) == "comfyui_version"


def imports_point_down(source: Source) -> list[str]:
    """From nodes to training to sampling to motion, and inside a storey from room to room: never back."""
    complaints = [(name.line, name.target, _upwards(source, name)) for name in source.imports if name.inside]
    complaints += [
        (name.line, name.target, "the pack by an absolute name: its folder may have another")
        for name in source.imports
        if not name.inside and _of_pack(name.target)
    ]
    return [source.say(line, f"imports {target}: {why}") for line, target, why in complaints if why]


def _upwards(source: Source, name: Import) -> str:
    """What is wrong with a relative import; empty if nothing is."""
    storey, room = (*name.target.split("."), "")[:2]
    if storey not in STOREYS:
        return "no storey of the pack"
    if storey == "kernels" and source.storey == "sampling":
        return "" if source.room == "host" else "only sampling/host uses the kernels"
    if storey != source.storey:
        return "" if storey in BELOW.get(source.storey, set()) else f"not below {source.storey or 'the pack'}"
    if storey in DIVIDED:
        return _upwards_inside(storey, source.room, room)
    return _upwards_in_nodes(source, room) if storey == "nodes" else ""


def _upwards_inside(storey: str, own: str, other: str) -> str:
    rooms = DIVIDED[storey]
    if own == "__init__":
        return f"{storey}/__init__.py imports nothing, or every room would hang on all others"
    if own not in rooms:
        return ""  # `layout` complains of it
    if other not in rooms:
        return f"{other or f'{storey} itself'} is no room"
    return f"{other} lies above {own}" if rooms.index(other) < rooms.index(own) else ""


def _upwards_in_nodes(source: Source, other: str) -> str:
    if source.room == "legacy":
        return "" if other == "legacy" or other in LEGACY_TAKES else "legacy/ takes only the socket types from nodes/"
    return "only nodes/__init__.py lists legacy/" if other == "legacy" and source.room != "__init__" else ""


def host_at_its_doors(source: Source) -> list[str]:
    """The host is imported in ``sampling/host/`` and in the few other files that are made for it."""
    return [
        source.say(name.line, f"imports {name.target} of the host")
        for name in source.imports
        if not name.inside and _of_host(name.target) and not _may_name(source, name.target)
    ]


def no_import_by_hand(source: Source) -> list[str]:
    """No host package and nothing of ours through importlib or ``sys.modules``, except in ``sampling/host/``."""
    if (source.storey, source.room) == ("sampling", "host"):
        return []
    complaints = []
    for node in source.nodes:
        if isinstance(node, ast.Call) and source.origin(node.func) in DYNAMIC and not _plainly_foreign(node):
            complaints.append(source.say(node, f"imports by hand: {ast.unparse(node)}"))
        elif isinstance(node, ast.Attribute | ast.Name) and source.origin(node) == "sys.modules":
            complaints.append(source.say(node, "looks into sys.modules"))
    return complaints


def _plainly_foreign(call: ast.Call) -> bool:
    """Whether a dynamic import names, in so many letters, a package that is neither the host's nor ours."""
    name = next(iter([*call.args, *(keyword.value for keyword in call.keywords)]), None)
    if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
        return False
    return not (_of_host(name.value) or _of_pack(name.value) or name.value.startswith("."))


def known_packages(source: Source) -> list[str]:
    """``motion/``, ``kernels/`` and the pack's door import from short lists; ``nodes/`` no tensors."""
    allowed = ALONE.get(source.storey)
    complaints = []
    for name in source.imports:
        first = _first(name.target)
        if not name.inside and allowed is not None and first not in allowed:
            complaints.append(source.say(name.line, f"imports {name.target}, which is not on the list of {source.storey or 'the door'}"))
        elif not name.inside and source.storey == "nodes" and first in ARITHMETIC:
            complaints.append(source.say(name.line, f"imports {name.target}: nodes/ does no arithmetic"))
        elif name.inside and source.storey == "kernels" and _first(name.target) != "kernels":
            complaints.append(source.say(name.line, f"imports {name.target}: kernels/ know nothing of the pack"))
    return complaints
