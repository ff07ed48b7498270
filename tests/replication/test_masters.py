"""Single-master replication: one region accepts writes, the others follow; any of them can be promoted."""

from __future__ import annotations

from typing import Any

import pytest

from atoll.database.group import SINGLE_MASTER
from atoll.errors import ApiError
from atoll.replication import conflicts, masters, steps
from tests.replication.regions import Regions

A, B, C = "us-east-1", "eu-west-1", "ap-south-1"


@pytest.fixture
def world() -> Regions:
    regions = Regions(A, B, C)
    regions.create(A)
    regions.put(A, "before", "1")
    regions.replicate(A, B, C, kind=SINGLE_MASTER)
    return regions


def promote(world: Regions, name: str) -> None:
    table = world.table(name)
    assert table is not None
    world.write(name, lambda tx, stamp: masters.promote(tx, stamp, table))


def reported(world: Regions, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.run(world.regions[name].read(conflicts.listed))
    return found


def test_replicas_follow_the_master(world: Regions) -> None:
    world.put(A, "later", "2")
    world.call(A, "DeleteItem", TableName="Things", Key={"pk": {"S": "before"}})
    world.settle()
    assert world.values(A) == world.values(B) == world.values(C) == {"later": "2"}


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("PutItem", {"Item": {"pk": {"S": "x"}}}),
        ("DeleteItem", {"Key": {"pk": {"S": "before"}}}),
        ("UpdateItem", {"Key": {"pk": {"S": "before"}}, "UpdateExpression": "REMOVE v"}),
    ],
)
def test_replica_refuses_writes_and_names_the_master(world: Regions, operation: str, body: dict[str, Any]) -> None:
    with pytest.raises(ApiError, match=f"Write to its master in {A}"):
        world.call(B, operation, TableName="Things", **body)
    assert world.values(B) == {"before": "1"}


def test_replica_refuses_batches_and_transactions(world: Regions) -> None:
    put = {"Item": {"pk": {"S": "x"}}}
    with pytest.raises(ApiError, match=f"Write to its master in {A}"):
        world.call(B, "BatchWriteItem", RequestItems={"Things": [{"PutRequest": put}]})
    with pytest.raises(ApiError, match="Transaction cancelled") as refused:
        world.call(B, "TransactWriteItems", TransactItems=[{"Put": {"TableName": "Things", **put}}])
    assert refused.value.fields is not None
    assert A in refused.value.fields["CancellationReasons"][0]["Message"]
    assert world.values(B) == {"before": "1"}


def test_replica_stays_readable_without_its_master(world: Regions) -> None:
    world.isolate(A)
    world.put(A, "unseen", "2")
    world.settle()
    assert world.values(B) == {"before": "1"}
    world.heal()
    world.settle()
    assert world.values(B) == {"before": "1", "unseen": "2"}


def test_promoted_replica_accepts_writes_and_keeps_its_items(world: Regions) -> None:
    world.put(A, "seen", "2")
    world.settle()
    world.isolate(A)
    promote(world, B)
    world.put(B, "new", "3")
    world.settle()
    assert world.values(B) == world.values(C) == {"before": "1", "seen": "2", "new": "3"}
    with pytest.raises(ApiError, match=f"Write to its master in {B}"):
        world.put(C, "x", "4")


def test_returning_master_becomes_a_replica_and_reports_its_unsent_changes(world: Regions) -> None:
    world.isolate(A)
    world.put(A, "unsent", "2")
    world.put(A, "before", "overwritten")
    promote(world, B)
    world.put(B, "new", "3")
    world.settle()
    world.heal()
    world.settle()
    assert world.rows(A) == world.rows(B) == world.rows(C)
    assert world.values(A) == {"before": "1", "new": "3"}
    losers = {entry["key"]["pk"]["S"]: entry["loser"]["image"]["value"]["S"] for entry in reported(world, A)}
    assert losers == {"unsent": "2", "before": "overwritten"}
    assert reported(world, B) == reported(world, C) == []
    with pytest.raises(ApiError, match=f"Write to its master in {B}"):
        world.put(A, "x", "4")


def test_replica_that_had_read_more_than_the_new_master_gives_it_up(world: Regions) -> None:
    world.cut |= {(B, A)}
    world.put(A, "only in C", "2")
    world.call(A, "DeleteItem", TableName="Things", Key={"pk": {"S": "before"}})
    world.settle()
    assert world.values(C) == {"only in C": "2"}
    world.isolate(A)
    promote(world, B)
    world.cut -= {(B, C), (C, B)}
    world.settle()
    assert world.values(C) == world.values(B) == {"before": "1"}
    world.heal()
    world.settle()
    assert world.rows(A) == world.rows(B) == world.rows(C)


def test_two_masters_end_as_one_and_the_conflict_is_shown(world: Regions) -> None:
    for name in (A, B, C):
        world.isolate(name)
    promote(world, B)
    promote(world, C)
    world.put(B, "by B", "2")
    world.put(C, "by C", "3")
    world.heal()
    world.settle()
    assert world.rows(A) == world.rows(B) == world.rows(C)
    assert world.values(A) == {"before": "1", "by B": "2"}
    assert [entry["key"]["pk"]["S"] for entry in reported(world, C)] == ["by C"]


def test_only_a_complete_replica_is_promoted(world: Regions) -> None:
    with pytest.raises(ApiError, match="is the master already"):
        promote(world, A)
    world.create(A, "Plain")
    plain = world.table(A, "Plain")
    assert plain is not None
    with pytest.raises(ApiError, match="not a single-master replica"):
        world.write(A, lambda tx, stamp: masters.promote(tx, stamp, plain))


def test_master_of_old_returns_the_role(world: Regions) -> None:
    """Promoted back and forth, nothing is lost."""
    for number, name in enumerate([B, C, A, B]):
        promote(world, name)
        world.put(name, f"from {name} {number}", "1")
        world.settle()
        assert world.rows(A) == world.rows(B) == world.rows(C)
    assert len(world.values(A)) == 5
    assert not any(reported(world, name) for name in (A, B, C))


def test_late_answer_of_a_former_master_undoes_nothing(world: Regions) -> None:
    """The question of an earlier promotion is answered when the asking replica has been the master since."""
    world.isolate(A)
    world.put(A, "unsent", "1")
    promote(world, B)
    world.heal()
    world.learn(A, B)
    question = world.question(A, B)
    assert question is not None and question.name == "items"
    late = world.run(world.ask(A, B, question))
    world.settle()
    promote(world, A)
    world.put(A, "unsent", "2")
    world.settle()
    promote(world, B)
    world.settle()
    world.run(steps.take(world.regions[A], "Things", B, late))
    assert world.rows(A) == world.rows(B) == world.rows(C)
    assert world.values(A)["unsent"] == "2"


def test_replica_that_undoes_changes_turns_to_the_next_master(world: Regions) -> None:
    """It drops a pending question to a master when another one is promoted."""
    world.isolate(A)
    world.put(A, "unsent", "1")
    promote(world, B)
    world.settle()
    world.heal()
    world.learn(A, B)
    promote(world, C)
    world.settle()
    question = world.question(A, B)
    assert question is not None and question.name == "changes"
    assert world.rows(A) == world.rows(B) == world.rows(C)
    assert "unsent" not in world.values(A)
