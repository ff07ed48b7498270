"""Bound the invocations that clients have requested and that have not ended.

A client need not wait for its invocation, so it could queue any number of a slow function.
"""

from __future__ import annotations

from collections import Counter

from atoll.errors import triggers as trigger_errors

INVOCATIONS = 10_000
BYTES = 64 * 1024 * 1024
"""The most of each function, and the bytes of their events."""


class Waiting:
    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def add(self, function: str, size: int) -> None:
        """Count an invocation, or raise if the function has too many."""
        if self._counts[function] >= INVOCATIONS or self._bytes[function] + size > BYTES:
            raise trigger_errors.too_many_invocations()
        self._counts[function] += 1
        self._bytes[function] += size

    def remove(self, function: str, size: int) -> None:
        self._counts[function] -= 1
        self._bytes[function] -= size
