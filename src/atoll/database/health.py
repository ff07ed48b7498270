"""The health of a region's store: the faults that this process has seen.

A part that meets a fault reports it; a part that finds it over resolves it. The log gets one line when a fault begins
and one when it ends, with a count, however many requests it fails. `/_atoll/health` shows current faults.

`examine` reads from the store, and writes to it if writes have failed or room is low. A node calls it for each health
request, and about once a second during a fault.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from atoll.database import format as fmt
from atoll.storage.engine import Corrupt, Damaged, Engine, Full, Gone, NoFiles, Unavailable

ANSWER_S = 5.0
"""The seconds within which the store must answer."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Problem:
    """A kind of fault, and its effect on the store."""

    text: str
    """The description; health requests show it to every client, so it names no files."""
    over: str
    store: str = "ok"
    writable: bool = True
    level: int = logging.ERROR


FULL = Problem("the disk is full, or fails: the store refuses writes", "the store accepts writes again", writable=False)
NO_FILES = Problem("the server cannot open more files", "the server can open files again", writable=False)
DAMAGED = Problem(
    "the store is damaged, or could not be synced: it refuses writes", "", store="damaged", writable=False
)
GONE = Problem(
    "the store's file was removed or replaced: the store refuses writes until the server is restarted",
    "the store's file is there again", store="gone", writable=False,
)  # fmt: skip
SILENT = Problem("the store does not answer", "the store answers again", store="failing", writable=False)
FAILING = Problem("the store fails", "the store works again", store="failing", writable=False)
UNREACHABLE = Problem(
    "the store cannot be reached, or the outcome of a commit is unknown", "the store can be reached again",
    store="failing",
    writable=False,
)  # fmt: skip
CHECKED = Problem("a check of the store has found damage", "a check of the store has found no damage")
LITTLE_ROOM = Problem("the disk is nearly full", "the disk has room again", level=logging.WARNING)
LAGGING = Problem(
    "the replica that serves reads is far behind", "the replica that serves reads has caught up", level=logging.WARNING
)
BACKGROUND = Problem("background work fails and is tried again", "background work succeeds again")
TRIGGERS = Problem("triggers fail and are tried again", "triggers run again")
EVALUATION = Problem("metrics and alarms fail and are tried again", "metrics and alarms are evaluated again")
REPLICATION = Problem("replication fails and is tried again", "replication continues")
DESTINATIONS = Problem("changes cannot be sent to Kinesis, and are sent later", "changes are sent to Kinesis again")
JOBS = Problem("copying or restoring a table fails and is tried again", "copying and restoring tables continues")

Found = Mapping[Problem, str]
"""Problems with their details."""

_KINDS = ((Gone, GONE), (Corrupt, DAMAGED), (NoFiles, NO_FILES), (Full, FULL), (Unavailable, UNREACHABLE))
_LOOKED_FOR = (GONE, LITTLE_ROOM, LAGGING)
_PROVE_WRITES = (FULL, NO_FILES, LITTLE_ROOM, UNREACHABLE)


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """A copy of a region's health at one time."""

    store: str = "ok"
    """ok, migrating, damaged, gone or failing."""
    writable: bool = True
    problems: tuple[str, ...] = ()
    progress: float | None = None
    """The progress of a migration, from 0 to 1."""
    lag: Mapping[str, float | None] = field(default_factory=dict)
    """The lag of servers that replicate the store, in seconds; None if unknown."""


class Health:
    """The faults of one store. `look` returns the present ones among `GONE`, `LITTLE_ROOM` and `LAGGING`."""

    def __init__(self, region: str = "", look: Callable[[], Found] = dict) -> None:
        self.region = region
        self.look = look
        self.lag: Callable[[], Mapping[str, float | None]] = dict
        """Returns the lag of servers that replicate the store."""
        self.locate: Callable[[Damaged], str] = str
        """Describes the place of a damaged row."""
        self._counts: dict[Problem, int] = {}
        """How often each current problem was met."""
        self.progress: float | None = None
        """The progress of a migration, from 0 to 1; None if there is none."""
        self._examination: asyncio.Task[None] | None = None

    # Reports by parts of the server

    def report(
        self,
        problem: Problem,
        detail: object = "",
        *,
        request_id: str | None = None,
        error: Exception | None = None,
        count: int = 1,
    ) -> None:
        """Report a problem. `error` is logged with its traceback; `detail` is only logged. `count` is the number of
        failures."""
        is_new = problem not in self._counts
        self._counts[problem] = self._counts.get(problem, 0) + count
        if is_new:
            message = f"{problem.text} ({detail})" if detail else problem.text
            extra = {"region": self.region, "request_id": request_id}
            _log.log(problem.level, "%s", message, extra=extra, exc_info=error)

    def resolve(self, problem: Problem) -> None:
        if problem in self._counts:
            failures = self._counts.pop(problem)
            _log.warning("%s", problem.over, extra={"region": self.region, "failures": failures or None})

    def failed(self, error: Exception, *, request_id: str | None = None, count: int = 1) -> bool:
        """Report an error of the engine. Returns whether it was one; the caller logs other errors."""
        if isinstance(error, ExceptionGroup):
            known = [self.failed(one, request_id=request_id, count=count) for one in error.exceptions]
            return all(known)
        problem = next((problem for kind, problem in _KINDS if isinstance(error, kind)), None)
        if problem is not None:
            detail = self.locate(error) if isinstance(error, Damaged) else error
            self.report(problem, detail, request_id=request_id, count=count)
        return problem is not None

    def failing(self, problem: Problem, error: Exception) -> None:
        """Report that background work has failed with `problem`. If the engine caused it, report the engine's problem
        instead, without raising its count of failed requests."""
        if not self.failed(error, count=0):
            self.report(problem, error=error)

    def migrating(self, progress: float) -> None:
        """Report that the store is being converted and answers nothing. `progress` goes from 0 to 1; 1 ends the
        migration."""
        self.progress = progress if progress < 1 else None

    # The resulting health

    @property
    def writable(self) -> bool:
        return self.progress is None and all(problem.writable for problem in self._counts)

    @property
    def suspicious(self) -> bool:
        """Whether an examination may find that a problem is over."""
        return not self._counts.keys().isdisjoint((FULL, NO_FILES, SILENT, FAILING, UNREACHABLE))

    def status(self) -> StoreHealth:
        stores = [problem.store for problem in self._counts if problem.store != "ok"]
        store = "migrating" if self.progress is not None else stores[0] if stores else "ok"
        problems = tuple(problem.text for problem in self._counts)
        return StoreHealth(store, self.writable, problems, self.progress, self.lag())

    def look_at_files(self) -> None:
        found = self.look()
        for problem in _LOOKED_FOR:
            if problem not in found:
                if GONE not in found:  # without the file, the free space is unknown
                    self.resolve(problem)
            elif problem not in self._counts:
                self.report(problem, found[problem], count=0)

    async def examine(self, engine: Engine) -> StoreHealth:
        """Examine the store. Simultaneous calls share one examination."""
        if self.progress is None:
            self.look_at_files()
            if self._examination is None or self._examination.done():
                self._examination = asyncio.create_task(self._try(engine))
            await asyncio.wait([self._examination], timeout=ANSWER_S)
            if not self._examination.done():
                self.report(SILENT)
        return self.status()

    async def _try(self, engine: Engine) -> None:
        try:
            await engine.read(lambda snapshot: snapshot.number(fmt.GENERATION))
            if not self._counts.keys().isdisjoint(_PROVE_WRITES):
                # A harmless write: the bound on versions stays the same.
                await engine.transact(lambda tx: tx.add_number(fmt.GREATEST_TIME, 1))
                self.resolve(FULL)
                self.resolve(NO_FILES)
                self.resolve(UNREACHABLE)
        except Exception as error:
            self.failing(FAILING, error)
        else:
            self.resolve(FAILING)
        self.resolve(SILENT)
