"""The rules of the house hold, and see what they should. The rules are in ``architecture/``."""

from __future__ import annotations

from pathlib import Path

import pytest
from animatediff_tests.architecture import RULES, Tree, complaints, parsed, read_tree, state
from animatediff_tests.architecture.clean import CLEAN
from animatediff_tests.architecture.plants import EVIL, MISSED, PLANTS, Plant
from animatediff_tests.architecture.source import functions
from animatediff_tests.architecture.state import CACHED, WRITTEN
from animatediff_tests.architecture.writes import writes_of

ROOT = Path(__file__).resolve().parents[1]
TREE = read_tree(ROOT)


@pytest.mark.parametrize("rule", RULES)
def test_the_house_keeps(rule: str) -> None:
    found = complaints(rule, TREE)
    assert not found, "\n".join(found)


def test_all_storeys_are_read() -> None:
    assert {"", "motion", "nodes", "sampling"} <= {source.storey for source in TREE}
    assert len(TREE) == len({source.path for source in TREE}) > 40


def test_no_exception_is_out_of_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands on a list of exceptions is there, and would be complained of."""
    assert CACHED.keys() <= {f"{source.path}:{node.name}" for source in TREE for node in functions(source)}
    monkeypatch.setattr(state, "CACHED", {})
    found = [complaint for rule in RULES for complaint in complaints(rule, TREE)]
    assert {complaint.split(":")[0] for complaint in found} == {key.split(":")[0] for key in CACHED}
    assert WRITTEN.keys() <= {f"{source.path}: {write.text}" for source in TREE for write in writes_of(source)}


# --- the rules themselves, on small packs ----------------------------------------------------------------------------


def _tree(files: dict[str, str]) -> Tree:
    """A small pack that is never written to disk, which for some hundred of them takes longer than all rules."""
    return [parsed(path, text) for path, text in sorted(files.items())]


def _written(files: dict[str, str], folder: Path) -> Tree:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return read_tree(folder)


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: f"{plant.rule}-{plant.complaint}")
def test_a_rule_sees(plant: Plant) -> None:
    found = complaints(plant.rule, _tree(plant.files))
    assert [complaint for complaint in found if plant.complaint in complaint], found


def test_every_rule_has_been_tried() -> None:
    assert {plant.rule for plant in PLANTS} == set(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_gives_no_false_alarm(rule: str) -> None:
    assert complaints(rule, _tree(CLEAN)) == []


def test_files_are_found_at_any_depth(tmp_path: Path) -> None:
    """Commands and tests apart."""
    tree = _written({**CLEAN, **EVIL, "demo/utils.py": "import comfy", "dev.py": "print()", "tests/a/x.py": "assert 1"}, tmp_path)
    assert {source.path for source in tree} == {*CLEAN, *EVIL}


@pytest.mark.parametrize("path", EVIL)
def test_what_the_guard_once_missed(path: str) -> None:
    """The plants that an earlier guard did not see; 157 tests passed with them."""
    tree = _tree({path: EVIL[path]})
    assert {rule for rule in RULES if complaints(rule, tree)} >= set(MISSED[path])
