"""The lengths of table names, wherever a request names a table."""

from __future__ import annotations

from typing import Any

import pytest

KEY = {"pk": {"S": "a"}}
ONE = "1 validation error detected: "

# A request of each operation on items, with the path of the table's name in it.
REQUESTS: dict[str, tuple[Any, str]] = {
    "GetItem": (lambda name: {"TableName": name, "Key": KEY}, "tableName"),
    "PutItem": (lambda name: {"TableName": name, "Item": KEY}, "tableName"),
    "UpdateItem": (lambda name: {"TableName": name, "Key": KEY}, "tableName"),
    "DeleteItem": (lambda name: {"TableName": name, "Key": KEY}, "tableName"),
    "Query": (lambda name: {"TableName": name}, "tableName"),
    "Scan": (lambda name: {"TableName": name}, "tableName"),
    "TransactGetItems": (
        lambda name: {"TransactItems": [{"Get": {"TableName": name, "Key": KEY}}]},
        "transactItems.1.member.get.tableName",
    ),
    "TransactWriteItems": (
        lambda name: {"TransactItems": [{"Put": {"TableName": name, "Item": KEY}}]},
        "transactItems.1.member.put.tableName",
    ),
    "DescribeTable": (lambda name: {"TableName": name}, "tableName"),
    "UpdateTable": (lambda name: {"TableName": name}, "tableName"),
}
CONSTRAINTS = (
    "Map keys must satisfy constraint: [Member must have length less than or equal to 255, Member must have length "
    "greater than or equal to 3, Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+]"
)


@pytest.mark.parametrize("operation", REQUESTS)
@pytest.mark.parametrize("name", ["a", "ab"])
def test_a_name_of_one_or_two_characters_is_too_short(service: Any, operation: str, name: str) -> None:
    body, path = REQUESTS[operation]
    refused = service.refused(operation, **body(name))
    assert (refused.code, refused.message) == (
        "ValidationException",
        f"{ONE}Value '{name}' at '{path}' failed to satisfy constraint: "
        "Member must have length greater than or equal to 3",
    )


@pytest.mark.parametrize("operation", REQUESTS)
def test_a_name_of_three_characters_is_of_no_table(service: Any, operation: str) -> None:
    body, _ = REQUESTS[operation]
    code = service.refused(operation, **body("abc")).code
    assert code == ("ValidationException" if operation in ("Query", "UpdateTable") else "ResourceNotFoundException")


@pytest.mark.parametrize(
    ("operation", "tables"),
    [
        ("BatchGetItem", {"ab": {"Keys": [KEY]}}),
        ("BatchWriteItem", {"ab": [{"PutRequest": {"Item": KEY}}]}),
    ],
)
def test_the_error_for_a_short_name_in_a_batch_lists_all_constraints_of_names(
    service: Any, operation: str, tables: Any
) -> None:
    refused = service.refused(operation, RequestItems=tables)
    assert refused.code == "ValidationException"
    assert refused.message.startswith(f"{ONE}Value '{{")
    assert refused.message.endswith(f"}}' at 'requestItems' failed to satisfy constraint: {CONSTRAINTS}")


def test_a_read_batch_quotes_its_names_as_json(service: Any) -> None:
    refused = service.refused("BatchGetItem", RequestItems={"bad!name": {"Keys": [KEY]}})
    quoted = '{"bad!name":{"Keys":[{"pk":{"S":"a"}}]}}'
    assert refused.message == f"{ONE}Value '{quoted}' at 'requestItems' failed to satisfy constraint: {CONSTRAINTS}"


def test_a_write_batch_quotes_its_names_as_java_objects(service: Any) -> None:
    refused = service.refused("BatchWriteItem", RequestItems={"bad!name": [{"DeleteRequest": {"Key": KEY}}]})
    assert refused.message.startswith(f"{ONE}Value '{{bad!name=[WriteRequest(putRequest=null, deleteRequest=")
    assert refused.message.endswith(f"]}}' at 'requestItems' failed to satisfy constraint: {CONSTRAINTS}")


@pytest.mark.error_style("classic")
def test_in_the_classic_style_a_read_batch_quotes_java_objects_too(service: Any) -> None:
    refused = service.refused("BatchGetItem", RequestItems={"bad!name": {"Keys": [KEY]}})
    assert refused.message.startswith(f"{ONE}Value '{{bad!name=KeysAndAttributes(keys=[{{pk=")
