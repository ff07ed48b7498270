"""Random changes of items, and searches by tables of pgvector that are behind, built, dropped and built again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from atoll.database.vectors import rows
from atoll.vectors import best, following, scan
from atoll.vectors.candidates import Candidates
from atoll.vectors.pgvector import source, tables, upkeep
from atoll.vectors.pgvector.statements import GRAPH, UNFIT
from atoll.vectors.pgvector.tables import Tables
from tests.engines import findings
from tests.postgres import run
from tests.postgresql.pgvector.tables import TableWorld, keys, names
from tests.vectors.test_model import DISTANCES, index


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few entries meet all of the cases."""
    monkeypatch.setattr(best, "MORE", 1)
    monkeypatch.setattr(scan, "PIECE_ROWS", 3)
    monkeypatch.setattr(following, "PIECE_CHANGES", 2)
    monkeypatch.setattr(upkeep, "PIECES", 2)
    monkeypatch.setattr(source, "FEW", 4)
    monkeypatch.setattr(source, "RESTART", 3)


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[Candidates | None]:
    """The answers of tables."""
    answers: list[Candidates | None] = []
    candidates = source.TableSource.candidates

    async def noted(self: Any, *arguments: Any) -> Candidates | None:
        answers.append(await candidates(self, *arguments))
        return answers[-1]

    monkeypatch.setattr(source.TableSource, "candidates", noted)
    return answers


@pytest.mark.parametrize("graph_from", [8, 10_000])
@pytest.mark.parametrize("seed", range(3))
def test_searches_find_all_existing_entries(
    seed: int, graph_from: int, monkeypatch: pytest.MonkeyPatch, used: list[Candidates | None]
) -> None:
    monkeypatch.setattr(upkeep, "GRAPH_FROM", graph_from)
    monkeypatch.setattr(upkeep, "BULK", 12)
    monkeypatch.setattr(upkeep, "FEW_CHANGES", 1)
    monkeypatch.setattr(rows, "SLOTS", 32)
    world = TableWorld(seed)
    for step in range(120):
        world.change()
        if step % 3 == 0:
            for distance in DISTANCES:
                world.check(distance)
        if step % 40 == 39:
            world.open()
            world.settle()
    assert sum(one is not None for one in used) > 60
    states = world.region.state(Tables).states
    assert {state.stage == GRAPH for state in states.values()} == {graph_from == 8}
    for one in world.indexes():
        stored, found = run(keys(world.region, one))
        assert stored == found
    assert not findings(world.region)


def test_front_ends_see_each_others_writes_at_once(used: list[Candidates | None]) -> None:
    world = TableWorld(8)
    first = world.region
    world.open()
    second = world.region
    for _ in range(40):
        world.region = world.chance.choice([first, second])
        world.change()
        world.region = world.chance.choice([first, second])
        world.check("EUCLIDEAN")
    assert sum(one is not None for one in used) > 20


@pytest.mark.parametrize("seed", range(2))
def test_steps_that_end_anywhere(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the front end had died: its connection is gone, and nothing of the transaction remains."""
    monkeypatch.setattr(upkeep, "GRAPH_FROM", 8)
    world = TableWorld(seed)

    async def cut_short() -> None:
        work = asyncio.create_task(upkeep.tick(world.region))
        for _ in range(world.chance.randrange(60)):
            await asyncio.sleep(0.0005)
        work.cancel()
        await asyncio.wait([work])
        assert work.cancelled() or work.exception() is None

    for step in range(60):
        world.change()
        run(cut_short())
        if step % 3 == 0:
            world.check(world.chance.choice(DISTANCES))
        if step % 20 == 19:
            world.open()
    world.settle()
    for one in world.indexes():
        stored, found = run(keys(world.region, one))
        assert stored == found
    for distance in DISTANCES:
        world.check(distance)


def test_tables_come_and_go_with_their_indexes() -> None:
    world = TableWorld(9)
    for _ in range(40):
        world.change()
    world.settle()
    assert run(names(world.region)) == sorted(f"vectors_{one.space}" for one in world.indexes())
    creation = index("EUCLIDEAN", IndexName="later")
    world.request(
        "UpdateTable", TableName="Notes", VectorIndexUpdates=[{"Create": creation}],
        AttributeDefinitions=[{"AttributeName": "kind", "AttributeType": "S"}],
    )  # fmt: skip
    world.settle()
    world.settle()
    assert len(run(names(world.region))) == 4
    (later,) = [one for one in world.indexes() if one.name == "later"]
    stored, found = run(keys(world.region, later))
    assert stored == found != set()
    world.request("UpdateTable", TableName="Notes", VectorIndexUpdates=[{"Delete": {"IndexName": "later"}}])
    world.settle()
    world.settle()
    assert run(names(world.region)) == sorted(f"vectors_{one.space}" for one in world.indexes())
    world.request("DeleteTable", TableName="Notes")
    world.settle()
    world.settle()
    assert run(names(world.region)) == []


def test_tables_that_are_dropped_by_hand_are_made_again() -> None:
    world = TableWorld(10)
    for _ in range(30):
        world.change()
    world.settle()
    database = world.region.database
    assert database is not None
    space = world.indexes()[0].space
    run(database.run(lambda connection: connection.execute(f"drop table {database.schema}.vectors_{space}")))
    for distance in DISTANCES:
        world.check(distance)
    run(database.run(lambda connection: connection.execute(f"drop table {database.schema}.vectors")))
    for distance in DISTANCES:
        world.check(distance)
    world.settle()
    assert tables.serves(world.region.state(Tables).states[space])
    for distance in DISTANCES:
        world.check(distance)


def test_a_graph_that_finds_too_little_is_not_used(
    monkeypatch: pytest.MonkeyPatch, used: list[Candidates | None]
) -> None:
    world = TableWorld(11)
    for _ in range(60):
        world.change()
    monkeypatch.setattr(upkeep, "GRAPH_FROM", 8)
    monkeypatch.setattr(upkeep, "RECALL", 1.1)
    while run(upkeep.tick(world.region)):
        pass
    states = world.region.state(Tables).states.values()
    assert {state.stage for state in states} == {UNFIT}
    assert run(names(world.region)) == []
    used.clear()
    for distance in DISTANCES:
        world.check(distance)
    assert used == []
