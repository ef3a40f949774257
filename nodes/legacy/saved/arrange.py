"""Room for new nodes: each old node's stand in a column in its position, and what they would cover moves down, groups with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .sheets import Sheet

TITLE = 30.0
"""Height of a title bar, which stands above the position of a node."""
COLUMN_GAP, NARROW_GAP = 50.0, 12.0
"""Between the nodes of a column, so that they can show a line or two after a run; and between collapsed ones."""
MARGIN = 20.0
"""At most this is left free between what moves down and what it moves away from."""


@dataclass(frozen=True)
class Column:
    """The new nodes of an old one, from top to bottom."""

    sheet: int
    old: dict[str, Any]
    new: list[dict[str, Any]]


@dataclass
class _Thing:
    """A node, a column, a group or a bend, as a box: what it was, and what it becomes.

    Attributes:
        stored: its tables in the file.
        inside: the groups that it lies in, smallest first.
    """

    stored: list[dict[str, Any]]
    left: float
    top: float
    right: float
    bottom: float
    is_group: bool = False
    is_column: bool = False
    width: float = 0.0
    height: float = 0.0
    now: float = 0.0
    inside: list[_Thing] = field(default_factory=list["_Thing"])

    @property
    def end(self) -> float:
        """Where it ends in the new picture."""
        return self.now + self.height

    def overlapped(self, other: _Thing) -> bool:
        """Whether two things covered each other before."""
        return self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom

    def in_the_way_of(self, other: _Thing) -> bool:
        """Whether two things stand one above the other in the new picture."""
        return self.left < other.left + other.width and other.left < self.left + self.width


def arrange(sheet: Sheet, columns: Sequence[Column]) -> None:
    """Give new nodes their positions, and move what lies below them down; everything else stays."""
    if not columns:
        return
    new = {id(node) for column in columns for node in column.new}
    groups = [_group(group) for group in sheet.body.get("groups") or () if len(group.get("bounding") or ()) == 4]
    things = [_column(column) for column in columns if column.new]
    things += [_thing(node) for node in sheet.nodes.values() if id(node) not in new]
    things += [_bend(bend) for home in (sheet.body, sheet.body.get("extra") or {}) for bend in home.get("reroutes") or ()]
    for thing in [*things, *groups]:
        thing.inside = sorted((group for group in groups if _holds(group, thing)), key=lambda group: group.bottom - group.top)
    _move_down([*groups, *things])
    for thing in things:
        _stand(thing)
    for group in groups:
        x, _, width, _ = group.stored[0]["bounding"]
        group.stored[0]["bounding"] = [x, group.now, max(width, group.width), group.height]


def _move_down(things: list[_Thing]) -> None:
    """Set ``now`` of everything, from top to bottom; groups grow with what is in them."""

    def order(thing: _Thing) -> tuple[float, int, float]:
        return max([thing.top, *(group.top for group in thing.inside)]), not thing.is_group, -thing.height

    placed: list[_Thing] = []
    for thing in sorted(things, key=order):
        thing.now = thing.top + max([0.0, *(group.now - group.top for group in thing.inside)])
        for other in placed:
            if other in thing.inside or thing in other.inside or not other.in_the_way_of(thing):
                continue
            if thing.overlapped(other) and not _new_to_each_other(thing, other):
                continue
            before = thing.top - other.bottom
            thing.now = max(thing.now, other.end + (min(before, MARGIN) if before >= 0 else MARGIN))
        placed.append(thing)
        _grow(thing)


def _new_to_each_other(one: _Thing, other: _Thing) -> bool:
    """Whether what stood on an old node, or under it, is to be told from what is new there."""
    return (one.is_column or other.is_column) and not (one.is_group or other.is_group)


def _grow(thing: _Thing) -> None:
    """Groups hold what moved down in them."""
    inner = thing
    for group in thing.inside:
        if inner.end - inner.bottom <= group.now - group.top:
            break
        free = min(max(group.bottom - inner.bottom, 0.0), MARGIN) if group.bottom > inner.bottom else MARGIN
        group.height = max(group.height, inner.end + free - group.now)
        if inner is thing and thing.is_column:
            group.width = max(group.width, thing.left + thing.width + MARGIN - group.left)
        inner = group


def _stand(thing: _Thing) -> None:
    """Write positions into the file."""
    if not thing.is_column:
        if thing.now != thing.top:
            x, y = _pair(thing.stored[0]["pos"])
            thing.stored[0]["pos"] = [x, y + thing.now - thing.top]
        return
    top = thing.now
    for node in thing.stored:
        node["pos"] = [thing.left, top + TITLE]
        top += TITLE + (NARROW_GAP if _collapsed(node) else node["size"][1] + COLUMN_GAP)


def _column(column: Column) -> _Thing:
    x, y = _pair(column.old["pos"])
    old, wide = _thing(column.old), _pair(column.old.get("size") or (0, 0))[0]
    for node in column.new:
        node["size"] = [max(wide, node["size"][0]), node["size"][1]]
    heights = [TITLE + (0 if _collapsed(node) else node["size"][1]) for node in column.new]
    gap = NARROW_GAP if _collapsed(column.old) else COLUMN_GAP
    width = old.width if _collapsed(column.old) else max(node["size"][0] for node in column.new)
    return _Thing(column.new, x, y - TITLE, old.right, old.bottom, False, True, width, max(sum(heights) + gap * (len(heights) - 1), old.height))


def _thing(node: dict[str, Any]) -> _Thing:
    x, y = _pair(node["pos"])
    width, height = _pair(node.get("size") or (0, 0))
    if _collapsed(node):
        width, height = min(width, 60 + 7.5 * len(node.get("title") or node["type"])), 0.0
    return _Thing([node], x, y - TITLE, x + width, y + height, width=width, height=height + TITLE)


def _group(group: dict[str, Any]) -> _Thing:
    x, y, width, height = (float(number) for number in group["bounding"])
    return _Thing([group], x, y, x + width, y + height, is_group=True, width=width, height=height)


def _bend(bend: dict[str, Any]) -> _Thing:
    x, y = _pair(bend["pos"])
    return _Thing([bend], x, y, x + 1, y + 1, width=1, height=1)


def _holds(group: _Thing, thing: _Thing) -> bool:
    """Whether the front end moves a thing with a group: its middle lies in it, or all of a smaller group."""
    if thing is group:
        return False
    if thing.is_group:
        within = group.left <= thing.left and thing.right <= group.right and group.top <= thing.top and thing.bottom <= group.bottom
        return within and (group.right - group.left, group.bottom - group.top) != (thing.right - thing.left, thing.bottom - thing.top)
    x, y = (thing.left + thing.right) / 2, (thing.top + thing.bottom) / 2
    return group.left <= x <= group.right and group.top <= y <= group.bottom


def _collapsed(node: dict[str, Any]) -> bool:
    return bool((node.get("flags") or {}).get("collapsed"))


def _pair(stored: Any) -> tuple[float, float]:
    """A point or a size: a list, or a table with the keys 0 and 1."""
    first, second = (stored["0"], stored["1"]) if isinstance(stored, dict) else stored[:2]
    return float(first), float(second)
