"""Follows what every name of a file stands for, to see what is written to that is not the writer's own.

A small interpreter of assignments: it goes through the statements in order and knows of each name whether it stands for
something imported, for a class, for something at module level, or (then it is not noted) for an object of one's own.
Branches are joined: a name that is foreign in one of them is foreign afterwards.
"""

from __future__ import annotations

import ast
from enum import Enum
from functools import cache
from typing import NamedTuple

from .source import Function, Source, dotted


class Kind(Enum):
    """What a name stands for, if it is not an object of the writer's own."""

    MODULE = "a module"
    IMPORTED = "something imported"
    TYPE = "a class, which all its objects share"
    DICT = "the inside of an object or module"
    DEFINITION = "a class or function of this file"
    STATE = "something at module level"
    CONTAINER = "a container at module level"


OWN_FILE = {Kind.STATE, Kind.CONTAINER}
"""What may be filled while the file is imported, and never after."""
Env = dict[str, Kind]
"""What names, and chains such as ``comfy.samplers`` and ``self.table``, stand for."""


class Write(NamedTuple):
    """A finding: where, what is written, and to what."""

    line: int
    text: str
    kind: Kind | None
    """None for ways of writing that are wrong whatever they write to."""


class Owner(NamedTuple):
    """A class, and what names mean in its methods: what they mean around it."""

    node: ast.ClassDef
    env: Env


MUTATORS = {
    "__delitem__", "__setitem__", "add", "append", "appendleft", "clear", "difference_update", "discard", "extend", "extendleft",
    "insert", "intersection_update", "move_to_end", "pop", "popitem", "popleft", "remove", "reverse", "rotate", "setdefault", "sort",
    "subtract", "update",
}  # fmt: skip
CONTAINERS = {
    "ChainMap", "Counter", "OrderedDict", "WeakKeyDictionary", "WeakSet", "WeakValueDictionary", "bytearray", "defaultdict", "deque",
    "dict", "list", "set",
}  # fmt: skip
SETTERS = {"delattr", "setattr"}
DUNDER_SETTERS = {"__delattr__", "__setattr__"}
PASSED_ON = {"get", "items", "pop", "setdefault", "values"}
"""Methods of a container that return what it holds."""
REPLACED = {"__bases__", "__class__", "__code__", "__defaults__", "__dict__", "forward"}
"""Attributes that are never assigned to, whoever owns the object."""


def is_container(value: ast.AST | None) -> bool:
    """Whether an expression makes a container that can be changed."""
    if isinstance(value, ast.Call):
        return dotted(value.func).split(".")[-1] in CONTAINERS
    return isinstance(value, ast.Dict | ast.List | ast.Set | ast.DictComp | ast.ListComp | ast.SetComp)


def _inner(kind: Kind | None) -> Kind | None:
    """What an attribute or item of such a thing is."""
    return {Kind.MODULE: Kind.IMPORTED, Kind.CONTAINER: Kind.STATE}.get(kind, kind) if kind else None


class Writes:
    """All findings of one file, in ``found``."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.found: dict[Write, None] = {}
        self._importing = True
        self._frozen_self = ""
        self._later: dict[Function, tuple[Env, Owner | None]] = {}
        self._module: Env = {}
        self._block(source.tree.body, self._module)
        self._importing = False
        done: set[Function] = set()
        while waiting := self._later.keys() - done:
            done |= waiting
            for node in waiting:
                self._function(node, *self._later[node])

    # --- statements --------------------------------------------------------------------------------------------------

    def _block(self, body: list[ast.stmt], env: Env, owner: Owner | None = None) -> None:
        for statement in body:
            self._statement(statement, env, owner)

    def _statement(self, node: ast.stmt, env: Env, owner: Owner | None) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr | ast.withitem | ast.arguments):
                self._scan(child, env)
        if isinstance(node, Function):
            self._later.setdefault(node, (owner.env if owner else env, owner))
            self._name(node.name, Kind.DEFINITION if self._importing else None, env)
        elif isinstance(node, ast.ClassDef):
            self._block(node.body, dict(env), Owner(node, env))
            self._name(node.name, Kind.DEFINITION if self._importing else None, env)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            self._import(node, env)
        elif isinstance(node, ast.Global):
            self._note(node, ast.unparse(node), Kind.STATE)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Delete):
            self._assignment(node, env)
        else:
            self._compound(node, env)

    def _import(self, node: ast.Import | ast.ImportFrom, env: Env) -> None:
        for alias in node.names:
            local = alias.asname or alias.name
            whole = isinstance(node, ast.Import) or node.module is None  # `from . import room` imports a module too
            self._name(local, Kind.MODULE if whole else Kind.IMPORTED, env)
            if "." in local:
                env[local.split(".")[0]] = Kind.MODULE

    def _assignment(self, node: ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Delete, env: Env) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._bind(target, node.value, env)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self._bind(node.target, node.value, env)
        elif isinstance(node, ast.Delete):
            for target in node.targets:
                self._set(target, None, env)
        elif isinstance(node, ast.AugAssign):
            if not isinstance(node.target, ast.Name):
                self._store(node.target, env)
            elif env.get(node.target.id) is Kind.CONTAINER and not self._importing:
                self._note(node, ast.unparse(node.target), Kind.CONTAINER)

    def _compound(self, node: ast.stmt, env: Env) -> None:
        if isinstance(node, ast.With | ast.AsyncWith):
            for item in node.items:
                if item.optional_vars is not None:
                    self._bind(item.optional_vars, item.context_expr, env)
            self._block(node.body, env)
            return
        arms = [node, *getattr(node, "handlers", []), *getattr(node, "cases", [])]
        blocks = [getattr(arm, name, []) for arm in arms for name in ("body", "orelse", "finalbody")]
        looping = isinstance(node, ast.For | ast.AsyncFor | ast.While)
        for block in blocks * (2 if looping else 1):  # a turn of a loop begins with what the last one left
            branch = dict(env)
            if isinstance(node, ast.For | ast.AsyncFor):
                self._each(node.target, node.iter, branch)
            self._block(block, branch)
            env.update({name: kind for name, kind in branch.items() if name not in env})

    def _function(self, node: Function, outer: Env, owner: Owner | None) -> None:
        outer = self._module | outer
        env, arguments = dict(outer), node.args
        named = [*arguments.posonlyargs, *arguments.args]
        defaults = dict(zip(reversed([arg.arg for arg in named]), reversed(arguments.defaults), strict=False))
        defaults |= {arg.arg: value for arg, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if value}
        for arg in (*named, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
            if arg is not None:
                self._name(arg.arg, self._kind(defaults.get(arg.arg), outer), env)
        self._frozen_self = ""
        if owner is not None and named:
            self._method(node, named[0].arg, owner.node, env)
        self._block(node.body, env)

    def _method(self, node: Function, first: str, owner: ast.ClassDef, env: Env) -> None:
        """What the first argument of a method shares with the other objects of its class."""
        decorators = {dotted(decorator) for decorator in node.decorator_list}
        if "classmethod" in decorators or node.name in {"__init_subclass__", "__new__"}:
            env[first] = Kind.DEFINITION
        elif "staticmethod" not in decorators:
            self._frozen_self = first if _frozen(owner) else ""
            env |= {f"{first}.{name}": Kind.CONTAINER for name in _shared(owner)}

    # --- what a name is bound to -------------------------------------------------------------------------------------

    def _name(self, name: str, kind: Kind | None, env: Env) -> None:
        for known in [known for known in env if known == name or known.startswith(f"{name}.")]:
            del env[known]
        if kind is not None:
            env[name] = kind

    def _bind(self, target: ast.expr, value: ast.expr, env: Env) -> None:
        """``target = value``."""
        parts, values = getattr(target, "elts", None), getattr(value, "elts", None)
        if parts and values and len(parts) == len(values) and not any(isinstance(x, ast.Starred) for x in (*parts, *values)):
            for part, single in zip(parts, values, strict=True):
                self._bind(part, single, env)
            return
        kind = self._element(value, env) if parts else self._kind(value, env)
        if kind is None and self._importing:
            kind = Kind.CONTAINER if is_container(value) else Kind.STATE
        self._set(target, kind, env)

    def _set(self, target: ast.expr, kind: Kind | None, env: Env) -> None:
        if isinstance(target, ast.Name):
            self._name(target.id, kind, env)
        elif isinstance(target, ast.Starred):
            self._set(target.value, kind, env)
        elif isinstance(target, ast.Tuple | ast.List):
            for part in target.elts:
                self._set(part, kind, env)
        elif isinstance(target, ast.Attribute | ast.Subscript):
            self._store(target, env)

    def _each(self, target: ast.expr, iterated: ast.expr, env: Env) -> None:
        """``for target in iterated``."""
        parts = getattr(target, "elts", [])
        called = dotted(iterated.func) if isinstance(iterated, ast.Call) else ""
        if called == "enumerate" and len(parts) == 2:
            self._set(parts[0], None, env)
            self._each(parts[1], iterated.args[0], env)
        elif called == "zip" and len(parts) == len(iterated.args):
            for part, single in zip(parts, iterated.args, strict=True):
                self._each(part, single, env)
        else:
            self._set(target, self._element(iterated, env), env)

    def _element(self, value: ast.expr, env: Env) -> Kind | None:
        """What an iterable yields."""
        if isinstance(value, ast.Call) and dotted(value.func) in {"iter", "list", "reversed", "sorted", "tuple"} and value.args:
            return self._element(value.args[0], env)
        if isinstance(value, ast.Tuple | ast.List | ast.Set):
            return next((kind for part in value.elts if (kind := self._kind(part, env))), None)
        return _inner(self._kind(value, env))

    def _kind(self, value: ast.expr | None, env: Env) -> Kind | None:
        """What an expression stands for; None for an object of one's own."""
        if dotted(value) in env:
            return env[dotted(value)]
        if isinstance(value, ast.Attribute):
            inside = {"__class__": Kind.TYPE, "__dict__": Kind.DICT, "__globals__": Kind.DICT}
            return inside.get(value.attr) or _inner(self._kind(value.value, env))
        if isinstance(value, ast.Subscript):
            if isinstance(value.slice, ast.Slice):
                return None  # a copy
            return _inner(self._kind(value.value, env))
        if isinstance(value, ast.NamedExpr | ast.Starred):
            return self._kind(value.value, env)
        if isinstance(value, ast.IfExp | ast.BoolOp):
            choices = [value.body, value.orelse] if isinstance(value, ast.IfExp) else value.values
            return next((kind for choice in choices if (kind := self._kind(choice, env))), None)
        return self._kind_of_call(value, env) if isinstance(value, ast.Call) else None

    def _kind_of_call(self, call: ast.Call, env: Env) -> Kind | None:
        name = self.source.origin(call.func)
        if name == "type" and len(call.args) == 1:
            return Kind.TYPE
        if name in {"vars", "globals"}:
            return Kind.DICT
        if name in {"__import__", "importlib.import_module"}:
            return Kind.MODULE
        if name == "getattr" and call.args:
            return _inner(self._kind(call.args[0], env))
        if isinstance(call.func, ast.Attribute) and call.func.attr in PASSED_ON:
            owner = self._kind(call.func.value, env)
            return _inner(owner) if owner in OWN_FILE else None
        return None

    # --- findings ----------------------------------------------------------------------------------------------------

    def _note(self, node: ast.AST, text: str, kind: Kind | None) -> None:
        self.found[Write(getattr(node, "lineno", 1), text, kind)] = None

    def _store(self, target: ast.Attribute | ast.Subscript, env: Env) -> None:
        kind = self._kind(target.value, env)
        replaced = isinstance(target, ast.Attribute) and target.attr in REPLACED
        if replaced or (kind is not None and not (self._importing and kind in OWN_FILE)):
            self._note(target, ast.unparse(target), kind)

    def _scan(self, expression: ast.AST, env: Env) -> None:
        """Look for writing calls in an expression, and note what it binds."""
        parts, inner = list(ast.walk(expression)), dict(env)
        for node in parts:
            if isinstance(node, ast.NamedExpr):
                self._bind(node.target, node.value, env)
                self._bind(node.target, node.value, inner)
            elif isinstance(node, ast.comprehension):
                self._each(node.target, node.iter, inner)
            elif isinstance(node, ast.Lambda):
                for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
                    self._name(arg.arg, None, inner)
        of_self = {id(node.func) for node in parts if isinstance(node, ast.Call) and self._sets_frozen_self(node)}
        for node in parts:
            if isinstance(node, ast.Name) and node.id in SETTERS and node.id not in inner:
                self._note(node, node.id, None)
            elif isinstance(node, ast.Attribute) and node.attr in DUNDER_SETTERS and id(node) not in of_self:
                self._note(node, ast.unparse(node), None)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
                self._mutation(node.func, inner)

    def _sets_frozen_self(self, call: ast.Call) -> bool:
        """``object.__setattr__(self, ...)`` in a frozen dataclass, which has no other way to set up what it keeps."""
        own = bool(call.args) and dotted(call.args[0]) == self._frozen_self != ""
        return own and dotted(call.func) == "object.__setattr__"

    def _mutation(self, method: ast.Attribute, env: Env) -> None:
        """``x.append(...)`` and the like."""
        kind, name = self._kind(method.value, env), dotted(method.value)
        if kind is None or kind is Kind.MODULE or (self._importing and kind in OWN_FILE):
            return
        if isinstance(method.value, ast.Name | ast.Call) and kind in {Kind.DEFINITION, Kind.TYPE}:
            return  # a class method that happens to be called so
        origin = self.source.origins.get(name, "")
        if origin and not origin.split(".")[-1].isupper() and not origin.startswith(("os.", "sys.")):
            return  # a function of a class or module that was imported
        self._note(method, ast.unparse(method), kind)


@cache
def writes_of(source: Source) -> tuple[Write, ...]:
    """What a file writes to that is not the writer's own."""
    return tuple(sorted(Writes(source).found, key=lambda write: (write.line, write.text)))


def _frozen(owner: ast.ClassDef) -> bool:
    """Whether a class is a frozen dataclass."""
    return any(
        isinstance(decorator, ast.Call) and any(k.arg == "frozen" and getattr(k.value, "value", 0) is True for k in decorator.keywords)
        for decorator in owner.decorator_list
    )


def _shared(owner: ast.ClassDef) -> set[str]:
    """The containers of a class body that its objects share, because no method gives them one of their own."""
    bound = [node for node in owner.body if isinstance(node, ast.Assign | ast.AnnAssign) and is_container(node.value)]
    targets = [target for node in bound for target in (node.targets if isinstance(node, ast.Assign) else [node.target])]
    own = {node.attr for node in ast.walk(owner) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    return {target.id for target in targets if isinstance(target, ast.Name)} - own
