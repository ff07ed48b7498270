"""The progress of a command on standard error: a bar on a terminal, elsewhere a line for each further tenth."""

from __future__ import annotations

import sys
from collections.abc import Callable

from atoll.clock import monotonic_ns
from atoll.logs import Tenths

BAR = 30
"""The width of the bar, in characters."""


class Progress:
    """Shows progress. Call it with the amount done so far; the rate counts from the first call."""

    def __init__(self, name: str, total: int, unit: str = "rows", *, now_ns: Callable[[], int] = monotonic_ns) -> None:
        self._name = name
        self._total = total
        self._unit = unit
        self._now_ns = now_ns
        self._tenths = Tenths()
        self._start: tuple[int, int] | None = None

    def __call__(self, done: int) -> None:
        now_ns = self._now_ns()
        if self._start is None:
            self._start = now_ns, done
        share = min(1.0, done / self._total) if self._total else 1.0
        seconds = (now_ns - self._start[0]) / 1e9
        rate = (done - self._start[1]) / seconds if seconds > 0 else 0.0
        speed = f", {rate:,.0f} {self._unit}/s" if rate else ""
        if rate and share < 1:
            speed += f", {_clock((self._total - done) / rate)} left"
        if sys.stderr.isatty():
            bar = ("#" * round(BAR * share)).ljust(BAR, ".")
            end = "\n" if done >= self._total else ""
            text = f"\r{self._name} [{bar}] {share:4.0%} {done:,} {self._unit}{speed}"
            print(f"{text}\x1b[K", end=end, file=sys.stderr, flush=True)
        elif self._tenths.passed(done, self._total) is not None:
            print(f"{self._name}: {done:,} of {self._total:,} {self._unit}{speed}", file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
