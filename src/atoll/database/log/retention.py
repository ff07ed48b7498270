"""Retention: the time for which a table's log keeps changes, and the images that it keeps.

Each reader of a log declares its needs per table (`READERS`). The log keeps the union of these needs. A reader that
needs less hides the rest by its own horizon, see `cursor.Scope`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from atoll import limits
from atoll.database.recovery import DAY_MS, GRACE_MS
from atoll.database.schema import NEW_VIEWS, OLD_VIEWS, Table


@dataclass(frozen=True, slots=True)
class Retention:
    """The needs of one reader, or of all readers together."""

    old_image: bool = False
    new_image: bool = False
    keep_ms: int = 0

    def union(self, other: Retention) -> Retention:
        return Retention(
            self.old_image or other.old_image,
            self.new_image or other.new_image,
            max(self.keep_ms, other.keep_ms),
        )


def _stream(table: Table) -> Retention:
    """Images are logged only while a stream is enabled; a stream never shows earlier or later changes. An ended stream
    stays readable for a day."""
    if table.stream is None or not table.stream.enabled:
        return Retention(keep_ms=limits.STREAM_RETENTION_MS)
    view_type = table.stream.view_type
    return Retention(view_type in OLD_VIEWS, view_type in NEW_VIEWS, limits.STREAM_RETENTION_MS)


def _replicas(table: Table) -> Retention:
    """Other replicas read the new images. A replica that falls further behind copies the table again."""
    return Retention() if table.group is None else Retention(new_image=True, keep_ms=limits.REPLICATION_RETENTION_MS)


def _recovery(table: Table) -> Retention:
    return Retention() if table.recovery is None else Retention(old_image=True, keep_ms=table.recovery.keep_ms)


def _copies(table: Table) -> Retention:
    """Jobs that copy the table as it was at an earlier moment; the earliest possible moment is the start of the
    recovery window."""
    return Retention(old_image=True, keep_ms=limits.RECOVERY_DAYS * DAY_MS + GRACE_MS) if table.copies else Retention()


def _destinations(table: Table) -> Retention:
    """Kinesis streams get both images. A stream that cannot be reached for a day misses changes."""
    if any(one.is_on for one in table.destinations):
        return Retention(old_image=True, new_image=True, keep_ms=limits.STREAM_RETENTION_MS)
    return Retention()


READERS: tuple[Callable[[Table], Retention], ...] = (_stream, _replicas, _recovery, _copies, _destinations)
"""The needs of each kind of reader."""


def of(table: Table) -> Retention:
    """The retention of the table's log. Every write needs it, so it is cached on the table, which is immutable."""
    cached: Retention | None = table.__dict__.get("_retention")
    if cached is None:
        cached = Retention()
        for need in READERS:
            cached = cached.union(need(table))
        table.__dict__["_retention"] = cached
    return cached
