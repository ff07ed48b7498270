"""Whatever happens on the way, the target ends up equal to the source."""

from __future__ import annotations

import os
from random import Random
from typing import Any

import pytest

from atoll.replicate import run
from tests.replicate.world import Killed, World

SOAK = bool(os.environ.get("ATOLL_SOAK"))
SEEDS = 100 if SOAK else 4
STEP = 1 if SOAK else 5

KEYS = 12


@pytest.fixture(autouse=True)
def all_state_is_stored_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every second: a kill finds as much of it as there can be."""
    monkeypatch.setattr(run, "FLUSH_S", 0.0)


class Life:
    """Clients that change the source while it is replicated, and a replicator that is killed now and then."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = Random(seed)
        self.value = 0
        self.kills_in = 0
        self.splits = 0

    def change(self) -> None:
        self.value += 1
        key = f"item-{self.random.randrange(KEYS)}"
        match self.random.choices(["put", "delete", "rotate", "split", "repeat"], [60, 25, 3, 1, 10])[0]:
            case "put":
                self.world.put(key, self.value)
            case "delete":
                self.world.delete(key)
            case "rotate":
                self.world.source.rotate("Things")
            case "split" if self.splits < 3:
                self.splits += 1
                self.world.source.split("Things")
            case "repeat":
                self.world.put(key, self.value)
                self.world.delete(key)
                self.world.put(key, self.value)

    def before(self, role: str, operation: str, parameters: dict[str, Any]) -> None:
        self.kills_in -= 1
        if self.kills_in <= 0:  # a killed process does nothing more, not even in `finally`
            raise Killed
        if self.random.random() < 0.3:
            self.change()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_target_converges_under_writes_rotations_and_kills(seed: int, world: World) -> None:
    life = Life(world, seed)
    world.create()
    world.fill(range(KEYS))
    for _ in range(5):
        life.kills_in = life.random.randrange(10, 80)
        try:
            world.replicate(life.before)
        except Killed:
            continue
    world.replicate()
    assert world.is_equal
    assert world.replication().verify() == []


def test_a_copy_killed_at_any_request_continues(world: World) -> None:
    """The scan's pages are small, so that a restart finds segments begun, done and not begun. A provisioned table has
    one shard."""
    world.create(BillingMode="PROVISIONED", ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1})
    world.fill(range(40), size=100_000)
    kills = 0
    for kill_at in range(1, 1_000, STEP):
        left = kill_at

        def kill(role: str, operation: str, parameters: dict[str, Any]) -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                raise Killed

        for name in world.there.list_tables()["TableNames"]:
            world.there.delete_table(TableName=name)
        try:
            world.replicate(kill)
        except Killed:
            kills += 1
        else:
            break
        world.put(f"item-{kill_at % 40}", kill_at)
        world.delete(f"item-{kill_at % 7}")
        world.replicate()
        assert world.is_equal, kill_at
    assert kills * STEP > 30
