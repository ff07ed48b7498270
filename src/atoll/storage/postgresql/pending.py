"""Functions that wait for their outcome, and the lanes that serve them in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from time import monotonic_ns
from typing import Any

from atoll.storage.postgresql.cluster import PATIENCE_S

BATCH = 256
LEAST_BATCH = 4
GATHER_TURNS = 8
GATHER_SECONDS = 0.002
"""Stop waiting for more functions after this many event-loop turns without a new one, or after this time."""
SLICE_NS = 5_000_000


class Slice:
    """The time for which functions may keep the event loop. It begins again when it is found to be over."""

    __slots__ = ("_until_ns",)

    def __init__(self) -> None:
        self._until_ns = monotonic_ns() + SLICE_NS

    def is_over(self) -> bool:
        now_ns = monotonic_ns()
        if now_ns < self._until_ns:
            return False
        self._until_ns = now_ns + SLICE_NS
        return True


class Pending:
    __slots__ = ("error", "fn", "future", "plan", "result", "until")

    def __init__(self, fn: Callable[[Any], Any], future: asyncio.Future[Any], until: float) -> None:
        self.fn = fn
        self.future = future
        self.until = until
        """When its caller has waited long enough for a primary, in the loop's time."""
        self.plan: Any = None
        """Of a `RowRead` or `Planned`, made before the fetch."""
        self.result: Any = None
        self.error: BaseException | None = None

    def answer(self) -> None:
        """Tell the caller the outcome, and forget it: the traceback of an error may refer to this object."""
        error, self.error = self.error, None
        if self.future.done():
            return
        if isinstance(error, StopIteration):  # no future takes it, and no coroutine lets it pass
            error = RuntimeError("coroutine raised StopIteration")
        if error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(error)

    def fail(self, error: Exception) -> None:
        """Each caller gets an exception of its own: raising one adds to its traceback."""
        try:
            self.error = type(error)(*error.args)
        except TypeError:
            self.error = error
        self.answer()


class Lanes:
    """Functions wait in a queue. Each lane takes a batch of them, settles it, and takes the next one."""

    def __init__(self, count: int, batch_bytes: int, *, most: int = BATCH, bytes_each: float = 1_000) -> None:
        """`batch_bytes`: what a batch is expected to read and write at most. `most` functions are in one. `bytes_each`:
        what the first ones are expected to read and write."""
        self._loop = asyncio.get_running_loop()
        self._queue: list[Pending] = []
        self._count = count
        self._busy = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._batch_bytes = batch_bytes
        self._most = most
        self._bytes_each = bytes_each
        """That a function reads and writes. A batch of larger ones raises it at once; smaller ones lower it by half."""
        self._expected = 0
        """Functions in the last batch plus those queued when it was answered: the next batch waits for as many."""

    def add(self, fn: Callable[[Any], Any]) -> asyncio.Future[Any]:
        future = self._loop.create_future()
        self._queue.append(Pending(fn, future, self._loop.time() + PATIENCE_S))
        if self._busy < self._count:
            self._busy += 1
            self._loop.call_soon(self._start)
        return future

    async def drain(self) -> None:
        while self._tasks or self._busy:
            await (asyncio.wait(self._tasks) if self._tasks else asyncio.sleep(0))

    def _start(self) -> None:
        self._run(self._lane())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _lane(self) -> None:
        try:
            while self._queue:
                await self._gather()
                most = int(min(self._most, max(LEAST_BATCH, self._batch_bytes / self._bytes_each)))
                batch, self._queue = self._queue[:most], self._queue[most:]
                if batch:
                    size = await self._serve(batch)
                    self._bytes_each = max(1.0, size / len(batch), self._bytes_each / 2)
                    self._expected = min(self._most, len(batch) + len(self._queue))
        finally:
            self._busy -= 1

    async def _gather(self) -> None:
        """Wait, turn by turn of the event loop, for the clients just answered to send their next requests: a few large
        batches cost less than many small ones."""
        seen = idle = 0
        since = self._loop.time()
        while True:
            came, now = len(self._queue), self._loop.time()
            if came > seen:
                seen, idle, since = came, 0, now
            else:
                idle += 1
            if came >= self._expected or idle == GATHER_TURNS or now - since >= GATHER_SECONDS:
                return
            await asyncio.sleep(0)

    async def _serve(self, batch: list[Pending]) -> int:
        """Answer a batch. Returns how many bytes it read and wrote."""
        raise NotImplementedError
