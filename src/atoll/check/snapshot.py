"""Read a region in PostgreSQL for a check: a `Snapshot` over one connection that can also list counters.

All reads of a transaction see one state. Scans fetch rows page by page, and sort long keys by the whole key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from atoll.check.file import Tick
from atoll.storage.buffer import Row
from atoll.storage.postgresql import longkeys, statements
from atoll.storage.postgresql.direct import Direct

PAGE_ROWS = 2_000


class RegionSnapshot:
    is_remote = True

    def __init__(self, direct: Direct, schema: str, tick: Tick = lambda rows: None) -> None:
        self._direct = direct
        self._name = statements.quoted(schema)
        self._tick = tick

    def count(self) -> int:
        found: int = self._direct.value(f"select count(*) from {self._name}.rows")
        return found

    def get(self, key: bytes) -> bytes | None:
        return self.get_many([key])[0]

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        stored = [longkeys.stored_key(key) for key in keys]
        rows = self._direct.fetch(f"select key, value from {self._name}.rows where key = any($1::bytea[])", stored)
        found = dict([longkeys.full_row(key, value) for key, value in rows])
        return [found.get(key) for key in keys]

    def scan(self, start: bytes, end: bytes, *, reverse: bool = False, limit: int | None = None) -> Iterator[Row]:
        left = limit
        for page in self._pages(start, end, reverse, PAGE_ROWS if limit is None else min(limit, PAGE_ROWS)):
            self._tick(len(page))
            for row in page:
                if left == 0:
                    return
                if left is not None:
                    left -= 1
                yield row

    def _pages(self, start: bytes, end: bytes, reverse: bool, most: int) -> Iterator[list[Row]]:
        low, high = longkeys.first_stored(start), longkeys.end_stored(end)
        order = "desc" if reverse else "asc"
        page_of = f"select key, value from {self._name}.rows where key >= $1 and key < $2 order by key {order} limit $3"
        while low < high:
            rows = self._direct.fetch(page_of, low, high, most)
            if not rows:
                return
            last = rows[-1][0]
            is_cut = len(rows) == most
            if len(last) == longkeys.STORED_BYTES and is_cut:  # all rows with this stored key are sorted together
                prefix = last[: longkeys.PREFIX_BYTES]
                group = (prefix + b"\0", last) if reverse else (last + b"\0", prefix + b"\xff" * 33)
                rows += self._direct.fetch(page_of, *group, 1 << 60)
                last = prefix + (b"\0" if reverse else b"\xff" * 33)
            low, high = (low, last) if reverse else (last + b"\0", high)
            page = sorted([longkeys.full_row(key, value) for key, value in rows], reverse=reverse)
            yield [row for row in page if start <= row[0] < end]
            if not is_cut:
                return

    def first(self, ranges: Sequence[tuple[bytes, bytes]]) -> list[Row | None]:
        return [next(self.scan(*one, limit=1), None) for one in ranges]

    def number(self, key: bytes) -> int:
        return self._direct.value(f"select value from {self._name}.numbers where key = $1", key) or 0

    def tally(self, key: bytes) -> int:
        return self._direct.value(f"select value from {self._name}.tallies where key = $1", key) or 0

    def counters(self, start: bytes, end: bytes, *, tallies: bool) -> Iterator[tuple[bytes, int]]:
        table = "tallies" if tallies else "numbers"
        chosen = "key >= $1 and key < $2 and value <> 0 order by key"
        rows = self._direct.fetch(f"select key, value from {self._name}.{table} where {chosen}", start, end)
        return iter([(key, value) for key, value in rows])

    def prefetch(
        self, rows: Sequence[bytes] = (), numbers: Sequence[bytes] = (), tallies: Sequence[bytes] = ()
    ) -> None:
        """Not needed: checks announce no reads."""
