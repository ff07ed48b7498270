"""The engines that keep the contract. A test is a coroutine function over one fresh engine, run by `run`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from atoll.storage.counting import CountingEngine
from atoll.storage.engine import Engine
from atoll.storage.hostile import HostileEngine
from atoll.storage.memory import MemoryEngine
from atoll.storage.mirror import MirrorEngine
from atoll.storage.sqlite import SQLiteEngine
from tests import postgres

Scenario = Callable[[Engine], Awaitable[None]]

ENGINES: dict[str, Callable[[Path], Engine]] = {
    "memory": lambda directory: MemoryEngine(),
    "counting": lambda directory: CountingEngine(MemoryEngine(), ride_along=[b"n"]),
    "hostile-0": lambda directory: HostileEngine(0),
    "hostile-1": lambda directory: HostileEngine(1),
    "hostile-2": lambda directory: HostileEngine(2),
    "sqlite": lambda directory: SQLiteEngine.open(directory, durability="relaxed"),
    "sqlite-workers": lambda directory: SQLiteEngine.open(directory, durability="relaxed", workers=2),
    "mirror": lambda directory: MirrorEngine(MemoryEngine(), SQLiteEngine.open(directory, durability="relaxed")),
}


POSTGRESQL = ["postgresql", "postgresql-mirror"] if postgres.URL else []


@pytest.fixture(params=[*ENGINES, *POSTGRESQL])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Scenario], None]:
    async def on_postgresql(scenario: Scenario) -> None:
        found = await postgres.fresh_engine()
        await found.read(lambda snapshot: None)  # the mirror would notice a caller that leaves before it is open
        engine = MirrorEngine(MemoryEngine(), found) if request.param == "postgresql-mirror" else found
        try:
            await scenario(engine)
        finally:
            await engine.close()

    if request.param in POSTGRESQL:
        return lambda scenario: postgres.run(on_postgresql(scenario))

    async def play(scenario: Scenario) -> None:
        engine = ENGINES[request.param](tmp_path / "data")
        try:
            await scenario(engine)
        finally:
            await engine.close()

    return lambda scenario: asyncio.run(play(scenario))
