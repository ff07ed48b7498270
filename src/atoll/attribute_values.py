"""Convert plain Python values, such as parsed JSON, to attribute values. Clients and the server use this module."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

Value = dict[str, Any]


class Unfit(Exception):
    """No attribute value can have this type, whose name is the text."""


def attribute_value(value: Any, special: Callable[[Any], Value | None] = lambda value: None) -> Value:
    """`special` makes values of other types, and is asked first: None leaves the value to this function. Raises
    `Unfit`."""
    if value is None:
        return {"NULL": True}
    found = special(value)
    if found is not None:
        return found
    if isinstance(value, str):
        return {"S": str(value)}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, (int, float, Decimal)):
        return {"N": str(value)}
    if isinstance(value, bytes):
        return {"B": b64encode(value).decode()}
    if isinstance(value, list):
        return {"L": [attribute_value(one, special) for one in value]}
    if isinstance(value, Mapping):
        return {"M": {str(name): attribute_value(one, special) for name, one in value.items()}}
    raise Unfit(type(value).__name__)
