"""Find the primary among the servers of a store, and manage the connections to it.

Servers fail over without notice. Two may claim to be the primary: one that was frozen or cut off does not know that
another one was promoted. Each promotion begins a new timeline, so the primary is the server with the highest timeline,
and a server with a lower timeline than one seen before is never used again.

    term     the time between two changes of the primary; connections of an earlier term are closed
    election the search for the primary, which asks all servers at the same time. It begins when a connection is lost;
             no caller gets a connection before it has ended
    watch    asks all servers each second, so that a newer primary is found even while the old one answers
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg

from atoll.storage.engine import Unavailable
from atoll.storage.postgresql.connection import Connection, Lost, Undone, describe
from atoll.storage.postgresql.url import Server, StoreURL

MOST_CONNECTIONS = 12
"""The most connections of one process, besides those of the watch."""

PATIENCE_S = 10.0
"""How long a request waits for a primary."""
WATCH_S = 1.0
SILENCE_S = 5.0
"""A primary that has not answered the watch for this long is given up."""
PAUSE_S = 0.05
GRACE_S = 0.5

Answer = tuple[bool, int, Connection]
"""Whether a server may be written to, its timeline, and a connection."""

_log = logging.getLogger(__name__)


class CannotOpen(Exception):
    """The store cannot be opened, and retrying would not help. The text has no password."""


class Cluster:
    """The servers of one store. `replicas`: only read, from any server that answers, standbys first."""

    def __init__(self, url: StoreURL, *, replicas: bool = False, durability: str = "full") -> None:
        self.url = url
        self.term = 0
        self.timeline = 0
        """The highest timeline ever seen."""
        self.primary: Server | None = None
        self._replicas = replicas
        self._relaxed = durability == "relaxed"
        self._idle: deque[Connection] = deque()
        self._open: set[Connection] = set()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._opening = 0
        self._election: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._asking: dict[Server, asyncio.Task[Answer]] = {}
        """The pending questions of an election."""
        self._watched: dict[Server, Connection] = {}
        self._answered_at = 0.0
        self._closed = False
        self._why = "no server has answered yet"

    async def start(self) -> None:
        """Find the primary. Raises `CannotOpen` if no server lets us in, `Unavailable` if none is a primary in time."""
        opened = await self._ask_all(first=True)
        if not await self._choose(opened):
            await self._wait_for_primary(asyncio.get_running_loop().time() + PATIENCE_S)
        self._watch = asyncio.create_task(self._watch_servers())

    async def acquire(self, until: float) -> Connection:
        """A connection to the primary. Raises `Unavailable` if there is none until then, in the loop's time."""
        loop = asyncio.get_running_loop()
        while not self._closed:
            if self._election is not None:
                await self._wait_for_primary(until)
            while self._idle:
                connection = self._idle.pop()
                if connection.term == self.term and not connection.is_closed:
                    return connection
                self._drop(connection)
            if len(self._open) + self._opening < MOST_CONNECTIONS:
                opened = await self._connect()
                if opened is not None:
                    return opened
            else:
                waiter = loop.create_future()
                self._waiting.append(waiter)
                with suppress(TimeoutError):
                    await asyncio.wait_for(waiter, until - loop.time())
            if loop.time() >= until:
                raise Unavailable(f"the store cannot be reached: {self._why}")
        raise Unavailable("the store is closed")

    def release(self, connection: Connection) -> None:
        if connection.is_closed or connection.term != self.term or self._closed:
            self._drop(connection)
        else:
            self._idle.append(connection)
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                break

    def lose(self, connection: Connection, why: BaseException) -> None:
        """Drop a failed connection, and begin an election."""
        self._drop(connection)
        if connection.term == self.term:
            self._elect(str(why))

    @asynccontextmanager
    async def use(self, until: float) -> AsyncIterator[Connection]:
        """A connection for one piece of work, as `acquire` finds it."""
        connection = await self.acquire(until)
        try:
            yield connection
        except (Lost, Undone) as error:
            self.lose(connection, error)
            raise
        except BaseException:
            connection.terminate()
            self.release(connection)
            raise
        self.release(connection)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for task in (self._watch, self._election):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task
        self._ask_no_more()
        await asyncio.gather(*(one.close() for one in (*self._open, *self._watched.values())))

    def _drop(self, connection: Connection) -> None:
        self._open.discard(connection)
        connection.terminate()

    async def _connect(self) -> Connection | None:
        server, term = self.primary, self.term
        if server is None:
            self._elect(self._why)
            return None
        self._opening += 1
        try:
            connection = await self._ready(await Connection.open(server, self.url.times))
            writable, timeline = (True, self.timeline) if self._replicas else await describe(connection)
        except FAILURES as error:
            self._elect(f"{server}: {as_text(error)}")
            return None
        finally:
            self._opening -= 1
        if not writable or timeline < self.timeline or term != self.term:
            connection.terminate()
            self._elect(f"{server} is no longer a primary")
            return None
        connection.term = term
        self._open.add(connection)
        return connection

    async def _ready(self, connection: Connection) -> Connection:
        if self._relaxed:
            await connection.execute("set synchronous_commit = local", 2)
        return connection

    # Election

    def _elect(self, why: str) -> None:
        self._why = why
        if self._election is None and not self._closed:
            self._election = asyncio.create_task(self._hold_election())

    async def _wait_for_primary(self, until: float) -> None:
        self._elect(self._why)
        assert self._election is not None
        patience = max(0.0, until - asyncio.get_running_loop().time())
        await asyncio.wait([self._election], timeout=patience)
        if self._election is not None:
            raise Unavailable(f"the store cannot be reached: {self._why}")

    async def _hold_election(self) -> None:
        try:
            while True:
                if await self._choose(await self._ask_all()):
                    break
                await asyncio.sleep(PAUSE_S * (1 + random.random()))
        except asyncio.CancelledError:
            raise
        except Exception:
            _log.exception("the search for the primary failed")
        finally:
            self._election = None

    async def _ask_all(self, *, first: bool = False) -> list[Answer]:
        """Ask all servers; returns the answers with their connections."""
        outcomes = await self._outcomes(None if first else GRACE_S)
        answers = [one for one in outcomes if not isinstance(one, BaseException)]
        failures = [one for one in outcomes if isinstance(one, Exception)]
        if failures and not answers:
            self._why = "; ".join(
                f"{server}: {as_text(one)}"
                for server, one in zip(self.url.servers, outcomes, strict=True)
                if isinstance(one, Exception)
            )
            if first and all(not isinstance(one, asyncpg.CannotConnectNowError) for one in failures):
                raise CannotOpen(self._why)
        elif not any(writable for writable, _, _ in answers):
            self._why = "no server is a primary"
        return answers

    async def _outcomes(self, grace_s: float | None) -> list[Answer | BaseException]:
        """The outcomes of one round. A frozen server must not delay the others, so a round ends `grace_s` after the
        first outcome, or at once with a primary newer than any before. (A server may be promoted after it was asked, so
        rounds must be short.) Late answers belong to a later round."""
        for server in self.url.servers:
            if server not in self._asking:
                self._asking[server] = asyncio.create_task(self._ask(server))
        asked = [self._asking[server] for server in self.url.servers]
        _, late = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        loop = asyncio.get_running_loop()
        until = math.inf if grace_s is None else loop.time() + grace_s
        while late and loop.time() < until and not any(map(self._is_newer, asked)):
            patience = None if grace_s is None else until - loop.time()
            _, late = await asyncio.wait(late, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        outcomes: list[Answer | BaseException] = []
        for server, one in zip(self.url.servers, asked, strict=True):
            if one.done():
                del self._asking[server]
                outcomes.append(one.exception() or one.result())
            else:
                outcomes.append(TimeoutError())
        return outcomes

    def _is_newer(self, asked: asyncio.Task[Answer]) -> bool:
        """Whether a server has answered that it is a primary of a later timeline than any seen before."""
        if self._replicas or not asked.done() or asked.exception() is not None:
            return False
        writable, timeline, _ = asked.result()
        return writable and timeline > self.timeline > 0

    def _ask_no_more(self) -> None:
        for task in self._asking.values():
            task.cancel()
            task.add_done_callback(_close_answer)
        self._asking.clear()

    def _may_serve(self, writable: bool, timeline: int) -> bool:
        return self._replicas or (writable and timeline >= self.timeline)

    async def _ask(self, server: Server) -> Answer:
        connection = await self._ready(await Connection.open(server, self.url.times))
        try:
            return (*await describe(connection), connection)
        except BaseException:
            connection.terminate()
            raise

    async def _choose(self, answers: list[Answer]) -> bool:
        """Take the best server as the primary, close the connections to others."""
        if self._replicas:
            usable = sorted(answers, key=lambda answer: answer[0])
        else:
            usable = [one for one in answers if self._may_serve(*one[:2])]
            usable.sort(key=lambda answer: (-answer[1], answer[2].server != self.primary))
        for _, _, connection in answers:
            if not usable or connection is not usable[0][2]:
                connection.terminate()
        if not usable:
            return False
        _, timeline, connection = usable[0]
        if connection.server != self.primary or (timeline != self.timeline and not self._replicas):
            if self.primary is not None:
                _log.warning("the primary is now %s, timeline %d", connection.server, timeline)
            self._begin_term(connection.server)
        self._ask_no_more()
        self.timeline = max(self.timeline, timeline)
        connection.term = self.term
        self._open.add(connection)
        self.release(connection)
        return True

    def _begin_term(self, server: Server) -> None:
        self.term += 1
        self._answered_at = asyncio.get_running_loop().time()
        self.primary = server
        for connection in [*self._open]:
            self._drop(connection)
        self._idle.clear()

    # Watch

    async def _watch_servers(self) -> None:
        await asyncio.gather(*map(self._watch_server, self.url.servers))

    async def _watch_server(self, server: Server) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                await self._look(server)
            except Exception:
                _log.exception("the watch of %s failed", server)

    async def _look(self, server: Server) -> None:
        term = self.term
        answered, writable, timeline = await self._look_at(server)
        if server != self.primary:
            if not self._replicas and writable and timeline > self.timeline:
                self._give_up(f"{server} has a newer timeline")
        elif term == self.term:  # otherwise the server may have been asked before its promotion
            now = asyncio.get_running_loop().time()
            if answered:
                self._answered_at = now
            if (answered and not writable and not self._replicas) or now - self._answered_at >= SILENCE_S:
                self._give_up(f"{server} {'is no longer a primary' if answered else 'does not answer'}")

    def _give_up(self, why: str) -> None:
        """Close all connections. The outcome of commits in progress is unknown."""
        _log.warning("the store's primary is given up: %s", why)
        for connection in [*self._open]:
            self._drop(connection)
        self._idle.clear()
        self._elect(why)

    async def _look_at(self, server: Server) -> tuple[bool, bool, int]:
        """Ask one server whether it accepts writes, and for its timeline."""
        connection = self._watched.get(server)
        try:
            if connection is None or connection.is_closed:
                connection = self._watched[server] = await Connection.open(server, self.url.times)
            return (True, *await describe(connection))
        except FAILURES:
            found = self._watched.pop(server, None)
            if found is not None:
                found.terminate()
            return False, False, 0


FAILURES = (Lost, Undone, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


def _close_answer(task: asyncio.Task[Answer]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result()[2].terminate()


def as_text(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return " ".join(str(error).split()) or type(error).__name__
