"""The runner of jobs: endless work runs beside them, and a process without the lease runs no jobs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from atoll.clock import ManualClock
from atoll.database.region import Region, Settings
from atoll.recovery import long_jobs
from atoll.recovery.long_jobs import Document, Runner
from tests.engines import fresh_engine
from tests.recovery.worlds import REGION, START_MS

JOB = {"id": "1", "kind": "count", "left": 3}


def new_region() -> Region:
    return Region(REGION, fresh_engine(), ManualClock(START_MS), Settings())


async def count_down(region: Region, job: Document) -> None:
    left = job["left"] - 1
    await region.transact(
        lambda tx: long_jobs.put(tx, {**job, "left": left}) if left else long_jobs.delete(tx, job["id"])
    )


class Behind:
    """Endless work that begins a job, and has more to do as long as the job is not done."""

    is_active = True

    def __init__(self, region: Region) -> None:
        self._region = region
        self.steps = 0

    def wake(self) -> None:
        pass

    async def run(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def settle(self) -> bool:
        self.steps += 1
        if self.steps == 1:
            await self._region.transact(lambda tx: long_jobs.put(tx, JOB))
        return bool(await self._region.read(long_jobs.listed))


def test_a_job_that_begins_while_endless_work_is_behind_is_run() -> None:
    async def scenario() -> None:
        region = new_region()
        work = Behind(region)
        await Runner(region, {"count": count_down}, work).settle()
        assert await region.read(long_jobs.listed) == []
        assert work.steps <= 5

    asyncio.run(scenario())


def test_a_process_that_loses_the_lease_stops_after_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        region, held = new_region(), [True, True, False]

        async def lease(self: Any) -> bool:
            return held.pop(0) if held else False

        await region.transact(lambda tx: long_jobs.put(tx, JOB))
        monkeypatch.setattr(type(region.engine), "lease", lease)
        await Runner(region, {"count": count_down}).settle()
        assert await region.read(long_jobs.listed) == [{**JOB, "left": 1}]

    asyncio.run(scenario())


class Ticking(ManualClock):
    """A clock that advances whenever it is read."""

    def now_ms(self) -> int:
        self.advance(1)
        return super().now_ms()


def test_a_wait_that_ends_while_jobs_are_read_is_not_forgotten() -> None:
    """A runner that is alone would not look again before something woke it."""

    async def scenario() -> None:
        clock, ended = Ticking(START_MS), asyncio.Event()
        region = Region(REGION, fresh_engine(), clock, Settings())

        async def count_down_slowly(region: Region, job: Document) -> int:
            await count_down(region, job)
            if job["left"] == 1:
                ended.set()
            return clock.now_ms() + 2

        await region.transact(lambda tx: long_jobs.put(tx, {**JOB, "left": 40}))
        runner = Runner(region, {"count": count_down_slowly})
        running = asyncio.create_task(runner.run())
        await ended.wait()
        await runner.stop()
        await running

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_a_failing_job_delays_no_other_job() -> None:
    async def scenario() -> None:
        region, ended, attempts = new_region(), asyncio.Event(), 0

        async def count_down_with_rests(region: Region, job: Document) -> int:
            await count_down(region, job)
            if job["left"] == 1:
                ended.set()
            return region.clock.now_ms() + 1

        async def fail(region: Region, job: Document) -> None:
            nonlocal attempts
            attempts += 1
            raise ValueError

        await region.transact(lambda tx: long_jobs.put(tx, {"id": "0", "kind": "fail"}))
        await region.transact(lambda tx: long_jobs.put(tx, JOB))
        runner = Runner(region, {"count": count_down_with_rests, "fail": fail})
        running = asyncio.create_task(runner.run())
        await ended.wait()
        await runner.stop()
        await running
        assert attempts == 1

    asyncio.run(asyncio.wait_for(scenario(), long_jobs.RETRY_MS / 1000))


def test_a_fault_is_over_here_when_another_process_runs_the_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that lost the lease after a failure looked for jobs a thousand times a second, for ever."""

    async def scenario() -> None:
        region, holds, looks = new_region(), True, 0

        async def lease(self: Any) -> bool:
            nonlocal looks
            looks += 1
            return holds

        async def fail(region: Region, job: Document) -> None:
            nonlocal holds
            holds = False
            raise ValueError

        await region.transact(lambda tx: long_jobs.put(tx, {"id": "0", "kind": "fail"}))
        monkeypatch.setattr(type(region.engine), "lease", lease)
        monkeypatch.setattr(long_jobs, "RETRY_MS", 0)
        runner = Runner(region, {"fail": fail})
        running = asyncio.create_task(runner.run())
        while looks < 2 or region.health.status().problems:
            await region.committed.wait(0.01)
        assert looks == 2
        await runner.stop()
        await running

    asyncio.run(asyncio.wait_for(scenario(), 10))


@pytest.mark.parametrize("rest_ms", [None, 5], ids=["ready", "waiting"])
def test_a_job_that_hangs_holds_up_neither_others_nor_the_end(
    rest_ms: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export to a bucket that did not answer held up all backups and restores of the region, and the end of the
    server, for minutes. Later, it still held up the jobs that waited for some time between two steps."""
    monkeypatch.setattr(long_jobs, "STOP_S", 0.01)

    async def scenario() -> None:
        region, hangs, ended = new_region(), asyncio.Event(), asyncio.Event()
        region.clock = Ticking(START_MS)

        async def hang(region: Region, job: Document) -> None:
            hangs.set()
            await asyncio.Event().wait()

        async def count(region: Region, job: Document) -> int | None:
            await count_down(region, job)
            if job["left"] == 1:
                ended.set()
            return None if rest_ms is None else region.clock.now_ms() + rest_ms

        await region.transact(lambda tx: long_jobs.put(tx, {"id": "0", "kind": "hang"}))
        runner = Runner(region, {"count": count, "hang": hang})
        running = asyncio.create_task(runner.run())
        await hangs.wait()
        await region.transact(lambda tx: long_jobs.put(tx, JOB))
        runner.wake()
        await ended.wait()
        await runner.stop()
        await running
        assert [job["kind"] for job in await region.read(long_jobs.listed)] == ["hang"]

    asyncio.run(asyncio.wait_for(scenario(), 20))
