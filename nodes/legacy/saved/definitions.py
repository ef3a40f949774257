"""A new node as the front end stores it, from the host's definition of its type: sockets, values in the order of its fields, size."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ..convert import NodeInfo
from ..rows import WIDGETS, is_link
from .fields import WITH_CONTROL

FIXED = "fixed"
_TITLE, _ROW, _FIELD, _TEXT, _RIM = 30, 20, 24, 54, 6
_LETTER, _SOCKETS, _AROUND_FIELD, _NARROW, _WIDE = 7.5, 45, 130, 140, 210
"""Sizes on the canvas, in its units: what the front end adds up to find how large a node is at least."""


GROWING = "COMFY_AUTOGROW_V3"
"""The host's type of an input that is as many sockets as are connected, and one more."""


def slots_of(kind: str, info: NodeInfo, given: Collection[str] = ()) -> dict[str, Any]:
    """The sockets of a new node as the file holds them, nothing connected: ``inputs`` and ``outputs``.

    Args:
        given: the inputs that it is given, which say how many sockets a growing input has.

    Raises:
        ValueError: the host has no such node.
    """
    definition = _definition(kind, info)
    inputs: list[dict[str, Any]] = []
    for name, spec in _inputs(definition):
        if _type(spec) == GROWING:
            inputs += _grown(name, spec, given)
            continue
        entry: dict[str, Any] = {"name": name, "type": _type(spec), "link": None}
        inputs.append({**entry, "widget": {"name": name}} if _is_field(spec) else entry)
    made = definition.get("output") or ()
    names = definition.get("output_name") or made
    outputs = [
        {"name": str(name), "type": _type([one]), "links": [], "slot_index": slot} for slot, (one, name) in enumerate(zip(made, names, strict=True))
    ]
    return {"inputs": inputs, "outputs": outputs}


def check_inputs(kind: str, given: Mapping[str, Any], info: NodeInfo) -> None:
    """Raise ValueError, in words that go on after "title:", if the host has no such node, or one without these inputs."""
    unknown = given.keys() - {entry["name"] for entry in slots_of(kind, info, given)["inputs"]}
    if unknown:
        raise ValueError(f"{kind} has no input {min(unknown)} in this ComfyUI; update it")


def stored_values(kind: str, given: Mapping[str, Any], goes_on: Mapping[str, str], info: NodeInfo) -> list[Any]:
    """The list of values of a new node: those given, else those of a node just made.

    Args:
        goes_on: by the name of a seed, how it goes on after a run; "fixed" where it is not said.
    """
    stored: list[Any] = []
    for name, spec in _inputs(_definition(kind, info)):
        if not _is_field(spec):
            continue
        value, options = given.get(name), _options(spec)
        stored.append(_standard(spec) if value is None or is_link(value) else value)
        if options.get("control_after_generate") or (_type(spec) == "INT" and name in WITH_CONTROL):
            stored.append(goes_on.get(name, FIXED))
        if options.get("image_upload") or options.get("video_upload"):
            stored.append("image")
    return stored


def size_of(kind: str, slots: Mapping[str, Any], info: NodeInfo) -> list[float]:
    """Width and height that a node needs on the canvas, without its title bar."""
    definition = _definition(kind, info)
    fields = [(name, spec) for name, spec in _inputs(definition) if _is_field(spec)]
    growing = [name for name, spec in _inputs(definition) if _type(spec) == GROWING]
    sockets = [*growing, *(entry.get("label", entry["name"]) for entry in slots["inputs"] if "widget" not in entry)]
    outputs = [entry["name"] for entry in slots["outputs"]]
    widths = [
        _TITLE * 1.4 + _LETTER * len(str(definition.get("display_name") or kind)),
        _SOCKETS + _LETTER * (_longest(sockets) + _longest(outputs)),
        _AROUND_FIELD + _LETTER * _longest([name for name, _ in fields]) if fields else 0,
        _WIDE if fields else _NARROW,
    ]
    height = _ROW * max(len(sockets), len(outputs), 1) + _RIM
    for name, spec in fields:
        height += _TEXT if _options(spec).get("multiline") else _FIELD
        height += _FIELD if _options(spec).get("control_after_generate") or name in WITH_CONTROL else 0
    return [round(max(widths)), height + (8 if fields else 0)]


def _grown(name: str, spec: Any, given: Collection[str]) -> list[dict[str, Any]]:
    template = _options(spec)["template"]
    made = next(iter({**(template["input"].get("required") or {}), **(template["input"].get("optional") or {})}.values()))
    names = [short for short in template.get("names") or () if f"{name}.{short}" in given]
    return [{"name": f"{name}.{short}", "type": _type(made), "link": None, "label": short, "shape": 7} for short in names]


def _longest(names: list[str]) -> int:
    return max((len(name) for name in names), default=0)


def _definition(kind: str, info: NodeInfo) -> Mapping[str, Any]:
    found = info(kind)
    if found is None:
        raise ValueError(f"this ComfyUI has no node {kind}, which would take its position; update ComfyUI and this pack")
    return found


def _inputs(definition: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for group in ("required", "optional"):
        members = (definition.get("input") or {}).get(group) or {}
        for name in (definition.get("input_order") or {}).get(group) or members:
            yield name, members[name]


def _options(spec: Any) -> Mapping[str, Any]:
    return spec[1] if len(spec) > 1 and spec[1] else {}


def _type(spec: Any) -> str:
    return spec[0] if isinstance(spec[0], str) else "COMBO"


def _is_field(spec: Any) -> bool:
    return _options(spec).get("widgetType", _type(spec)) in WIDGETS and not _options(spec).get("forceInput")


def _standard(spec: Any) -> Any:
    """The value of a field in a node just made."""
    options = _options(spec)
    if "default" in options:
        return options["default"]
    choices = spec[0] if isinstance(spec[0], list) else options.get("options")
    if choices:
        return choices[0]
    return {"INT": 0, "FLOAT": 0.0, "BOOLEAN": False, "STRING": ""}.get(str(options.get("widgetType", _type(spec))))
