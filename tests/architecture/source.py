"""The source of the pack, each file parsed once, and what an import in it means. Read by the rules beside this file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

STOREYS = ("nodes", "training", "sampling", "motion", "kernels")
APART = {"demo", "bench", "tests", "dev.py", "train.py"}
"""Python at the top of the repository that no host ever imports, so that the rules of the house do not concern it."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Import(NamedTuple):
    """One name that a file imports, wherever in the file it does so."""

    line: int
    target: str
    """Dotted; for a relative import from the root of the pack: ``sampling.host.memory.load``."""
    local: str
    """The name that the file knows it by."""
    means: str
    """What that name stands for: after ``import a.b``, ``a`` is ``a``; after ``import a.b as c``, ``c`` is ``a.b``."""
    inside: bool
    """Whether it was a relative import."""


@dataclass(frozen=True, eq=False)
class Source:
    """A Python file of the pack."""

    path: str
    """From the root of the pack, with slashes: ``sampling/host/memory.py``."""
    text: str
    tree: ast.Module

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of the file."""
        return list(ast.walk(self.tree))

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """``("sampling", "host", "memory")``."""
        return tuple(self.path.removesuffix(".py").split("/"))

    @property
    def storey(self) -> str:
        """The first folder; empty for the pack's own ``__init__.py``."""
        return self.parts[0] if len(self.parts) > 1 else ""

    @property
    def room(self) -> str:
        """The folder, or the file, in which this lies below its storey."""
        return self.parts[1] if len(self.parts) > 1 else ""

    @cached_property
    def imports(self) -> list[Import]:
        """All imports, also in functions and under TYPE_CHECKING."""
        return list(_imports(self))

    @cached_property
    def origins(self) -> dict[str, str]:
        """What the names that this file imports mean: ``{"f": "importlib.import_module"}``."""
        return {name.local: name.means for name in self.imports}

    def origin(self, node: ast.AST) -> str:
        """The dotted name of ``a.b.c`` with what ``a`` was imported as; empty for other expressions."""
        first, *rest = dotted(node).split(".")
        return ".".join([self.origins.get(first, first), *rest])

    def say(self, node: ast.AST | int, complaint: str) -> str:
        """A complaint with file and line."""
        return f"{self.path}:{node if isinstance(node, int) else getattr(node, 'lineno', 1)}: {complaint}"


Tree = list[Source]


def parsed(path: str, text: str) -> Source:
    """Raises SyntaxError, with the path."""
    return Source(path, text, ast.parse(text, path))


def read_tree(root: Path) -> Tree:
    """The pack's Python files below ``root``, at any depth, without commands and tests."""
    found = list(root.glob("*.py"))
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        if folder.name not in APART and not folder.name.startswith("."):
            found += folder.rglob("*.py")
    paths = sorted(path.relative_to(root) for path in found)
    return [parsed(path.as_posix(), (root / path).read_text(encoding="utf-8")) for path in paths if path.parts[0] not in APART]


def dotted(node: ast.AST) -> str:
    """``a.b.c`` of a chain of attributes on a name; empty for other expressions."""
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return node.id if isinstance(node, ast.Name) else ""


def _imports(source: Source) -> Iterator[Import]:
    for node in source.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                yield Import(node.lineno, alias.name, alias.asname or first, alias.name if alias.asname else first, False)
        elif isinstance(node, ast.ImportFrom):
            base = _package(source, node.level)
            for alias in node.names:
                target = ".".join(part for part in (base, node.module, alias.name) if part)
                yield Import(node.lineno, target, alias.asname or alias.name, target, node.level > 0)


def _package(source: Source, level: int) -> str:
    """The folder, dotted, that an import with ``level`` dots begins at; empty for the root and for absolute imports."""
    folder = source.parts[:-1]
    if level > len(folder) + 1:
        return "..."  # above the pack
    return ".".join(folder[: len(folder) + 1 - level]) if level else ""


def functions(source: Source) -> Iterator[Function]:
    """Every function and method, nested ones too."""
    return (node for node in source.nodes if isinstance(node, Function))


def at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a file is imported: all but the bodies of functions."""
    for statement in body:
        yield statement
        if not isinstance(statement, Function):
            for _, value in ast.iter_fields(statement):
                for child in value if isinstance(value, list) else []:
                    if isinstance(child, ast.stmt):
                        yield from at_import([child])
                    elif isinstance(child, ast.ExceptHandler | ast.match_case):
                        yield from at_import(child.body)


def stored(node: ast.AST) -> Iterator[ast.Attribute | ast.Subscript]:
    """Every attribute and item that is assigned to or deleted in ``node``, in whatever form."""
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute | ast.Subscript) and isinstance(part.ctx, ast.Store | ast.Del):
            yield part


def root_of(node: ast.AST) -> ast.AST:
    """The expression at the front of a chain of attributes and items."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node
