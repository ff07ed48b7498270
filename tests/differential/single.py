"""Families over single items: values, items, conditions, updates, projections."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.differential.expressions import Writer
from tests.differential.tables import BINARY, INDEXED, NUMBERED, PLAIN, RANGED, Step, Table, respell
from tests.differential.values import ODD_VALUES, Value, anything, attributes, chance, nested

Body = dict[str, Any]

RETURN_VALUES = ["NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"]


def key(random: Random, table: Table) -> dict[str, Value]:
    """Usually a good key; now and then one that the schema refuses."""
    found = respell(random, random.choice(table.keys))
    if not chance(random, 3):
        return found
    flaw = random.choice(["type", "missing", "extra", "empty", "long"])
    if flaw == "type":
        return found | {random.choice(list(table.key_names)): anything(random)}
    if flaw == "missing":
        return dict(list(found.items())[1:])
    if flaw == "extra":
        return found | {"a": {"S": "a"}}
    if flaw == "empty":
        return found | {table.key_names[-1]: {"S": ""}}
    return found | {table.key_names[0]: {"S": "x" * random.choice([2048, 2049])}}


def put(random: Random, table: Table, writer: Writer) -> Body:
    return {"Item": key(random, table) | attributes(random, wild=table.wild)}


def write(random: Random, table: Table, operation: str, *, conditional: int = 40) -> Step:
    writer = Writer(random, keys=table.key_names, wild=6)
    body: Body = {"TableName": table.name}
    if operation == "PutItem":
        body |= put(random, table, writer)
    else:
        body["Key"] = key(random, table)
    if operation == "UpdateItem" and not chance(random, 5):
        body["UpdateExpression"] = writer.update()
    if chance(random, conditional):
        body["ConditionExpression"] = writer.condition()
        if chance(random, 40):
            body["ReturnValuesOnConditionCheckFailure"] = random.choice(["ALL_OLD", "NONE"])
    body |= writer.placeholders()
    usual = {"UpdateItem": RETURN_VALUES}.get(operation, ["NONE", "ALL_OLD"])
    if chance(random, 80):
        body["ReturnValues"] = random.choice(RETURN_VALUES if chance(random, 4) else usual)
    return Step(operation, body)


def get(random: Random, table: Table, *, projected: int = 30) -> Step:
    body: Body = {"TableName": table.name, "Key": key(random, table)}
    if chance(random, projected):
        writer = Writer(random, keys=table.key_names)
        body["ProjectionExpression"] = writer.projection()
        body |= writer.placeholders()
    if chance(random, 30):
        body["ConsistentRead"] = chance(random, 50)
    return Step("GetItem", body)


def all_items(table: Table) -> Step:
    """The items that a scenario leaves."""
    return Step("Scan", {"TableName": table.name, "ConsistentRead": True}, unordered=True)


def items(random: Random) -> list[Step]:
    table = random.choice([PLAIN, RANGED, NUMBERED, BINARY, INDEXED])
    steps = [table.contents(random, most=4)]
    for _ in range(random.randint(1, 6)):
        operation = random.choice(["PutItem", "UpdateItem", "DeleteItem", "GetItem"])
        steps.append(get(random, table) if operation == "GetItem" else write(random, table, operation))
    return [*steps, all_items(table)]


def values(random: Random) -> list[Step]:
    """Values that are refused, and the stored form of accepted ones."""
    the_key = {"pk": {"S": "p"}}
    steps: list[Step] = [Step("DeleteItem", {"TableName": "plain", "Key": the_key})]
    for _ in range(random.randint(1, 4)):
        odd = random.choice(ODD_VALUES) if chance(random, 50) else anything(random)
        if chance(random, 6):
            odd = nested(random.choice([30, 31, 32, 33, 40]), random.choice(["L", "M"]))
        if chance(random, 15):
            odd = random.choice([{"L": [odd]}, {"M": {"a": odd}}, {"L": [{"S": "a"}, odd]}])
        where = random.choice(["item", "item", "set", "condition", "key", "name"])
        if where == "item":
            steps.append(Step("PutItem", {"TableName": "plain", "Item": the_key | {"v": odd}}))
        elif where == "name":
            names = ["", "a" * 255, "a" * 256, "é", "a b", "."]
            steps.append(
                Step("PutItem", {"TableName": "plain", "Item": the_key | {random.choice(names): anything(random)}})
            )
        elif where == "key":
            steps.append(Step("GetItem", {"TableName": random.choice(["plain", "numbered"]), "Key": {"pk": odd}}))
        else:
            member = {"UpdateExpression": "SET v = :v"} if where == "set" else {"ConditionExpression": "v = :v"}
            body = {"TableName": "plain", "Key": the_key, "ExpressionAttributeValues": {":v": odd}} | member
            steps.append(Step("UpdateItem", body))
        steps.append(Step("GetItem", {"TableName": "plain", "Key": the_key}))
    return steps


def conditions(random: Random) -> list[Step]:
    """Each condition is asked of every item as a filter, then of one as a condition."""
    table = random.choice([PLAIN, RANGED])
    steps = [table.contents(random, least=3, most=10)]
    for _ in range(random.randint(1, 6)):
        writer = Writer(random, wild=8)
        text = writer.condition(3)
        common = {"TableName": table.name, **writer.placeholders()}
        if chance(random, 75):
            steps.append(Step("Scan", common | {"FilterExpression": text}, unordered=True))
        else:
            the_key = random.choice(table.keys)
            steps.append(
                Step("DeleteItem", common | {"Key": the_key, "ConditionExpression": text, "ReturnValues": "ALL_OLD"})
            )
    return steps


def updates(random: Random) -> list[Step]:
    table = random.choice([PLAIN, RANGED, INDEXED])
    steps = [table.contents(random, least=4, most=12)]
    the_keys = random.choices(table.keys, k=random.randint(1, 2))
    for _ in range(random.randint(1, 6)):
        writer = Writer(random, wild=4)
        body = {"TableName": table.name, "Key": random.choice(the_keys), "UpdateExpression": writer.update()}
        steps.append(Step("UpdateItem", body | writer.placeholders() | {"ReturnValues": random.choice(RETURN_VALUES)}))
    return [*steps, *(Step("GetItem", {"TableName": table.name, "Key": k}) for k in the_keys)]


def projections(random: Random) -> list[Step]:
    steps = [PLAIN.contents(random, most=8)]
    steps += [get(random, PLAIN, projected=95) for _ in range(random.randint(1, 6))]
    writer = Writer(random, keys=("pk",))
    body = {"TableName": "plain", "ProjectionExpression": writer.projection(), **writer.placeholders()}
    return [*steps, Step("Scan", body, unordered=True)]
