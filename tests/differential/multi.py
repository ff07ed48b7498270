"""Families over several items in one request: batches and transactions."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.differential.expressions import Writer
from tests.differential.single import all_items, key
from tests.differential.tables import INDEXED, NUMBERED, PLAIN, RANGED, Step, Table
from tests.differential.values import attributes, chance, some

Body = dict[str, Any]
USED = [PLAIN, RANGED, NUMBERED, INDEXED]


def distinct_keys(random: Random, table: Table, most: int) -> list[Body]:
    found = some(random, table.keys, 1, most)
    if chance(random, 5):
        found.append(random.choice(found))  # twice in one request
    if chance(random, 3):
        found.append(key(random, table))
    return found


def batch_get(random: Random) -> Step:
    requested: Body = {}
    for table in some(random, USED, 1, 2):
        member: Body = {"Keys": distinct_keys(random, table, 5)}
        if chance(random, 30):
            writer = Writer(random, keys=table.key_names)
            member["ProjectionExpression"] = writer.projection()
            member |= writer.placeholders()
        elif chance(random, 10):
            member["AttributesToGet"] = ["a", random.choice(["pk", "n", "a"])]
        if chance(random, 20):
            member["ConsistentRead"] = chance(random, 50)
        requested[table.name] = member
    if chance(random, 4):
        requested |= random.choice(
            [{"unknown": {"Keys": [{"pk": {"S": "p"}}]}}, {"plain": {"Keys": []}}, {"plain": {}}]
        )
    return Step("BatchGetItem", {"RequestItems": requested}, unordered=True)


def batch_write(random: Random) -> Step:
    requested: Body = {}
    for table in some(random, USED, 1, 2):
        requests: list[Body] = [
            {"PutRequest": {"Item": the_key | attributes(random, wild=table.wild)}}
            if chance(random, 60)
            else {"DeleteRequest": {"Key": the_key}}
            for the_key in distinct_keys(random, table, 6)
        ]
        if chance(random, 4):
            requests.append(
                random.choice(
                    [
                        {},
                        {"PutRequest": {}},
                        {"PutRequest": {"Item": {}}},
                        requests[0] | {"DeleteRequest": {"Key": random.choice(table.keys)}},
                    ],
                )
            )
        requested[table.name] = requests
    if chance(random, 4):
        many = [{"PutRequest": {"Item": {"pk": {"S": str(at)}}}} for at in range(26)]
        requested |= random.choice(
            [{"unknown": [{"DeleteRequest": {"Key": {"pk": {"S": "p"}}}}]}, {"plain": []}, {"plain": many}]
        )
    return Step("BatchWriteItem", {"RequestItems": requested})


def batches(random: Random) -> list[Step]:
    steps = [table.contents(random, most=3) for table in USED]
    steps += [batch_get(random) if chance(random, 50) else batch_write(random) for _ in range(random.randint(1, 8))]
    return [*steps, *(all_items(table) for table in USED)]


def transact_get(random: Random) -> Step:
    gets = []
    for _ in range(random.randint(1, 4)):
        table = random.choice(USED)
        get: Body = {"TableName": table.name, "Key": key(random, table)}
        if chance(random, 30):
            writer = Writer(random, keys=table.key_names)
            get["ProjectionExpression"] = writer.projection()
            get |= writer.placeholders()
        gets.append({"Get": get})
    return Step("TransactGetItems", {"TransactItems": gets})


def transact_write(random: Random) -> Step:
    actions: list[Body] = []
    taken: list[tuple[str, Body]] = []
    for _ in range(random.randint(1, 4)):
        table = random.choice(USED)
        the_key = key(random, table)
        if (table.name, the_key) in taken and not chance(random, 5):
            continue
        taken.append((table.name, the_key))
        actions.append(_action(random, table, the_key))
    if chance(random, 3):
        actions.append(
            random.choice(
                [
                    {},
                    {"Put": {"TableName": "unknown", "Item": {"pk": {"S": "p"}}}},
                    actions[0] | {"Delete": {"TableName": "plain", "Key": PLAIN.keys[0]}},
                ],
            )
        )
    return Step("TransactWriteItems", {"TransactItems": actions})


def _action(random: Random, table: Table, the_key: Body) -> Body:
    kind = random.choice(["Put", "Update", "Delete", "ConditionCheck"])
    writer = Writer(random, keys=table.key_names, wild=3)
    action: Body = {"TableName": table.name}
    if kind == "Put":
        action["Item"] = the_key | attributes(random, wild=table.wild, most=3)
    else:
        action["Key"] = the_key
    if kind == "Update":
        action["UpdateExpression"] = writer.update()
    if kind == "ConditionCheck" or chance(random, 20):
        sure = f"attribute_not_exists({writer.name('gone')})"
        action["ConditionExpression"] = sure if chance(random, 50) else writer.condition(1)
        if chance(random, 40):
            action["ReturnValuesOnConditionCheckFailure"] = random.choice(["ALL_OLD", "NONE"])
    return {kind: action | writer.placeholders()}


def transactions(random: Random) -> list[Step]:
    steps = [table.contents(random, most=6) for table in USED]
    steps += [
        transact_get(random) if chance(random, 25) else transact_write(random) for _ in range(random.randint(1, 8))
    ]
    return [*steps, *(all_items(table) for table in USED)]
