"""AWS's published example policies for DynamoDB, through boto3 and a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from atoll.testing import serve
from atoll.testing.local import LocalServer

ACCOUNT = "000000000000"
ARN = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/GameScores"
ITEM_CALLS = ["GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"]


def allow(actions: Any, resource: Any = ARN, **more: Any) -> dict[str, Any]:
    actions = [actions] if isinstance(actions, str) else actions
    return {"Effect": "Allow", "Action": [f"dynamodb:{one}" for one in actions], "Resource": resource, **more}


def deny(actions: Any, resource: Any = ARN, **more: Any) -> dict[str, Any]:
    return {**allow(actions, resource, **more), "Effect": "Deny"}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


OWN_KEYS = {"dynamodb:LeadingKeys": ["${aws:username}"]}
OWN_ITEMS = policy(allow(ITEM_CALLS, Condition={"ForAllValues:StringEquals": OWN_KEYS}))
USERS = {
    # Limit users to items that match their id.
    "own": OWN_ITEMS,
    # Limit access to specific attributes.
    "attributes": policy(
        allow(
            ["UpdateItem", "GetItem", "Query", "BatchGetItem", "Scan"],
            Condition={
                "ForAllValues:StringEquals": {"dynamodb:Attributes": ["UserId", "Title", "Score"]},
                "StringEqualsIfExists": {
                    "dynamodb:Select": "SPECIFIC_ATTRIBUTES",
                    "dynamodb:ReturnValues": ["NONE", "UPDATED_OLD", "UPDATED_NEW"],
                },
            },
        )
    ),
    # Prevent updates on certain attributes.
    "no-wins": policy(
        allow(["UpdateItem"]),
        deny(["UpdateItem"], Condition={"ForAnyValue:StringEquals": {"dynamodb:Attributes": ["Wins"]}}),
    ),
    # Only query an index.
    "index": policy(allow("Query", f"{ARN}/index/ByTitle")),
    # Everything but transactions' writes of single items.
    "no-transactions": policy(
        allow("*", "*"),
        deny(
            ["PutItem", "UpdateItem", "DeleteItem"],
            "*",
            Condition={"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": ["TransactWriteItems"]}},
        ),
    ),
    # PartiQL without full table scans.
    "no-scans": policy(
        allow("PartiQL*"),
        deny("PartiQLSelect", Condition={"Bool": {"dynamodb:FullTableScan": "true"}}),
    ),
    # Read only, and no listing.
    "reader": policy(allow(["GetItem", "BatchGetItem", "Query", "Scan", "DescribeTable", "ConditionCheckItem"])),
    "all": policy(allow("*", "*")),
    "streams": policy(
        allow(["DescribeStream", "GetRecords", "GetShardIterator"], f"{ARN}/stream/*"), allow("ListStreams", "*")
    ),
    "nobody": policy(deny("*", "*")),
}


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    users = {
        name: {"access_keys": {f"AKIA{name.upper()}": "secret"}, "policies": [document]}
        for name, document in USERS.items()
    }
    with serve(policies={"users": users}) as server:
        server.user("all").create_table(
            TableName="GameScores",
            KeySchema=[{"AttributeName": "UserId", "KeyType": "HASH"}, {"AttributeName": "Title", "KeyType": "RANGE"}],
            AttributeDefinitions=[
                {"AttributeName": "UserId", "AttributeType": "S"},
                {"AttributeName": "Title", "AttributeType": "S"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "ByTitle",
                    "KeySchema": [{"AttributeName": "Title", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
            BillingMode="PAY_PER_REQUEST",
        )
        yield server


def key(user: str, title: str = "chess") -> dict[str, Any]:
    return {"UserId": {"S": user}, "Title": {"S": title}}


T = {"TableName": "GameScores"}
PUT_OWN = {"Put": {**T, "Item": key("own")}}
CHECK = {"ConditionCheck": {**T, "Key": key("x"), "ConditionExpression": "attribute_not_exists(UserId)"}}
ASK = {**T, "KeyConditionExpression": "UserId = :u"}
ALLOWED: list[tuple[str, str, dict[str, Any]]] = [
    ("own", "put_item", {**T, "Item": key("own")}),
    ("own", "get_item", {**T, "Key": key("own")}),
    ("own", "query", {**ASK, "ExpressionAttributeValues": {":u": {"S": "own"}}}),
    ("own", "query", {**T, "KeyConditions": {"UserId": {"ComparisonOperator": "EQ",
                                                        "AttributeValueList": [{"S": "own"}]}}}),
    ("own", "batch_get_item", {"RequestItems": {"GameScores": {"Keys": [key("own"), key("own", "go")]}}}),
    ("own", "batch_write_item", {"RequestItems": {"GameScores": [{"PutRequest": {"Item": key("own")}},
                                                                 {"DeleteRequest": {"Key": key("own", "go")}}]}}),
    ("own", "transact_get_items", {"TransactItems": [{"Get": {**T, "Key": key("own")}}]}),
    ("own", "transact_write_items", {"TransactItems": [PUT_OWN]}),
    ("attributes", "get_item", {**T, "Key": key("x"), "ProjectionExpression": "Score, Title"}),
    ("attributes", "update_item", {**T, "Key": key("x"), "UpdateExpression": "SET #s = :s",
                                   "ExpressionAttributeNames": {"#s": "Score"},
                                   "ExpressionAttributeValues": {":s": {"N": "1"}}}),
    ("no-wins", "update_item", {**T, "Key": key("x"), "UpdateExpression": "SET Score = :s",
                                "ExpressionAttributeValues": {":s": {"N": "1"}}}),
    ("index", "query", {**T, "IndexName": "ByTitle", "KeyConditionExpression": "Title = :t",
                        "ExpressionAttributeValues": {":t": {"S": "chess"}}}),
    ("no-transactions", "put_item", {**T, "Item": key("x")}),
    ("no-scans", "execute_statement", {"Statement": "SELECT * FROM GameScores WHERE UserId = 'x'"}),
    ("no-scans", "execute_statement", {"Statement": "SELECT * FROM GameScores WHERE UserId IN ['x', 'y']"}),
    ("no-scans", "execute_statement", {"Statement": "INSERT INTO GameScores VALUE {'UserId': 'p', 'Title': 'q'}"}),
    ("reader", "describe_table", T),
    ("reader", "scan", T),
    ("all", "list_tables", {}),
]  # fmt: skip
REFUSED: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("own", "put_item", {**T, "Item": key("other")}, "PutItem", ARN),
    ("own", "query", {**ASK, "ExpressionAttributeValues": {":u": {"S": "other"}}}, "Query", ARN),
    ("own", "batch_get_item", {"RequestItems": {"GameScores": {"Keys": [key("own"), key("other")]}}},
     "BatchGetItem", ARN),
    ("own", "batch_write_item", {"RequestItems": {"GameScores": [{"PutRequest": {"Item": key("own")}},
                                                                 {"DeleteRequest": {"Key": key("other")}}]}},
     "BatchWriteItem", ARN),
    ("own", "transact_get_items", {"TransactItems": [{"Get": {**T, "Key": key("own")}},
                                                     {"Get": {**T, "Key": key("other")}}]}, "GetItem", ARN),
    ("own", "transact_write_items", {"TransactItems": [PUT_OWN, CHECK]}, "ConditionCheckItem", ARN),
    ("own", "scan", T, "Scan", ARN),
    ("own", "query", {**T, "IndexName": "ByTitle", "KeyConditionExpression": "Title = :t",
                      "ExpressionAttributeValues": {":t": {"S": "own"}}}, "Query", f"{ARN}/index/ByTitle"),
    ("attributes", "get_item", {**T, "Key": key("x")}, "GetItem", ARN),
    ("attributes", "get_item", {**T, "Key": key("x"), "ProjectionExpression": "Wins"}, "GetItem", ARN),
    ("attributes", "update_item", {**T, "Key": key("x"), "UpdateExpression": "SET Score = :s",
                                   "ExpressionAttributeValues": {":s": {"N": "1"}}, "ReturnValues": "ALL_NEW"},
     "UpdateItem", ARN),
    ("attributes", "update_item", {**T, "Key": key("x"), "UpdateExpression": "SET Score = :s",
                                   "ConditionExpression": "attribute_exists(Wins.a)",
                                   "ExpressionAttributeValues": {":s": {"N": "1"}}}, "UpdateItem", ARN),
    ("attributes", "scan", {**T, "FilterExpression": "Wins > :w", "ProjectionExpression": "Score",
                            "ExpressionAttributeValues": {":w": {"N": "1"}}}, "Scan", ARN),
    ("index", "query", {**ASK, "ExpressionAttributeValues": {":u": {"S": "x"}}}, "Query", ARN),
    ("index", "scan", {**T, "IndexName": "ByTitle"}, "Scan", f"{ARN}/index/ByTitle"),
    ("reader", "put_item", {**T, "Item": key("x")}, "PutItem", ARN),
    ("reader", "execute_statement", {"Statement": "SELECT * FROM GameScores.ByTitle WHERE Title = 'a'"},
     "PartiQLSelect", f"{ARN}/index/ByTitle"),
    ("reader", "execute_transaction", {"TransactStatements": [{"Statement": "DELETE FROM GameScores WHERE UserId='a' "
                                                                            "AND Title='b'"}]}, "PartiQLDelete", ARN),
    ("reader", "delete_table", {"TableName": "Absent"}, "DeleteTable", ARN.replace("GameScores", "Absent")),
]  # fmt: skip
EXPLICIT: list[tuple[str, str, dict[str, Any], str]] = [
    ("no-wins", "update_item", {**T, "Key": key("x"), "UpdateExpression": "REMOVE Wins"}, "UpdateItem"),
    ("no-transactions", "transact_write_items", {"TransactItems": [PUT_OWN]}, "PutItem"),
    ("no-scans", "execute_statement", {"Statement": "SELECT * FROM GameScores WHERE Title = 'a'"}, "PartiQLSelect"),
    ("nobody", "get_item", {**T, "Key": key("nobody")}, "GetItem"),
]


@pytest.mark.parametrize(("user", "operation", "body"), ALLOWED)
def test_example_allows(server: LocalServer, user: str, operation: str, body: dict[str, Any]) -> None:
    answer = getattr(server.user(user), operation)(**body)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize(("user", "operation", "body", "action", "resource"), REFUSED)
def test_example_does_not_allow(
    server: LocalServer, user: str, operation: str, body: dict[str, Any], action: str, resource: str
) -> None:
    assert refused(lambda: getattr(server.user(user), operation)(**body)) == (
        f"User: arn:aws:iam::{ACCOUNT}:user/{user} is not authorized to perform: dynamodb:{action} on resource: "
        f"{resource} because no identity-based policy allows the dynamodb:{action} action"
    )


@pytest.mark.parametrize(("user", "operation", "body", "action"), EXPLICIT)
def test_example_denies(server: LocalServer, user: str, operation: str, body: dict[str, Any], action: str) -> None:
    assert refused(lambda: getattr(server.user(user), operation)(**body)) == (
        f"User: arn:aws:iam::{ACCOUNT}:user/{user} is not authorized to perform: dynamodb:{action} on resource: "
        f"{ARN} with an explicit deny in an identity-based policy"
    )


def test_streams_are_read_by_their_own_arn(server: LocalServer) -> None:
    server.user("all").put_item(**T, Item=key("streamed"))
    reader, other = server.user("streams", "dynamodbstreams"), server.user("reader", "dynamodbstreams")
    (stream,) = reader.list_streams(**T)["Streams"]
    described = reader.describe_stream(StreamArn=stream["StreamArn"])["StreamDescription"]
    iterators = [
        reader.get_shard_iterator(
            StreamArn=stream["StreamArn"], ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        for shard in described["Shards"]
    ]
    assert any(reader.get_records(ShardIterator=iterator)["Records"] for iterator in iterators)
    assert "dynamodb:GetRecords on resource: " + stream["StreamArn"] in refused(
        lambda: other.get_records(ShardIterator=iterators[0])
    )
    assert "dynamodb:ListStreams" in refused(lambda: other.list_streams(**T))


def refused(ask: Callable[[], object]) -> str:
    with pytest.raises(ClientError) as caught:
        ask()
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return str(caught.value.response["Error"]["Message"])
