"""The reference engine: a sorted map in memory, lost when the process ends. Tests and `--in-memory` use it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from sortedcontainers import SortedDict

from atoll.storage.buffer import Buffer
from atoll.storage.engine import Long, Size, Snapshot, T, Transaction

MemoryState = tuple[SortedDict, dict[bytes, int], dict[bytes, int]]
"""The rows, numbers and tallies."""


class MemoryEngine:
    """Runs functions to completion, one after the other, on the event loop, so every history is serial. A function
    that takes long runs in a thread; other transactions wait for it, reads do not."""

    def __init__(self) -> None:
        self._now = _Now()
        self._long: asyncio.Future[Any] | None = None
        """The end of the function that runs in a thread."""

    async def read(self, fn: Callable[[Snapshot], T]) -> T:
        return fn(self._now)

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        while self._long is not None:
            await asyncio.wait([self._long])
        buffer = Buffer(self._now, in_loop=True)
        try:
            result = fn(buffer)
        except Long:
            return await self._transact_aside(fn)
        self._now.apply(buffer)
        return result

    async def _transact_aside(self, fn: Callable[[Transaction], T]) -> T:
        """Run fn in a thread; again if the store was restored meanwhile. It runs to completion even if the caller is
        cancelled."""
        running = asyncio.ensure_future(self._run_aside(fn))
        self._long = running
        running.add_done_callback(self._ended)
        return await asyncio.shield(running)

    async def _run_aside(self, fn: Callable[[Transaction], T]) -> T:
        while True:
            buffer, rows = Buffer(self._now), self._now.rows
            result = await asyncio.to_thread(fn, buffer)
            if rows is self._now.rows:
                self._now.apply(buffer)
                return result

    def _ended(self, running: asyncio.Future[T]) -> None:
        self._long = None
        if not running.cancelled():
            running.exception()  # the caller may have been cancelled

    async def lease(self) -> bool:
        return True

    async def size(self) -> Size | None:
        return None

    async def give_back(self) -> bool:
        return False

    async def close(self) -> None:
        """Does nothing."""

    def snapshot(self) -> MemoryState:
        """Copy the whole store, for `restore`."""
        now = self._now
        return now.rows.copy(), now.numbers.copy(), now.tallies.copy()

    def restore(self, state: MemoryState) -> None:
        """Reset the store to the state that `snapshot` returned. A state can be restored many times."""
        now, (rows, numbers, tallies) = self._now, state
        now.rows, now.numbers, now.tallies = rows.copy(), numbers.copy(), tallies.copy()


class _Now:
    """The committed rows as a `Snapshot`."""

    is_remote = False

    def __init__(self) -> None:
        self.rows = SortedDict()
        self.numbers: dict[bytes, int] = {}
        self.tallies: dict[bytes, int] = {}

    def get(self, key: bytes) -> bytes | None:
        value: bytes | None = self.rows.get(key)
        return value

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.rows.get(key) for key in keys]

    def scan(
        self, start: bytes, end: bytes, *, reverse: bool = False, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        if start >= end:
            return iter(())
        keys = self.rows.irange(start, end, inclusive=(True, False), reverse=reverse)
        return ((key, self.rows[key]) for key in islice(keys, limit))

    def first(self, ranges: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes] | None]:
        return [next(iter(self.scan(*one, limit=1)), None) for one in ranges]

    def number(self, key: bytes) -> int:
        return self.numbers.get(key, 0)

    def tally(self, key: bytes) -> int:
        return self.tallies.get(key, 0)

    def prefetch(
        self, rows: Sequence[bytes] = (), numbers: Sequence[bytes] = (), tallies: Sequence[bytes] = ()
    ) -> None:
        """Nothing to do: reads are local."""

    def counters(self, start: bytes, end: bytes, *, tallies: bool) -> Iterator[tuple[bytes, int]]:
        """The numbers or tallies whose keys are in the range, in the order of the keys."""
        found = self.tallies if tallies else self.numbers
        return ((key, found[key]) for key in sorted(found) if start <= key < end)

    def apply(self, buffer: Buffer) -> None:
        for start, end in buffer.cleared:
            for key, _ in list(self.scan(start, end)):
                del self.rows[key]
        for key, value in buffer.rows.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
        for key, number in buffer.numbers.items():
            _set(self.numbers, key, number)
        for key, amount in buffer.tallies.items():
            _set(self.tallies, key, self.tally(key) + amount)


def _set(counters: dict[bytes, int], key: bytes, value: int) -> None:
    """Set a counter; one of 0 is not stored."""
    if value:
        counters[key] = value
    else:
        counters.pop(key, None)
