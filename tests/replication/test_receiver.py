"""Changes of an item that arrive together: only the last one is applied, and each conflict is told once."""

from __future__ import annotations

from typing import Any

import pytest

from atoll.database.group import MULTI_MASTER
from atoll.replication import conflicts
from tests.replication.regions import Regions

A, B, C = "us-east-1", "eu-west-1", "ap-south-1"


@pytest.fixture
def world() -> Regions:
    regions = Regions(A, B, C)
    regions.create(A)
    regions.replicate(A, B, C, kind=MULTI_MASTER)
    return regions


def reported(world: Regions, name: str) -> list[tuple[Any, Any]]:
    """Winners and losers, in the order of their discovery."""
    found = world.run(world.regions[name].read(conflicts.listed))
    sides = [(one["winner"], one["loser"]) for one in reversed(found)]
    return [tuple((side["image"] or {}).get("value", {}).get("S") for side in pair) for pair in sides]


def test_several_changes_of_an_item_are_applied_as_the_last_one(world: Regions) -> None:
    for number in range(5):
        world.put(A, "x", f"a{number}")
    world.settle()
    assert world.values(B) == world.values(C) == {"x": "a4"}
    assert reported(world, A) == reported(world, B) == reported(world, C) == []


def test_a_deletion_after_changes_is_applied(world: Regions) -> None:
    world.put(A, "x", "1")
    world.call(A, "DeleteItem", TableName="Things", Key={"pk": {"S": "x"}})
    world.settle()
    assert world.values(B) == world.values(A) == {}


def test_concurrent_changes_are_reported_in_both_regions(world: Regions) -> None:
    world.put(A, "x", "from a")
    world.clock.advance(1)
    world.put(B, "x", "from b")
    world.settle()
    assert reported(world, A) == reported(world, B) == [("from b", "from a")]


def test_a_change_of_a_change_that_was_seen_is_not_a_conflict(world: Regions) -> None:
    world.put(A, "x", "1")
    world.settle()
    world.clock.advance(1)
    world.put(B, "x", "2")
    world.settle()
    assert reported(world, A) == reported(world, B) == reported(world, C) == []


def test_only_the_change_that_did_not_know_the_other_is_in_the_report(world: Regions) -> None:
    """The second change of A was made when A had seen B's; both changes of A arrived in B together."""
    world.put(B, "x", "from b")
    world.clock.advance(1)
    world.put(A, "x", "first from a")
    world.cut.add((B, A))
    world.settle()
    world.heal()
    world.clock.advance(1)
    world.put(A, "x", "second from a")
    world.settle()
    assert reported(world, B) == [("first from a", "from b")]
    assert world.values(A) == world.values(B) == world.values(C) == {"x": "second from a"}
