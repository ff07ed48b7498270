"""Split objects into lines, and parse the items in them: DynamoDB JSON, Ion and CSV.

A line that cannot be parsed raises `Unparsable`: the rest of its object cannot be trusted. A parsed record without an
item raises `ApiError`, as an invalid item does later. For a line that is longer than any item, `Lines` returns None.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from io import BytesIO
from typing import Any, Protocol

import orjson

from atoll.attribute_values import Unfit, attribute_value
from atoll.errors import imports as errors
from atoll.errors import values as value_errors
from atoll.model import pieces
from atoll.model.values import Item

JSON, ION, CSV = "DYNAMODB_JSON", "ION", "CSV"

LINE_BYTES = {JSON: 4 * 1024**2, ION: 1024**2, CSV: 1024**2}
"""An item of 400 KB has no longer line: each value has at most 14 bytes beside its name in JSON, and an escaped
character 6."""

_UTF8_MARK = b"\xef\xbb\xbf"


class Unparsable(Exception):
    """A line cannot be parsed; the text is the reason."""


# Lines


class Lines:
    """Splits an object at its line ends."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._rest: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes | None]:
        """The lines that end in the data. None is a line that is too long."""
        first, *others = data.split(b"\n")
        self._add(first)
        if not others:
            return []
        found: list[bytes | None] = [self._take()]
        rest = others.pop()
        found += others if len(data) <= self._most else [one if len(one) <= self._most else None for one in others]
        self._add(rest)
        return found

    def finish(self) -> list[bytes | None]:
        """The last line, if no line end follows it."""
        return [self._take()] if self._size else []

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._most:
            self._rest.clear()
        else:
            self._rest.append(part)

    def _take(self) -> bytes | None:
        line = None if self._size > self._most else b"".join(self._rest)
        self._rest, self._size = [], 0
        return line


class Rows(Lines):
    """Splits an object at the line ends that are not within quotes."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(most_bytes)
        self._open: list[bytes] = []
        self._open_size = 0

    def feed(self, data: bytes) -> list[bytes | None]:
        return [row for line in super().feed(data) for row in self._joined(line)]

    def finish(self) -> list[bytes | None]:
        found = [row for line in super().finish() for row in self._joined(line)]
        return [*found, b"\n".join(self._open)] if self._open else found

    def _joined(self, line: bytes | None) -> list[bytes | None]:
        if line is None or self._open_size > self._most:
            self._open, self._open_size = [], 0
            return [None]
        closes = line.count(b'"') % 2 == 1
        if not self._open and not closes:
            return [line]
        is_first = not self._open
        self._open.append(line)
        self._open_size += len(line) + 1
        if is_first or not closes:
            return []
        row = b"\n".join(self._open)
        self._open, self._open_size = [], 0
        return [row]


# Items


class Parser(Protocol):
    """Parses the lines of one object."""

    def parse(self, line: bytes) -> Any | None:
        """The record of a line, still unchecked: a mapping with an Item. None if the line has no record. Raises
        `Unparsable` and `ApiError`."""


class JsonParser:
    def parse(self, line: bytes) -> Any | None:
        if not line.strip():
            return None
        try:
            record = orjson.loads(line) if len(line) <= pieces.WHOLE_BYTES else pieces.parse(line)
        except orjson.JSONDecodeError:
            raise Unparsable("The line is not in DynamoDB JSON format") from None
        return _with_item(record)


def _with_item(record: Any) -> Any:
    if not isinstance(record, Mapping) or not isinstance(record.get("Item"), Mapping):
        raise errors.no_item()
    return record


class IonParser:
    """Needs the extra `atoll[files]`."""

    def __init__(self) -> None:
        from amazon.ion import simpleion
        from amazon.ion.core import IonType
        from amazon.ion.exceptions import IonException
        from amazon.ion.simple_types import IonPyList

        model = simpleion.IonPyValueModel.MAY_BE_BARE
        self._load: Any = partial(simpleion.load, single_value=False, parse_eagerly=True, value_model=model)
        self._faults = (IonException, ValueError, ArithmeticError, RecursionError)
        self._annotated_list: Any = IonPyList
        self._unknown = (IonType.CLOB, IonType.SEXP)

    def parse(self, line: bytes) -> Any | None:
        if not line.strip():
            return None
        try:
            found = list(self._load(BytesIO(line)))
        except self._faults:
            raise Unparsable("The line is not in Amazon Ion format") from None
        if not found:
            return None
        if len(found) > 1:
            raise Unparsable("The line has more than one value")
        try:
            return {name: self._member(name, value) for name, value in _with_item(found[0]).items()}
        except RecursionError:
            raise value_errors.TooDeep from None

    def _member(self, name: str, value: Any) -> Any:
        if name in _VALUE_STRUCTS and isinstance(value, Mapping):
            return self._struct(value)
        if isinstance(value, Mapping):
            return {str(key): str(text) for key, text in value.items()}
        return str(value)

    def _struct(self, struct: Mapping[str, Any]) -> Item:
        return {str(name): self._value(value) for name, value in struct.items()}

    def _value(self, value: Any) -> dict[str, Any]:
        try:
            return attribute_value(value, self._special)
        except Unfit as unfit:
            raise errors.ion_type(str(unfit)) from None

    def _special(self, value: Any) -> dict[str, Any] | None:
        if getattr(value, "ion_annotations", ()):
            return self._set(value)
        if getattr(value, "ion_type", None) in self._unknown:
            raise errors.ion_type(value.ion_type.name.lower())
        return None

    def _set(self, value: Any) -> dict[str, Any]:
        kind = str(value.ion_annotations[0].text)
        if kind not in _ION_SETS or not isinstance(value, self._annotated_list):
            raise errors.ion_type(kind)
        type_ = _ION_SETS[kind]
        members = [self._value(member) for member in value]
        if any(type_[0] not in member for member in members):
            raise errors.ion_type(kind)
        return {type_: [member[type_[0]] for member in members]}


_VALUE_STRUCTS = frozenset({"Item", "ExpressionAttributeValues"})
"""Members of a record whose members are attribute values; those of the others are names or texts."""
_ION_SETS = {f"$dynamodb_{type_}": type_ for type_ in ("SS", "NS", "BS")}


class CsvParser:
    """The first row has the names of the columns, unless they are given. Columns in `types` have these types, all
    others are strings. An empty column is no attribute."""

    def __init__(self, delimiter: str, names: Sequence[str] | None, types: Mapping[str, str]) -> None:
        self._delimiter = delimiter
        self._types = types
        self._is_first = True
        self._names = None if names is None else self._checked(list(names))
        plain = rf"[^\"{re.escape(delimiter)}]*"
        self._field = re.compile(rf'(?:"([^"]*(?:""[^"]*)*)"|({plain}))({re.escape(delimiter)}|\Z)')

    def parse(self, line: bytes) -> Any | None:
        if self._is_first:
            line, self._is_first = line.removeprefix(_UTF8_MARK), False
        line = line.removesuffix(b"\r")
        if not line:
            return None
        try:
            text = line.decode()
        except UnicodeDecodeError:
            raise Unparsable("The row is not in UTF-8") from None
        fields = self._fields(text) if '"' in text else text.split(self._delimiter)
        if self._names is None:
            self._names = self._checked(fields)
            return None
        if len(fields) != len(self._names):
            raise errors.csv_columns(len(self._names), len(fields))
        types = self._types
        named = zip(self._names, fields, strict=True)
        return {"Item": {name: {types.get(name, "S"): field} for name, field in named if field}}

    def _checked(self, names: list[str]) -> list[str]:
        if len(set(names)) < len(names):
            raise Unparsable("The header has a name twice")
        if "" in names:
            raise Unparsable("The header has an empty name")
        return names

    def _fields(self, text: str) -> list[str]:
        fields, at = [], 0
        while True:
            found = self._field.match(text, at)
            if found is None:
                raise Unparsable("The row has a quote that is not escaped")
            quoted, plain, delimiter = found.groups()
            fields.append(plain if quoted is None else quoted.replace('""', '"'))
            at = found.end()
            if not delimiter:
                return fields
