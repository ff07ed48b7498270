"""Coroutines that run without a task."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from atoll.wire.eager import start


class Outcome:
    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.results: list[tuple[Any, BaseException | None]] = []
        start(coroutine, lambda result, error: self.results.append((result, error)))


def test_a_coroutine_that_does_not_wait_finishes_at_once_without_a_loop() -> None:
    async def quick() -> int:
        return 1

    assert Outcome(quick()).results == [(1, None)]


def test_an_immediate_failure_is_reported() -> None:
    error = ValueError()

    async def failing() -> None:
        raise error

    assert Outcome(failing()).results == [(None, error)]


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_a_waiting_coroutine_resumes_when_its_future_is_done() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first, second = loop.create_future(), loop.create_future()

        async def slow() -> Any:
            return await first + await second

        outcome = Outcome(slow())
        first.set_result(1)
        await settle()
        assert outcome.results == []
        second.set_result(2)
        await settle()
        assert outcome.results == [(3, None)]

    asyncio.run(main())


@pytest.mark.parametrize("error", [ValueError("lost"), asyncio.CancelledError()])
def test_the_failure_of_a_future_arrives_in_the_coroutine(error: BaseException) -> None:
    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        caught: list[BaseException] = []

        async def slow() -> str:
            try:
                await future
            except (ValueError, asyncio.CancelledError) as raised:
                caught.append(raised)
                raise
            return "unreached"

        outcome = Outcome(slow())
        if isinstance(error, asyncio.CancelledError):
            future.cancel()
        else:
            future.set_exception(error)
        await settle()
        assert [type(raised) for raised in caught] == [type(error)]
        assert [(result, type(raised)) for result, raised in outcome.results] == [(None, type(error))]

    asyncio.run(main())


def test_sleeping_tasks_threads_and_locks_can_be_awaited() -> None:
    async def main() -> None:
        lock = asyncio.Lock()

        async def nested() -> int:
            async with lock:
                await asyncio.sleep(0)
            return 1

        async def slow() -> int:
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)
            return await asyncio.create_task(nested()) + await asyncio.to_thread(lambda: 2) + await nested()

        done = asyncio.get_running_loop().create_future()
        start(slow(), lambda result, error: done.set_result((result, error)))
        assert await asyncio.wait_for(done, 5) == (4, None)

    asyncio.run(main())


def test_awaiting_anything_but_a_future_fails() -> None:
    class Odd:
        def __await__(self) -> Any:
            yield "odd"

    async def odd() -> None:
        await Odd()

    async def forgiving() -> str:
        try:
            await Odd()
        except RuntimeError as error:
            return str(error)
        return "unreached"

    ((_, error),) = Outcome(odd()).results
    assert isinstance(error, RuntimeError)
    assert Outcome(forgiving()).results == [("'odd' cannot be awaited here", None)]
