"""One region of one account: its store, catalog cache and clocks. Every operation gets a `Region`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from atoll import arns, limits
from atoll.arns import Arn
from atoll.capacity.meter import Meter
from atoll.clock import Clock
from atoll.database import catalog
from atoll.database import format as fmt
from atoll.database.catalog import Catalog
from atoll.database.health import Health
from atoll.database.schema import Index, Table
from atoll.database.stream_readers import StreamReaderLimit
from atoll.errors import ApiError
from atoll.storage.engine import Corrupt, Damaged, Engine, Snapshot, T, Transaction, Unavailable
from atoll.versions import HybridClock, Stamp

DEFAULT_ACCOUNT = "000000000000"

F = TypeVar("F")


@dataclass(frozen=True)
class Settings:
    account: str = DEFAULT_ACCOUNT
    control_plane_delay_ms: int = 0
    """How long CREATING, UPDATING and DELETING last."""
    error_style: str = "2026"
    """Either "classic" or "2026": the wording of validation errors."""
    ttl_delay_ms: int = 0
    """How long expired items stay before they are deleted."""
    ttl_rate: int | None = None
    """The maximum number of expired items to delete per second; None is unlimited."""
    strict_stream_readers: bool = False
    """Whether a third reader of a shard is throttled, as the service does."""
    quotas: bool = True
    """Whether account quotas, and limits on how often a table may change, are enforced."""
    evaluates_policies: bool = False
    """Whether callers are authorized by policies."""
    throttling: str = "on"
    """Either "off", "on" (by the throughput of tables and indexes), or "full" (also by partition keys and growth)."""


class Signal:
    """Wakes tasks that wait for the next commit of this process."""

    def __init__(self) -> None:
        self.is_unused = True
        """No task has waited yet."""
        self._waiting: list[asyncio.Future[None]] = []

    def tell(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def wait(self, seconds: float) -> None:
        self.is_unused = False
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await asyncio.wait((future,), timeout=seconds)


class Neighbours(Protocol):
    """The other regions that may have replicas of this region's tables."""

    def replicable(self, region: str) -> bool:
        """Whether tables may have replicas in the region of this name."""

    async def ask(self, source: str, target: str, message: Any) -> Any:
        """See `replication.exchange.Exchange`."""


class Replicas(Protocol):
    """Read-only copies of the store, which lag behind it."""

    async def read(self, fn: Callable[[Snapshot], T]) -> T:
        """As the engine's `read`."""


class Refused(Exception):
    """The database refused a statement."""


class Database(Protocol):
    """The PostgreSQL that has the region's store, for what is derived from the store and kept beside it."""

    @property
    def schema(self) -> str:
        """The region's, as SQL has it."""

    async def run(self, use: Callable[[Any], Awaitable[T]]) -> T:
        """Use a connection once. Raises `Refused`, or `Unavailable` if the connection is lost."""


class Buckets(Protocol):
    """Token buckets: each has a number and is refilled at a rate in units a second."""

    def level(self, number: int, rate: float) -> float: ...

    def draw(self, number: int, rate: float, units: float, now_ms: int) -> bool:
        """Take the units if the bucket is above zero; returns whether it was. `now_ms` is the time of the request."""

    def take(self, number: int, rate: float, units: float) -> None: ...

    def fill(self, number: int) -> None: ...

    def forget(self) -> None:
        """Make all buckets full again."""


class KeyRanges(Protocol):
    """The limits of `--throttling full`; see `capacity.key_ranges`. A draw is a table, a global index or None, Read or
    Write, the key of a row, and units."""

    @property
    def waits_until(self) -> float:
        """The time until which a write may be throttled."""

    def exhausted(
        self,
        table: Table,
        index: Index | None,
        kind: str,
        key: bytes,
        now_ms: int,
        pending: Mapping[int, float] | None = None,
    ) -> str | None: ...

    def costs(
        self, draws: Iterable[tuple[Table, Index | None, str, bytes, float]], now_ms: int
    ) -> dict[int, float]: ...

    def take(
        self, table: Table, index: Index | None, kind: str, key: bytes, units: float, now_ms: int, whole: bool = True
    ) -> None:
        """Charge units. Unless `whole`, the key is only the beginning of row keys."""

    def read(self, table: Table, key: bytes, units: float, now_ms: int) -> str | None: ...

    def wrote(self, table: Table, key: bytes, units: float, now_ms: int) -> None: ...

    def forget(self) -> None: ...


class Observer(Protocol):
    """Observes the row keys of requests, for contributor insights; see `insights.observing`."""

    def throttled(self, table: Table, index: Index | None, key: bytes) -> None:
        """A request was throttled at this key."""

    def conditional(self, table: Table, key: bytes, *, failed: bool) -> None:
        """A write with a condition was decided."""


@dataclass(eq=False)
class Region:
    name: str
    engine: Engine
    clock: Clock
    settings: Settings = field(default_factory=Settings)
    endpoint: str = "127.0.0.1:8000"
    """Host and port at which clients reach this region."""
    wake: Callable[[], None] = lambda: None
    """Wake the background work: a job may be due."""
    catalog: Catalog = field(default_factory=Catalog)
    readers: StreamReaderLimit = field(default_factory=StreamReaderLimit)
    replicas: Replicas | None = None
    """Serve eventually consistent reads; None if the store has none."""
    database: Database | None = None
    """None unless the store is in PostgreSQL."""
    buckets: Buckets | None = None
    """None disables throttling."""
    key_ranges: KeyRanges | None = None
    """None unless throttling is "full", or a table has contributor insights."""
    observer: Observer | None = None
    """None unless a table has contributor insights."""
    committed: Signal = field(default_factory=Signal)
    neighbours: Neighbours | None = None
    """None if tables cannot have replicas."""
    other_region: Callable[[str], Region] | None = None
    """Returns another region of this node; raises for one that the node does not serve. None if the node has one
    region."""
    meter: Meter = field(default_factory=Meter)
    health: Health = field(default_factory=Health)
    throttled: set[tuple[str, str | None, str]] = field(default_factory=set)
    """The table, index and kind (Read or Write) of each throttling that has been logged."""
    key: str = ""
    """The region's key within the node: its name; for accounts other than the default one, `<account>/<name>`."""
    versions: HybridClock = field(init=False)
    _states: dict[Callable[[Region], Any], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.key = self.key or self.name
        self.health.locate = self.locate
        self.versions = HybridClock(self.clock, self.name)
        self._has_greatest_time = False

    def state(self, kind: Callable[[Region], T]) -> T:
        """The state that a service keeps in memory for this region. `kind` creates it at its first use, and again after
        the store was set back (`rewind`)."""
        found: T | None = self._states.get(kind)
        if found is None:
            found = self._states[kind] = kind(self)
        return found

    def named(self, name: str) -> Region:
        """This region, or another one of its account and node. Raises for one that the node does not serve."""
        return self if name == self.name or self.other_region is None else self.other_region(name)

    @property
    def charges_statements(self) -> bool:
        """Whether an update's statement may be no larger than an item."""
        return self.settings.error_style == "2026" and self.name not in limits.REGIONS_WITHOUT_STATEMENT_SIZES

    def locate(self, damage: Damaged) -> str:
        """The error, with the table that the damaged row belongs to and the hash of its partition key."""
        space = fmt.space_of(damage.key)
        for table in self.catalog.known.tables.values():
            if space in table.spaces:
                return f"{damage}; table {table.name}, key hash {fmt.hash_of(damage.key).hex()}"
        return str(damage)

    # Every request awaits one of these, so they return the engine's coroutine instead of waiting for it themselves.

    def read(self, fn: Callable[[Snapshot], T]) -> Coroutine[Any, Any, T]:
        """As the engine's `read`."""
        if self.catalog.misses and self.catalog.is_outdated:
            return self._learn(self.read, fn)
        return self.engine.read(fn)

    def read_eventually(self, fn: Callable[[Snapshot], T]) -> Coroutine[Any, Any, T]:
        """Like `read`, but possibly without the latest writes."""
        return self.read(fn) if self.replicas is None else self._read_replicas(self.replicas, fn)

    async def _read_replicas(self, replicas: Replicas, fn: Callable[[Snapshot], T]) -> T:
        """Read from a replica. If that raises an error, the replica may lack a table or its newest definition: read the
        store itself."""
        try:
            return await replicas.read(fn)
        except (ApiError, Corrupt, Unavailable):
            return await self.read(fn)

    def transact(self, fn: Callable[[Transaction], T]) -> Coroutine[Any, Any, T]:
        """As the engine's `transact`."""
        if self.catalog.misses and self.catalog.is_outdated:
            return self._learn(self.transact, fn)
        running = self.engine.transact(fn)
        return running if self.committed.is_unused else self._tell(running)

    def write(self, fn: Callable[[Transaction, Stamp], T]) -> Coroutine[Any, Any, T]:
        """Like `transact`, for functions that change items: each also gets the stamp of its transaction."""
        if self.catalog.misses and self.catalog.is_outdated:
            return self._learn(self.write, fn)
        if not self._has_greatest_time:
            return self._read_greatest_time(fn)
        stamp = self.versions.stamp()
        if stamp.reserves is not None:
            return self._reserve(fn, stamp)
        running = self.engine.transact(lambda tx: fn(tx, stamp))
        return running if self.committed.is_unused else self._tell(running)

    async def _tell(self, running: Coroutine[Any, Any, T]) -> T:
        result = await running
        self.committed.tell()
        return result

    async def _learn(self, run: Callable[[F], Coroutine[Any, Any, T]], fn: F) -> T:
        self.catalog.learn(await self.engine.read(catalog.read_definitions))
        return await run(fn)

    async def _read_greatest_time(self, fn: Callable[[Transaction, Stamp], T]) -> T:
        greatest = await self.engine.read(lambda snapshot: snapshot.number(fmt.GREATEST_TIME))
        self.versions.resume(greatest)
        self._has_greatest_time = True
        return await self.write(fn)

    async def _reserve(self, fn: Callable[[Transaction, Stamp], T], stamp: Stamp) -> T:
        result, greatest = await self.engine.transact(lambda tx: (fn(tx, stamp), tx.number(fmt.GREATEST_TIME)))
        self.versions.reserved(greatest)
        self.committed.tell()
        return result

    def rewind(self, last: int = 0) -> None:
        """Clear state from after the current time, because the clock was set back, and perhaps the store with it.
        `last` is the time of the last assigned version."""
        self.catalog.forget()
        self.readers = StreamReaderLimit()
        self._states.clear()
        self.meter.take()
        if self.buckets is not None:
            self.buckets.forget()
        if self.key_ranges is not None:
            self.key_ranges.forget()
        self.versions = HybridClock(self.clock, self.name, last)
        self._has_greatest_time = False  # the store has the time; read it again

    def arn(self, resource: str, service: str = "dynamodb") -> str:
        return str(Arn(service, self.name, self.settings.account, resource))

    def resource(self, arn: str, service: str = "dynamodb") -> str | None:
        """The resource part of an ARN; None if the ARN is not of this region and account."""
        found = arns.parse(arn)
        return found.resource if found is not None and arn == self.arn(found.resource, service) else None
