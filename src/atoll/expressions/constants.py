"""Tests of an item's value against constants of a request.

A constant may have megabytes, and a page has many items. So each function here reads its constants once: it parses
numbers, decodes binaries and hashes members. The time of the returned test depends only on the item's value.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Callable
from functools import cache
from operator import ge, gt, le, lt
from typing import Any

from atoll.model.comparison import SORT_KEYS, equal
from atoll.model.values import AttributeValue

Test = Callable[[AttributeValue], bool]

_SETS = frozenset(["SS", "NS", "BS"])
_DOCUMENTS = _SETS | {"L", "M"}
# Sets and the types of their members.
_MEMBERS = {"SS": "S", "NS": "N", "BS": "B"}


def never(value: AttributeValue) -> bool:
    return False


def _typed(constant: AttributeValue) -> tuple[str, Any]:
    [(kind, content)] = constant.items()
    return kind, content


def equal_to(constant: AttributeValue) -> Test:
    kind, _ = _typed(constant)
    if kind not in _DOCUMENTS:
        return lambda value: value == constant
    return lambda value: equal(value, constant)


def one_of(*constants: AttributeValue) -> Test:
    """A test whether a value equals one of the constants."""
    flat: dict[str, set[Any]] = {}
    documents: set[Any] = set()
    for constant in constants:
        for kind, content in constant.items():
            if kind in _DOCUMENTS:
                documents.add(_identity(constant))
            elif kind in flat:
                flat[kind].add(content)
            else:
                flat[kind] = {content}

    def test(value: AttributeValue) -> bool:
        kind, content = _typed(value)
        if kind not in _DOCUMENTS:
            return kind in flat and content in flat[kind]
        return bool(documents) and _identity(value) in documents

    return test


def _identity(value: AttributeValue) -> Any:
    """A hashable form of a value, equal for equal values."""
    kind, content = _typed(value)
    if kind == "L":
        return "L", tuple(map(_identity, content))
    if kind == "M":
        return "M", frozenset((name, _identity(member)) for name, member in content.items())
    return kind, frozenset(content) if kind in _SETS else content


def _among(value: AttributeValue, others: list[AttributeValue]) -> bool:
    # `in` compares faster, and differs only for sets in another order.
    return value in others or (_has_sets(value) and any(equal(value, other) for other in others))


def _has_sets(value: AttributeValue) -> bool:
    kind, content = _typed(value)
    if kind == "L":
        return any(map(_has_sets, content))
    return kind in _SETS or (kind == "M" and any(map(_has_sets, content.values())))


_ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}


@cache
def ordered(operator: str) -> Callable[[AttributeValue], Test]:
    """`operator` is <, <=, > or >=, with the item's value on its left."""
    holds = _ORDERINGS[operator]

    def than(constant: AttributeValue) -> Test:
        kind, content = _typed(constant)
        key = SORT_KEYS.get(kind)
        if key is None:
            return never
        bound = key(content)
        return lambda value: kind in value and holds(key(value[kind]), bound)

    return than


def between(low: AttributeValue, high: AttributeValue) -> Test:
    (kind, first), (other, last) = _typed(low), _typed(high)
    key = SORT_KEYS.get(kind)
    if key is None or kind != other:
        return never
    least, greatest = key(first), key(last)
    return lambda value: kind in value and least <= key(value[kind]) <= greatest


def beginning_with(prefix: AttributeValue) -> Test:
    """A test whether a value begins with the constant."""
    kind, content = _typed(prefix)
    if kind == "S":
        return lambda value: "S" in value and value["S"].startswith(content)
    if kind == "B":
        start = a2b_base64(content)
        return lambda value: "B" in value and a2b_base64(value["B"]).startswith(start)
    return never


def prefix_of(whole: AttributeValue) -> Test:
    """A test whether the constant begins with a value."""
    kind, content = _typed(whole)
    if kind == "S":
        return lambda value: "S" in value and content.startswith(value["S"])
    if kind == "B":
        data = a2b_base64(content)
        return lambda value: "B" in value and data.startswith(a2b_base64(value["B"]))
    return never


def containing(part: AttributeValue) -> Test:
    """A test whether a string, binary value, set or list contains the constant."""
    kind, content = _typed(part)
    data = a2b_base64(content) if kind == "B" else b""

    def test(value: AttributeValue) -> bool:
        type_, whole = _typed(value)
        if type_ == "L":
            return part in whole if kind not in _DOCUMENTS else _among(part, whole)
        if type_ == kind == "B":
            return data in a2b_base64(whole)
        return (type_ == kind == "S" or _MEMBERS.get(type_) == kind) and content in whole

    return test


def part_of(whole: AttributeValue) -> Test:
    """A test whether the constant contains a value, as a part of a string or binary value, or as a member."""
    kind, content = _typed(whole)
    if kind == "L":
        return one_of(*content)
    if kind == "S":
        return lambda value: "S" in value and value["S"] in content
    if kind == "B":
        data = a2b_base64(content)
        return lambda value: "B" in value and a2b_base64(value["B"]) in data
    if kind not in _SETS:
        return never
    members, type_ = frozenset(content), _MEMBERS[kind]
    return lambda value: type_ in value and value[type_] in members
