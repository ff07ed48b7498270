"""INSERT, UPDATE and DELETE of single items."""

from __future__ import annotations

from typing import Any

import orjson
import pytest


def test_an_insert_is_never_an_upsert(sql: Any) -> None:
    assert sql.execute("INSERT INTO Plain VALUE {'pk': 'new', 'n': 1.0}") == {"Items": []}
    assert sql.items("SELECT * FROM Plain WHERE pk = 'new'") == [{"pk": {"S": "new"}, "n": {"N": "1"}}]
    refusal = sql.refused(sql.execute, "INSERT INTO Plain VALUE {'pk': 'new', 'n': 2}")
    assert (refusal.code, refusal.message) == ("DuplicateItemException", "Duplicate primary key exists in table")
    assert sql.items("SELECT n FROM Plain WHERE pk = 'new'") == [{"n": {"N": "1"}}]


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ("{'a': 1}", "Key attribute should be present in the item: Key pk"),
        ("{'pk': 1}", "Key attribute's data type should match its data type in table's schema: Key pk"),
        (
            "{'pk': ''}",
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
            "empty string value. Key: pk",
        ),
    ],
)
def test_items_that_cannot_be_inserted(item: str, text: str, sql: Any) -> None:
    assert sql.refused(sql.execute, f"INSERT INTO Plain VALUE {item}").message == text


def test_values_of_index_keys_have_the_lengths_of_keys(sql: Any) -> None:
    """INSERT built its own write, and so stored items that PutItem refuses."""
    refusal = sql.refused(sql.execute, "INSERT INTO Things VALUE {'pk': 'new', 'sk': 1, 'l': ?}", {"S": "l" * 1025})
    assert "exceeded the size limit of 1024 bytes" in refusal.message


# UPDATE


def test_an_update_with_all_that_it_can_do(sql: Any) -> None:
    updated = sql.items(
        "UPDATE Plain SET n = n + ?, l = list_append(if_not_exists(l, []), [1]) SET m = {'x': 1} "
        "SET ss = set_delete(ss, <<'a'>>) REMOVE gone WHERE pk = 'p' AND n = 1 RETURNING ALL NEW *",
        {"N": "4"},
    )
    assert updated == [
        {
            "pk": {"S": "p"},
            "n": {"N": "5"},
            "ss": {"SS": ["b"]},
            "l": {"L": [{"N": "1"}]},
            "m": {"M": {"x": {"N": "1"}}},
        }
    ]


@pytest.mark.parametrize(
    ("returning", "expected"),
    [
        ("ALL OLD", [{"pk": {"S": "p"}, "n": {"N": "1"}, "ss": {"SS": ["a", "b"]}}]),
        ("ALL NEW", [{"pk": {"S": "p"}, "n": {"N": "2"}, "ss": {"SS": ["a", "b"]}}]),
        ("MODIFIED OLD", [{"n": {"N": "1"}}]),
        ("MODIFIED NEW", [{"n": {"N": "2"}}]),
    ],
)
def test_returning(returning: str, expected: list[Any], sql: Any) -> None:
    assert sql.items(f"UPDATE Plain SET n = 2 WHERE pk = 'p' RETURNING {returning} *") == expected


def test_nothing_to_return_is_no_item(sql: Any) -> None:
    assert sql.items("UPDATE Plain REMOVE gone WHERE pk = 'p' RETURNING MODIFIED OLD *") == []


def test_an_update_creates_no_item(sql: Any) -> None:
    refusal = sql.refused(sql.execute, "UPDATE Plain SET n = 1 WHERE pk = 'none'")
    assert refusal.code == "ConditionalCheckFailedException"
    assert sql.items("SELECT * FROM Plain WHERE pk = 'none'") == []


def test_a_failed_condition_shows_the_item_on_request(sql: Any) -> None:
    update = "UPDATE Plain SET n = 1 WHERE pk = 'p' AND n = 99"
    assert sql.refused(sql.execute, update).fields is None
    fields = sql.refused(sql.execute, update, ReturnValuesOnConditionCheckFailure="ALL_OLD").fields
    assert orjson.loads(orjson.dumps(fields))["Item"]["n"] == {"N": "1"}


@pytest.mark.parametrize(
    ("update", "text"),
    [
        (
            "SET n = gone WHERE pk = 'p'",
            "The provided expression refers to an attribute that does not exist in the item",
        ),
        ("SET n = ss + 1 WHERE pk = 'p'", "An operand in the update expression has an incorrect data type"),
        (
            "SET pk = 'q' WHERE pk = 'p'",
            "One or more parameter values were invalid: Cannot update attribute pk. This attribute is part of the key",
        ),
        ("SET n = 1", "Where clause does not contain a mandatory equality on all key attributes"),
    ],
)
def test_refused_updates(update: str, text: str, sql: Any) -> None:
    assert sql.refused(sql.execute, f"UPDATE Plain {update}").message == text


# DELETE


def test_a_delete_is_refused_if_an_item_exists_that_does_not_match(sql: Any) -> None:
    refusal = sql.refused(sql.execute, "DELETE FROM Plain WHERE pk = 'p' AND n = 2")
    assert refusal.code == "ConditionalCheckFailedException"
    returned = sql.items("DELETE FROM Plain WHERE pk = 'p' AND n = 1 RETURNING ALL OLD *")
    assert returned[0]["n"] == {"N": "1"}
    assert sql.items("DELETE FROM Plain WHERE pk = 'p' RETURNING ALL OLD *") == []
    assert sql.items("DELETE FROM Plain WHERE pk = 'p' AND n = 2") == []


def test_writes_are_charged(sql: Any) -> None:
    insert = "INSERT INTO Things VALUE {'pk': 'x', 'sk': 1, 'g': 'x'}"
    consumed = sql.execute(insert, ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"]
    assert consumed == {
        "TableName": "Things",
        "CapacityUnits": 2.0,
        "Table": {"CapacityUnits": 1.0},
        "GlobalSecondaryIndexes": {"by-g": {"CapacityUnits": 1.0}},
    }


def test_exists_is_for_transactions(sql: Any) -> None:
    text = "EXISTS can only be used in ExecuteTransaction write requests."
    assert sql.refused(sql.execute, "EXISTS(SELECT * FROM Plain WHERE pk = 'p')").message == text
