"""Filter patterns, by the rules that Lambda documents."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from atoll import limits
from atoll.triggers import filters

RECORD = {
    "eventName": "INSERT",
    "dynamodb": {
        "Keys": {"pk": {"S": "order#1"}},
        "NewImage": {
            "pk": {"S": "order#1"},
            "state": {"S": "Paid"},
            "total": {"N": "12"},
            "gift": {"BOOL": True},
            "note": {"NULL": True},
            "tags": {"SS": ["new", "big"]},
            "lines": {"L": [{"M": {"sku": {"S": "A"}}}, {"M": {"sku": {"S": "B"}}}]},
            "empty": {"S": ""},
        },
        "SizeBytes": 40,
    },
}


def matches(pattern: Any, record: Any = RECORD) -> bool:
    return filters.compile(orjson.dumps(pattern).decode())(record)


def image(**leaf: Any) -> dict[str, Any]:
    return {"dynamodb": {"NewImage": leaf}}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({}, True),
        ({"eventName": ["INSERT"]}, True),
        ({"eventName": ["MODIFY", "INSERT"]}, True),
        ({"eventName": ["REMOVE"]}, False),
        ({"eventName": ["INSERT"], "eventSource": ["aws:dynamodb"]}, False),
        (image(state={"S": ["Paid"]}), True),
        (image(state={"S": [{"prefix": "Pa"}]}), True),
        (image(state={"S": [{"suffix": "id"}]}), True),
        (image(state={"S": [{"prefix": "pa"}]}), False),
        (image(state={"S": [{"equals-ignore-case": "PAID"}]}), True),
        (image(state={"S": [{"anything-but": ["Paid", "Sent"]}]}), False),
        (image(state={"S": [{"anything-but": "Sent"}]}), True),
        (image(state={"S": [{"anything-but": {"prefix": "Pa"}}]}), False),
        (image(missing={"S": [{"anything-but": ["Sent"]}]}), False),
        (image(gift={"BOOL": [True]}), True),
        (image(gift={"BOOL": [1]}), False),
        (image(total={"N": ["12"]}), True),
        (image(total={"N": [12]}), False),
        (image(total={"N": [{"numeric": [">", 10]}]}), False),  # the numbers of items are text
        ({"dynamodb": {"SizeBytes": [{"numeric": [">", 0, "<=", 40]}]}}, True),
        ({"dynamodb": {"SizeBytes": [{"numeric": ["=", 41]}]}}, False),
        ({"dynamodb": {"SizeBytes": [40.0]}}, True),
        (image(empty={"S": [""]}), True),
        (image(state={"S": [{"exists": True}]}), True),
        (image(state=[{"exists": True}]), False),  # only leaves exist
        (image(state={"N": [{"exists": False}]}), True),
        ({"dynamodb": {"OldImage": {"pk": {"S": [{"exists": False}]}}}}, True),
        (image(tags={"SS": ["big"]}), True),
        (image(tags={"SS": ["small"]}), False),
        (image(lines={"L": {"M": {"sku": {"S": ["B"]}}}}), True),
        (image(lines={"L": {"M": {"sku": {"S": ["C"]}}}}), False),
        ({"$or": [{"eventName": ["REMOVE"]}, image(state={"S": ["Paid"]})]}, True),
        ({"$or": [{"eventName": ["REMOVE"]}, image(state={"S": ["Sent"]})]}, False),
    ],
)
def test_a_pattern_matches_as_documented(pattern: Any, expected: bool) -> None:
    assert matches(pattern) is expected


def test_null_is_a_value() -> None:
    assert matches({"note": [None]}, {"note": None})
    assert not matches({"note": [None]}, {})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '"INSERT"',
        '{"eventName": "INSERT"}',
        '{"eventName": []}',
        '{"eventName": [["INSERT"]]}',
        '{"eventName": [{"like": "x"}]}',
        '{"eventName": [{"prefix": 5}]}',
        '{"eventName": [{"prefix": "a", "suffix": "b"}]}',
        '{"eventName": [{"exists": "yes"}]}',
        '{"eventName": [{"anything-but": []}]}',
        '{"size": [{"numeric": [">"]}]}',
        '{"size": [{"numeric": ["~", 3]}]}',
        '{"size": [{"numeric": [">", "3"]}]}',
        '{"$or": []}',
        '{"$or": {"a": [1]}}',
    ],
)
def test_an_invalid_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        filters.compile(text)


def test_several_patterns_are_alternatives() -> None:
    test = filters.any_of(['{"eventName": ["REMOVE"]}', '{"eventName": ["INSERT"]}'])
    assert test is not None and test(RECORD)
    assert filters.any_of([]) is None


def test_a_pattern_deeper_than_any_record_is_refused() -> None:
    """One that was much deeper let every look at the streams fail, for all functions."""

    def nested(depth: int) -> str:
        return '{"a":' * (depth - 2) + '["b"]' + "}" * (depth - 2)

    assert not filters.compile(nested(limits.FILTER_DEPTH))({})
    with pytest.raises(ValueError):
        filters.compile(nested(limits.FILTER_DEPTH + 1))
