"""The tree of an expression, built by the expression parser, the legacy parameters and PartiQL.

    condition   Compare("=", operand, operand)      =  <>  <  <=  >  >=
                Between(operand, low, high)         In(operand, (operand, ...))
                And((condition, ...))  Or((condition, ...))  Not(condition)
                Function(name, (operand, ...))      attribute_exists  attribute_not_exists  attribute_type
                                                    begins_with  contains
    operand     PathOperand(path)                   path = ("a", 0, "b") for a[0].b
                ValueOperand(name)                  a key of the values that the condition runs with (":v")
                Function("size", (operand,))
    update      (action, ...)                       Set(path, value)   Remove(path)
                                                    Add(path, operand) Delete(path, operand)
    value       an operand                          Arithmetic("+" or "-", operand, operand)
                Function(name, (operand, ...))      if_not_exists  list_append
    projection  (PathOperand, ...)

A parsed path may hold placeholders ("#n"); `resolve` replaces them with names. The compilers (condition.py, update.py,
projection.py) take resolved trees. Legacy parameters and PartiQL build trees that are already resolved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import Any, TypeVar, cast

from atoll.model.paths import Path

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PathOperand:
    path: Path


@dataclass(frozen=True, slots=True)
class ValueOperand:
    name: str


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    args: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    op: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Between:
    operand: Operand
    low: Operand
    high: Operand


@dataclass(frozen=True, slots=True)
class In:
    operand: Operand
    choices: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class And:
    terms: tuple[ConditionNode, ...]


@dataclass(frozen=True, slots=True)
class Or:
    terms: tuple[ConditionNode, ...]


@dataclass(frozen=True, slots=True)
class Not:
    term: ConditionNode


@dataclass(frozen=True, slots=True)
class Arithmetic:
    op: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Set:
    path: PathOperand
    value: Operand | Arithmetic


@dataclass(frozen=True, slots=True)
class Remove:
    path: PathOperand


@dataclass(frozen=True, slots=True)
class Add:
    path: PathOperand
    value: ValueOperand


@dataclass(frozen=True, slots=True)
class Delete:
    path: PathOperand
    value: ValueOperand


Operand = PathOperand | ValueOperand | Function
ConditionNode = Compare | Between | In | And | Or | Not | Function
Action = Set | Remove | Add | Delete
NODES = (PathOperand, ValueOperand, Function, Compare, Between, In, And, Or, Not, Arithmetic, Set, Remove, Add, Delete)


def walk(tree: Any) -> Iterator[Any]:
    """All nodes in text order, parents first. Not recursive, since trees may be several hundred levels deep."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, tuple):
            stack.extend(reversed(node))
        elif isinstance(node, NODES):
            yield node
            if not isinstance(node, PathOperand):
                stack.extend(getattr(node, field) for field in reversed(node.__slots__))


def resolve(node: T, names: Mapping[str, str]) -> T:
    """The tree with its placeholders replaced by names."""
    return cast(T, _resolve(node, names))


def _resolve(node: Any, names: Mapping[str, str]) -> Any:
    """Resolve a subtree. `map` takes no frame of Python's call stack, so trees of several hundred levels are no
    problem."""
    if isinstance(node, PathOperand):
        return PathOperand(tuple([names.get(part, part) if isinstance(part, str) else part for part in node.path]))
    if isinstance(node, tuple):
        return tuple(map(_resolve, node, repeat(names)))
    if isinstance(node, NODES):
        fields = map(getattr, repeat(node), node.__slots__)
        return type(node)(*map(_resolve, fields, repeat(names)))
    return node
