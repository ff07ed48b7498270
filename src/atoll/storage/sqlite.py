"""The default engine: one SQLite file in a data directory, written by group commit.

Reads run inline on the event loop, on a connection of their own: a point read costs less than a hop to a thread.
Writes are collected. While one commit is on its way to the disk, new functions queue; then all of them run inline, one
after the other, in one transaction of SQLite, and the next commit makes them durable together. Nobody is answered
before, not even who was refused, for he may have been refused because of a row that is not durable yet.

A worker that is alone commits inline too, lets the log be synced beside it, and reads the moment before the commit
until that is done. Several workers cannot keep each other from seeing what is committed, so with them SQLite syncs
within the commit, which then takes a thread.

    atoll.db    the file (`sqlitefile` has its format), with SQLite's -wal and -shm beside it
    owner.lock  held by the server: exclusively by one worker, shared by the workers of one server
    turn.lock, next.lock  whose turn it is to write, among workers
    lease.lock  held by the worker that runs the background steps
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import apsw

from atoll.storage.buffer import Buffer
from atoll.storage.datasync import DataSync, open_sync, sync_now
from atoll.storage.engine import Corrupt, Locked, Snapshot, T, Transaction
from atoll.storage.locks import FileLock, Turn
from atoll.storage.sqlitefile import Rows, connect, fault, sync_file

FILE_NAME = "atoll.db"

# Functions in one commit at most: they run on the event loop, where reads wait meanwhile.
BATCH = 256

# The log is given back to the file after so many pages, little and often, beside the commits. SQLite starts the log
# again from its beginning, and syncs the file, only when all of it was given back, which under constant load it never
# is. So the file is synced here, the pages that came meanwhile are given back in turn, and when few remain (or too many
# have come together), the rest is given back before the next batch.
CHECKPOINT_PAGES = 2000
CHECKPOINT_REST_PAGES = 100
LOG_PAGES = 16_000

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
        owner = FileLock(directory / "owner.lock")
        if not owner.try_acquire(shared=workers > 1):
            owner.close()
            raise Locked(f"{directory} is in use by another server")
        turn = Turn(directory) if workers > 1 else None
        if turn:
            turn.acquire()
        connections: list[apsw.Connection] = []
        try:
            for _ in range(3):
                connections.append(connect(directory / FILE_NAME, synced=durability == "full" and workers > 1))
            log = directory / f"{FILE_NAME}-wal"
            if durability == "full":
                sync_now(log)  # it may hold commits of a process that was killed before they were durable
            sync = open_sync(log) if durability == "full" and workers == 1 else None
        except BaseException:
            for connection in connections:
                connection.close(True)
            owner.close()
            if turn:
                turn.close()
            raise
        if turn:
            turn.release()
        return cls(connections, FileLock(directory / "lease.lock"), owner, turn, sync)

    def __init__(
        self,
        connections: list[apsw.Connection],
        lease: FileLock,
        owner: FileLock,
        turn: Turn | None,
        sync: DataSync | None,
    ) -> None:
        self._connections = connections
        write, read, self._checkpointer = connections
        self._writer, self._reader = Rows(write), Rows(read)
        self._lease, self._owner, self._turn, self._sync = lease, owner, turn, sync
        self._queue: list[_Pending] = []
        self._busy = False
        self._kept = False
        """Whether the reading connection has kept its transaction for the reads to come."""
        self._closed = False
        self._broken: Corrupt | None = None
        self._drained: asyncio.Future[None] | None = None
        self._committer = ThreadPoolExecutor(1, "atoll-commit")
        self._checkpoint_thread = ThreadPoolExecutor(1, "atoll-checkpoint")
        self._log_pages = 0
        self._checkpointing = False
        self._finish_checkpoint = False
        write.set_wal_hook(self._note_log_pages)

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()  # asked once: it makes a system call

    async def read(self, fn: Callable[[Snapshot], T]) -> T:
        rows = self._reader
        try:
            while True:
                if not self._kept:
                    rows.begin("BEGIN")
                try:
                    result = fn(rows)
                    if not rows.guessed_wrong():
                        return result
                except apsw.Error:
                    raise
                except Exception:
                    if not rows.guessed_wrong():
                        raise
                finally:
                    self._end_read()
        except apsw.Error as error:
            self._kept = False
            rows.roll_back()
            raise fault(error) from error

    def _end_read(self) -> None:
        """Where nobody else writes, what is durable stays as it is until our next batch is: the reads that come before
        share one transaction."""
        self._kept = self._turn is None
        if self._kept:
            self._reader.keep()
        else:
            self._reader.end()

    def _drop_kept(self) -> None:
        if self._kept:
            self._kept = False
            self._reader.end()

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        if self._closed:
            raise RuntimeError("the store is closed")
        if self._broken:
            raise Corrupt(str(self._broken))
        pending = _Pending(fn, self._loop.create_future())
        self._queue.append(pending)
        if not self._busy:
            self._busy = True
            self._loop.call_soon(self._take_turn)
        await pending.future
        if isinstance(pending.error, apsw.Error):
            raise fault(pending.error) from pending.error
        if pending.error is not None:
            raise pending.error
        result: T = pending.result
        return result

    def lease(self) -> bool:
        return self._lease.try_acquire()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._busy:
            self._drained = self._loop.create_future()
            await self._drained
        self._drop_kept()
        self._committer.shutdown()
        self._checkpoint_thread.shutdown()
        for connection in self._connections:  # the last one of the file checkpoints the log and removes it
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, self._broken is not None)
            connection.close()
        if self._sync:
            self._sync.close()
        self._lease.close()
        self._owner.close()
        if self._turn:
            self._turn.close()

    # One batch: take the turn, run, commit, answer.

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
        self._drop_kept()
        try:
            writer.begin("BEGIN IMMEDIATE")
            writer.check_counters()
            for pending in batch:
                wrote = self._run_one(pending) or wrote
            writer.close_scans()
            if not wrote:
                writer.commit()
            else:
                writer.write_counters()
                if self._turn is None:
                    self._reader.begin("BEGIN")
                    self._end_read()
                    writer.commit()
        except Exception as error:
            writer.roll_back()
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
        try:
            self._writer.commit()
            if self._finish_checkpoint and not self._broken:
                self._finish_checkpoint = False
                self._checkpoint_thread.submit(self._checkpoint, self._checkpointer).result()  # behind one that runs
        except BaseException:
            self._writer.roll_back()
            raise
        finally:
            self._pass_turn()

    def _synced(self, batch: list[_Pending], error: BaseException | None) -> None:
        if error is not None:  # what is committed but may be lost is never shown: reads keep the moment before it
            self._break(Corrupt(f"the log could not be synced ({error}); restart the server when the disk works again"))
            self._answer(batch, self._broken)
            return
        self._drop_kept()
        self._answer(batch, None)

    def _break(self, error: Corrupt) -> None:
        _log.error("the store takes no more writes: %s", error)
        self._broken = error

    def _pass_turn(self) -> None:
        if self._turn:
            self._turn.release()

    def _answer(self, batch: list[_Pending], error: BaseException | None) -> None:
        self._reader.trusting = False
        for pending in batch:
            pending.error = error or pending.error
            if not pending.future.done():
                pending.future.set_result(None)
        if self._finish_checkpoint and self._turn is None and not self._broken:
            self._finish_checkpoint = False
            finishing = self._loop.run_in_executor(self._checkpoint_thread, self._checkpoint, self._checkpointer)
            finishing.add_done_callback(lambda _: self._go_on())
        else:
            self._go_on()

    def _go_on(self) -> None:
        if self._queue:
            self._take_turn()
        else:
            self._busy = False
            if self._drained:
                self._drained.set_result(None)
        self._start_checkpoint()

    # The log

    def _note_log_pages(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self._log_pages = pages
        return apsw.SQLITE_OK

    def _start_checkpoint(self) -> None:
        if self._log_pages > LOG_PAGES:
            self._finish_checkpoint = True
        if (
            self._log_pages < CHECKPOINT_PAGES
            or self._checkpointing
            or self._finish_checkpoint
            or self._broken
            or self._closed
        ):
            return
        self._checkpointing = True
        checkpoint = self._loop.run_in_executor(self._checkpoint_thread, self._checkpoint_beside)
        checkpoint.add_done_callback(self._look_at_rest)

    def _checkpoint_beside(self) -> int:
        done = self._checkpoint(self._checkpointer)
        try:
            sync_file(self._checkpointer)
        except Corrupt as error:
            self._break(error)
        return done

    def _checkpoint(self, connection: apsw.Connection) -> int:
        """Give back what can be given back without waiting for anybody; how many pages of the log are done."""
        try:
            _, done = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.BusyError:  # somebody else is at it
            return 0
        except (apsw.FullError, apsw.IOError) as error:
            _log.warning("the log was not checkpointed, but will be later: %s", error)
            return 0
        return done

    def _look_at_rest(self, checkpoint: asyncio.Future[int]) -> None:
        self._checkpointing = False
        self._finish_checkpoint = self._log_pages - checkpoint.result() < CHECKPOINT_REST_PAGES
        if not self._busy:
            self._start_checkpoint()
