"""Requests against the shapes of their operations: those that pass, those that are refused, and the error texts."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.api import shapes
from atoll.api.service_model import model
from atoll.errors import ApiError

SERVICES = ("dynamodb", "dynamodbstreams", "application-autoscaling", "cloudwatch", "lambda")
KEY = {"pk": {"S": "a"}}


def check(operation: str, body: dict[str, Any], service: str = "dynamodb") -> None:
    shapes.validator(service, operation)(body)


def refusal(operation: str, body: dict[str, Any]) -> tuple[str, str | None]:
    with pytest.raises(ApiError) as caught:
        check(operation, body)
    return caught.value.code.removesuffix("Exception"), caught.value.message


def violations(operation: str, body: dict[str, Any]) -> list[str]:
    code, message = refusal(operation, body)
    assert code == "Validation" and message is not None
    head, _, rest = message.partition(" detected: ")
    found = rest.split("; ")
    assert head == f"{len(found)} validation error{'' if len(found) == 1 else 's'}"
    return found


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("GetItem", {"TableName": "abc", "Key": KEY, "ConsistentRead": True}),
        ("GetItem", {"TableName": "arn:aws:dynamodb:us-east-1:123456789012:table/abc", "Key": KEY}),
        ("PutItem", {"TableName": "abc", "Item": KEY, "ReturnValues": "ALL_OLD"}),
        ("Query", {"TableName": "abc", "Limit": 1, "ExpressionAttributeNames": {"#a": "a"}}),
        ("BatchGetItem", {"RequestItems": {"abc": {"Keys": [KEY]}}}),
        ("BatchWriteItem", {"RequestItems": {"abc": [{"DeleteRequest": {"Key": KEY}}]}}),
        ("TransactGetItems", {"TransactItems": [{"Get": {"TableName": "abc", "Key": KEY}}]}),
        ("ListTables", {}),
        ("DescribeEndpoints", {}),
    ],
)
def test_a_good_request_passes_unchanged(operation: str, body: dict[str, Any]) -> None:
    before = copy.deepcopy(body)
    check(operation, body)
    assert body == before


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_of_every_model_compiles(service: str) -> None:
    for operation in model(service).operations:
        shapes.validator(service, operation)


def test_unknown_members_are_ignored() -> None:
    check("GetItem", {"TableName": "abc", "Key": KEY, "Shiny": {"new": []}})


def test_null_members_are_absent() -> None:
    body = {"TableName": "abc", "Key": KEY, "ConsistentRead": None, "AttributesToGet": None}
    check("GetItem", body)
    assert body == {"TableName": "abc", "Key": KEY}


def test_lenient_json_is_set_right() -> None:
    body = {"TableName": "abc", "Limit": 1.7, "ConsistentRead": "yes"}
    check("Scan", body)
    assert body == {"TableName": "abc", "Limit": 1, "ConsistentRead": True}


@pytest.mark.parametrize(
    ("operation", "body", "message"),
    [
        ("GetItem", {"TableName": 5}, "NUMBER_VALUE cannot be converted to String"),
        ("GetItem", {"TableName": 1.5}, "DECIMAL_VALUE cannot be converted to String"),
        ("GetItem", {"TableName": False}, "FALSE_VALUE cannot be converted to String"),
        ("GetItem", {"TableName": []}, "Unrecognized collection type class java.lang.String"),
        ("GetItem", {"TableName": {}}, "Start of structure or map found where not expected"),
        ("GetItem", {"Key": "x"}, "Unexpected field type"),
        (
            "GetItem",
            {"Key": []},
            "Unrecognized collection type java.util.Map<java.lang.String, "
            "com.amazonaws.dynamodb.v20120810.AttributeValue>",
        ),
        ("GetItem", {"Key": {"a": {"S": 5}}}, "NUMBER_VALUE cannot be converted to String"),
        ("GetItem", {"Key": {"a": 5}}, "Unexpected value type in payload"),
        ("GetItem", {"ConsistentRead": 5}, "NUMBER_VALUE cannot be converted to Boolean"),
        ("GetItem", {"ConsistentRead": "maybe"}, "Unexpected token received from parser"),
        ("GetItem", {"AttributesToGet": {}}, "Start of structure or map found where not expected"),
        ("GetItem", {"AttributesToGet": "a"}, "Unexpected field type"),
        ("Scan", {"Limit": "1"}, "STRING_VALUE cannot be converted to Integer"),
        ("Scan", {"Limit": True}, "TRUE_VALUE cannot be converted to Integer"),
        # A limit beyond 64 bits went to the engine, which failed.
        ("Scan", {"Limit": 1 << 31}, "NUMBER_VALUE cannot be converted to Integer"),
        ("Scan", {"Limit": 1 << 64}, "NUMBER_VALUE cannot be converted to Integer"),
        ("Scan", {"Limit": 1e300}, "DECIMAL_VALUE cannot be converted to Integer"),
        ("Scan", {"Limit": float("inf")}, "DECIMAL_VALUE cannot be converted to Integer"),
        (
            "CreateTable",
            {"ProvisionedThroughput": {"ReadCapacityUnits": 1 << 63}},
            "NUMBER_VALUE cannot be converted to Long",
        ),
        (
            "CreateTable",
            {"ProvisionedThroughput": {"ReadCapacityUnits": "1"}},
            "STRING_VALUE cannot be converted to Long",
        ),
        (
            "CreateTable",
            {"ProvisionedThroughput": []},
            "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.ProvisionedThroughput",
        ),
        ("CreateTable", {"KeySchema": ["x"]}, "Unexpected value type in payload"),
        (
            "BatchWriteItem",
            {"RequestItems": []},
            "Unrecognized collection type java.util.Map<java.lang.String, "
            "java.util.List<com.amazonaws.dynamodb.v20120810.WriteRequest>>",
        ),
    ],
)
def test_json_of_the_wrong_type_is_named_before_anything_else(operation: str, body: Any, message: str) -> None:
    assert refusal(operation, body) == ("Serialization", message)


@pytest.mark.parametrize("limit", [1 << 31, 1 << 40, (1 << 63) - 1, 1 << 63])
@pytest.mark.parametrize(
    ("operation", "body"),
    [("Scan", {"TableName": "abc"}), ("Query", {"TableName": "abc"}), ("ExecuteStatement", {"Statement": "SELECT"})],
)
def test_whole_numbers_that_do_not_fit_are_refused_where_all_else_is_right(
    operation: str, body: dict[str, Any], limit: int
) -> None:
    check(operation, body | {"Limit": (1 << 31) - 1})
    code, message = refusal(operation, body | {"Limit": limit})
    assert (code, message) == ("Serialization", "NUMBER_VALUE cannot be converted to Integer")


def test_a_table_name_is_reported_alone() -> None:
    bad = {"ReturnValues": "X", "ReturnConsumedCapacity": "X"}
    at = "at 'tableName' failed to satisfy constraint: Member must"
    assert violations("PutItem", {**bad}) == [f"Value null {at} not be null"]
    assert violations("PutItem", {**bad, "TableName": ""}) == [f"Value '' {at} have length greater than or equal to 1"]
    assert violations("PutItem", {**bad, "TableName": "bad table!@#"}) == [
        f"Value 'bad table!@#' {at} satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
    ]
    long = "x" * 256
    assert violations("PutItem", {"TableName": long}) == [f"Value '{long}' {at} have length less than or equal to 255"]


def test_tables_are_created_with_names_of_three_characters() -> None:
    assert refusal("CreateTable", {}) == (
        "Validation",
        "The parameter 'TableName' is required but was not present in the request",
    )
    assert violations("CreateTable", {"TableName": "ab"}) == [
        "Value 'ab' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal to 3"
    ]


ENUMS = [
    "Value 'X' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: "
    "[INDEXES, TOTAL, NONE]",
    "Value 'X' at 'returnItemCollectionMetrics' failed to satisfy constraint: Member must satisfy enum value set: "
    "[SIZE, NONE]",
    "Value 'X' at 'returnValues' failed to satisfy constraint: Member must satisfy enum value set: "
    "[ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]",
]
BAD_ENUMS = {"ReturnValues": "X", "ReturnConsumedCapacity": "X", "ReturnItemCollectionMetrics": "X"}


def test_writes_report_all_violations() -> None:
    assert violations("PutItem", {"TableName": "abc", "Item": KEY, **BAD_ENUMS}) == ENUMS
    assert violations("UpdateItem", {"TableName": "abc", "Key": KEY, **BAD_ENUMS}) == ENUMS


def test_ten_violations_are_reported_at_most() -> None:
    definitions = [{"AttributeType": "X"} for _ in range(8)]
    assert len(violations("CreateTable", {"TableName": "abc", "AttributeDefinitions": definitions})) == 10


def test_a_limit_of_zero_is_worded_differently_by_query_and_scan() -> None:
    constraint = "failed to satisfy constraint: Member must have value greater than or equal to 1"
    assert violations("Query", {"TableName": "abc", "Limit": 0}) == [f"Value at 'Limit' {constraint}"]
    assert violations("Scan", {"TableName": "abc", "Limit": 0}) == [f"Value '0' at 'limit' {constraint}"]


def test_values_are_quoted_as_java_prints_them() -> None:
    schema = [{"AttributeName": n, "KeyType": k} for n, k in (("a", "HASH"), ("b", "RANGE"), ("c", "RANGE"))]
    body = {
        "TableName": "abc",
        "KeySchema": schema,
        "AttributeDefinitions": [{"AttributeName": "a", "AttributeType": "Z"}],
    }
    assert violations("CreateTable", body) == [
        "Value 'Z' at 'attributeDefinitions.1.member.attributeType' failed to satisfy constraint: "
        "Member must satisfy enum value set: [B, N, S]",
        "Value '[KeySchemaElement(attributeName=a, keyType=HASH), KeySchemaElement(attributeName=b, keyType=RANGE), "
        "KeySchemaElement(attributeName=c, keyType=RANGE)]' at 'keySchema' failed to satisfy constraint: "
        "Member must have length less than or equal to 2",
    ]


def test_batches_have_texts_of_their_own() -> None:
    body: dict[str, Any]
    for operation in ("BatchGetItem", "BatchWriteItem"):
        for body in ({}, {"RequestItems": {}}):
            assert refusal(operation, body)[1] == f"The requestItems parameter is required for {operation}"
    assert violations("BatchGetItem", {"RequestItems": {"abc": {"Keys": [KEY] * 101}}}) == [
        "Value at 'RequestItems.abc.member.Keys' failed to satisfy constraint: "
        "Member must have length less than or equal to 100"
    ]
    [found] = violations("BatchWriteItem", {"RequestItems": {"abc": [{"PutRequest": {"Item": KEY}}] * 26}})
    assert found.startswith("Value '{abc=[WriteRequest(putRequest=PutRequest(item={pk=AttributeValue(s=a, ")
    assert found.endswith(
        "' at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: [Member must have "
        "length less than or equal to 25, Member must have length greater than or equal to 1]"
    )


def test_batches_are_counted_over_all_tables() -> None:
    keys = {name: {"Keys": [KEY] * 51} for name in ("abc", "xyz")}
    assert refusal("BatchGetItem", {"RequestItems": keys})[1] == "Too many items requested for the BatchGetItem call"
    writes = {name: [{"PutRequest": {"Item": KEY}}] * 13 for name in ("abc", "xyz")}
    assert refusal("BatchWriteItem", {"RequestItems": writes})[1] == (
        "Too many items requested for the BatchWriteItem call"
    )


def test_a_write_of_a_batch_or_transaction_is_of_one_kind() -> None:
    put = {"Put": {"TableName": "abc", "Item": KEY}}
    delete = {"Delete": {"TableName": "abc", "Key": KEY}}
    for item in ({}, {**put, **delete}):
        assert refusal("TransactWriteItems", {"TransactItems": [put, item]})[1] == (
            "TransactItems can only contain one of Check, Put, Update or Delete"
        )
    assert refusal("BatchWriteItem", {"RequestItems": {"abc": [{}]}})[1] == (
        "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
    )


def test_transactions_have_one_to_a_hundred_items() -> None:
    assert violations("TransactWriteItems", {"TransactItems": []}) == [
        "Value '[]' at 'transactItems' failed to satisfy constraint: Member must have length greater than or equal to 1"
    ]
    get = {"Get": {"TableName": "abc", "Key": KEY}}
    [found] = violations("TransactGetItems", {"TransactItems": [get] * 101})
    assert found.endswith("Member must have length less than or equal to 100")
    assert violations("TransactGetItems", {"TransactItems": [{"Get": {"Key": KEY}}]}) == [
        "Value null at 'transactItems.1.member.get.tableName' failed to satisfy constraint: Member must not be null"
    ]


def test_null_inside_a_list_is_refused() -> None:
    assert violations("TransactGetItems", {"TransactItems": [None]}) == [
        "Value '[null]' at 'transactItems' failed to satisfy constraint: Member must not be null"
    ]


def test_a_tables_arn_is_taken_apart() -> None:
    assert shapes.table_name("abc") == ("abc", None, None)
    arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/abc"
    assert shapes.table_name(arn) == ("abc", "eu-west-1", "123456789012")
    for bad in ("arn:aws:dynamodb:eu-west-1:1:table/abc", f"{arn}/index/x", "a/b"):
        with pytest.raises(ApiError, match="regular expression pattern"):
            shapes.table_name(bad)
        with pytest.raises(ApiError, match="regular expression pattern"):
            check("GetItem", {"TableName": bad, "Key": KEY})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["S", "N", "Keys", "abc"]), inner, max_size=2)
    ),
    max_leaves=6,
)


@given(operation=st.sampled_from(model("dynamodb").operations), data=st.data())
def test_no_request_breaks_the_check_and_a_settled_one_passes_again(operation: str, data: st.DataObject) -> None:
    members = list(model("dynamodb").input(operation).members)
    body = data.draw(st.dictionaries(st.sampled_from(members), JSON, max_size=4)) if members else {}
    try:
        check(operation, body)
    except ApiError as refused:
        json.dumps(refused.message)
        return
    before = copy.deepcopy(body)
    check(operation, body)
    assert body == before


class _Unseen(dict[str, Any]):
    """A member that must not be looked at."""

    def __getitem__(self, name: str) -> Any:
        raise AssertionError(name)

    get = items = values = keys = __contains__ = __iter__ = __getitem__  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("operation", "make"),
    [
        ("TransactWriteItems", lambda members: {"TransactItems": members}),
        ("TransactGetItems", lambda members: {"TransactItems": members}),
        ("BatchWriteItem", lambda members: {"RequestItems": {"Things": members}}),
        ("BatchGetItem", lambda members: {"RequestItems": {"Things": {"Keys": members}}}),
        ("BatchExecuteStatement", lambda members: {"Statements": members}),
        ("ExecuteTransaction", lambda members: {"TransactStatements": members}),
    ],
)
def test_a_list_that_is_much_too_long_is_refused_by_its_length(operation: str, make: Any) -> None:
    body = make([{} for _ in range(1_000)] + [_Unseen() for _ in range(5_000)])
    found = violations(operation, body)
    assert len(found) == 1
    assert "Member must have length less than or equal to" in found[0]
    assert len(found[0]) < 1_000_000
