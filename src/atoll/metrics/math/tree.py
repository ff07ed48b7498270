"""The trees of metric math."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Number:
    value: float


@dataclass(frozen=True)
class Text:
    value: str


@dataclass(frozen=True)
class Id:
    """The id of another query."""

    name: str


@dataclass(frozen=True)
class Word:
    """An argument such as REPEAT or DESC."""

    name: str


@dataclass(frozen=True)
class Negation:
    operand: Node


@dataclass(frozen=True)
class Chain:
    """Operators of one precedence, applied from left to right. A list, because a tree would be as deep as the chain is
    long."""

    first: Node
    rest: tuple[tuple[str, Node], ...]


@dataclass(frozen=True)
class Array:
    items: tuple[Node, ...]


@dataclass(frozen=True)
class Call:
    function: str
    arguments: tuple[Node, ...]


Node = Number | Text | Id | Word | Negation | Chain | Array | Call


def parts(node: Node) -> Iterator[Node]:
    """The node and all nodes below it."""
    yield node
    below: tuple[Node, ...] = ()
    match node:
        case Negation(operand):
            below = (operand,)
        case Chain(first, rest):
            below = (first, *[operand for _, operand in rest])
        case Array(items):
            below = items
        case Call(_, arguments):
            below = arguments
    for one in below:
        yield from parts(one)


def ids(node: Node) -> set[str]:
    """The ids of the other queries that an expression names; METRICS refers to more."""
    return {part.name for part in parts(node) if isinstance(part, Id)}


def functions(node: Node) -> set[str]:
    return {part.function for part in parts(node) if isinstance(part, Call)}
