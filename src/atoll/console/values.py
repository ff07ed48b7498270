"""Show values as text and read them from text. Items are as botocore gives them: {"S": "a"}, {"B": b"..."}. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

Value = dict[str, Any]
Item = dict[str, Value]

CELL = 120
"""The most characters of a value in a table."""

TYPES = {
    "S": "String", "N": "Number", "B": "Binary", "BOOL": "Boolean", "NULL": "Null", "M": "Map", "L": "List",
    "SS": "String set", "NS": "Number set", "BS": "Binary set",
}  # fmt: skip
KEY_TYPES = {name: TYPES[name] for name in ("S", "N", "B")}
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)


class BadValue(ValueError):
    """The text is not a value. The message says why."""


def kind(value: Value) -> str:
    return next(iter(value), "")


def shown(value: Value, length: int = CELL) -> str:
    """A value in one line, cut at a length."""
    found = _plain(value, length)
    return found if len(found) <= length else found[: length - 1] + "…"


def _plain(value: Value, length: int) -> str:
    (type_, content), *_ = value.items()
    if type_ in ("S", "N"):
        return str(content)
    if type_ == "B":
        return base64.b64encode(content[:length]).decode()
    if type_ == "BOOL":
        return "true" if content else "false"
    if type_ == "NULL":
        return "null"
    opening, closing = "{}" if type_ in ("M", "SS", "NS", "BS") else "[]"
    parts: list[str] = []
    room = length
    entries = content.items() if type_ == "M" else ((None, one) for one in content)
    for name, one in entries:
        inner = _plain(one if type_ in ("M", "L") else {type_[0]: one}, room)
        parts.append(inner if name is None else f"{name}: {inner}")
        room -= len(parts[-1])
        if room < 0:
            break
    return f"{opening}{', '.join(parts)}{closing}"


def as_json(value: Any, *, indent: int | None = 2) -> str:
    """The value as DynamoDB JSON; binary values in base64."""
    return json.dumps(_encoded(value), ensure_ascii=False, indent=indent)


def _encoded(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: _encoded(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [_encoded(one) for one in value]
    return value


def from_json(text: str) -> Item:
    """An item in DynamoDB JSON."""
    try:
        found = json.loads(text, object_pairs_hook=_once)
    except RecursionError as error:
        raise BadValue("the JSON is nested too deeply") from error
    except ValueError as error:
        raise BadValue(str(error) if isinstance(error, BadValue) else f"invalid JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadValue('an item must be an object such as {"id": {"S": "1"}}')
    return {name: checked(one, name) for name, one in found.items()}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise BadValue(f"the name {next(name for name in names if names.count(name) > 1)} occurs twice")
    return found


def checked(value: Any, where: str) -> Value:
    """A value of parsed DynamoDB JSON, with binary values decoded."""
    if not isinstance(value, dict) or len(value) != 1 or kind(value) not in TYPES:
        raise BadValue(f'{where}: a value must be an object with one type, such as {{"S": "text"}} or {{"N": "1"}}')
    (type_, content), *_ = value.items()
    if type_ == "M" and isinstance(content, dict):
        return {"M": {name: checked(one, f"{where}.{name}") for name, one in content.items()}}
    if type_ == "L" and isinstance(content, list):
        return {"L": [checked(one, f"{where}[{place}]") for place, one in enumerate(content)]}
    if type_ in ("SS", "NS", "BS") and isinstance(content, list):
        return {type_: [checked({type_[0]: one}, where)[type_[0]] for one in content]}
    if type_ in ("BOOL", "NULL") and isinstance(content, bool):
        return value
    if type_ in ("S", "N", "B") and isinstance(content, str):
        return {type_: read(type_, content, where)[type_]}
    raise BadValue(f"{where}: this is not a {TYPES[type_].lower()}")


def read(type_: str, text: str, where: str = "") -> Value:
    """Read a value from a user's text. Maps and lists are DynamoDB JSON, sets are JSON arrays or lines."""
    place = f"{where}: " if where else ""
    if type_ == "S":
        return {"S": text}
    if type_ == "N":
        if _NUMBER.fullmatch(text.strip()) is None:
            raise BadValue(f"{place}{text.strip()!r} is not a number")
        return {"N": text.strip()}
    if type_ == "B":
        try:
            return {"B": base64.b64decode(text.strip(), validate=True)}
        except (binascii.Error, ValueError) as error:
            raise BadValue(f"{place}a binary must be base64") from error
    if type_ == "BOOL":
        if text.strip() not in ("true", "false"):
            raise BadValue(f"{place}a boolean must be true or false")
        return {"BOOL": text.strip() == "true"}
    if type_ == "NULL":
        return {"NULL": True}
    try:
        content = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        if type_ in ("SS", "NS", "BS"):
            content = [line for line in text.splitlines() if line.strip()]
        else:
            raise BadValue(f"{place}{error}") from error
    return checked({type_: content}, where or "value")


def vector_of(text: str) -> list[Value]:
    """A vector from a JSON list of numbers, which keep their digits, or of numbers in DynamoDB JSON."""
    try:
        found = json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
        if isinstance(found, dict):
            found = found["L"]
        if not isinstance(found, list):
            raise BadValue
        return [read("N", one["N"] if isinstance(one, dict) else one) for one in found]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadValue("a vector must be a list of numbers such as [0.1, -0.2]") from error


def typed(value: Value) -> str:
    """The text that `read` turns into the value."""
    (type_, content), *_ = value.items()
    if type_ in ("S", "N"):
        return str(content)
    if type_ in ("B", "BOOL", "NULL"):
        return _plain(value, len(content) if type_ == "B" else CELL)
    return as_json(content)


def key_of(item: Item, names: Iterable[str]) -> Item:
    return {name: item[name] for name in names}


def columns(items: Sequence[Item], first: Sequence[str], most: int) -> list[str]:
    """The names to show as columns: the keys, then the most frequent attributes in the order of their appearance."""
    counts: dict[str, int] = {}
    for item in items:
        for name in item:
            counts[name] = counts.get(name, 0) + 1
    others = sorted((name for name in counts if name not in first), key=lambda name: -counts[name])[:most]
    order = list(counts)
    return [*first, *sorted(others, key=order.index)]
