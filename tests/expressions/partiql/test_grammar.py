"""What is a statement, and what is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from atoll.errors import ApiError
from atoll.expressions.partiql import grammar

Message = Callable[..., str | None]


def test_deep_expressions_are_refused() -> None:
    for text in ("a = 1" + " + 1" * 1500, "NOT " * 1500 + "a = 1", "a = " + "- " * 1500 + "1", "a = " + "[" * 1500):
        with pytest.raises(ApiError, match="well formed"):
            grammar.parse(f"SELECT * FROM Tab WHERE {text}")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT",
        "SELECT * FROM",
        "SELECT *, pk FROM Tab",
        "SELECT * FROM Tab WHERE",
        "SELECT * FROM Tab WHERE pk = 'p' AND",
        "SELECT * FROM Tab WHERE pk == 'p'",
        "SELECT * FROM Tab WHERE (pk = 'p'",
        "SELECT * FROM Tab WHERE pk = 'p",
        "SELECT * FROM Tab;;",
        "SELECT size FROM Tab",
        "SELECT é FROM Tab",
        "INSERT INTO Tab VALUES {'pk': 'p'}",
        "UPDATE Tab WHERE pk = 'p'",
        "UPDATE Tab SET 'a' = 1 WHERE pk = 'p'",
        "DELETE Tab WHERE pk = 'p'",
        "EXISTS SELECT * FROM Tab",
        "foo bar",
        "SELECT * FROM Tab WHERE " + "(" * 2000 + "a = 1" + ")" * 2000,
    ],
)
def test_invalid_partiql_is_refused(text: str, message: Message) -> None:
    assert message(grammar.parse, text) == f"Statement wasn't well formed, can't be processed: {text}"
