"""Limit the capacity units that a replication consumes per second."""

from __future__ import annotations

import threading
from collections.abc import Callable

from atoll.clock import monotonic_ns

SHORTEST_PAUSE_S = 0.01


class Rate:
    """Admits requests while units are left; subtracts the real cost afterwards, so a costly request makes later ones
    wait. Unused units of at most one second accumulate. Without a limit, all requests are admitted."""

    def __init__(
        self, per_second: float | None, pause: Callable[[float], None], now_ns: Callable[[], int] = monotonic_ns
    ) -> None:
        self._per_second = per_second
        self._pause = pause
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._units = per_second or 0.0
        self._at_ns = now_ns()

    def wait(self) -> None:
        while self._per_second is not None and (missing := self._missing()) >= 0:
            self._pause(max(missing / self._per_second, SHORTEST_PAUSE_S))

    def spend(self, units: float) -> None:
        with self._lock:
            self._units -= units

    def _missing(self) -> float:
        """Units until the next request; negative if there are some left."""
        assert self._per_second is not None
        with self._lock:
            now_ns = self._now_ns()
            gained = (now_ns - self._at_ns) / 1e9 * self._per_second
            self._units = min(self._units + gained, self._per_second)
            self._at_ns = now_ns
            return -self._units
