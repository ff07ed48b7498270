"""Names and values: valid ones, the checks, and the cache of bound expressions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from atoll.expressions.bind import Bindings, bindings, check_parameters

VALUES: dict[str, Any] = {
    ":s": {"S": "x"},
    ":s2": {"S": "a"},
    ":n": {"N": "1"},
    ":n2": {"N": "0"},
    ":b": {"B": "AAA="},
    ":l": {"L": []},
    ":ss": {"SS": ["a"]},
    ":t": {"BOOL": True},
}
Message = Callable[..., str | None]

TYPE = "Incorrect operand type for operator or function; operator or function: "
DISTINCT = "The first operand must be distinct from the remaining operands for this operator or function; operator: "
NAME = "An expression attribute name used in the document path is not defined; attribute name: "
VALUE = "An expression attribute value used in expression is not defined; attribute value: "
BETWEEN = "The BETWEEN operator requires "
OVERLAP = "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: "
CONFLICT = "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: "


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("#u = :undefined", NAME + "#u"),
        (":undefined = #u", VALUE + ":undefined"),
        ("begins_with(:undefined, :n)", VALUE + ":undefined"),
        ("a = a AND b = :undefined", DISTINCT + "=, first operand: [a]"),
        ("contains(a.b[0], a.b[0])", DISTINCT + "contains, first operand: [a, b, [0]]"),
        ("a IN (b, a)", DISTINCT + "IN, first operand: [a]"),
        ("a BETWEEN :t AND a", TYPE + "BETWEEN, operand type: BOOL"),
        ("a < :l", TYPE + "<, operand type: L"),
        (":ss >= a", TYPE + ">=, operand type: SS"),
        ("begins_with(a, :n)", TYPE + "begins_with, operand type: N"),
        ("begins_with(a, size(b))", TYPE + "begins_with, operand type: N"),
        ("size(:n) = :n", TYPE + "size, operand type: N"),
        ("size(size(a)) = :n", TYPE + "size, operand type: N"),
        ("attribute_type(a, :n)", TYPE + "attribute_type, operand type: N"),
        ("attribute_type(a, b)", TYPE + "attribute_type, operand type: {NS,SS,L,BS,N,M,B,BOOL,NULL,S}"),
        (
            "attribute_type(a, :s)",
            "Invalid attribute type name found; type: x, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
        ),
        (
            "attribute_exists(:s)",
            "Operator or function requires a document path; operator or function: attribute_exists",
        ),
        (
            "begins_with(a, b, c)",
            "Incorrect number of operands for operator or function; "
            "operator or function: begins_with, number of operands: 3",
        ),
        (
            "a BETWEEN :s AND :s2",
            BETWEEN + "upper bound to be greater than or equal to lower bound; "
            "lower bound operand: AttributeValue: {S:x}, upper bound operand: AttributeValue: {S:a}",
        ),
        (
            "a BETWEEN :s AND :b",
            BETWEEN + "same data type for lower and upper bounds; lower bound operand: AttributeValue: {S:x}, "
            "upper bound operand: AttributeValue: {B:java.nio.HeapByteBuffer[pos=0 lim=2 cap=2]}",
        ),
        (
            f"a IN ({','.join([':s'] * 101)})",
            "The IN operator is provided with too many operands; number of operands: 101",
        ),
    ],
)
def test_faulty_operands_of_conditions(message: Message, text: str, fault: str) -> None:
    bound = Bindings(None, VALUES)
    assert message(bound.condition, text) == f"Invalid ConditionExpression: {fault}"
    assert message(bound.condition, text, "FilterExpression") == f"Invalid FilterExpression: {fault}"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("SET #u = :undefined", NAME + "#u"),
        ("SET a = :undefined, #u = :n", NAME + "#u"),
        ("SET a = :undefined", VALUE + ":undefined"),
        ("SET a = :s, a.b = :n", OVERLAP + "[a], path two: [a, b]"),
        ("SET #a = :s REMOVE a", OVERLAP + "[a], path two: [a]"),
        ("SET a.b = :s REMOVE a[0]", CONFLICT + "[a, b], path two: [a, [0]]"),
        ("SET a = b + :s", TYPE + "+, operand type: S"),
        ("SET a = list_append(b, :n)", TYPE + "list_append, operand type: N"),
        ("SET a = if_not_exists(a, a)", DISTINCT + "if_not_exists, first operand: [a]"),
        (
            "SET a = if_not_exists(:s, a)",
            "Operator or function requires a document path; operator or function: if_not_exists",
        ),
        (
            "ADD a :s",
            "Incorrect operand type for operator or function; operator: ADD, operand type: STRING, "
            "typeSet: ALLOWED_FOR_ADD_OPERAND",
        ),
        (
            "DELETE a :n",
            "Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER, "
            "typeSet: ALLOWED_FOR_DELETE_OPERAND",
        ),
    ],
)
def test_faulty_operands_of_updates(message: Message, text: str, fault: str) -> None:
    assert message(Bindings({"#a": "a"}, VALUES).update, text) == f"Invalid UpdateExpression: {fault}"


def test_faulty_projections(message: Message) -> None:
    project = Bindings({"#a": "a"}, None).projection
    assert message(project, "a.b, #a") == f"Invalid ProjectionExpression: {OVERLAP}[a, b], path two: [a]"
    assert message(project, "a[0], a.b") == f"Invalid ProjectionExpression: {CONFLICT}[a, [0]], path two: [a, b]"
    assert message(project, "#b") == f"Invalid ProjectionExpression: {NAME}#b"


def test_numbers_and_lists_may_be_combined_with_themselves() -> None:
    update = Bindings(None, None).update("SET a = a + a, b = list_append(b, b)")
    new = update.apply({"a": {"N": "2"}, "b": {"L": [{"S": "x"}]}})
    assert new == {"a": {"N": "4"}, "b": {"L": [{"S": "x"}, {"S": "x"}]}}


def test_a_remembered_text_is_checked_again_with_other_values(message: Message) -> None:
    text = "a BETWEEN :low AND :high AND begins_with(b, :p)"
    for low, high, prefix, fault in [
        ({"N": "1"}, {"N": "2"}, {"S": "x"}, None),
        ({"N": "3"}, {"N": "2"}, {"S": "x"}, BETWEEN + "upper bound"),
        ({"N": "3"}, {"S": "3"}, {"S": "x"}, BETWEEN + "same data type"),
        ({"N": "1"}, {"N": "2"}, {"N": "1"}, TYPE + "begins_with"),
        ({"N": "1"}, {"N": "2"}, {"B": "AA=="}, None),
    ]:
        bound = Bindings(None, {":low": low, ":high": high, ":p": prefix})
        if fault is None:
            bound.condition(text)
        else:
            assert fault in str(message(bound.condition, text))
    assert "not defined" in str(message(Bindings(None, None).condition, text))


def test_a_cached_text_is_bound_to_the_names_of_each_request() -> None:
    for name, matches in [("a", True), ("b", False), ("a.b", False)]:
        condition = Bindings({"#n": name}, None).condition("attribute_exists(#n)")
        assert condition.matches({"a": {"S": "x"}}) is matches
        assert condition.attributes == {name}


def test_an_expression_of_three_hundred_levels() -> None:
    text = f"{'NOT (' * 298}a = b{')' * 298}"
    assert Bindings(None, None).condition(text).matches({"a": {"N": "1"}, "b": {"N": "1"}})


# The maps


@pytest.mark.parametrize(
    ("names", "values", "text"),
    [
        ({}, None, "ExpressionAttributeNames must not be empty"),
        (None, {}, "ExpressionAttributeValues must not be empty"),
        ({"a": "a"}, None, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "a"'),
        ({"#a-b": "a"}, None, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "#a-b"'),
        (
            {"": "a"},
            None,
            "ExpressionAttributeNames contains invalid key: The expression attribute map contains an empty key;",
        ),
        ({"#a": ""}, None, "ExpressionAttributeNames contains invalid value: Empty attribute name for key #a"),
        (None, {":": {"S": "a"}}, 'ExpressionAttributeValues contains invalid key: Syntax error; key: ":"'),
    ],
)
def test_faulty_maps(message: Message, names: Any, values: Any, text: str) -> None:
    assert message(Bindings, names, values) == text


def test_unused_names_come_before_unused_values(message: Message) -> None:
    bound = Bindings({"#b": "b", "#a": "a", "#c": "c"}, {":v": {"S": "x"}, ":u": {"S": "x"}})
    bound.condition("#c = :v")
    assert message(bound.finish) == "Value provided in ExpressionAttributeNames unused in expressions: keys: {#a, #b}"
    bound.projection("#a, #b")
    assert message(bound.finish) == "Value provided in ExpressionAttributeValues unused in expressions: keys: {:u}"
    bound.update("SET a = :u")
    bound.finish()


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (
            {"ExpressionAttributeNames": {"#a": "a"}},
            "ExpressionAttributeNames can only be specified when using expressions",
        ),
        (
            {"ExpressionAttributeValues": {":a": {"S": "x"}}},
            "ExpressionAttributeValues can only be specified when using expressions: "
            "FilterExpression and KeyConditionExpression are null",
        ),
        (
            {"ProjectionExpression": "a", "ExpressionAttributeValues": {":a": {"S": "x"}}},
            "ExpressionAttributeValues can only be specified when using expressions: "
            "FilterExpression and KeyConditionExpression are null",
        ),
        (
            {"KeyConditionExpression": "a", "FilterExpression": "b", "AttributesToGet": ["a"], "KeyConditions": {}},
            "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: "
            "{AttributesToGet, KeyConditions} Expression parameters: {FilterExpression, KeyConditionExpression}",
        ),
        (
            {"FilterExpression": "a = :a", "ExpressionAttributeValues": {":a": {"SS": []}}},
            "ExpressionAttributeValues contains invalid value: One or more parameter values were invalid: "
            "An string set  may not be empty for key :a",
        ),
        (
            {
                "FilterExpression": "a = :a",
                "ExpressionAttributeNames": {"x": "a"},
                "ExpressionAttributeValues": {":a": {"SS": []}},
            },
            'ExpressionAttributeNames contains invalid key: Syntax error; key: "x"',
        ),
        (
            {
                "FilterExpression": "a = :a",
                "ExpressionAttributeValues": {key: {"S": "x" * 2**20} for key in (":a", ":b", ":c")},
            },
            "ExpressionAttributeValues exceeds max size",
        ),
    ],
)
def test_faulty_requests(message: Message, request_: dict[str, Any], text: str) -> None:
    expressions = ("ProjectionExpression", "FilterExpression", "KeyConditionExpression")
    legacy = ("AttributesToGet", "QueryFilter", "ConditionalOperator", "KeyConditions")

    def bound() -> Bindings:
        check_parameters(request_, expressions, legacy)
        return bindings(request_)

    assert message(bound) == text


def test_key_conditions_of_the_legacy_form_may_go_with_a_filter() -> None:
    request = {"KeyConditions": {}, "FilterExpression": "a = b"}
    check_parameters(request, ("FilterExpression", "KeyConditionExpression"), ("KeyConditions",))


def test_values_are_made_canonical() -> None:
    request = {"ConditionExpression": "a = :a", "ExpressionAttributeValues": {":a": {"N": "1.5E2"}}}
    bound = bindings(request)
    assert bound.condition("a = :a").matches({"a": {"N": "150"}})
