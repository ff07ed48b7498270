"""Time to live: its states, its index, its deletions."""

from __future__ import annotations

from typing import Any

import pytest

from atoll.api import items, queries, tables
from atoll.database import background, due, ttl
from atoll.database import format as fmt
from atoll.database.region import Settings
from atoll.errors import ApiError
from tests.database.conftest import ManualRegion
from tests.engines import finish

NOW = 1_800_000_000
HOUR_MS = 3600 * 1000
YEAR_S = 365 * 24 * 3600


def refusal(function: Any, *args: Any, **more: Any) -> tuple[str, str | None]:
    with pytest.raises(ApiError) as caught:
        function(*args, **more)
    return caught.value.code, caught.value.message


def expires(seconds: float) -> dict[str, Any]:
    return {"expires": {"N": str(NOW + seconds)}}


def test_an_item_is_deleted_when_its_second_has_passed(world: Any) -> None:
    world.create()
    world.set_ttl()
    world.put("a", **expires(10))
    world.pass_time(10_999)
    assert world.get("a") is not None
    world.pass_time(1)
    assert world.get("a") is None
    inserted, removed = world.all_records(world.arns()[0])
    assert "userIdentity" not in inserted
    assert removed["eventName"] == "REMOVE"
    guide = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    model = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}  # what SDKs read
    assert removed["userIdentity"] == guide | model
    assert removed["dynamodb"]["Keys"] == {"pk": {"S": "a"}, "sk": {"N": "0"}}
    assert removed["dynamodb"]["OldImage"] == inserted["dynamodb"]["NewImage"]


@pytest.mark.parametrize(
    "value",
    [
        {"N": str(NOW + 1000)},
        {"N": str(NOW - 5 * YEAR_S - 100)},
        {"N": "-5"},
        {"N": "0"},
        {"N": "1" + "0" * 100},
        {"S": str(NOW - 10)},
        {"NS": [str(NOW - 10)]},
        {"NULL": True},
    ],
)
def test_an_invalid_or_too_old_time_does_not_expire(world: Any, value: Any) -> None:
    world.create()
    world.set_ttl()
    world.put("a", expires=value)
    world.put("b")
    world.pass_time(60_000)
    assert world.get("a") is not None and world.get("b") is not None


@pytest.mark.parametrize("value", [f"{NOW - 1}", f"{NOW - 1}.999", "1.8E9", f"{NOW - 5 * YEAR_S + 100}"])
def test_a_number_of_any_form_expires(world: Any, value: str) -> None:
    world.create()
    world.set_ttl()
    world.put("a", expires={"N": value})
    world.pass_time(2_000)
    assert world.get("a") is None


def test_the_last_value_counts(world: Any) -> None:
    world.create()
    world.set_ttl()
    for name in ("later", "sooner", "never", "again"):
        world.put(name, **expires(60))
    world.put("later", **expires(120))
    world.put("sooner", **expires(30))
    world.put("never")
    world.delete("again")
    world.pass_time(40_000)
    assert world.get("sooner") is None and world.get("later") is not None
    world.put("again", **expires(100))
    world.pass_time(30_000)
    assert world.get("later") is not None and world.get("again") is not None
    world.pass_time(60_000)
    assert world.get("later") is None and world.get("again") is None and world.get("never") is not None


def test_an_expired_item_leaves_every_index(world: Any) -> None:
    index = {
        "IndexName": "by-owner",
        "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    types = {"pk": "S", "owner": "S"}
    world.call(
        tables.create_table,
        TableName="Things",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, t in types.items()],
        GlobalSecondaryIndexes=[index],
    )
    world.set_ttl()
    item = {"pk": {"S": "a"}, "owner": {"S": "x"}, **expires(5)}
    world.call(items.put_item, TableName="Things", Item=item)
    question = {
        "TableName": "Things",
        "IndexName": "by-owner",
        "KeyConditionExpression": "#o = :x",
        "ExpressionAttributeNames": {"#o": "owner"},
        "ExpressionAttributeValues": {":x": {"S": "x"}},
    }
    assert world.call(queries.query, **question)["Count"] == 1
    world.pass_time(6_000)
    assert world.call(queries.query, **question)["Count"] == 0
    table = world.table()
    counters = world.read(lambda s: [s.tally(fmt.count_counter(x)) for x in (table.space, table.indexes[0].space)])
    assert counters == [0, 0]


def test_the_delay_and_the_rate_can_be_chosen() -> None:
    world = ManualRegion(Settings(ttl_delay_ms=10_000, ttl_rate=2))
    world.create()
    world.set_ttl()
    for i in range(5):
        world.put("a", i, **expires(0))
    world.clock.advance(10_000)
    left = []
    for _ in range(4):
        world.settle()
        left.append(sum(world.get("a", i) is not None for i in range(5)))
        world.clock.advance(1_000)
    assert left == [5, 3, 1, 0]
    space = world.table().space
    deleted = world.read(lambda snapshot: snapshot.tally(fmt.expired_counter(space)))
    assert deleted == 5


def test_without_time_to_live_there_is_nothing_to_do(world: Any) -> None:
    world.create()
    assert world.job(ttl.delete_expired) is None and world.job(ttl.build) is None


def test_one_table_does_not_keep_another_waiting(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ttl, "DELETED_ITEMS", 5)
    deleted = []
    delete = background.JOBS[fmt.EXPIRE]

    def watched(tx: Any, region: Any, stamp: Any, name: bytes) -> int | None:
        deleted.append(name)
        return delete(tx, region, stamp, name)

    for name in ("Ants", "Birds"):
        world.create(name)
        world.set_ttl(name)
        for i in range(20):
            world.put("a", i, table=name, **expires(0))
    world.clock.advance(1_000)
    finish(background.run(world.region, {**background.JOBS, fmt.EXPIRE: watched}))
    ants = [number for number, name in enumerate(deleted) if name == b"Ants"]
    birds = [number for number, name in enumerate(deleted) if name == b"Birds"]
    assert birds[0] < ants[-1] and ants[0] < birds[-1]
    assert [sum(world.get("a", i, table=name) is None for i in range(20)) for name in ("Ants", "Birds")] == [20, 20]


def test_items_that_were_there_before_are_found(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ttl, "BUILT_ITEMS", 4)
    world.create()
    for i in range(10):
        world.put("a", i, **expires(5))
    world.set_ttl()
    assert world.ttl_status() == "ENABLING"
    world.job(ttl.build)
    state = world.region.engine.snapshot()
    world.region.engine.restore(state)  # as after a crash: nothing but the store
    world.put("a", 0, **expires(100))  # done already
    world.put("a", 9, **expires(100))  # not yet
    world.delete("a", 8)
    world.clock.advance(10_000)
    world.job(ttl.delete_expired)
    assert world.get("a", 1) is not None
    assert world.job(ttl.build) == world.clock.now_ms()
    world.settle()
    assert world.ttl_status() == "ENABLED"
    assert [i for i in range(10) if world.get("a", i)] == [0, 9]


def test_an_empty_table_has_it_at_once(world: Any) -> None:
    world.create()
    assert world.ttl_status() == "DISABLED"
    world.set_ttl()
    assert world.ttl_status() == "ENABLED"


def test_its_states_last_as_long_as_those_of_a_table(slow_world: Any) -> None:
    world = slow_world
    world.create()
    world.pass_time(5_000)
    assert refusal(world.set_ttl)[0] == "ResourceInUseException"
    world.pass_time(5_000)
    world.put("b")
    world.set_ttl()
    assert world.ttl_status() == "ENABLING"
    world.pass_time(10_000)
    assert world.ttl_status() == "ENABLED"
    world.pass_time(HOUR_MS)
    world.put("a", **expires(0))
    world.set_ttl(enabled=False)
    assert world.ttl_status() == "DISABLING"
    world.pass_time(5_000)
    assert world.get("a") is not None
    world.pass_time(5_000)
    assert world.ttl_status() == "DISABLED"


def test_disabling_forgets_the_index(world: Any) -> None:
    world.create()
    world.set_ttl()
    world.put("a", **expires(7200))
    space = world.table().ttl.space
    world.pass_time(HOUR_MS)
    world.set_ttl(enabled=False)
    world.settle()
    assert world.read(lambda snapshot: list(snapshot.scan(*fmt.space_range(space)))) == []
    world.pass_time(2 * HOUR_MS)
    assert world.get("a") is not None
    world.set_ttl(attribute="expires")
    world.settle()
    assert world.get("a") is None


def test_enabling_before_the_end_of_disabling_leaves_no_index_behind() -> None:
    """Where states last longer than the hour between two changes."""
    world = ManualRegion(Settings(control_plane_delay_ms=3 * HOUR_MS))
    world.create()
    world.pass_time(3 * HOUR_MS)
    world.set_ttl()
    world.pass_time(3 * HOUR_MS)
    world.put("a", **expires(YEAR_S))
    space = world.table().ttl.space
    world.set_ttl(enabled=False)
    world.clock.advance(2 * HOUR_MS)
    world.set_ttl()
    assert world.table().ttl.space != space
    world.pass_time(4 * HOUR_MS)
    assert world.read(lambda snapshot: list(snapshot.scan(*fmt.space_range(space)))) == []


def test_changes_that_change_nothing_are_refused(world: Any) -> None:
    world.create()
    assert refusal(world.set_ttl, enabled=False) == ("ValidationException", "TimeToLive is already disabled")
    world.set_ttl()
    assert refusal(world.set_ttl) == ("ValidationException", "TimeToLive is already enabled")
    text = "TimeToLive is active on a different AttributeName: current AttributeName is expires"
    assert refusal(world.set_ttl, attribute="other") == ("ValidationException", text)
    assert refusal(world.set_ttl, attribute="other", enabled=False) == ("ValidationException", text)
    text = "Time to live has been modified multiple times within a fixed interval"
    assert refusal(world.set_ttl, enabled=False) == ("ValidationException", text)
    world.pass_time(HOUR_MS)
    world.set_ttl(enabled=False)
    assert refusal(world.set_ttl, "Nope") == (
        "ResourceNotFoundException",
        "Requested resource not found: Table: Nope not found",
    )


def test_an_entry_that_does_not_fit_its_item_deletes_nothing(world: Any) -> None:
    world.create()
    world.set_ttl()
    world.put("a", **expires(500))
    table = world.table()
    row_key = table.item_key({"pk": {"S": "a"}, "sk": {"N": "0"}})

    def add(tx: Any) -> None:
        tx.put(fmt.expiry_key(table.ttl.space, NOW + 1, row_key), b"")
        due.schedule(tx, (NOW + 2) * 1000, fmt.EXPIRE, b"Things")

    world.transact(add)
    world.pass_time(5_000)
    assert world.get("a") is not None
    entries = world.read(lambda snapshot: list(snapshot.scan(*fmt.space_range(table.ttl.space))))
    assert len(entries) == 1
    assert world.read(lambda snapshot: snapshot.tally(fmt.expired_counter(table.space))) == 0
