"""SELECT: the items that it finds, their order and their pages."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest


def keys(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(item["pk"]["S"], item["sk"]["N"]) for item in found]


def test_batches_and_transactions_show_columns_in_their_places(sql: Any) -> None:
    select = "SELECT m.x, m.y[0] FROM Things WHERE pk = 'r' AND sk = 7"
    item = {"m": {"M": {"x": {"N": "7"}, "y": {"L": [{"S": "y"}]}}}}
    assert sql.batch(select)["Responses"] == [{"TableName": "Things", "Item": item}]
    assert sql.transact(select)["Responses"] == [{"Item": item}]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("pk = 'p'", ["p0", "p1", "p2"]),
        ("pk = 'p' AND sk > 0", ["p1", "p2"]),
        ("pk = 'p' AND sk BETWEEN 1 AND 2 AND sk < 2", ["p1"]),
        ("pk = 'p' AND sk > 5 AND sk < 1", []),
        ("pk IN ['p', 'q'] AND sk > -1 AND sk >= 1 AND sk < 9 AND sk <= 1", ["p1"]),
        ("pk IN ['p', 'q', 'r'] AND sk > 1 AND sk BETWEEN 2 AND 9 AND sk < 7 AND sk <= 8", ["p2"]),
        ("pk IN ['p', 'q'] AND sk > 1 AND sk < 1 AND sk < 9", []),
        ("pk = 'p' AND a = 'a1'", ["p1"]),
        ("pk = 'p' AND sk = 1", ["p1"]),
        ("pk IN ['p', 'r'] AND sk >= 2", ["p2", "r7"]),
        ("pk = 'q' OR pk = 'r' AND m.x = 7", ["q0", "r7"]),
        ("m.y[0] = 'y' AND contains(a, '7')", ["r7"]),
        ("gone IS MISSING AND NOT sk IN (0, 1, 2)", ["r7"]),
    ],
)
def test_a_select_finds(where: str, expected: list[str], sql: Any) -> None:
    found = keys(sql.items(f"SELECT * FROM Things WHERE {where}"))
    assert sorted(pk + sk for pk, sk in found) == expected


def test_only_the_partitions_of_the_condition_are_read(sql: Any) -> None:
    whole = sql.execute("SELECT * FROM Things WHERE sk = 1", Limit=3)
    assert "NextToken" in whole
    one = sql.execute("SELECT * FROM Things WHERE pk = 'p' AND sk = 1", Limit=2)
    assert "NextToken" not in one


def test_columns_are_called_by_the_last_step_of_their_paths(sql: Any) -> None:
    found = sql.items("SELECT pk, m.x, m.y[0], gone FROM Things WHERE pk = 'r'")
    assert found == [{"pk": {"S": "r"}, "x": {"N": "7"}, "y[0]": {"S": "y"}}]


def test_order_by(sql: Any) -> None:
    ordered = keys(sql.items("SELECT * FROM Things WHERE pk = 'p' ORDER BY sk DESC"))
    assert ordered == [("p", "2"), ("p", "1"), ("p", "0")]
    partitions = keys(sql.items("SELECT * FROM Things WHERE pk IN ['q', 'p', 'r'] ORDER BY pk DESC, sk DESC"))
    assert partitions == [("r", "7"), ("q", "0"), ("p", "2"), ("p", "1"), ("p", "0")]


@pytest.mark.parametrize(
    "where",
    [
        "pk < 'q'",
        "pk BETWEEN 'o' AND 'p'",
        "begins_with(pk, 'p')",
        "contains(pk, 'p') AND sk >= 0",
        "(pk = 'p' OR pk > 'x')",
        "'q' > pk AND attribute_type(pk, 'S')",
    ],
)
def test_a_scan_with_a_condition_on_the_partition_key_orders_within_partitions(where: str, sql: Any) -> None:
    statement = f"SELECT * FROM Things WHERE {where} ORDER BY sk DESC"
    assert keys(sql.items(statement)) == [("p", "2"), ("p", "1"), ("p", "0")]


@pytest.mark.parametrize(
    ("order", "text"),
    [
        ("WHERE pk = 'p' ORDER BY a", "Variable reference a in ORDER BY clause must be part of the primary key"),
        (
            "WHERE sk = 1 ORDER BY sk",
            "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause.",
        ),
        (
            "WHERE pk = 'p' OR sk = 'x' ORDER BY a",
            "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause.",
        ),
        (
            "WHERE attribute_exists(pk) ORDER BY pk",
            "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause.",
        ),
        ("WHERE pk > 'p' ORDER BY a", "Variable reference a in ORDER BY clause must be part of the primary key"),
        (
            "WHERE pk = 'p' ORDER BY sk, b, a DESC",
            "Variable reference b in ORDER BY clause must be part of the primary key",
        ),
        ("ORDER BY a", "Must have WHERE clause in the statement when using ORDER BY clause."),
    ],
)
def test_refused_orders(order: str, text: str, sql: Any) -> None:
    assert sql.refused(sql.execute, f"SELECT * FROM Things {order}").message == text


def test_indexes(sql: Any) -> None:
    assert sql.items('SELECT * FROM "Things"."by-g" WHERE g = ?', {"S": "g-r"}) == [
        {"g": {"S": "g-r"}, "pk": {"S": "r"}, "sk": {"N": "7"}}
    ]
    ordered = sql.items("SELECT sk FROM Things.\"by-l\" WHERE pk = 'p' AND l > 'l7' ORDER BY l")
    assert ordered == [{"sk": {"N": "1"}}, {"sk": {"N": "0"}}]


def test_a_local_index_fetches_the_columns_that_it_does_not_project(sql: Any) -> None:
    select = "SELECT a FROM Things.\"by-l\" WHERE pk = 'p' AND l = 'l8'"
    assert sql.items(select) == [{"a": {"S": "a1"}}]


def test_a_global_index_refuses_attributes_that_it_does_not_project(sql: Any) -> None:
    refusal = sql.refused(sql.execute, "SELECT a FROM Things.\"by-g\" WHERE g = 'g-p'")
    assert refusal.message == (
        "One or more parameter values were invalid: Global secondary index by-g does not project [a]"
    )
    assert sql.refused(sql.execute, 'SELECT pk FROM Things."none"').message == (
        "The table does not have the specified index"
    )


def pages(sql: Any, statement: str, *parameters: dict[str, Any], limit: int) -> list[list[tuple[str, str]]]:
    found, token = [], None
    while True:
        answer = sql.execute(statement, *parameters, Limit=limit, **({"NextToken": token} if token else {}))
        found.append(keys(answer["Items"]))
        token = answer.get("NextToken")
        if token is None:
            return found


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 10])
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM Things",
        "SELECT * FROM Things WHERE pk IN ['p', 'r', 'q', 'none']",
        "SELECT * FROM Things WHERE pk IN ['p', 'r', 'q'] ORDER BY pk, sk DESC",
        "SELECT * FROM Things.\"by-g\" WHERE g = 'g-p'",
        "SELECT * FROM Things.\"by-l\" WHERE pk = 'p' ORDER BY l DESC",
    ],
)
def test_pages_make_the_whole(statement: str, limit: int, sql: Any) -> None:
    found = pages(sql, statement, limit=limit)
    assert [key for page in found for key in page] == keys(sql.items(statement))
    assert all(len(page) <= limit for page in found)


def test_a_page_counts_the_examined_items(sql: Any) -> None:
    assert pages(sql, "SELECT * FROM Things WHERE pk = 'p' AND a = 'a2'", limit=2) == [[], [("p", "2")]]


def test_large_partitions_end_a_page(sql: Any) -> None:
    for pk in "abc":
        for n in range(2):
            text = {"S": "x" * 350_000}
            sql.execute("INSERT INTO Things VALUE {'pk': ?, 'sk': ?, 't': ?}", {"S": pk}, {"N": str(n)}, text)
    statement = "SELECT pk, sk FROM Things WHERE pk IN ['a', 'b', 'c']"
    first = sql.execute(statement)
    rest = sql.execute(statement, NextToken=first["NextToken"])
    assert len(first["Items"]) == 4
    assert sorted(keys(first["Items"] + rest["Items"])) == [(pk, str(n)) for pk in "abc" for n in range(2)]


def test_a_token_belongs_to_its_statement(sql: Any) -> None:
    statement = "SELECT * FROM Things WHERE pk = ?"
    token = sql.execute(statement, {"S": "p"}, Limit=1)["NextToken"]
    assert len(sql.items(statement, {"S": "p"}, NextToken=token)) == 2
    for other, value in ((statement, "q"), (statement + " AND sk > 0", "p")):
        refusal = sql.refused(sql.execute, other, {"S": value}, NextToken=token)
        assert refusal.message == "NextToken does not match request"
    for broken in ("abc", "YWJj", "bnVsbA=="):
        assert sql.refused(sql.execute, statement, {"S": "p"}, NextToken=broken).message == "Invalid NextToken"


@pytest.mark.parametrize(
    "change",
    [{"part": part} for part in ("0", None, 0.5, -1, -9)]
    + [{"key": key} for key in ([1], "pk", {"pk": 5, "sk": {"N": "1"}}, {"pk": None, "sk": {"N": "1"}})]
    + [{"key": {"pk": {"S": "p"}, "sk": sk}} for sk in ({"N": "x"}, {"N": 1}, {"N": "1" * 200}, {"S": "1"}, {})],
    ids=str,
)
def test_a_token_that_was_changed_is_invalid(sql: Any, change: dict[str, Any]) -> None:
    statement = "SELECT * FROM Things WHERE pk = 'p'"
    token = orjson.loads(base64.b64decode(sql.execute(statement, Limit=1)["NextToken"]))
    changed = base64.b64encode(orjson.dumps(token | change)).decode()
    assert sql.refused(sql.execute, statement, NextToken=changed).message == "Invalid NextToken"


def test_surplus_parameters_are_ignored(sql: Any) -> None:
    assert sql.items("SELECT n FROM Plain WHERE pk = ?", {"S": "p"}, {"S": "q"}) == [{"n": {"N": "1"}}]


def test_capacity_of_a_select(sql: Any) -> None:
    select = "SELECT * FROM Things WHERE pk = 'p'"
    eventual = sql.execute(select, ReturnConsumedCapacity="TOTAL")
    assert eventual["ConsumedCapacity"] == {"TableName": "Things", "CapacityUnits": 0.5}
    consistent = sql.execute(select, ReturnConsumedCapacity="TOTAL", ConsistentRead=True)
    assert consistent["ConsumedCapacity"]["CapacityUnits"] == 1.0


def test_a_missing_table(sql: Any) -> None:
    refusal = sql.refused(sql.execute, "SELECT * FROM Elsewhere")
    assert (refusal.code, refusal.message) == ("ResourceNotFoundException", "Requested resource not found")
