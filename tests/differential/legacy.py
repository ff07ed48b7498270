"""The family of legacy parameters: the parameters of requests before expressions existed."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.differential.queries import SELECTS, key_value
from tests.differential.single import RETURN_VALUES, all_items
from tests.differential.tables import INDEXED, NUMBERED, PLAIN, RANGED, Index, Step, Table
from tests.differential.values import BY_TYPE, PATHS, Value, anything, chance, some, typical

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


def legacy_conditions(random: Random, most: int = 2, only: frozenset[str] = frozenset()) -> Body:
    """On attributes that an index holds, if not on all."""
    names = ["a", "n", "bin", "t", "ss", "ns", "l", "m", "gone"]
    names = some(random, [name for name in names if not only or name in {*only, "gone"}], 1, most)
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
    table = random.choice([PLAIN, RANGED, NUMBERED, INDEXED, INDEXED])
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
        index = random.choice(table.indexes) if table.indexes and chance(random, 75) else None
        if operation in ("Query", "Scan") and index is not None:
            body["IndexName"] = index.name
        if operation == "Scan" and chance(random, 80):
            # DynamoDB Local filters a scan by attributes that the index does not hold.
            only = frozenset() if index is None else table.held(index)
            body["ScanFilter"] = legacy_conditions(random, only=only)
        if operation == "Query":
            body |= legacy_query(random, table, index)
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
        is_global = index is not None and not index.is_local
        if operation == "Scan" or (operation == "Query" and not is_global and chance(random, 40)):
            body |= {"Limit": random.choice([1, 2, 5])} if chance(random, 40) else {}
        ties = index.sort or index.partition if index is not None and operation == "Query" else None
        steps.append(
            Step(operation, body, walk=operation in ("Query", "Scan"), unordered=operation == "Scan", ties=ties)
        )
    return [*steps, all_items(table)]


def legacy_query(random: Random, table: Table, index: Index | None) -> Body:
    partition, sort = (index.partition, index.sort) if index else (table.partition, table.sort)

    def equal(value: Value) -> Body:
        return {"AttributeValueList": [value], "ComparisonOperator": "EQ"}

    conditions = {partition: equal(key_value(random, table, partition))}
    if sort and chance(random, 60):
        conditions[sort] = (
            legacy_condition(random, sort, table.types[sort])
            if chance(random, 60)
            else equal(key_value(random, table, sort))
        )
    if chance(random, 5):
        conditions["a"] = equal({"S": "a"})
    body: Body = {"KeyConditions": conditions}
    if chance(random, 40):
        body["QueryFilter"] = legacy_conditions(random)
    if chance(random, 30):
        body["ScanIndexForward"] = chance(random, 50)
    if chance(random, 15):
        body["Select"] = random.choice(SELECTS)
    return body
