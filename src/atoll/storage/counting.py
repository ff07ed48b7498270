"""An engine that counts the round trips that a networked engine would need. For tests.

    read        a `get`, `get_many`, `number`, `tally`, `first` or `scan` is one trip, unless this run of the function
                has already fetched or written all of the data; a scan is one more for each further megabyte of rows
    prefetch    one trip, for any number of keys
    add_number  reads the number; `add_tally` reads nothing
    commit      one trip, if the transaction wrote anything
    ride-along  numbers that every trip also fetches: reading one costs a trip only if the function makes no other trip

A function that the engine runs twice counts twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from atoll.storage.engine import Engine, Size, Snapshot, T, Transaction

PAGE_BYTES = 1_000_000


class CountingEngine:
    def __init__(self, inner: Engine, *, ride_along: Sequence[bytes] = ()) -> None:
        self._inner = inner
        self._ride_along = frozenset(ride_along)
        self.trips = 0
        """Set it to 0 to restart the count."""

    async def read(self, fn: Callable[[Snapshot], T]) -> T:
        def counted(snapshot: Snapshot) -> T:
            run = _Run(self._ride_along)
            try:
                return fn(_CountedSnapshot(snapshot, run))
            finally:
                self.trips += run.total()

        return await self._inner.read(counted)

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        def counted(tx: Transaction) -> T:
            run = _Run(self._ride_along)
            try:
                result = fn(_CountedTransaction(tx, run))
                self.trips += run.wrote
                return result
            finally:
                self.trips += run.total()

        return await self._inner.transact(counted)

    async def lease(self) -> bool:
        return await self._inner.lease()

    async def size(self) -> Size | None:
        return await self._inner.size()

    async def give_back(self) -> bool:
        return await self._inner.give_back()

    async def close(self) -> None:
        await self._inner.close()


class _Run:
    """The data fetched by one run of a function, and its number of trips."""

    def __init__(self, ride_along: frozenset[bytes]) -> None:
        self._ride_along = ride_along
        self._rows: set[bytes] = set()
        self._spans: list[tuple[bytes, bytes]] = []
        self._numbers: set[bytes] = set()
        self._tallies: set[bytes] = set()
        self._trips = 0
        self._awaits_trip = False
        self.wrote = False

    def total(self) -> int:
        return self._trips or int(self._awaits_trip)

    def trip(self) -> None:
        self._trips += 1

    def fetch(self, rows: Sequence[bytes] = (), numbers: Sequence[bytes] = (), tallies: Sequence[bytes] = ()) -> None:
        """Count a trip if the run has not fetched all of these yet."""
        self._awaits_trip |= any(key in self._ride_along for key in numbers)
        missing = (
            any(not self.has_row(key) for key in rows)
            or any(key not in self._numbers and key not in self._ride_along for key in numbers)
            or any(key not in self._tallies for key in tallies)
        )
        self.add(rows, numbers, tallies)
        if missing:
            self.trip()

    def add(self, rows: Sequence[bytes] = (), numbers: Sequence[bytes] = (), tallies: Sequence[bytes] = ()) -> None:
        """Record these as fetched."""
        self._rows.update(rows)
        self._numbers.update(numbers)
        self._tallies.update(tallies)

    def has_row(self, key: bytes) -> bool:
        return key in self._rows or any(start <= key < end for start, end in self._spans)

    def add_span(self, start: bytes, end: bytes) -> None:
        """Record all rows with start <= key < end as fetched."""
        if start < end:
            overlapping = [span for span in self._spans if span[0] <= end and start <= span[1]]
            self._spans = [span for span in self._spans if span not in overlapping]
            overlapping.append((start, end))
            self._spans.append((min(span[0] for span in overlapping), max(span[1] for span in overlapping)))

    def has_span(self, start: bytes, end: bytes) -> bool:
        return start >= end or any(span[0] <= start and end <= span[1] for span in self._spans)


class _CountedSnapshot:
    is_remote = True

    def __init__(self, inner: Snapshot, run: _Run) -> None:
        self._snapshot = inner
        self._run = run

    def get(self, key: bytes) -> bytes | None:
        self._run.fetch([key])
        return self._snapshot.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        self._run.fetch(keys)
        return self._snapshot.get_many(keys)

    def scan(
        self, start: bytes, end: bytes, *, reverse: bool = False, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        rows = self._snapshot.scan(start, end, reverse=reverse, limit=limit)
        if limit == 0 or self._run.has_span(start, end):
            return rows
        return self._counted(rows, start, end, reverse, limit)

    def _counted(
        self, rows: Iterator[tuple[bytes, bytes]], start: bytes, end: bytes, reverse: bool, limit: int | None
    ) -> Iterator[tuple[bytes, bytes]]:
        self._run.trip()
        pages, size, count = 1, 0, 0
        for key, value in rows:
            count += 1
            size += len(key) + len(value)
            if size > pages * PAGE_BYTES:
                pages += 1
                self._run.trip()
            if reverse:
                self._run.add_span(key, end)
            else:
                self._run.add_span(start, key + b"\0")
            yield key, value
        if limit is None or count < limit:
            self._run.add_span(start, end)

    def first(self, ranges: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes] | None]:
        if not all(self._run.has_span(*one) for one in ranges):
            self._run.trip()
        found = self._snapshot.first(ranges)
        for (start, end), row in zip(ranges, found, strict=True):
            self._run.add_span(start, end if row is None else row[0] + b"\0")
        return found

    def number(self, key: bytes) -> int:
        self._run.fetch(numbers=[key])
        return self._snapshot.number(key)

    def tally(self, key: bytes) -> int:
        self._run.fetch(tallies=[key])
        return self._snapshot.tally(key)

    def prefetch(
        self, rows: Sequence[bytes] = (), numbers: Sequence[bytes] = (), tallies: Sequence[bytes] = ()
    ) -> None:
        self._run.fetch(rows, numbers, tallies)
        self._snapshot.prefetch(rows, numbers, tallies)


class _CountedTransaction(_CountedSnapshot):
    def __init__(self, inner: Transaction, run: _Run) -> None:
        super().__init__(inner, run)
        self._inner = inner

    def put(self, key: bytes, value: bytes) -> None:
        self._run.wrote = True
        self._run.add([key])
        self._inner.put(key, value)

    def delete(self, key: bytes) -> None:
        self._run.wrote = True
        self._run.add([key])
        self._inner.delete(key)

    def delete_range(self, start: bytes, end: bytes) -> None:
        self._run.wrote = True
        self._run.add_span(start, end)
        self._inner.delete_range(start, end)

    def add_number(self, key: bytes, amount: int) -> int:
        self._run.wrote = True
        self._run.fetch(numbers=[key])
        return self._inner.add_number(key, amount)

    def add_tally(self, key: bytes, amount: int) -> None:
        self._run.wrote = True
        self._inner.add_tally(key, amount)

    def announce_long(self) -> None:
        self._inner.announce_long()
