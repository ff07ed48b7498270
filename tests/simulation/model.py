"""The expected state: the writes that regions have committed, and those that each replica has seen.

A group of replicas has a `Model`. It records each write at its commit, with its version, its image and its *context*:
the writes of the same item that its region had seen by then, and all that those had seen. Two writes conflict if
neither is in the other's context.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from atoll.versions import Version

Suffix = bytes
"""The key of an item without its table's space: the same in all replicas."""


class Violation(AssertionError):
    """A rule was broken."""


def require(holds: bool, text: str) -> None:
    if not holds:
        raise Violation(text)


class Write(NamedTuple):
    version: Version
    image: bytes | None
    context: frozenset[Version]
    table_id: str
    """The replica that accepted it."""


class Model:
    """All writes of one group of replicas."""

    def __init__(self) -> None:
        self.writes: dict[Suffix, dict[Version, Write]] = defaultdict(dict)
        self.replicas: set[str] = set()
        """The ids of the tables that are in the group."""
        self.lost: set[str] = set()
        """Replicas that could not be reached for a day, and were given up with the writes that nobody had read."""

    def add(self, suffix: Suffix, write: Write) -> None:
        self.writes[suffix][write.version] = write

    def find(self, suffix: Suffix, version: Version) -> Write | None:
        return self.writes[suffix].get(version)

    def winner(self, suffix: Suffix) -> Write | None:
        """The write that must survive: of those that cannot be lost, the one with the greatest version."""
        kept = [write for write in self.writes[suffix].values() if write.table_id not in self.lost]
        return max(kept, key=lambda write: write.version, default=None)

    def is_conflict(self, suffix: Suffix, one: Version, other: Version) -> bool:
        first, second = self.find(suffix, one), self.find(suffix, other)
        require(first is not None and second is not None, f"a conflict of {one} and {other}, which nobody wrote")
        assert first is not None and second is not None
        return one not in second.context and other not in first.context
