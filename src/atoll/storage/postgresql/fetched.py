"""The rows and counters fetched from the store, as a `Snapshot`.

`Missing` ends a function that reads anything else, and the read is recorded. The engine fetches the recorded reads of
all functions of a batch together, and runs the functions again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from atoll.storage.buffer import Row

FIRST_ROWS = 100
"""The rows in the first page of a scan without a limit; each further page is `GROWTH` times as large."""
GROWTH = 10
MOST_ROWS = 10_000

_UNKNOWN = b"not fetched"
"""Compared by identity: catching a KeyError costs more."""


class Missing(BaseException):
    """Ends a function that reads data not fetched. A BaseException, so that no function catches it."""


class Scanned:
    """The first rows of a range, in the direction of the scan."""

    __slots__ = ("complete", "resume", "rows")

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.complete = False
        self.resume: bytes | None = None
        """Where the next page begins (ends, in reverse), as a stored key. None: nothing was read."""


Span = tuple[bytes, bytes, bool]
"""Start, end, and whether it is read in reverse."""


class Fetched:
    """`ride_along` are numbers that come with every fetch, with their values of the last one: a first run may use them,
    but its result does not count."""

    __slots__ = (
        "commits", "is_as_known", "is_torn", "is_torn_along", "numbers", "ride_along", "rows", "scans", "size",
        "tallies", "trips", "wants_numbers", "wants_rows", "wants_scans", "wants_tallies",
    )  # fmt: skip

    is_remote = True

    def __init__(self, ride_along: dict[bytes, int]) -> None:
        self.ride_along = ride_along
        self.rows: dict[bytes, bytes | None] = {}
        self.numbers = dict(ride_along)
        self.tallies: dict[bytes, int] = {}
        self.scans: dict[Span, Scanned] = {}
        self.wants_rows: set[bytes] = set()
        self.wants_numbers: set[bytes] = set()
        self.wants_tallies: set[bytes] = set()
        self.wants_scans: dict[Span, int] = {}
        self.trips = 0
        self.size = 0
        """Bytes of the values."""
        self.commits: int | None = None
        """The number of commits at the first fetch."""
        self.is_torn = False
        """Whether there were commits between the fetches, so it is no snapshot."""
        self.is_as_known = True
        """Whether the numbers that ride along came as they were known before the first fetch."""
        self.is_torn_along = False
        """Whether numbers that ride along have changed between the fetches."""

    # Reads

    def get(self, key: bytes) -> bytes | None:
        value = self.rows.get(key, _UNKNOWN)
        if value is _UNKNOWN:
            self.wants_rows.add(key)
            raise Missing
        return value

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        rows = self.rows
        missing = [key for key in keys if key not in rows]
        if missing:
            self.wants_rows.update(missing)
            raise Missing
        return [rows[key] for key in keys]

    def scan(self, start: bytes, end: bytes, *, reverse: bool = False, limit: int | None = None) -> Iterator[Row]:
        if start >= end or limit == 0:
            return iter(())
        span = (start, end, reverse)
        scanned = self.scans.get(span)
        if scanned is None:
            self._want(span, 0, limit)
            raise Missing
        if scanned.complete or (limit is not None and len(scanned.rows) >= limit):
            return islice(scanned.rows, limit)
        return self._rows(span, scanned, limit)

    def _rows(self, span: Span, scanned: Scanned, limit: int | None) -> Iterator[Row]:
        yield from scanned.rows
        self._want(span, len(scanned.rows), limit)
        raise Missing

    def _want(self, span: Span, has: int, limit: int | None) -> None:
        more = min(MOST_ROWS, max(FIRST_ROWS, has * (GROWTH - 1))) if limit is None else limit - has
        self.wants_scans[span] = max(more, self.wants_scans.get(span, 0))

    def first(self, ranges: Sequence[tuple[bytes, bytes]]) -> list[Row | None]:
        found: list[Row | None] = []
        for start, end in ranges:
            scanned = self.scans.get((start, end, False))
            if start >= end:
                found.append(None)
            elif scanned is None:
                self._want((start, end, False), 0, 1)
            else:
                found.append(scanned.rows[0] if scanned.rows else None)
        if len(found) < len(ranges):
            raise Missing
        return found

    def number(self, key: bytes) -> int:
        value = self.numbers.get(key)
        if value is None:
            self.wants_numbers.add(key)
            raise Missing
        return value

    def tally(self, key: bytes) -> int:
        value = self.tallies.get(key)
        if value is None:
            self.wants_tallies.add(key)
            raise Missing
        return value

    def prefetch(
        self, rows: Sequence[bytes] = (), numbers: Sequence[bytes] = (), tallies: Sequence[bytes] = ()
    ) -> None:
        lacks = False
        for wanted, found, wants in (
            (rows, self.rows, self.wants_rows),
            (numbers, self.numbers, self.wants_numbers),
            (tallies, self.tallies, self.wants_tallies),
        ):
            for key in wanted:
                if key not in found:
                    wants.add(key)
                    lacks = True
        if lacks:
            raise Missing

    # For the engine

    @property
    def wants(self) -> bool:
        return bool(self.wants_rows or self.wants_numbers or self.wants_tallies or self.wants_scans)

    def want_nothing(self) -> None:
        for wants in (self.wants_rows, self.wants_numbers, self.wants_tallies, self.wants_scans):
            if wants:
                wants.clear()

    def again(self) -> Fetched:
        """A new one that wants all that this one has."""
        other = Fetched(self.ride_along)
        other.wants_rows.update(self.rows)
        other.wants_numbers.update(self.numbers)
        other.wants_tallies.update(self.tallies)
        for span, scanned in self.scans.items():
            # One row more than there was tells whether the scan is still complete.
            other.wants_scans[span] = len(scanned.rows) + (1 if scanned.complete else 0)
        return other

    def equals(self, other: Fetched) -> bool:
        """Whether functions that have run on this one would have seen the same on the other one."""
        return (
            not self.is_torn_along
            and self.rows == other.rows
            and self.numbers == other.numbers
            and self.tallies == other.tallies
            and all(
                scanned.rows == other.scans[span].rows and scanned.complete <= other.scans[span].complete
                for span, scanned in self.scans.items()
            )
        )
