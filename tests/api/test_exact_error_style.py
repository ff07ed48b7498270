"""`--error-style`: the texts and the prefix that validation errors have since 2026."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from atoll.database.region import Settings

KEY = {"pk": {"S": "a"}}
ENVELOPE = "1 validation error detected: "
VALUES = {"ExpressionAttributeValues": {":v": {"S": "x"}}}


def put(item: Any, **more: Any) -> Any:
    return "PutItem", {"Item": {**KEY, **item}, **more}


def update(text: str, **more: Any) -> Any:
    return "UpdateItem", {"Key": KEY, "UpdateExpression": text, **more}


def delete(**more: Any) -> Any:
    return "DeleteItem", {"Key": KEY, **more}


def valued(value: Any) -> Any:
    return update("SET a = :v", ExpressionAttributeValues={":v": value})


def queried(text: str = "pk = :p", values: Any = None, **more: Any) -> Any:
    values = {"ExpressionAttributeValues": {":p": {"S": "a"}} if values is None else values}
    return "Query", {"KeyConditionExpression": text, **more, **(values if values["ExpressionAttributeValues"] else {})}


MOVED = {
    "an empty set": put({"x": {"SS": []}}),
    "an empty set of numbers inside a document": put({"x": {"M": {"y": {"NS": []}}}}),
    "NULL that is false": put({"x": {"NULL": False}}),
    "a syntax error in a condition": put({}, ConditionExpression="a ="),
    "a syntax error in an update": update("SET"),
    "a syntax error of a deletion": delete(ConditionExpression="a ="),
    "redundant parentheses": put({}, ConditionExpression="((a = :v))", **VALUES),
    "an operand that does not fit": update("SET a = :v + :v", **VALUES),
    "a name that is not defined": update("REMOVE #a"),
    "a name that is not defined, in a deletion": delete(ConditionExpression="attribute_exists(#a)"),
    "names that nothing uses": update("REMOVE a", ExpressionAttributeNames={"#a": "a"}),
    "names without an expression": put({}, ExpressionAttributeNames={"#a": "a"}),
    "an empty name": update("REMOVE #a", ExpressionAttributeNames={"#a": ""}),
    "no values": update("REMOVE a", ExpressionAttributeValues={}),
    "a name that is none": update("REMOVE a", ExpressionAttributeNames={"a": "a"}),
    "ReturnValues that PutItem does not have": put({}, ReturnValues="ALL_NEW"),
    "ReturnValues that DeleteItem does not have": delete(ReturnValues="ALL_NEW"),
    "a number that is none": put({"x": {"N": "y"}}),
    "a number that is too long": put({"x": {"N": "1" * 39}}),
    "a number that is too large": put({"x": {"N": "1e126"}}),
    "a value nested too deeply": put({"x": orjson.loads('{"L": [' * 40 + "]}" * 40)}),
    "legacy parameters beside expressions": put({}, ConditionExpression="a", Expected={}),
    "legacy parameters that contradict each other": put({}, Expected={"a": {"Exists": True}}),
    "legacy parameters of a deletion": delete(Expected={"a": {"Exists": False, "Value": {"S": "x"}}}),
    "legacy updates": ("UpdateItem", {"Key": KEY, "AttributeUpdates": {"a": {"Action": "ADD"}}}),
}

PREFIX = "One or more parameter values were invalid: "
EMPTY_SET = f"{PREFIX}An string set  may not be empty"
OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
IN_KEY = "Invalid KeyConditionExpression: "
SELECT = {"ExpressionAttributeValues": {":p": {"S": "a"}}, "KeyConditionExpression": "pk = :p"}

# Requests with their errors in both styles, where more than the envelope changed
REWORDED: dict[str, tuple[Any, str, str]] = {
    "a set with duplicates": (
        put({"x": {"SS": ["b", "c", "a", "b", "a"]}}),
        f"{PREFIX}Input collection [b, c, a, b, a] contains duplicates.",
        f'{ENVELOPE}{PREFIX}Input collection ["a", "a"] contains duplicates.',
    ),
    "a set whose later members are repeated": (
        put({"x": {"SS": ["b", "a", "b", "c", "c"]}}),
        f"{PREFIX}Input collection [b, a, b, c, c] contains duplicates.",
        f'{ENVELOPE}{PREFIX}Input collection ["a", "b", "b"] contains duplicates.',
    ),
    "a set of binaries with duplicates": (
        put({"x": {"BS": ["AA==", "/w==", "AA==", "AQ=="]}}),
        f"{PREFIX}Input collection [AA==, /w==, AA==, AQ==]of type BS contains duplicates.",
        f'{ENVELOPE}{PREFIX}Input collection ["AA==","/w==","AA=="]of type BS contains duplicates.',
    ),
    "a set of numbers with duplicates": (
        put({"x": {"NS": ["1", "1.0"]}}),
        "Input collection contains duplicates",
        f"{ENVELOPE}{PREFIX}Input collection contains duplicates.",
    ),
    "values without an expression": (
        put({}, **VALUES),
        "ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null",
        f"{ENVELOPE}ExpressionAttributeValues can only be specified when using expressions",
    ),
    "a value that is an empty set": (
        valued({"SS": []}),
        f"ExpressionAttributeValues contains invalid value: {EMPTY_SET} for key :v",
        f"{ENVELOPE}{EMPTY_SET}",
    ),
    "a value that is not a number": (
        valued({"N": ""}),
        "ExpressionAttributeValues contains invalid value: The parameter cannot be converted to a numeric value for "
        "key :v",
        f"{ENVELOPE}The parameter cannot be converted to a numeric value: ",
    ),
    "a value of a query that is an empty set": (
        queried(values={":p": {"SS": []}}),
        f"ExpressionAttributeValues contains invalid value: {EMPTY_SET} for key :p",
        EMPTY_SET,
    ),
    "a key of GetItem that is a set with duplicates": (
        ("GetItem", {"Key": {"pk": {"SS": ["a", "a"]}}}),
        f"{PREFIX}Input collection [a, a] contains duplicates.",
        f'{PREFIX}Input collection ["a", "a"] contains duplicates.',
    ),
    "two attributes in one key condition": (
        queried("pk = sk", {}),
        "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition",
        f"{IN_KEY}Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition",
    ),
    "two conditions on one key": (
        queried("pk = :p AND pk = :p"),
        "KeyConditionExpressions must only contain one condition per key",
        f"{IN_KEY}KeyConditionExpressions must only contain one condition per key",
    ),
    "an operator that key conditions do not have": (
        queried("pk <> :p"),
        "Invalid operator used in KeyConditionExpression: <>",
        f"{IN_KEY}Invalid operator used in KeyConditionExpression: <>",
    ),
    "an empty filter beside a wrong key condition": (
        queried("pk = :p AND pk = :p", FilterExpression=""),
        "KeyConditionExpressions must only contain one condition per key",
        "Invalid FilterExpression: The expression can not be empty;",
    ),
    "an unused value beside a wrong key condition": (
        queried("pk = :p AND pk = :p", {":p": {"S": "a"}, ":q": {"S": "a"}}),
        "KeyConditionExpressions must only contain one condition per key",
        "Value provided in ExpressionAttributeValues unused in expressions: keys: {:q}",
    ),
    "ALL_PROJECTED_ATTRIBUTES of a query of a table": (
        queried(Select="ALL_PROJECTED_ATTRIBUTES"),
        f"{PREFIX}ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
        f"{ENVELOPE}ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
    ),
    "ALL_PROJECTED_ATTRIBUTES of a scan of a table": (
        ("Scan", {"Select": "ALL_PROJECTED_ATTRIBUTES"}),
        f"{PREFIX}ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
        "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
    ),
    "a projection beside ALL_ATTRIBUTES": (
        queried(Select="ALL_ATTRIBUTES", ProjectionExpression="a"),
        "Cannot specify the ProjectionExpression when choosing to get ALL_ATTRIBUTES",
        f"{ENVELOPE}Cannot specify the ProjectionExpression when choosing to get ALL_ATTRIBUTES",
    ),
    "SPECIFIC_ATTRIBUTES without any": (
        queried(Select="SPECIFIC_ATTRIBUTES"),
        "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
        f"{ENVELOPE}Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
    ),
}

BARE = {
    "a key of another type": put({"pk": {"N": "1"}}),
    "a missing key": ("PutItem", {"Item": {"x": {"S": "a"}}}),
    "an update of a key": update("SET pk = :v", **VALUES),
    "a path that leads nowhere": update("SET a.b = :v", **VALUES),
    "an empty key": put({"pk": {"S": ""}}),
    "an item that is too large": put({"x": {"S": "y" * 410_000}}),
    "a failed condition": put({}, ConditionExpression="attribute_exists(a)"),
    "a syntax error of a read": ("GetItem", {"Key": KEY, "ProjectionExpression": "a."}),
    "a syntax error of a query": queried("a =", {}),
    "a syntax error of a scan": ("Scan", {"FilterExpression": "a ="}),
    "a projection beside ALL_ATTRIBUTES of a scan": (
        "Scan", {"Select": "ALL_ATTRIBUTES", "ProjectionExpression": "a"},
    ),
    "a value of a scan that is an empty set": (
        "Scan", {"FilterExpression": "a = :v", "ExpressionAttributeValues": {":v": {"SS": []}}},
    ),
}  # fmt: skip


def refusal_of(service: Any, operation: str, body: dict[str, Any]) -> tuple[str, str]:
    refusal = service.refused(operation, TableName="Things", **body)
    return refusal.code, refusal.message


@pytest.fixture
def both(service: Any) -> tuple[Any, Any]:
    """The same table, in the classic style and in that of 2026."""
    classic, newer = (type(service)(Settings(error_style=style)) for style in ("classic", "2026"))
    for one in (classic, newer):
        one.table()
    return classic, newer


def test_the_style_of_2026_is_the_default() -> None:
    assert Settings().error_style == "2026"


@pytest.mark.parametrize("request_", MOVED.values(), ids=MOVED)
def test_moved_into_the_envelope(both: tuple[Any, Any], request_: tuple[str, dict[str, Any]]) -> None:
    classic, newer = (refusal_of(service, *request_) for service in both)
    assert not classic[1].startswith(ENVELOPE)
    assert newer == (classic[0], ENVELOPE + classic[1])


@pytest.mark.parametrize(("request_", "older", "newer"), REWORDED.values(), ids=REWORDED)
def test_reworded(both: tuple[Any, Any], request_: tuple[str, dict[str, Any]], older: str, newer: str) -> None:
    assert [refusal_of(service, *request_) for service in both] == [
        ("ValidationException", older),
        ("ValidationException", newer),
    ]


FAILED = "Failed to satisfy constraint: Member must satisfy enum value set: "
RETURNS = f"{FAILED}[ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]"
CAPACITY = (
    "Value 'X' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: "
    "[INDEXES, TOTAL, NONE]"
)
METRICS = (
    "Value 'X' at 'returnItemCollectionMetrics' failed to satisfy constraint: Member must satisfy enum value set: "
    "[SIZE, NONE]"
)
ALL_WRONG = dict.fromkeys(("ReturnConsumedCapacity", "ReturnItemCollectionMetrics", "ReturnValues"), "X")
EXPECTED = {"Expected": {"a": {"Exists": False}, "b": {"Exists": False}}, "ConditionalOperator": "XOR"}
KEY_CONDITIONS = {"pk": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]}}

UNLISTED = {
    "ReturnValues of a put": (put({}, ReturnValues="X"), ENVELOPE + RETURNS),
    "all of a put": (put({}, **ALL_WRONG), f"3 validation errors detected: {CAPACITY}; {RETURNS}; {METRICS}"),
    "all of a deletion": (delete(**ALL_WRONG), f"3 validation errors detected: {CAPACITY}; {RETURNS}; {METRICS}"),
    "all of an update": (update("REMOVE a", **ALL_WRONG), ENVELOPE + RETURNS),
    "all but ReturnValues of an update": (
        update("REMOVE a", ReturnConsumedCapacity="X", ReturnItemCollectionMetrics="X"), ENVELOPE + CAPACITY,
    ),
    "ConditionalOperator of a put": (put({}, **EXPECTED), f"{ENVELOPE}{FAILED}[ALL, OR]"),
    "ConditionalOperator of a query": (
        ("Query", {"KeyConditions": KEY_CONDITIONS, "ConditionalOperator": "XOR", "ReturnConsumedCapacity": "X"}),
        f"{FAILED}[ALL, OR]",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "newer"), UNLISTED.values(), ids=UNLISTED)
def test_unlisted_values(both: tuple[Any, Any], request_: tuple[str, dict[str, Any]], newer: str) -> None:
    (_, classic), current = (refusal_of(service, *request_) for service in both)
    assert "Value 'X" in classic and "Failed" not in classic
    assert current == ("ValidationException", newer)


def test_an_update_reports_all_violations_in_the_classic_style(both: tuple[Any, Any]) -> None:
    _, classic = refusal_of(both[0], *update("REMOVE a", **ALL_WRONG))
    assert classic.startswith(f"3 validation errors detected: {CAPACITY}; {METRICS}; Value 'X' at 'returnValues'")


SHORT = "failed to satisfy constraint: Member must have length greater than or equal to 1"
NO_KEY = "Value null at 'key' failed to satisfy constraint: Member must not be null"
OLDER_RETURNS = (
    "Value 'X' at 'returnValues' failed to satisfy constraint: Member must satisfy enum value set: "
    "[ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]"
)
XOR = "Value 'XOR' at 'conditionalOperator' failed to satisfy constraint: Member must satisfy enum value set: [OR, AND]"
KEYLESS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing else": ({}, [NO_KEY]),
    "several others": (
        {"TableName": "", "ReturnValues": "X", "ReturnConsumedCapacity": "X"},
        [CAPACITY, f"Value '' at 'tableName' {SHORT}", OLDER_RETURNS, NO_KEY],
    ),
    "an operator of legacy conditions": ({"ConditionalOperator": "XOR"}, [XOR, NO_KEY]),
}


@pytest.mark.parametrize("situation", KEYLESS)
def test_an_update_without_a_key_reports_all_in_the_older_form(both: tuple[Any, Any], situation: str) -> None:
    more, violations = KEYLESS[situation]
    several = f"{len(violations)} validation error{'s' if len(violations) > 1 else ''} detected: "
    for service in both:
        refused = service.refused("UpdateItem", **{"TableName": "Things", **more})
        assert refused.message == several + "; ".join(violations)


@pytest.mark.parametrize("request_", [put({}), update("REMOVE a"), ("GetItem", {"Key": KEY}), queried()])
def test_an_empty_table_name(both: tuple[Any, Any], request_: tuple[str, dict[str, Any]]) -> None:
    operation, body = request_
    messages = [service.refused(operation, **body, TableName="").message for service in both]
    assert messages == [f"{ENVELOPE}Value '' at 'tableName' {SHORT}", f"{ENVELOPE}Value at 'TableName' {SHORT}"]


def test_a_batch_of_no_tables(both: tuple[Any, Any]) -> None:
    read, write = (
        [service.refused(operation, RequestItems={}).message for service in both]
        for operation in ("BatchGetItem", "BatchWriteItem")
    )
    assert read == [
        "The requestItems parameter is required for BatchGetItem",
        f"{ENVELOPE}Value at 'RequestItems' {SHORT}",
    ]
    assert write == ["The requestItems parameter is required for BatchWriteItem"] * 2


def test_a_batch_of_no_keys(service: Any) -> None:
    refused = service.refused("BatchGetItem", RequestItems={"Things": {"Keys": []}})
    assert refused.message == f"{ENVELOPE}Value at 'RequestItems.Things.member.Keys' {SHORT}"


def test_a_batch_of_both_kinds_of_projection(service: Any) -> None:
    tables = {"Abc": {"Keys": [KEY], "ProjectionExpression": "a"}, "Def": {"Keys": [KEY], "AttributesToGet": ["a"]}}
    assert service.refused("BatchGetItem", RequestItems=tables).code == "ValidationException"


NUMERIC = "The parameter cannot be converted to a numeric value"
UNDERFLOW = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
# Numbers with their errors in the current layers and in the older one
NUMBERS = {
    "1e99999999999": (OVERFLOW, f"{NUMERIC}: 1e99999999999"),
    "1e-99999999999": (UNDERFLOW, f"{NUMERIC}: 1e-99999999999"),
    "1e9223372036854775808": (f"{NUMERIC}: 1e9223372036854775808", f"{NUMERIC}: 1e9223372036854775808"),
    "1e2147483648": (OVERFLOW, f"{NUMERIC}: 1e2147483648"),
    "1e2147483647": (OVERFLOW, UNDERFLOW),
    "1e2147483646": (OVERFLOW, OVERFLOW),
    "1e126": (OVERFLOW, OVERFLOW),
    "1e-131": (UNDERFLOW, UNDERFLOW),
    "0e126": (OVERFLOW, OVERFLOW),
    "0e-131": (UNDERFLOW, UNDERFLOW),
    "": (f"{NUMERIC}: ", NUMERIC),
}


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers_by_layer(both: tuple[Any, Any], text: str) -> None:
    classic, newer = both
    current, older = NUMBERS[text]
    number = {"N": text}
    put_ = {"TableName": "Things", "Item": {**KEY, "n": number}}
    read = {"TableName": "Things", "Key": {"pk": number}}
    batch = {"RequestItems": {"Things": [{"PutRequest": {"Item": {**KEY, "n": number}}}]}}
    assert newer.refused("PutItem", **put_).message == ENVELOPE + current
    assert newer.refused("GetItem", **read).message == current
    assert newer.refused("BatchGetItem", RequestItems={"Things": {"Keys": [{"pk": number}]}}).message == current
    for service in both:
        assert service.refused("BatchWriteItem", **batch).message == older
        assert service.refused("TransactWriteItems", TransactItems=[{"Put": put_}]).message == older
    assert classic.refused("PutItem", **put_).message == older


def test_a_zero_within_range_is_zero(service: Any) -> None:
    service.table()
    service.put_item(TableName="Things", Item={**KEY, "n": {"N": "0e125"}})
    assert service.get_item(TableName="Things", Key=KEY)["Item"]["n"] == {"N": "0"}


@pytest.mark.parametrize("request_", BARE.values(), ids=BARE)
def test_still_bare(both: tuple[Any, Any], request_: tuple[str, dict[str, Any]]) -> None:
    classic, newer = (refusal_of(service, *request_) for service in both)
    assert not classic[1].startswith(ENVELOPE)
    assert newer == classic


def test_enveloped_messages_are_enveloped_once(both: tuple[Any, Any]) -> None:
    for service in both:
        _, message = refusal_of(service, *put({}, ReturnValues="X"))
        assert message.count(ENVELOPE) == 1


def test_batches_and_transactions_are_bare(both: tuple[Any, Any]) -> None:
    item = {**KEY, "x": {"SS": []}}
    batch = {"RequestItems": {"Things": [{"PutRequest": {"Item": item}}]}}
    transaction = {"TransactItems": [{"Put": {"TableName": "Things", "Item": item}}]}
    for service in both:
        for operation, body in (("BatchWriteItem", batch), ("TransactWriteItems", transaction)):
            refusal = service.refused(operation, **body)
            assert refusal.message == "One or more parameter values were invalid: An string set  may not be empty"
