from __future__ import annotations

from typing import Any

import pytest

from atoll import limits

GLOBAL = {
    "IndexName": "by-colour",
    "KeySchema": [{"AttributeName": "colour", "KeyType": "HASH"}, {"AttributeName": "weight", "KeyType": "RANGE"}],
    "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["note"]},
}
LOCAL = {
    "IndexName": "by-weight",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "weight", "KeyType": "RANGE"}],
    "Projection": {"ProjectionType": "KEYS_ONLY"},
}


def make(service: Any) -> None:
    service.table(
        sort="S", types={"colour": "S", "weight": "N"}, GlobalSecondaryIndexes=[GLOBAL], LocalSecondaryIndexes=[LOCAL]
    )


def thing(sk: str, colour: str | None = None, weight: int | None = None, **more: Any) -> dict[str, Any]:
    item: dict[str, Any] = {"pk": {"S": "a"}, "sk": {"S": sk}, **more}
    if colour is not None:
        item["colour"] = {"S": colour}
    if weight is not None:
        item["weight"] = {"N": str(weight)}
    return item


def red(service: Any, **more: Any) -> Any:
    return service.query(
        TableName="Things", IndexName="by-colour", KeyConditionExpression="colour = :c",
        ExpressionAttributeValues={":c": {"S": "red"}}, **more,
    )  # fmt: skip


def test_a_sparse_index_holds_items_with_all_its_keys_in_order(service: Any) -> None:
    make(service)
    for item in (thing("1", "red", 30), thing("2", "red", 4), thing("3", "red"), thing("4", "blue", 1), thing("5")):
        service.put_item(TableName="Things", Item=item)
    assert [i["sk"]["S"] for i in red(service)["Items"]] == ["2", "1"]
    assert [i["sk"]["S"] for i in red(service, ScanIndexForward=False)["Items"]] == ["1", "2"]


def test_an_index_projects_its_keys_the_table_keys_and_included_attributes(service: Any) -> None:
    make(service)
    service.put_item(TableName="Things", Item=thing("1", "red", 1, note={"S": "n"}, secret={"S": "s"}))
    assert red(service)["Items"] == [thing("1", "red", 1, note={"S": "n"})]


def test_an_index_follows_every_change_of_its_items(service: Any) -> None:
    make(service)
    key = {"pk": {"S": "a"}, "sk": {"S": "1"}}
    service.put_item(TableName="Things", Item=thing("1", "red", 1))
    service.update_item(
        TableName="Things", Key=key, UpdateExpression="SET weight = :w, note = :n",
        ExpressionAttributeValues={":w": {"N": "2"}, ":n": {"S": "heavier"}},
    )  # fmt: skip
    assert red(service)["Items"] == [thing("1", "red", 2, note={"S": "heavier"})]
    service.update_item(TableName="Things", Key=key, UpdateExpression="REMOVE colour")
    assert red(service)["Items"] == []
    service.put_item(TableName="Things", Item=thing("1", "red", 3))
    service.delete_item(TableName="Things", Key=key)
    assert red(service)["Items"] == []
    assert service.scan(TableName="Things", IndexName="by-weight")["Count"] == 0


def test_a_local_index_fetches_attributes_that_it_does_not_project(service: Any) -> None:
    make(service)
    service.put_item(TableName="Things", Item=thing("1", None, 5, secret={"S": "s"}))
    request = {
        "TableName": "Things",
        "IndexName": "by-weight",
        "KeyConditionExpression": "pk = :p AND weight > :w",
        "ExpressionAttributeValues": {":p": {"S": "a"}, ":w": {"N": "1"}},
        "ReturnConsumedCapacity": "INDEXES",
    }
    projected = service.query(**request)
    assert projected["Items"] == [thing("1", None, 5)]
    assert repr(projected["ConsumedCapacity"]["Table"]) == "{'CapacityUnits': 0.0}"  # some clients tell 0 apart
    fetched = service.query(**request, Select="ALL_ATTRIBUTES")
    assert fetched["Items"] == [thing("1", None, 5, secret={"S": "s"})]
    assert fetched["ConsumedCapacity"] == {
        "TableName": "Things",
        "CapacityUnits": 1.0,
        "Table": {"CapacityUnits": 0.5},
        "LocalSecondaryIndexes": {"by-weight": {"CapacityUnits": 0.5}},
    }


def test_a_global_index_refuses_attributes_that_it_does_not_have(service: Any) -> None:
    make(service)
    query = {
        "TableName": "Things",
        "IndexName": "by-colour",
        "KeyConditionExpression": "colour = :c",
        "ExpressionAttributeValues": {":c": {"S": "red"}},
    }
    assert service.refused("Query", **query, ConsistentRead=True).message == (
        "Consistent reads are not supported on global secondary indexes"
    )
    assert service.refused("Query", **query, Select="ALL_ATTRIBUTES").message == (
        "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary "
        "index by-colour because its projection type is not ALL"
    )


def test_index_keys_have_to_fit(service: Any) -> None:
    make(service)
    refusal = service.refused("PutItem", TableName="Things", Item=thing("1") | {"colour": {"N": "1"}})
    assert refusal.message == (
        "One or more parameter values were invalid: Type mismatch for Index Key colour Expected: S Actual: N "
        "IndexName: by-colour"
    )


def test_writes_are_charged_for_the_entries_they_change(service: Any) -> None:
    make(service)
    service.put_item(TableName="Things", Item=thing("1", "red", 1))
    moved = service.put_item(TableName="Things", Item=thing("1", "blue", 1), ReturnConsumedCapacity="INDEXES")
    assert moved["ConsumedCapacity"]["GlobalSecondaryIndexes"] == {"by-colour": {"CapacityUnits": 2.0}}
    assert "LocalSecondaryIndexes" not in moved["ConsumedCapacity"]
    aside = service.put_item(
        TableName="Things", Item=thing("1", "blue", 1, other={"S": "x"}), ReturnConsumedCapacity="INDEXES"
    )
    assert aside["ConsumedCapacity"] == {"TableName": "Things", "CapacityUnits": 1.0, "Table": {"CapacityUnits": 1.0}}


def test_pages_of_an_index_continue_from_their_last_key(service: Any) -> None:
    make(service)
    for i in range(7):
        service.put_item(TableName="Things", Item=thing(str(i), "red", i // 2))
    seen: list[Any] = []
    start: dict[str, Any] = {}
    while True:
        page = red(service, Limit=2, **start)
        seen += [item["sk"]["S"] for item in page["Items"]]
        if "LastEvaluatedKey" not in page:
            break
        assert page["LastEvaluatedKey"].keys() == {"pk", "sk", "colour", "weight"}
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert sorted(seen) == [str(i) for i in range(7)]
    assert len(seen) == 7


def test_an_index_can_be_added_to_a_table_in_use(service: Any) -> None:
    service.table()
    for i in range(450):
        service.put_item(TableName="Things", Item={"pk": {"S": str(i)}, "g": {"S": "x"} if i % 2 else {"N": "1"}})
    service.update_table(
        TableName="Things",
        AttributeDefinitions=[{"AttributeName": "g", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": "late",
                    "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            }
        ],
    )
    [index] = service.describe_table(TableName="Things")["Table"]["GlobalSecondaryIndexes"]
    assert (index["IndexStatus"], index["Backfilling"]) == ("CREATING", True)
    # Writes in the meantime maintain the index; those whose turn has not come are not counted twice.
    service.delete_item(TableName="Things", Key={"pk": {"S": "1"}})
    service.put_item(TableName="Things", Item={"pk": {"S": "3"}, "g": {"S": "y"}})
    assert service.refused("PutItem", TableName="Things", Item={"pk": {"S": "z"}, "g": {"N": "1"}}).message == (
        "One or more parameter values were invalid: Type mismatch for Index Key g Expected: S Actual: N IndexName: late"
    )
    service.settle()
    [index] = service.describe_table(TableName="Things")["Table"]["GlobalSecondaryIndexes"]
    assert (index["IndexStatus"], index["ItemCount"]) == ("ACTIVE", 224)
    assert service.scan(TableName="Things", IndexName="late", Select="COUNT")["Count"] == 224


def test_an_index_can_be_taken_away(service: Any) -> None:
    make(service)
    service.put_item(TableName="Things", Item=thing("1", "red", 1))
    service.update_table(TableName="Things", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-colour"}}])
    service.settle()
    assert "GlobalSecondaryIndexes" not in service.describe_table(TableName="Things")["Table"]
    assert service.refused("Scan", TableName="Things", IndexName="by-colour").message == (
        "The table does not have the specified index: by-colour"
    )


def test_older_items_may_have_values_that_cannot_be_index_keys(service: Any) -> None:
    service.table()
    given = {"longest": "g" * 2_048, "too long": "g" * 2_049, "wide": "ü" * 1_024, "too wide": "ü" * 1_025}
    for pk, value in given.items():
        service.put_item(TableName="Things", Item={"pk": {"S": pk}, "g": {"S": value}})
    declared = [{"AttributeName": "g", "AttributeType": "S"}]
    updates = [{"Create": LATE}]
    service.update_table(TableName="Things", AttributeDefinitions=declared, GlobalSecondaryIndexUpdates=updates)
    service.settle()
    found = service.scan(TableName="Things", IndexName="late")["Items"]
    assert {item["pk"]["S"] for item in found} == {"longest", "wide"}


@pytest.mark.parametrize("value", [{"S": "g" * 2_049}, {"N": "1"}], ids=["too long", "of another type"])
def test_an_older_item_may_keep_a_value_that_cannot_be_an_index_key(service: Any, value: Any) -> None:
    service.table()
    service.put_item(TableName="Things", Item={"pk": {"S": "a"}, "g": value})
    declared = [{"AttributeName": "g", "AttributeType": "S"}]
    updates = [{"Create": LATE}]
    service.update_table(TableName="Things", AttributeDefinitions=declared, GlobalSecondaryIndexUpdates=updates)
    service.settle()

    def update(expression: str, **more: Any) -> dict[str, Any]:
        return {"TableName": "Things", "Key": {"pk": {"S": "a"}}, "UpdateExpression": expression, **more}

    service.update_item(**update("SET n = :n", ExpressionAttributeValues={":n": {"N": "1"}}))
    service.update_item(**update("SET g = g"))
    service.update_item(TableName="Things", Key={"pk": {"S": "a"}})
    [item] = service.scan(TableName="Things")["Items"]
    assert item == {"pk": {"S": "a"}, "g": value, "n": {"N": "1"}}
    assert service.scan(TableName="Things", IndexName="late")["Count"] == 0
    [(type_, content)] = value.items()
    another = {":g": {type_: content + "1"}}
    assert service.refused("UpdateItem", **update("SET g = :g", ExpressionAttributeValues=another))
    assert service.refused("PutItem", TableName="Things", Item=item)
    service.update_item(**update("SET g = :g", ExpressionAttributeValues={":g": {"S": "g"}}))
    assert service.scan(TableName="Things", IndexName="late")["Count"] == 1


def test_an_empty_value_older_than_its_index_must_be_removed_by_the_next_update(service: Any) -> None:
    service.table()
    service.put_item(TableName="Things", Item={"pk": {"S": "a"}, "g": {"S": ""}})
    declared = [{"AttributeName": "g", "AttributeType": "S"}]
    updates = [{"Create": LATE}]
    service.update_table(TableName="Things", AttributeDefinitions=declared, GlobalSecondaryIndexUpdates=updates)
    service.settle()
    update = {"TableName": "Things", "Key": {"pk": {"S": "a"}}}
    assert service.refused("UpdateItem", **update, UpdateExpression="REMOVE n").message == (
        "One or more parameter values are not valid. The update expression attempted to update a secondary index key "
        "to a value that is not supported. The AttributeValue for a key attribute cannot contain an empty string value."
    )
    service.update_item(**update, UpdateExpression="REMOVE g")
    assert service.scan(TableName="Things")["Items"] == [{"pk": {"S": "a"}}]


LATE = {
    "IndexName": "late",
    "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "ALL"},
}


def test_an_index_is_made_in_two_phases(slow_service: Any) -> None:
    service = slow_service
    service.table()
    service.clock.advance(10_000)
    declared = [{"AttributeName": "g", "AttributeType": "S"}]
    create = {"TableName": "Things", "AttributeDefinitions": declared}
    service.update_table(**create, GlobalSecondaryIndexUpdates=[{"Create": LATE}])

    def state() -> tuple[str, str, bool | None]:
        table = service.describe_table(TableName="Things")["Table"]
        [index] = table["GlobalSecondaryIndexes"]
        return table["TableStatus"], index["IndexStatus"], index.get("Backfilling")

    assert state() == ("UPDATING", "CREATING", False)
    service.settle()
    delete = {"TableName": "Things", "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "late"}}]}
    assert service.refused("UpdateTable", **delete).code == "ResourceInUseException"
    service.clock.advance(10_000)
    assert state() == ("ACTIVE", "CREATING", True)
    assert service.refused("Scan", TableName="Things", IndexName="late").message == (
        "Cannot read from backfilling global secondary index: late"
    )
    another = {"Create": {**LATE, "IndexName": "another"}}
    refusal = service.refused("UpdateTable", **create, GlobalSecondaryIndexUpdates=[another])
    assert (refusal.code, refusal.message) == (
        "LimitExceededException",
        "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
    )
    service.update_table(**delete)  # an index that is being filled may be given up
    service.clock.advance(10_000)
    service.settle()
    assert "GlobalSecondaryIndexes" not in service.describe_table(TableName="Things")["Table"]


def test_item_collections_are_measured_on_tables_with_local_indexes(service: Any) -> None:
    make(service)
    answer = service.put_item(TableName="Things", Item=thing("1"), ReturnItemCollectionMetrics="SIZE")
    assert answer["ItemCollectionMetrics"] == {
        "ItemCollectionKey": {"pk": {"S": "a"}},
        "SizeEstimateRangeGB": [0.0, 1.0],
    }


def test_a_full_item_collection_accepts_no_items(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make(service)
    full = ("ItemCollectionSizeLimitExceededException", "Collection size exceeded.")
    service.put_item(TableName="Things", Item=thing("1"))
    monkeypatch.setattr(limits, "ITEM_COLLECTION_BYTES", 100)
    large = thing("2") | {"text": {"S": "x" * 100}}
    refused = service.refused("PutItem", TableName="Things", Item=large)
    assert (refused.code, refused.message) == full
    puts = [{"Put": {"TableName": "Things", "Item": item}} for item in (thing("3"), large, thing("4", pk={"S": "b"}))]
    refused = service.refused("TransactWriteItems", TransactItems=puts)
    assert refused.code == "TransactionCanceledException"
    assert refused.fields["CancellationReasons"] == [
        {"Code": "None"},
        {"Code": "ItemCollectionSizeLimitExceeded", "Message": "Collection size exceeded."},
        {"Code": "None"},
    ]
    assert service.scan(TableName="Things")["Count"] == 1
    service.delete_item(TableName="Things", Key={"pk": {"S": "a"}, "sk": {"S": "1"}})


def test_a_global_index_may_have_keys_of_several_attributes(service: Any) -> None:
    keys = [("a", "HASH"), ("b", "HASH"), ("c", "RANGE"), ("d", "RANGE")]
    service.table(
        types={"a": "S", "b": "N", "c": "S", "d": "N"},
        GlobalSecondaryIndexes=[
            {
                "IndexName": "many",
                "KeySchema": [{"AttributeName": n, "KeyType": k} for n, k in keys],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )
    for i in range(6):
        item = {"pk": {"S": str(i)}, "a": {"S": "x"}, "b": {"N": "1"}, "c": {"S": str(i % 2)}, "d": {"N": str(i)}}
        service.put_item(TableName="Things", Item=item)
    answer = service.query(
        TableName="Things", IndexName="many", KeyConditionExpression="a = :a AND b = :b AND c = :c AND d > :d",
        ExpressionAttributeValues={":a": {"S": "x"}, ":b": {"N": "1"}, ":c": {"S": "1"}, ":d": {"N": "1"}},
    )  # fmt: skip
    assert [i["pk"]["S"] for i in answer["Items"]] == ["3", "5"]


LONG = {"S": "x" * 2049}
PUT = {"TableName": "Things", "Item": {"pk": {"S": "a"}, "sk": {"S": "1"}, "colour": LONG}}
UPDATE = {
    "TableName": "Things",
    "Key": {"pk": {"S": "a"}, "sk": {"S": "1"}},
    "UpdateExpression": "SET colour = :long",
    "ExpressionAttributeValues": {":long": LONG},
}


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("PutItem", PUT),
        ("UpdateItem", UPDATE),
        ("BatchWriteItem", {"RequestItems": {"Things": [{"PutRequest": {"Item": PUT["Item"]}}]}}),
        ("TransactWriteItems", {"TransactItems": [{"Put": PUT}]}),
        ("TransactWriteItems", {"TransactItems": [{"Update": UPDATE}]}),
        ("ExecuteStatement", {"Statement": "INSERT INTO Things VALUE {'pk': 'a', 'sk': '1', 'colour': ?}"}),
        ("ExecuteStatement", {"Statement": "UPDATE Things SET colour = ? WHERE pk = 'a' AND sk = '1'"}),
    ],
    ids=str,
)
def test_no_way_of_writing_takes_an_index_key_that_is_too_long(service: Any, operation: str, body: Any) -> None:
    make(service)
    service.put_item(TableName="Things", Item=thing("1") if "UPDATE" in str(body) else thing("2"))
    parameters = {"Parameters": [LONG]} if "Statement" in body else {}
    refused = service.refused(operation, **body, **parameters)
    told = str(refused.fields["CancellationReasons"]) if refused.fields else str(refused.message)
    assert "Size of hashkey has exceeded the maximum size limit of2048 bytes" in told
    assert service.scan(TableName="Things", FilterExpression="attribute_exists(colour)")["Count"] == 0
