"""The state of a Kinesis stream that gets a table's changes; part of the table's definition."""

from __future__ import annotations

from dataclasses import dataclass

ENABLING, ACTIVE, UPDATING = "ENABLING", "ACTIVE", "UPDATING"
DISABLING, DISABLED, ENABLE_FAILED = "DISABLING", "DISABLED", "ENABLE_FAILED"
MILLISECOND, MICROSECOND = "MILLISECOND", "MICROSECOND"


@dataclass(frozen=True)
class Destination:
    stream: str
    """The stream's ARN."""
    status: str
    due_ms: int
    """The earliest end of a transitional status."""
    precision: str | None = None
    """The precision of times, as the request gave it."""
    description: str = ""
    """The reason why it could not be enabled."""

    @property
    def is_on(self) -> bool:
        """Whether it needs the table's log."""
        return self.status not in (DISABLED, ENABLE_FAILED)


def changed(destinations: tuple[Destination, ...], one: Destination) -> tuple[Destination, ...]:
    """The destinations, with this one in the place of the same stream's, or else at the end."""
    if all(other.stream != one.stream for other in destinations):
        return (*destinations, one)
    return tuple(one if other.stream == one.stream else other for other in destinations)


def of(destinations: tuple[Destination, ...], stream: str) -> Destination | None:
    return next((one for one in destinations if one.stream == stream), None)
