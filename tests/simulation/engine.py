"""The engine of a simulated region. It stops before and after each transaction, so that others may run in between."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator

from atoll.storage.buffer import Buffer
from atoll.storage.engine import Snapshot, T, Transaction
from atoll.storage.memory import MemoryEngine


@types.coroutine
def turn() -> Iterator[None]:
    """The scheduler decides which process continues."""
    yield


class TurningEngine(MemoryEngine):
    def __init__(self, committed: Callable[[Buffer], None]) -> None:
        super().__init__()
        self._committed = committed

    async def read(self, fn: Callable[[Snapshot], T]) -> T:
        await turn()
        return fn(self._now)

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        await turn()
        buffer = Buffer(self._now)
        result = fn(buffer)
        if buffer.rows or buffer.numbers or buffer.tallies or buffer.cleared:
            self._now.apply(buffer)
            self._committed(buffer)
        await turn()
        return result

    @property
    def committed_rows(self) -> Snapshot:
        """The snapshot that a read would see now."""
        return self._now
