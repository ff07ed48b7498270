"""Conditions of SELECT beyond comparisons: types, functions as values, attributes that an index lacks."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.partiql.conftest import Partiql

NWF = "Statement wasn't well formed, can't be processed: "
VALUES: dict[str, Any] = {
    "s": {"S": "x"},
    "n": {"N": "1"},
    "b": {"B": "AA=="},
    "bool": {"BOOL": True},
    "nul": {"NULL": True},
    "ss": {"SS": ["a"]},
    "ns": {"NS": ["1"]},
    "bs": {"BS": ["AA=="]},
    "l": {"L": []},
    "m": {"M": {}},
}
TYPES: dict[str, set[str]] = {
    "BOOL": {"bool"},
    "BOOLEAN": {"bool"},
    "bool": {"bool"},
    "STRING": {"s"},
    "NUMERIC": {"n"},
    "NUMERIC(3, 1)": {"n"},
    "BLOB": {"b"},
    "LIST": {"l"},
    "STRUCT": {"m"},
    "TUPLE": {"m"},
    "NULL": {"nul"},
    "MISSING": {"gone"},
}
# Types that attributes do not have, with PartiQL's names for them
OTHER_TYPES = {
    "INT": "INTEGER",
    "int4": "INTEGER4",
    "INT8": "INTEGER8",
    "INTEGER": "INTEGER",
    "SMALLINT": "SMALLINT",
    "FLOAT": "FLOAT",
    "REAL": "REAL",
    "DOUBLE PRECISION": "DOUBLE_PRECISION",
    "DECIMAL(3, 1)": "DECIMAL",
    "DEC": "DECIMAL",
    "CHAR": "CHARACTER",
    "CHARACTER": "CHARACTER",
    "CHARACTER VARYING": "CHARACTER_VARYING",
    "VARCHAR(5)": "CHARACTER_VARYING",
    **{name: name for name in ("BAG", "CLOB", "DATE", "SEXP", "SYMBOL", "TIME", "TIMESTAMP")},
}


@pytest.fixture
def typed(service: Any) -> Partiql:
    """An item with an attribute of each type."""
    service.table("Typed")
    service.put_item(
        TableName="Typed", Item={"pk": {"S": "p"}, **{f"a_{name}": value for name, value in VALUES.items()}}
    )
    return Partiql(service)


class TestTypes:
    @pytest.mark.parametrize("type_", TYPES)
    def test_a_type_is_that_of_some_attributes(self, typed: Partiql, type_: str) -> None:
        names = [*VALUES, "gone"]
        found = {name for name in names if typed.items(f"SELECT pk FROM Typed WHERE pk = 'p' AND a_{name} IS {type_}")}
        others = {
            name for name in names if typed.items(f"SELECT pk FROM Typed WHERE pk = 'p' AND a_{name} IS NOT {type_}")
        }
        assert (found, others) == (TYPES[type_], set(names) - TYPES[type_])

    @pytest.mark.parametrize("type_", OTHER_TYPES)
    def test_a_type_that_attributes_do_not_have_is_refused(self, typed: Partiql, type_: str) -> None:
        refusal = typed.refused(typed.execute, f"SELECT pk FROM Typed WHERE pk = 'p' AND a_s IS {type_}")
        assert refusal.message == (
            f"Unsupported data type for IS operator: {OTHER_TYPES[type_]}. Supported data types are [MISSING, NULL, "
            "BOOLEAN, BLOB, STRING, NUMERIC, STRUCT, TUPLE, LIST] at 1:45:2"
        )

    @pytest.mark.parametrize("operand", ["size(a_s)", "attribute_exists(a_s)", "(a_s IS NULL)", "(a_n + 1)"])
    def test_only_a_path_or_value_has_a_type(self, typed: Partiql, operand: str) -> None:
        refusal = typed.refused(typed.execute, f"SELECT pk FROM Typed WHERE {operand} IS INT")
        assert refusal.message == "The left hand side argument to IS must be a Variable Reference, Literal, or Path"

    @pytest.mark.parametrize("type_", ["FOO", '"STRING"', "", "DISTINCT", "'STRING'"])
    def test_a_name_of_no_type_is_malformed(self, typed: Partiql, type_: str) -> None:
        refusal = typed.refused(typed.execute, f"SELECT pk FROM Typed WHERE pk = 'p' AND a IS {type_}")
        assert refusal.message == f"{NWF}Expected type name"

    @pytest.mark.parametrize("text", ["x IS INT4", "x IS NULL", "x IS MISSING"])
    def test_the_test_of_a_type_is_not_a_statement(self, typed: Partiql, text: str) -> None:
        assert typed.refused(typed.execute, text).message == "Unsupported operation: IsType"

    def test_a_deletion_may_depend_on_a_type(self, typed: Partiql) -> None:
        failed = typed.refused(typed.execute, "DELETE FROM Typed WHERE pk = 'p' AND a_s IS NUMERIC")
        assert failed.code == "ConditionalCheckFailedException"
        typed.execute("DELETE FROM Typed WHERE pk = 'p' AND a_s IS STRING")
        assert typed.items("SELECT * FROM Typed") == []


TRUE = [
    "attribute_exists(a_ss) = true",
    "true = attribute_exists(a_ss)",
    "(attribute_exists(a_ss)) = (true)",
    "attribute_exists(gone) = false",
    "attribute_not_exists(gone) = true",
    "begins_with(a_s, 'x') = true",
    "contains(a_ss, 'z') <> true",
    "attribute_exists(a_s) = a_bool",
    "attribute_exists(a_s) = contains(a_ss, 'a')",
    "attribute_exists(gone) = contains(a_ss, 'z')",
    "attribute_exists(gone) <> attribute_exists(a_s)",
    "attribute_exists(a_s) <> 'true'",
    "attribute_exists(a_s) IN [true]",
    "a_bool IN (false, attribute_exists(a_s))",
]
FALSE = [
    "attribute_exists(a_ss) = false",
    "attribute_exists(a_ss) <> true",
    "begins_with(a_s, 'y') = true",
    "attribute_exists(gone) = a_bool",
    "attribute_exists(a_s) = attribute_exists(gone)",
    "attribute_exists(a_s) = a_s",
    "attribute_exists(a_s) = gone",
    "attribute_exists(a_s) IN [false, a_s]",
]


class TestTruthOfFunctions:
    @pytest.mark.parametrize(
        ("condition", "holds"), [*((text, True) for text in TRUE), *((text, False) for text in FALSE)]
    )
    def test_it_compares_as_a_boolean(self, typed: Partiql, condition: str, holds: bool) -> None:
        assert bool(typed.items(f"SELECT pk FROM Typed WHERE pk = 'p' AND {condition}")) is holds
        assert bool(typed.items(f"SELECT pk FROM Typed WHERE NOT ({condition})")) is not holds

    @pytest.mark.parametrize("value", [True, False])
    def test_it_compares_with_a_parameter(self, typed: Partiql, value: bool) -> None:
        found = typed.items("SELECT pk FROM Typed WHERE attribute_exists(a_s) = ?", {"BOOL": value})
        assert bool(found) is value

    @pytest.mark.parametrize(
        ("operator", "condition"),
        [("<", "attribute_exists(a_s) < true"), ("BETWEEN", "a_s BETWEEN attribute_exists(a_s) AND 'z'")],
    )
    def test_it_has_no_order(self, typed: Partiql, operator: str, condition: str) -> None:
        refusal = typed.refused(typed.execute, f"SELECT pk FROM Typed WHERE {condition}")
        assert refusal.message == (
            f"Incorrect operand type for operator or function; operator or function: {operator}, operand type: BOOL"
        )

    def test_it_is_in_no_empty_list(self, typed: Partiql) -> None:
        refusal = typed.refused(typed.execute, "SELECT pk FROM Typed WHERE attribute_exists(a_s) IN []")
        assert str(refusal.message).startswith("IN operator must have a left hand argument ")


KEYS = {
    "by-g": ["g = 'g-p'", "g IN ('g-p', 'g-q')", "g BETWEEN 'a' AND 'z'"],
    "by-l": ["pk = 'p'", "pk IN ['p', 'q']", "l > 'a' AND pk = 'p'"],
}
OTHERS = ["a = 'a1'", "a IS MISSING", "begins_with(a, 'a')", "NOT a = 'a1'", "a IS STRING", "m.x = 1 OR a = 'b'"]


class TestAttributesThatAnIndexLacks:
    @pytest.mark.parametrize("other", OTHERS)
    @pytest.mark.parametrize(("index", "key"), [(index, key) for index, keys in KEYS.items() for key in keys])
    def test_a_query_may_not_ask_for_them(self, sql: Partiql, index: str, key: str, other: str) -> None:
        refusal = sql.refused(sql.execute, f'SELECT pk FROM Things."{index}" WHERE {key} AND ({other})')
        names = "a, m" if "m.x" in other else "a"
        assert refusal.message == (
            f"One or more parameter values were invalid: Secondary index {index} does not project one or more filter "
            f"attributes: [{names}]"
        )

    @pytest.mark.parametrize("index", KEYS)
    @pytest.mark.parametrize("columns", ["pk", "*"])
    def test_to_a_scan_they_are_missing(self, sql: Partiql, index: str, columns: str) -> None:
        assert sql.items(f"SELECT {columns} FROM Things.\"{index}\" WHERE a = 'a1'") == []
        assert len(sql.items(f'SELECT {columns} FROM Things."{index}" WHERE a IS MISSING')) == 5
        assert sql.items(f"SELECT {columns} FROM Things.\"{index}\" WHERE l = 'x' OR a = 'a1'") == []

    def test_they_are_missing_although_their_columns_are_fetched(self, sql: Partiql) -> None:
        found = sql.items("SELECT a FROM Things.\"by-l\" WHERE pk = 'r' OR a = 'a1'")
        assert found == [{"a": {"S": "a7"}}]
        assert len(sql.items('SELECT a FROM Things."by-l" WHERE m.x IS MISSING')) == 5
