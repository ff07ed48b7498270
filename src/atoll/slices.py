"""Divide long work on the event loop into slices, between which it serves other requests."""

from __future__ import annotations

import asyncio

from atoll.clock import monotonic_ns

SLICE_NS = 2_000_000


class Slices:
    """Call `pause` between two pieces of work. `pause` lets other requests run when the current slice is over."""

    __slots__ = ("_end_ns",)

    def __init__(self) -> None:
        self._end_ns = monotonic_ns() + SLICE_NS

    @property
    def over(self) -> bool:
        """Whether `pause` would wait. Awaiting costs more than asking."""
        return monotonic_ns() >= self._end_ns

    async def pause(self) -> None:
        if self.over:
            await asyncio.sleep(0)
            self._end_ns = monotonic_ns() + SLICE_NS
