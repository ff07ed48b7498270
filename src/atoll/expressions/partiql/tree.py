"""Parsed PartiQL statements, as the parser builds them, before translation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an expression.

    name(text)  literal(text or number, kind "string" or "number")  true  false  null  missing  parameter(index)
    path(steps; the first argument is its start)  call(function)  list  bag  seq  struct(keys)
    operator(symbol), with its operands as arguments; NOT IN is one too     is(type), with its operand as argument
    """

    kind: str
    at: str
    value: Any = None
    args: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Select:
    columns: tuple[Node, ...] | None
    source: Node
    where: Node | None
    order: tuple[tuple[Node, bool], ...]
    """Each key, and whether it is descending."""


@dataclass(frozen=True, slots=True)
class Insert:
    source: Node
    item: Node


@dataclass(frozen=True, slots=True)
class Update:
    source: Node
    actions: tuple[tuple[Node, Node | None], ...]
    """Paths and their new values; None removes the path."""
    where: Node | None
    returning: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Delete:
    source: Node
    where: Node | None
    returning: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Exists:
    select: Select


Statement = Select | Insert | Update | Delete | Exists


_JAVA_NAMES = {
    "string": "Literal",
    "number": "Literal",
    "true": "Literal",
    "false": "Literal",
    "null": "Literal",
    "ion": "Literal",
    "missing": "LiteralMissing",
    "name": "VariableReference",
    "parameter": "Parameter",
    "path": "Path",
    "struct": "Struct",
    "list": "Seq",
    "bag": "Seq",
    "seq": "Seq",
    "is": "IsType",
}


def java_name(node: Node) -> str:
    """DynamoDB's name (a Java class) for a kind of expression."""
    return _JAVA_NAMES.get(node.kind, "NAry")
