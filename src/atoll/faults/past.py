"""The earlier state of a region, for stale reads.

While a rule asks for it, writes record the old value of each row that they change. A stale read runs on a snapshot in
which recently changed rows of its tables have their old values. Definitions, counters and other tables have their
present values.
"""

from __future__ import annotations

import copy
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence, Set
from heapq import merge
from typing import Any, TypeVar

from atoll.database import format as fmt
from atoll.database.region import Region
from atoll.storage.engine import Snapshot, Transaction
from atoll.versions import Stamp

T = TypeVar("T")

MOST_ROWS = 100_000
"""The most changed rows that are recorded; beyond that, reads are less stale."""


class Past:
    """The recent changes of a region."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._changes: deque[tuple[int, bytes, bytes | None]] = deque(maxlen=MOST_ROWS)
        """When each row was changed, and what it was before."""
        region.write = self._write  # type: ignore[method-assign]
        region.transact = self._transact  # type: ignore[method-assign]

    def end(self) -> None:
        """Stop recording."""
        del self._region.write, self._region.transact

    def view(self, spaces: Set[int], now_ms: int, lag_ms: int) -> Region:
        """The region with the rows of these spaces as they were `lag_ms` ago."""
        rows: dict[bytes, bytes | None] = {}
        for changed_ms, key, before in reversed(self._changes):
            if changed_ms <= now_ms - lag_ms:
                break
            if fmt.space_of(key) in spaces:
                rows[key] = before
        if not rows:
            return self._region
        ordered = sorted(rows)

        def read(fn: Callable[[Snapshot], T]) -> Coroutine[Any, Any, T]:
            return self._region.read(lambda snapshot: fn(_Before(snapshot, rows, ordered)))

        view = copy.copy(self._region)
        view.read = read  # type: ignore[method-assign]
        return view

    def forget(self, before_ms: int) -> None:
        """Drop the changes up to this time."""
        while self._changes and self._changes[0][0] <= before_ms:
            self._changes.popleft()

    async def _write(self, fn: Callable[[Transaction, Stamp], T]) -> T:
        noted: dict[bytes, bytes | None] = {}
        result = await Region.write(self._region, lambda tx, stamp: fn(_noting(tx, noted), stamp))
        self._note(noted)
        return result

    async def _transact(self, fn: Callable[[Transaction], T]) -> T:
        noted: dict[bytes, bytes | None] = {}
        result = await Region.transact(self._region, lambda tx: fn(_noting(tx, noted)))
        self._note(noted)
        return result

    def _note(self, rows: dict[bytes, bytes | None]) -> None:
        now_ms = self._region.clock.now_ms()
        self._changes.extend((now_ms, key, before) for key, before in rows.items())


def _noting(tx: Transaction, noted: dict[bytes, bytes | None]) -> Any:
    noted.clear()  # an earlier run of the function was not committed
    return _Noting(tx, noted)


class _Noting:
    """A transaction that records the old values of the rows that it changes."""

    def __init__(self, tx: Transaction, noted: dict[bytes, bytes | None]) -> None:
        self._tx = tx
        self._noted = noted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)

    def put(self, key: bytes, value: bytes) -> None:
        if key not in self._noted:
            self._noted[key] = self._tx.get(key)
        self._tx.put(key, value)

    def delete(self, key: bytes) -> None:
        if key not in self._noted:
            self._noted[key] = self._tx.get(key)
        self._tx.delete(key)


class _Before:
    """A snapshot in which some rows have older values."""

    def __init__(self, snapshot: Snapshot, rows: dict[bytes, bytes | None], ordered: list[bytes]) -> None:
        self._snapshot = snapshot
        self._rows = rows
        self._ordered = ordered

    def __getattr__(self, name: str) -> Any:
        return getattr(self._snapshot, name)

    def get(self, key: bytes) -> bytes | None:
        return self._rows[key] if key in self._rows else self._snapshot.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        found = self._snapshot.get_many(keys)
        return [self._rows.get(key, value) for key, value in zip(keys, found, strict=True)]

    def scan(
        self, start: bytes, end: bytes, *, reverse: bool = False, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        own = self._ordered[bisect_left(self._ordered, start) : bisect_left(self._ordered, end)]
        more = None if limit is None else limit + len(own)
        before = [(key, value) for key in own if (value := self._rows[key]) is not None]
        now = (row for row in self._snapshot.scan(start, end, reverse=reverse, limit=more) if row[0] not in self._rows)
        rows = merge(now, reversed(before) if reverse else before, reverse=reverse)
        for count, row in enumerate(rows):
            if count == limit:
                return
            yield row

    def first(self, ranges: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes] | None]:
        return [next(self.scan(*range_, limit=1), None) for range_ in ranges]
