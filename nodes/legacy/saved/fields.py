"""What the stored values of an old node mean: the Python twin of ``web/old_graphs.js``, which does the same when a graph opens.

Saved graphs hold the values of a node as a list, whose order changed with the versions of its pack. ``ORDERS`` and ``LAYOUTS`` bring
each list into the order of the node's row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..rows import Field, OldNode

WITH_CONTROL = {"noise_seed", "seed"}
"""Fields after which the front end stores how the seed goes on after a run."""
NO_FILE = "None"
"""What lists of files say for none."""
GOES_ON = ("fixed", "randomize", "increment", "decrement")


def fields_of(row: OldNode) -> list[Field]:
    """The fields of an old node in the order of its list of values: needed inputs come first."""
    shown = [field for field in row.fields if field.is_widget]
    return sorted(shown, key=lambda field: not field.needed)


def stored_fields(row: OldNode, stored: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Values by name, and by the name of a seed how it goes on after a run.

    A list that is too short was saved before there were the last fields; they are as in a new node, and so are those that hold
    what they cannot have, such as the text of a field that is gone.
    """
    fields = fields_of(row)
    named: dict[str, Any] = {}
    goes_on: dict[str, str] = {}
    if isinstance(stored, Mapping):
        named = {field.name: _fitting(_in_table(stored, field), field) for field in fields}
        control = stored.get("control_after_generate")
        goes_on = {name: control for name in named if name in WITH_CONTROL and control in GOES_ON}
    else:
        values = _in_order(row, list(stored) if isinstance(stored, Sequence) and not isinstance(stored, str) else [])
        for field in fields:
            named[field.name] = _fitting(values.pop(0), field) if values else field.default
            if field.name in WITH_CONTROL and values and values[0] in GOES_ON:
                goes_on[field.name] = values.pop(0)
    return {name: value for name, value in named.items() if value is not None}, goes_on


def _in_order(row: OldNode, values: list[Any]) -> list[Any]:
    order, layouts = ORDERS.get(row.id), LAYOUTS.get(row.id, ())
    if order is not None:
        return order(values)
    switch = next((i for i, value in enumerate(values) if isinstance(value, bool)), -1)
    for names in (layout.split() for layout in layouts):
        if len(names) == len(values) and switch == (names.index(SWITCH) if SWITCH in names else -1):
            known = dict(zip(names, values, strict=True))
            return [known.get(field.name, field.default) for field in fields_of(row)]
    return values


def _in_table(table: Mapping[str, Any], field: Field) -> Any:
    return next((table[name] for name in (field.name, *field.also) if table.get(name) is not None), None)


def _fitting(value: Any, field: Field) -> Any:
    """A value that a field can have."""
    text = isinstance(value, str)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {
        "INT": number or (text and _is_number(value)),
        "FLOAT": number or (text and _is_number(value)),
        "BOOLEAN": isinstance(value, int | float),
        "STRING": text,
        "COMBO": number or (text and value != "" and not (field.folder and value == NO_FILE)),
    }
    return value if fits[field.kind] else field.default


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# --- orders of other versions ----------------------------------------------------------------------------------------


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool) or value in ("Enabled", "Disabled")


def _is_on(value: Any) -> bool:
    return value is True or value == "Enabled"


def _at(values: Sequence[Any], number: int) -> Any:
    return values[number] if number < len(values) else None


def _with_seed(values: list[Any]) -> list[Any]:
    """A seed stood before the last switch until 2025."""
    return [*values[:4], 0, *values[4:]] if _is_switch(_at(values, 4)) else values


def _loader_with_context(values: list[Any]) -> list[Any]:
    """For some days in 2023 there was one switch after the first two values: for the old normalisation."""
    old = _at(values, 2)
    return [*values[:2], 1.0, not _is_on(old)] if _is_switch(old) else values


def _combine_of_evolved(values: list[Any]) -> list[Any]:
    """The first ones had the switch before the name of the file, and saved GIFs."""
    if not _is_switch(_at(values, 2)):
        return values
    return [*values[:2], _at(values, 3), "image/gif", _is_on(_at(values, 4)), _is_on(values[2])]


def _combine_of_artventure(values: list[Any]) -> list[Any]:
    """The first ones had no format."""
    if len(values) != 4 and not _is_switch(_at(values, 4)):
        return values
    return [*values[:2], _is_on(_at(values, 2)), _at(values, 3), "image/gif", _is_on(_at(values, 4))]


def _with_stretch(values: list[Any]) -> list[Any]:
    """The first ones had no stretch of positions."""
    return [*values[:3], 0, *values[3:]] if len(values) in (6, 7) else values


def _without_first(shows: Callable[[list[Any]], bool]) -> Callable[[list[Any]], list[Any]]:
    """The value of a connected field stood first, where those after it show that it is there."""
    return lambda values: values[1:] if shows(values) else values


def _with_locks(values: list[Any]) -> list[Any]:
    """The first ones had no switches after the first two numbers."""
    return [*values[:2], False, False, *values[2:]] if len(values) > 2 and not _is_switch(values[2]) else values


ORDERS: dict[str, Callable[[list[Any]], list[Any]]] = {
    "ADE_AnimateDiffSamplingSettings": _with_seed,
    "ADE_AnimateDiffLoaderWithContext": _loader_with_context,
    "ADE_AnimateDiffModelSettings": _with_stretch,
    "ADE_AnimateDiffCombine": _combine_of_evolved,
    "ADE_CustomCFGKeyframeFromList": _without_first(lambda values: _is_switch(_at(values, 3))),
    "ADE_LoraHookKeyframeFromStrengthList": _without_first(lambda values: _is_switch(_at(values, 3))),
    "ADMD_LoadLora": _without_first(lambda values: isinstance(_at(values, 0), str)),
    "AnimateDiffCombine": _combine_of_artventure,
    "ACN_TimestepKeyframeFromStrengthList": _without_first(lambda values: _is_switch(_at(values, 4)) and not _is_switch(_at(values, 3))),
    "LatentKeyframeBatchedGroup": _without_first(lambda values: isinstance(_at(values, 0), int | float) and not isinstance(values[0], bool)),
    "ScaledSoftMaskedUniversalWeights": _with_locks,
}
SWITCH = "print_output"
"""The only switch of a FizzNodes node; where it stands in a list tells its layouts apart."""
_WEIGHTS, _AROUND = "pw_a pw_b pw_c pw_d", "pre_text app_text"
_LARGE = "width height crop_w crop_h target_width target_height text_g text_l"
_AROUND_LARGE = "pre_text_G app_text_G pre_text_L app_text_L"
LAYOUTS: dict[str, tuple[str, ...]] = {
    "BatchPromptSchedule": (
        f"text max_frames {_AROUND} {_WEIGHTS}",
        f"text max_frames _ {_AROUND} {_WEIGHTS}",
        f"text max_frames print_output {_AROUND} {_WEIGHTS}",
        f"text max_frames print_output {_AROUND} start_frame {_WEIGHTS}",
        "text max_frames print_output _",
        "text max_frames print_output start_frame end_frame",
    ),
    "BatchPromptScheduleLatentInput": (
        f"text {_AROUND} {_WEIGHTS}",
        f"text print_output {_AROUND} {_WEIGHTS}",
        f"text print_output {_AROUND} start_frame {_WEIGHTS}",
        "text _",
        "text print_output _",
        "text print_output start_frame end_frame",
    ),
    "PromptSchedule": (f"text max_frames current_frame {_AROUND} {_WEIGHTS}", "text max_frames print_output"),
    "PromptScheduleNodeFlowEnd": (f"max_frames current_frame {_AROUND} {_WEIGHTS}",),
    "StringSchedule": (f"text max_frames current_frame {_AROUND} {_WEIGHTS}",),
    "BatchStringSchedule": (f"text max_frames {_AROUND} {_WEIGHTS}",),
    "ValueSchedule": ("text max_frames print_output",),
    "PromptScheduleEncodeSDXL": (f"{_LARGE} max_frames current_frame {_AROUND_LARGE} {_WEIGHTS}",),
    "BatchPromptScheduleEncodeSDXL": (
        f"{_LARGE} max_frames {_AROUND_LARGE} {_WEIGHTS}",
        f"{_LARGE} max_frames print_output start_frame end_frame",
    ),
    "BatchPromptScheduleSDXLLatentInput": (
        f"{_LARGE} {_AROUND_LARGE} {_WEIGHTS}",
        f"{_LARGE} print_output start_frame end_frame",
    ),
}
"""Lists of FizzNodes by the names of their values, in the versions whose order is not that of the row; "_" had no effect."""
