"""What `--throttling full` limits beside the throughput of tables and indexes: partitions, and growth on demand.

A request is admitted while everything that it draws from has units left, and its real cost is subtracted afterwards.
Here it draws from its partition key, which gets 3,000 read and 1,000 write units a second, and from an on-demand
table's or index's throughput of now (`growth`). Both hold one second of their rate. Any capacity that a table does not
use is so available to any of its partition keys at once: a partition key is alone in its partition.

The memory is a fixed array of numbers, however many keys there are. A number is the time at which a bucket will be, or
was, at zero: it is full a second later. The hash of a key finds its bucket. Two keys rarely share one; they are limited
together then. With a data directory the array is a file: several workers map it, and peaks outlive the process. A
change reads and writes one aligned number without a lock, so a worker may overwrite the change of another one. That
happens to far less than one change in a hundred.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from mmap import mmap
from pathlib import Path

from atoll import limits
from atoll.capacity.growth import MINUTE_MS, Growth, admitted, turned
from atoll.clock import Clock
from atoll.database.schema import PROVISIONED, Index, Table
from atoll.errors.capacity import ACCOUNT, KEY_RANGE

FILE_NAME = "key-ranges"

# The array: a header, two numbers for each bucket of partition keys (reads and writes), and the records of growth.
_HEADER = 8
_MARK, _DRY = 0, 1
"""Of the header: the mark of this layout, and the latest time at which a bucket of an index gets units for writes."""
_MARKED = 1_207_001.0
PLACES = 65_521
_RECORDS = 16_384
_OWNER, _EMPTY, _COST, _GROWTH = 0, 1, 2, 3
_RECORD = _GROWTH + len(Growth._fields)
_GROWTHS = _HEADER + 2 * PLACES
_NUMBERS = _GROWTHS + _RECORD * _RECORDS

_FULL_MS = 1000
"""How long an empty bucket takes to be full."""
_NONSENSE_MS = 3_600_000
"""No debt is as long: the clock was set back."""
_COSTS = (1000 / limits.PARTITION_READ_UNITS, 1000 / limits.PARTITION_WRITE_UNITS)
"""Milliseconds that a unit takes to flow into a partition."""
_MOST = (limits.TABLE_READ_UNITS, limits.TABLE_WRITE_UNITS)


Draw = tuple[Table, Index | None, str, bytes, float]
"""A table and one of its global indexes or None, Read or Write, the key of a row or its beginning up to the end of the
hash, and units."""


class KeyRanges:
    """`path` is None in a single process without a data directory. Without `quotas` the account has no maximum."""

    def __init__(self, clock: Clock, path: Path | None = None, *, quotas: bool = True) -> None:
        self.clock = clock
        self._quotas = quotas
        self._map = _mapped(path)
        self._numbers = memoryview(self._map).cast("d")
        if self._numbers[_MARK] != _MARKED:
            self.forget()

    def forget(self) -> None:
        """Make all buckets full again, and forget the peaks."""
        self._numbers[:] = memoryview(bytes(8 * _NUMBERS)).cast("d")
        self._numbers[_MARK] = _MARKED

    def changed(self, table: Table) -> None:
        """The table's definition was changed: its warm throughput counts at once."""
        for index in (None, *table.global_indexes):
            for write in (False, True):
                space = table.space if index is None else index.space
                if self._numbers[_record_of(space, write)] == 2 * space + write:
                    self._set_rate(_record_of(space, write), table, index, write)

    # Admission

    def exhausted(
        self,
        table: Table,
        index: Index | None,
        kind: str,
        key: bytes,
        now_ms: int,
        pending: Mapping[int, float] | None = None,
    ) -> str | None:
        """The limit by which nothing more is admitted at this key. `pending` are costs that are not taken yet."""
        numbers, write = self._numbers, kind == "Write"
        place = _place(key, write)
        until = numbers[place]
        if pending:
            until = max(until, now_ms - _FULL_MS) + pending.get(place, 0.0)
        if until >= now_ms:
            if until < now_ms + _NONSENSE_MS:
                return KEY_RANGE
            numbers[place] = 0.0
        if table.billing_mode == PROVISIONED:
            return None
        space = table.space if index is None else index.space
        record = _record_of(space, write)
        if numbers[record] != 2 * space + write:
            return None
        until = numbers[record + _EMPTY]
        if pending:
            until = max(until, now_ms - _FULL_MS) + pending.get(record, 0.0)
        if until < now_ms:
            return None
        if until >= now_ms + _NONSENSE_MS:
            numbers[record + _OWNER] = 0.0
            return None
        return ACCOUNT if self._quotas and numbers[record + _COST] * _MOST[write] < _FULL_MS + 1 else KEY_RANGE

    def index_writes_wait(self, now_ms: int) -> bool:
        """Whether any bucket of an index may have no units for writes."""
        return now_ms <= self._numbers[_DRY] < now_ms + _NONSENSE_MS

    def costs(self, draws: Iterable[Draw], now_ms: int) -> dict[int, float]:
        """What the draws will cost, for `pending`."""
        found: dict[int, float] = {}
        for table, index, kind, key, units in draws:
            write = kind == "Write"
            place = _place(key, write)
            found[place] = found.get(place, 0.0) + units * _COSTS[write]
            if table.billing_mode != PROVISIONED:
                record = self._record(table, index, write, now_ms)
                found[record] = found.get(record, 0.0) + units * self._numbers[record + _COST]
        return found

    # Charges

    def take(self, table: Table, index: Index | None, kind: str, key: bytes, units: float, now_ms: int) -> None:
        numbers, write, full = self._numbers, kind == "Write", now_ms - _FULL_MS
        place = 2 * (int.from_bytes(key[2:12], "big") % PLACES) + write + _HEADER
        until = numbers[place]
        until = (until if until > full else full) + units * _COSTS[write]
        numbers[place] = until
        if table.billing_mode != PROVISIONED:
            record = self._record(table, index, write, now_ms)
            empty = numbers[record + _EMPTY]
            empty = (empty if empty > full else full) + units * numbers[record + _COST]
            numbers[record + _EMPTY] = empty
            numbers[record + _UNITS] += units
            until = max(until, empty)
        if index is not None and write and until >= now_ms and until > numbers[_DRY]:
            numbers[_DRY] = until

    def _record(self, table: Table, index: Index | None, write: bool, now_ms: int) -> int:
        """Where the record of growth is, after it was brought up to date."""
        numbers = self._numbers
        number = 2 * (table.space if index is None else index.space) + write
        record = _GROWTHS + _RECORD * (number % _RECORDS)
        if numbers[record] == number and 0 <= now_ms - numbers[record + _MINUTE] < MINUTE_MS:
            return record
        growth = Growth()
        if numbers[record] == number:
            growth = Growth(*numbers[record + _GROWTH : record + _RECORD])
        else:
            numbers[record + _EMPTY] = 0.0
        for position, value in enumerate(turned(growth, now_ms), record + _GROWTH):
            numbers[position] = value
        numbers[record] = number
        self._set_rate(record, table, index, write)
        return record

    def _set_rate(self, record: int, table: Table, index: Index | None, write: bool) -> None:
        warm, most = table.warm_throughput(index), _MOST[write] if self._quotas else float("inf")
        growth = Growth(*self._numbers[record + _GROWTH : record + _RECORD])
        rate = admitted(growth, warm.write if write else warm.read, most)
        self._numbers[record + _COST] = 1000 / max(1.0, rate)


_MINUTE = _GROWTH + Growth._fields.index("minute_ms")
_UNITS = _GROWTH + Growth._fields.index("units")


def _place(key: bytes, write: bool) -> int:
    """The bucket of a row's partition key: the space and the hash at the beginning of the row's key decide."""
    return 2 * (int.from_bytes(key[2:12], "big") % PLACES) + write + _HEADER


def _record_of(space: int, write: bool) -> int:
    return _GROWTHS + _RECORD * ((2 * space + write) % _RECORDS)


def _mapped(path: Path | None) -> mmap:
    if path is None:
        return mmap(-1, 8 * _NUMBERS)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.posix_fallocate(fd, 0, 8 * _NUMBERS)  # a full disk must not end the process later
        return mmap(fd, 8 * _NUMBERS)
    finally:
        os.close(fd)
