"""Checkpoint the SQLite engine's WAL in small steps, in a thread, while commits continue.

SQLite syncs the file and restarts the WAL only when every page is checkpointed, which never happens under constant
load. So Atoll syncs the file itself, then checkpoints the pages that were added meanwhile. When few pages remain (or
too many have accumulated), it checkpoints the rest before the next batch of commits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import apsw

from atoll.storage.engine import Corrupt
from atoll.storage.sqlitefile import is_failed_sync, sync_file

CHECKPOINT_PAGES = 2_000
CHECKPOINT_REST_PAGES = 100
LOG_PAGES = 16_000

_log = logging.getLogger(__name__)


class Checkpoints:
    """Checkpoints one store. Calls `broken`, possibly in a thread, after a failed sync: the file may lack checkpointed
    pages."""

    def __init__(self, connection: apsw.Connection, broken: Callable[[Corrupt], None]) -> None:
        self._connection = connection
        self._broken = broken
        self._thread = ThreadPoolExecutor(1, "atoll-checkpoint")
        self._pages = 0
        self._running = False
        self.rest_due = False
        """Whether the engine should call `give_rest` before the next batch."""

    def note(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        """WAL hook of the writing connection: the WAL now has this many pages."""
        self._pages = pages
        return apsw.SQLITE_OK

    def look(self) -> None:
        """Start a checkpoint if one is due. The engine calls this from the event loop after each batch."""
        if self._pages > LOG_PAGES:
            self.rest_due = True
        if self._pages < CHECKPOINT_PAGES or self._running or self.rest_due:
            return
        self._running = True
        asyncio.get_running_loop().run_in_executor(self._thread, self._beside).add_done_callback(self._look_at_rest)

    def give_rest(self) -> Future[int]:
        """Checkpoint the remaining pages, after any checkpoint that is already running."""
        self.rest_due = False
        return self._thread.submit(self._give_back)

    def close(self) -> None:
        self._thread.shutdown()

    def finish(self) -> bool:
        """Checkpoint after `close`. Returns whether all pages of the WAL are in the file."""
        try:
            pages, done = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as error:
            _log.warning("the log is kept for the next start, because it was not checkpointed: %s", error)
            return False
        return pages == done

    def _beside(self) -> int:
        done = self._give_back()
        try:
            sync_file(self._connection)
        except Corrupt as error:
            self._broken(error)
        return done

    def _give_back(self) -> int:
        """Checkpoint without waiting for readers or writers; return how many WAL pages are checkpointed."""
        try:
            _, done = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.BusyError:  # another process is checkpointing
            return 0
        except apsw.Error as error:
            if isinstance(error, apsw.FullError | apsw.IOError) and not is_failed_sync(error):
                _log.warning("the log was not checkpointed, but will be later: %s", error)
            else:
                self._broken(Corrupt(str(error)))
            return 0
        return done

    def _look_at_rest(self, over: asyncio.Future[int]) -> None:
        self._running = False
        rest = self._pages - over.result()
        if rest <= 0:
            self._pages = 0
        self.rest_due = 0 < rest < CHECKPOINT_REST_PAGES
