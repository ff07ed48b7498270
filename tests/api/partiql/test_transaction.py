"""Transactions of statements: all take effect, or none."""

from __future__ import annotations

from typing import Any

import pytest

from atoll import errors
from atoll.api import plans
from atoll.api.large import TEXT_CHARS


def test_a_transaction_of_reads(sql: Any) -> None:
    answer = sql.transact(
        "SELECT n FROM Plain WHERE pk = 'p'",
        "SELECT n FROM Plain WHERE pk = 'none'",
        "SELECT gone FROM Things WHERE pk = 'p' AND sk = 0",
        ReturnConsumedCapacity="TOTAL",
    )
    assert answer["Responses"] == [{"Item": {"n": {"N": "1"}}}, {}, {"Item": {}}]
    assert answer["ConsumedCapacity"] == [
        {"TableName": "Plain", "ReadCapacityUnits": 4.0, "CapacityUnits": 4.0},
        {"TableName": "Things", "ReadCapacityUnits": 2.0, "CapacityUnits": 2.0},
    ]


def reasons(refusal: errors.ApiError) -> list[str]:
    assert refusal.code == "TransactionCanceledException"
    assert refusal.fields is not None
    return [reason["Code"] for reason in refusal.fields["CancellationReasons"]]


def test_all_or_nothing(sql: Any) -> None:
    assert sql.transact("INSERT INTO Plain VALUE {'pk': 'q'}", "UPDATE Plain SET n = 2 WHERE pk = 'p'") == {
        "Responses": []
    }
    refusal = sql.refused(
        sql.transact,
        "INSERT INTO Plain VALUE {'pk': 'r'}",
        "INSERT INTO Plain VALUE {'pk': 'q'}",
        "UPDATE Plain SET n = 3 WHERE pk = 'p' AND n = 1",
        "DELETE FROM Plain WHERE pk = 'none'",
    )
    assert reasons(refusal) == ["None", "DuplicateItem", "ConditionalCheckFailed", "None"]
    assert sql.items("SELECT * FROM Plain WHERE pk = 'r'") == []


def test_the_items_of_long_statements_are_made_once(sql: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """They were made in a thread, and then again in the transaction."""
    made: list[str] = []
    make = plans.image_of
    monkeypatch.setattr(plans, "image_of", lambda item: (made.append(item["pk"]["S"]), make(item))[1])
    text = "x" * TEXT_CHARS
    sql.transact(*(f"INSERT INTO Plain VALUE {{'pk': '{name}', 'text': '{text}'}}" for name in "ab"))
    assert made == ["a", "b"]
    assert sql.items("SELECT text FROM Plain WHERE pk = 'b'") == [{"text": {"S": text}}]


def test_exists_checks_an_item(sql: Any) -> None:
    insert = "INSERT INTO Plain VALUE {'pk': 'q'}"
    for where in ("pk = 'p' AND n = 2", "pk = 'none' AND n IS MISSING"):
        refusal = sql.refused(sql.transact, f"EXISTS(SELECT * FROM Plain WHERE {where})", insert)
        assert reasons(refusal) == ["ConditionalCheckFailed", "None"]
    sql.transact("EXISTS(SELECT * FROM Plain WHERE pk = 'p' AND n = 1)", insert)
    assert sql.items("SELECT * FROM Plain WHERE pk = 'q'")


def test_exists_is_charged_as_a_read(sql: Any) -> None:
    """Of 4 KB steps, like a ConditionCheck."""
    sql.execute("INSERT INTO Plain VALUE {'pk': 'long', 'n': ?}", {"S": "x" * 3000})
    exists = "EXISTS(SELECT * FROM Plain WHERE pk = 'long' AND attribute_exists(n))"
    answer = sql.transact(exists, ReturnConsumedCapacity="TOTAL")
    assert answer["ConsumedCapacity"] == [{"TableName": "Plain", "CapacityUnits": 2.0, "WriteCapacityUnits": 2.0}]


def test_statements_that_do_not_fit_the_table_cancel(sql: Any) -> None:
    refusal = sql.refused(sql.transact, "INSERT INTO Plain VALUE {'pk': 'q'}", "INSERT INTO Plain VALUE {'pk': 1}")
    assert reasons(refusal) == ["None", "ValidationError"]


@pytest.mark.parametrize("statement", ["SELECT * FROM Plain WHERE pk = {}", "DELETE FROM Plain WHERE pk = {}"])
def test_duplicate_items_are_reported_after_wrong_types_and_before_invalid_keys(statement: str, sql: Any) -> None:
    def transact(*keys: str) -> errors.ApiError:
        return sql.refused(sql.transact, *map(statement.format, keys))

    twice = "Transaction request cannot include multiple operations on one item"
    assert reasons(transact("'p'", "'p'", "1")) == ["None", "None", "ValidationError"]
    assert transact("'p'", "'p'", "''").message == twice
    assert transact("'p'", "'p'", f"'{'x' * 2049}'").message == twice
    assert reasons(transact("'p'", "''")) == ["None", "ValidationError"]


@pytest.mark.parametrize(
    ("statements", "text"),
    [
        (
            ["SELECT * FROM Plain WHERE pk = 'p'", "DELETE FROM Plain WHERE pk = 'q'"],
            "ExecuteTransaction API does not support both read and write operations in the same request.",
        ),
        (
            ["DELETE FROM Plain WHERE pk = 'q'", "UPDATE Plain SET n = 1 WHERE pk = 'q'"],
            "Transaction request cannot include multiple operations on one item",
        ),
        (
            ["SELECT * FROM Plain WHERE pk = 'p'", "SELECT * FROM Plain"],
            "Validation failed in TransactStatements[1]: Select statements within ExecuteTransaction must specify the "
            "primary key in the where clause.",
        ),
        (
            ["SELECT * FROM Things.\"by-g\" WHERE g = 'g'"],
            "Validation failed in TransactStatements[0]: Reads on indices are not supported within transactions.",
        ),
        (
            ["DELETE FROM Plain WHERE pk = 'p' RETURNING ALL OLD *"],
            "Validation failed in TransactStatements[0]: RETURNING clause is not supported in ExecuteTransaction.",
        ),
        (
            ["EXISTS(SELECT * FROM Plain WHERE pk = 'p')"],
            "Validation failed in TransactStatements[0]: EXISTS() must contain a single item read with additional "
            "condition",
        ),
        (
            ["SELECT * FROM Plain WHERE pk = ?"],
            "Validation failed in TransactStatements[0]: Number of parameters in request and statement don't match.",
        ),
    ],
)
def test_refused_transactions(statements: list[str], text: str, sql: Any) -> None:
    assert sql.refused(sql.transact, *statements).message == text


def test_a_token_makes_a_transaction_idempotent(sql: Any) -> None:
    add = "UPDATE Plain SET n = n + 1 WHERE pk = 'p'"
    first = sql.transact(add, ClientRequestToken="t", ReturnConsumedCapacity="TOTAL")
    again = sql.transact(add, ClientRequestToken="t", ReturnConsumedCapacity="TOTAL")
    assert first["ConsumedCapacity"][0]["WriteCapacityUnits"] == 2.0
    assert again["ConsumedCapacity"][0]["ReadCapacityUnits"] == 2.0
    assert sql.items("SELECT n FROM Plain WHERE pk = 'p'") == [{"n": {"N": "2"}}]
    other = sql.refused(sql.transact, add.replace("+ 1", "+ 2"), ClientRequestToken="t")
    assert other.code == "IdempotentParameterMismatchException"


def test_the_stream_sees_statements(sql: Any) -> None:
    sql.service.update_table(
        TableName="Plain", StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    )
    sql.execute("UPDATE Plain SET n = 7 WHERE pk = 'p'")
    sql.transact("DELETE FROM Plain WHERE pk = 'p'")
    streams = "DynamoDBStreams_20120810"
    arn = sql.service.describe_table(TableName="Plain")["Table"]["LatestStreamArn"]
    records = []
    for shard in sql.service.request("DescribeStream", {"StreamArn": arn}, streams)["StreamDescription"]["Shards"]:
        body = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = sql.service.request("GetShardIterator", body, streams)["ShardIterator"]
        records += sql.service.request("GetRecords", {"ShardIterator": iterator}, streams)["Records"]
    assert [record["eventName"] for record in records] == ["MODIFY", "REMOVE"]
