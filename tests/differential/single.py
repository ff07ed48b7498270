"""Families over single items: values, items, conditions, updates, projections."""

from __future__ import annotations

from typing import Any

from differential.expressions import Writer
from differential.tables import BINARY, INDEXED, NUMBERED, PLAIN, RANGED, Step, Table, respell
from differential.values import (
    ODD_VALUES,
    Draw,
    Value,
    anything,
    attributes,
    chance,
    nested,
    one_of,
)
from hypothesis import strategies as st

Body = dict[str, Any]

RETURN_VALUES = ["NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"]


def key(draw: Draw[Any], table: Table) -> dict[str, Value]:
    """Usually a good key; now and then one that the schema refuses."""
    found = respell(draw, one_of(draw, table.keys))
    if not chance(draw, 3):
        return found
    flaw = one_of(draw, ["type", "missing", "extra", "empty", "long"])
    if flaw == "type":
        return found | {one_of(draw, list(table.key_names)): draw(anything)}
    if flaw == "missing":
        return dict(list(found.items())[1:])
    if flaw == "extra":
        return found | {"a": {"S": "a"}}
    if flaw == "empty":
        return found | {table.key_names[-1]: {"S": ""}}
    return found | {table.key_names[0]: {"S": "x" * one_of(draw, [2048, 2049])}}


def put(draw: Draw[Any], table: Table, writer: Writer) -> Body:
    return {"Item": key(draw, table) | attributes(draw, wild=table.wild)}


def write(draw: Draw[Any], table: Table, operation: str, *, conditional: int = 40) -> Step:
    writer = Writer(draw, keys=table.key_names, wild=6)
    body: Body = {"TableName": table.name}
    if operation == "PutItem":
        body |= put(draw, table, writer)
    else:
        body["Key"] = key(draw, table)
    if operation == "UpdateItem" and not chance(draw, 5):
        body["UpdateExpression"] = writer.update()
    if chance(draw, conditional):
        body["ConditionExpression"] = writer.condition()
        if chance(draw, 40):
            body["ReturnValuesOnConditionCheckFailure"] = one_of(draw, ["ALL_OLD", "NONE"])
    body |= writer.placeholders()
    usual = {"UpdateItem": RETURN_VALUES}.get(operation, ["NONE", "ALL_OLD"])
    if chance(draw, 80):
        body["ReturnValues"] = one_of(draw, RETURN_VALUES if chance(draw, 4) else usual)
    return Step(operation, body)


def get(draw: Draw[Any], table: Table, *, projected: int = 30) -> Step:
    body: Body = {"TableName": table.name, "Key": key(draw, table)}
    if chance(draw, projected):
        writer = Writer(draw, keys=table.key_names)
        body["ProjectionExpression"] = writer.projection()
        body |= writer.placeholders()
    if chance(draw, 30):
        body["ConsistentRead"] = draw(st.booleans())
    return Step("GetItem", body)


def all_items(table: Table) -> Step:
    """What a scenario left behind."""
    return Step("Scan", {"TableName": table.name, "ConsistentRead": True}, unordered=True)


@st.composite
def items(draw: Draw[Any]) -> list[Step]:
    table = one_of(draw, [PLAIN, RANGED, NUMBERED, BINARY, INDEXED])
    steps = [table.contents(draw, most=4)]
    for _ in range(draw(st.integers(1, 6))):
        operation = one_of(draw, ["PutItem", "UpdateItem", "DeleteItem", "GetItem"])
        steps.append(get(draw, table) if operation == "GetItem" else write(draw, table, operation))
    return [*steps, all_items(table)]


@st.composite
def values(draw: Draw[Any]) -> list[Step]:
    """What is refused as a value, and how that which is taken reads afterwards."""
    the_key = {"pk": {"S": "p"}}
    steps: list[Step] = [Step("DeleteItem", {"TableName": "plain", "Key": the_key})]
    for _ in range(draw(st.integers(1, 4))):
        odd = one_of(draw, ODD_VALUES) if chance(draw, 50) else draw(anything)
        if chance(draw, 6):
            odd = nested(one_of(draw, [30, 31, 32, 33, 40]), one_of(draw, ["L", "M"]))
        if chance(draw, 15):
            odd = one_of(draw, [{"L": [odd]}, {"M": {"a": odd}}, {"L": [{"S": "a"}, odd]}])
        where = one_of(draw, ["item", "item", "set", "condition", "key", "name"])
        if where == "item":
            steps.append(Step("PutItem", {"TableName": "plain", "Item": the_key | {"v": odd}}))
        elif where == "name":
            names = ["", "a" * 255, "a" * 256, "é", "a b", "."]
            steps.append(
                Step("PutItem", {"TableName": "plain", "Item": the_key | {one_of(draw, names): draw(anything)}})
            )
        elif where == "key":
            steps.append(Step("GetItem", {"TableName": one_of(draw, ["plain", "numbered"]), "Key": {"pk": odd}}))
        else:
            member = {"UpdateExpression": "SET v = :v"} if where == "set" else {"ConditionExpression": "v = :v"}
            body = {"TableName": "plain", "Key": the_key, "ExpressionAttributeValues": {":v": odd}} | member
            steps.append(Step("UpdateItem", body))
        steps.append(Step("GetItem", {"TableName": "plain", "Key": the_key}))
    return steps


@st.composite
def conditions(draw: Draw[Any]) -> list[Step]:
    """Each condition is asked of every item as a filter, then of one as a condition."""
    table = one_of(draw, [PLAIN, RANGED])
    steps = [table.contents(draw, least=3, most=10)]
    for _ in range(draw(st.integers(1, 6))):
        writer = Writer(draw, wild=8)
        text = writer.condition(3)
        common = {"TableName": table.name, **writer.placeholders()}
        if chance(draw, 75):
            steps.append(Step("Scan", common | {"FilterExpression": text}, unordered=True))
        else:
            the_key = one_of(draw, table.keys)
            steps.append(
                Step("DeleteItem", common | {"Key": the_key, "ConditionExpression": text, "ReturnValues": "ALL_OLD"})
            )
    return steps


@st.composite
def updates(draw: Draw[Any]) -> list[Step]:
    table = one_of(draw, [PLAIN, RANGED, INDEXED])
    steps = [table.contents(draw, least=4, most=12)]
    the_keys = draw(st.lists(st.sampled_from(table.keys), min_size=1, max_size=2))
    for _ in range(draw(st.integers(1, 6))):
        writer = Writer(draw, wild=4)
        body = {"TableName": table.name, "Key": one_of(draw, the_keys), "UpdateExpression": writer.update()}
        steps.append(Step("UpdateItem", body | writer.placeholders() | {"ReturnValues": one_of(draw, RETURN_VALUES)}))
    return [*steps, *(Step("GetItem", {"TableName": table.name, "Key": k}) for k in the_keys)]


@st.composite
def projections(draw: Draw[Any]) -> list[Step]:
    steps = [PLAIN.contents(draw, most=8)]
    steps += [get(draw, PLAIN, projected=95) for _ in range(draw(st.integers(1, 6)))]
    writer = Writer(draw, keys=("pk",))
    body = {"TableName": "plain", "ProjectionExpression": writer.projection(), **writer.placeholders()}
    return [*steps, Step("Scan", body, unordered=True)]
