"""A reference engine for tests that is as unfriendly as the contract allows a networked engine to be.

Functions run concurrently in several threads, each on its own read snapshot. A transaction commits only if nothing that
it read has changed since (optimistic concurrency). At random, the engine runs a function twice, simulates a conflict,
and delays trips. The seed determines these choices, but not how the threads interleave.

    view      the snapshot of a run: the committed state, with the old value of everything that was committed since the
              run began. When the engine commits, it adds the old values to every open view.
    conflict  a run has read a key of which its view has an old value
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

from atoll.storage.buffer import Buffer, Row
from atoll.storage.engine import Conflict, Size, Snapshot, T, Transaction
from atoll.storage.memory import MemoryEngine

TRIES = 50
"""The number of real conflicts after which a transaction fails."""
TWICE = 0.1
PRETENDED = 0.15
YIELDS, SLEEPS, LONGEST_SLEEP_S = 0.3, 0.05, 0.0005
"""The probabilities that a trip lets other threads run and that it waits, and the longest wait."""
MOST_TURNS = 3
FIRST_PAGE_ROWS, MOST_PAGE_ROWS = 16, 256

A = TypeVar("A")

# Shared, so that a test may leave an engine open.
_THREADS = ThreadPoolExecutor(4, thread_name_prefix="hostile")


class HostileEngine(MemoryEngine):
    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self._random = random.Random(seed)
        self._lock = Lock()
        """Of the committed state and of the open views."""
        self._views: set[_View] = set()
        self._running: set[asyncio.Future[None]] = set()

    async def read(self, fn: Callable[[Snapshot], T]) -> T:
        return await self._in_thread(lambda: self._read(fn))

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        return await self._in_thread(lambda: self._transact(fn))

    async def _in_thread(self, run: Callable[[], T]) -> T:
        """Run a function in a thread; returns or raises its outcome. It runs to completion even if the caller is
        cancelled."""
        outcome: list[T] = []
        failure: list[BaseException] = []

        def keep() -> None:
            # Exceptions are passed as values: a future refuses StopIteration.
            try:
                outcome.append(run())
            except BaseException as error:
                failure.append(error)

        loop = asyncio.get_running_loop()
        running = asyncio.ensure_future(self._delayed(loop, keep))
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        await asyncio.shield(running)
        if failure:
            raise failure[0]
        return outcome[0]

    async def _delayed(self, loop: asyncio.AbstractEventLoop, run: Callable[[], None]) -> None:
        await self._turns()
        await loop.run_in_executor(_THREADS, run)
        await self._turns()

    async def _turns(self) -> None:
        for _ in range(self._random.randint(0, MOST_TURNS)):
            await asyncio.sleep(0)

    async def lease(self) -> bool:
        await self._turns()
        return True

    async def size(self) -> Size | None:
        return None

    async def give_back(self) -> bool:
        return False

    async def close(self) -> None:
        while self._running:
            await asyncio.wait(self._running)

    # In a thread

    def _read(self, fn: Callable[[Snapshot], T]) -> T:
        view = self._open()
        try:
            if self._chance(TWICE):
                _attempt(fn, view)
            return fn(view)
        finally:
            self._close(view)

    def _transact(self, fn: Callable[[Transaction], T]) -> T:
        conflicts = 0
        while conflicts < TRIES:
            pretended = self._chance(PRETENDED)
            view = self._open()
            try:
                if self._chance(TWICE):
                    _attempt(fn, Buffer(view))
                writes = Buffer(view)
                result, error = _attempt(fn, writes)
                self.delay()
                with self._lock:
                    if view.in_conflict():
                        conflicts += 1
                        continue
                    if pretended:
                        continue
                    if error is None:
                        self._commit(writes, view)
            finally:
                self._close(view)
            self.delay()
            if error is not None:
                raise error
            return result[0]
        raise Conflict(f"{conflicts} conflicts")

    def _open(self) -> _View:
        with self._lock:
            view = _View(self, self._lock, self._now)
            self._views.add(view)
        return view

    def _close(self, view: _View) -> None:
        with self._lock:
            self._views.discard(view)

    def _commit(self, writes: Buffer, own: _View) -> None:
        """Apply the writes, under the lock."""
        now = self._now
        cleared = [key for span in writes.cleared for key, _ in now.scan(*span)]
        rows = {key: now.get(key) for key in (*cleared, *writes.rows)}
        numbers = {key: now.number(key) for key in writes.numbers}
        tallies = {key: now.tally(key) for key in writes.tallies}
        for view in self._views - {own}:
            view.keep(rows, numbers, tallies)
        now.apply(writes)

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def delay(self) -> None:
        """Simulate the delay of one round trip."""
        chosen = self._random.random()
        if chosen < SLEEPS:
            time.sleep(self._random.random() * LONGEST_SLEEP_S)
        elif chosen < SLEEPS + YIELDS:
            time.sleep(0)

    def page_rows(self) -> int:
        return self._random.randint(1, FIRST_PAGE_ROWS)


def _attempt(fn: Callable[[A], T], argument: A) -> tuple[list[T], BaseException | None]:
    """The result in a list, or the exception."""
    try:
        return [fn(argument)], None
    except BaseException as error:
        return [], error


class _View:
    """A read snapshot that records the reads from it."""

    is_remote = True

    def __init__(self, engine: HostileEngine, lock: Lock, now: Snapshot) -> None:
        self._engine, self._lock = engine, lock
        self._now = now
        self._state = Buffer(now)
        """Rows and numbers that have changed, as they were."""
        self._old_tallies: dict[bytes, int] = {}
        self._rows: set[bytes] = set()
        self._spans: list[tuple[bytes, bytes]] = []
        self._numbers: set[bytes] = set()
        self._tallies: set[bytes] = set()

    def keep(self, rows: dict[bytes, bytes | None], numbers: dict[bytes, int], tallies: dict[bytes, int]) -> None:
        """Store old values, unless there are older ones. Call it under the lock."""
        state = self._state
        state.rows = rows | state.rows
        state.numbers = numbers | state.numbers
        self._old_tallies = tallies | self._old_tallies

    def in_conflict(self) -> bool:
        """Whether anything that was read has changed. Call it under the lock."""
        changed = self._state.rows
        return (
            not self._rows.isdisjoint(changed)
            or not self._numbers.isdisjoint(self._state.numbers)
            or not self._tallies.isdisjoint(self._old_tallies)
            or any(start <= key < end for key in changed for start, end in self._spans)
        )

    def get(self, key: bytes) -> bytes | None:
        self._engine.delay()
        self._rows.add(key)
        with self._lock:
            return self._state.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        self._engine.delay()
        self._rows.update(keys)
        with self._lock:
            return self._state.get_many(keys)

    def scan(self, start: bytes, end: bytes, *, reverse: bool = False, limit: int | None = None) -> Iterator[Row]:
        most = self._engine.page_rows()
        while start < end and limit != 0:
            self._engine.delay()
            wanted = most if limit is None else min(most, limit)
            with self._lock:
                page = list(self._state.scan(start, end, reverse=reverse, limit=wanted))
            if len(page) < wanted:
                self._spans.append((start, end))
                yield from page
                return
            if reverse:
                self._spans.append((page[-1][0], end))
                end = page[-1][0]
            else:
                self._spans.append((start, page[-1][0] + b"\0"))
                start = page[-1][0] + b"\0"
            yield from page
            limit = None if limit is None else limit - len(page)
            most = min(2 * most, MOST_PAGE_ROWS)

    def first(self, ranges: Sequence[tuple[bytes, bytes]]) -> list[Row | None]:
        return [next(self.scan(*one, limit=1), None) for one in ranges]

    def number(self, key: bytes) -> int:
        self._engine.delay()
        self._numbers.add(key)
        with self._lock:
            return self._state.number(key)

    def tally(self, key: bytes) -> int:
        self._engine.delay()
        self._tallies.add(key)
        with self._lock:
            old = self._old_tallies.get(key)
            return self._now.tally(key) if old is None else old

    def prefetch(
        self, rows: Sequence[bytes] = (), numbers: Sequence[bytes] = (), tallies: Sequence[bytes] = ()
    ) -> None:
        """Count announced keys as read, like a networked engine, which fetches them."""
        self._engine.delay()
        self._rows.update(rows)
        self._numbers.update(numbers)
        self._tallies.update(tallies)
