from __future__ import annotations

from typing import Any

import orjson


def key(name: str) -> dict[str, Any]:
    return {"pk": {"S": name}}


def put(name: str, table: str = "Things", **more: Any) -> dict[str, Any]:
    return {"Put": {"TableName": table, "Item": {**key(name), "v": {"N": "1"}}, **more}}


def names(service: Any) -> set[str]:
    return {item["pk"]["S"] for item in service.scan(TableName="Things")["Items"]}


def reasons(refusal: Any) -> Any:
    return orjson.loads(orjson.dumps(refusal.fields["CancellationReasons"]))


def test_a_batch_puts_and_deletes(service: Any) -> None:
    service.table()
    service.put_item(TableName="Things", Item=key("gone"))
    answer = service.batch_write_item(
        RequestItems={
            "Things": [{"PutRequest": {"Item": key("a")}}, {"DeleteRequest": {"Key": key("gone")}}],
        },
        ReturnConsumedCapacity="TOTAL",
    )
    assert answer["UnprocessedItems"] == {}
    assert answer["ConsumedCapacity"] == [{"TableName": "Things", "CapacityUnits": 2.0}]
    assert names(service) == {"a"}


def test_a_batch_may_not_write_an_item_twice(service: Any) -> None:
    service.table()
    refusal = service.refused(
        "BatchWriteItem",
        RequestItems={"Things": [{"PutRequest": {"Item": key("a")}}, {"DeleteRequest": {"Key": key("a")}}]},
    )
    assert refusal.message == "Provided list of item keys contains duplicates"
    assert names(service) == set()


def test_one_bad_item_refuses_the_whole_batch(service: Any) -> None:
    service.table()
    service.refused(
        "BatchWriteItem",
        RequestItems={
            "Things": [
                {"PutRequest": {"Item": key("a")}},
                {"PutRequest": {"Item": {**key("b"), "x": {"S": "y" * 410_000}}}},
            ]
        },
    )
    assert names(service) == set()


def test_a_batch_reads_each_table_with_its_own_options(service: Any) -> None:
    service.table()
    service.table("Others")
    service.put_item(TableName="Things", Item={**key("a"), "x": {"N": "1"}, "y": {"N": "2"}})
    service.put_item(TableName="Others", Item=key("b"))
    answer = service.batch_get_item(
        RequestItems={
            "Things": {"Keys": [key("a"), key("missing")], "ProjectionExpression": "x"},
            "Others": {"Keys": [key("b")], "ConsistentRead": True},
        },
        ReturnConsumedCapacity="TOTAL",
    )
    assert answer["Responses"] == {"Things": [{"x": {"N": "1"}}], "Others": [key("b")]}
    assert answer["ConsumedCapacity"] == [
        {"TableName": "Things", "CapacityUnits": 1.0},
        {"TableName": "Others", "CapacityUnits": 1.0},
    ]


def test_keys_beyond_16_megabytes_come_back_unprocessed(service: Any) -> None:
    service.table()
    keys = [key(str(i)) for i in range(50)]
    for one in keys:
        service.put_item(TableName="Things", Item={**one, "x": {"S": "y" * 400_000}})
    answer = service.batch_get_item(RequestItems={"Things": {"Keys": keys, "ConsistentRead": True}})
    assert len(answer["Responses"]["Things"]) == 41
    assert answer["UnprocessedKeys"] == {"Things": {"Keys": keys[41:], "ConsistentRead": True}}


def test_a_transaction_is_all_or_nothing(service: Any) -> None:
    service.table()
    service.put_item(TableName="Things", Item={**key("there"), "v": {"N": "7"}})
    refusal = service.refused(
        "TransactWriteItems",
        TransactItems=[
            put("a"),
            put("there", ConditionExpression="attribute_not_exists(pk)", ReturnValuesOnConditionCheckFailure="ALL_OLD"),
            {"ConditionCheck": {"TableName": "Things", "Key": key("x"), "ConditionExpression": "attribute_exists(pk)"}},
        ],
    )
    assert refusal.message == (
        "Transaction cancelled, please refer cancellation reasons for specific reasons "
        "[None, ConditionalCheckFailed, ConditionalCheckFailed]"
    )
    failed = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
    assert reasons(refusal) == [
        {"Code": "None"},
        {**failed, "Item": {**key("there"), "v": {"N": "7"}}},
        failed,
    ]
    assert names(service) == {"there"}


def test_a_transaction_writes_several_tables(service: Any) -> None:
    service.table()
    service.table("Others")
    service.put_item(TableName="Things", Item=key("old"))
    answer = service.transact_write_items(
        TransactItems=[
            put("a"),
            put("b", "Others"),
            {"Delete": {"TableName": "Things", "Key": key("old")}},
            {
                "Update": {
                    "TableName": "Others",
                    "Key": key("c"),
                    "UpdateExpression": "SET n = :n",
                    "ExpressionAttributeValues": {":n": {"N": "5"}},
                }
            },
        ],
        ReturnConsumedCapacity="TOTAL",
    )
    assert answer["ConsumedCapacity"] == [
        {"TableName": "Things", "CapacityUnits": 4.0, "WriteCapacityUnits": 4.0},
        {"TableName": "Others", "CapacityUnits": 4.0, "WriteCapacityUnits": 4.0},
    ]
    assert names(service) == {"a"}
    gets = [{"Get": {"TableName": "Others", "Key": key(n)}} for n in ("b", "none", "c")]
    assert service.transact_get_items(TransactItems=gets)["Responses"] == [
        {"Item": {**key("b"), "v": {"N": "1"}}},
        {},
        {"Item": {**key("c"), "n": {"N": "5"}}},
    ]


def test_a_token_makes_a_transaction_happen_once(service: Any) -> None:
    service.table()
    add = {
        "Update": {
            "TableName": "Things",
            "Key": key("a"),
            "UpdateExpression": "ADD n :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }
    }
    request = {"TransactItems": [add], "ClientRequestToken": "once", "ReturnConsumedCapacity": "TOTAL"}
    assert "WriteCapacityUnits" in service.transact_write_items(**request)["ConsumedCapacity"][0]
    assert "ReadCapacityUnits" in service.transact_write_items(**request)["ConsumedCapacity"][0]
    assert service.get_item(TableName="Things", Key=key("a"))["Item"]["n"] == {"N": "1"}
    refusal = service.refused("TransactWriteItems", TransactItems=[put("b")], ClientRequestToken="once")
    assert refusal.code == "IdempotentParameterMismatchException"
    service.clock.advance(10 * 60 * 1000)
    service.settle()
    service.transact_write_items(**request)
    assert service.get_item(TableName="Things", Key=key("a"))["Item"]["n"] == {"N": "2"}


def test_a_transaction_names_each_item_once(service: Any) -> None:
    service.table()
    refusal = service.refused("TransactWriteItems", TransactItems=[put("a"), put("a")])
    assert (refusal.code, refusal.message) == (
        "ValidationException",
        "Transaction request cannot include multiple operations on one item",
    )


def test_duplicate_items_are_reported_before_invalid_keys(service: Any) -> None:
    service.table()
    wrong = {"TableName": "Things", "Key": {"other": {"S": "x"}}}
    get, delete = ({kind: {"TableName": "Things", "Key": key("a")}} for kind in ("Get", "Delete"))
    for operation, twice, bad in (
        ("TransactGetItems", get, {"Get": wrong}),
        ("TransactWriteItems", delete, {"Delete": wrong}),
    ):
        refusal = service.refused(operation, TransactItems=[twice, bad, twice])
        assert refusal.message == "Transaction request cannot include multiple operations on one item"


def test_a_key_that_does_not_fit_cancels_the_transaction(service: Any) -> None:
    service.table()
    refusal = service.refused(
        "TransactWriteItems",
        TransactItems=[put("a"), {"Delete": {"TableName": "Things", "Key": {"other": {"S": "x"}}}}],
    )
    assert refusal.code == "TransactionCanceledException"
    assert [reason["Code"] for reason in reasons(refusal)] == ["None", "ValidationError"]
    assert names(service) == set()


def test_unknown_members_are_ignored(service: Any) -> None:
    service.table()
    service.transact_write_items(TransactItems=[{**put("a"), "Extra": [1]}])
    assert names(service) == {"a"}


def test_an_unknown_table_is_not_a_reason(service: Any) -> None:
    service.table()
    refusal = service.refused("TransactWriteItems", TransactItems=[put("a"), put("b", "Nowhere")])
    assert refusal.code == "ResourceNotFoundException"
