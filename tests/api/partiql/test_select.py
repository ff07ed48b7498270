"""PartiQL against tables: the three operations, their pages, batches and transactions."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from atoll import errors
from atoll.api.partiql import statement as partiql

OPERATIONS = {
    "ExecuteStatement": partiql.execute_statement,
    "BatchExecuteStatement": partiql.batch_execute_statement,
    "ExecuteTransaction": partiql.execute_transaction,
}
GSI = {
    "IndexName": "by-g",
    "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "KEYS_ONLY"},
}
LSI = {
    "IndexName": "by-l",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "l", "KeyType": "RANGE"}],
    "Projection": {"ProjectionType": "KEYS_ONLY"},
}


class Partiql:
    def __init__(self, service: Any) -> None:
        self.service = service

    def request(self, operation: str, body: dict[str, Any]) -> Any:
        body = orjson.loads(orjson.dumps(body))
        return orjson.loads(orjson.dumps(asyncio.run(OPERATIONS[operation](self.service.region, body))))

    def execute(self, statement: str, *parameters: dict[str, Any], **more: Any) -> Any:
        body = {"Statement": statement, **more}
        return self.request("ExecuteStatement", body | {"Parameters": list(parameters)} if parameters else body)

    def items(self, statement: str, *parameters: dict[str, Any], **more: Any) -> Any:
        return self.execute(statement, *parameters, **more)["Items"]

    def batch(self, *statements: str | dict[str, Any], **more: Any) -> Any:
        return self.request("BatchExecuteStatement", {"Statements": _bodies(statements), **more})

    def transact(self, *statements: str | dict[str, Any], **more: Any) -> Any:
        return self.request("ExecuteTransaction", {"TransactStatements": _bodies(statements), **more})


def _bodies(statements: tuple[str | dict[str, Any], ...]) -> list[dict[str, Any]]:
    return [{"Statement": s} if isinstance(s, str) else s for s in statements]


@pytest.fixture
def sql(service: Any) -> Partiql:
    service.table(
        "Things", sort="N", types={"g": "S", "l": "S"}, GlobalSecondaryIndexes=[GSI], LocalSecondaryIndexes=[LSI]
    )
    service.table("Plain")
    for pk, sk in (("p", 0), ("p", 1), ("p", 2), ("q", 0), ("r", 7)):
        service.put_item(
            TableName="Things",
            Item={
                "pk": {"S": pk},
                "sk": {"N": str(sk)},
                "g": {"S": f"g-{pk}"},
                "l": {"S": f"l{9 - sk}"},
                "a": {"S": f"a{sk}"},
                "m": {"M": {"x": {"N": str(sk)}, "y": {"L": [{"S": "y"}]}}},
            },
        )
    service.put_item(TableName="Plain", Item={"pk": {"S": "p"}, "n": {"N": "1"}, "ss": {"SS": ["a", "b"]}})
    return Partiql(service)


def refused(call: Any, *args: Any, **more: Any) -> errors.ApiError:
    with pytest.raises(errors.ApiError) as caught:
        call(*args, **more)
    return caught.value


def keys(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(item["pk"]["S"], item["sk"]["N"]) for item in found]


# SELECT


def test_batches_and_transactions_show_columns_in_their_places(sql: Partiql) -> None:
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
        ("pk = 'p' AND a = 'a1'", ["p1"]),
        ("pk = 'p' AND sk = 1", ["p1"]),
        ("pk IN ['p', 'r'] AND sk >= 2", ["p2", "r7"]),
        ("pk = 'q' OR pk = 'r' AND m.x = 7", ["q0", "r7"]),
        ("m.y[0] = 'y' AND contains(a, '7')", ["r7"]),
        ("gone IS MISSING AND NOT sk IN (0, 1, 2)", ["r7"]),
    ],
)
def test_a_select_finds(where: str, expected: list[str], sql: Partiql) -> None:
    found = keys(sql.items(f"SELECT * FROM Things WHERE {where}"))
    assert sorted(pk + sk for pk, sk in found) == expected


def test_only_the_partitions_of_the_condition_are_read(sql: Partiql) -> None:
    whole = sql.execute("SELECT * FROM Things WHERE sk = 1", Limit=3)
    assert "NextToken" in whole
    one = sql.execute("SELECT * FROM Things WHERE pk = 'p' AND sk = 1", Limit=2)
    assert "NextToken" not in one


def test_columns_are_called_by_the_last_step_of_their_paths(sql: Partiql) -> None:
    found = sql.items("SELECT pk, m.x, m.y[0], gone FROM Things WHERE pk = 'r'")
    assert found == [{"pk": {"S": "r"}, "x": {"N": "7"}, "y[0]": {"S": "y"}}]


def test_order_by(sql: Partiql) -> None:
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
def test_a_scan_that_asks_something_of_the_partition_key_orders_within_partitions(where: str, sql: Partiql) -> None:
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
def test_refused_orders(order: str, text: str, sql: Partiql) -> None:
    assert refused(sql.execute, f"SELECT * FROM Things {order}").message == text


def test_indexes(sql: Partiql) -> None:
    assert sql.items('SELECT * FROM "Things"."by-g" WHERE g = ?', {"S": "g-r"}) == [
        {"g": {"S": "g-r"}, "pk": {"S": "r"}, "sk": {"N": "7"}}
    ]
    ordered = sql.items("SELECT sk FROM Things.\"by-l\" WHERE pk = 'p' AND l > 'l7' ORDER BY l")
    assert ordered == [{"sk": {"N": "1"}}, {"sk": {"N": "0"}}]


def test_a_local_index_fetches_what_it_does_not_project(sql: Partiql) -> None:
    select = "SELECT a FROM Things.\"by-l\" WHERE pk = 'p' AND m.x = 1"
    assert sql.items(select) == [{"a": {"S": "a1"}}]


def test_all_columns_of_a_local_index_are_its_own_whatever_the_condition_fetches(sql: Partiql) -> None:
    [found] = sql.items("SELECT * FROM Things.\"by-l\" WHERE pk = 'p' AND m.x = 1")
    assert found == {"pk": {"S": "p"}, "sk": {"N": "1"}, "l": {"S": "l8"}}


def test_a_global_index_refuses_what_it_does_not_project(sql: Partiql) -> None:
    refusal = refused(sql.execute, "SELECT a FROM Things.\"by-g\" WHERE g = 'g-p'")
    assert refusal.message == (
        "One or more parameter values were invalid: Global secondary index by-g does not project [a]"
    )
    assert refused(sql.execute, 'SELECT pk FROM Things."none"').message == (
        "The table does not have the specified index: none"
    )


def pages(sql: Partiql, statement: str, *parameters: dict[str, Any], limit: int) -> list[list[tuple[str, str]]]:
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
def test_pages_make_the_whole(statement: str, limit: int, sql: Partiql) -> None:
    found = pages(sql, statement, limit=limit)
    assert [key for page in found for key in page] == keys(sql.items(statement))
    assert all(len(page) <= limit for page in found)


def test_a_page_counts_what_it_examines(sql: Partiql) -> None:
    assert pages(sql, "SELECT * FROM Things WHERE pk = 'p' AND a = 'a2'", limit=2) == [[], [("p", "2")]]


def test_large_partitions_end_a_page(sql: Partiql) -> None:
    for pk in "abc":
        for n in range(2):
            text = {"S": "x" * 350_000}
            sql.execute("INSERT INTO Things VALUE {'pk': ?, 'sk': ?, 't': ?}", {"S": pk}, {"N": str(n)}, text)
    statement = "SELECT pk, sk FROM Things WHERE pk IN ['a', 'b', 'c']"
    first = sql.execute(statement)
    rest = sql.execute(statement, NextToken=first["NextToken"])
    assert len(first["Items"]) == 4
    assert sorted(keys(first["Items"] + rest["Items"])) == [(pk, str(n)) for pk in "abc" for n in range(2)]


def test_a_token_belongs_to_its_statement(sql: Partiql) -> None:
    statement = "SELECT * FROM Things WHERE pk = ?"
    token = sql.execute(statement, {"S": "p"}, Limit=1)["NextToken"]
    assert len(sql.items(statement, {"S": "p"}, NextToken=token)) == 2
    for other, value in ((statement, "q"), (statement + " AND sk > 0", "p")):
        assert refused(sql.execute, other, {"S": value}, NextToken=token).message == "NextToken does not match request"
    for broken in ("abc", "YWJj", "bnVsbA=="):
        assert refused(sql.execute, statement, {"S": "p"}, NextToken=broken).message == "Invalid NextToken"


def test_capacity_of_a_select(sql: Partiql) -> None:
    select = "SELECT * FROM Things WHERE pk = 'p'"
    eventual = sql.execute(select, ReturnConsumedCapacity="TOTAL")
    assert eventual["ConsumedCapacity"] == {"TableName": "Things", "CapacityUnits": 0.5}
    consistent = sql.execute(select, ReturnConsumedCapacity="TOTAL", ConsistentRead=True)
    assert consistent["ConsumedCapacity"]["CapacityUnits"] == 1.0


def test_a_missing_table(sql: Partiql) -> None:
    refusal = refused(sql.execute, "SELECT * FROM Elsewhere")
    assert (refusal.code, refusal.message) == ("ResourceNotFoundException", "Requested resource not found")


# INSERT


def test_an_insert_is_never_an_upsert(sql: Partiql) -> None:
    assert sql.execute("INSERT INTO Plain VALUE {'pk': 'new', 'n': 1.0}") == {"Items": []}
    assert sql.items("SELECT * FROM Plain WHERE pk = 'new'") == [{"pk": {"S": "new"}, "n": {"N": "1"}}]
    refusal = refused(sql.execute, "INSERT INTO Plain VALUE {'pk': 'new', 'n': 2}")
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
def test_items_that_cannot_be_inserted(item: str, text: str, sql: Partiql) -> None:
    assert refused(sql.execute, f"INSERT INTO Plain VALUE {item}").message == text


def test_values_of_index_keys_have_the_lengths_of_keys(sql: Partiql) -> None:
    """INSERT made a write of its own, and so stored what PutItem refuses."""
    refusal = refused(sql.execute, "INSERT INTO Things VALUE {'pk': 'new', 'sk': 1, 'l': ?}", {"S": "l" * 1025})
    assert "exceeded the size limit of 1024 bytes" in refusal.message


# UPDATE


def test_an_update_with_all_that_it_can_do(sql: Partiql) -> None:
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
def test_returning(returning: str, expected: list[Any], sql: Partiql) -> None:
    assert sql.items(f"UPDATE Plain SET n = 2 WHERE pk = 'p' RETURNING {returning} *") == expected


def test_nothing_to_return_is_no_item(sql: Partiql) -> None:
    assert sql.items("UPDATE Plain REMOVE gone WHERE pk = 'p' RETURNING MODIFIED OLD *") == []


def test_an_update_creates_no_item(sql: Partiql) -> None:
    refusal = refused(sql.execute, "UPDATE Plain SET n = 1 WHERE pk = 'none'")
    assert refusal.code == "ConditionalCheckFailedException"
    assert sql.items("SELECT * FROM Plain WHERE pk = 'none'") == []


def test_a_failed_condition_shows_the_item_on_request(sql: Partiql) -> None:
    update = "UPDATE Plain SET n = 1 WHERE pk = 'p' AND n = 99"
    assert refused(sql.execute, update).fields is None
    fields = refused(sql.execute, update, ReturnValuesOnConditionCheckFailure="ALL_OLD").fields
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
def test_refused_updates(update: str, text: str, sql: Partiql) -> None:
    assert refused(sql.execute, f"UPDATE Plain {update}").message == text


# DELETE


def test_a_delete_is_refused_by_an_item_that_is_there_and_not_as_demanded(sql: Partiql) -> None:
    refusal = refused(sql.execute, "DELETE FROM Plain WHERE pk = 'p' AND n = 2")
    assert refusal.code == "ConditionalCheckFailedException"
    returned = sql.items("DELETE FROM Plain WHERE pk = 'p' AND n = 1 RETURNING ALL OLD *")
    assert returned[0]["n"] == {"N": "1"}
    assert sql.items("DELETE FROM Plain WHERE pk = 'p' RETURNING ALL OLD *") == []
    assert sql.items("DELETE FROM Plain WHERE pk = 'p' AND n = 2") == []


def test_writes_are_charged(sql: Partiql) -> None:
    insert = "INSERT INTO Things VALUE {'pk': 'x', 'sk': 1, 'g': 'x'}"
    consumed = sql.execute(insert, ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"]
    assert consumed == {
        "TableName": "Things",
        "CapacityUnits": 2.0,
        "Table": {"CapacityUnits": 1.0},
        "GlobalSecondaryIndexes": {"by-g": {"CapacityUnits": 1.0}},
    }


def test_exists_is_for_transactions(sql: Partiql) -> None:
    text = "EXISTS can only be used in ExecuteTransaction write requests."
    assert refused(sql.execute, "EXISTS(SELECT * FROM Plain WHERE pk = 'p')").message == text


# Batches


def test_a_batch_of_reads(sql: Partiql) -> None:
    answer = sql.batch(
        "SELECT n FROM Plain WHERE pk = 'p'",
        "SELECT n FROM Plain WHERE pk = 'none'",
        "SELECT n FROM Plain",
        "SELECT n FROM Plain WHERE pk = 'q' AND n = 1",
        "SELECT n FROM Elsewhere WHERE pk = 'p'",
        "SELECT",
        ReturnConsumedCapacity="TOTAL",
    )
    single = {"Error": {"Code": "ValidationError", "Message": "Only single item select is supported"}}
    assert answer["Responses"] == [
        {"TableName": "Plain", "Item": {"n": {"N": "1"}}},
        {"TableName": "Plain"},
        single,
        single,
        {"Error": {"Code": "ResourceNotFound", "Message": "Requested resource not found"}},
        {
            "Error": {
                "Code": "ValidationError",
                "Message": "Statement wasn't well formed, can't be processed: SELECT",
            }
        },
    ]
    assert answer["ConsumedCapacity"] == [{"TableName": "Plain", "CapacityUnits": 0.5}] * 2


def test_a_batch_of_writes_does_what_it_can(sql: Partiql) -> None:
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


def test_what_fails_a_whole_batch(sql: Partiql) -> None:
    read, write = "SELECT * FROM Plain WHERE pk = 'p'", "DELETE FROM Plain WHERE pk = 'p'"
    mixed = "Read and write requests together in the same batch is not supported."
    assert refused(sql.batch, read, write).message == mixed
    assert refused(sql.batch, read, read).message == "Provided list of item keys contains duplicates"


def test_parameters_that_cannot_be_read_fail_a_whole_batch(sql: Partiql) -> None:
    statement = {"Statement": "SELECT * FROM Plain WHERE pk = ?", "Parameters": [{"S": 1}]}
    assert refused(sql.batch, statement).code == "SerializationException"


# Transactions


def test_a_transaction_of_reads(sql: Partiql) -> None:
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


def test_all_or_nothing(sql: Partiql) -> None:
    assert sql.transact("INSERT INTO Plain VALUE {'pk': 'q'}", "UPDATE Plain SET n = 2 WHERE pk = 'p'") == {
        "Responses": []
    }
    refusal = refused(
        sql.transact,
        "INSERT INTO Plain VALUE {'pk': 'r'}",
        "INSERT INTO Plain VALUE {'pk': 'q'}",
        "UPDATE Plain SET n = 3 WHERE pk = 'p' AND n = 1",
        "DELETE FROM Plain WHERE pk = 'none'",
    )
    assert reasons(refusal) == ["None", "DuplicateItem", "ConditionalCheckFailed", "None"]
    assert sql.items("SELECT * FROM Plain WHERE pk = 'r'") == []


def test_exists_checks_an_item(sql: Partiql) -> None:
    insert = "INSERT INTO Plain VALUE {'pk': 'q'}"
    for where in ("pk = 'p' AND n = 2", "pk = 'none' AND n IS MISSING"):
        refusal = refused(sql.transact, f"EXISTS(SELECT * FROM Plain WHERE {where})", insert)
        assert reasons(refusal) == ["ConditionalCheckFailed", "None"]
    sql.transact("EXISTS(SELECT * FROM Plain WHERE pk = 'p' AND n = 1)", insert)
    assert sql.items("SELECT * FROM Plain WHERE pk = 'q'")


def test_exists_is_charged_as_a_read(sql: Partiql) -> None:
    """Of 4 KB steps, like a ConditionCheck."""
    sql.execute("INSERT INTO Plain VALUE {'pk': 'long', 'n': ?}", {"S": "x" * 3000})
    exists = "EXISTS(SELECT * FROM Plain WHERE pk = 'long' AND attribute_exists(n))"
    answer = sql.transact(exists, ReturnConsumedCapacity="TOTAL")
    assert answer["ConsumedCapacity"] == [{"TableName": "Plain", "CapacityUnits": 2.0, "WriteCapacityUnits": 2.0}]


def test_statements_that_do_not_fit_the_table_cancel(sql: Partiql) -> None:
    refusal = refused(sql.transact, "INSERT INTO Plain VALUE {'pk': 'q'}", "INSERT INTO Plain VALUE {'pk': 1}")
    assert reasons(refusal) == ["None", "ValidationError"]


@pytest.mark.parametrize("statement", ["SELECT * FROM Plain WHERE pk = {}", "DELETE FROM Plain WHERE pk = {}"])
def test_one_item_twice_is_told_after_wrong_types_and_before_keys_that_cannot_be(statement: str, sql: Partiql) -> None:
    def transact(*keys: str) -> errors.ApiError:
        return refused(sql.transact, *map(statement.format, keys))

    twice = "Transaction request cannot include multiple operations on one item"
    assert reasons(transact("'p'", "'p'", "1")) == ["None", "None", "ValidationError"]
    assert transact("'p'", "'p'", "''").message == twice
    assert transact("'p'", "'p'", f"'{'x' * 2049}'").message == twice
    assert reasons(transact("'p'", "''")) == ["None", "ValidationError"]


def test_surplus_parameters_are_ignored(sql: Partiql) -> None:
    assert sql.items("SELECT n FROM Plain WHERE pk = ?", {"S": "p"}, {"S": "q"}) == [{"n": {"N": "1"}}]


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
def test_refused_transactions(statements: list[str], text: str, sql: Partiql) -> None:
    assert refused(sql.transact, *statements).message == text


def test_a_token_makes_a_transaction_idempotent(sql: Partiql) -> None:
    add = "UPDATE Plain SET n = n + 1 WHERE pk = 'p'"
    first = sql.transact(add, ClientRequestToken="t", ReturnConsumedCapacity="TOTAL")
    again = sql.transact(add, ClientRequestToken="t", ReturnConsumedCapacity="TOTAL")
    assert first["ConsumedCapacity"][0]["WriteCapacityUnits"] == 2.0
    assert again["ConsumedCapacity"][0]["ReadCapacityUnits"] == 2.0
    assert sql.items("SELECT n FROM Plain WHERE pk = 'p'") == [{"n": {"N": "2"}}]
    other = refused(sql.transact, add.replace("+ 1", "+ 2"), ClientRequestToken="t")
    assert other.code == "IdempotentParameterMismatchException"


def test_the_stream_sees_statements(sql: Partiql) -> None:
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
