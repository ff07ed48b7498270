"""Sets: sort their members, and count different ones.

Functions in C hold the GIL, so these functions give them large sets in parts.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

PART = 10_000

TYPES = frozenset(["SS", "NS", "BS"])

_ORDERS: dict[str, Callable[[str], Any]] = {"SS": str, "NS": Decimal, "BS": a2b_base64}
"""Strings sort by code point, which is their order by UTF-8 bytes."""


def ordered(kind: str, members: list[str]) -> list[str]:
    """The members, sorted as sets are stored and shown: strings and binary values by their bytes, numbers by value."""
    order = _ORDERS[kind]
    if len(members) > PART:
        places: dict[str, Any] = {}
        for part in _parts(members):
            places.update(zip(part, map(order, part), strict=True))
        order = places.__getitem__
        members = [member for part in _parts(members) for member in sorted(part, key=order)]
    return sorted(members, key=order)


def distinct(members: list[str]) -> int:
    """The number of different members."""
    if len(members) <= PART:
        return len(set(members))
    found: set[str] = set()
    for part in _parts(members):
        found.update(part)
    return len(found)


def _parts(members: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(members), PART):
        yield members[start : start + PART]
