"""Vectors: lists of numbers as attributes, 32-bit floats in an index."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from decimal import Decimal

from atoll.model.values import AttributeValue

MOST = 3.4028234663852886e38
"""The greatest 32-bit float."""
_BOUND = MOST + 2.0**102
"""The least number that would be rounded to infinity."""


def pack(value: AttributeValue | None, dimensions: int) -> bytes | None:
    """The value as floats; None unless it is a vector with `dimensions` elements."""
    members = None if value is None else value.get("L")
    if members is None or len(members) != dimensions:
        return None
    try:
        return packed([float(member["N"]) for member in members])
    except (KeyError, ValueError, OverflowError):
        return None


def packed(numbers: Sequence[float]) -> bytes:
    """The numbers as 32-bit floats, little endian; -0 becomes 0. Raises OverflowError for a number out of range."""
    if numbers and not (max(numbers) < _BOUND and min(numbers) > -_BOUND):
        raise OverflowError
    floats = array("f", numbers)
    if 0.0 in floats:
        floats = array("f", [number + 0.0 for number in floats])
    if sys.byteorder == "big":
        floats.byteswap()
    return floats.tobytes()


def unpacked(vector: bytes) -> array[float]:
    floats = array("f")
    floats.frombytes(vector)
    if sys.byteorder == "big":
        floats.byteswap()
    return floats


def shown(vector: bytes) -> AttributeValue:
    """The vector as an attribute: for each float the shortest decimal that rounds to it, without an exponent."""
    return {"L": [{"N": _shortest(number)} for number in unpacked(vector)]}


def _shortest(number: float) -> str:
    texts = (f"{number:.{digits}g}" for digits in range(1, 10))
    return format(Decimal(next(text for text in texts if array("f", [float(text)])[0] == number)), "f")
