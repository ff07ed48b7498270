"""The family of legacy parameters: what requests had before there were expressions."""

from __future__ import annotations

from typing import Any

from differential.single import RETURN_VALUES, all_items
from differential.tables import PLAIN, RANGED, Step, Table
from differential.values import BY_TYPE, PATHS, Draw, Value, anything, chance, one_of, typical
from hypothesis import strategies as st

Body = dict[str, Any]

LEGACY_OPERATORS = [
    "EQ",
    "NE",
    "LE",
    "LT",
    "GE",
    "GT",
    "NOT_NULL",
    "NULL",
    "CONTAINS",
    "NOT_CONTAINS",
    "BEGINS_WITH",
    "IN",
    "BETWEEN",
]
OPERAND_COUNTS = {"NOT_NULL": 0, "NULL": 0, "BETWEEN": 2, "IN": 2}


def legacy_condition(draw: Draw[Any], name: str, kind: str) -> Body:
    operator = one_of(draw, LEGACY_OPERATORS if kind in ("S", "B", "SS", "NS", "BS") else LEGACY_OPERATORS[:8])
    count = OPERAND_COUNTS.get(operator, 1)
    if chance(draw, 5):
        count = one_of(draw, [0, 1, 2, 3])
    element = kind[0] if operator.endswith("CONTAINS") and kind in ("SS", "NS", "BS") else kind
    operands = [draw(anything) if chance(draw, 5) else draw(BY_TYPE[element]) for _ in range(count)]
    if operator == "BETWEEN" and count == 2 and chance(draw, 70):
        operands = [one_of(draw, operands)] * 2
    condition: Body = {"ComparisonOperator": operator}
    return condition | {"AttributeValueList": operands} if operands or chance(draw, 5) else condition


def legacy_conditions(draw: Draw[Any], most: int = 2) -> Body:
    names = draw(
        st.lists(
            st.sampled_from(["a", "n", "bin", "t", "ss", "ns", "l", "m", "gone"]),
            min_size=1,
            max_size=most,
            unique=True,
        )
    )
    kinds = {name: paths for paths, listed in PATHS.items() for name in listed}
    return {name: legacy_condition(draw, name, kinds.get(name, "S")) for name in names}


def expected(draw: Draw[Any]) -> Body:
    found: Body = {}
    for name, condition in legacy_conditions(draw).items():
        old_form = [{"Exists": False}, {"Exists": True, "Value": draw(anything)}, {"Value": typical(draw, "a", 30)}]
        found[name] = one_of(draw, old_form) if chance(draw, 35) else condition
    return found


def attribute_updates(draw: Draw[Any]) -> Body:
    found: Body = {}
    for name in draw(st.lists(st.sampled_from(["a", "n", "ss", "ns", "l", "m"]), min_size=1, max_size=3, unique=True)):
        action = one_of(draw, ["PUT", "DELETE", "ADD"])
        update: Body = {"Action": action} if action != "PUT" or chance(draw, 60) else {}
        if action != "DELETE" or chance(draw, 50):
            update["Value"] = typical(draw, name, 10)
        found[name] = update
    return found


@st.composite
def legacy(draw: Draw[Any]) -> list[Step]:
    table = one_of(draw, [PLAIN, RANGED])
    steps = [table.contents(draw)]
    for _ in range(draw(st.integers(1, 5))):
        operation = one_of(draw, ["PutItem", "UpdateItem", "DeleteItem", "GetItem", "Scan", "Query"])
        body: Body = {"TableName": table.name}
        if operation == "PutItem":
            body["Item"] = table.item(draw)
        elif operation in ("UpdateItem", "DeleteItem", "GetItem"):
            body["Key"] = one_of(draw, table.keys)
        if operation == "UpdateItem":
            body |= {"AttributeUpdates": attribute_updates(draw), "ReturnValues": one_of(draw, RETURN_VALUES)}
        if operation.endswith("Item") and operation != "GetItem" and chance(draw, 70):
            body["Expected"] = expected(draw)
        if operation == "Scan" and chance(draw, 80):
            body["ScanFilter"] = legacy_conditions(draw)
        if operation == "Query":
            body |= legacy_query(draw, table)
        if chance(draw, 25) and {"Expected", "ScanFilter", "QueryFilter"} & body.keys():
            body["ConditionalOperator"] = one_of(draw, ["AND", "OR"])
        if operation in ("GetItem", "Scan", "Query") and chance(draw, 30):
            body["AttributesToGet"] = draw(
                st.lists(st.sampled_from(["a", "n", "m", "pk", "gone"]), min_size=1, max_size=3)
            )
        if chance(draw, 4):
            body |= one_of(
                draw,
                [
                    {"ProjectionExpression": "a"},
                    {"ConditionExpression": "attribute_exists(a)"},
                    {"FilterExpression": "attribute_exists(a)"},
                ],
            )
        steps.append(Step(operation, body, unordered=operation == "Scan"))
    return [*steps, all_items(table)]


def legacy_query(draw: Draw[Any], table: Table) -> Body:
    def equal(value: Value) -> Body:
        return {"AttributeValueList": [value], "ComparisonOperator": "EQ"}

    the_key = one_of(draw, table.keys)
    conditions = {"pk": equal(the_key["pk"])}
    if table.sort and chance(draw, 60):
        conditions["sk"] = legacy_condition(draw, "sk", "S") if chance(draw, 60) else equal(the_key["sk"])
    if chance(draw, 5):
        conditions["a"] = equal({"S": "a"})
    body: Body = {"KeyConditions": conditions}
    if chance(draw, 40):
        body["QueryFilter"] = legacy_conditions(draw)
    if chance(draw, 30):
        body["ScanIndexForward"] = draw(st.booleans())
    return body
