"""What is a statement, and what is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from atoll.errors import ApiError
from atoll.expressions.partiql import grammar
from atoll.expressions.partiql.tree import Update

Message = Callable[..., str | None]


def test_deep_expressions_are_refused() -> None:
    for text in ("a = 1" + " + 1" * 1500, "NOT " * 1500 + "a = 1", "a = " + "- " * 1500 + "1", "a = " + "[" * 1500):
        with pytest.raises(ApiError, match="well formed"):
            grammar.parse(f"SELECT * FROM Tab WHERE {text}")


TERM, AFTER = "Unexpected term", "Unexpected token after expression"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SELECT", TERM),
        ("SELECT * FROM", TERM),
        ("SELECT *, pk FROM Tab", TERM),
        ("SELECT * FROM Tab WHERE", TERM),
        ("SELECT * FROM Tab WHERE;", TERM),
        ("SELECT * FROM Tab WHERE NOT", TERM),
        ("SELECT * FROM Tab WHERE (", TERM),
        ("UPDATE Tab SET a = 1 WHERE", TERM),
        ("DELETE FROM Tab WHERE", TERM),
        ("SELECT * FROM Tab WHERE pk = 'p' AND", "Missing right-hand side expression of infix operator"),
        ("SELECT * FROM Tab WHERE pk = 'p' OR", "Missing right-hand side expression of infix operator"),
        ("SELECT * FROM Tab WHERE pk == 'p'", "Unexpected operator"),
        ("SELECT * FROM Tab WHERE IS NULL", "Unexpected operator"),
        ("SELECT * FROM Tab WHERE pk = LIKE", "Unexpected operator"),
        ("SELECT * FROM Tab WHERE ORDER BY pk", "Unexpected keyword"),
        ("SELECT * FROM Tab WHERE pk IS FOO", "Expected type name"),
        ("SELECT m.inner FROM Tab", "Invalid path dot component"),
        ("SELECT * FROM Tab WHERE (pk = 'p'", TERM),
        ("SELECT * FROM Tab WHERE pk = 'p", ""),
        ("SELECT * FROM Tab WHERE pk # 'p'", ""),
        ("SELECT * FROM Tab /* WHERE pk = 'p'", ""),
        ("SELECT * FROM Tab WHERE pk = 1e2147483648", ""),
        ("SELECT * FROM Tab WHERE pk = 0.1e-2147483647", ""),
        ("SELECT * FROM Tab WHERE pk = 1e99999999999", ""),
        ("SELECT * FROM Tab;;", AFTER),
        ("SELECT * FROM Tab WHERE pk = 'p' pk", AFTER),
        ("SELECT é FROM Tab", ""),
        ("UPDATE Tab WHERE pk = 'p'", TERM),
        ("UPDATE Tab SET 'a' = 1 WHERE pk = 'p'", "Expected identifier for simple path"),
        ("UPDATE Tab SET", "Expected identifier for simple path"),
        ("UPDATE Tab SET a = 1 REMOVE", "Expected identifier for simple path"),
        ("UPDATE Tab SET a = 1, WHERE pk = 'p'", "Expected identifier for simple path"),
        ("INSERT INTO", "Expected identifier for simple path"),
        ("INSERT INTO 'Tab' VALUE {}", "Expected identifier for simple path"),
        ("FROM Tab SET c = 1 WHERE pk = 'p'", AFTER),
        ("DELETE FROM", "Expected identifier for simple path"),
        ("DELETE FROM;", "Expected identifier for simple path"),
        ("DELETE FROM WHERE pk = 'p'", "Expected identifier for simple path"),
        ("foo bar", AFTER),
        ("SELECT * FROM Tab WHERE " + "(" * 2000 + "a = 1" + ")" * 2000, TERM),
    ],
)
def test_invalid_partiql_is_refused_with_a_reason(text: str, reason: str, message: Message) -> None:
    assert message(grammar.parse, text) == f"Statement wasn't well formed, can't be processed: {reason}"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT size FROM Tab",
        "INSERT INTO Tab VALUES {'pk': 'p'}",
        "DELETE Tab WHERE pk = 'p'",
        "EXISTS SELECT * FROM Tab",
    ],
)
def test_other_invalid_partiql_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match="Statement wasn't well formed, can't be processed: "):
        grammar.parse(text)


@pytest.mark.parametrize("returning", ["", " RETURNING ALL NEW *"])
def test_an_update_may_begin_with_its_table(returning: str) -> None:
    [first, _], [second, _] = (
        grammar.parse(f"FROM Tab WHERE pk = 'p' SET c = 1 REMOVE b{returning}"),
        grammar.parse(f"UPDATE Tab SET c = 1 REMOVE b WHERE pk = 'p'{returning}"),
    )
    assert isinstance(first, Update) and isinstance(second, Update)
    assert (len(first.actions), first.returning) == (len(second.actions), second.returning)
