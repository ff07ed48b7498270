"""Give unused pages of the SQLite engine's file back to the disk, in small steps, while there are no writes.

SQLite keeps the pages of deleted rows for new ones. A step moves pages from the end of the file into unused ones, and
the next complete checkpoint cuts the file off. A step runs in the thread of long commits: reads continue meanwhile, and
writes wait for it as for any commit. Some unused pages are kept for new rows.
"""

from __future__ import annotations

import asyncio

from atoll.storage.commit_sequence import CommitSequence
from atoll.storage.engine import Snapshot
from atoll.storage.pending import Pending
from atoll.storage.sqlitefile import PAGE_BYTES, Rows

STEP_PAGES = 200
"""Takes a few milliseconds, for the pages of large values some tens."""
KEPT_BYTES = 4 * 1024**2
KEPT_SHARE = 20
"""A twentieth of the file may stay unused."""
IDLE_S = 2.0


class Step(Pending):
    __slots__ = ("_pages", "is_last")

    def __init__(self, excess: int, future: asyncio.Future[None]) -> None:
        """`excess`: the pages that this step and those after it give back."""
        super().__init__(lambda _: None, future)
        self._pages = min(excess, STEP_PAGES)
        self.is_last = excess <= STEP_PAGES

    def run(self, rows: Rows, only_deletions: bool) -> bool:
        self.is_long = True
        return False

    def end(self, rows: Rows, only_deletions: bool) -> bool:
        rows.shrink(self._pages)
        return True


class Idle:
    """Measures how long a store has had no writes. `commits` shows those of other workers."""

    def __init__(self, commits: CommitSequence | None) -> None:
        self._commits = commits
        self.was_used = True
        """Set by commits that write."""
        self._seen: int | None = None
        self._since = 0.0

    def is_long(self, now: float) -> bool:
        commits = None if self._commits is None else self._commits.settled()
        if self.was_used or commits != self._seen:
            self.was_used, self._seen, self._since = False, commits, now
        return now - self._since >= IDLE_S

    def skip_own(self) -> None:
        """The last commit was this process's own step."""
        self.was_used = False
        self._seen = None if self._commits is None else self._commits.settled()


def excess_pages(snapshot: Snapshot) -> int:
    """The number of pages to give back."""
    assert isinstance(snapshot, Rows)
    unused = snapshot.free_bytes()
    excess = unused - max(KEPT_BYTES, snapshot.file_bytes() // KEPT_SHARE)
    return excess // PAGE_BYTES if excess > 0 and snapshot.can_shrink() else 0


def file_sizes(snapshot: Snapshot) -> tuple[int, int]:
    """The bytes of the file, and of the unused pages in it."""
    assert isinstance(snapshot, Rows)
    return snapshot.file_bytes(), snapshot.free_bytes()
