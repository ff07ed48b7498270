"""Conditions of vector searches: equalities of attributes with values, joined by AND."""

from __future__ import annotations

from collections.abc import Iterator

from atoll.errors import expressions as errors
from atoll.expressions import tree

Conditions = tuple[tuple[str, str], ...]
"""The attributes, each with the name of its value."""


def conditions(resolved: tree.ConditionNode) -> Conditions:
    return tuple(_equalities(resolved))


def _equalities(node: tree.ConditionNode) -> Iterator[tuple[str, str]]:
    match node:
        case tree.And(terms):
            for term in terms:
                yield from _equalities(term)
        case tree.Compare("=", tree.PathOperand(path), tree.ValueOperand(name)):
            yield ".".join(map(str, path)), name
        case tree.Compare("=", tree.ValueOperand(name), tree.PathOperand(path)):
            yield ".".join(map(str, path)), name
        case _:
            raise errors.search_comparator()
