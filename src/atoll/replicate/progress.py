"""The output of a replication: counters, as a bar on a terminal, as lines elsewhere, or as JSON.

Progress goes to standard error, or with --json to standard output, one object a line.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TextIO

from atoll.clock import monotonic_ns

BAR = 24
LINE_EVERY_S = 10.0
BAR_EVERY_S = 0.25
TROUBLE_EVERY_S = 30.0


def units(answer: dict[str, Any], default: float = 0.0) -> float:
    """The capacity units that a call consumed; the default if the endpoint does not report them."""
    consumed = answer.get("ConsumedCapacity")
    if not consumed:
        return default
    every = consumed if isinstance(consumed, list) else [consumed]
    return float(sum(one.get("CapacityUnits", 0.0) for one in every))


@dataclass
class Counters:
    """Counts the done work, in several threads."""

    phase: str = "start"
    items: int = 0
    """The items that the phase's scan has handled."""
    expected: int = 0
    """About how many items the scan will find."""
    records: int = 0
    """Records of the stream that were applied."""
    deleted: int = 0
    """Items that a copy deleted because the source does not have them."""
    lag_s: float = 0.0
    shards: int = 0
    """Shards that are being read."""
    read_units: float = 0.0
    write_units: float = 0.0
    throttled: int = 0
    """Requests that an endpoint throttled."""
    listener: Callable[[str], None] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, **more: float) -> None:
        with self._lock:
            for name, amount in more.items():
                setattr(self, name, getattr(self, name) + amount)

    def trouble(self, text: str) -> None:
        """Report that an endpoint fails and the call will be retried."""
        if self.listener is not None:
            self.listener(text)

    def as_json(self) -> dict[str, Any]:
        shown = {name: value for name, value in self.__dict__.items() if name != "listener" and name[0] != "_"}
        return {name: round(value, 3) if isinstance(value, float) else value for name, value in shown.items()}


class Display:
    def __init__(self, counters: Counters, out: TextIO, *, as_json: bool, now_ns: Callable[[], int] = monotonic_ns):
        self._counters = counters
        self._out = out
        self.as_json = as_json
        self._bar = not as_json and out.isatty()
        self._now_ns = now_ns
        self._shown_ns = now_ns()
        self._items_shown = 0
        self._trouble_ns: int | None = None
        self._lock = threading.Lock()
        counters.listener = self.trouble

    def tick(self) -> None:
        """Show the counters, if they were not shown lately."""
        passed_s = (self._now_ns() - self._shown_ns) / 1e9
        if passed_s >= (BAR_EVERY_S if self._bar else LINE_EVERY_S):
            self.show()

    def say(self, event: str, **details: Any) -> None:
        """Print an event on a separate line."""
        if self.as_json:
            self._write(json.dumps({"event": event, **details, **self._counters.as_json()}) + "\n")
        else:
            self._write(("\r\x1b[K" if self._bar else "") + event + "\n")

    def trouble(self, text: str) -> None:
        """Report that an endpoint fails, not too often. May be called in any thread."""
        now_ns = self._now_ns()
        with self._lock:
            if self._trouble_ns is not None and now_ns - self._trouble_ns < TROUBLE_EVERY_S * 1e9:
                return
            self._trouble_ns = now_ns
        self.say(f"trying again: {text}")

    def show(self) -> None:
        now_ns = self._now_ns()
        counters = self._counters
        rate = (counters.items + counters.records - self._items_shown) / max((now_ns - self._shown_ns) / 1e9, 1e-3)
        self._shown_ns, self._items_shown = now_ns, counters.items + counters.records
        if self.as_json:
            self._write(json.dumps({"event": "progress", "per_second": round(rate, 1), **counters.as_json()}) + "\n")
        elif self._bar:
            self._write(f"\r\x1b[K{self._text(rate)}")
        else:
            self._write(self._text(rate) + "\n")

    def end(self, reason: str) -> None:
        """Report that the replication has failed: as JSON to a program, and leave the line of the bar."""
        if self.as_json:
            self.say("failed", reason=reason)
        elif self._bar:
            self._write("\r\x1b[K")

    def _text(self, rate: float) -> str:
        counters = self._counters
        throttled = f", throttled {counters.throttled:,} times" if counters.throttled else ""
        if counters.phase == "follow":
            parts = (
                f"{counters.records:,} records, {rate:,.0f}/s, lag {counters.lag_s:,.0f} s, {counters.shards} shards"
            )
            return f"follow: {parts}{throttled}"
        expected = max(counters.expected, counters.items)
        share = counters.items / expected if expected else 0.0
        bar = f"[{'#' * int(share * BAR):-<{BAR}}] " if self._bar else ""
        done = f"{counters.items:,} of about {expected:,} items, {share:.0%}, {rate:,.0f}/s"
        left = f", {(expected - counters.items) / rate:,.0f} s left" if rate and expected > counters.items else ""
        return f"{counters.phase}: {bar}{done}{left}{throttled}"

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
