"""The default engine: one SQLite file in a data directory, written by group commit.

Reads run inline on the event loop, on their own connection (`shared_read`): a read costs less than a hop to a thread.
Writes are batched. While one commit is being synced, new functions queue. Then all of them run inline, one after the
other, in one SQLite transaction, and one commit makes them durable together. No caller is answered before the commit
is durable, not even one whose condition failed: the row that failed it may not be durable yet. Clients usually send
their next write right after an answer, so the next commit waits briefly for as many writers as last time.

A function that takes long, or writes more than a megabyte, ends its batch. It is applied and committed in a thread,
beside which reads go on.

A single worker also commits inline. It syncs the WAL asynchronously, and its reads stay on the previous snapshot until
the sync is done. Several workers cannot hide their commits from each other, so there SQLite syncs within the commit,
and the commit runs in a thread.

    atoll.db    the file (`sqlitefile` has its format), with SQLite's -wal and -shm beside it
    owner.lock  held by the server: exclusively by one worker, shared by the workers of one server
    turn.lock, next.lock  the workers take turns to write with these
    moment      the commit sequence number, by which workers notice each other's commits
    lease.lock  held by the worker that runs the background work
    acknowledged  the mark of the last acknowledged commit

A store that is damaged takes no more writes, unless it was opened with `on_damage="serve"`. Nor does a store whose file
was removed or replaced: no server would find those writes again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cached_property, partial
from pathlib import Path

import apsw

from atoll.storage import acknowledged
from atoll.storage.acknowledged import Acknowledged
from atoll.storage.checkpoints import Checkpoints
from atoll.storage.commit_sequence import CommitSequence
from atoll.storage.datasync import DataSync, open_sync, sync_again
from atoll.storage.engine import Corrupt, Damaged, Gone, Locked, Size, Snapshot, T, Transaction
from atoll.storage.locks import FileLock, Turn
from atoll.storage.pending import ONLY_DELETIONS, Pending
from atoll.storage.reserve import Reserve
from atoll.storage.shared_read import SharedReadTransaction
from atoll.storage.shrinking import Idle, Step, excess_pages, file_sizes
from atoll.storage.sqlitefile import Rows, connect, fault, identity, is_failed_sync, log_of

FILE_NAME = "atoll.db"

# Maximum number of functions in one commit: they run on the event loop and delay reads.
BATCH = 256

# Stop waiting for writers after this many event-loop turns without a new write, or after this long without one: when
# the loop is busy with reads, its turns are slow.
GATHER_TURNS = 8
GATHER_SECONDS = 0.002

# How often to see whether the file was removed or replaced.
LOOK_SECONDS = 0.5

_log = logging.getLogger(__name__)


class SQLiteEngine:
    """Use it from one event loop, and `close` it before that loop ends. Each worker process opens its own engine."""

    @classmethod
    def open(
        cls, directory: Path, *, durability: str = "full", workers: int = 1, on_damage: str = "stop"
    ) -> SQLiteEngine:
        """Open the store in `directory`, creating it if missing. `durability` is "full" (an acknowledged write
        survives a power cut) or "relaxed" (it survives the death of the process). Raises `Locked` if another server
        has the store open, `Full` or OSError if the disk fails, `Corrupt` if acknowledged commits are missing;
        `on_damage="serve"` opens it all the same.
        All workers of one server pass the same `workers`."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with ExitStack() as opened:
            owner = FileLock(directory / "owner.lock")
            opened.callback(owner.close)
            if not owner.try_acquire(shared=workers > 1):
                raise Locked(f"{directory} is in use by another server")
            alone = workers == 1
            turn = commits = None
            if not alone:
                turn = Turn(directory)
                opened.callback(turn.close)
                turn.acquire()
                commits = CommitSequence(directory / "moment")
                opened.callback(commits.close)
            database = directory / FILE_NAME
            log = log_of(database)
            mark = Acknowledged(directory, log)
            opened.callback(mark.close)
            damage = acknowledged.damage_of(database, log, mark.read(), serves=on_damage == "serve")
            connections = []
            for _ in range(3):
                connections.append(connect(database, synced=durability == "full" and not alone))
                opened.callback(connections[-1].close, True)
            sync = None
            if durability == "full":
                sync_again(log)  # a killed process may have left commits that are not durable yet
                if alone:
                    sync = open_sync(log)
                    opened.callback(sync.close)
            if mark.follow() or damage or durability != "full":
                mark.clear()
            if turn:
                turn.release()
            lease = FileLock(directory / "lease.lock")
            opened.pop_all()
            engine = cls(connections, lease, owner, turn, commits, sync, mark, database)
            engine.moves_mark = durability == "full"
            engine.serves_damage, engine.damage = on_damage == "serve", damage
            return engine

    def __init__(
        self,
        connections: list[apsw.Connection],
        lease: FileLock,
        owner: FileLock,
        turn: Turn | None,
        commits: CommitSequence | None,
        sync: DataSync | None,
        mark: Acknowledged,
        path: Path,
    ) -> None:
        self._connections = connections
        write, read, checkpoint = connections
        self._writer, self._reader = Rows(write), SharedReadTransaction(read, commits)
        self._checkpoints = Checkpoints(checkpoint, self._break)
        write.set_wal_hook(self._note_frames)
        self._mark, self._path = mark, path
        self.moves_mark = True
        self._frames = 0
        self._log = log_of(path)
        self._identity, self._log_identity = identity(path), identity(self._log)
        self._looked = 0.0
        self.serves_damage = False
        """Whether a damaged store goes on taking writes."""
        self.damage: Corrupt | None = None
        """The first damage that was found."""
        self.reserve: Reserve | None = None
        """Disk space that is held back for deletions."""
        self._only_deletions = False
        self._lease, self._owner, self._sync = lease, owner, sync
        self._turn, self._commits = turn, commits
        self._idle = Idle(commits)
        self._queue: list[Pending] = []
        self._busy = False
        self._expected_writers = 0
        """Functions in the last batch plus those queued when it was answered: the next commit waits for as many."""
        self._closed = False
        self._broken: Corrupt | None = None
        self._drained: asyncio.Future[None] | None = None
        self._committer = ThreadPoolExecutor(1, "atoll-commit")

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()  # cached: it makes a system call

    async def read(self, fn: Callable[[Snapshot], T]) -> T:
        try:
            return self._reader.read(fn)
        except (apsw.Error, Damaged) as error:
            raise self._fault(error) from error

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        if self._closed:
            raise RuntimeError("the store is closed")
        if self._broken:
            raise type(self._broken)(str(self._broken))
        if self.damage and not self.serves_damage:
            raise Corrupt(f"the store refuses writes, because it is damaged: {self.damage}")
        pending = Pending(fn, self._loop.create_future())
        self._enqueue(pending)
        await pending.future
        if pending.error is not None:
            self._raise_error(pending)
        result: T = pending.result
        return result

    async def size(self) -> Size | None:
        total, unused = await self.read(file_sizes)
        return Size(total, unused, self._log.stat().st_size)

    async def give_back(self) -> bool:
        if self._closed or self._busy or self._broken or self.damage or not self._idle.is_long(self._loop.time()):
            return False
        pages = await self.read(excess_pages)
        step = Step(pages, self._loop.create_future())
        if pages > 0:
            self._checkpoints.rest_due = step.is_last  # only a complete checkpoint shortens the file
            self._enqueue(step)
            await step.future
            self._raise_error(step)
            self._idle.skip_own()
        return not step.is_last

    def _enqueue(self, pending: Pending) -> None:
        self._queue.append(pending)
        if not self._busy:
            self._busy = True
            self._loop.call_soon(self._gather)

    def _raise_error(self, done: Pending) -> None:
        error, done.error = done.error, None
        try:
            if isinstance(error, apsw.Error | Damaged):
                raise self._fault(error) from error
            if error is not None:
                raise error
        finally:
            del error  # its traceback refers to this frame: break the cycle

    def _fault(self, error: apsw.Error | Damaged) -> Exception:
        """The exception for callers. The text of damage names the file; the first one is logged."""
        translated = Damaged(error.key, self._path) if isinstance(error, Damaged) else fault(error, self._path)
        if isinstance(translated, Corrupt) and self.damage is None:
            _log.error("%s", translated)
            self.damage = translated
        return translated

    def _note_frames(self, connection: apsw.Connection, name: str, frames: int) -> int:
        self._frames = frames
        return self._checkpoints.note(connection, name, frames)

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
        ends = self._is_whole() and (self._turn is None or self._owner.try_acquire())
        ends = ends and self._checkpoints.finish() and self._mark.try_to_clear()
        self._mark.close()
        for connection in self._connections:
            # Closing the last connection checkpoints and removes the WAL.
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, not ends)
            connection.close()
        if self._sync:
            self._sync.close()
        self._lease.close()
        self._owner.close()
        if self._turn and self._commits:
            self._turn.close()
            self._commits.close()

    def _is_whole(self) -> bool:
        """Whether the log may be moved to the file: both are intact, or only the log has lost its name."""
        is_fault = self._broken and not isinstance(self._broken, Gone)
        return not is_fault and not self.damage and identity(self._path) == self._identity

    # One batch: gather, take the turn, run, commit, answer.

    def _gather(self, seen: int = 0, idle: int = 0, since: float = 0.0) -> None:
        """Wait, turn by turn of the event loop, for the clients just answered to send their next writes."""
        came, now = len(self._queue), self._loop.time()
        if came > seen:
            idle, since = 0, now
        else:
            idle += 1
        if came >= min(self._expected_writers, BATCH) or idle == GATHER_TURNS or now - since >= GATHER_SECONDS:
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
        wrote, aside = False, None
        if self._broken:
            self._pass_turn()
            self._loop.call_soon(self._answer, batch, self._broken)
            return
        try:
            self._look_at_file()
            self._reader.drop()
            self._writer.begin("BEGIN IMMEDIATE")
            for count, pending in enumerate(batch):
                wrote = pending.run(self._writer, self._only_deletions) or wrote
                if pending.is_long:  # others wait for the next batch
                    self._queue[:0], batch, aside = batch[count + 1 :], batch[: count + 1], pending
                    break
            if self._turn is None and (wrote or aside):
                self._reader.hold()
            if aside is None:
                self._write(wrote)
        except Exception as error:
            self._failed(batch, wrote, error)
            return
        if aside is None:
            self._written(batch, wrote)
        else:
            writing = self._loop.run_in_executor(self._committer, self._write, wrote, aside)
            writing.add_done_callback(partial(self._written_aside, batch))

    def _write(self, wrote: bool, aside: Pending | None = None) -> bool:
        """Write what is left of a batch, in the committer thread if there is an `aside`. A single worker commits.
        Return whether anything was written."""
        writer = self._writer
        if aside is not None:
            wrote = aside.end(writer, self._only_deletions) or wrote
        writer.close_scans()
        if not wrote:
            writer.commit()
        else:
            writer.write_counters()
            if self._turn is None:
                writer.commit()
        return wrote

    def _written_aside(self, batch: list[Pending], writing: asyncio.Future[bool]) -> None:
        error = writing.exception()
        if isinstance(error, Exception):
            self._failed(batch, True, error)
        elif error is not None:
            raise error
        else:
            self._written(batch, writing.result())

    def _written(self, batch: list[Pending], wrote: bool) -> None:
        if not wrote:
            if self._reader.is_held:
                self._reader.drop()
            self._pass_turn()
            self._loop.call_soon(self._answer, batch, None)
            return
        self._idle.was_used = True
        if self._turn is not None:
            committing = self._loop.run_in_executor(self._committer, self._commit)
            committing.add_done_callback(lambda done: self._answer(batch, self._failure(done.exception())))
        elif self._sync is not None:
            self._sync.start(partial(self._synced, batch))
        else:
            self._loop.call_soon(self._synced, batch, None)

    def _failed(self, batch: list[Pending], wrote: bool, error: Exception) -> None:
        self._note_full(error)
        self._writer.roll_back()
        self._reader.drop()
        if wrote:
            self._mark.follow()
        self._pass_turn()
        self._loop.call_soon(self._answer, batch, self._failure(error))

    def _commit(self) -> None:
        """Runs in the committer thread; SQLite syncs within the commit."""
        assert self._commits is not None
        try:
            try:
                with self._commits.committing():
                    self._writer.commit()
                if self.moves_mark:
                    self._mark.move(self._frames)
            except BaseException as error:
                self._note_full(error)
                self._writer.roll_back()
                self._mark.follow()
                raise
            if self._checkpoints.rest_due:
                self._checkpoints.give_rest().result()
        finally:
            self._pass_turn()

    def _synced(self, batch: list[Pending], error: BaseException | None) -> None:
        if error is not None:  # never expose a commit that might be lost: reads stay on the previous snapshot
            self._break_log(error)
            self._answer(batch, self._broken)
            return
        if self.moves_mark:
            self._mark.move(self._frames)
        self._reader.drop()
        self._answer(batch, None)

    def _look_at_file(self) -> None:
        """Twice a second, see whether the file is still the one that was opened."""
        now = self._loop.time()
        if now - self._looked > LOOK_SECONDS:
            self._looked = now
            self._only_deletions = self.reserve is not None and not self.reserve.has_room(self._writer.free_bytes)
            for path, opened in ((self._path, self._identity), (self._log, self._log_identity)):
                if identity(path) != opened:
                    self._break(gone := Gone(f"{path} was removed or replaced; restart the server"))
                    raise gone

    def _note_full(self, error: BaseException) -> None:
        if isinstance(error, apsw.FullError) and self.reserve is not None:
            self._only_deletions = True
            if self.reserve.spend():
                _log.error(ONLY_DELETIONS)

    def _failure(self, error: BaseException | None) -> BaseException | None:
        """The error for the callers of a batch. If syncing the WAL failed, the next start may still apply the batch."""
        if error is None or not is_failed_sync(error):
            return error
        self._break_log(error)
        return self._broken

    def _break_log(self, error: BaseException) -> None:
        self._break(Corrupt(f"the log could not be synced ({error}); restart the server when the disk works again"))

    def _break(self, error: Corrupt) -> None:
        _log.error("the store refuses further writes: %s", error)
        self._broken = error

    def _pass_turn(self) -> None:
        if self._turn:
            self._turn.release()

    def _answer(self, batch: list[Pending], error: BaseException | None) -> None:
        for pending in batch:
            pending.error = error or pending.error
            if not pending.future.done():
                pending.future.set_result(None)
        self._expected_writers = len(batch) + len(self._queue)
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
