"""Members of sets come back sorted, wherever a set is returned: strings and binaries by bytes, numbers by value."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

KEY = {"pk": {"S": "a"}}
THINGS = {"TableName": "Things"}
UNSORTED: dict[str, Any] = {
    "ss": {"SS": ["b", "a", "", "Z", "é", "aa"]},
    "ns": {"NS": ["10", "9", "-1", "0.5", "1e2", "-20"]},
    "bs": {"BS": ["/w==", "AA==", "AAA="]},
    "m": {"M": {"l": {"L": [{"SS": ["y", "x"]}]}}},
}
SORTED: dict[str, Any] = {
    "ss": {"SS": ["", "Z", "a", "aa", "b", "é"]},
    "ns": {"NS": ["-20", "-1", "0.5", "9", "10", "100"]},
    "bs": {"BS": ["AA==", "AAA=", "/w=="]},
    "m": {"M": {"l": {"L": [{"SS": ["x", "y"]}]}}},
}
ITEM = {**KEY, **SORTED}
SET = "SET " + ", ".join(f"{name} = :{name}" for name in UNSORTED)
VALUES = {f":{name}": value for name, value in UNSORTED.items()}
CHANGE = {**THINGS, "Key": KEY, "UpdateExpression": SET, "ExpressionAttributeValues": VALUES}
LITERALS = "{'pk': 'a', 'ss': <<'b', 'a', '', 'Z', 'é', 'aa'>>, 'ns': <<10, 9, -1, 0.5, 1e2, -20>>}"


def by_put(service: Any) -> None:
    service.put_item(**THINGS, Item={**KEY, **UNSORTED})


def by_update(service: Any) -> None:
    service.update_item(**CHANGE)


def by_legacy_update(service: Any) -> None:
    updates = {name: {"Action": "PUT", "Value": value} for name, value in UNSORTED.items()}
    service.update_item(**THINGS, Key=KEY, AttributeUpdates=updates)


def by_batch(service: Any) -> None:
    service.batch_write_item(RequestItems={"Things": [{"PutRequest": {"Item": {**KEY, **UNSORTED}}}]})


def by_transaction(service: Any) -> None:
    service.transact_write_items(TransactItems=[{"Update": CHANGE}])


def by_parameters(service: Any) -> None:
    names = ", ".join(f"'{name}': ?" for name in UNSORTED)
    statement = f"INSERT INTO Things VALUE {{'pk': 'a', {names}}}"
    service.execute_statement(Statement=statement, Parameters=list(UNSORTED.values()))


@pytest.fixture
def things(service: Any) -> Any:
    service.table(StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
    return service


@pytest.mark.parametrize("write", [by_put, by_update, by_legacy_update, by_batch, by_transaction, by_parameters])
def test_however_a_set_is_written_it_is_read_sorted(things: Any, write: Any) -> None:
    write(things)
    query = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": KEY["pk"]}}
    answers = [
        things.get_item(**THINGS, Key=KEY)["Item"],
        things.query(**THINGS, **query)["Items"][0],
        things.scan(**THINGS)["Items"][0],
        things.batch_get_item(RequestItems={"Things": {"Keys": [KEY]}})["Responses"]["Things"][0],
        things.transact_get_items(TransactItems=[{"Get": {**THINGS, "Key": KEY}}])["Responses"][0]["Item"],
        things.execute_statement(Statement="SELECT * FROM Things")["Items"][0],
    ]
    assert answers == [ITEM] * 6


def test_sets_of_a_statement_are_read_sorted(things: Any) -> None:
    things.execute_statement(Statement=f"INSERT INTO Things VALUE {LITERALS}")
    assert things.get_item(**THINGS, Key=KEY)["Item"] == {**KEY, "ss": SORTED["ss"], "ns": SORTED["ns"]}


def test_returned_values_are_sorted(things: Any) -> None:
    assert things.update_item(**CHANGE, ReturnValues="ALL_NEW")["Attributes"] == ITEM
    assert things.update_item(**CHANGE, ReturnValues="UPDATED_NEW")["Attributes"] == SORTED
    assert things.update_item(**CHANGE, ReturnValues="UPDATED_OLD")["Attributes"] == SORTED
    assert things.put_item(**THINGS, Item=KEY, ReturnValues="ALL_OLD")["Attributes"] == ITEM
    things.update_item(**CHANGE)
    assert things.delete_item(**THINGS, Key=KEY, ReturnValues="ALL_OLD")["Attributes"] == ITEM


def test_items_of_failed_conditions_are_sorted(things: Any) -> None:
    by_put(things)
    fails = {"ConditionExpression": "attribute_not_exists(pk)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    refused = things.refused("PutItem", **THINGS, Item=KEY, **fails)
    assert orjson.loads(orjson.dumps(refused.fields)) == {"Item": ITEM}
    cancelled = things.refused("TransactWriteItems", TransactItems=[{"Delete": {**THINGS, "Key": KEY, **fails}}])
    [reason] = orjson.loads(orjson.dumps(cancelled.fields))["CancellationReasons"]
    assert reason["Item"] == ITEM


def test_images_of_a_stream_are_sorted(things: Any) -> None:
    by_put(things)
    things.delete_item(**THINGS, Key=KEY)
    arn = things.describe_table(**THINGS)["Table"]["LatestStreamArn"]

    def streams(operation: str, **body: Any) -> Any:
        return things.request(operation, body, "DynamoDBStreams_20120810")

    records = []
    for shard in streams("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"]:
        asked = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = streams("GetShardIterator", **asked)["ShardIterator"]
        records += streams("GetRecords", ShardIterator=iterator)["Records"]
    assert [record["dynamodb"].get("NewImage", ITEM) for record in records] == [ITEM, ITEM]
    assert records[1]["dynamodb"]["OldImage"] == ITEM


ADDITIONS = {
    "a string before all": ({"SS": ["a"]}, {"SS": [""]}, {"SS": ["", "a"]}),
    "strings between": ({"SS": ["c", "a"]}, {"SS": ["d", "b"]}, {"SS": ["a", "b", "c", "d"]}),
    "a number": ({"NS": ["10", "-1"]}, {"NS": ["9"]}, {"NS": ["-1", "9", "10"]}),
    "a binary": ({"BS": ["/w=="]}, {"BS": ["AA=="]}, {"BS": ["AA==", "/w=="]}),
}


@pytest.mark.parametrize("situation", ADDITIONS)
@pytest.mark.parametrize("legacy", [False, True], ids=["expression", "legacy"])
def test_added_members_are_sorted_in(things: Any, legacy: bool, situation: str) -> None:
    before, added, after = ADDITIONS[situation]
    things.put_item(**THINGS, Item={**KEY, "t": before})
    if legacy:
        things.update_item(**THINGS, Key=KEY, AttributeUpdates={"t": {"Action": "ADD", "Value": added}})
    else:
        values = {":v": added}
        things.update_item(**THINGS, Key=KEY, UpdateExpression="ADD t :v", ExpressionAttributeValues=values)
    assert things.get_item(**THINGS, Key=KEY)["Item"]["t"] == after


def test_a_set_in_another_order_is_the_same_set(things: Any) -> None:
    by_put(things)
    text = " AND ".join(f"{name} = :{name}" for name in UNSORTED)
    assert things.scan(**THINGS, FilterExpression=text, ExpressionAttributeValues=VALUES)["Count"] == 1
    things.put_item(**THINGS, Item={**KEY, **UNSORTED}, ConditionExpression=text, ExpressionAttributeValues=VALUES)
