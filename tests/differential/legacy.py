"""The family of legacy parameters: what requests had before there were expressions."""

from __future__ import annotations

from random import Random
from typing import Any

from differential.single import RETURN_VALUES, all_items
from differential.tables import PLAIN, RANGED, Step, Table
from differential.values import BY_TYPE, PATHS, Value, anything, chance, some, typical

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


def legacy_condition(random: Random, name: str, kind: str) -> Body:
    operator = random.choice(LEGACY_OPERATORS if kind in ("S", "B", "SS", "NS", "BS") else LEGACY_OPERATORS[:8])
    count = OPERAND_COUNTS.get(operator, 1)
    if chance(random, 5):
        count = random.choice([0, 1, 2, 3])
    element = kind[0] if operator.endswith("CONTAINS") and kind in ("SS", "NS", "BS") else kind
    operands = [anything(random) if chance(random, 5) else BY_TYPE[element](random) for _ in range(count)]
    if operator == "BETWEEN" and count == 2 and chance(random, 70):
        operands = [random.choice(operands)] * 2
    condition: Body = {"ComparisonOperator": operator}
    return condition | {"AttributeValueList": operands} if operands or chance(random, 5) else condition


def legacy_conditions(random: Random, most: int = 2) -> Body:
    names = some(random, ["a", "n", "bin", "t", "ss", "ns", "l", "m", "gone"], 1, most)
    kinds = {name: paths for paths, listed in PATHS.items() for name in listed}
    return {name: legacy_condition(random, name, kinds.get(name, "S")) for name in names}


def expected(random: Random) -> Body:
    found: Body = {}
    for name, condition in legacy_conditions(random).items():
        old_form = [{"Exists": False}, {"Exists": True, "Value": anything(random)}, {"Value": typical(random, "a", 30)}]
        found[name] = random.choice(old_form) if chance(random, 35) else condition
    return found


def attribute_updates(random: Random) -> Body:
    found: Body = {}
    for name in some(random, ["a", "n", "ss", "ns", "l", "m"], 1, 3):
        action = random.choice(["PUT", "DELETE", "ADD"])
        update: Body = {"Action": action} if action != "PUT" or chance(random, 60) else {}
        if action != "DELETE" or chance(random, 50):
            update["Value"] = typical(random, name, 10)
        found[name] = update
    return found


def legacy(random: Random) -> list[Step]:
    table = random.choice([PLAIN, RANGED])
    steps = [table.contents(random)]
    for _ in range(random.randint(1, 5)):
        operation = random.choice(["PutItem", "UpdateItem", "DeleteItem", "GetItem", "Scan", "Query"])
        body: Body = {"TableName": table.name}
        if operation == "PutItem":
            body["Item"] = table.item(random)
        elif operation in ("UpdateItem", "DeleteItem", "GetItem"):
            body["Key"] = random.choice(table.keys)
        if operation == "UpdateItem":
            body |= {"AttributeUpdates": attribute_updates(random), "ReturnValues": random.choice(RETURN_VALUES)}
        if operation.endswith("Item") and operation != "GetItem" and chance(random, 70):
            body["Expected"] = expected(random)
        if operation == "Scan" and chance(random, 80):
            body["ScanFilter"] = legacy_conditions(random)
        if operation == "Query":
            body |= legacy_query(random, table)
        if chance(random, 25) and {"Expected", "ScanFilter", "QueryFilter"} & body.keys():
            body["ConditionalOperator"] = random.choice(["AND", "OR"])
        if operation in ("GetItem", "Scan", "Query") and chance(random, 30):
            body["AttributesToGet"] = random.choices(["a", "n", "m", "pk", "gone"], k=random.randint(1, 3))
        if chance(random, 4):
            body |= random.choice(
                [
                    {"ProjectionExpression": "a"},
                    {"ConditionExpression": "attribute_exists(a)"},
                    {"FilterExpression": "attribute_exists(a)"},
                ],
            )
        steps.append(Step(operation, body, unordered=operation == "Scan"))
    return [*steps, all_items(table)]


def legacy_query(random: Random, table: Table) -> Body:
    def equal(value: Value) -> Body:
        return {"AttributeValueList": [value], "ComparisonOperator": "EQ"}

    the_key = random.choice(table.keys)
    conditions = {"pk": equal(the_key["pk"])}
    if table.sort and chance(random, 60):
        conditions["sk"] = legacy_condition(random, "sk", "S") if chance(random, 60) else equal(the_key["sk"])
    if chance(random, 5):
        conditions["a"] = equal({"S": "a"})
    body: Body = {"KeyConditions": conditions}
    if chance(random, 40):
        body["QueryFilter"] = legacy_conditions(random)
    if chance(random, 30):
        body["ScanIndexForward"] = chance(random, 50)
    return body
