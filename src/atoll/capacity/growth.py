"""How the throughput of an on-demand table or index grows with its use.

At first the table admits its warm throughput. Every 30 minutes, that rises to twice the previous peak, if this is more.
The peak is the busiest minute so far. The account's maximum for a table bounds it.
"""

from __future__ import annotations

from typing import NamedTuple

from atoll import limits

MINUTE_MS = 60_000
_NEVER = float("-inf")


class Growth(NamedTuple):
    peak: float = 0.0
    """Units a second of the busiest minute before the current half hour."""
    began_ms: float = 0.0
    """When the current half hour began."""
    busiest: float = 0.0
    """Units a second of the busiest minute since then."""
    minute_ms: float = _NEVER
    """When the current minute began."""
    units: float = 0.0
    """Consumed in the current minute."""


def turned(growth: Growth, now_ms: int) -> Growth:
    """The state at the beginning of another minute. Minutes and half hours begin with their first use, so an idle table
    costs nothing."""
    if growth.minute_ms == _NEVER:
        return Growth(began_ms=now_ms, minute_ms=now_ms)
    busiest = max(growth.busiest, growth.units / (MINUTE_MS / 1000))
    if 0 <= now_ms - growth.began_ms < limits.GROWTH_INTERVAL_MS:
        return Growth(growth.peak, growth.began_ms, busiest, now_ms)
    return Growth(max(growth.peak, busiest), now_ms, 0.0, now_ms)


def admitted(growth: Growth, warm: float, most: float) -> float:
    """The units a second that the table admits now."""
    return min(most, max(warm, 2 * growth.peak))
