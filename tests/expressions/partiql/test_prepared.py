"""One translation of a text, the values of many executions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from atoll.expressions.partiql.prepared import prepare, values_of

Message = Callable[..., str | None]


def test_one_translation_serves_all_parameters() -> None:
    text = "SELECT * FROM Tab WHERE pk = ?"
    assert prepare(text).statement is prepare(text).statement
    assert [values_of(prepare(text), [{"S": value}]) for value in "ab"] == [{"?0": {"S": "a"}}, {"?0": {"S": "b"}}]


@pytest.mark.parametrize(
    ("text", "parameters", "expected"),
    [
        ("SELECT * FROM Tab WHERE a = ?", [], "Number of parameters in request and statement don't match."),
        (
            "UPDATE Tab SET s = set_add(s, ?) WHERE pk = 1",
            [{"S": "x"}],
            "The second argument to SET_ADD must be a value with type SET at 1:28:1",
        ),
        (
            "SELECT * FROM Tab WHERE a BETWEEN ? AND 1",
            [{"N": "2"}],
            "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound "
            "operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {N:1}",
        ),
        (
            "UPDATE Tab SET a = 1 REMOVE a.b WHERE pk = 1",
            [],
            "Two document paths overlap with each other; must remove or rewrite one of these paths; "
            "path one: [a, b], path two: [a]",
        ),
    ],
)
def test_errors_that_show_only_with_the_parameters(
    text: str, parameters: list[dict[str, Any]], expected: str, message: Message
) -> None:
    assert message(values_of, prepare(text), parameters) == expected
