"""Engines that break one promise of the storage contract each, now and then."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from atoll.database.format import CATALOG, hash_of
from atoll.errors import ApiError, ConditionFailed
from atoll.errors.multi import Cancelled
from atoll.storage.buffer import Buffer
from atoll.storage.engine import Snapshot, T, Transaction
from atoll.storage.memory import MemoryEngine

FIRST_BUCKET = bytes(8)
"""Of the log of a table with one partition. No item has this hash."""


class Changes(NamedTuple):
    rows: dict[bytes, bytes | None]
    numbers: dict[bytes, int]
    tallies: dict[bytes, int]

    @property
    def items(self) -> list[bytes]:
        return [key for key in self.rows if not key.startswith(CATALOG) and hash_of(key) != FIRST_BUCKET]

    def apply(self, tx: Transaction) -> None:
        for key, value in self.rows.items():
            if value is None:
                tx.delete(key)
            else:
                tx.put(key, value)
        for key, number in self.numbers.items():
            tx.add_number(key, number - tx.number(key))
        for key, amount in self.tallies.items():
            tx.add_tally(key, amount)


class Faulty(MemoryEngine):
    """Without fault as long as no item is written, so that tables can be made."""

    def __init__(self) -> None:
        super().__init__()
        self.random = random.Random(1)
        self.past: MemoryEngine | None = None
        """The store as it was some transactions ago."""

    def strikes(self, chance: float) -> bool:
        return self.past is not None and self.random.random() < chance

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        result, changes = await run(self, fn)
        if changes.items and (self.past is None or self.random.random() < 0.1):
            self.past = copy(self)
        await self.commit(changes)
        return result

    async def commit(self, changes: Changes) -> None:
        await MemoryEngine.transact(self, changes.apply)


async def run(engine: MemoryEngine, fn: Callable[[Transaction], T]) -> tuple[T, Changes]:
    """The result of `fn`, and the writes that it would make to `engine`, which stays unchanged."""

    def look(snapshot: Snapshot) -> tuple[T, Changes]:
        buffer = Buffer(snapshot)
        return fn(buffer), Changes(buffer.rows, buffer.numbers, buffer.tallies)

    return await MemoryEngine.read(engine, look)


def copy(engine: MemoryEngine) -> MemoryEngine:
    made = MemoryEngine()
    made.restore(engine.snapshot())
    return made


def deletions(changes: Changes) -> list[bytes]:
    return [key for key in changes.items if changes.rows[key] is None]


async def rows(engine: MemoryEngine, keys: list[bytes]) -> list[bytes | None]:
    return await engine.read(lambda snapshot: snapshot.get_many(keys))


class StaleReads(Faulty):
    """Some reads see the past."""

    async def read(self, fn: Callable[[Snapshot], T]) -> T:
        if self.past is not None and self.strikes(0.05):
            return await self.past.read(fn)
        return await super().read(fn)


class StaleDecisions(Faulty):
    """Some transactions decide on the past."""

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        if self.past is None or not self.strikes(0.05):
            return await super().transact(fn)
        result, changes = await run(self.past, fn)
        await self.commit(changes)
        return result


class SnapshotIsolation(Faulty):
    """Transactions decide at one moment and commit at a later one; only what both write is a conflict."""

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        while self.past is not None:
            then = copy(self)
            result, changes = await run(then, fn)
            await asyncio.sleep(0.002)
            if await rows(then, changes.items) == await rows(self, changes.items):
                await self.commit(changes)
                return result
        return await super().transact(fn)


class TornCommits(Faulty):
    """Transactions are applied in two steps."""

    async def commit(self, changes: Changes) -> None:
        keys = changes.items
        late = {key: changes.rows.pop(key) for key in keys[len(keys) // 2 :]}
        await super().commit(changes)
        await asyncio.sleep(0.002)
        await super().commit(Changes(late, {}, {}))


class ForgottenCommits(Faulty):
    """Some transactions are acknowledged and never applied."""

    async def commit(self, changes: Changes) -> None:
        if not (changes.items and self.strikes(0.02)):
            await super().commit(changes)


class ForgottenDeletions(Faulty):
    """Some deletions are acknowledged and never applied, nor what else their transaction wrote."""

    async def commit(self, changes: Changes) -> None:
        if not (deletions(changes) and self.strikes(0.2)):
            await super().commit(changes)


class Later(Faulty):
    """Does something after it was acknowledged."""

    def __init__(self) -> None:
        super().__init__()
        self._tasks: set[asyncio.Task[None]] = set()

    def later(self, changed: dict[bytes, bytes | None]) -> None:
        task = asyncio.create_task(self._commit_later(Changes(changed, {}, {})))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _commit_later(self, changes: Changes) -> None:
        await asyncio.sleep(0.005)
        await super().commit(changes)

    async def close(self) -> None:
        await asyncio.gather(*self._tasks)
        await super().close()


class RisingItems(Later):
    """Some items that were deleted come back after a while."""

    async def commit(self, changes: Changes) -> None:
        deleted = deletions(changes)
        before = await rows(self, deleted)
        await super().commit(changes)
        if deleted and self.strikes(0.3):
            self.later(dict(zip(deleted, before, strict=True)))


class LateDeletions(Later):
    """Some deletions are acknowledged before they are applied."""

    async def commit(self, changes: Changes) -> None:
        deleted = deletions(changes)
        if deleted and self.strikes(0.3):
            self.later({key: changes.rows.pop(key) for key in deleted})
        await super().commit(changes)


class UndoneTransactions(Faulty):
    """Some transactions with a deletion are applied, seen, taken back and refused."""

    async def commit(self, changes: Changes) -> None:
        if not (deletions(changes) and self.strikes(0.3)):
            await super().commit(changes)
            return
        before = await rows(self, changes.items)
        await super().commit(changes)
        await asyncio.sleep(0.005)
        await super().commit(Changes(dict(zip(changes.items, before, strict=True)), {}, {}))
        raise ConditionFailed()


class AppliedRefusals(Faulty):
    """Some transactions are applied and refused nevertheless."""

    async def commit(self, changes: Changes) -> None:
        await super().commit(changes)
        if changes.items and self.strikes(0.05):
            raise ConditionFailed()


class RepeatedCommits(Faulty):
    """Some transactions are applied twice, where their conditions hold twice."""

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        result = await super().transact(fn)
        if self.strikes(0.05):
            with suppress(ApiError, Cancelled):
                await super().transact(fn)
        return result
