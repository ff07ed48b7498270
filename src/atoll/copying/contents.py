"""What a copy moves, and the sums by which both ends are compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from atoll.storage.buffer import Row

MARKER = "copying"
"""A file in a data directory that is not complete."""

BATCH_ROWS = 4_000
BATCH_BYTES = 4_000_000

CREDENTIALS, SESSION_KEY = "credentials", "session.key"
POLICIES, PRINCIPALS = "policies", "principals"
SHARED_DOCUMENTS = (CREDENTIALS, SESSION_KEY, PRINCIPALS)
"""Those that a store in PostgreSQL holds, too."""
DOCUMENTS = (*SHARED_DOCUMENTS, POLICIES)

Counter = tuple[bytes, int]


class CannotCopy(Exception):
    """Its text says why, without a password."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Of rows in any order: how many, and the sum of the first 60 bits of their hashes."""

    rows: int
    digest: int

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Sums:
        count = digest = 0
        for key, value in rows:
            count += 1
            digest += int(sha256(len(key).to_bytes(4, "big") + key + value).hexdigest()[:15], 16)
        return cls(count, digest)

    @classmethod
    def of_counters(cls, counters: Iterable[Counter]) -> Sums:
        return cls.of((key, value.to_bytes(8, "big", signed=True)) for key, value in counters)


Verification = tuple[Sums, Sums, Sums]
"""Of rows, numbers and tallies."""


@dataclass(frozen=True, slots=True)
class Batch:
    rows: list[Row]
    """As PostgreSQL stores them."""
    position: bytes
    """After the rows."""


class Source(Protocol):
    def regions(self) -> list[str]:
        """Named as the schemas of PostgreSQL: `<account>/<region>` for another account than the default one."""

    def count(self, region: str) -> int: ...

    def batches(self, region: str, position: bytes) -> Iterator[Batch]:
        """The rows after the position; b"" for all."""

    def counters(self, region: str, *, tallies: bool) -> list[Counter]: ...

    def sums(self, region: str) -> Verification: ...

    def document(self, name: str) -> bytes | None: ...


class Target(Protocol):
    documents: tuple[str, ...]
    """Those that it holds."""

    def begin(self, regions: list[str]) -> bool:
        """Prepare a copy, or go on with one. Whether all is copied and verified, so that only `complete` is left.
        Raises `CannotCopy` if the target is not empty."""

    def position(self, region: str) -> bytes: ...

    def count(self, region: str) -> int: ...

    def write(self, region: str, batch: Batch) -> None: ...

    def write_counters(self, region: str, numbers: list[Counter], tallies: list[Counter]) -> None:
        """Instead of those that are there."""

    def sums(self, region: str) -> Verification: ...

    def write_document(self, name: str, content: bytes) -> None: ...

    def complete(self) -> None:
        """From now on servers may use it."""
