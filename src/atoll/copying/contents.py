"""The contents of a copy, the interfaces of its source and target, and the sums that compare their contents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from atoll.storage.buffer import Row

MARKER = "copying"
"""A file that marks a data directory as incomplete."""

BATCH_ROWS = 4_000
BATCH_BYTES = 4_000_000

CREDENTIALS, SESSION_KEY = "credentials", "session.key"
POLICIES, PRINCIPALS = "policies", "principals"
SHARED_DOCUMENTS = (CREDENTIALS, SESSION_KEY, PRINCIPALS)
"""The documents that a store in PostgreSQL also holds."""
DOCUMENTS = (*SHARED_DOCUMENTS, POLICIES)

Counter = tuple[bytes, int]


class CannotCopy(Exception):
    """The copy is impossible. The text says why; it has no password."""


@dataclass(frozen=True, slots=True)
class Sums:
    """The number of rows, and the sum of the first 60 bits of their hashes. The order of rows does not matter."""

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
"""The sums of rows, of numbers and of tallies."""


@dataclass(frozen=True, slots=True)
class RowBatch:
    rows: list[Row]
    """Rows in the form that PostgreSQL stores."""
    position: bytes
    """The position after these rows."""


class CopySource(Protocol):
    def regions(self) -> list[str]:
        """The regions, named as the schemas of PostgreSQL: `<account>/<region>` for other accounts than the default
        one."""

    def count(self, region: str) -> int: ...

    def batches(self, region: str, position: bytes) -> Iterator[RowBatch]:
        """The rows after the position; all rows if it is b""."""

    def counters(self, region: str, *, tallies: bool) -> list[Counter]: ...

    def sums(self, region: str) -> Verification: ...

    def document(self, name: str) -> bytes | None: ...


class CopyTarget(Protocol):
    documents: tuple[str, ...]
    """The documents that the target holds."""

    def begin(self, regions: list[str]) -> bool:
        """Prepare a copy, or resume one. Returns whether all is copied and verified, so that only `complete` is left.
        Raises `CannotCopy` if the target is not empty."""

    def position(self, region: str) -> bytes: ...

    def count(self, region: str) -> int: ...

    def write(self, region: str, batch: RowBatch) -> None: ...

    def write_counters(self, region: str, numbers: list[Counter], tallies: list[Counter]) -> None:
        """Replace all counters."""

    def sums(self, region: str) -> Verification: ...

    def write_document(self, name: str, content: bytes) -> None: ...

    def complete(self) -> None:
        """Allow servers to use the target."""
