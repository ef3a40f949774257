"""Nothing foreign is written to, and nothing at module level is, once the pack is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .source import Function, Source, Tree, at_import, dotted, functions, root_of, stored
from .writes import OWN_FILE, is_container, writes_of

CACHED = {
    "sampling/run/norms.py:_hooks": "two hooks per number of frames: torch.compile starts anew unless they are the same functions each time",
}
"""Functions that may remember their results for as long as ComfyUI runs, and why."""
WRITTEN = {
    "nodes/files.py: folder_paths.folder_names_and_paths[key][1].update": "the host has no function that gives a model folder its "
    "file extensions; it does the same itself",
    "sampling/host/graph.py: host_nodes.NODE_CLASS_MAPPINGS[key]": "the host has no function that takes a node out; only entries of this "
    "pack are",
    "sampling/host/graph.py: names[key]": "the titles of the same entries",
}
"""Foreign things that are written to all the same, and why there is no other way."""
CACHES = {"functools.cache", "functools.lru_cache"}
PATCHERS = {"forbiddenfruit", "gorilla", "mock", "pytest", "unittest", "wrapt"}
"""Packages whose business is to change other programs."""
BINDERS = {"monkeypatch", "types.MethodType"}
NETWORKS = {"Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"}
SET_UP = {"__init__", "__post_init__", "__setstate__"}


def nothing_foreign_is_written(source: Source) -> list[str]:
    """No assignment to modules, classes and what they hold, under any alias; no setattr; no patching tools."""
    complaints = [
        source.say(write.line, f"writes {write.text}" + (f": {write.kind.value}" if write.kind else ""))
        for write in writes_of(source)
        if write.kind not in OWN_FILE and f"{source.path}: {write.text}" not in WRITTEN
    ]
    complaints += [
        source.say(name.line, f"imports {name.target}, which changes other programs")
        for name in source.imports
        if not name.inside and name.target.split(".")[0] in PATCHERS
    ]
    complaints += [
        source.say(node, f"uses {source.origin(node)}")
        for node in source.nodes
        if isinstance(node, ast.Name | ast.Attribute) and source.origin(node) in BINDERS
    ]
    return complaints


def no_written_state(source: Source) -> list[str]:
    """What is at module level, and what the objects of a class share, is never changed by a function."""
    return [
        source.say(write.line, f"changes {write.text}: {write.kind.value}")
        for write in writes_of(source)
        if write.kind is not None and write.kind in OWN_FILE
    ]


def caches_are_listed(source: Source) -> list[str]:
    """A function or method that remembers results is in ``CACHED``; caches inside a call need no permission."""
    complaints, allowed = [], set()
    for statement in at_import(source.tree.body):
        decorators = getattr(statement, "decorator_list", [])
        if f"{source.path}:{getattr(statement, 'name', '')}" in CACHED:
            allowed |= {id(node) for decorator in decorators for node in ast.walk(decorator)}
        header = [child for child in ast.iter_child_nodes(statement) if isinstance(child, ast.expr)]
        for node in (node for child in header for node in ast.walk(child)):
            if isinstance(node, ast.Name | ast.Attribute) and source.origin(node) in CACHES and id(node) not in allowed:
                complaints.append(source.say(node, f"{ast.unparse(node)} at module level is not in CACHED"))
    return complaints


def no_mutable_defaults(source: Source) -> list[str]:
    """No ``={}`` in a signature, except where the host wrote it so and the line says so."""
    lines = source.text.splitlines()
    signatures = [node.args for node in source.nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)]
    defaults = [value for arguments in signatures for value in (*arguments.defaults, *arguments.kw_defaults) if is_container(value)]
    return [
        source.say(value, f"default {ast.unparse(value)} is shared by all calls")
        for value in defaults
        if "noqa: B006" not in lines[value.lineno - 1]
    ]


def no_setter_chains(tree: Tree) -> list[str]:
    """In ``motion/``, what ``forward`` uses is handed to it: no network is changed after it was made."""
    sources = [source for source in tree if source.storey == "motion"]
    classes = [(source, node) for source in sources for node in source.nodes if isinstance(node, ast.ClassDef)]
    networks = set(NETWORKS)
    for _ in classes:  # as often as the longest line of descent can need
        networks |= {node.name for _, node in classes if {dotted(base).split(".")[-1] for base in node.bases} & networks}
    return [
        source.say(part, f"{method.name} sets {ast.unparse(part)}")
        for source in sources
        for owner, method in _methods(source)
        if method.name not in SET_UP
        for part in _sets(method, owner in networks)
    ]


def _methods(source: Source) -> Iterator[tuple[str, Function]]:
    """(class, function) of all functions; the class is empty for those outside classes."""
    of_classes = {
        part: node.name for node in source.nodes if isinstance(node, ast.ClassDef) for part in node.body if isinstance(part, Function)
    }
    return ((of_classes.get(node, ""), node) for node in functions(source))


def _sets(function: Function, of_network: bool) -> Iterator[ast.expr]:
    """What a function changes in a network: its own if it is a method of one, attributes of whatever it was given or found."""
    first = function.args.args[0].arg if function.args.args else ""
    made = [part for part in ast.walk(function) if isinstance(part, ast.Assign) and isinstance(part.value, ast.Call)]
    own = {dotted(target) for part in made for target in part.targets}
    for part in stored(function):
        root = dotted(root_of(part))
        on_self = root == first and root in {"self", "cls"}
        item = isinstance(part, ast.Subscript)
        held = isinstance(part.value, ast.Attribute)  # `self.scales[0]`, not `self[0]`
        if (of_network and (held or not item)) if on_self else (not item and root not in own):
            yield part
