"""Expressions that are nested deeply, or too long, in each place where a request may have one."""

from __future__ import annotations

from typing import Any

import pytest

KEY = {"pk": {"S": "a"}}
THINGS = {"TableName": "Things"}
ENVELOPE = "1 validation error detected: "
DEPTHS = (2, 400, 450, 1_000)


def condition(text: str) -> dict[str, Any]:
    return {"ConditionExpression": text}


# Requests with an expression, the name of its kind in errors, and what comes before them.
PLACES: dict[str, tuple[str, Any, str, str]] = {
    "a condition of a put": ("PutItem", lambda text: {**THINGS, "Item": KEY, **condition(text)}, "Condition", ENVELOPE),
    "a condition of an update": (
        "UpdateItem", lambda text: {**THINGS, "Key": KEY, **condition(text)}, "Condition", ENVELOPE
    ),
    "a condition of a deletion": (
        "DeleteItem", lambda text: {**THINGS, "Key": KEY, **condition(text)}, "Condition", ENVELOPE
    ),
    "a filter of a scan": ("Scan", lambda text: {**THINGS, "FilterExpression": text}, "Filter", ""),
    "a filter of a query": (
        "Query",
        lambda text: {**THINGS, "KeyConditionExpression": "pk = :p", "FilterExpression": text,
                      "ExpressionAttributeValues": {":p": KEY["pk"]}}, "Filter", "",
    ),
    "a check of a transaction": (
        "TransactWriteItems",
        lambda text: {"TransactItems": [{"ConditionCheck": {**THINGS, "Key": KEY, **condition(text)}}]},
        "Condition", "",
    ),
}  # fmt: skip


@pytest.fixture
def things(service: Any) -> Any:
    service.table()
    return service


@pytest.mark.parametrize("place", PLACES)
def test_unknown_functions_in_each_other(things: Any, place: str) -> None:
    operation, body, kind, before = PLACES[place]
    text = f"{before}Invalid {kind}Expression: Invalid function name; function: f"
    for depth in DEPTHS:
        refused = things.refused(operation, **body("a < " + "f(" * depth + "b" + ")" * depth))
        assert (refused.code, refused.message) == ("ValidationException", text)


@pytest.mark.parametrize("place", PLACES)
def test_sizes_of_sizes(things: Any, place: str) -> None:
    operation, body, kind, before = PLACES[place]
    text = "Incorrect operand type for operator or function; operator or function: size, operand type: N"
    for depth in DEPTHS[:3]:
        refused = things.refused(operation, **body("a < " + "size(" * depth + "b" + ")" * depth))
        assert (refused.code, refused.message) == ("ValidationException", f"{before}Invalid {kind}Expression: {text}")


def test_unknown_functions_in_other_expressions(things: Any) -> None:
    for depth in DEPTHS:
        text = "f(" * depth + "b" + ")" * depth
        update = things.refused("UpdateItem", **THINGS, Key=KEY, UpdateExpression=f"SET a = {text}")
        assert update.message == f"{ENVELOPE}Invalid UpdateExpression: Invalid function name; function: f"
        query = things.refused("Query", **THINGS, KeyConditionExpression=f"a < {text}")
        assert query.message == "Invalid KeyConditionExpression: Invalid function name; function: f"


LONG = "Expression size has exceeded the maximum allowed size;"
BLANKS = " " * 5_000


@pytest.mark.parametrize("place", PLACES)
def test_the_error_for_a_long_condition_has_its_size(things: Any, place: str) -> None:
    operation, body, kind, before = PLACES[place]
    refused = things.refused(operation, **body("a" + BLANKS))
    assert refused.message == f"{before}Invalid {kind}Expression: {LONG} expression size: 5001"


def test_the_error_for_a_long_update_lacks_its_size(things: Any) -> None:
    body = {**THINGS, "Key": KEY, "UpdateExpression": f"SET a = b{BLANKS}"}
    assert things.refused("UpdateItem", **body).message == f"{ENVELOPE}Invalid UpdateExpression: {LONG}"
    refused = things.refused("TransactWriteItems", TransactItems=[{"Update": body}])
    assert refused.message == f"Invalid UpdateExpression: {LONG}"


OTHERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "a projection": ("GetItem", {"Key": KEY, "ProjectionExpression": f"a{BLANKS}"}, "Projection"),
    "a key condition": ("Query", {"KeyConditionExpression": f"a{BLANKS}"}, "KeyCondition"),
}


@pytest.mark.parametrize("situation", OTHERS)
def test_other_expressions_that_are_too_long(things: Any, situation: str) -> None:
    operation, body, kind = OTHERS[situation]
    refused = things.refused(operation, **THINGS, **body)
    assert refused.message == f"Invalid {kind}Expression: {LONG} expression size: 5001"


# Paths of an item that is not there

REMOVALS = ["REMOVE x.y", "REMOVE x[0]", "REMOVE x.y[1].z, c[2]"]


@pytest.mark.parametrize("text", REMOVALS)
def test_nothing_is_removed_below_an_absent_item(things: Any, text: str) -> None:
    update = {**THINGS, "Key": KEY, "UpdateExpression": text}
    assert things.update_item(**update, ReturnValues="ALL_NEW") == {}
    things.transact_write_items(TransactItems=[{"Update": update}])
    assert things.scan(**THINGS)["Count"] == 0


INVALID = "The document path provided in the update expression is invalid for update"


@pytest.mark.parametrize("text", ["SET x.y = :v", "SET x[0] = :v", "REMOVE a.b SET x.y = :v"])
def test_a_path_below_an_absent_item_cannot_be_set(things: Any, text: str) -> None:
    update = {**THINGS, "Key": KEY, "UpdateExpression": text, "ExpressionAttributeValues": {":v": {"S": "v"}}}
    assert things.refused("UpdateItem", **update).message == INVALID
    cancelled = things.refused("TransactWriteItems", TransactItems=[{"Update": update}])
    assert cancelled.fields["CancellationReasons"] == [{"Code": "ValidationError", "Message": INVALID}]
    assert things.scan(**THINGS)["Count"] == 0
