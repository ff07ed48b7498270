"""The contract of storage: ordered bytes with serializable transactions. An engine knows nothing of tables.

The contract also holds for a store behind a network. There the unit of cost is the round trip, so a function announces
its reads together (`prefetch`). The engine may run functions in threads, run one again after a conflict, and commit
many of them in one transaction. So a function must be plain: it uses only its transaction and its own arguments, and
its result depends on nothing else.

Besides rows, a store has two kinds of counters, each with a separate key space.

    number   ordered: transactions that add to a number commit in the order of the values they got, so a reader that
             sees n also sees every transaction that got less. For sequence numbers and generations.
    tally    commutative: an addition returns nothing, so an engine may spread one tally over several rows. For counts
             and sizes. Within a snapshot a tally is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

P = TypeVar("P")
T = TypeVar("T")


class Conflict(Exception):
    """The transaction had too many conflicts with others. It was not applied; the caller may retry it."""


class Corrupt(Exception):
    """The store is damaged or not in Atoll's format. Stop writing to it."""


class Damaged(Corrupt):
    """A row does not match its checksum. Other rows may be read."""

    def __init__(self, key: bytes, store: object = "") -> None:
        """`store` names the file, once it is known."""
        text = f"the row with the key {key.hex()} does not match its checksum"
        super().__init__(f"{store}: {text}" if store else text)
        self.key = key


class Gone(Corrupt):
    """The store's files were removed or replaced while it was open."""


class Long(Exception):
    """The function takes long. Only `Transaction.announce_long` raises it, and only the engine catches it."""


class Locked(Exception):
    """Another server has the store open."""


class Full(Exception):
    """The disk has no space, or it fails. The transaction was not applied; a later one may succeed."""


class Unavailable(Exception):
    """The store cannot be reached. If the connection was lost during a commit, its outcome is unknown."""


class NoFiles(Full):
    """The process may open no more files."""

    def __init__(self) -> None:
        how = "raise the limit (ulimit -n), or lower --max-connections or --max-regions"
        super().__init__(f"this process may open no more files: {how}")


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a store, in bytes."""

    total: int
    """The size without the WAL."""
    unused: int | None
    """The part of `total` that new rows will reuse; None if unknown."""
    log: int | None
    """The size of the WAL; None if other stores share it."""


class Snapshot(Protocol):
    """All reads see the same committed state. Keys and values are bytes; keys are ordered bytewise."""

    @property
    def is_remote(self) -> bool:
        """Whether announcing reads saves round trips; if not, a hot path can skip it."""

    def get(self, key: bytes) -> bytes | None: ...

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values in the order of the keys, in one round trip."""

    def scan(
        self, start: bytes, end: bytes, *, reverse: bool = False, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Rows with start <= key < end, ascending (descending if `reverse`). Rows are read as the caller asks for
        them, so it may stop early. The iterator must not be used after the function has returned."""

    def first(self, ranges: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes] | None]:
        """The first row of each range (start <= key < end), or None if the range is empty, in one round trip."""

    def number(self, key: bytes) -> int:
        """The number at `key`, 0 if nothing was ever added to it."""

    def tally(self, key: bytes) -> int:
        """The tally at `key`, 0 if nothing was ever added to it."""

    def prefetch(
        self, rows: Sequence[bytes] = (), numbers: Sequence[bytes] = (), tallies: Sequence[bytes] = ()
    ) -> None:
        """Announce later reads. A networked engine fetches all of them in one round trip; a local engine ignores the
        call. It never changes the result of a read."""


class Transaction(Snapshot, Protocol):
    """A snapshot that sees its own writes. They reach the store after the function has returned, all or none."""

    def put(self, key: bytes, value: bytes) -> None: ...

    def delete(self, key: bytes) -> None: ...

    def delete_range(self, start: bytes, end: bytes) -> None:
        """Delete all rows with start <= key < end."""

    def add_number(self, key: bytes, amount: int) -> int:
        """Add to a number; returns its new value."""

    def add_tally(self, key: bytes, amount: int) -> None:
        """Add to a tally, without reading it."""

    def announce_long(self) -> None:
        """Announce that the rest of the function takes long. An engine that runs functions on the event loop raises
        `Long`, and runs this one again in a thread."""


class RowRead(Generic[P]):
    """A function for `Engine.read` that reads one row, whose key `plan` finds; see `Planned`. Returns the result of
    `plan` and the row's value."""

    __slots__ = ("plan",)

    def __init__(self, plan: Callable[[Snapshot], tuple[P, bytes]]) -> None:
        self.plan = plan

    def __call__(self, snapshot: Snapshot) -> tuple[P, bytes, bytes | None]:
        found, key = self.plan(snapshot)
        return found, key, snapshot.get(key)


class Planned(Generic[P, T]):
    """A function for `Engine.read` in two steps, for hot paths. `plan` should read only numbers. A networked engine
    runs both steps before it fetches anything. After fetching, if the numbers are the same, it repeats only
    `finish`."""

    __slots__ = ("finish", "plan")

    def __init__(self, plan: Callable[[Snapshot], P], finish: Callable[[Snapshot, P], T]) -> None:
        self.plan = plan
        self.finish = finish

    def __call__(self, snapshot: Snapshot) -> T:
        return self.finish(snapshot, self.plan(snapshot))


class Engine(Protocol):
    """The store of one region."""

    async def read(self, fn: Callable[[Snapshot], T]) -> T:
        """Run fn on the committed state. It sees everything that was acknowledged before the call."""

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        """Run fn and commit; returns when the commit is durable. If fn raises, the exception is raised here and no
        write of fn is applied. Runs fn again after a conflict; raises `Conflict` when that fails too often, `Full` if
        the disk has no space."""

    async def lease(self) -> bool:
        """Whether this process may run the background work for now. At most one process of a store holds the lease. A
        process keeps the lease by calling this at least every second. It loses it when it dies, and may lose it when it
        stops calling: a lock of a file stays, a row in PostgreSQL expires."""

    async def size(self) -> Size | None:
        """The size of the store; None if it is not on a disk."""

    async def give_back(self) -> bool:
        """Give some unused space of the store back to the disk, if there are no writes at the moment. Returns whether
        there is more to give back now."""

    async def close(self) -> None:
        """Commit pending transactions, then release the store. Closing twice is allowed."""
