"""Counts the calls and the consumed units of a region, by table, index and operation, in memory since process start.

A request counts on each table that it names: the call, its duration and its result. Units and returned items count on
the table or index that consumed them. A request without a table counts on the empty table name. So does a user error
on a table that has no tally yet: otherwise requests with invented names would fill the memory. When there is no room
for another tally, the meter drops the oldest one.

A replica's region also counts the changes that it has applied, by table and the region that made them.

This module knows names and numbers only, so that `database.region` may import it; `capacity.units` and
`capacity.writing` have the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from atoll import arns
from atoll.clock import monotonic_ns
from atoll.errors import ApiError
from atoll.errors.capacity import THROTTLED
from atoll.errors.multi import CODES

Key = tuple[str, str | None, str]
"""Table, index (None is the table itself), operation."""

TALLIES = 10_000

_FAILED_CONDITION = "ConditionalCheckFailedException"


class Tally:
    __slots__ = (
        "calls", "failed_conditions", "items", "latency_ns", "read_units", "system_errors", "throttled", "user_errors",
        "write_units",
    )  # fmt: skip

    def __init__(self) -> None:
        self.calls = self.items = self.latency_ns = 0
        self.failed_conditions = self.throttled = self.user_errors = self.system_errors = 0
        self.read_units = self.write_units = 0.0


@dataclass(frozen=True, slots=True)
class Measured:
    """A copy of a tally at one time."""

    table: str
    index: str | None
    operation: str
    calls: int
    """All calls, including refused ones."""
    read_units: float
    write_units: float
    items: int
    """Returned items."""
    throttled: int
    """Throttled requests."""
    failed_conditions: int
    user_errors: int
    system_errors: int
    latency_ms: float
    """The total duration of successful calls."""


@dataclass(slots=True)
class Replicated:
    """The changes of a table that one region made and this one applied."""

    table: str
    source: str
    """The region that made them."""
    changes: int = 0
    latency_ms: int = 0
    """In all, from the commit there to the application here."""
    longest_ms: int = 0
    """The greatest of these latencies."""
    pending: int = 0
    """Changes that the region had, but had not sent, with its last answer."""

    def arrived(self, latencies_ms: Sequence[int]) -> None:
        self.changes += len(latencies_ms)
        self.latency_ms += sum(latencies_ms)
        self.longest_ms = max(self.longest_ms, *latencies_ms)


class Meter:
    def __init__(self, now_ns: Callable[[], int] = monotonic_ns, most: int = TALLIES) -> None:
        self.now_ns = now_ns
        """A clock that never goes back."""
        self.current: Tally | None = None
        """The tally of the operation that is about to return, so that `succeeded` need not look it up. Set it only
        after the operation's last `await`; its caller takes it in the same turn of the event loop."""
        self._most = most
        self._tallies: dict[Key, Tally] = {}
        self._replicated: dict[tuple[str, str], Replicated] = {}

    def tally(self, table: str, index: str | None, operation: str) -> Tally:
        """The tally to add to. Use it at once and do not keep it: the meter may drop it."""
        key = table, index, operation
        found = self._tallies.get(key)
        return self._new(key) if found is None else found

    def _new(self, key: Key) -> Tally:
        if len(self._tallies) >= self._most:
            del self._tallies[next(iter(self._tallies))]
        made = self._tallies[key] = Tally()
        return made

    def succeeded(self, operation: str, tables: Iterable[str], started_ns: int) -> None:
        """Count a successful request that began at `started_ns`."""
        latency_ns = self.now_ns() - started_ns
        for table in tables:
            tally = self.tally(table, None, operation)
            tally.calls += 1
            tally.latency_ns += latency_ns

    def failed(self, operation: str, tables: Iterable[str], error: ApiError) -> None:
        """Count a request that ended with an error."""
        self.current = None
        codes = _codes(error)
        throttled = not codes.isdisjoint(THROTTLED)
        for table in tables:
            known = (table, None, operation) in self._tallies
            tally = self.tally(table if known or throttled else "", None, operation)
            tally.calls += 1
            if error.status >= 500:
                tally.system_errors += 1
            elif throttled:
                tally.throttled += 1
            elif _FAILED_CONDITION in codes:
                tally.failed_conditions += 1
            else:
                tally.user_errors += 1
        for table, index in _throttled_indexes(error):
            self.tally(table, index, operation).throttled += 1

    def replicated(self, table: str, source: str) -> Replicated:
        """The tally of a table's changes from another region, to add to at once, as `tally`."""
        found = self._replicated.get((table, source))
        if found is None:
            if len(self._replicated) >= self._most:
                del self._replicated[next(iter(self._replicated))]
            found = self._replicated[table, source] = Replicated(table, source)
        return found

    def replication(self) -> tuple[Replicated, ...]:
        """A copy of the tallies of all replicas."""
        return tuple(replace(one) for one in self._replicated.values())

    def snapshot(self) -> tuple[Measured, ...]:
        return tuple(
            Measured(
                *key, one.calls, one.read_units, one.write_units, one.items, one.throttled, one.failed_conditions,
                one.user_errors, one.system_errors, one.latency_ns / 1_000_000,
            )
            for key, one in self._tallies.items()
        )  # fmt: skip


def _codes(error: ApiError) -> set[str]:
    """The error's code; for a cancelled transaction, the codes of its reasons."""
    reasons = (error.fields or {}).get("CancellationReasons", ())
    told = {reason["Code"] for reason in reasons}
    return {error.code, *(code for code, short in CODES.items() if short in told)}


def _throttled_indexes(error: ApiError) -> Iterator[tuple[str, str]]:
    fields = error.fields or {}
    for reason in fields.get("ThrottlingReasons") or fields.get("throttlingReasons") or ():
        arn = arns.parse(reason["resource"])
        if arn is not None and "/index/" in arn.resource:
            yield arn.table, arn.resource.partition("/index/")[2]
