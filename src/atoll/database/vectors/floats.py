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
"""From here on a number is rounded to infinity."""


def pack(value: AttributeValue | None, dimensions: int) -> bytes | None:
    """The value as floats; None unless it is a vector of so many dimensions."""
    members = None if value is None else value.get("L")
    if members is None or len(members) != dimensions:
        return None
    try:
        return packed([float(member["N"]) for member in members])
    except (KeyError, ValueError, OverflowError):
        return None


def packed(numbers: Sequence[float]) -> bytes:
    """Little endian; -0 becomes 0. Raises OverflowError for a number that no 32-bit float can be near."""
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
    """The vector as an attribute: of each float the shortest decimal that is nearest to it, without an exponent."""
    return {"L": [{"N": _shortest(number)} for number in unpacked(vector)]}


def _shortest(number: float) -> str:
    texts = (f"{number:.{digits}g}" for digits in range(1, 10))
    return format(Decimal(next(text for text in texts if array("f", [float(text)])[0] == number)), "f")
