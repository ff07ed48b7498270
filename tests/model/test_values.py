from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.errors import ApiError
from atoll.model import comparison, values

INVALID = "One or more parameter values were invalid: "
EMPTY = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
SEVERAL = "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
DUPLICATES = "Input collection contains duplicates"
NESTING = (
    "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"
)
NOT_NUMERIC = "The parameter cannot be converted to a numeric value"
ATTRIBUTE_VALUE = "class com.amazonaws.dynamodb.v20120810.AttributeValue"


def error_of(value: Any) -> tuple[str, str | None]:
    with pytest.raises(ApiError) as error:
        values.check_item({"a": copy.deepcopy(value)})
    if value is not None:
        with pytest.raises(ApiError) as alone:
            values.check_value(value)
        assert alone.value.message == error.value.message
    return error.value.code, error.value.message


def nested(depth: int, innermost: dict[str, Any], kind: str) -> dict[str, Any]:
    value = innermost
    for _ in range(depth):
        value = {"L": [value]} if kind == "L" else {"M": {"a": value}}
    return value


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": ""}, 0),
        ({"S": "abc"}, 3),
        ({"S": "é€😀"}, 9),
        ({"N": "12"}, 2),
        ({"N": "-1.5"}, 4),
        ({"B": ""}, 0),
        ({"B": "YQ=="}, 1),
        ({"B": "YWI="}, 2),
        ({"B": "YWJj"}, 3),
        ({"BOOL": False}, 1),
        ({"NULL": True}, 1),
        ({"SS": ["a", "bc", ""]}, 3),
        ({"NS": ["1", "123"]}, 5),
        ({"BS": ["YQ==", "YWJj"]}, 4),
        ({"L": []}, 3),
        ({"L": [{"S": "ab"}, {"BOOL": True}]}, 8),
        ({"M": {}}, 3),
        ({"M": {"name": {"S": "x"}, "é": {"L": []}}}, 15),
    ],
)
def test_sizes_follow_the_published_formula(value: dict[str, Any], size: int) -> None:
    assert values.check_value(value) == size
    assert values.value_size(value) == size
    item = {"pk": {"S": "key"}, "é": value}
    assert values.check_item(item) == values.item_size(item) == 5 + 2 + size


def test_numbers_become_canonical_and_sets_sorted_in_place_at_any_depth() -> None:
    item: dict[str, Any] = {
        "n": {"N": "1.50e1"},
        "m": {"M": {"l": {"L": [{"N": "-0"}, {"NS": ["001", "2.0", "0.5"]}]}}},
    }
    values.check_item(item)
    assert item == {"n": {"N": "15"}, "m": {"M": {"l": {"L": [{"N": "0"}, {"NS": ["0.5", "1", "2"]}]}}}}


def test_ignored_members_of_a_value_are_dropped() -> None:
    item: dict[str, Any] = {
        "a": {"S": "x", "N": None, "Unknown": 1},
        "b": {"BOOL": "true"},
        "c": {"L": [{"NULL": "YES", "L": None}]},
    }
    values.check_item(item)
    assert item == {"a": {"S": "x"}, "b": {"BOOL": True}, "c": {"L": [{"NULL": True}]}}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, EMPTY),
        ({"S": None}, EMPTY),
        ({"Unknown": 1}, EMPTY),
        ({"L": [{}]}, EMPTY),
        ({"S": "a", "N": "1"}, SEVERAL),
        ({"S": "a", "N": "x"}, f"{NOT_NUMERIC}: x"),
        ({"S": "a", "SS": []}, f"{INVALID}An string set  may not be empty"),
        ({"N": ""}, NOT_NUMERIC),
        ({"N": "abc"}, f"{NOT_NUMERIC}: abc"),
        ({"N": "1" * 39}, "Attempting to store more than 38 significant digits in a Number"),
        ({"NULL": False}, f"{INVALID}Null attribute value types must have the value of true"),
        ({"SS": []}, f"{INVALID}An string set  may not be empty"),
        ({"NS": []}, f"{INVALID}An number set  may not be empty"),
        ({"BS": []}, f"{INVALID}Binary sets should not be empty"),
        ({"M": {"a": {"L": [{"NS": []}]}}}, f"{INVALID}An number set  may not be empty"),
        ({"SS": ["a", "a"]}, f"{INVALID}Input collection [a, a] contains duplicates."),
        ({"SS": ["a", "b", "a"]}, f"{INVALID}Input collection [a, b, a] contains duplicates."),
        ({"NS": ["1", "1"]}, DUPLICATES),
        ({"NS": ["1000", "1e3"]}, DUPLICATES),
        ({"NS": ["1", "x"]}, f"{NOT_NUMERIC}: x"),
        ({"NS": ["1", None]}, NOT_NUMERIC),
        ({"BS": ["YQ==", "YQ=="]}, f"{INVALID}Input collection [YQ==, YQ==]of type BS contains duplicates."),
        ({"SS": ["a", None]}, f"{INVALID}An string set may not have a null string as a member"),
        ({"BS": [None]}, "The supplied Item contains a null AttributeValue"),
        (None, "The supplied Item contains a null AttributeValue: a is null"),
        ({"M": {"b": None}}, "The supplied Item contains a null AttributeValue: b is null"),
        ({"L": [None]}, "The supplied Item contains a null AttributeValue"),
        ({"M": {"": {"S": "x"}}}, "Empty attribute name"),
        ({"M": {"": {"N": "x"}}}, f"{NOT_NUMERIC}: x"),
    ],
)
def test_values_that_mean_nothing(value: Any, message: str) -> None:
    assert error_of(value) == ("ValidationException", message)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"S": 1}, "NUMBER_VALUE cannot be converted to String"),
        ({"S": 1.5}, "DECIMAL_VALUE cannot be converted to String"),
        ({"S": True}, "TRUE_VALUE cannot be converted to String"),
        ({"S": False}, "FALSE_VALUE cannot be converted to String"),
        ({"S": []}, "Unrecognized collection type class java.lang.String"),
        ({"S": {}}, "Start of structure or map found where not expected"),
        ({"N": 123}, "NUMBER_VALUE cannot be converted to String"),
        ({"B": 1}, "only base-64-encoded strings are convertible to bytes"),
        ({"B": []}, "Unrecognized collection type class java.nio.ByteBuffer"),
        ({"B": {}}, "Start of structure or map found where not expected"),
        ({"B": "YQ"}, "Base64 encoded length is expected a multiple of 4 bytes but found: 2"),
        ({"B": "a-_="}, "Invalid last non-pad Base64 character dectected"),
        ({"B": "YR=="}, "Invalid last non-pad Base64 character dectected"),
        ({"B": "éééé"}, "Invalid last non-pad Base64 character dectected"),
        ({"B": "YQ==YQ=="}, "Invalid last non-pad Base64 character dectected"),
        ({"BOOL": 1}, "NUMBER_VALUE cannot be converted to Boolean"),
        ({"BOOL": "x"}, "Unexpected token received from parser"),
        ({"BOOL": []}, "Unrecognized collection type class java.lang.Boolean"),
        ({"NULL": {}}, "Start of structure or map found where not expected"),
        ({"SS": "a"}, "Unexpected field type"),
        ({"SS": {}}, "Start of structure or map found where not expected"),
        ({"SS": [1]}, "NUMBER_VALUE cannot be converted to String"),
        ({"NS": [1]}, "NUMBER_VALUE cannot be converted to String"),
        ({"BS": ["x"]}, "Base64 encoded length is expected a multiple of 4 bytes but found: 1"),
        ({"L": {}}, "Start of structure or map found where not expected"),
        ({"L": ""}, "Unexpected field type"),
        ({"L": ["a"]}, "Unexpected value type in payload"),
        ({"L": [[]]}, f"Unrecognized collection type {ATTRIBUTE_VALUE}"),
        (
            {"M": []},
            "Unrecognized collection type "
            "java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>",
        ),
        ({"M": "x"}, "Unexpected field type"),
        ({"M": {"a": "b"}}, "Unexpected value type in payload"),
        ("x", "Unexpected value type in payload"),
        (1, "Unexpected value type in payload"),
        ([], f"Unrecognized collection type {ATTRIBUTE_VALUE}"),
    ],
)
def test_json_of_the_wrong_type(value: Any, message: str) -> None:
    assert error_of(value) == ("SerializationException", message)


def test_json_of_the_wrong_type_comes_before_every_other_fault() -> None:
    with pytest.raises(ApiError) as error:
        values.check_item({"a": {"SS": []}, "b": {"N": "x"}, "c": {"M": {"d": {"N": 1}}}})
    assert error.value.message == "NUMBER_VALUE cannot be converted to String"


def test_the_first_of_several_faults_is_reported() -> None:
    with pytest.raises(ApiError) as error:
        values.check_item({"a": {"S": "x"}, "b": {"N": "x"}, "c": {"SS": []}, "": {"S": "x"}})
    assert error.value.message == f"{NOT_NUMERIC}: x"


@pytest.mark.parametrize("kind", ["L", "M"])
def test_nesting_counts_the_item_and_every_list_and_map(kind: str) -> None:
    values.check_item({"a": nested(31, {"S": "x"}, kind)})
    values.check_item({"a": nested(30, {"L": []}, kind)})
    for value in (nested(32, {"S": "x"}, kind), nested(31, {"M": {}}, kind), nested(10_000, {"N": 1}, kind)):
        with pytest.raises(ApiError) as error:
            values.check_item({"a": value})
        assert error.value.message == NESTING


def test_attribute_names_have_bounds() -> None:
    values.check_item({"é" * 32767: {"S": "x"}})
    for name, message in (
        ("", "Empty attribute name"),
        ("é" * 32768, "Attribute name is too large, must be less than 65536 bytes"),
    ):
        with pytest.raises(ApiError) as error:
            values.check_item({name: {"S": "x"}})
        assert error.value.message == message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*"SNBLMx", "SS", "NS", "BS", "BOOL", "NULL", ""]), inner, max_size=2)
    ),
    max_leaves=12,
)


@settings(max_examples=500)
@given(st.dictionaries(st.text(max_size=2), json_values, max_size=3))
def test_any_json_is_either_refused_or_canonical(item: Any) -> None:
    try:
        size = values.check_item(item)
    except ApiError:
        return
    before = copy.deepcopy(item)
    assert values.check_item(item) == size == values.item_size(item)
    assert item == before


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ({"S": "a"}, {"S": "a"}, True),
        ({"S": "1"}, {"N": "1"}, False),
        ({"N": "1"}, {"N": "2"}, False),
        ({"SS": ["a", "b"]}, {"SS": ["b", "a"]}, True),
        ({"SS": ["a", "b"]}, {"SS": ["a"]}, False),
        ({"SS": ["1"]}, {"NS": ["1"]}, False),
        ({"L": [{"S": "a"}, {"S": "b"}]}, {"L": [{"S": "b"}, {"S": "a"}]}, False),
        ({"L": [{"S": "a"}]}, {"L": [{"S": "a"}, {"S": "b"}]}, False),
        ({"L": [{"NS": ["1", "2"]}]}, {"L": [{"NS": ["2", "1"]}]}, True),
        ({"M": {"a": {"BS": ["YQ==", "Yg=="]}}}, {"M": {"a": {"BS": ["Yg==", "YQ=="]}}}, True),
        ({"M": {"a": {"S": "x"}}}, {"M": {"b": {"S": "x"}}}, False),
        ({"BOOL": True}, {"NULL": True}, False),
    ],
)
def test_equality_ignores_the_order_of_sets_only(a: dict[str, Any], b: dict[str, Any], same: bool) -> None:
    assert comparison.equal(a, b) is same
    assert comparison.equal(b, a) is same
    assert comparison.items_equal({"x": a}, {"x": b}) is same


@pytest.mark.parametrize(
    ("a", "b", "order"),
    [
        ({"S": "a"}, {"S": "b"}, -1),
        ({"S": "b"}, {"S": "a"}, 1),
        ({"S": "a"}, {"S": "a"}, 0),
        ({"S": "\uffff"}, {"S": "😀"}, -1),
        ({"N": "9"}, {"N": "10"}, -1),
        ({"N": "-9"}, {"N": "-10"}, 1),
        ({"N": "0.1"}, {"N": "0.1"}, 0),
        ({"N": "9" * 38}, {"N": "9" * 37 + "8"}, 1),
        ({"B": "/w=="}, {"B": "AA=="}, 1),
        ({"B": "YQ=="}, {"B": "YWI="}, -1),
        ({"S": "1"}, {"N": "1"}, None),
        ({"BOOL": True}, {"BOOL": False}, None),
        ({"SS": ["a"]}, {"SS": ["b"]}, None),
    ],
)
def test_order(a: dict[str, Any], b: dict[str, Any], order: int | None) -> None:
    assert comparison.compare(a, b) == order


@pytest.mark.parametrize(
    ("kind", "members", "expected"),
    [
        ("SS", ["b", "B", "\U0001f600", "\uffff", "a"], ["B", "a", "b", "\uffff", "\U0001f600"]),
        ("NS", ["10", "9", "-1e-3", "2.50"], ["-0.001", "2.5", "9", "10"]),
        ("BS", ["/w==", "AGE=", "AA=="], ["AA==", "AGE=", "/w=="]),
    ],
)
def test_sets_are_sorted(kind: str, members: list[str], expected: list[str]) -> None:
    item: dict[str, Any] = {"s": {kind: members}}
    values.check_item(item)
    assert item == {"s": {kind: expected}}
