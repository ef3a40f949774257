"""The rules of the house, read from the source. Used by ``test_architecture.py``, which also proves that they see."""

from __future__ import annotations

from collections.abc import Callable

from .imports import host_at_its_doors, imports_point_down, known_packages, no_import_by_hand
from .shape import good_manners, layout, nodes_only_translate, rooms_of_a_size, short_files, short_functions
from .source import Source, Tree, parsed, read_tree
from .state import (
    caches_are_listed,
    no_mutable_defaults,
    no_setter_chains,
    no_written_state,
    nothing_foreign_is_written,
)
from .words import functions_named_once, one_meaning, one_word_per_thing, telling_constants

FILE_RULES: dict[str, Callable[[Source], list[str]]] = {
    rule.__name__: rule
    for rule in (
        layout,
        imports_point_down,
        host_at_its_doors,
        known_packages,
        no_import_by_hand,
        nothing_foreign_is_written,
        no_written_state,
        caches_are_listed,
        no_mutable_defaults,
        short_functions,
        short_files,
        nodes_only_translate,
        good_manners,
        telling_constants,
        one_word_per_thing,
    )
}
"""Rules for a file by itself: each returns complaints with file and line."""
TREE_RULES: dict[str, Callable[[Tree], list[str]]] = {
    rule.__name__: rule for rule in (no_setter_chains, one_meaning, functions_named_once, rooms_of_a_size)
}
"""Rules for all files together."""
RULES = (*FILE_RULES, *TREE_RULES)

__all__ = ["RULES", "Tree", "complaints", "parsed", "read_tree"]


def complaints(rule: str, tree: Tree) -> list[str]:
    """What a rule, of a file or of the tree, has to say of a tree."""
    if rule in TREE_RULES:
        return TREE_RULES[rule](tree)
    return [complaint for source in tree for complaint in FILE_RULES[rule](source)]
