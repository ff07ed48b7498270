"""The subtle rules of what operations answer and store, one by one."""

from __future__ import annotations

from typing import Any

import pytest

KEY = {"pk": {"S": "a"}}
THINGS = {"TableName": "Things"}


@pytest.fixture
def things(service: Any) -> Any:
    service.table()
    return service


def stored(service: Any, **attributes: Any) -> dict[str, Any]:
    """The attributes as they come back, without the key."""
    service.put_item(**THINGS, Item={**KEY, **attributes})
    return without_key(service.get_item(**THINGS, Key=KEY)["Item"])


def without_key(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != "pk"}


def update(service: Any, text: str, **more: Any) -> Any:
    return service.update_item(**THINGS, Key=KEY, UpdateExpression=text, **more)


def numbers(*values: int) -> dict[str, Any]:
    return {"L": [{"N": str(value)} for value in values]}


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("1.5E2", "150"), ("00042", "42"), ("-0", "0"), ("+1", "1"), ("1.50", "1.5"), (".5", "0.5"),
        ("1E-130", "0." + "0" * 129 + "1"), ("9" * 38 + "E88", "9" * 38 + "0" * 88), ("1" + "0" * 50, "1" + "0" * 50),
    ],
)  # fmt: skip
def test_numbers_come_back_in_plain_decimal(things: Any, given: str, canonical: str) -> None:
    assert stored(things, n={"N": given}, s={"NS": [given]}) == {"n": {"N": canonical}, "s": {"NS": [canonical]}}


def test_empty_strings_and_binaries_are_allowed_except_as_keys(things: Any) -> None:
    empty = {"s": {"S": ""}, "b": {"B": ""}, "l": {"L": []}, "m": {"M": {"": {"S": ""}}}}
    with_name = {name: value for name, value in empty.items() if name != "m"}
    assert stored(things, **with_name) == with_name


def test_a_projection_without_a_match_returns_an_empty_item_but_no_item_in_a_transaction(things: Any) -> None:
    things.put_item(**THINGS, Item=KEY)
    get = {**THINGS, "Key": KEY, "ProjectionExpression": "nothing"}
    assert things.get_item(**get) == {"Item": {}}
    assert things.transact_get_items(TransactItems=[{"Get": get}]) == {"Responses": [{}]}


def test_projected_list_elements_move_together_in_their_order(things: Any) -> None:
    things.put_item(**THINGS, Item={**KEY, "a": numbers(0, 1, 2)})
    answer = things.get_item(**THINGS, Key=KEY, ProjectionExpression="a[2], a[0]")
    assert answer["Item"] == {"a": numbers(0, 2)}


def test_assignments_read_the_item_as_it_was(things: Any) -> None:
    things.put_item(**THINGS, Item={**KEY, "a": {"N": "1"}, "b": {"N": "2"}})
    assert update(things, "SET a = b, b = a", ReturnValues="UPDATED_NEW") == {
        "Attributes": {"a": {"N": "2"}, "b": {"N": "1"}}
    }


def test_an_index_beyond_the_end_appends(things: Any) -> None:
    things.put_item(**THINGS, Item={**KEY, "a": numbers(0)})
    update(things, "SET a[100] = :v", ExpressionAttributeValues={":v": {"N": "9"}})
    assert things.get_item(**THINGS, Key=KEY)["Item"]["a"] == numbers(0, 9)


def test_removed_elements_are_counted_as_they_were(things: Any) -> None:
    things.put_item(**THINGS, Item={**KEY, "a": numbers(0, 1, 2, 3)})
    answer = update(things, "REMOVE a[0], a[2]", ReturnValues="ALL_NEW")
    assert answer["Attributes"]["a"] == numbers(1, 3)


def test_an_element_moved_to_a_removed_place_is_returned(things: Any) -> None:
    things.put_item(**THINGS, Item={**KEY, "a": numbers(0, 1, 2)})
    assert update(things, "REMOVE a[1]", ReturnValues="UPDATED_NEW") == {"Attributes": {"a": numbers(2)}}


def test_a_set_without_members_is_not_an_attribute(things: Any) -> None:
    things.put_item(**THINGS, Item={**KEY, "s": {"SS": ["x", "y"]}})
    update(things, "DELETE s :s", ExpressionAttributeValues={":s": {"SS": ["y", "x"]}})
    assert things.get_item(**THINGS, Key=KEY)["Item"] == KEY


def test_only_parts_that_were_touched_are_returned(things: Any) -> None:
    things.put_item(**THINGS, Item={**KEY, "a": {"N": "1"}, "b": {"N": "2"}})
    body = {"ExpressionAttributeValues": {":v": {"N": "5"}}}
    assert update(things, "SET a = :v", ReturnValues="UPDATED_OLD", **body) == {"Attributes": {"a": {"N": "1"}}}
    assert update(things, "SET c = :v", ReturnValues="UPDATED_OLD", **body) == {}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("a = :v", False), ("a <> :v", True), ("NOT a = :v", True), ("a < :v", False), ("a = b", False),
        ("a <> b", True), ("a IN (:v)", False), ("size(a) > :v", False), ("size(n) > :v", False),
        ("size(party) = :v", True), ("begins_with(a, :s)", False), ("contains(a, :s)", False),
    ],
)  # fmt: skip
def test_comparisons_with_missing_attributes(things: Any, condition: str, holds: bool) -> None:
    """`party` is one character beyond the basic plane: two of the units in which strings are measured."""
    things.put_item(**THINGS, Item={**KEY, "n": {"N": "1"}, "party": {"S": "\N{PARTY POPPER}"}})
    values = {":v": {"N": "2"}, ":s": {"S": "x"}}
    used = {name: value for name, value in values.items() if name in condition}
    more = {"ExpressionAttributeValues": used} if used else {}
    assert things.scan(**THINGS, FilterExpression=condition, **more)["Count"] == int(holds)


def test_a_condition_on_a_missing_item_sees_no_attributes(things: Any) -> None:
    assert things.delete_item(**THINGS, Key=KEY, ConditionExpression="attribute_not_exists(x)") == {}


def test_a_limit_counts_before_the_filter(service: Any) -> None:
    service.table(sort="N")
    for n in range(4):
        service.put_item(**THINGS, Item={**KEY, "sk": {"N": str(n)}})
    request = {
        **THINGS, "KeyConditionExpression": ":p = pk", "ExpressionAttributeValues": {":p": KEY["pk"]},
        "FilterExpression": "attribute_exists(x)", "Limit": 2,
    }  # fmt: skip
    answer = service.query(**request)
    assert (answer["Count"], answer["ScannedCount"]) == (0, 2)
    assert answer["LastEvaluatedKey"] == {**KEY, "sk": {"N": "1"}}
    full = service.query(**request, ExclusiveStartKey=answer["LastEvaluatedKey"])
    assert full["LastEvaluatedKey"] == {**KEY, "sk": {"N": "3"}}  # the last page is full, so there may be more
    assert "LastEvaluatedKey" not in service.query(**request, ExclusiveStartKey=full["LastEvaluatedKey"])


def test_a_page_may_start_after_a_deleted_item(service: Any) -> None:
    service.table(sort="N")
    service.put_item(**THINGS, Item={**KEY, "sk": {"N": "7"}})
    gone = {**KEY, "sk": {"N": "5"}}
    assert service.scan(**THINGS, ExclusiveStartKey=gone)["Count"] == 1


def test_a_query_for_one_row_has_one_page(things: Any) -> None:
    things.put_item(**THINGS, Item=KEY)
    request = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": KEY["pk"]}, "Limit": 1}
    assert things.query(**THINGS, **request) == {"Items": [KEY], "Count": 1, "ScannedCount": 1}


def test_the_order_of_maps_does_not_change_a_transaction_s_identity(things: Any) -> None:
    first = {"Put": {"Item": {**KEY, "x": {"M": {"a": {"N": "1"}, "b": {"N": "2"}}}}, **THINGS}}
    again = {"Put": {**THINGS, "Item": {"x": {"M": {"b": {"N": "2"}, "a": {"N": "1"}}}, **KEY}}}
    things.transact_write_items(TransactItems=[first], ClientRequestToken="t")
    things.transact_write_items(TransactItems=[again], ClientRequestToken="t")
    other = things.refused(
        "TransactWriteItems", TransactItems=[{"Delete": {**THINGS, "Key": KEY}}], ClientRequestToken="t"
    )
    assert other.code == "IdempotentParameterMismatchException"


def test_4_mb_are_those_of_the_request_not_of_the_items(things: Any) -> None:
    keys = [{"pk": {"S": str(n)}} for n in range(13)]
    for key in keys:
        things.put_item(**THINGS, Item={**key, "x": {"S": "y" * 400_000}})
    things.transact_write_items(TransactItems=[{"Delete": {**THINGS, "Key": key}} for key in keys])
    assert things.scan(**THINGS, Select="COUNT")["Count"] == 0


def test_describe_limits(service: Any) -> None:
    assert service.describe_limits() == {
        "AccountMaxReadCapacityUnits": 80_000, "AccountMaxWriteCapacityUnits": 80_000,
        "TableMaxReadCapacityUnits": 40_000, "TableMaxWriteCapacityUnits": 40_000,
    }  # fmt: skip


def test_tables_are_listed_by_name_from_any_name_on(service: Any) -> None:
    for name in ("ccc", "aaa", "bbb"):
        service.table(name)
    assert service.list_tables(Limit=2) == {"TableNames": ["aaa", "bbb"], "LastEvaluatedTableName": "bbb"}
    assert service.list_tables(ExclusiveStartTableName="aab") == {"TableNames": ["bbb", "ccc"]}
