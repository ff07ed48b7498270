from __future__ import annotations

from typing import Any

import orjson

KEY = {"pk": {"S": "a"}}


def item(**attributes: Any) -> dict[str, Any]:
    return {**KEY, **attributes}


def test_an_item_comes_back_as_it_was_put(service: Any) -> None:
    service.table()
    whole = item(
        n={"N": "1.5"}, b={"B": "AAE="}, t={"BOOL": True}, nothing={"NULL": True}, ss={"SS": ["x", "y"]},
        l={"L": [{"N": "1"}, {"M": {"deep": {"S": ""}}}]},
    )  # fmt: skip
    service.put_item(TableName="Things", Item=whole)
    assert service.get_item(TableName="Things", Key=KEY) == {"Item": whole}


def test_a_missing_item_is_absent_from_the_answer_but_costs_half_a_unit(service: Any) -> None:
    service.table()
    answer = service.get_item(TableName="Things", Key=KEY, ReturnConsumedCapacity="TOTAL")
    assert answer == {"ConsumedCapacity": {"TableName": "Things", "CapacityUnits": 0.5}}


def test_members_of_other_operations_are_ignored(service: Any) -> None:
    service.table()
    service.put_item(TableName="Things", Item=item(a={"N": "1"}))
    answer = service.get_item(
        TableName="Things", Key=KEY, ProjectionExpression="a", ExpressionAttributeValues={":x": {"N": "1"}}
    )
    assert answer == {"Item": {"a": {"N": "1"}}}


def test_numbers_are_one_key_however_they_are_written(service: Any) -> None:
    service.request(
        "CreateTable",
        {
            "TableName": "Numbers",
            "KeySchema": [{"AttributeName": "n", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "n", "AttributeType": "N"}],
            "BillingMode": "PAY_PER_REQUEST",
        },
    )
    service.put_item(TableName="Numbers", Item={"n": {"N": "1e3"}})
    assert service.get_item(TableName="Numbers", Key={"n": {"N": "1000.0"}})["Item"] == {"n": {"N": "1000"}}


def test_put_replaces_the_whole_item_and_can_return_the_old(service: Any) -> None:
    service.table()
    service.put_item(TableName="Things", Item=item(a={"N": "1"}))
    answer = service.put_item(TableName="Things", Item=item(b={"N": "2"}), ReturnValues="ALL_OLD")
    assert answer == {"Attributes": item(a={"N": "1"})}
    assert service.get_item(TableName="Things", Key=KEY)["Item"] == item(b={"N": "2"})


def test_a_failed_condition_changes_nothing_and_shows_the_item_if_asked(service: Any) -> None:
    service.table()
    service.put_item(TableName="Things", Item=item(v={"N": "1"}))
    request = {
        "TableName": "Things",
        "Item": item(v={"N": "2"}),
        "ConditionExpression": "v = :v",
        "ExpressionAttributeValues": {":v": {"N": "7"}},
    }
    refusal = service.refused("PutItem", **request)
    assert (refusal.code, refusal.message) == ("ConditionalCheckFailedException", "The conditional request failed")
    assert refusal.fields is None
    refusal = service.refused("PutItem", **request, ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert refusal.fields is not None
    assert orjson.loads(orjson.dumps(refusal.fields)) == {"Item": item(v={"N": "1"})}
    assert service.get_item(TableName="Things", Key=KEY)["Item"] == item(v={"N": "1"})


def test_a_condition_on_a_missing_item_sees_an_empty_one(service: Any) -> None:
    service.table()
    service.delete_item(TableName="Things", Key=KEY, ConditionExpression="attribute_not_exists(pk)")
    refusal = service.refused("DeleteItem", TableName="Things", Key=KEY, ConditionExpression="attribute_exists(pk)")
    assert refusal.code == "ConditionalCheckFailedException"


def update(service: Any, expression: str, values: dict[str, Any] | None = None, **more: Any) -> Any:
    body = {"TableName": "Things", "Key": KEY, "UpdateExpression": expression, **more}
    if values:
        body["ExpressionAttributeValues"] = values
    return service.update_item(**body)


def test_update_makes_the_item_if_it_is_missing(service: Any) -> None:
    service.table()
    answer = update(service, "SET n = :n", {":n": {"N": "1"}}, ReturnValues="ALL_NEW")
    assert answer == {"Attributes": item(n={"N": "1"})}


def test_update_makes_no_item_that_would_have_nothing_but_its_key(service: Any) -> None:
    service.table()
    assert update(service, "REMOVE a", ReturnValues="ALL_NEW") == {}
    assert update(service, "DELETE a :s", {":s": {"SS": ["x"]}}, ReturnValues="ALL_NEW") == {}
    assert service.scan(TableName="Things")["Count"] == 0
    service.update_item(TableName="Things", Key=KEY)  # without an expression it does
    assert service.scan(TableName="Things")["Items"] == [KEY]


def test_right_hand_sides_read_the_old_item(service: Any) -> None:
    service.table()
    service.put_item(TableName="Things", Item=item(a={"N": "1"}, b={"N": "2"}))
    answer = update(service, "SET a = b, b = a", ReturnValues="UPDATED_NEW")
    assert answer == {"Attributes": {"a": {"N": "2"}, "b": {"N": "1"}}}


def test_updated_values_are_those_of_the_touched_paths(service: Any) -> None:
    service.table()
    service.put_item(TableName="Things", Item=item(m={"M": {"x": {"N": "1"}, "y": {"N": "2"}}}))
    answer = update(service, "SET m.x = :n", {":n": {"N": "5"}}, ReturnValues="UPDATED_OLD")
    assert answer == {"Attributes": {"m": {"M": {"x": {"N": "1"}}}}}


def test_key_attributes_cannot_be_updated(service: Any) -> None:
    service.table()
    refusal = service.refused(
        "UpdateItem", TableName="Things", Key=KEY, UpdateExpression="SET pk = :p",
        ExpressionAttributeValues={":p": {"S": "b"}},
    )  # fmt: skip
    assert refusal.message == (
        "One or more parameter values were invalid: Cannot update attribute pk. This attribute is part of the key"
    )


def test_keys_of_the_wrong_form_are_refused(service: Any) -> None:
    service.table()
    for key in ({"pk": {"N": "1"}}, {"other": {"S": "a"}}, {**KEY, "x": {"S": "b"}}):
        refusal = service.refused("GetItem", TableName="Things", Key=key)
        assert refusal.message == "The provided key element does not match the schema"
    assert service.refused("PutItem", TableName="Things", Item={"x": {"S": "a"}}).message == (
        "One or more parameter values were invalid: Missing the key pk in the item"
    )
    assert service.refused("PutItem", TableName="Things", Item={"pk": {"N": "1"}}).message == (
        "One or more parameter values were invalid: Type mismatch for key pk expected: S actual: N"
    )
    assert service.refused("GetItem", TableName="Things", Key={"pk": {"S": ""}}).message == (
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty "
        "string value. Key: pk"
    )
    assert service.refused("GetItem", TableName="Things", Key={"pk": {"S": "x" * 2049}}).message == (
        "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes"
    )


def test_items_may_have_400_kilobytes(service: Any) -> None:
    service.table()
    room = 409_600 - len("pk") - len("a") - len("x")
    service.put_item(TableName="Things", Item=item(x={"S": "y" * room}))
    refusal = service.refused("PutItem", TableName="Things", Item=item(x={"S": "y" * (room + 1)}))
    assert refusal.message == "Item size has exceeded the maximum allowed size"


def test_tables_can_be_named_by_their_arn(service: Any) -> None:
    service.table()
    service.put_item(TableName="arn:aws:dynamodb:us-east-1:000000000000:table/Things", Item=item())
    assert service.get_item(TableName="Things", Key=KEY)["Item"] == item()


def test_writes_cost_the_larger_image(service: Any) -> None:
    service.table()
    service.put_item(TableName="Things", Item=item(x={"S": "y" * 3000}))
    answer = service.put_item(TableName="Things", Item=item(), ReturnConsumedCapacity="TOTAL")
    assert answer["ConsumedCapacity"]["CapacityUnits"] == 3.0
    answer = service.delete_item(TableName="Things", Key={"pk": {"S": "none"}}, ReturnConsumedCapacity="TOTAL")
    assert answer["ConsumedCapacity"]["CapacityUnits"] == 1.0


def test_unknown_tables_are_not_found(service: Any) -> None:
    refusal = service.refused("GetItem", TableName="Nothing", Key=KEY)
    assert (refusal.code, refusal.message) == ("ResourceNotFoundException", "Requested resource not found")
