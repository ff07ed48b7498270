"""Tables named by ARNs, and invalid names, in every operation that names a table."""

from __future__ import annotations

from typing import Any

import pytest

Body = dict[str, Any]
ONE, TWO = "1 validation error detected: ", "2 validation errors detected: "
KEY = {"pk": {"S": "a"}}
QUERY = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}}
TTL = {"TimeToLiveSpecification": {"Enabled": True, "AttributeName": "t"}}
SCHEMA = {
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


def in_batch(operation: str) -> Any:
    if operation == "BatchGetItem":
        return lambda name: {"RequestItems": {name: {"Keys": [KEY]}}}
    return lambda name: {"RequestItems": {name: [{"DeleteRequest": {"Key": KEY}}]}}


def named(**more: Any) -> Any:
    return lambda name: {"TableName": name, **more}


# How a request of each operation names a table.
CONTROL: dict[str, Any] = {
    "CreateTable": named(**SCHEMA),
    "DescribeTable": named(),
    "UpdateTable": named(DeletionProtectionEnabled=False),
    "DeleteTable": named(),
    "DescribeTimeToLive": named(),
    "UpdateTimeToLive": named(**TTL),
    "DescribeContinuousBackups": named(),
    "DescribeContributorInsights": named(),
    "DescribeKinesisStreamingDestination": named(),
    "DescribeTableReplicaAutoScaling": named(),
}
ITEMS: dict[str, Any] = {
    "GetItem": named(Key=KEY),
    "PutItem": named(Item=KEY),
    "UpdateItem": named(Key=KEY),
    "DeleteItem": named(Key=KEY),
    "Query": named(**QUERY),
    "Scan": named(),
    "BatchGetItem": in_batch("BatchGetItem"),
    "BatchWriteItem": in_batch("BatchWriteItem"),
    "TransactGetItems": lambda name: {"TransactItems": [{"Get": {"TableName": name, "Key": KEY}}]},
    "TransactWriteItems": lambda name: {"TransactItems": [{"Put": {"TableName": name, "Item": KEY}}]},
    "ExecuteStatement": lambda name: {"Statement": f'SELECT * FROM "{name}"'},
}
OPERATIONS = {**CONTROL, **ITEMS}


def arn(
    resource: str = "table/Things", region: str = "us-east-1", account: str = "000000000000", partition: str = "aws"
) -> str:
    return f"arn:{partition}:dynamodb:{region}:{account}:{resource}"


ELSEWHERE = {
    "another Region": ("AWS region", arn(region="eu-west-1")),
    "no Region": ("AWS region", arn(region="nowhere")),
    "another partition": ("AWS partition", arn(partition="aws-cn")),
    "no partition": ("AWS partition", arn(partition="aws-x")),
}


@pytest.fixture
def things(service: Any) -> Any:
    service.table()
    return service


@pytest.mark.parametrize("place", ELSEWHERE)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_arn_of(things: Any, operation: str, place: str) -> None:
    part, name = ELSEWHERE[place]
    refused = things.refused(operation, **OPERATIONS[operation](name))
    assert (refused.code, refused.message) == ("ValidationException", f"{ONE}Invalid {part} in '{name}'")


@pytest.mark.parametrize("operation", [*CONTROL, "GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan"])
def test_an_arn_of_another_resource(things: Any, operation: str) -> None:
    name = arn("backup/Things")
    refused = things.refused(operation, **OPERATIONS[operation](name))
    assert (refused.code, refused.message) == ("ValidationException", f"{ONE}Invalid resource type in '{name}'")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_arn_of_another_account(things: Any, operation: str) -> None:
    name = arn(account="9" * 12)
    refused = things.refused(operation, **OPERATIONS[operation](name))
    assert (refused.code, refused.status) == ("AccessDeniedException", 400)


@pytest.mark.parametrize("resource", ["table/Things/index/by-g", "table/Things/stream/2026-01-01T00:00:00.000"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_arn_of_an_index_or_a_stream(things: Any, operation: str, resource: str) -> None:
    assert things.refused(operation, **OPERATIONS[operation](arn(resource))).code == "ValidationException"


MISSING = "Requested resource not found"
ABSENT: dict[str, tuple[str, str]] = {
    **dict.fromkeys(CONTROL, ("ResourceNotFoundException", f"{MISSING}: Table: None not found")),
    **dict.fromkeys(ITEMS, ("ResourceNotFoundException", MISSING)),
    "DescribeContinuousBackups": ("TableNotFoundException", "Table not found: None"),
    "DescribeTableReplicaAutoScaling": (
        "ResourceNotFoundException", "Global table with name: 'None' does not exist."
    ),
}  # fmt: skip
del ABSENT["CreateTable"]


@pytest.mark.parametrize("name", ["None", arn("table/None")], ids=["name", "ARN"])
@pytest.mark.parametrize("operation", ABSENT)
def test_a_table_that_is_not_there(things: Any, operation: str, name: str) -> None:
    refused = things.refused(operation, **OPERATIONS[operation](name))
    assert (refused.code, refused.message, refused.status) == (*ABSENT[operation], 400)


def test_backups_of_a_table_that_is_not_there_are_none(things: Any) -> None:
    for name in ("None", arn("table/None")):
        assert things.list_backups(TableName=name) == {"BackupSummaries": []}


@pytest.mark.parametrize("operation", ["DescribeTable", "DescribeTimeToLive", "GetItem"])
def test_a_table_s_id_is_just_another_name(things: Any, operation: str) -> None:
    table_id = things.describe_table(TableName="Things")["Table"]["TableId"]
    assert things.refused(operation, **OPERATIONS[operation](table_id)).code == "ResourceNotFoundException"


def test_answers_have_the_bare_name(things: Any) -> None:
    name = arn()
    answers = [
        things.describe_table(TableName=name)["Table"],
        things.update_table(TableName=name, TableClass="STANDARD_INFREQUENT_ACCESS")["TableDescription"],
        things.describe_contributor_insights(TableName=name),
        things.describe_kinesis_streaming_destination(TableName=name),
        things.delete_table(TableName=name)["TableDescription"],
    ]
    assert {answer["TableName"] for answer in answers} == {"Things"}


@pytest.mark.parametrize("operation", [name for name in CONTROL if name != "CreateTable"])
def test_a_short_name_is_reported_before_the_table_is_looked_up(service: Any, operation: str) -> None:
    refused = service.refused(operation, **CONTROL[operation]("ab"))
    assert refused.message == (
        f"{ONE}Value 'ab' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal "
        "to 3"
    )


PATTERN = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
LENGTH = "Member must have length {} than or equal to {}"
SHORT, LONG = LENGTH.format("greater", 3), LENGTH.format("less", 255)
# Members whose value breaks two constraints, in the order in which they are told.
DOUBLE: dict[str, tuple[str, Body, str, tuple[str, str]]] = {
    "a short name to describe": ("DescribeTable", {"TableName": "a!"}, "tableName", (SHORT, PATTERN)),
    "a long name to describe": ("DescribeTable", {"TableName": "!" * 256}, "tableName", (LONG, PATTERN)),
    "a short name to start after": (
        "ListTables", {"ExclusiveStartTableName": "a!"}, "exclusiveStartTableName", (PATTERN, SHORT)
    ),
    "a long name to start after": (
        "ListTables", {"ExclusiveStartTableName": "!" * 256}, "exclusiveStartTableName", (PATTERN, LONG)
    ),
    "no name to start after": (
        "ListTables", {"ExclusiveStartTableName": ""}, "exclusiveStartTableName", (PATTERN, SHORT)
    ),
}  # fmt: skip


@pytest.mark.parametrize("situation", DOUBLE)
def test_two_faults_of_one_name(service: Any, situation: str) -> None:
    operation, body, member, constraints = DOUBLE[situation]
    [name] = body.values()
    told = (f"Value '{name}' at '{member}' failed to satisfy constraint: {constraint}" for constraint in constraints)
    assert service.refused(operation, **body).message == TWO + "; ".join(told)


@pytest.mark.parametrize("name", ["ab", "a b", arn(), "n" * 256])
def test_tables_are_listed_after_a_name_only(service: Any, name: str) -> None:
    assert service.refused("ListTables", ExclusiveStartTableName=name).message.startswith(
        f"{ONE}Value '{name}' at 'exclusiveStartTableName'"
    )


def test_tables_are_listed_in_the_order_of_bytes(service: Any) -> None:
    for name in ("abc", "Zzz", "_bc", "0bc", "a.c", "a-c"):
        service.table(name)
    names = ["0bc", "Zzz", "_bc", "a-c", "a.c", "abc"]
    assert service.list_tables() == service.list_tables(Limit=6) == {"TableNames": names}
    assert service.list_tables(ExclusiveStartTableName="Aaa")["TableNames"] == names[1:]


@pytest.mark.parametrize(("limit", "bound"), [(0, "greater than or equal to 1"), (101, "less than or equal to 100")])
def test_a_page_of_tables_has_1_to_100(service: Any, limit: int, bound: str) -> None:
    refused = service.refused("ListTables", Limit=limit)
    assert refused.message == (
        f"{ONE}Value '{limit}' at 'limit' failed to satisfy constraint: Member must have value {bound}"
    )


def test_names_in_another_case_are_other_tables(service: Any) -> None:
    service.table("abc")
    service.table("ABC")
    service.delete_table(TableName="abc")
    assert service.list_tables()["TableNames"] == ["ABC"]
