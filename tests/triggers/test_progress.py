"""How far triggers are, as the admin API shows it."""

from __future__ import annotations

from functools import partial
from typing import Any

from atoll.api.background import triggers_of

NONE = {"backlog": 0, "lag_ms": 0, "attempts": 0, "retry_ms": None}


async def progress(world) -> dict[str, Any]:
    (shown,) = await world.region.read(partial(triggers_of, region=world.region))
    return {name: shown[name] for name in NONE}


def test_backlog_lag_and_retries_grow_while_a_function_fails_and_vanish_when_it_succeeds(world):
    async def story() -> None:
        await world.map(await world.table())
        assert await progress(world) == NONE
        world.functions.behaviours["f"] = lambda event: 1 / 0
        await world.put("a", "b")
        await world.advance(10_000)
        failing = await progress(world)
        assert failing["backlog"] == 2 and failing["lag_ms"] == 10_000
        assert failing["attempts"] > 3 and failing["retry_ms"] > world.clock.now_ms() - 60_000
        world.functions.behaviours["f"] = lambda event: None
        await world.advance(60_000)
        assert await progress(world) == NONE

    world.story(story)


def test_the_backlog_counts_the_children_of_a_shard_too(world):
    async def story() -> None:
        await world.map(await world.table(), Enabled=False)
        await world.put("a", "b")
        await world.split()
        await world.put("c", "d", "e")
        world.clock.set(world.clock.now_ms() + 5_000)
        shown = await progress(world)
        assert (shown["backlog"], shown["lag_ms"], shown["attempts"]) == (5, 5_000, 0)

    world.story(story)


def test_a_trigger_without_its_stream_has_no_backlog(world):
    async def story() -> None:
        await world.map(await world.table(), Enabled=False)
        await world.put("a")
        await world.request("DeleteTable", TableName="users")
        await world.advance(2 * 24 * 3600 * 1000)
        assert await progress(world) == NONE

    world.story(story)
