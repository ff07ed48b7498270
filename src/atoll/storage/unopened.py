"""The engine of a store that is not open. The first transaction that writes opens the store; if it already exists, any
use does.

Until then it is empty, so reading from a region without a store creates no file.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from atoll.storage.buffer import Buffer
from atoll.storage.engine import Engine, Size, Snapshot, T, Transaction
from atoll.storage.memory import MemoryEngine

_EMPTY = MemoryEngine()


class Unopened:
    def __init__(
        self,
        exists: Callable[[], bool],
        open_: Callable[[], Awaitable[Engine]],
        find: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        """`find` looks for a store that another process may have created."""
        self._exists = exists
        self._open = open_
        self._find = find

    async def _is_there(self) -> bool:
        return self._exists() or (self._find is not None and await self._find())

    async def read(self, fn: Callable[[Snapshot], T]) -> T:
        engine = await self._open() if await self._is_there() else _EMPTY
        return await engine.read(fn)

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        """Run fn on nothing first; if it writes, open the store and run it again."""
        if not await self._is_there():
            buffer = await _EMPTY.read(Buffer)
            result = fn(buffer)
            if not _writes(buffer):
                return result
        engine = await self._open()
        return await engine.transact(fn)

    async def lease(self) -> bool:
        return False

    async def size(self) -> Size | None:
        return await (await self._open()).size() if await self._is_there() else None

    async def give_back(self) -> bool:
        return False

    async def close(self) -> None:
        """Does nothing: no store is open."""


def _writes(buffer: Buffer) -> bool:
    """Whether anything of it would be in an empty store."""
    changed = (buffer.numbers, buffer.tallies)
    return any(row is not None for row in buffer.rows.values()) or any(any(one.values()) for one in changed)
