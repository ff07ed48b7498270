"""Counts the calls and the consumed units of a region, by table, index and operation, in memory.

A request is counted on each table that it names: the call, its duration and its result. Units and returned items are
counted on the table or index that consumed them. A request without a table is counted on the empty table name. So is a
user error on a table that has no tally yet: otherwise requests with invented names would fill the memory. When the
meter is full, it drops the tally that was used least recently.

The metrics call `take` once a minute. The meter keeps the totals since the start of the process.

Operations of other services than DynamoDB and its streams count without a table, by a name with that of the service:
`Lambda.Invoke`.

Operations that run PartiQL statements count by the kind of statement, too: `ExecuteStatement PartiQLSelect`,
`BatchExecuteStatement Read`. `plain` gives the operation of such a name.

A replica's region also counts its changes that other regions have applied, by table and region. The sender of
changes to Kinesis streams counts what it sends.

This module depends on no other part of Atoll's logic, so that `database.region` may import it; `capacity.units` and
`capacity.writing` have the arithmetic.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum

from atoll import arns
from atoll.clock import monotonic_ns
from atoll.errors import ApiError
from atoll.errors.capacity import THROTTLED
from atoll.errors.multi import CODES

Key = tuple[str, str | None, str]
"""Table, index (None is the table itself), operation with the kind of statement."""

TALLIES = 10_000

APPLYING = "Replication"
"""The operation that consumes units for changes from other regions."""

_FAILED_CONDITION = "ConditionalCheckFailedException"
_CONFLICT, _CONFLICT_REASON = "TransactionConflictException", "TransactionConflict"

_EXACT_BITS = 4
"""Latencies are counted in classes: by their four highest bits, which makes eight classes for each doubling."""


class Tally:
    """The counts of one table, index and operation since they were last taken."""

    __slots__ = (
        "bytes", "conflicted", "conflicts", "counts_bytes", "failed_conditions", "injected", "items", "latencies",
        "latency_ns", "pages", "reads", "reasons", "refused", "system_errors", "throttled", "user_errors", "writes",
    )  # fmt: skip

    def __init__(self) -> None:
        self.refused = self.items = self.pages = self.bytes = self.latency_ns = 0
        self.failed_conditions = self.throttled = self.user_errors = self.system_errors = 0
        self.conflicts = self.conflicted = self.injected = 0
        self.reads: dict[float, int] = defaultdict(int)
        """How many requests consumed so many read units."""
        self.writes: dict[float, int] = defaultdict(int)
        """How many requests consumed so many write units."""
        self.counts_bytes = False
        """Whether its units are the bytes of a vector index."""
        self.latencies: dict[int, int] = defaultdict(int)
        """How many successful calls took so many nanoseconds, or a little longer (see `_EXACT_BITS`)."""
        self.reasons: dict[str, int] = {}
        """How many events of throttling had each reason."""

    def returned(self, items: int) -> None:
        """Add the items that a request returned."""
        self.pages += 1
        self.items += items

    def succeeded(self, latency_ns: int) -> None:
        self.latency_ns += latency_ns
        dropped = latency_ns.bit_length() - _EXACT_BITS
        self.latencies[latency_ns >> dropped << dropped if dropped > 0 else latency_ns] += 1

    @property
    def calls(self) -> int:
        """All calls, including refused ones."""
        return sum(self.latencies.values()) + self.refused

    @property
    def read_units(self) -> float:
        return _sum_of(self.reads)

    @property
    def write_units(self) -> float:
        return _sum_of(self.writes)


def _sum_of(counts: Mapping[float, int]) -> float:
    return fsum(units * count for units, count in counts.items())


@dataclass(frozen=True, slots=True)
class Measured:
    """The totals of a table or an index for one operation, since the process started."""

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
    injected: int
    """The number of faults on demand."""
    latencies: Mapping[int, int]
    """See `Tally`."""
    counts_bytes: bool = False
    """See `Tally`."""

    def plus(self, other: Measured) -> Measured:
        """The sum, for the same table, index and operation."""
        latencies = dict(self.latencies)
        for class_ns, count in other.latencies.items():
            latencies[class_ns] = latencies.get(class_ns, 0) + count
        return replace(
            self,
            **{name: getattr(self, name) + getattr(other, name) for name in _SUMS},
            latencies=latencies,
            counts_bytes=self.counts_bytes or other.counts_bytes,
        )


_SUMS = (
    "calls", "failed_conditions", "injected", "items", "latency_ms", "read_units", "system_errors", "throttled",
    "user_errors", "write_units",
)  # fmt: skip


@dataclass(slots=True)
class Replicated:
    """The changes of a table that this region made and another one applied."""

    table: str
    receiver: str
    """The region that applied them."""
    changes: int = 0
    latency_ms: int = 0
    """In all, from the commit here to the application there."""
    longest_ms: int = 0
    """The greatest of these latencies."""
    pending: int | None = None
    """Changes that the last answer to that region left; None except in a global table of 2017."""

    def arrived(self, changes: int, latency_ms: int, longest_ms: int) -> None:
        self.changes += changes
        self.latency_ms += latency_ms
        self.longest_ms = max(self.longest_ms, longest_ms)


@dataclass(slots=True)
class Sent:
    """What became of a table's changes on their way to Kinesis streams."""

    puts: int = 0
    units: float = 0.0
    """Of change data capture."""
    failed: int = 0
    """Records that no stream can take."""
    throttled: int = 0
    """Records that a stream refused for a while."""
    oldest_ms: int | None = None
    """The greatest age of a record when it was about to be sent."""

    def waited(self, age_ms: int) -> None:
        self.oldest_ms = max(0, age_ms, self.oldest_ms or 0)

    def ended(self, units: Sequence[float], failed: int) -> None:
        """Records were sent, and others will never be."""
        self.puts += len(units)
        self.units += sum(units)
        self.failed += failed


class Several:
    """The tallies of an operation on several tables, as `Meter.current`."""

    def __init__(self, tallies: Sequence[Tally]) -> None:
        self._tallies = tallies

    def succeeded(self, latency_ns: int) -> None:
        for tally in self._tallies:
            tally.succeeded(latency_ns)


class Meter:
    def __init__(self, now_ns: Callable[[], int] = monotonic_ns, most: int = TALLIES) -> None:
        self.now_ns = now_ns
        """A clock that never goes back."""
        self.current: Tally | Several | None = None
        """The tallies of the operation that is about to return, so that `succeeded` need not look it up. Set it only
        after the operation's last `await`; its caller takes it in the same turn of the event loop."""
        self._most = most
        self._tallies: dict[Key, Tally] = {}
        self._totals: dict[Key, Measured] = {}
        """The sums of the tallies that were taken."""
        self._replicated: dict[tuple[str, str], Replicated] = {}
        self._has_replicated = False
        self._expired: dict[tuple[int, str], int] = {}
        """The items that time to live has deleted, by transaction and table: a transaction may run again."""
        self._sent: dict[str, Sent] = {}
        """By table."""

    def tally(self, table: str, index: str | None, operation: str) -> Tally:
        """The tally to add to. Use it at once and do not keep it: the meter may drop it."""
        key = table, index, operation
        found = self._tallies.get(key)
        return self._new(key) if found is None else found

    def of_vectors(self, table: str, index: str, operation: str) -> Tally:
        """The tally of a vector index, whose units are bytes."""
        found = self.tally(table, index, operation)
        found.counts_bytes = True
        return found

    def of_all(self, tables: Iterable[str], operation: str) -> Several:
        """The tallies of a request on these tables."""
        return Several([self.tally(table, None, operation) for table in tables])

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
            tally.succeeded(latency_ns)

    def failed(self, operation: str, tables: Iterable[str], error: ApiError) -> None:
        """Count a request that ended with an error."""
        self.current = None
        codes = _codes(error)
        throttled = not codes.keys().isdisjoint(THROTTLED)
        for table in tables:
            key = table, None, operation
            known = throttled or error.status >= 500 or key in self._tallies or key in self._totals
            tally = self.tally(table if known else "", None, operation)
            tally.refused += 1
            if error.status >= 500:
                tally.system_errors += 1
            elif throttled:
                tally.throttled += 1
            elif _FAILED_CONDITION in codes:
                tally.failed_conditions += 1
            else:
                tally.user_errors += 1
            conflicts = codes.get(_CONFLICT)
            if conflicts:
                tally.conflicts += conflicts
                tally.conflicted += 1
        self.throttled(operation, error, once=True)

    def throttled(self, operation: str, error: ApiError, *, once: bool = False) -> None:
        """Count the throttling events in the refusal of a request or of a part of one. `once`: the request itself was
        refused, so each index that the error names also counts one throttled request."""
        for table, index, reason in _throttling(error):
            tally = self.tally(table, index, operation)
            tally.reasons[reason] = tally.reasons.get(reason, 0) + 1
            if once and index is not None:
                tally.throttled += 1

    @property
    def is_used(self) -> bool:
        """Whether anything was counted since the last `take`."""
        return bool(self._tallies or self._expired or self._sent or self._has_replicated)

    def take(self) -> dict[Key, Tally]:
        """The tallies since the last call; the caller may keep them."""
        taken, self._tallies = self._tallies, {}
        self._has_replicated = False
        for key, tally in taken.items():
            total = self._totals.pop(key, None)
            if total is None and len(self._totals) >= self._most:
                del self._totals[next(iter(self._totals))]
            taken_here = _measured(key, tally)
            self._totals[key] = (
                taken_here if total is None else total.plus(taken_here)
            )  # behind those that were used less recently
        return taken

    def expired(self, table: str, deleted: int, commit: int) -> None:
        """Count expired items of a table that a transaction deletes, when it commits."""
        self._expired[commit, table] = deleted

    def take_expired(self) -> dict[str, int]:
        """The deletions since the last call, by table."""
        taken, self._expired = self._expired, {}
        found: dict[str, int] = {}
        for (_, table), deleted in taken.items():
            found[table] = found.get(table, 0) + deleted
        return found

    def sent(self, table: str) -> Sent:
        """The tally of a table's changes for Kinesis, to add to at once, as `tally`."""
        return self._sent.setdefault(table, Sent())

    def take_sent(self) -> dict[str, Sent]:
        taken, self._sent = self._sent, {}
        return taken

    def replicated(self, table: str, receiver: str) -> Replicated:
        """The tally of a table's changes for another region, to add to at once, as `tally`."""
        self._has_replicated = True
        found = self._replicated.get((table, receiver))
        if found is None:
            if len(self._replicated) >= self._most:
                del self._replicated[next(iter(self._replicated))]
            found = self._replicated[table, receiver] = Replicated(table, receiver)
        return found

    def replication(self) -> tuple[Replicated, ...]:
        """A copy of the tallies of all replicas."""
        return tuple(replace(one) for one in self._replicated.values())

    def snapshot(self) -> tuple[Measured, ...]:
        """All tallies since the process started."""
        sums: dict[Key, Measured] = {}
        current = ((key, _measured(key, tally)) for key, tally in self._tallies.items())
        for (table, index, operation), part in (*self._totals.items(), *current):
            key = table, index, plain(operation)
            sums[key] = sums[key].plus(part) if key in sums else replace(part, operation=key[2])
        return tuple(sums.values())


def other_service(service: str, operation: str) -> str:
    """The name by which the meter counts an operation of another service than DynamoDB and its streams."""
    return f"{service}.{operation}"


def service_of(operation: str) -> str | None:
    """The service in such a name; None for an operation of DynamoDB or its streams."""
    service, dot, _ = operation.rpartition(".")
    return service if dot else None


def plain(operation: str) -> str:
    """The operation without the kind of statement."""
    return operation.partition(" ")[0]


def _measured(key: Key, tally: Tally) -> Measured:
    return Measured(
        *key, tally.calls, tally.read_units, tally.write_units, tally.items, tally.throttled, tally.failed_conditions,
        tally.user_errors, tally.system_errors, tally.latency_ns / 1_000_000, tally.injected, tally.latencies,
        tally.counts_bytes,
    )  # fmt: skip


def _codes(error: ApiError) -> dict[str, int]:
    """The error's code; for a cancelled transaction, also how many of its reasons have each code."""
    found = {error.code: 1}
    if error.fields:
        for reason in error.fields.get("CancellationReasons", ()):
            code = _LONG_CODES.get(reason["Code"])
            if code is not None:
                found[code] = found.get(code, 0) + 1
    return found


_LONG_CODES = {short: code for code, short in CODES.items()} | {_CONFLICT_REASON: _CONFLICT}


def _throttling(error: ApiError) -> Iterator[tuple[str, str | None, str]]:
    """The table, the index or None, and the reason of each throttling event in the error."""
    fields = error.fields or {}
    for part in (fields, *fields.get("CancellationReasons", ())):
        for reason in part.get("ThrottlingReasons") or part.get("throttlingReasons") or ():
            arn = arns.parse(reason["resource"])
            if arn is not None and arn.table:
                yield arn.table, arn.resource.partition("/index/")[2] or None, reason["reason"]
