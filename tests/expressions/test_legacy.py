"""Legacy parameters become the same trees as expressions."""

from __future__ import annotations

from typing import Any

import pytest

from atoll.errors import ApiError
from atoll.expressions import legacy
from atoll.expressions.keyrange import KeyCondition

ITEM: dict[str, Any] = {
    "s": {"S": "abc"},
    "n": {"N": "5"},
    "ss": {"SS": ["a", "b"]},
    "ns": {"NS": ["1", "2"]},
    "l": {"L": [{"S": "a"}, {"N": "1"}]},
    "m": {"M": {"a": {"N": "1"}}},
    "bool": {"BOOL": True},
    "null": {"NULL": True},
    "b": {"B": "YWJj"},
}
NAMES = [*ITEM, "gone"]


def entry(operator: str, *operands: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"ComparisonOperator": operator}
    return found | {"AttributeValueList": list(operands)} if operands else found


def holds(name: str, given: dict[str, Any]) -> bool:
    condition = legacy.expected({name: given}, None)
    assert condition is not None
    return condition.matches(ITEM)


def refusal(fn: Any, *args: Any) -> str:
    with pytest.raises(ApiError) as caught:
        fn(*args)
    assert caught.value.code == "ValidationException"
    return str(caught.value.message)


INVALID = "One or more parameter values were invalid: "


@pytest.mark.parametrize(
    ("operator", "operand", "matching"),
    [
        ("EQ", {"S": "abc"}, "s"),
        ("EQ", {"SS": ["b", "a"]}, "ss"),
        ("EQ", {"M": {"a": {"N": "1.0"}}}, "m"),
        ("NE", {"S": "abc"}, "n ss ns l m bool null b gone"),
        ("GE", {"N": "5"}, "n"),
        ("LT", {"N": "5"}, ""),
        ("CONTAINS", {"S": "a"}, "s ss l"),
        ("CONTAINS", {"N": "1"}, "ns l"),
        ("CONTAINS", {"B": "YQ=="}, "b"),
        ("NOT_CONTAINS", {"S": "a"}, "n ns m bool null b"),
        ("BEGINS_WITH", {"S": "ab"}, "s"),
        ("IN", {"N": "5"}, "n"),
    ],
)
def test_comparisons_hold_for(operator: str, operand: dict[str, Any], matching: str) -> None:
    assert [name for name in NAMES if holds(name, entry(operator, operand))] == matching.split()


def test_null_asks_for_absence_not_for_the_null_type() -> None:
    assert [name for name in NAMES if holds(name, entry("NULL"))] == ["gone"]
    assert holds("null", entry("NOT_NULL"))


def test_between_is_inclusive() -> None:
    assert holds("n", entry("BETWEEN", {"N": "5"}, {"N": "5"}))


def test_older_forms_of_expected() -> None:
    assert holds("s", {"Value": {"S": "abc"}})
    assert holds("s", {"Exists": True, "Value": {"S": "abc"}})
    assert holds("gone", {"Exists": False})
    assert not holds("s", {"Exists": False})
    assert holds("n", {"ComparisonOperator": "GT", "Value": {"N": "4"}})


def test_conditions_are_joined_by_and_unless_told_otherwise() -> None:
    given = {"s": entry("EQ", {"S": "abc"}), "n": entry("EQ", {"N": "6"})}
    every, any_ = legacy.expected(given, "AND"), legacy.filter(given, "OR")
    assert every is not None
    assert any_ is not None
    assert not every.matches(ITEM)
    assert any_.matches(ITEM)
    assert any_.attributes == {"s", "n"}


def test_an_empty_expected_is_not_a_condition() -> None:
    assert legacy.expected({}, None) is None
    assert legacy.filter(None, None) is None


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ({}, "Value must be provided when Exists is null for Attribute: a"),
        ({"Exists": True}, "Value must be provided when Exists is true for Attribute: a"),
        ({"Exists": False, "Value": {"S": "x"}}, "Value cannot be used when Exists is false for Attribute: a"),
        (
            {"Exists": False, "ComparisonOperator": "NULL"},
            "Exists and ComparisonOperator cannot be used together for Attribute: a",
        ),
        (
            {"AttributeValueList": [{"S": "x"}]},
            "AttributeValueList can only be used with a ComparisonOperator for Attribute: a",
        ),
        (
            {"AttributeValueList": [{"S": "x"}], "Value": {"S": "x"}},
            "Value and AttributeValueList cannot be used together for Attribute: a",
        ),
        (entry("EQ"), "Value or AttributeValueList must be used with ComparisonOperator: EQ for Attribute: a"),
        (
            {"ComparisonOperator": "EQ", "AttributeValueList": []},
            "Invalid number of argument(s) for the EQ ComparisonOperator",
        ),
        (entry("NULL", {"S": "x"}), "Invalid number of argument(s) for the NULL ComparisonOperator"),
        (entry("BETWEEN", {"S": "x"}), "Invalid number of argument(s) for the BETWEEN ComparisonOperator"),
        (
            entry("IN", {"S": "x"}, {"N": "1"}),
            "AttributeValues inside AttributeValueList must be of same type",
        ),
        (entry("LT", {"BOOL": True}), "ComparisonOperator LT is not valid for BOOL AttributeValue type"),
        (entry("CONTAINS", {"SS": ["x"]}), "ComparisonOperator CONTAINS is not valid for SS AttributeValue type"),
        (entry("BEGINS_WITH", {"N": "1"}), "ComparisonOperator BEGINS_WITH is not valid for N AttributeValue type"),
    ],
)
def test_refused_conditions(part: dict[str, Any], text: str) -> None:
    assert refusal(legacy.expected, {"a": part}, None) == INVALID + text


def test_other_refusals_of_conditions() -> None:
    one = {"a": entry("NULL")}
    assert refusal(legacy.expected, None, "OR") == "ConditionalOperator cannot be used without Filter or Expected"
    assert (
        refusal(legacy.filter, one, "OR")
        == "ConditionalOperator can only be used when Filter or Expected has two or more elements"
    )
    assert (
        refusal(legacy.expected, {"a": entry("BETWEEN", {"N": "10"}, {"N": "9"})}, None)
        == "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound"
    )
    assert refusal(legacy.expected, {"": entry("NULL")}, None) == "Empty attribute name"


def test_key_conditions_for_a_schema() -> None:
    given = {"p": entry("EQ", {"S": "x"}), "n": entry("BETWEEN", {"N": "1.0"}, {"N": "2"})}
    found = legacy.key_condition(given)([("p", "S")], [("n", "N")])
    assert found == KeyCondition(({"S": "x"},), (), "BETWEEN", ({"N": "1"}, {"N": "2"}))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"p": entry("EQ", {"N": "1"})}, INVALID + "Condition parameter type does not match schema type"),
        ({"p": entry("GT", {"S": "x"})}, "Query key condition not supported"),
        ({"p": entry("NE", {"S": "x"})}, "Attempted conditional constraint is not an indexable operation"),
        (
            {"p": entry("EQ", {"S": "x"}), "n": entry("NOT_NULL")},
            "Attempted conditional constraint is not an indexable operation",
        ),
        ({"n": entry("EQ", {"N": "1"})}, "Query condition missed key schema element: p"),
    ],
)
def test_refused_key_conditions(given: dict[str, Any], text: str) -> None:
    assert refusal(legacy.key_condition(given), [("p", "S")], [("n", "N")]) == text


def test_key_conditions_need_one() -> None:
    assert refusal(legacy.key_condition, {}) == "Conditions can be of length 1 or 2 only"


def updated(old: dict[str, Any], **given: Any) -> Any:
    update = legacy.attribute_updates(given)
    assert update is not None
    return update.apply(old)


def test_put_and_delete() -> None:
    assert updated({"a": {"S": "x"}, "b": {"S": "y"}}, a={"Value": {"N": "1.0"}}, b={"Action": "DELETE"}) == {
        "a": {"N": "1"}
    }


def test_add_to_numbers_sets_and_lists() -> None:
    add = {"Action": "ADD"}
    assert updated({"a": {"N": "2"}}, a=add | {"Value": {"N": "5"}}) == {"a": {"N": "7"}}
    assert updated({"a": {"SS": ["x"]}}, a=add | {"Value": {"SS": ["x", "y"]}}) == {"a": {"SS": ["x", "y"]}}
    assert updated({"a": {"L": [{"N": "1"}]}}, a=add | {"Value": {"L": [{"S": "x"}]}}) == {
        "a": {"L": [{"N": "1"}, {"S": "x"}]}
    }


@pytest.mark.parametrize("value", [{"N": "5"}, {"SS": ["x"]}, {"L": [{"S": "x"}]}])
def test_add_to_nothing_sets(value: dict[str, Any]) -> None:
    assert updated({}, a={"Action": "ADD", "Value": value}) == {"a": value}


def test_deleting_the_last_members_removes_the_attribute() -> None:
    assert updated({"a": {"SS": ["x"]}}, a={"Action": "DELETE", "Value": {"SS": ["x", "y"]}}) == {}
    assert updated({}, a={"Action": "DELETE", "Value": {"SS": ["x", "y"]}}) == {}


@pytest.mark.parametrize(
    ("old", "action", "value"),
    [
        ({"S": "x"}, "ADD", {"N": "1"}),
        ({"S": "x"}, "ADD", {"L": []}),
        ({"NS": ["1"]}, "ADD", {"SS": ["1"]}),
        ({"NS": ["1"]}, "DELETE", {"SS": ["1"]}),
    ],
)
def test_update_of_another_type(old: dict[str, Any], action: str, value: dict[str, Any]) -> None:
    given = {"a": {"Action": action, "Value": value}}
    update = legacy.attribute_updates(given)
    assert update is not None
    assert refusal(update.apply, {"a": old}) == "Type mismatch for attribute to update"


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ({}, "Only DELETE action is allowed when no attribute value is specified"),
        ({"Action": "ADD"}, "Only DELETE action is allowed when no attribute value is specified"),
        ({"Action": "ADD", "Value": {"S": "x"}}, "ADD action is not supported for the type S"),
        ({"Action": "DELETE", "Value": {"L": []}}, "DELETE action with value is not supported for the type L"),
    ],
)
def test_refused_updates(part: dict[str, Any], text: str) -> None:
    assert refusal(legacy.attribute_updates, {"a": part}) == INVALID + text


def test_an_empty_list_of_updates_changes_nothing() -> None:
    assert legacy.attribute_updates({}) is None


def test_attributes_to_get_are_names_and_no_paths() -> None:
    projection = legacy.attributes_to_get(["m.a", "size", "m"])
    assert projection.apply({"m": {"M": {"a": {"N": "1"}}}, "m.a": {"S": "x"}, "n": {"N": "1"}}) == {
        "m.a": {"S": "x"},
        "m": {"M": {"a": {"N": "1"}}},
    }
    assert refusal(legacy.attributes_to_get, ["a", "b", "a"]) == INVALID + "Duplicate value in attribute name: a"


def test_conditions_have_the_bounds_of_expressions() -> None:
    one = [{"N": "1"}]
    many = {f"a{number}": entry("EQ", *one) for number in range(301)}
    for fn in (legacy.filter, legacy.expected):
        assert refusal(fn, many, None) == "Too many conditions; the maximum number of conditions is 300"
        assert fn(dict(list(many.items())[:300]), None)
        assert "IN ComparisonOperator" in refusal(fn, {"a": entry("IN", *one * 101)}, None)
        assert fn({"a": entry("IN", *({"N": str(number)} for number in range(100)))}, None)
        large = {f"a{number}": entry("EQ", {"S": "x" * 300_000}) for number in range(8)}
        assert refusal(fn, large, None) == "The values of all conditions exceed max size"
    assert refusal(legacy.key_condition, many) == "Conditions can be of length 1 or 2 only"


@pytest.mark.parametrize("part", [{"Action": "DELETE"}, {"Value": {"S": "x" * 500}}])
def test_updates_are_not_larger_than_items(part: dict[str, Any]) -> None:
    updates = {f"a{number}": part for number in range(100_000)}
    text = "Item size to update has exceeded the maximum allowed size"
    assert refusal(legacy.attribute_updates, updates) == text
    assert legacy.attribute_updates(dict(list(updates.items())[:500]))
