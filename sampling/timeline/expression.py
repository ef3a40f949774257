"""Numbers worked out in each frame, such as ``0.5 + 0.2 * sin(t / 5)``: values of curves, and parts of prompts in backticks.

Read with Python's own grammar, of which only arithmetic is allowed; nothing is executed. Used by ``text``, ``template`` and
``curve``. Described for users in ``web/docs/ValueCurve.md``.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .errors import TimelineError
from .lines import SHOWN

FRAME, LAST = "t", "max_f"
"""The names that every expression knows: this frame, and the last one; over steps, the part of the run from 0 to 1, and 1."""
CONSTANTS = {"pi": math.pi}
MOST_LETTERS, MOST_PARTS, DEEPEST = 400, 200, 40
"""What an expression may be made of: letters, operators and numbers, and brackets in one another."""
LARGEST = 1e9
"""Largest result, with either sign."""
_TOO_LARGE = 1e300

_BINARY: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
    ast.BitAnd: np.logical_and,
    ast.BitOr: np.logical_or,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
    ast.USub: np.negative,
    ast.UAdd: np.positive,
}
"""Operators, as numpy takes them: a division by zero is infinite and no exception, as 0**0**(-sin(t)) needs it."""
_FUNCTIONS: dict[str, tuple[Callable[..., Any], int]] = {
    **{name: (getattr(np, name), 1) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "log", "log10", "sqrt", "abs")},
    **{name: (getattr(np, name), 1) for name in ("arcsin", "arccos", "arctan", "floor", "ceil", "round", "sign")},
    "arctan2": (np.arctan2, 2),
    "min": (lambda *values: np.min(values), 2),
    "max": (lambda *values: np.max(values), 2),
    "where": (np.where, 3),
}
"""Functions, and how many numbers each takes."""
_ANY_NUMBER = ("min", "max")
"""Functions that take more numbers, too."""


@dataclass(frozen=True)
class Expression:
    """A number for each frame.

    Attributes:
        text: as it was written.
        tree: its parts, all of them allowed.
        source, at: the text that it is in, and where, for errors.
    """

    text: str
    tree: ast.expr = field(compare=False, repr=False)
    source: str = field(compare=False, repr=False)
    at: int = field(compare=False, repr=False)

    @property
    def names(self) -> frozenset[str]:
        """The names it needs."""
        found = {plain_name(node.id) for node, _ in _parts(self.tree) if isinstance(node, ast.Name)}
        return frozenset(found - set(CONSTANTS))

    def value(self, names: Mapping[str, float]) -> float:
        """What it is where its names have these numbers.

        Raises:
            TimelineError: no finite number, or one that is too large.
        """
        with np.errstate(all="ignore"):
            found = float(_worked_out(self.tree, {**CONSTANTS, **names}))
        if not abs(found) <= LARGEST:
            where = f" where {FRAME} is {names[FRAME]:g}" if FRAME in self.names and FRAME in names else ""
            raise TimelineError(f"{self.text} needs a number of at most {LARGEST:g}; it is {found:g}{where}.", self.source, self.at)
        return found


def read_expression(text: str, names: Collection[str], source: str, at: int) -> Expression:
    """Read what begins in ``source`` at ``at``. Besides its own names it may hold those in ``names``; ``pw_a`` is ``a``.

    Raises:
        TimelineError: anything but arithmetic, an unknown name, or too much of it.
    """
    shift = at + len(text) - len(text.lstrip())
    plain = text.strip().replace("\n", " ").replace("\r", " ").replace("\t", " ")
    if not plain:
        raise TimelineError("needs an expression here, such as t / 10.", source, at)
    if len(plain) > MOST_LETTERS or not plain.isascii():
        needed = f"at most {MOST_LETTERS} letters" if plain.isascii() else "plain letters, digits and signs"
        raise TimelineError(f"an expression needs {needed}.", source, at)
    try:
        tree = ast.parse(plain, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        shown = plain if len(plain) <= SHOWN else f"{plain[: SHOWN - 3]}..."
        raise TimelineError(f"{shown!r} is no expression. Write for example 0.5 + 0.2 * sin(t / 5)", source, shift) from None
    parts = list(_parts(tree))
    if len(parts) > MOST_PARTS or max(depth for _, depth in parts) > DEEPEST:
        raise TimelineError(f"an expression needs at most {MOST_PARTS} parts and {DEEPEST} brackets in one another.", source, at)
    for node, _ in parts:
        if complaint := _complaint(node, names):
            raise TimelineError(complaint, source, shift + node.col_offset)
    return Expression(plain, tree, source, shift)


def _parts(tree: ast.expr) -> Iterator[tuple[ast.expr, int]]:
    """Everything in an expression but the names of functions, and how deep it lies."""
    waiting: list[tuple[ast.AST, int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        if isinstance(node, ast.expr):
            yield node, depth
        inside = node.args if isinstance(node, ast.Call) else ast.iter_child_nodes(node)
        waiting += [(child, depth + 1) for child in inside]


def plain_name(name: str) -> str:
    """``pw_a``, as FizzNodes calls it, is ``a``."""
    return name.removeprefix("pw_")


def _complaint(node: ast.expr, names: Collection[str]) -> str:
    """What is wrong with one part; empty if nothing is."""
    if isinstance(node, ast.Constant):
        number: Any = node.value
        if type(number) not in (int, float):
            return f"{number!r} is no number."
        return "" if abs(number) < _TOO_LARGE else f"a number in an expression is less than {_TOO_LARGE:g}."
    if isinstance(node, ast.Name):
        known = {FRAME, LAST, *CONSTANTS, *names}
        if plain_name(node.id) in known:
            return ""
        return f"{node.id!r} is not known here. Known are {', '.join(sorted(known))}; in prompts also what is connected to the sockets a to h."
    if isinstance(node, ast.Call):
        return _complaint_about_call(node)
    signs: list[ast.AST] = [*node.ops] if isinstance(node, ast.Compare) else [node.op] if isinstance(node, ast.BinOp | ast.UnaryOp) else []
    if signs and all(type(sign) in _BINARY for sign in signs):
        return ""
    if any(isinstance(sign, ast.BitXor) for sign in signs):
        return "^ is not read. Write ** for powers."
    return "needs arithmetic here: numbers, names, + - * / // % **, comparisons, & and |, brackets and functions."


def _complaint_about_call(node: ast.Call) -> str:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name not in _FUNCTIONS:
        return f"{ast.unparse(node.func)!r} is no function here. Functions are {', '.join(sorted(_FUNCTIONS))}."
    needed, more = _FUNCTIONS[name][1], name in _ANY_NUMBER
    if node.keywords or len(node.args) < needed or (len(node.args) > needed and not more):
        return f"{name} needs {needed} number{'s' * (needed > 1)}{' or more' * more}; got {len(node.args) + len(node.keywords)}."
    return ""


def _worked_out(node: ast.expr, names: Mapping[str, float]) -> Any:
    """The value of a part that was allowed, as numpy's double."""
    if isinstance(node, ast.Constant):
        number: Any = node.value
        return np.float64(number)
    if isinstance(node, ast.Name):
        return np.float64(names[plain_name(node.id)])
    if isinstance(node, ast.UnaryOp):
        return _BINARY[type(node.op)](_worked_out(node.operand, names))
    if isinstance(node, ast.BinOp):
        return np.float64(_BINARY[type(node.op)](_worked_out(node.left, names), _worked_out(node.right, names)))
    if isinstance(node, ast.Compare):
        sides = [_worked_out(side, names) for side in (node.left, *node.comparators)]
        return np.float64(all(_BINARY[type(op)](a, b) for op, a, b in zip(node.ops, sides[:-1], sides[1:], strict=True)))
    call: Any = node
    return np.float64(_FUNCTIONS[call.func.id][0](*(_worked_out(argument, names) for argument in call.args)))
