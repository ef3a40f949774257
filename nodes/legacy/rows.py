"""What an old node is, as data: an id of another pack, its inputs in the order of the oldest saved files, and an expander.

The other files here (``evolved/``, ``artventure``, ...) are tables of ``OldNode``; ``adapter`` makes a hidden node of each, and
``convert`` rewrites saved graphs with the same expanders.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Link = list[Any]
"""An output of a node, as prompts write it: ``[node id, number of the output]``."""

BY_LINK = {
    "AUDIO", "CAMERACTRL_POSES", "CLIP", "CONDITIONING", "CONTEXT_OPTIONS", "CONTROL_NET", "FLOATS", "GUIDER", "HOOKS", "HOOK_KEYFRAMES", "IMAGE", "INTS",
    "LATENT", "MASK", "MODEL", "MOTION_MODEL_ADE", "MULTIVAL", "NOISE", "SIGMAS", "TIMESTEPS_RANGE", "VAE", "VIDEO",
}  # fmt: skip
"""Sockets whose inputs an expander is given as a link, for one of its own nodes. What travels on all others is plain data, made and
read by expanders."""
WIDGETS = {"BOOLEAN", "COMBO", "FLOAT", "INT", "STRING"}


@dataclass(frozen=True)
class Field:
    """An input of an old node.

    Attributes:
        kind: INT, FLOAT, BOOLEAN, STRING or COMBO for a field, else the socket's type.
        default: in the field of a new node, and where a graph opens that was saved before there was this field.
        absent: what an API prompt without this input means, where that is not ``default``.
        options: of a COMBO; ``folder`` is that of its files instead.
        needed: an unconnected socket is an error.
        also: other names for the same input, in older and newer versions.
        linked: whether the expander is given a link and not a value, where that is not said by ``BY_LINK``.
    """

    name: str
    kind: str
    default: Any = None
    absent: Any = None
    options: tuple[str, ...] = ()
    folder: str = ""
    needed: bool = False
    also: tuple[str, ...] = ()
    multiline: bool = False
    linked: bool | None = None

    @property
    def is_widget(self) -> bool:
        """Whether saved graphs hold a value for it; numbers and texts without a default are sockets."""
        return self.kind == "COMBO" or (self.kind in WIDGETS and self.default is not None)

    @property
    def is_linked(self) -> bool:
        """Whether the expander is given a link, if something is connected."""
        return self.kind in BY_LINK if self.linked is None else self.linked


class NewGraph(Protocol):
    """Where an expander builds: inside a run (``adapter``) or in a saved graph (``convert``)."""

    def node(self, kind: str, /, **inputs: Any) -> Link:
        """A new node and the link to its first output; inputs that are None are left out."""
        ...

    def file(self, folder: str, name: Any) -> str:
        """What a model file is called here. Raises ValueError if there is none."""
        ...

    def say(self, sentence: str) -> None:
        """Tell the user what an old setting meant that is not done."""
        ...


Expander = Callable[["Given", NewGraph], Any]
"""Builds what an old node did; returns its output, or a tuple of several: links, numbers, or data for other expanders."""


@dataclass(frozen=True)
class OldNode:
    """A node of another pack; see the head of this file.

    Attributes:
        outputs: name and type of each.
        saves: it is an end of the graph, such as one that saves a file.
    """

    id: str
    title: str
    fields: tuple[Field, ...]
    outputs: tuple[tuple[str, str], ...]
    expand: Expander
    saves: bool = False

    def known_names(self) -> dict[str, Field]:
        """Every name under which an input may arrive."""
        return {name: field for field in self.fields for name in (field.name, *field.also)}


class Given:
    """The inputs of an old node as a prompt gave them: ``given["name"]`` is a value, a link, data, or None."""

    def __init__(self, row: OldNode, inputs: Mapping[str, Any]) -> None:
        known = row.known_names()
        self._values = {known[name].name: value for name, value in inputs.items() if name in known and value is not None}
        self._fields = {field.name: field for field in row.fields}
        self.row = row
        self.unknown = sorted(name for name, value in inputs.items() if name not in known and not _is_nothing(value))

    def __contains__(self, name: str) -> bool:
        """Whether the old node has an input of this name at all; its relatives may have more."""
        return name in self._fields

    def get(self, name: str, missing: Any = None) -> Any:
        """An input that only some relatives of the old node have."""
        return self[name] if name in self._fields else missing

    def __getitem__(self, name: str) -> Any:
        field = self._fields[name]
        if name in self._values:
            return self._values[name]
        return field.default if field.absent is None else field.absent

    def choice(self, name: str, new: Mapping[str, str]) -> str:
        """What one of an old node's choices is called now.

        Saved files hold it with and without an emoji, in other letters, and as a number in its list.
        """
        field = self._fields[name]
        value = self[name]
        if isinstance(value, int | float) and 0 <= value < len(field.options):
            value = field.options[int(value)]
        plain = {plain_text(old): meaning for old, meaning in new.items()}
        return plain.get(plain_text(value), new[field.default])

    def knows(self, name: str) -> bool:
        """Whether the value of a COMBO is one that it ever had."""
        field, value = self._fields[name], self[name]
        return isinstance(value, int | float) or plain_text(value) in {plain_text(option) for option in field.options}


def built(row: OldNode, given: Given, graph: NewGraph) -> tuple[Any, ...]:
    """What each output of an old node becomes; inputs that nobody knows are named."""
    if given.unknown:
        graph.say(f"{row.title}: {', '.join(given.unknown)} is not known here and has no effect.")
    made = row.expand(given, graph)
    return made if len(row.outputs) > 1 else (made,)[: len(row.outputs)]


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value)


def plain_text(value: Any) -> str:
    """A choice without emoji, capitals and spaces at its ends."""
    return "".join(letter for letter in str(value) if ord(letter) < 128).strip().casefold()


def is_link(value: Any) -> bool:
    """Whether a value is an output of another node, and not a value itself."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and type(value[1]) is int


def output_of(link: Link, number: int) -> Link:
    """Another output of the node whose first output ``link`` is."""
    return [link[0], number]


# --- the words of tables ---------------------------------------------------------------------------------------------


def socket(name: str, kind: str, *also: str, needed: bool = False, linked: bool | None = None) -> Field:
    """An input without a field."""
    return Field(name, kind, needed=needed, also=also, linked=linked)


def integer(name: str, default: int = 0, *also: str, linked: bool | None = None) -> Field:
    """A field for a whole number; ``linked`` tells one that is connected from one that is written in the field."""
    return Field(name, "INT", default, also=also, linked=linked)


def real(name: str, default: float = 1.0, *also: str, linked: bool | None = None) -> Field:
    """A field for a number; ``linked`` as for ``integer``."""
    return Field(name, "FLOAT", default, also=also, linked=linked)


def flag(name: str, default: bool = False, absent: bool | None = None) -> Field:
    """A switch."""
    return Field(name, "BOOLEAN", default, absent)


def text_socket(name: str) -> Field:
    """A text from another node; there is no field for it."""
    return Field(name, "STRING")


def written(name: str, default: str = "", *, multiline: bool = False, also: tuple[str, ...] = ()) -> Field:
    """A field for text."""
    return Field(name, "STRING", default, multiline=multiline, also=also)


def one_of(name: str, options: Sequence[str], default: str = "") -> Field:
    """A list to choose from; the first is the default unless another is named."""
    return Field(name, "COMBO", default or options[0], options=tuple(options))


def file_in(name: str, folder: str, *also: str) -> Field:
    """A list of model files."""
    return Field(name, "COMBO", folder=folder, also=also)


# --- what expanders build -------------------------------------------------------------------------------------------


def curve(graph: NewGraph, values: str, *, over: str = "frames", num_frames: Any = 16, **more: Any) -> Link:
    """A Value Curve, whose other inputs are named in ``more``; its second output is a list of ``num_frames`` numbers."""
    easing = "step" if over == "steps" else "linear"
    return graph.node("ValueCurve", values=values, over=over, easing=easing, loop=False, num_frames=num_frames, **more)


def frames_in(latent: Mapping[str, Any] | None) -> int:
    """How many frames a LATENT has. Raises ValueError if there is none, as in graphs whose nodes are not all connected."""
    if latent is None:
        raise ValueError("Needed a LATENT, got none. Connect the latent whose frames are to be counted.")
    return latent["samples"].shape[0]
