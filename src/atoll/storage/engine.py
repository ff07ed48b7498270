"""The contract of storage: ordered bytes with serializable transactions. An engine knows nothing of tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Conflict(Exception):
    """The transaction lost against another and was not applied; it may be run again."""


class Corrupt(Exception):
    """The store cannot be trusted or understood; nobody should write to it."""


class Locked(Exception):
    """Another server has the store open; this one must not start."""


class Full(Exception):
    """The store has no room (or its disk fails): the transaction was not applied. It may work again later."""


class Snapshot(Protocol):
    """All reads see one moment. Keys and values are bytes; keys are ordered bytewise."""

    def get(self, key: bytes) -> bytes | None: ...

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values in the order of the keys."""

    def scan(
        self, start: bytes, end: bytes, *, reverse: bool = False, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Rows with start <= key < end, ascending (descending if `reverse`). Rows are read as they are asked for, so
        a caller may stop early; the iterator must not be used after its function has returned."""

    def counter(self, key: bytes) -> int:
        """The counter at `key`, 0 if it was never added to. Counters are a key space of their own. Reading one that
        has not changed costs next to nothing, so callers may do it with every operation."""


class Transaction(Snapshot, Protocol):
    """A snapshot that sees its own writes; they reach the store when the function has returned, all or none."""

    def put(self, key: bytes, value: bytes) -> None: ...

    def delete(self, key: bytes) -> None: ...

    def delete_range(self, start: bytes, end: bytes) -> None:
        """Delete all rows with start <= key < end."""

    def add(self, key: bytes, amount: int) -> int:
        """Add to the counter at `key` and return its new value. Transactions that add to one counter commit in the
        order of the values they got, so a reader who sees n has every transaction that got less."""


class Engine(Protocol):
    """One region's store. Functions are plain and touch nothing but their argument: one may run twice."""

    async def read(self, fn: Callable[[Snapshot], T]) -> T:
        """Run fn on what is committed now; it sees everything that was acknowledged before the call."""

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        """Run fn and commit; return only when the commit is durable. What fn raises is raised here, and then nothing
        of this fn is applied. May run fn again after a conflict. Raises `Full` where the store has no room."""

    def lease(self) -> bool:
        """Whether this process may run the background steps (at most one process of a store at a time may)."""

    async def close(self) -> None:
        """Commit what is pending, then let the store go. Once is enough, twice is allowed."""
