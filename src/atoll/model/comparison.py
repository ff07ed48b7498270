"""Compare attribute values as DynamoDB does: sets are unordered, numbers compare by value, texts and bytes bytewise."""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any

from atoll.model.values import AttributeValue, Item


def equal(a: AttributeValue, b: AttributeValue) -> bool:
    """Whether two values are equal to DynamoDB; sets are unordered."""
    if a == b:
        return True
    [(kind, left)], [(other, right)] = a.items(), b.items()
    if kind != other:
        return False
    if kind in ("SS", "NS", "BS"):
        return len(left) == len(right) and set(left) == set(right)
    if kind == "M":
        return items_equal(left, right)
    return kind == "L" and len(left) == len(right) and all(map(equal, left, right))


def items_equal(a: Item, b: Item) -> bool:
    return a == b or (a.keys() == b.keys() and all(equal(value, b[name]) for name, value in a.items()))


def compare(a: AttributeValue, b: AttributeValue) -> int | None:
    """Negative, zero or positive as a is less than, equal to or greater than b; None if they are not comparable. Only
    two strings (by UTF-8 bytes), two numbers or two binaries (by bytes) are comparable."""
    [(kind, left)], [(other, right)] = a.items(), b.items()
    if kind != other or kind not in SORT_KEYS:
        return None
    key = SORT_KEYS[kind]
    x, y = key(left), key(right)
    return 1 if x > y else -1 if x < y else 0


# The sort keys of comparable types. Python orders strings by code points, which is the order of their UTF-8 bytes.
SORT_KEYS: dict[str, Callable[[str], Any]] = {"S": str, "N": lru_cache(4096)(Decimal), "B": a2b_base64}
