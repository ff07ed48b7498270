"""Long work on whole tables, one step at a time. A job is a document; a step stores its progress with its effects.

So a job that was interrupted goes on at its last step. Only the process with the region's lease runs jobs. Jobs take
turns, a step each, and between two steps requests run.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from atoll.database import documents
from atoll.database.health import JOBS
from atoll.database.region import Region
from atoll.storage.engine import Snapshot, Transaction

_log = logging.getLogger(__name__)

KIND = "job"
LOOK_AGAIN_MS = 1_000
RETRY_MS = 5_000

Document = dict[str, Any]
"""Has the members `id` and `kind`, and those of its kind."""

Step = Callable[[Region, Document], Awaitable[None]]
"""Does one step of a job and stores its progress, or deletes the job. It runs again if the process ends before."""


def put(tx: Transaction, job: Document) -> None:
    documents.put(tx, job, KIND, job["id"])


def find(snapshot: Snapshot, id_: str) -> Document | None:
    found: Document | None = documents.get(snapshot, KIND, id_)
    return found


def delete(tx: Transaction, id_: str) -> None:
    documents.delete(tx, KIND, id_)


def listed(snapshot: Snapshot) -> list[Document]:
    return list(documents.listed(snapshot, KIND))


class Runner:
    """Runs the jobs of one region."""

    def __init__(self, region: Region, steps: Mapping[str, Step]) -> None:
        self._region = region
        self._steps = steps
        self._woken = asyncio.Event()
        self._passing = asyncio.Lock()
        self._stopping = False

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        while not self._stopping:
            self._woken.clear()
            wait_ms = LOOK_AGAIN_MS
            try:
                if await self._region.engine.lease():
                    await self.settle()
                self._region.health.resolve(JOBS)
            except Exception as error:
                self._region.health.failing(JOBS, error)
                wait_ms = RETRY_MS
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), wait_ms / 1000)

    async def settle(self) -> None:
        """Run all jobs to their ends. If one fails, the others still run, and the errors are raised at the end."""
        failed: dict[str, Exception] = {}
        async with self._passing:
            while not self._stopping:
                waiting = [job for job in await self._region.read(listed) if job["id"] not in failed]
                if not waiting:
                    break
                for job in waiting:
                    try:
                        await self._steps[job["kind"]](self._region, job)
                    except Exception as error:
                        failed[job["id"]] = error
                    await asyncio.sleep(0)
        if failed:
            raise ExceptionGroup("jobs", list(failed.values()))

    async def is_busy(self) -> bool:
        return bool(await self._region.read(listed))

    async def stop(self) -> None:
        self._stopping = True
        self.wake()
        async with self._passing:
            pass
