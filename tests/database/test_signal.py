"""The signal that wakes the readers of changes."""

from __future__ import annotations

import asyncio

import pytest

from atoll.database.region import Signal


async def waiting(signal: Signal) -> asyncio.Task[None]:
    task = asyncio.create_task(signal.wait(3600))
    await asyncio.sleep(0)
    return task


def test_it_wakes_all_who_wait() -> None:
    async def main() -> None:
        signal = Signal()
        tasks = [await waiting(signal) for _ in range(3)]
        signal.tell()
        await asyncio.gather(*tasks)

    asyncio.run(main())


def test_a_wait_that_is_woken_and_cancelled_at_once_is_cancelled() -> None:
    """It went on as if nobody had cancelled it, and a restored state waited for its end for ever."""

    async def main() -> None:
        signal = Signal()
        task = await waiting(signal)
        signal.tell()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
