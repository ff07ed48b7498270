"""Run long work on whole tables, one step at a time. A *long job* (here: job) is a document; a step stores its progress
together with its effects. (The jobs of `database.background` are different: they have no document.)

So an interrupted job resumes at its last step. Only the process with the region's lease runs jobs. Steps of different
jobs run concurrently, and so does endless work: a bucket that does not answer holds up only its own job.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from atoll.clock import monotonic_ns
from atoll.database import documents
from atoll.database.health import JOBS
from atoll.database.region import Region
from atoll.storage.engine import Snapshot, Transaction

_log = logging.getLogger(__name__)

KIND = "job"
LOOK_AGAIN_MS = 2_000
RETRY_MS = 5_000
STOP_S = 3.0
"""How long a stopping server waits for steps."""

Document = dict[str, Any]
"""The document of a job: the members `id` and `kind`, and those of its kind."""

Step = Callable[[Region, Document], Awaitable[int | None]]
"""Does one step of a job and stores its progress, or deletes the job. It runs again if the process is killed during the
step. Returns when the next step may run, in ms since 1970; None means at once."""


def put(tx: Transaction, job: Document) -> None:
    documents.put(tx, job, KIND, job["id"])


def find(snapshot: Snapshot, id_: str) -> Document | None:
    found: Document | None = documents.get(snapshot, KIND, id_)
    return found


def delete(tx: Transaction, id_: str) -> None:
    documents.delete(tx, KIND, id_)


def listed(snapshot: Snapshot) -> list[Document]:
    return list(documents.listed(snapshot, KIND))


class Endless(Protocol):
    """Work that follows the commits of a region, concurrently with jobs."""

    is_active: bool

    def wake(self) -> None: ...

    async def run(self) -> None:
        """Work until it is stopped."""

    async def settle(self) -> bool:
        """Catch up; returns whether there was anything to do. Runs all parts, then raises the errors of failed ones."""

    async def stop(self) -> None: ...


class Runner:
    """Runs the jobs of one region, and its endless work concurrently."""

    def __init__(
        self, region: Region, steps: Mapping[str, Step], endless: Endless | None = None, *, alone: bool = True
    ) -> None:
        """`alone`: no other process begins jobs, so it looks for them only when the region is woken."""
        self._endless = endless
        self._region = region
        self._steps = steps
        self._alone = alone
        self._woken = asyncio.Event()
        self._passing = asyncio.Lock()
        self._running: dict[str, asyncio.Task[int | None]] = {}
        """The steps that run, by job."""
        self._retries_ns: dict[str, int] = {}
        """When jobs that failed may run again. The others go on meanwhile."""
        self._stopping = False

    def wake(self) -> None:
        self._woken.set()
        if self._endless is not None:
            self._endless.wake()

    async def run(self) -> None:
        endless = None if self._endless is None else asyncio.create_task(self._endless.run())
        while not self._stopping:
            self._woken.clear()
            waits_ms = [] if self._alone else [LOOK_AGAIN_MS]
            try:
                wake_ms, _ = await self._run_jobs()
                if wake_ms is not None:
                    waits_ms.append(max(0, wake_ms - self._region.clock.now_ms()))
                if not self._retries_ns:
                    self._region.health.resolve(JOBS)
            except Exception as error:
                self._region.health.failing(JOBS, error)
                waits_ms = [RETRY_MS]
            waits_ms += [max(0, retry_ns - monotonic_ns()) // 1_000_000 + 1 for retry_ns in self._retries_ns.values()]
            with suppress(TimeoutError):
                async with asyncio.timeout(min(waits_ms) / 1000 if waits_ms else None):
                    await self._woken.wait()
        if endless is not None:
            await endless

    async def settle(self) -> int | None:
        """Run all jobs until they end or wait, and let the endless work catch up; returns when the first waiting job
        may continue. If one fails, the others still run, and the errors are raised at the end."""
        failed: list[Exception] = []
        wake_ms, has_more = None, True
        self._retries_ns.clear()
        while has_more and not failed:
            wake_ms, errors = await self._run_jobs()
            failed += errors
            try:
                has_more = self._endless is not None and await self._endless.settle()
            except Exception as error:
                failed.append(error)
        if failed:
            raise ExceptionGroup("jobs", failed)
        return wake_ms

    async def _run_jobs(self) -> tuple[int | None, list[Exception]]:
        """Run all jobs until they end, fail or wait; returns when the first waiting one may continue (perhaps a past
        time), and the errors of failed ones."""
        failed: list[Exception] = []
        waits: dict[str, int] = {}
        wake_ms = None
        async with self._passing:
            while not self._stopping and await self._region.engine.lease():
                now_ms, now_ns = self._region.clock.now_ms(), monotonic_ns()
                jobs = {job["id"]: job for job in await self._region.read(listed)}
                self._retries_ns = {id_: retry_ns for id_, retry_ns in self._retries_ns.items() if id_ in jobs}
                unfailed = [job for id_, job in jobs.items() if self._retries_ns.get(id_, now_ns) <= now_ns]
                ready = [job for job in unfailed if waits.get(job["id"], now_ms) <= now_ms]
                for job in ready:
                    if job["id"] not in self._running:
                        step = self._steps[job["kind"]](self._region, job)
                        self._running[job["id"]] = asyncio.ensure_future(step)
                if not self._running:
                    wake_ms = min((waits[job["id"]] for job in unfailed), default=None)
                    break
                pauses_ms = [waits[job["id"]] - now_ms for job in unfailed if job["id"] not in self._running]
                for id_, task in await self._ended(min([LOOK_AGAIN_MS, *pauses_ms])):
                    if isinstance(error := task.exception(), Exception):
                        self._retries_ns[id_] = monotonic_ns() + RETRY_MS * 1_000_000
                        self._region.health.failing(JOBS, error)
                        failed.append(error)
                    else:
                        self._retries_ns.pop(id_, None)
                        waits[id_] = now_ms if (next_ms := task.result()) is None else next_ms
            else:
                self._retries_ns.clear()  # another process may run the jobs
        return wake_ms, failed

    async def _ended(self, wait_ms: int) -> list[tuple[str, asyncio.Task[int | None]]]:
        """The steps that have ended. Waits for one, until there may be another job, or until the time is over."""
        woken = asyncio.ensure_future(self._woken.wait())
        running = self._running.values()
        await asyncio.wait({woken, *running}, timeout=wait_ms / 1000, return_when=asyncio.FIRST_COMPLETED)
        woken.cancel()
        if not self._stopping:
            self._woken.clear()
        ended = [(id_, task) for id_, task in self._running.items() if task.done()]
        for id_, _ in ended:
            del self._running[id_]
        return ended

    async def is_busy(self) -> bool:
        return (self._endless is not None and self._endless.is_active) or bool(await self._region.read(listed))

    async def stop(self) -> None:
        self._stopping = True
        self.wake()
        if self._endless is not None:
            await self._endless.stop()
        async with self._passing:
            tasks = list(self._running.values())
            if tasks:
                await asyncio.wait(tasks, timeout=STOP_S)
            for task in tasks:
                task.cancel()  # as if the process were killed
            await asyncio.gather(*tasks, return_exceptions=True)
