"""Batches of statements, each by itself."""

from __future__ import annotations

from typing import Any


def test_a_batch_of_reads(sql: Any) -> None:
    answer = sql.batch(
        "SELECT n FROM Plain WHERE pk = 'p'",
        "SELECT n FROM Plain WHERE pk = 'none'",
        "SELECT n FROM Plain",
        "SELECT n FROM Plain WHERE pk = 'q' AND n = 1",
        "SELECT n FROM Elsewhere WHERE pk = 'p'",
        "SELECT",
        ReturnConsumedCapacity="TOTAL",
    )
    text = "Select statements within BatchExecuteStatement must specify the primary key in the where clause."
    single = {"Error": {"Code": "ValidationError", "Message": text}}
    assert answer["Responses"] == [
        {"TableName": "Plain", "Item": {"n": {"N": "1"}}},
        {"TableName": "Plain"},
        single,
        single,
        {"Error": {"Code": "ResourceNotFound", "Message": "Requested resource not found"}},
        {
            "Error": {
                "Code": "ValidationError",
                "Message": "Statement wasn't well formed, can't be processed: Unexpected term",
            }
        },
    ]
    assert answer["ConsumedCapacity"] == [{"TableName": "Plain", "CapacityUnits": 0.5}] * 2


def test_a_batch_of_writes_applies_all_entries_that_it_can(sql: Any) -> None:
    answer = sql.batch(
        "INSERT INTO Plain VALUE {'pk': 'p'}",
        "INSERT INTO Plain VALUE {'pk': 'q'}",
        "UPDATE Plain SET n = 1 WHERE pk = 'r'",
        "DELETE FROM Things WHERE pk = 'p' AND sk = 0 RETURNING ALL OLD *",
        "UPDATE Plain SET n = gone WHERE pk = 's'",
    )
    duplicate, inserted, failed, deleted, _ = answer["Responses"]
    message = "Duplicate primary key exists in table"
    assert duplicate == {"TableName": "Plain", "Error": {"Code": "DuplicateItem", "Message": message}}
    assert inserted == {"TableName": "Plain"}
    assert failed["Error"]["Code"] == "ConditionalCheckFailed"
    assert deleted["Item"]["a"] == {"S": "a0"}
    assert sql.items("SELECT * FROM Plain WHERE pk = 'q'") == [{"pk": {"S": "q"}}]


def test_errors_that_fail_a_whole_batch(sql: Any) -> None:
    read, write = "SELECT * FROM Plain WHERE pk = 'p'", "DELETE FROM Plain WHERE pk = 'p'"
    mixed = "Read and write requests together in the same batch is not supported."
    assert sql.refused(sql.batch, read, write).message == mixed
    assert sql.refused(sql.batch, read, read).message == "Provided list of item keys contains duplicates"


def test_parameters_that_cannot_be_read_fail_a_whole_batch(sql: Any) -> None:
    statement = {"Statement": "SELECT * FROM Plain WHERE pk = ?", "Parameters": [{"S": 1}]}
    assert sql.refused(sql.batch, statement).code == "SerializationException"
