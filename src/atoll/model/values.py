"""Attribute values: DynamoDB's ten types, in their wire format.

    {"S": "text"}  {"N": "1.5"}  {"B": "<base64>"}  {"BOOL": true}  {"NULL": true}
    {"SS": [...]}  {"NS": [...]}  {"BS": [...]}  {"L": [value, ...]}  {"M": {name: value, ...}}

`check_item` and `check_value` take client input. They make it canonical in place (numbers as in numbers.py, sets
sorted, ignored members removed), compute its size by DynamoDB's published formula, and raise DynamoDB's error if it is
invalid. All other functions expect canonical data.

Nearly all input is valid, so both first measure it as if it were, in one pass. Only if this fails do they look for the
fault. `read_json` converts the JSON types of the whole value, because DynamoDB reports JSON of the wrong type anywhere
in a request before it validates values. `_check_members` raises for the first fault in DynamoDB's order. If there is
none, because the conversion has made the value valid, they measure it again.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from functools import lru_cache
from itertools import islice
from typing import Any

from atoll import limits
from atoll.errors import ApiError
from atoll.errors import values as errors
from atoll.model import numbers, sets

AttributeValue = dict[str, Any]
Item = dict[str, AttributeValue]

# The exceptions of a measurement of invalid input.
_STUMBLES = (ApiError, AttributeError, LookupError, TypeError, ValueError)

# The guide: a list or map takes 3 bytes of overhead "regardless of its contents", and 1 for each of its members.
_DOCUMENT_BYTES = 3
_MEMBER_BYTES = 1

# Items with as many attributes are checked in parts.
_MANY = 1_000

# Check


def check_item(item: Item) -> int:
    """Validate an item, make it canonical in place, and return its size in bytes. Raises DynamoDB's first error."""
    try:
        return _measure_members(item, 1) if len(item) < _MANY else _measure_many(item)
    except _STUMBLES:
        read_json(item)
        _check_depth(item)
        _check_members(item)
        return _measure_members(item, 1)


def check_value(value: AttributeValue) -> int:
    """Validate one value, make it canonical in place, and return its size in bytes."""
    try:
        return _measure_value(value, 1)
    except _STUMBLES:
        read_json({"": value})
        _check_depth({"value": value})
        _check_value(value, None)
        return _measure_value(value, 1)


# Measure valid input, in one pass, since every write pays for it. A number's size is that of its canonical text, so the
# pass also stores that text, and sorts sets. Invalid input raises one of _STUMBLES, which does not describe the fault.


def _measure_members(members: Item, level: int) -> int:
    if level > limits.NESTING_LEVELS:
        raise errors.TooDeep()
    size = sum(map(_name_size, members))
    for value in members.values():
        (kind,) = value
        content = value[kind]
        if kind == "S":  # the most common types, measured without a call
            size += len(content) if content.isascii() else len(content.encode())
        elif kind == "N":
            value[kind], number_size = _number(content)
            size += number_size
        else:
            size += _MEASURES[kind](content, value, level)
    return size


def _measure_many(item: Item) -> int:
    """Measure an item with many attributes. Stop at the size limit: a larger item is refused in any case."""
    size, members = 0, iter(item.items())
    while size <= limits.ITEM_BYTES:
        part = dict(islice(members, _MANY))
        if not part:
            break
        size += _measure_members(part, 1)
    return size


def _measure_value(value: AttributeValue, level: int) -> int:
    (kind,) = value
    return _MEASURES[kind](value[kind], value, level)


def _measure_string(text: str, value: AttributeValue, level: int) -> int:
    return _text_size(text)


def _measure_number(text: str, value: AttributeValue, level: int) -> int:
    value["N"], size = _number(text)
    return size


def _measure_binary(text: str, value: AttributeValue, level: int) -> int:
    return _decoded_size(text)


def _measure_bool(content: bool, value: AttributeValue, level: int) -> int:
    if content is not True and content is not False:
        raise TypeError(content)
    return 1


def _measure_null(content: bool, value: AttributeValue, level: int) -> int:
    if content is not True:
        raise TypeError(content)
    return 1


def _measure_set(kind: str, member_size: Callable[[str], int]) -> _Measure:
    def measure(members: list[str], value: AttributeValue, level: int) -> int:
        if type(members) is not list or not 0 < len(members) == sets.distinct(members):
            raise TypeError(members)
        size = sum(map(member_size, members))
        if size <= limits.ITEM_BYTES:  # larger sets are never stored
            value[kind] = sets.ordered(kind, members)
        return size

    return measure


def _measure_numbers(members: list[str], value: AttributeValue, level: int) -> int:
    if type(members) is not list:
        raise TypeError(members)
    sizes = dict(map(_number, members))
    if not 0 < len(members) == len(sizes):
        raise TypeError(members)
    size = sum(sizes.values())
    value["NS"] = sets.ordered("NS", list(sizes)) if size <= limits.ITEM_BYTES else list(sizes)
    return size


def _measure_list(members: list[AttributeValue], value: AttributeValue, level: int) -> int:
    if type(members) is not list or level >= limits.NESTING_LEVELS:
        raise errors.TooDeep()
    size = _DOCUMENT_BYTES + _MEMBER_BYTES * len(members)
    for member in members:
        (kind,) = member
        size += _MEASURES[kind](member[kind], member, level + 1)
    return size


def _measure_map(members: Item, value: AttributeValue, level: int) -> int:
    return _DOCUMENT_BYTES + _MEMBER_BYTES * len(members) + _measure_members(members, level + 1)


@lru_cache(2048)  # a name may have 64 KB
def _name_size(name: str) -> int:
    length = _text_size(name)
    if not 0 < length <= limits.ATTRIBUTE_NAME_BYTES:
        raise errors.attribute_name(length)
    return length


@lru_cache(8192)
def _number(text: str) -> tuple[str, int]:
    """A number in canonical form, and its size in bytes."""
    canonical = numbers.canonical(text)
    return canonical, numbers.size(canonical)


def _text_size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _decoded_size(text: str) -> int:
    if len(text) > _BASE64_CHARS:
        return _decoded_long_size(text)
    data = a2b_base64(text)
    # Decoding is lenient, so compare the re-encoded text to verify proper base64.
    if b2a_base64(data, newline=False).decode() != text:
        raise ValueError(text)
    return len(data)


_BASE64_CHARS = 1024**2


def _decoded_long_size(text: str) -> int:
    parts = [text[start : start + _BASE64_CHARS] for start in range(0, len(text), _BASE64_CHARS)]
    sizes = list(map(_decoded_size, parts))
    if any(size != _BASE64_CHARS // 4 * 3 for size in sizes[:-1]):
        raise ValueError("padding inside base64")
    return sum(sizes)


_Measure = Callable[[Any, AttributeValue, int], int]
_MEASURES: dict[str, _Measure] = {
    "S": _measure_string,
    "N": _measure_number,
    "B": _measure_binary,
    "BOOL": _measure_bool,
    "NULL": _measure_null,
    "SS": _measure_set("SS", _text_size),
    "NS": _measure_numbers,
    "BS": _measure_set("BS", _decoded_size),
    "L": _measure_list,
    "M": _measure_map,
}

# Check: raise for the first fault, in DynamoDB's order. The JSON types are those that `read_json` leaves.


def _check_depth(item: Item) -> None:
    """Refuse too many levels; the item is the first. Only an attribute's empty name is reported earlier."""
    if levels(item, limits.NESTING_LEVELS) > limits.NESTING_LEVELS:
        raise errors.attribute_name(0) if "" in item else errors.TooDeep()


def levels(item: Item, most: int) -> int:
    """The number of levels of maps and lists, counted up to one beyond `most`."""
    inside: list[Any] = list(item.values())
    for level in range(1, most + 1):
        documents = [value[kind] for value in inside if type(value) is dict for kind in ("L", "M") if kind in value]
        inside = [
            member
            for document in documents
            for member in (document.values() if type(document) is dict else document if type(document) is list else ())
        ]
        if not documents:
            return level
    return most + 1


def _check_members(item: Item) -> None:
    """Check the values and names of an item or map."""
    for name, value in item.items():
        _check_value(value, name)
        _name_size(name)


def _check_value(value: AttributeValue | None, name: str | None) -> None:
    if value is None:
        raise errors.null_value(name)
    if not value:
        raise errors.no_type()
    for kind, content in value.items():
        if kind in _CHECKS:
            _CHECKS[kind](content)
    if len(value) > 1:
        raise errors.many_types()


def _check_number(text: str) -> None:
    numbers.canonical(text)


def _check_null(content: bool) -> None:
    if content is False:
        raise errors.null_not_true()


def _check_set(kind: str) -> _Check:
    def check(members: list[str]) -> None:
        if not members:
            raise errors.empty_set(kind)
        if None in members:
            raise errors.null_in_set(kind)
        if kind == "NS":
            members = list(map(numbers.canonical, members))
        if sets.distinct(members) < len(members):
            raise errors.duplicates(kind, members)

    return check


def _check_list(members: list[AttributeValue]) -> None:
    for member in members:
        _check_value(member, None)


_Check = Callable[[Any], None]
_CHECKS: dict[str, _Check] = {
    "N": _check_number,
    "NULL": _check_null,
    "SS": _check_set("SS"),
    "NS": _check_set("NS"),
    "BS": _check_set("BS"),
    "L": _check_list,
    "M": _check_members,
}

# Read: like DynamoDB's parser, convert some JSON, ignore some and reject the rest. Stop at the levels that an item may
# have, to protect the stack: a deeper value is refused anyway.


def read_json(item: Item) -> None:
    """Raise for the first JSON value of an unreadable type; drop nulls and unknown members of values."""
    _read_map(item, 0)


def _read_value(value: Any, level: int) -> AttributeValue:
    if isinstance(value, list):
        raise errors.unexpected_list("class com.amazonaws.dynamodb.v20120810.AttributeValue")
    if not isinstance(value, dict):
        raise errors.unexpected_value()
    for kind in list(value):
        if value[kind] is None or kind not in _READERS:
            del value[kind]
        else:
            value[kind] = _READERS[kind](value[kind], level)
    return value


def _read_string(content: Any, level: int) -> str:
    if isinstance(content, str):
        return content
    raise _unreadable(content, "java.lang.String") or errors.wrong_scalar(content, "String")


def _read_binary(content: Any, level: int) -> str:
    if not isinstance(content, str):
        raise _unreadable(content, "java.nio.ByteBuffer") or errors.not_binary()
    try:
        _decoded_size(content)
    except ValueError:
        raise errors.invalid_base64(content) from None
    return content


def _read_bool(content: Any, level: int) -> bool:
    if isinstance(content, bool):
        return content
    if not isinstance(content, str):
        raise _unreadable(content, "java.lang.Boolean") or errors.wrong_scalar(content, "Boolean")
    if content.upper() in ("TRUE", "YES", "1"):
        return True
    if content.upper() in ("FALSE", "NO", "0"):
        return False
    raise errors.unexpected_token()


def _read_list(read_member: _Reader) -> _Reader:
    def read(content: Any, level: int) -> list[Any]:
        if isinstance(content, dict):
            raise errors.unexpected_object()
        if not isinstance(content, list):
            raise errors.unexpected_field()
        if level >= limits.NESTING_LEVELS:
            return content
        return [None if member is None else read_member(member, level + 1) for member in content]

    return read


def _read_map(content: Any, level: int) -> Item:
    if isinstance(content, list):
        raise errors.unexpected_list("java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>")
    if not isinstance(content, dict):
        raise errors.unexpected_field()
    if level >= limits.NESTING_LEVELS:
        return content
    for value in content.values():
        if value is not None:
            _read_value(value, level + 1)
    return content


def _unreadable(content: Any, java_type: str) -> ApiError | None:
    """The error for a list or object in the place of a scalar."""
    if isinstance(content, list):
        return errors.unexpected_list(f"class {java_type}")
    return errors.unexpected_object() if isinstance(content, dict) else None


_Reader = Callable[[Any, int], Any]
_READERS: dict[str, _Reader] = {
    "S": _read_string,
    "N": _read_string,
    "B": _read_binary,
    "BOOL": _read_bool,
    "NULL": _read_bool,
    "SS": _read_list(_read_string),
    "NS": _read_list(_read_string),
    "BS": _read_list(_read_binary),
    "L": _read_list(_read_value),
    "M": _read_map,
}

# Measure


def item_size(item: Item) -> int:
    """The size in bytes by DynamoDB's formula: the UTF-8 length of every name plus every value's size."""
    size = sum(map(_name_size, item))
    for value in item.values():
        (kind,) = value
        content = value[kind]
        if kind == "S":
            size += len(content) if content.isascii() else len(content.encode())
        else:
            size += _SIZES[kind](content)
    return size


def attribute_size(name: str, value: AttributeValue) -> int:
    (kind,) = value
    return _name_size(name) + _SIZES[kind](value[kind])


def value_size(value: AttributeValue) -> int:
    (kind,) = value
    return _SIZES[kind](value[kind])


def _binary_size(text: str) -> int:
    return len(text) // 4 * 3 - text.count("=", -2)


def _list_size(members: list[AttributeValue]) -> int:
    return _DOCUMENT_BYTES + _MEMBER_BYTES * len(members) + sum(map(value_size, members))


def _map_size(members: Item) -> int:
    return _DOCUMENT_BYTES + _MEMBER_BYTES * len(members) + item_size(members)


_SIZES: dict[str, Callable[[Any], int]] = {
    "S": _text_size,
    "N": lru_cache(8192)(numbers.size),
    "B": _binary_size,
    "BOOL": lambda _: 1,
    "NULL": lambda _: 1,
    "SS": lambda members: sum(map(_text_size, members)),
    "NS": lambda members: sum(map(numbers.size, members)),
    "BS": lambda members: sum(map(_binary_size, members)),
    "L": _list_size,
    "M": _map_size,
}
