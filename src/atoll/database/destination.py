"""A Kinesis stream that gets a table's changes: its state. Part of the table's definition."""

from __future__ import annotations

from dataclasses import dataclass

ENABLING, ACTIVE, UPDATING = "ENABLING", "ACTIVE", "UPDATING"
DISABLING, DISABLED, ENABLE_FAILED = "DISABLING", "DISABLED", "ENABLE_FAILED"
MILLISECOND, MICROSECOND = "MILLISECOND", "MICROSECOND"


@dataclass(frozen=True)
class Destination:
    stream: str
    """Its ARN."""
    status: str
    due_ms: int
    """A transitional status does not end before."""
    precision: str | None = None
    """As it was sent."""
    description: str = ""
    """Why it could not be enabled."""

    @property
    def is_on(self) -> bool:
        """Whether it needs the table's log."""
        return self.status not in (DISABLED, ENABLE_FAILED)


def changed(destinations: tuple[Destination, ...], one: Destination) -> tuple[Destination, ...]:
    """With this one in the place of the one of the same stream, or behind all."""
    if all(other.stream != one.stream for other in destinations):
        return (*destinations, one)
    return tuple(one if other.stream == one.stream else other for other in destinations)


def of(destinations: tuple[Destination, ...], stream: str) -> Destination | None:
    return next((one for one in destinations if one.stream == stream), None)
