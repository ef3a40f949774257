"""The rules of the house, read from the source: who imports whom, nothing foreign assigned to, sizes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STOREYS = ("motion", "sampling", "nodes")
FILES = [path for storey in STOREYS for path in sorted((ROOT / storey).glob("*.py"))]
MAY_IMPORT = {
    "motion": {"motion"},
    "sampling": {"sampling", "motion"},
    "nodes": {"nodes", "sampling"},
}


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """(level, module) of every import, at whatever depth."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_imports_point_downwards(path: Path) -> None:
    storey = path.parent.name
    for level, module in _imports(path):
        root = module.split(".")[0]
        if level == 2:
            assert root in MAY_IMPORT[storey], f"{path.name} imports ..{module}"
        elif level == 0:
            assert root != "comfy" or storey == "sampling", f"{path.name} imports {module}"
            assert root != "folder_paths" or path.name == "load.py", f"{path.name} imports {module}"
            assert storey != "motion" or root in {
                "__future__", "collections", "dataclasses", "einops", "functools", "json", "math", "pathlib", "pickle", "re", "safetensors",
                "struct", "torch", "typing",
            }, f"motion/{path.name} imports {module}"  # fmt: skip


def _bound_names(tree: ast.Module) -> set[str]:
    """Names that a file imports: assigning to their attributes would change another program."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return names


def _foreign_assignments(tree: ast.Module) -> list[str]:
    foreign = _bound_names(tree)
    found = []
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign) else []:
            base = target
            while isinstance(base, ast.Attribute | ast.Subscript):
                base = base.value
            if base is not target and isinstance(base, ast.Name) and base.id in foreign:
                found.append(ast.unparse(target))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setattr":
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_nothing_foreign_is_assigned_to(path: Path) -> None:
    assert _foreign_assignments(_tree(path)) == []


def test_the_assignment_rule_sees_what_it_should() -> None:
    bad = ast.parse("import comfy.samplers\ncomfy.samplers.sampling_function = None\nimport torch\nsetattr(torch, 'a', 1)")
    assert len(_foreign_assignments(bad)) == 2


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_module_level_mutable_state(path: Path) -> None:
    for node in ast.walk(_tree(path)):
        assert not isinstance(node, ast.Global), f"{path.name}:{node.lineno}"


@pytest.mark.parametrize("path", [p for p in FILES if p.parent.name == "nodes"], ids=lambda path: path.name)
def test_nodes_only_translate(path: Path) -> None:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.FunctionDef) and node.name == "execute":
            length = node.body[-1].end_lineno - node.body[0].lineno + 1
            assert length <= 15, f"{path.name}: execute has {length} lines"
    assert "torch" not in {module.split(".")[0] for _, module in _imports(path)}
    assert "NODE_CLASS_MAPPINGS" not in path.read_text(encoding="utf-8")


def test_sizes() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert sum(lines.values()) < 6500
    assert max(lines.values()) <= 400
    assert not {"utils.py", "common.py", "helpers.py"} & {path.name for path in FILES}


def test_no_print_no_bare_exception_no_assert() -> None:
    for path in FILES:
        for node in ast.walk(_tree(path)):
            assert not isinstance(node, ast.Assert), f"{path.name}:{node.lineno}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"print", "Exception"}, f"{path.name}:{node.lineno}"
