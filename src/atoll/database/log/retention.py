"""Retention: how long a table's log keeps its changes, and with which images.

Each reader of a log says what it needs of a table (`READERS`). The log keeps the union of these needs. A reader that
needs less hides the rest by its own horizon, see `cursor.Scope`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from atoll import limits
from atoll.database.schema import NEW_VIEWS, OLD_VIEWS, Table


@dataclass(frozen=True, slots=True)
class Retention:
    """What one reader needs, or all of them together."""

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
    """A stream never shows changes that were made before it began or after it ended, so only an enabled stream needs
    images. An ended one stays readable for a day."""
    if table.stream is None or not table.stream.enabled:
        return Retention(keep_ms=limits.STREAM_RETENTION_MS)
    view_type = table.stream.view_type
    return Retention(view_type in OLD_VIEWS, view_type in NEW_VIEWS, limits.STREAM_RETENTION_MS)


READERS: tuple[Callable[[Table], Retention], ...] = (_stream,)
"""What each kind of reader needs of a table's log."""


def of(table: Table) -> Retention:
    """What the table's log keeps. Every write asks, so the answer is cached on the table, which never changes."""
    cached: Retention | None = table.__dict__.get("_retention")
    if cached is None:
        cached = Retention()
        for need in READERS:
            cached = cached.union(need(table))
        table.__dict__["_retention"] = cached
    return cached
