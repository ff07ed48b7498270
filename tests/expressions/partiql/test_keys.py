"""The keys in a condition: the item that it selects, or the parts of a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from atoll.expressions import tree
from atoll.expressions.keyrange import KeyCondition
from atoll.expressions.partiql import keys
from atoll.expressions.partiql.prepared import prepare, values_of
from atoll.expressions.partiql.statements import Deleting, Values

Message = Callable[..., str | None]

PK, SK = [("pk", "S")], [("sk", "N")]


def condition(where: str) -> tuple[tree.ConditionNode | None, Values]:
    prepared = prepare(f"DELETE FROM Tab WHERE {where}")
    assert isinstance(prepared.statement, Deleting)
    return prepared.statement.where, values_of(prepared, [])


def access(where: str) -> keys.Access:
    node, values = condition(where)
    return keys.access(node, PK, SK, values)


@pytest.mark.parametrize(
    ("where", "partitions", "exact"),
    [
        ("pk = 'p'", ["p"], True),
        ("'p' = pk", ["p"], True),
        ("pk = 'p' AND a = 1", ["p"], False),
        ("pk IN ['p', 'q', 'p']", ["p", "q"], False),
        ("pk = 'p' OR pk = 'q' AND a = 1", ["p", "q"], False),
        ("pk = 'p' OR a = 1", None, False),
        ("NOT pk = 'p'", None, False),
        ("pk > 'p'", None, False),
        ("a = 1", None, False),
    ],
)
def test_partitions_that_a_condition_can_be_true_in(where: str, partitions: list[str] | None, exact: bool) -> None:
    found = access(where)
    assert found.partitions == (None if partitions is None else tuple(({"S": p},) for p in partitions))
    assert found.exact == exact


def test_conditions_on_the_sort_key() -> None:
    found = access("1 < sk AND pk = 'p' AND sk BETWEEN 0 AND 9")
    assert found.sort == (
        KeyCondition((), (), ">", ({"N": "1"},)),
        KeyCondition((), (), "BETWEEN", ({"N": "0"}, {"N": "9"})),
    )
    assert found.exact


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("pk = 1", "Key attribute's data type should match its data type in table's schema: Key pk"),
        ("pk <> 1", "One or more parameter values were invalid: Condition parameter type does not match schema type"),
        ("sk IN ['a'] AND pk = 1", "Key attribute's data type should match its data type in table's schema: Key pk"),
        ("pk = 'p' AND sk < 'a'", "Key attribute's data type should match its data type in table's schema: Key sk"),
        *(
            (where, "One or more parameter values were invalid: Condition parameter type does not match schema type")
            for where in (
                "pk = 'p' AND sk <> 'a'",
                "pk = 'p' AND pk = 1",
                "pk = 'p' AND sk > 0 AND sk < 'a'",
                "pk IN ['p', 'q'] AND sk = 'a'",
                "sk = 'a'",
            )
        ),
        (
            "pk = ''",
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
            "empty string value. Key: pk",
        ),
        (
            "pk.x = 1",
            "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: pk",
        ),
    ],
)
def test_refused_conditions_on_keys(where: str, expected: str, message: Message) -> None:
    assert message(access, where) == expected


def item_key(where: str) -> Any:
    node, values = condition(where)
    return keys.item_key(node, PK + SK, values)


def test_the_item_that_a_write_means() -> None:
    key, rest = item_key("a = 1 AND (pk = 'p' AND sk = 2)")
    assert key == {"pk": {"S": "p"}, "sk": {"N": "2"}}
    assert len(rest) == 1


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("pk = 'p'", "Where clause does not contain a mandatory equality on all key attributes"),
        ("pk = 'p' AND sk > 1", "Where clause does not contain a mandatory equality on all key attributes"),
        ("pk = 'p' OR sk = 1", "Where clause does not contain a mandatory equality on all key attributes"),
        ("pk = 1 AND sk = 1", "Key attribute's data type should match its data type in table's schema: Key pk"),
        (
            "pk = 'p' AND sk = 1 AND sk = 2",
            "Multiple conditions on same key sk. Only single item Update/Insert/Delete are supported",
        ),
    ],
)
def test_writes_that_mean_no_single_item(where: str, expected: str, message: Message) -> None:
    assert message(item_key, where) == expected
