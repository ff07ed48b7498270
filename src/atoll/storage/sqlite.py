"""The default engine: one SQLite file in a data directory, written by group commit.

Reads run inline on the event loop, on a connection of their own (`reader`): one costs less than a hop to a thread.
Writes are collected. While one commit is on its way to the disk, new functions queue; then all of them run inline, one
after the other, in one transaction of SQLite, and the next commit makes them durable together. Nobody is answered
before, not even who was refused, for he may have been refused because of a row that is not durable yet. Who was
answered is often back at once, so the next commit waits a little for as many as were there: it costs the same for all.

A worker that is alone commits inline too, lets the log be synced beside it, and reads the moment before the commit
until that is done. Several workers cannot keep each other from seeing what is committed, so with them SQLite syncs
within the commit, which then takes a thread.

    atoll.db    the file (`sqlitefile` has its format), with SQLite's -wal and -shm beside it
    owner.lock  held by the server: exclusively by one worker, shared by the workers of one server
    turn.lock, next.lock  whose turn it is to write, among workers
    moment      tells the workers that one of them has committed
    lease.lock  held by the worker that runs the background steps
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import apsw

from atoll.storage.buffer import Buffer
from atoll.storage.checkpoints import Checkpoints
from atoll.storage.datasync import DataSync, open_sync, sync_now
from atoll.storage.engine import Corrupt, Locked, Snapshot, T, Transaction
from atoll.storage.locks import FileLock, Turn
from atoll.storage.moment import Moment
from atoll.storage.reader import Reader
from atoll.storage.sqlitefile import Rows, connect, fault

FILE_NAME = "atoll.db"

# Functions in one commit at most: they run on the event loop, where reads wait meanwhile.
BATCH = 256

# A commit waits no longer for those who were there before when so many turns of the event loop have brought nobody, or
# have taken so long: a loop that is full of reads turns slowly.
PATIENCE = 8
PATIENCE_SECONDS = 0.002

_log = logging.getLogger(__name__)


class _Pending:
    """A function that waits for its commit, then its outcome."""

    __slots__ = ("error", "fn", "future", "result")

    def __init__(self, fn: Callable[[Transaction], Any], future: asyncio.Future[None]) -> None:
        self.fn = fn
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None


class SQLiteEngine:
    """Used from one event loop; `close` before that loop ends. Each worker process opens the store for itself."""

    @classmethod
    def open(cls, directory: Path, *, durability: str = "full", workers: int = 1) -> SQLiteEngine:
        """Open the store in `directory`, made if it is not there. `durability` is "full" (an acknowledged write
        outlives a power cut) or "relaxed" (it outlives the process). Raises `Locked` if another server has it open;
        the workers of one server all say that they are several."""
        directory.mkdir(parents=True, exist_ok=True)
        with ExitStack() as opened:
            owner = FileLock(directory / "owner.lock")
            opened.callback(owner.close)
            if not owner.try_acquire(shared=workers > 1):
                raise Locked(f"{directory} is in use by another server")
            alone = workers == 1
            turn = moment = None
            if not alone:
                turn = Turn(directory)
                opened.callback(turn.close)
                turn.acquire()
                moment = Moment(directory / "moment")
                opened.callback(moment.close)
            connections = []
            for _ in range(3):
                connections.append(connect(directory / FILE_NAME, synced=durability == "full" and not alone))
                opened.callback(connections[-1].close, True)
            log, sync = directory / f"{FILE_NAME}-wal", None
            if durability == "full":
                sync_now(log)  # it may hold commits of a process that was killed before they were durable
                if alone:
                    sync = open_sync(log)
                    opened.callback(sync.close)
            if turn:
                turn.release()
            lease = FileLock(directory / "lease.lock")
            opened.pop_all()
            return cls(connections, lease, owner, turn, moment, sync)

    def __init__(
        self,
        connections: list[apsw.Connection],
        lease: FileLock,
        owner: FileLock,
        turn: Turn | None,
        moment: Moment | None,
        sync: DataSync | None,
    ) -> None:
        self._connections = connections
        write, read, checkpoint = connections
        self._writer, self._reader = Rows(write), Reader(read, moment)
        self._checkpoints = Checkpoints(checkpoint, self._break)
        write.set_wal_hook(self._checkpoints.note)
        self._lease, self._owner, self._sync = lease, owner, sync
        self._turn, self._moment = turn, moment
        self._queue: list[_Pending] = []
        self._busy = False
        self._company = 0
        """How many functions were there when the last batch was answered, with those in it."""
        self._closed = False
        self._broken: Corrupt | None = None
        self._drained: asyncio.Future[None] | None = None
        self._committer = ThreadPoolExecutor(1, "atoll-commit")

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()  # asked once: it makes a system call

    async def read(self, fn: Callable[[Snapshot], T]) -> T:
        try:
            return self._reader.read(fn)
        except apsw.Error as error:
            raise fault(error) from error

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        if self._closed:
            raise RuntimeError("the store is closed")
        if self._broken:
            raise Corrupt(str(self._broken))
        pending = _Pending(fn, self._loop.create_future())
        self._queue.append(pending)
        if not self._busy:
            self._busy = True
            self._loop.call_soon(self._gather)
        await pending.future
        error, pending.error = pending.error, None
        try:
            if isinstance(error, apsw.Error):
                raise fault(error) from error
            if error is not None:
                raise error
        finally:
            del error  # which leads back here by its traceback
        result: T = pending.result
        return result

    async def lease(self) -> bool:
        return self._lease.try_acquire()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._busy:
            self._drained = self._loop.create_future()
            await self._drained
        self._reader.drop()
        self._committer.shutdown()
        self._checkpoints.close()
        for connection in self._connections:  # the last one of the file checkpoints the log and removes it
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, self._broken is not None)
            connection.close()
        if self._sync:
            self._sync.close()
        self._lease.close()
        self._owner.close()
        if self._turn and self._moment:
            self._turn.close()
            self._moment.close()

    # One batch: gather, take the turn, run, commit, answer.

    def _gather(self, seen: int = 0, idle: int = 0, since: float = 0.0) -> None:
        """Each turn of the loop brings those who have just been answered back, as fast as they are."""
        came, now = len(self._queue), self._loop.time()
        if came > seen:
            idle, since = 0, now
        else:
            idle += 1
        if came >= min(self._company, BATCH) or idle == PATIENCE or now - since >= PATIENCE_SECONDS:
            self._take_turn()
        else:
            self._loop.call_soon(self._gather, came, idle, since)

    def _take_turn(self) -> None:
        if self._turn is None or self._turn.try_acquire():
            self._run()
            return
        waiting = self._loop.run_in_executor(self._committer, self._turn.acquire)
        waiting.add_done_callback(lambda _: self._run())

    def _run(self) -> None:
        batch, self._queue = self._queue[:BATCH], self._queue[BATCH:]
        wrote = False
        writer = self._writer
        if self._broken:
            self._pass_turn()
            self._loop.call_soon(self._answer, batch, self._broken)
            return
        try:
            self._reader.drop()
            writer.begin("BEGIN IMMEDIATE")
            for pending in batch:
                wrote = self._run_one(pending) or wrote
            writer.close_scans()
            if not wrote:
                writer.commit()
            else:
                writer.write_counters()
                if self._turn is None:
                    self._reader.hold()
                    writer.commit()
        except Exception as error:
            writer.roll_back()
            self._reader.drop()
            self._pass_turn()
            self._loop.call_soon(self._answer, batch, error)
            return
        if not wrote:
            self._pass_turn()
            self._loop.call_soon(self._answer, batch, None)
        elif self._turn is not None:
            committing = self._loop.run_in_executor(self._committer, self._commit)
            committing.add_done_callback(lambda done: self._answer(batch, done.exception()))
        elif self._sync is not None:
            self._sync.start(partial(self._synced, batch))
        else:
            self._loop.call_soon(self._synced, batch, None)

    def _run_one(self, pending: _Pending) -> bool:
        """Run one function; whether it wrote anything. Raises what SQLite raises: it spoils the batch."""
        buffer = Buffer(self._writer)
        try:
            pending.result = pending.fn(buffer)
        except apsw.Error:
            raise
        except BaseException as error:
            pending.error = error
            return False
        return self._writer.apply(buffer)

    def _commit(self) -> None:
        """In the thread, where SQLite syncs within the commit."""
        assert self._moment is not None
        try:
            try:
                with self._moment.committing():
                    self._writer.commit()
            except BaseException:
                self._writer.roll_back()
                raise
            if self._checkpoints.rest_due:
                self._checkpoints.give_rest().result()
        finally:
            self._pass_turn()

    def _synced(self, batch: list[_Pending], error: BaseException | None) -> None:
        if error is not None:  # what is committed but may be lost is never shown: reads keep the moment before it
            self._break(Corrupt(f"the log could not be synced ({error}); restart the server when the disk works again"))
            self._answer(batch, self._broken)
            return
        self._reader.drop()
        self._answer(batch, None)

    def _break(self, error: Corrupt) -> None:
        _log.error("the store takes no more writes: %s", error)
        self._broken = error

    def _pass_turn(self) -> None:
        if self._turn:
            self._turn.release()

    def _answer(self, batch: list[_Pending], error: BaseException | None) -> None:
        for pending in batch:
            pending.error = error or pending.error
            if not pending.future.done():
                pending.future.set_result(None)
        self._company = len(batch) + len(self._queue)
        if self._checkpoints.rest_due and self._turn is None and not self._broken:
            rest = asyncio.wrap_future(self._checkpoints.give_rest(), loop=self._loop)
            rest.add_done_callback(lambda _: self._go_on())
        else:
            self._go_on()

    def _go_on(self) -> None:
        if self._queue:
            self._gather()
        else:
            self._busy = False
            if self._drained:
                self._drained.set_result(None)
        if not self._broken and not self._closed:
            self._checkpoints.look()
