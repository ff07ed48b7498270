"""A replica that joins with a slow clock: others may have dropped tombstones that are greater than its time."""

from __future__ import annotations

import pytest

from atoll.clock import SkewedClock
from atoll.database import tombstones
from atoll.database.group import MULTI_MASTER
from atoll.replication import membership
from tests.replication.regions import Regions

A, B, C = "us-east-1", "eu-west-1", "ap-south-1"
HOUR_MS = 3_600_000


def drop(world: Regions, name: str) -> None:
    region = world.regions[name]
    world.write(name, lambda tx, stamp: tombstones.drop(tx, region, stamp, b"Things"))


def two_replicas() -> Regions:
    """An item was deleted. B still has its tombstone, A has dropped it."""
    world = Regions(A, B, C)
    world.create(A)
    world.put(A, "x", "1")
    world.replicate(A, B, kind=MULTI_MASTER)
    world.clock.advance(1_000)
    world.call(A, "DeleteItem", TableName="Things", Key={"pk": {"S": "x"}})
    world.clock.advance(1_000)
    for names in ((A, B), (A,), (A,)):
        for name in names:
            drop(world, name)
        world.replicate_all()
    assert len(world.tombstones(A)) == 0 and len(world.tombstones(B)) == 1
    slow = SkewedClock(world.clock)
    slow.skew_ms = -HOUR_MS
    world.regions[C].clock = slow
    world.regions[C].rewind()
    return world


def join_and_write(world: Regions) -> None:
    table = world.table(A)
    assert table is not None
    world.write(A, lambda tx, stamp: membership.invite(tx, stamp, table, C))
    world.replicate_all()
    world.put(C, "x", "of C")
    world.replicate_all()


def test_its_writes_win_over_deletions_before_it_joined() -> None:
    world = two_replicas()
    join_and_write(world)
    assert world.values(A) == world.values(B) == world.values(C) == {"x": "of C"}
    assert world.rows(A) == world.rows(B) == world.rows(C)


def test_without_a_floor_replicas_would_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail."""
    world = two_replicas()
    monkeypatch.setattr(membership, "max", lambda *_: 0, raising=False)
    join_and_write(world)
    assert world.values(A) != world.values(B)
