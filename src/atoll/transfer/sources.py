"""Read the records in the objects of an import, in the order of the objects' keys, from a position on.

Memory is bounded for any objects: they are read, expanded and split piece by piece. A position names an
object and counts its lines, so a reading that begins in the middle of an object reads it again up to there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from atoll import limits
from atoll.database import indexes
from atoll.database.keys import row_key_of_item
from atoll.database.schema import Table
from atoll.database.writes import Image
from atoll.errors import ApiError
from atoll.errors import imports as errors
from atoll.errors import values as value_errors
from atoll.expressions import bind
from atoll.expressions.condition import Condition
from atoll.model import values
from atoll.transfer.buckets import Buckets, Object
from atoll.transfer.compression import EXPANSIONS, INPUT_BYTES, OUTPUT_BYTES, Expansion, Unreadable
from atoll.transfer.parsing import (
    CSV,
    ION,
    LINE_BYTES,
    CsvParser,
    IonParser,
    JsonParser,
    Lines,
    Parser,
    Rows,
    Unparsable,
)

RECORDS = 100
TURN_RECORDS = 25
"""The records that are processed between two turns of the event loop."""
PIECE_BYTES = 512 * 1024
LEAST_LOAD = 64
"""Even an empty line takes as long as this many bytes."""
OBJECT_LOAD = 8 * 1024
"""Opening an object, even an empty one, takes as long as this many bytes."""
ASIDE_BYTES = 32 * 1024
"""A longer line is parsed in a thread."""


class Position(NamedTuple):
    key: str
    """The key of an object; all objects before it are done."""
    lines: int
    """The lines of this object that are done, or `ALL`."""
    records: int
    """The records in these lines."""


ALL = 1 << 53
CONDITION = "ConditionExpression"
BEGINNING = Position("", 0, 0)


class Record(NamedTuple):
    key: str
    """The key of the object."""
    number: int
    """The number of the record in the object, from 0. The header of a CSV file has none."""
    row_key: bytes
    image: Image | None
    condition: Condition | None = None
    error: str = ""
    """The reason why there is no image."""


class ImportBatch(NamedTuple):
    records: list[Record]
    position: Position
    """The position after them."""
    size: int
    """The size of their lines, in bytes."""
    read: int
    """Bytes of the objects up to the position, as they are stored; those that were read ahead count."""
    is_last: bool


@dataclass(frozen=True)
class Format:
    name: str
    compression: str = "NONE"
    delimiter: str = ","
    header: Sequence[str] | None = None
    types: Mapping[str, str] | None = None
    """The types of CSV columns that are no strings."""
    has_conditions: bool = False
    """Whether a record may have a ConditionExpression besides its Item."""

    def parser(self) -> Parser:
        if self.name == CSV:
            return CsvParser(self.delimiter, self.header, self.types or {})
        return IonParser() if self.name == ION else JsonParser()

    def lines(self) -> Lines:
        return (Rows if self.name == CSV else Lines)(LINE_BYTES[self.name])


class Reading:
    """Reads on with each `batch`. `read_ahead` begins to read the next one. After a failure, make another reading at
    the last position that was stored."""

    def __init__(
        self, buckets: Buckets, bucket: str, objects: Sequence[Object], position: Position, format_: Format
    ) -> None:
        self.position = position
        """Behind the last batch that was returned."""
        self._read_to = position
        self._ahead: asyncio.Task[ImportBatch] | None = None
        self._buckets = buckets
        self._bucket = bucket
        done = position.key if position.lines == ALL else None
        self._left = deque(one for one in objects if one.key >= position.key and one.key != done)
        self._done_bytes = sum(one.size for one in objects) - sum(one.size for one in self._left)
        self._format = format_
        self._object: _Object | None = None

    async def batch(self, table: Table) -> ImportBatch:
        ahead, self._ahead = self._ahead, None
        batch = await (self._read(table) if ahead is None else ahead)
        self.position = batch.position
        return batch

    def read_ahead(self, table: Table) -> None:
        self._ahead = asyncio.create_task(self._read(table))

    def stop(self) -> None:
        if self._ahead is not None:
            self._ahead.cancel()

    async def _read(self, table: Table) -> ImportBatch:
        records: list[Record] = []
        size = load = 0
        while len(records) < RECORDS and load < PIECE_BYTES:
            current = self._object
            if current is None:
                if not self._left:
                    return ImportBatch(records, self._read_to, size, self._done_bytes, True)
                current = self._object = self._opened(self._left.popleft())
                load += OBJECT_LOAD
            if not current.lines:
                load += await current.fill()
            record = None
            if current.lines:
                line = current.lines.popleft()
                read = LINE_BYTES[self._format.name] if line is None else len(line) + 1
                load += max(read, LEAST_LOAD)
                if current.skips(line):
                    continue
                size += read
                record = await current.record(line, table)
                current.done += 1
            elif not current.is_ended:
                continue
            else:
                record = current.fault()
            if record is not None:
                records.append(record)
                current.records += 1
            if current.is_ended:
                self._object = None
                self._done_bytes += current.size
            if len(records) % TURN_RECORDS == 0:
                await asyncio.sleep(0)
            self._read_to = Position(current.key, ALL if self._object is None else current.done, current.records)
        read = self._done_bytes + (self._object.read if self._object is not None else 0)
        return ImportBatch(records, self._read_to, size, read, False)

    def _opened(self, found: Object) -> _Object:
        done = self._read_to if found.key == self._read_to.key else BEGINNING
        return _Object(self._buckets.read(self._bucket, found.key), found, self._format, done)


class _Object:
    """An object that is being read."""

    def __init__(self, data: AsyncIterator[bytes], found: Object, format_: Format, done: Position) -> None:
        """`done`: the lines and records that were read before."""
        self.key = found.key
        self.size = found.size
        self.read = 0
        """The bytes that were read."""
        self.lines: deque[bytes | None] = deque()
        """That were read and not yet taken."""
        self.done, self.records = 0, done.records
        self._skipped = done.lines
        self.is_ended = False
        """Nothing more of it is to be read."""
        self._parser: Parser | None = None
        self._format = format_
        self._found = self._expanded(data, EXPANSIONS[format_.compression]())
        self._fault = ""

    async def _expanded(self, data: AsyncIterator[bytes], expansion: Expansion) -> AsyncIterator[list[bytes | None]]:
        lines = self._format.lines()
        try:
            async for piece in data:
                self.read += len(piece)
                for start in range(0, len(piece), INPUT_BYTES):
                    for expanded in expansion.feed(piece[start : start + INPUT_BYTES]):
                        yield lines.feed(expanded)
                        await asyncio.sleep(0)
                    await asyncio.sleep(0)
            expansion.finish()
        except Unreadable as reason:
            self._fault = str(reason)
        else:
            yield lines.finish()

    async def fill(self) -> int:
        """Read the next piece, which may give more lines; returns the bytes of work that gave none."""
        found = await anext(self._found, None)
        if found is None:
            self.is_ended = True
            return 0
        self.lines.extend(found)
        return 0 if found else OUTPUT_BYTES

    def fault(self) -> Record | None:
        """The fault of the object, at the end of its lines; None if there is none."""
        return self._failed(self._fault) if self._fault else None

    def _failed(self, reason: str) -> Record:
        self.is_ended = True
        return Record(self.key, self.records, b"", None, error=reason)

    def skips(self, line: bytes | None) -> bool:
        """Whether the line was read before. Names in the first line of a CSV file are read again."""
        if self.done >= self._skipped:
            return False
        if self.done == 0 and line is not None and self._format.name == CSV:
            with suppress(ApiError, Unparsable):
                self._parse(line)
        self.done += 1
        return True

    def _parse(self, line: bytes) -> Any | None:
        if self._parser is None:
            self._parser = self._format.parser()
        return self._parser.parse(line)

    async def record(self, line: bytes | None, table: Table) -> Record | None:
        if line is None:
            return Record(self.key, self.records, b"", None, error=value_errors.item_too_large().message or "")
        try:
            if len(line) > ASIDE_BYTES:
                checked = await asyncio.to_thread(self._checked, line, table)
            else:
                checked = self._checked(line, table)
        except ApiError as error:
            return Record(self.key, self.records, b"", None, error=error.message or error.code)
        except Unparsable as reason:
            return self._failed(str(reason))
        return None if checked is None else Record(self.key, self.records, *checked)

    def _checked(self, line: bytes, table: Table) -> tuple[bytes, Image, Condition | None] | None:
        record = self._parse(line)
        if record is None:
            return None
        row_key, image = image_of(record["Item"], table)
        return row_key, image, _condition_of(record) if self._format.has_conditions else None


def image_of(item: Any, table: Table) -> tuple[bytes, Image]:
    """An item as the table stores it, with the key of its row. Raises `ApiError`."""
    try:
        size = values.check_item(item)
        if size > limits.ITEM_BYTES:
            raise value_errors.item_too_large()
        json = orjson.dumps(item)
    except (ValueError, TypeError, AttributeError, LookupError):  # for example, half of a surrogate pair
        raise errors.no_item() from None
    row_key = row_key_of_item(table, item)
    indexes.check_keys(table, item)
    return row_key, Image(item, size, json)


def _condition_of(record: Mapping[str, Any]) -> Condition | None:
    try:
        bind.check_parameters(record, (CONDITION,))
        if record.get(CONDITION) is None:
            return None
        bound = bind.bindings(record)
        condition = bound.condition(record[CONDITION], CONDITION)
        bound.finish()
    except (ValueError, TypeError, AttributeError, LookupError):
        raise errors.condition_malformed() from None
    return condition
