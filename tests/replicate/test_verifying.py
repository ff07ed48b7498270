"""`--verify`: two tables are compared."""

from __future__ import annotations

from typing import Any

import pytest

from atoll.replicate.failures import Failed
from atoll.replicate.verifying import DIFFERENT, EXTRA, MISSING
from tests.replicate.world import World


@pytest.fixture
def copied(world: World) -> World:
    world.create()
    world.fill(range(300))
    world.replicate()
    return world


def test_equal_tables_have_no_differences(copied: World) -> None:
    assert copied.replication().verify() == []
    assert copied.counters.items == 600


def test_each_kind_of_difference_is_found(copied: World) -> None:
    copied.delete("item-7")
    copied.put("only-here", 1)
    copied.there.update_item(
        TableName="Things", Key={"pk": {"S": "item-8"}}, UpdateExpression="SET n = :n, more = :n REMOVE #text",
        ExpressionAttributeNames={"#text": "text"}, ExpressionAttributeValues={":n": {"N": "-1"}},
    )  # fmt: skip
    found = copied.replication().verify()
    assert [(one.kind, one.key["pk"]["S"], one.attributes) for one in found] == [
        (DIFFERENT, "item-8", ("more", "n", "text")),
        (EXTRA, "item-7", ()),
        (MISSING, "only-here", ()),
    ]
    assert [str(one) for one in found] == [
        'different: {"pk": {"S": "item-8"}}: more, n, text',
        'missing at the source: {"pk": {"S": "item-7"}}',
        'missing at the target: {"pk": {"S": "only-here"}}',
    ]


def test_a_change_that_arrives_meanwhile_is_not_a_difference(copied: World) -> None:
    """The item differs when it is compared, and is equal when it is read again."""
    copied.put("item-8", -1)
    reads = 0

    def change(role: str, operation: str, parameters: dict[str, Any]) -> None:
        nonlocal reads
        keys = parameters.get("RequestItems", {}).get("Things", {}).get("Keys", ())
        if operation == "BatchGetItem" and {"pk": {"S": "item-8"}} in keys:
            reads += 1
            if reads == 4:
                copied.there.put_item(TableName="Things", Item={"pk": {"S": "item-8"}, "n": {"N": "-1"}})

    assert copied.replication(change).verify() == []
    assert reads >= 4


def test_keys_of_several_types_and_attributes(world: World) -> None:
    world.here.create_table(
        TableName="Things", BillingMode="PAY_PER_REQUEST", StreamSpecification={
            "StreamEnabled": True, "StreamViewType": "NEW_IMAGE"
        },
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "B"}, {"AttributeName": "sk", "AttributeType": "N"}
        ],
    )  # fmt: skip
    items = [{"pk": {"B": bytes([n % 3])}, "sk": {"N": str(n / 4)}, "v": {"N": str(n)}} for n in range(-20, 20)]
    for item in items[1:]:
        world.here.put_item(TableName="Things", Item=item)
    world.replicate()
    world.here.put_item(TableName="Things", Item=items[0])
    world.here.put_item(TableName="Things", Item=items[1] | {"v": {"N": "1000"}})
    world.here.delete_item(TableName="Things", Key={"pk": items[2]["pk"], "sk": items[2]["sk"]})
    kinds = [one.kind for one in world.replication().verify()]
    assert sorted(kinds) == sorted([MISSING, DIFFERENT, EXTRA])
    assert str(world.replication().verify()[0]).startswith('different: {"pk": {"B": "')
    world.replicate()
    assert world.replication().verify() == []


def test_tables_that_cannot_be_compared(world: World) -> None:
    world.create()
    with pytest.raises(Failed, match="target: the table Things does not exist"):
        world.replication().verify()
    world.there.create_table(
        TableName="Things", KeySchema=[{"AttributeName": "other", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "other", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST",
    )  # fmt: skip
    with pytest.raises(Failed, match="different keys"):
        world.replication().verify()
