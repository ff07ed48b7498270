"""A store that is not open: it is opened by the first transaction that writes, or by any use if it exists already.

Until then it is empty. So a request that reads costs no file, whatever region it names.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from atoll.storage.buffer import Buffer
from atoll.storage.engine import Engine, Snapshot, T, Transaction
from atoll.storage.memory import MemoryEngine

_EMPTY = MemoryEngine()


class Unopened:
    def __init__(self, exists: Callable[[], bool], open_: Callable[[], Awaitable[Engine]]) -> None:
        self._exists = exists
        self._open = open_

    async def read(self, fn: Callable[[Snapshot], T]) -> T:
        engine = await self._open() if self._exists() else _EMPTY
        return await engine.read(fn)

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        """Run fn on nothing first; if it writes, open the store and run it again."""
        if not self._exists():
            buffer = await _EMPTY.read(Buffer)
            result = fn(buffer)
            if not _writes(buffer):
                return result
        engine = await self._open()
        return await engine.transact(fn)

    async def lease(self) -> bool:
        return False

    async def close(self) -> None:
        """Nothing is open."""


def _writes(buffer: Buffer) -> bool:
    """Whether anything of it would be in an empty store."""
    changed = (buffer.numbers, buffer.tallies)
    return any(row is not None for row in buffer.rows.values()) or any(any(one.values()) for one in changed)
