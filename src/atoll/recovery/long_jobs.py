"""Long work on whole tables, one step at a time. A long job (here: job) is a document; a step stores its progress with
its effects. The jobs of the due index are others (`database.due`): one transaction does all of their work.

So a job that was interrupted goes on at its last step. Only the process with the region's lease runs jobs. Jobs take
turns, a step each, and between two steps requests run. Work that never ends runs beside them, so neither waits for the
other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from atoll.database import documents
from atoll.database.health import JOBS
from atoll.database.region import Region
from atoll.storage.engine import Snapshot, Transaction

_log = logging.getLogger(__name__)

KIND = "job"
LOOK_AGAIN_MS = 2_000
RETRY_MS = 5_000

Document = dict[str, Any]
"""Has the members `id` and `kind`, and those of its kind."""

Step = Callable[[Region, Document], Awaitable[int | None]]
"""Does one step of a job and stores its progress, or deletes the job. It runs again if the process ends before. Returns
when the job's next step may run, in ms since 1970; None: at once."""


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
    """Work that follows the commits of a region, beside its jobs."""

    is_active: bool

    def wake(self) -> None: ...

    async def run(self) -> None:
        """Work until it is stopped."""

    async def settle(self) -> bool:
        """Catch up; returns whether there was anything to do. Raises what failed, after all parts had their turn."""

    async def stop(self) -> None: ...


class Runner:
    """Runs the jobs of one region, and beside them the work that never ends."""

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
        self._stopping = False

    def wake(self) -> None:
        self._woken.set()
        if self._endless is not None:
            self._endless.wake()

    async def run(self) -> None:
        endless = None if self._endless is None else asyncio.create_task(self._endless.run())
        while not self._stopping:
            self._woken.clear()
            wait_ms = None if self._alone else LOOK_AGAIN_MS
            try:
                wake_ms = await self._run_jobs()
                if wake_ms is not None:
                    left_ms = max(0, wake_ms - self._region.clock.now_ms())
                    wait_ms = left_ms if wait_ms is None else min(wait_ms, left_ms)
                self._region.health.resolve(JOBS)
            except Exception as error:
                self._region.health.failing(JOBS, error)
                wait_ms = RETRY_MS
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), None if wait_ms is None else wait_ms / 1000)
        if endless is not None:
            await endless

    async def settle(self) -> int | None:
        """Run all jobs until they end or wait, and let the endless work catch up; return when the first waiting job may
        go on. If one fails, the others still run, and the errors are raised at the end."""
        failed: list[Exception] = []
        wake_ms, has_more = None, True
        while has_more and not failed:
            try:
                wake_ms = await self._run_jobs()
            except ExceptionGroup as group:
                failed += group.exceptions
            try:
                has_more = self._endless is not None and await self._endless.settle()
            except Exception as error:
                failed.append(error)
        if failed:
            raise ExceptionGroup("jobs", failed)
        return wake_ms

    async def _run_jobs(self) -> int | None:
        """Run all jobs until they end or wait; return when the first waiting one may go on, which may be past."""
        failed: dict[str, Exception] = {}
        waits: dict[str, int] = {}
        wake_ms = None
        async with self._passing:
            while not self._stopping and await self._region.engine.lease():
                now_ms = self._region.clock.now_ms()
                unfailed = [job for job in await self._region.read(listed) if job["id"] not in failed]
                ready = [job for job in unfailed if waits.get(job["id"], now_ms) <= now_ms]
                for job in ready:
                    try:
                        next_ms = await self._steps[job["kind"]](self._region, job)
                    except Exception as error:
                        failed[job["id"]] = error
                    else:
                        waits[job["id"]] = now_ms if next_ms is None else next_ms
                    await asyncio.sleep(0)
                if not ready:
                    wake_ms = min((waits[job["id"]] for job in unfailed), default=None)
                    break
        if failed:
            raise ExceptionGroup("jobs", list(failed.values()))
        return wake_ms

    async def is_busy(self) -> bool:
        return (self._endless is not None and self._endless.is_active) or bool(await self._region.read(listed))

    async def stop(self) -> None:
        self._stopping = True
        self.wake()
        if self._endless is not None:
            await self._endless.stop()
        async with self._passing:
            pass
