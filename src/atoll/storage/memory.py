"""The reference engine: a sorted map in memory, lost when the process ends. Tests and `--in-memory` use it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from sortedcontainers import SortedDict

from atoll.storage.buffer import Buffer
from atoll.storage.engine import Snapshot, T, Transaction

State = tuple[SortedDict, dict[bytes, int]]


class MemoryEngine:
    """Runs functions to completion, one after the other, on the event loop, so every history is serial."""

    def __init__(self) -> None:
        self._now = _Now()

    async def read(self, fn: Callable[[Snapshot], T]) -> T:
        return fn(self._now)

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        buffer = Buffer(self._now)
        result = fn(buffer)
        self._now.apply(buffer)
        return result

    async def lease(self) -> bool:
        return True

    async def close(self) -> None:
        """Nothing to close."""

    def snapshot(self) -> State:
        """Copy the whole store, for `restore`."""
        return self._now.rows.copy(), self._now.counters.copy()

    def restore(self, state: State) -> None:
        """Reset the store to the state that `snapshot` returned. A state can be restored many times."""
        rows, counters = state
        self._now.rows, self._now.counters = rows.copy(), counters.copy()


class _Now:
    """The committed rows as a `Snapshot`."""

    is_remote = False

    def __init__(self) -> None:
        self.rows = SortedDict()
        self.counters: dict[bytes, int] = {}

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
        return self.counters.get(key, 0)

    tally = number

    def prefetch(
        self, rows: Sequence[bytes] = (), numbers: Sequence[bytes] = (), tallies: Sequence[bytes] = ()
    ) -> None:
        """Nothing to do: reads are local."""

    def apply(self, buffer: Buffer) -> None:
        for start, end in buffer.cleared:
            for key, _ in list(self.scan(start, end)):
                del self.rows[key]
        for key, value in buffer.rows.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
        for key, number in buffer.counters.items():
            if number:
                self.counters[key] = number
            else:
                self.counters.pop(key, None)
