"""The heaviest keys of a stream, in bounded memory.

A sketch counts exactly while it has room for all keys. When it has twice as many as it keeps, it drops the lighter
half, and remembers the greatest dropped weight. A key that is added later starts with that weight, as in the
space-saving algorithm: no weight is ever too small, and none is too large by more than the total divided by `KEPT`. So
the sketch has every key heavier than that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from zlib import crc32

KEPT = 512
_BITS = 1 << 14


class Sketch:
    __slots__ = ("_floor", "_seen", "samples", "total", "weights")

    def __init__(self) -> None:
        self.weights: dict[bytes, float] = {}
        self.total = 0.0
        self.samples = 0
        self._floor = 0.0
        """The greatest weight that was dropped."""
        self._seen: bytearray | None = None
        """A bit for each key that was ever added, by its hash; None while no key was dropped."""

    def add(self, key: bytes, weight: float) -> None:
        self.total += weight
        self.samples += 1
        weights = self.weights
        known = weights.get(key)
        if known is not None:
            weights[key] = known + weight
            return
        weights[key] = self._floor + weight
        if self._seen is not None:
            self._mark(key)
        if len(weights) >= 2 * KEPT:
            self._drop()

    def _drop(self) -> None:
        if self._seen is None:
            self._seen = bytearray(_BITS // 8)
            for key in self.weights:
                self._mark(key)
        ordered = self.heaviest(len(self.weights))
        self._floor = max(self._floor, ordered[KEPT][1])
        self.weights = dict(ordered[:KEPT])

    def _mark(self, key: bytes) -> None:
        assert self._seen is not None
        bit = crc32(key) % _BITS
        self._seen[bit >> 3] |= 1 << (bit & 7)

    def heaviest(self, most: int) -> list[tuple[bytes, float]]:
        return sorted(self.weights.items(), key=lambda pair: (-pair[1], pair[0]))[:most]

    @property
    def unique(self) -> int:
        """The approximate number of different keys; exact while none was dropped."""
        if self._seen is None:
            return len(self.weights)
        empty = _BITS - sum(byte.bit_count() for byte in self._seen)
        return round(_BITS * math.log(_BITS / max(1, empty)))


def merged(parts: Iterable[Iterable[tuple[str, float]]], most: int) -> list[tuple[str, float]]:
    """The heaviest keys of several lists together."""
    found: dict[str, float] = {}
    for part in parts:
        for name, weight in part:
            found[name] = found.get(name, 0.0) + weight
    return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:most]
