"""Rewrite a graph of another pack into our own nodes and the host's: the same expanders, run on a graph instead of inside a run.

``converted_prompt`` does it for API prompts; the room ``saved`` for what the front end saves.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import known_rows
from .rows import WIDGETS, Given, Link, OldNode, built, is_link

PromptNodes = dict[str, dict[str, Any]]
FindFile = Callable[[str, str], str | None]
"""What a model file is called on this machine, by folder and name; None for one that is not there."""
NodeInfo = Callable[[str], Mapping[str, Any] | None]
"""The definition of a node type, as the host tells it to a browser; None for one that it does not have."""
SHARED = {
    "AUDIO", "CLIP", "CONDITIONING", "CONTROL_NET", "FLOATS", "GUIDER", "HOOKS", "HOOK_KEYFRAMES", "IMAGE", "INTS", "LATENT", "MASK", "MODEL",
    "NOISE", "SIGMAS", "TIMESTEPS_RANGE", "VAE", "VIDEO", "VHS_FILENAMES",
}  # fmt: skip
"""Sockets that nodes of the host and of any pack understand, besides those of fields. All others of old nodes are understood by old nodes alone."""


class NotKnownError(ValueError):
    """An expander looked at a value that is not known before a run."""


class Later(list[Any]):
    """A link to a value that is not known before a run: an expander may hand it on, and not look at it."""

    def __eq__(self, other: object) -> bool:
        raise TypeError("not known before a run")

    def __bool__(self) -> bool:
        raise TypeError("not known before a run")

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("not known before a run")

    def __str__(self) -> str:
        raise TypeError("not known before a run")


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
        given = {name: [value[0], value[1]] if is_link(value) else value for name, value in inputs.items() if value is not None}
        self.made[key] = {"class_type": kind, "inputs": given}
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


def replaced(row: OldNode, inputs: Mapping[str, Any], graph: Rewriting, from_old: Collection[str]) -> tuple[Any, ...]:
    """What each output of an old node becomes: a link to a new node, a value, or data for other old nodes.

    Args:
        from_old: the inputs that come from old nodes which have been replaced.

    Raises:
        ValueError: an input comes from a node that cannot be replaced.
        NotKnownError: the value of an input is not known before a run, and an expander had to know it.
    """
    given = Given(row, inputs)
    linked = [entry for entry in row.fields if is_link(given[entry.name])]
    known = row.known_names()
    trusted = {known[name].name for name in from_old if name in known}
    foreign = [entry.name for entry in linked if not _is_shared(entry.kind) and not (entry.is_linked and entry.name in trusted)]
    if foreign and foreign[0] in trusted:
        raise NotKnownError(f"its {foreign[0]} would have to be known before a run")
    if foreign:
        raise ValueError(f"its {foreign[0]} comes from a node that is not replaced")
    unknown = [entry.name for entry in linked if not entry.is_linked]
    later = {name: Later((given[name][0], given[name][1])) for name in unknown}
    try:
        outputs = built(row, Given(row, {**inputs, **later}), graph)
    except (TypeError, AttributeError) as error:
        if not unknown:
            raise ValueError(f"its values cannot be read ({error})") from error
        raise NotKnownError(f"its {unknown[0]} is connected, and would have to be known before a run") from error
    return tuple([value[0], value[1]] if isinstance(value, Later) else value for value in outputs)


def hands_on(row: OldNode, number: int, value: Any) -> bool:
    """Whether other nodes than old ones understand what an output of an old node has become."""
    plain = value is None or is_link(value) or isinstance(value, int | float | str)  # None is an input that nothing was connected to
    return plain and number < len(row.outputs) and _is_shared(row.outputs[number][1])


def _is_shared(kind: str) -> bool:
    return any(part in SHARED or part in WIDGETS for part in kind.split(","))


def converted_prompt(prompt: PromptNodes, find: FindFile) -> tuple[PromptNodes, Report]:
    """An API prompt without old nodes, as far as they can be replaced, and what became of each.

    What runs is the same: the new nodes are those that the old ones expand to. An old node that cannot be replaced stays, with those
    that give it what only old nodes understand.
    """
    kept: dict[str, str] = {}
    while True:
        attempt = _Attempt(prompt, find, kept)
        if not attempt.stuck:
            return attempt.new, attempt.report
        kept |= attempt.stuck


class _Attempt:
    """A prompt with all old nodes replaced but those in ``kept``.

    Attributes:
        stuck: old nodes that turned out to have to stay too, and why.
    """

    def __init__(self, prompt: PromptNodes, find: FindFile, kept: Mapping[str, str]) -> None:
        self.new, self.report, self.stuck = PromptNodes(), Report(), dict[str, str]()
        self._rows, self._find, self._ids, self._prompt = known_rows(), find, _fresh_ids(prompt), prompt
        self._outputs: dict[str, tuple[Any, ...]] = {}
        for key in in_order(prompt):
            if key in kept or prompt[key]["class_type"] not in self._rows:
                self._keep(key, kept.get(key))
            else:
                self._replace(key, self._rows[prompt[key]["class_type"]])

    def _replace(self, key: str, row: OldNode) -> None:
        inputs = {name: resolved_input(value, self._outputs) for name, value in self._prompt[key]["inputs"].items()}
        graph = Rewriting(self._ids, self._find, self.report)
        try:
            self._outputs[key] = replaced(row, inputs, graph, self._from_old(key))
        except ValueError as error:
            self.stuck[key] = str(error)
            return
        self.new |= graph.made
        self.report.done.append(f"{row.title} ({key}): {names_of(graph.made)}.")

    def _from_old(self, key: str) -> list[str]:
        inputs = self._prompt[key]["inputs"]
        return [name for name, value in inputs.items() if is_link(value) and value[0] in self._outputs]

    def _keep(self, key: str, why: str | None) -> None:
        node = self._prompt[key]
        inputs = dict(node["inputs"])
        for name, value in node["inputs"].items():
            if is_link(value) and value[0] in self._outputs:
                inputs[name] = resolved_input(value, self._outputs)
                if not hands_on(self._rows[self._prompt[value[0]]["class_type"]], value[1], inputs[name]):
                    self.stuck[value[0]] = f"{node['class_type']} ({key}) takes something from it and is not replaced"
        self.new[key] = {**node, "inputs": inputs}
        if why is not None:
            self.report.left.append(f"{self._rows[node['class_type']].title} ({key}): {why}.")


def names_of(made: PromptNodes) -> str:
    """The new nodes of an old one, for the report."""
    return ", ".join(node["class_type"] for node in made.values()) or "its values went into the nodes that use them"


def resolved_input(value: Any, outputs: Mapping[str, tuple[Any, ...]]) -> Any:
    """A value, or what the output that it is linked to has become."""
    if is_link(value) and value[0] in outputs:
        made = outputs[value[0]]
        return made[value[1]] if value[1] < len(made) else None
    return value


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
