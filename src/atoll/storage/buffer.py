"""The writes of one transaction, buffered until its function has returned.

A `Buffer` is a `Transaction` over any `Snapshot`. It keeps rows by key (None: deleted), deleted ranges, the new values
of numbers, and the amounts added to tallies. Deleting a range drops the rows buffered inside it, so the range hides
rows of the base only. An engine applies `cleared` before `rows`. To roll back, it discards the buffer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from atoll.storage.engine import Long, Snapshot

Row = tuple[bytes, bytes]


class Buffer:
    __slots__ = ("_base", "_in_loop", "cleared", "is_remote", "numbers", "rows", "size", "tallies")

    def __init__(self, base: Snapshot, in_loop: bool = False) -> None:
        """`in_loop`: the function runs on the event loop, so it must not take long."""
        self._base = base
        self._in_loop = in_loop
        self.is_remote = base.is_remote
        self.rows: dict[bytes, bytes | None] = {}
        self.cleared: list[tuple[bytes, bytes]] = []
        self.numbers: dict[bytes, int] = {}
        self.tallies: dict[bytes, int] = {}
        self.size = 0
        """The bytes of all values put."""

    def get(self, key: bytes) -> bytes | None:
        if key in self.rows:
            return self.rows[key]
        if self.cleared and _within(key, self.cleared):
            return None
        return self._base.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        if not self.rows and not self.cleared:
            return self._base.get_many(keys)
        below = [key for key in keys if key not in self.rows and not _within(key, self.cleared)]
        found = dict(zip(below, self._base.get_many(below), strict=True))
        return [self.rows[key] if key in self.rows else found.get(key) for key in keys]

    def scan(self, start: bytes, end: bytes, *, reverse: bool = False, limit: int | None = None) -> Iterator[Row]:
        """Sees writes made before the call, not writes made while its rows are read."""
        own = sorted([row for row in self.rows.items() if start <= row[0] < end], reverse=reverse)
        cleared = [span for span in self.cleared if span[0] < end and start < span[1]]
        if not own and not cleared:
            return self._base.scan(start, end, reverse=reverse, limit=limit)
        # Each buffered row hides at most one row of the base.
        most = None if limit is None or cleared else limit + len(own)
        base = self._base.scan(start, end, reverse=reverse, limit=most)
        if cleared:
            base = (row for row in base if not _within(row[0], cleared))
        return islice(_merge(base, own, reverse), limit)

    def first(self, ranges: Sequence[tuple[bytes, bytes]]) -> list[Row | None]:
        if self.is_remote:
            self._base.first(ranges)  # all ranges in one round trip
        return [next(iter(self.scan(*one, limit=1)), None) for one in ranges]

    def number(self, key: bytes) -> int:
        value = self.numbers.get(key)
        return self._base.number(key) if value is None else value

    def tally(self, key: bytes) -> int:
        return self._base.tally(key) + self.tallies.get(key, 0)

    def prefetch(
        self, rows: Sequence[bytes] = (), numbers: Sequence[bytes] = (), tallies: Sequence[bytes] = ()
    ) -> None:
        self._base.prefetch(rows, numbers, tallies)

    def put(self, key: bytes, value: bytes) -> None:
        self.rows[key] = value
        self.size += len(value)

    def delete(self, key: bytes) -> None:
        self.rows[key] = None

    def delete_range(self, start: bytes, end: bytes) -> None:
        for key in [key for key in self.rows if start <= key < end]:
            del self.rows[key]
        self.cleared.append((start, end))

    def add_number(self, key: bytes, amount: int) -> int:
        value = self.numbers[key] = self.number(key) + amount
        return value

    def add_tally(self, key: bytes, amount: int) -> None:
        self.tallies[key] = self.tallies.get(key, 0) + amount

    def announce_long(self) -> None:
        if self._in_loop:
            raise Long


def _within(key: bytes, spans: list[tuple[bytes, bytes]]) -> bool:
    return any(start <= key < end for start, end in spans)


def _merge(base: Iterator[Row], own: list[tuple[bytes, bytes | None]], reverse: bool) -> Iterator[Row]:
    """Merge two ordered runs. Where both have a key, the buffered row hides the base's row."""
    below = next(base, None)
    for key, value in own:
        while below is not None and (below[0] > key if reverse else below[0] < key):
            yield below
            below = next(base, None)
        if below is not None and below[0] == key:
            below = next(base, None)
        if value is not None:
            yield key, value
    if below is not None:
        yield below
        yield from base
