"""Give competing callers equal shares of the event loop's time.

A connection runs a bounded number of requests in a turn, so a client with many connections would get many times the
share of a client with one. While several callers are active, each has `TURN_NS` of work and `TURN_REQUESTS` per turn,
for all its connections; further requests wait in order. A request that works in slices waits in the same queue before
each slice. Time that a caller uses beyond its share is subtracted from its shares of the next turns. Meanwhile the
other callers run; if none waits, these turns pass at once.

A caller is an account; in the default account, an access key; without signatures, an address. A single active caller
costs one comparison and never waits.

Only work on the event loop counts: not what threads do, nor commits, which many requests share.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Sequence
from typing import Any, Generic, TypeVar

from atoll.aside import thread
from atoll.clock import monotonic_ns

T = TypeVar("T")

TURN_REQUESTS = 32
TURN_NS = 2_000_000
ALONE_TURNS = 256
ALONE_NS = 1_000_000_000
"""A caller counts as alone after this many turns, and this time, without another active caller."""


class _Share:
    """A caller's share of this turn."""

    __slots__ = ("back", "left_ns", "taken", "waiting")

    def __init__(self) -> None:
        self.left_ns = TURN_NS
        """How long it may still work; negative if it has worked longer."""
        self.taken = 0
        """How many of its requests have run in this turn."""
        self.waiting: deque[asyncio.Future[None]] = deque()
        self.back: list[asyncio.Future[None]] = []
        """Requests whose turn came when the time was already used up. They are the first of the next turn."""

    @property
    def is_active(self) -> bool:
        return self.taken > 0 or bool(self.waiting) or bool(self.back)


class Shares:
    def __init__(self, now_ns: Callable[[], int] = monotonic_ns) -> None:
        self.sole: str | None = None
        """The only active caller; None while several are active, and before the first request."""
        self.now_ns = now_ns
        self._loop: asyncio.AbstractEventLoop | None = None
        self._shares: dict[str, _Share] = {}
        """The shares of callers that are active, or have used more time than their share."""
        self._is_due = False
        self._last: str | None = None
        """The last caller that was active alone."""
        self._turns_alone = 0
        self._since_ns = 0
        """When `_last` became the only active caller."""

    async def run(self, caller: str, work: Coroutine[Any, Any, T]) -> T:
        """Run the work in the turns of its caller, and return its result."""
        if self._loop is None:
            try:
                self._loop = asyncio.get_running_loop()
            except RuntimeError:  # outside of a loop, a request has no competitors
                return await work
        await self._wait(caller)
        return await _Paced(self, caller, work)

    async def next_slice(self, caller: str) -> None:
        """Let other requests run; then continue in a turn of the caller."""
        share = self._shares.get(caller)
        if caller == self.sole or share is None or share.left_ns > 0:
            await asyncio.sleep(0)
        else:
            await self._wait(caller)

    def spend(self, caller: str, spent_ns: int) -> None:
        """Subtract the time that a request of the caller has worked."""
        if caller != self.sole:
            self._share(caller).left_ns -= spent_ns
            self._begin_soon()

    async def _wait(self, caller: str) -> None:
        turn = self._turn(caller)
        while turn is not None:
            await turn
            turn = self._again(caller)

    def _turn(self, caller: str) -> asyncio.Future[None] | None:
        """A future that a request of the caller must await; None if it need not wait."""
        if self._last is None:
            self._last = self.sole = caller
        if caller == self.sole:
            return None
        self.sole = None  # another one has come
        share = self._share(caller)
        self._begin_soon()
        if share.left_ns > 0 and share.taken < TURN_REQUESTS and not share.waiting and not share.back:
            share.taken += 1
            return None
        assert self._loop is not None
        future = self._loop.create_future()
        share.waiting.append(future)
        return future

    def _again(self, caller: str) -> asyncio.Future[None] | None:
        """If requests before this one have used up the caller's time, a future that it must await as well; otherwise
        None."""
        share = self._share(caller)
        if share.left_ns > 0 or caller == self.sole:
            return None
        assert self._loop is not None
        future = self._loop.create_future()
        share.back.append(future)
        return future

    def _share(self, caller: str) -> _Share:
        share = self._shares.get(caller)
        if share is None:
            share = self._shares[caller] = _Share()
        return share

    def _begin_soon(self) -> None:
        if not self._is_due and self._loop is not None:
            self._is_due = True
            self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        """Begin the next turn."""
        self._is_due = False
        self._count_alone([caller for caller, share in self._shares.items() if share.is_active])
        for caller, share in list(self._shares.items()):
            share.left_ns = TURN_NS if self.sole is not None else min(TURN_NS, share.left_ns + TURN_NS)
            share.waiting.extendleft(reversed(share.back))
            share.back.clear()
            going = 0
            if share.left_ns > 0:
                going = len(share.waiting) if self.sole is not None else min(len(share.waiting), TURN_REQUESTS)
            share.taken = going
            for _ in range(going):
                share.waiting.popleft().set_result(None)
            if not share.is_active and share.left_ns == TURN_NS:
                del self._shares[caller]
        if self._shares and self.sole is None:
            self._begin_soon()

    def _count_alone(self, active: Sequence[str]) -> None:
        if len(active) == 1 and active[0] == self._last:
            self._turns_alone += 1
            if self._turns_alone >= ALONE_TURNS and self.now_ns() - self._since_ns >= ALONE_NS:
                self._turns_alone = 0
                self.sole = self._last
        elif active:
            self._turns_alone = 0
            self._since_ns = self.now_ns()
            self._last = active[0]


class _Paced(Generic[T]):
    """Awaits work step by step, counts the time of each step, and lets it wait for the caller's turns between slices.
    It speaks the protocol between futures and tasks, see `eager`."""

    def __init__(self, shares: Shares, caller: str, work: Coroutine[Any, Any, T]) -> None:
        self._shares, self._caller, self._work = shares, caller, work

    def __await__(self) -> Generator[Any, None, T]:
        shares, caller, work = self._shares, self._caller, self._work
        error: BaseException | None = None
        while True:
            begin_ns = shares.now_ns()
            thread.caller = caller
            try:
                awaited = work.send(None) if error is None else work.throw(error)
            except StopIteration as end:
                found: T = end.value
                return found
            finally:
                thread.caller = ""
                shares.spend(caller, shares.now_ns() - begin_ns)
            error = None
            try:
                if awaited is None:  # a slice has ended
                    yield from shares.next_slice(caller).__await__()
                else:
                    yield awaited
            except BaseException as failure:  # of the task that awaits this: canceled
                error = failure
