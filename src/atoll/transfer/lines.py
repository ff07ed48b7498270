"""An item as a line of text: DynamoDB JSON, or Ion as the service writes it.

The service's Ion prints decimals without trailing zeros: `103.`, `6d2`, `1.5`, `1d-130`. Libraries print other forms of
the same values, so this module has its own writer; imports read Ion with a library.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from typing import Any

import orjson

from atoll import limits
from atoll.model.values import Item

Record = Mapping[str, Any]
"""The members of a line: Item, or Metadata, Keys, OldImage and NewImage. Images are items."""

IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_ION_WORDS = frozenset({"null", "true", "false", "nan"})
_EXACT = Context(prec=limits.NUMBER_DIGITS)
_SETS = ("SS", "NS", "BS")


def item_line(json: bytes) -> bytes:
    """A line of DynamoDB JSON, from an item as it is stored."""
    return b'{"Item":' + json + b"}\n"


def json_line(record: Record) -> bytes:
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def ion_line(record: Record) -> bytes:
    members = ",".join(f"{_name(name)}:{_struct(value)}" for name, value in record.items())
    return f"$ion_1_0 {{{members}}}\n".encode()


def _struct(item: Item) -> str:
    return "{" + ",".join(f"{_name(name)}:{_value(value)}" for name, value in item.items()) + "}"


def _name(name: str) -> str:
    if IDENTIFIER.fullmatch(name) is not None and name not in _ION_WORDS and not re.fullmatch(r"\$\d+", name):
        return name
    return "'" + _escaped(name).replace("'", "\\'") + "'"


def _escaped(text: str) -> str:
    """The text as JSON escapes it, without the quotes."""
    return orjson.dumps(text)[1:-1].decode()


def _string(text: str) -> str:
    return orjson.dumps(text).decode()


def decimal(text: str) -> str:
    """A DynamoDB number as an Ion decimal."""
    sign, digits, exponent = _EXACT.normalize(Decimal(text)).as_tuple()
    assert isinstance(exponent, int)
    minus, coefficient = "-" if sign else "", "".join(map(str, digits))
    if exponent == 0:
        return f"{minus}{coefficient}."
    if exponent > 0:
        return f"{minus}{coefficient}d{exponent}"
    if len(digits) - 1 + exponent < -6:
        return f"{minus}{coefficient}d{exponent}"
    whole, fraction = coefficient[:exponent] or "0", coefficient[exponent:].rjust(-exponent, "0")
    return f"{minus}{whole}.{fraction}"


def _blob(base64: str) -> str:
    return "{{" + base64 + "}}"


_SCALARS: dict[str, Callable[[Any], str]] = {
    "S": _string,
    "N": decimal,
    "B": _blob,
    "BOOL": lambda value: "true" if value else "false",
    "NULL": lambda value: "null",
}


def _value(value: Any) -> str:
    ((kind, content),) = value.items()
    if kind in _SCALARS:
        return _SCALARS[kind](content)
    if kind == "M":
        return _struct(content)
    if kind == "L":
        return "[" + ",".join(map(_value, content)) + "]"
    assert kind in _SETS
    return f"$dynamodb_{kind}::[" + ",".join(map(_SCALARS[kind[0]], content)) + "]"
