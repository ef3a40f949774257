"""One word per thing: a public name has one meaning in the whole tree, and words that had two are gone."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator

from .source import Function, Source, Tree, at_import, functions

ONCE = {"_around_run", "family_of", "mixed", "summary"}
"""Functions whose names say too little to be there twice, methods and private ones included."""
BARE = {"KEY", "PER_FRAME"}
"""Constants whose names do not say of what."""
TWO_MEANINGS = {
    "clip": "frames or animation; `clip` is the host's text encoder",
    "clips": "frames or animations; clips are for training",
    "place": "site, position or region",
    "places": "sites, positions or regions",
}
"""Words that meant several things, and what to say."""
TEXT_ENCODER = {"sampling/prompts/travel.py", "nodes/evaluate.py", "nodes/schedule.py"}
"""Where an argument called ``clip`` is the host's text encoder, and ``clip_vision`` the half of it that sees."""
OF_TRAINING = {"nodes/clips.py", "nodes/train.py"}
"""The nodes of training, which has clips."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def words_of(identifier: str) -> set[str]:
    """The words of a snake_case or CamelCase name, in small letters."""
    return {word.lower() for word in _WORD.findall(identifier)}


def _bound(statement: ast.stmt) -> Iterator[tuple[int, str]]:
    """(line, name) of what a statement defines: a function, a class, constants."""
    if isinstance(statement, Function | ast.ClassDef):
        yield statement.lineno, statement.name
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    for target in targets:
        for node in ast.walk(target) if target is not None else ():
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.lineno, node.id


def _module_level(source: Source) -> Iterator[tuple[int, str]]:
    """(line, name) of what a file defines outside classes, also under ``if`` and ``try``."""
    inside = {child for node in source.nodes if isinstance(node, ast.ClassDef) for child in at_import(node.body)}
    for statement in at_import(source.tree.body):
        if statement not in inside:
            yield from _bound(statement)


def one_meaning(tree: Tree) -> list[str]:
    """A public function, class or constant of a storey is defined in one file."""
    return [
        f"{name} is defined in {', '.join(paths)}"
        for name, paths in sorted(homes_of_names(tree).items())
        if len(paths) > 1
    ]


def homes_of_names(tree: Tree) -> dict[str, list[str]]:
    """Which files define a public name. ``NODES``, the list in each file of ``nodes/legacy/``, is not counted."""
    homes: dict[str, list[str]] = defaultdict(list)
    for source in tree:
        for name in dict.fromkeys(name for _, name in _module_level(source)):
            listed = name == "NODES" and source.parts[:2] == ("nodes", "legacy")
            if not name.startswith("_") and not listed and source.storey not in {"", "kernels"}:
                homes[name].append(source.path)
    return homes


def functions_named_once(tree: Tree) -> list[str]:
    """Of ``summary``, ``mixed`` and the like there is one in the tree."""
    homes: dict[str, list[str]] = defaultdict(list)
    for source in tree:
        for node in functions(source):
            if node.name in ONCE:
                homes[node.name].append(f"{source.path}:{node.lineno}")
    return [f"{name} is defined at {', '.join(spots)}" for name, spots in sorted(homes.items()) if len(spots) > 1]


def telling_constants(source: Source) -> list[str]:
    """No constant is called just KEY or PER_FRAME."""
    return [source.say(line, f"{name}: of what?") for line, name in _module_level(source) if name in BARE]


def one_word_per_thing(source: Source) -> list[str]:
    """No file, function, class, field, argument or constant is named with a word that had two meanings."""
    names = [(1, part, "file") for part in source.parts]
    names += [(line, name, "name") for statement in at_import(source.tree.body) for line, name in _bound(statement)]
    for node in functions(source):
        spots = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        names += [(spot.lineno, spot.arg, "argument") for spot in spots if spot is not None]
        names += [(node.lineno, node.name, "name")]
    return [
        source.say(line, f"{kind} {name}: say {TWO_MEANINGS[word]}")
        for line, name, kind in dict.fromkeys(names)
        for word in sorted(words_of(name) & TWO_MEANINGS.keys())
        if not _may_say(source, name, word, kind)
    ]


def _may_say(source: Source, name: str, word: str, kind: str) -> bool:
    """Whether this file may use the word: training has clips, and the text encoder is an argument called ``clip``."""
    if not word.startswith("clip"):
        return False
    if source.storey == "training" or source.path in OF_TRAINING:
        return True
    return kind == "argument" and name in {"clip", "clip_vision"} and source.path in TEXT_ENCODER
