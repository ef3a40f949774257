"""Rewrite a graph of another pack into our own nodes and the host's: the same expanders, run on a graph instead of inside a run.

``converted_prompt`` does it for API prompts; ``convert_saved`` for what the front end saves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import known_rows
from .rows import WIDGETS, Given, Link, OldNode, is_link

PromptNodes = dict[str, dict[str, Any]]
READ_IN_A_RUN = WIDGETS | {"LATENT"}
"""What an expander may read in a run and do without on paper; on other sockets that are not links travels data of old nodes."""
FindFile = Callable[[str, str], str | None]
"""What a model file is called on this machine, by folder and name; None for one that is not there."""


@dataclass
class Report:
    """What became of each old node, in whole sentences.

    Attributes:
        done: one line per node that was replaced.
        notes: what an old setting meant that is not done, and files that have another name here.
        left: nodes that were not replaced, and why.
    """

    done: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])
    left: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        parts = (("Replaced", self.done), ("Please note", self.notes), ("Left as they are", self.left))
        return "\n\n".join("\n".join([f"{head}:", *(f"- {line}" for line in lines)]) for head, lines in parts if lines)


class Rewriting:
    """New nodes of one old node in a graph on paper. A ``rows.NewGraph``."""

    def __init__(self, ids: Iterator[str], find: FindFile, report: Report) -> None:
        self.made: PromptNodes = {}
        self._ids, self._find, self._report = ids, find, report

    def node(self, kind: str, /, **inputs: Any) -> Link:
        """A new node and the link to its first output."""
        key = next(self._ids)
        self.made[key] = {"class_type": kind, "inputs": {name: value for name, value in inputs.items() if value is not None}}
        return [key, 0]

    def file(self, folder: str, name: Any) -> str:
        """What a model file is called here; a name that nobody knows is kept."""
        found = self._find(folder, str(name))
        if found is None:
            self.say(f"{name} is not in models/{folder}.")
        elif found != name:
            self.say(f"{name} is {found} here.")
        return found or str(name)

    def say(self, sentence: str) -> None:
        """Into the report, once."""
        if sentence not in self._report.notes:
            self._report.notes.append(sentence)


def replaced(row: OldNode, inputs: Mapping[str, Any], graph: Rewriting) -> tuple[Any, ...]:
    """What each output of an old node becomes: a link to a new node, a value, or data for other old nodes.

    Raises:
        ValueError: an input comes from a node that cannot be replaced, or its value is not known before a run.
    """
    given = Given(row, inputs)
    data = [entry.name for entry in row.fields if is_link(given[entry.name]) and not entry.is_linked and entry.kind not in READ_IN_A_RUN]
    if data:
        raise ValueError(f"its {data[0]} comes from a node that is not replaced")
    unknown = [entry.name for entry in row.fields if is_link(given[entry.name]) and not entry.is_linked]
    try:
        made = row.expand(given, graph)
    except (TypeError, AttributeError) as error:
        if not unknown:
            raise
        raise ValueError(f"its {unknown[0]} is connected, and would have to be known before a run") from error
    return made if len(row.outputs) > 1 else (made,)


def converted_prompt(prompt: PromptNodes, find: FindFile) -> tuple[PromptNodes, Report]:
    """An API prompt without old nodes, as far as they can be replaced, and what became of each.

    What runs is the same: the new nodes are those that the old ones expand to.
    """
    rows, report, outputs, new = known_rows(), Report(), dict[str, tuple[Any, ...]](), PromptNodes()
    ids = _fresh_ids(prompt)
    for key in in_order(prompt):
        node = prompt[key]
        inputs = {name: resolved_input(value, outputs) for name, value in node["inputs"].items()}
        row = rows.get(node["class_type"])
        if row is not None:
            graph = Rewriting(ids, find, report)
            try:
                outputs[key] = replaced(row, inputs, graph)
            except ValueError as error:
                report.left.append(f"{row.title} ({key}): {error}.")
            else:
                new |= graph.made
                kinds = ", ".join(made["class_type"] for made in graph.made.values())
                report.done.append(f"{row.title} ({key}): {kinds or 'its values went into the nodes that use them'}.")
                continue
        new[key] = {**node, "inputs": {name: _kept(value, node["inputs"][name]) for name, value in inputs.items()}}
    return new, report


def resolved_input(value: Any, outputs: Mapping[str, tuple[Any, ...]]) -> Any:
    """A value, or what the output that it is linked to has become."""
    if is_link(value) and value[0] in outputs:
        made = outputs[value[0]]
        return made[value[1]] if value[1] < len(made) else None
    return value


def _kept(value: Any, before: Any) -> Any:
    """An input of a node that is not replaced: never data that only old nodes understand."""
    plain = is_link(value) or value is None or isinstance(value, bool | int | float | str | dict | list)
    return value if plain else before


def in_order(prompt: PromptNodes) -> list[str]:
    """The nodes of a prompt, each after those it takes something from; those of a circle in any order."""
    order: dict[str, None] = {}
    begun: set[str] = set()
    for start in prompt:
        waiting = [start]
        while waiting:
            key = waiting[-1]
            if key in order:
                waiting.pop()
                continue
            begun.add(key)
            needs = [value[0] for value in prompt[key]["inputs"].values() if is_link(value) and value[0] in prompt]
            missing = [need for need in needs if need not in order and need not in begun]
            if missing:
                waiting.extend(missing)
            else:
                order[waiting.pop()] = None
    return list(order)


def _fresh_ids(prompt: PromptNodes) -> Iterator[str]:
    number = max((int(key) for key in prompt if key.isdigit()), default=0)
    while True:
        number += 1
        if str(number) not in prompt:
            yield str(number)
