"""Sizes, layout and manners: how long a function is, where files lie, what no file does."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import PurePosixPath

from .imports import DIVIDED
from .source import STOREYS, Source, Tree, functions

FUNCTION_LINES = 50
EXECUTE_LINES = 15
FILE_LINES = 400
ROOM_LINES = 1600
"""Of a room as a whole; more is two rooms."""
TABLE_OF_NODES = "nodes"
"""Its size is the number of nodes: it has schemas, and no room to divide it into."""
ROOM_FILES = 3
"""A folder with fewer is a file."""
DRAWERS = {"common", "helpers", "utils"}
"""Names that say nothing of what is inside."""
NOT_CALLED = {"breakpoint", "eval", "exec", "input", "print"}
MAPPINGS = "NODE_CLASS_MAPPINGS"
PROCESS = {
    "os.putenv", "os.unsetenv", "torch.manual_seed", "torch.seed", "torch.set_default_device", "torch.set_default_dtype",
    "torch.set_float32_matmul_precision", "torch.set_grad_enabled", "torch.set_num_threads", "torch.set_rng_state",
    "torch.use_deterministic_algorithms",
}  # fmt: skip
"""Settings of the whole process, which other packs share."""
TAKES_ALL = "nodes/legacy/adapter.py"
"""Makes nodes of rows: their inputs are named in the rows, and what else an old graph gives them is refused by none."""
INSIDE = "diffusion_model"
"""The host's network inside a MODEL: it is read, and never written to."""


def short_functions(source: Source) -> list[str]:
    """A function has at most 50 lines, its docstring included; ``define_schema`` is a table and may be longer."""
    return [
        source.say(node, f"{node.name} has {length} lines, more than {FUNCTION_LINES}")
        for node in functions(source)
        if (length := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES and node.name != "define_schema"
    ]


def short_files(source: Source) -> list[str]:
    """A file has at most 400 lines."""
    length = len(source.text.splitlines())
    return [source.say(1, f"{length} lines, more than {FILE_LINES}")] if length > FILE_LINES else []


def nodes_only_translate(source: Source) -> list[str]:
    """An ``execute`` is short and names what it takes; nodes are listed in the V3 way alone."""
    complaints = [source.say(1, f"{MAPPINGS} makes the host ignore the V3 nodes")] if MAPPINGS in source.text else []
    if source.storey not in {"", "nodes"}:
        return []
    for node in functions(source):
        if node.name == "execute":
            length = (node.body[-1].end_lineno or 0) - node.body[0].lineno + 1
            if length > EXECUTE_LINES:
                complaints.append(source.say(node, f"execute has {length} lines, more than {EXECUTE_LINES}"))
            if node.args.kwarg and source.path != TAKES_ALL:
                complaints.append(source.say(node, f"execute takes **{node.args.kwarg.arg}: name its inputs"))
    return complaints


def good_manners(source: Source) -> list[str]:
    """No print, bare exception, assert for users or code in strings; nothing of the process or of the UNet is set."""
    found = [source.say(node, why) for node in source.nodes if (why := _bad_manners(node))]
    for node in source.nodes:
        if isinstance(node, ast.Call) and (origin := source.origin(node.func)) in PROCESS:
            found.append(source.say(node, f"calls {origin}, which outlives the call"))
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del) and INSIDE in ast.unparse(node):
            found.append(source.say(node, f"changes {ast.unparse(node)}, which is the host's"))
    return found


def _bad_manners(node: ast.AST) -> str:
    if isinstance(node, ast.Assert):
        return "assert: raise ValueError with what was needed, what was got, what to do"
    if isinstance(node, ast.ExceptHandler) and (node.type is None or "BaseException" in ast.unparse(node.type)):
        return "a bare except also catches an interrupt"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NOT_CALLED:
        return f"calls {node.func.id}"
    named = node.func if isinstance(node, ast.Call) else node.exc if isinstance(node, ast.Raise) else None
    if isinstance(named, ast.Name) and named.id in {"BaseException", "Exception"}:
        return f"a bare {named.id}: say which kind of error it is"
    return ""


def layout(source: Source) -> list[str]:
    """Every file lies in a storey, and in a room of it where the storey has rooms; no drawers for odds and ends."""
    complaints = [f"{part} says nothing of what is inside" for part in source.parts if part in DRAWERS]
    path = PurePosixPath(source.path)
    if source.storey not in {"", *STOREYS} or (source.storey == "" and source.path != "__init__.py"):
        complaints.append("lies in no storey")
    elif source.storey in DIVIDED and source.room not in {"__init__", *DIVIDED[source.storey]}:
        complaints.append(f"{source.storey}/ has no room {source.room}")
    elif source.storey in DIVIDED and len(path.parts) == 2 and source.room not in {"__init__", "frames"}:
        complaints.append(f"only frames.py lies in {source.storey}/ itself: a room is a folder")
    elif source.storey == "motion" and len(path.parts) > 2:
        complaints.append("motion/ has no rooms")
    elif source.storey == "nodes" and len(path.parts) > 2 and source.room != "legacy":
        complaints.append("nodes/ has no room but legacy/")
    elif len(path.parts) > 3 + (source.parts[:2] == ("nodes", "legacy")):
        complaints.append("a room has no rooms of its own, except legacy/ one per pack")
    return [source.say(1, complaint) for complaint in complaints]


def rooms_of_a_size(tree: Tree) -> list[str]:
    """A room is at most 1,600 lines and, where it is a folder below a storey, at least three files."""
    lines: dict[str, int] = defaultdict(int)
    files: dict[str, int] = defaultdict(int)
    for source in tree:
        folder = PurePosixPath(source.path).parent
        lines[str(folder)] += len(source.text.splitlines())
        files[str(folder)] += not source.path.endswith("__init__.py")
    complaints = [
        f"{room}/: {count} lines, more than {ROOM_LINES}" for room, count in lines.items() if count > ROOM_LINES and room != TABLE_OF_NODES
    ]
    complaints += [
        f"{folder}/: {count} files, fewer than {ROOM_FILES}: a room of its own needs three"
        for folder, count in files.items()
        if "/" in folder and count < ROOM_FILES
    ]
    return complaints
