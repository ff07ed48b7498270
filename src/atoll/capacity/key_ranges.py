"""The further limits of `--throttling full`: the units of a partition key, and the growth of on-demand throughput.

A request is admitted while each bucket that it uses has units left; its real cost is subtracted afterwards. One bucket
belongs to its partition key, which gets 3,000 read and 1,000 write units a second. Another holds the present throughput
of an on-demand table or index (`growth`). Both hold one second of their rate. Any partition key may at once use all
unused capacity of its table: each partition key has a partition of its own.

The buckets are an array of numbers whose size does not depend on the number of keys. A number is the time at which the
bucket will be, or was, empty; it is full a second later. The hash of a key selects its bucket. Two keys rarely share
one; such keys are limited together. With a data directory the array is a file, so that peaks outlive the process, and
several workers map it. A change reads and writes one aligned number without a lock, so a worker may overwrite another's
change; this affects far less than one change in a hundred. A single worker has its buckets in private arrays.

Each worker takes 10 milliseconds' worth of an on-demand throughput in advance, a *lease*. So most requests check only a
lease.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Mapping
from math import inf
from mmap import mmap
from pathlib import Path
from typing import Any

from atoll import limits
from atoll.capacity.growth import MINUTE_MS, Growth, admitted, turned
from atoll.clock import Clock
from atoll.database.format import HASH
from atoll.database.schema import PROVISIONED, Index, Table
from atoll.errors.capacity import ACCOUNT, KEY_RANGE
from atoll.platforms import allocate

FILE_NAME = "key-ranges"

# The array: a header, a number for the reads and one for the writes of each bucket, and the records of growth.
_HEADER = 8
_MARK = 0
"""The place of the number that marks this layout."""
_MARKED = 1_207_001.0
PLACES = 1 << 16
_RECORDS = 16_384
_OWNER, _EMPTY, _GROWTH = 0, 1, 2
_UNITS = _GROWTH + Growth._fields.index("units")
_RECORD = _GROWTH + len(Growth._fields)
_GROWTHS = _HEADER + 2 * PLACES
_NUMBERS = _GROWTHS + _RECORD * _RECORDS

_FULL_MS = 1000
"""How long an empty bucket takes to be full."""
_LEASE_MS = 10
_UNLEASED_MS = _FULL_MS - _LEASE_MS
"""How long a bucket takes to be full while one lease is taken from it."""
_NONSENSE_MS = 300_000
"""No real debt lasts this long: such a number means that the clock was set back."""
_READ_MS, _WRITE_MS = 1000 / limits.PARTITION_READ_UNITS, 1000 / limits.PARTITION_WRITE_UNITS
"""The milliseconds in which a partition gains one unit."""
_MOST = (limits.TABLE_READ_UNITS, limits.TABLE_WRITE_UNITS)
_NEVER = float("inf")
_LONG_AGO = -_NEVER
"""The time at which a never used bucket was empty; less than any time, even of a clock that starts at zero."""

Draw = tuple[Table, Index | None, str, bytes, float]
"""A table and one of its global indexes or None, Read or Write, the key of a row or its beginning up to the end of the
hash, and units."""


class _Lane:
    """The lease of a table's or index's reads or writes in this process."""

    __slots__ = ("cost", "granted", "limit", "mix", "record", "spare", "table", "until")

    def __init__(self, table: Table, space: int) -> None:
        self.table = table
        self.mix = _mix(space)
        """Mixed into hashes, so that equal keys of different tables and indexes have different buckets."""
        self.record = 0
        """The place of its growth record; zero if its throughput is not on demand."""
        self.spare = _NEVER
        """The units left of the lease."""
        self.granted = 0.0
        self.cost = 0.0
        """The milliseconds in which the bucket gains one unit."""
        self.until = _LONG_AGO
        """The time at which its bucket would be empty without the lease."""
        self.limit = KEY_RANGE
        """The reason in the error when the throughput is exceeded."""


class KeyRanges:
    """The limits of one region. `path` is None without a data directory. `alone`: no other process uses the file.
    Without `quotas` the account has no maximum."""

    def __init__(self, clock: Clock, path: Path | None = None, *, alone: bool = False, quotas: bool = True) -> None:
        self.clock = clock
        self._quotas = quotas
        self._map = _mapped(path)
        self._numbers = memoryview(self._map).cast("d")
        self._reads: Any = self._numbers[_HEADER : _HEADER + PLACES]
        self._writes: Any = self._numbers[_HEADER + PLACES : _GROWTHS]
        if alone or path is None:
            self._reads, self._writes = _full(), _full()
        self._reading: dict[int, _Lane] = {}
        self._writing: dict[int, _Lane] = {}
        self.waits_until = self._unknown = _LONG_AGO if isinstance(self._reads, array) else inf
        """Until this time, a bucket may have no units for writes. Always, if other processes use the buckets too."""
        if self._numbers[_MARK] != _MARKED:
            self.forget()

    def forget(self) -> None:
        """Make all buckets full again, and forget the peaks."""
        self._map[:] = bytes(8 * _NUMBERS)
        self._numbers[_HEADER:_GROWTHS] = memoryview(_full() + _full())
        self._numbers[_MARK] = _MARKED
        if isinstance(self._reads, array):
            self._reads, self._writes = _full(), _full()
        self._reading.clear()
        self._writing.clear()
        self.waits_until = self._unknown

    # Admission

    def read(self, table: Table, key: bytes, units: float, now_ms: int) -> str | None:
        """Charge the read of a row of the table, or return the limit that admits no more reads."""
        lane = self._reading.get(table.space)
        if lane is None or lane.spare <= 0 or lane.table is not table:
            lane = self._renewed(table, None, False, now_ms)
            if lane.until >= now_ms:
                return lane.limit
        numbers, place = self._reads, (key[HASH] << 8 | key[HASH + 1]) ^ lane.mix
        until, full = numbers[place], now_ms - _FULL_MS
        if until > full:
            if until < now_ms:
                full = until
            elif until < now_ms + _NONSENSE_MS:
                return KEY_RANGE
        numbers[place] = full + units * _READ_MS
        lane.spare -= units
        return None

    def exhausted(
        self,
        table: Table,
        index: Index | None,
        kind: str,
        key: bytes,
        now_ms: int,
        pending: Mapping[int, float] | None = None,
    ) -> str | None:
        """The limit that admits nothing more at this key; None if there is none. `pending` are costs not charged
        yet."""
        write = kind == "Write"
        space = table.space if index is None else index.space
        place = _place(space, key)
        until = (self._writes if write else self._reads)[place]
        if pending:
            until = max(until, now_ms - _FULL_MS) + pending.get(2 * place + write, 0.0)
        if now_ms <= until < now_ms + _NONSENSE_MS:
            return KEY_RANGE
        lane = self._lane(table, index, write, now_ms)
        if lane.spare <= 0:
            lane = self._renewed(table, index, write, now_ms)
            if lane.until >= now_ms:
                return lane.limit
        if pending and lane.record:
            until = lane.until + (lane.granted - lane.spare) * lane.cost
            if until + pending.get(-lane.record, 0.0) >= now_ms:
                return lane.limit
        return None

    def costs(self, draws: Iterable[Draw], now_ms: int) -> dict[int, float]:
        """The future costs of the draws, for `pending`."""
        found: dict[int, float] = {}
        for table, index, kind, key, units in draws:
            write = kind == "Write"
            place = 2 * _place(table.space if index is None else index.space, key) + write
            found[place] = found.get(place, 0.0) + units * (_WRITE_MS if write else _READ_MS)
            lane = self._lane(table, index, write, now_ms)
            if lane.record:
                found[-lane.record] = found.get(-lane.record, 0.0) + units * lane.cost
        return found

    # Charges

    def wrote(self, table: Table, key: bytes, units: float, now_ms: int) -> None:
        """A faster `take` for the write of a row of the table."""
        lane = self._writing.get(table.space)
        if lane is None or lane.table is not table:
            lane = self._renewed(table, None, True, now_ms)
        numbers, place = self._writes, (key[HASH] << 8 | key[HASH + 1]) ^ lane.mix
        until = numbers[place]
        if not now_ms - _FULL_MS < until < now_ms + _NONSENSE_MS:
            until = now_ms - _FULL_MS
        numbers[place] = until = until + units * _WRITE_MS
        lane.spare -= units
        if until >= now_ms or lane.spare <= 0:
            self._wait(table, None, lane, until, now_ms)

    def take(
        self, table: Table, index: Index | None, kind: str, key: bytes, units: float, now_ms: int, whole: bool = True
    ) -> None:
        write = kind == "Write"
        numbers, cost = (self._writes, _WRITE_MS) if write else (self._reads, _READ_MS)
        place = _place(table.space if index is None else index.space, key)
        until, full = numbers[place], now_ms - _FULL_MS
        numbers[place] = until = (until if full < until < now_ms + _NONSENSE_MS else full) + units * cost
        lane = self._lane(table, index, write, now_ms)
        lane.spare -= units
        if write and (until >= now_ms or lane.spare <= 0):
            self._wait(table, index, lane, until, now_ms)

    def _wait(self, table: Table, index: Index | None, lane: _Lane, until: float, now_ms: int) -> None:
        """Note that a write may have emptied a bucket."""
        if lane.spare <= 0:
            until = max(until, self._renewed(table, index, True, now_ms).until)
        if until >= now_ms:
            self.waits_until = max(self.waits_until, until)

    # Growth on demand

    def _lane(self, table: Table, index: Index | None, write: bool, now_ms: int) -> _Lane:
        lane = (self._writing if write else self._reading).get(table.space if index is None else index.space)
        return lane if lane is not None and lane.table is table else self._renewed(table, index, write, now_ms)

    def _renewed(self, table: Table, index: Index | None, write: bool, now_ms: int) -> _Lane:
        """The lane after its lease was returned, and a new one taken if there are units."""
        lanes, numbers = self._writing if write else self._reading, self._numbers
        space = table.space if index is None else index.space
        lane = lanes.get(space)
        if lane is None and len(lanes) >= _RECORDS:
            self._drop(lanes, now_ms)
        if lane is not None and lane.record:
            self._return(lane, now_ms)
        if table.billing_mode == PROVISIONED:
            lane = lanes[space] = _Lane(table, space)
            return lane
        full = now_ms - (_FULL_MS if lane is None else _UNLEASED_MS)
        if lane is None or lane.table is not table:
            lane = lanes[space] = _Lane(table, space)
        self._turn(lane, index, 2 * space + write, now_ms)
        until = max(numbers[lane.record + _EMPTY], full)
        if until >= now_ms + _NONSENSE_MS:
            until = full
        granted_ms = min(_LEASE_MS, max(0.0, now_ms - until))
        numbers[lane.record + _EMPTY] = until + granted_ms
        lane.granted = lane.spare = granted_ms / lane.cost
        lane.until = until
        return lane

    def _return(self, lane: _Lane, now_ms: int) -> None:
        """Return what is left of the lease, or charge what was taken beyond it."""
        numbers, record = self._numbers, lane.record
        until = numbers[record + _EMPTY]
        if lane.spare < 0:
            until = max(until, now_ms - _UNLEASED_MS)
        numbers[record + _EMPTY] = until - lane.spare * lane.cost
        numbers[record + _UNITS] += lane.granted - lane.spare
        lane.granted = lane.spare = 0.0

    def _drop(self, lanes: dict[int, _Lane], now_ms: int) -> None:
        """Remove the oldest lane, which most likely belongs to a deleted table."""
        oldest = lanes.pop(next(iter(lanes)))
        if oldest.record:
            self._return(oldest, now_ms)

    def _turn(self, lane: _Lane, index: Index | None, number: int, now_ms: int) -> None:
        """Bring the lane's record up to date."""
        numbers, write = self._numbers, number % 2
        record = lane.record = _GROWTHS + _RECORD * (number % _RECORDS)
        if numbers[record] != number:
            numbers[record] = number
            for position, value in enumerate((_LONG_AGO, *Growth()), record + _EMPTY):
                numbers[position] = value
        growth = Growth(*numbers[record + _GROWTH : record + _RECORD])
        if not 0 <= now_ms - growth.minute_ms < MINUTE_MS:
            growth = turned(growth, now_ms)
            for position, value in enumerate(growth, record + _GROWTH):
                numbers[position] = value
        warm, most = lane.table.warm_throughput(index), _MOST[write] if self._quotas else _NEVER
        rate = admitted(growth, max(1, warm.write if write else warm.read), most)
        lane.cost = 1000 / rate
        lane.limit = ACCOUNT if rate >= most else KEY_RANGE


def _full() -> array[float]:
    return array("d", [_LONG_AGO]) * PLACES


def _mix(space: int) -> int:
    return space * 40_503 % PLACES


def _place(space: int, key: bytes) -> int:
    """The bucket of a row's partition key."""
    return (key[HASH] << 8 | key[HASH + 1]) ^ _mix(space)  # the first 16 bits of the hash in the row's key


def _mapped(path: Path | None) -> mmap:
    if path is None:
        return mmap(-1, 8 * _NUMBERS)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        allocate(fd, 8 * _NUMBERS)  # reserved now: on a full disk, a later write to the mapping would kill the process
        return mmap(fd, 8 * _NUMBERS)
    finally:
        os.close(fd)
