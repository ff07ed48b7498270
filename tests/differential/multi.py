"""Families over several items in one request: batches and transactions."""

from __future__ import annotations

from typing import Any

from differential.expressions import Writer
from differential.single import all_items, key
from differential.tables import INDEXED, NUMBERED, PLAIN, RANGED, Step, Table
from differential.values import Draw, attributes, chance, one_of
from hypothesis import strategies as st

Body = dict[str, Any]
USED = [PLAIN, RANGED, NUMBERED, INDEXED]


def distinct_keys(draw: Draw[Any], table: Table, most: int) -> list[Body]:
    keys = draw(st.lists(st.integers(0, len(table.keys) - 1), min_size=1, max_size=most, unique=True))
    found = [table.keys[at] for at in keys]
    if chance(draw, 5):
        found.append(one_of(draw, found))  # twice in one request
    if chance(draw, 3):
        found.append(key(draw, table))
    return found


def batch_get(draw: Draw[Any]) -> Step:
    requested: Body = {}
    for table in draw(st.lists(st.sampled_from(USED), min_size=1, max_size=2, unique_by=lambda table: table.name)):
        member: Body = {"Keys": distinct_keys(draw, table, 5)}
        if chance(draw, 30):
            writer = Writer(draw, keys=table.key_names)
            member["ProjectionExpression"] = writer.projection()
            member |= writer.placeholders()
        elif chance(draw, 10):
            member["AttributesToGet"] = ["a", one_of(draw, ["pk", "n", "a"])]
        if chance(draw, 20):
            member["ConsistentRead"] = draw(st.booleans())
        requested[table.name] = member
    if chance(draw, 4):
        requested |= one_of(draw, [{"unknown": {"Keys": [{"pk": {"S": "p"}}]}}, {"plain": {"Keys": []}}, {"plain": {}}])
    return Step("BatchGetItem", {"RequestItems": requested}, unordered=True)


def batch_write(draw: Draw[Any]) -> Step:
    requested: Body = {}
    for table in draw(st.lists(st.sampled_from(USED), min_size=1, max_size=2, unique_by=lambda table: table.name)):
        requests: list[Body] = [
            {"PutRequest": {"Item": the_key | attributes(draw, wild=table.wild)}}
            if chance(draw, 60)
            else {"DeleteRequest": {"Key": the_key}}
            for the_key in distinct_keys(draw, table, 6)
        ]
        if chance(draw, 4):
            requests.append(
                one_of(
                    draw,
                    [
                        {},
                        {"PutRequest": {}},
                        {"PutRequest": {"Item": {}}},
                        requests[0] | {"DeleteRequest": {"Key": one_of(draw, table.keys)}},
                    ],
                )
            )
        requested[table.name] = requests
    if chance(draw, 4):
        many = [{"PutRequest": {"Item": {"pk": {"S": str(at)}}}} for at in range(26)]
        requested |= one_of(
            draw, [{"unknown": [{"DeleteRequest": {"Key": {"pk": {"S": "p"}}}}]}, {"plain": []}, {"plain": many}]
        )
    return Step("BatchWriteItem", {"RequestItems": requested})


@st.composite
def batches(draw: Draw[Any]) -> list[Step]:
    steps = [table.contents(draw, most=3) for table in USED]
    steps += [batch_get(draw) if chance(draw, 50) else batch_write(draw) for _ in range(draw(st.integers(1, 8)))]
    return [*steps, *(all_items(table) for table in USED)]


def transact_get(draw: Draw[Any]) -> Step:
    gets = []
    for _ in range(draw(st.integers(1, 4))):
        table = one_of(draw, USED)
        get: Body = {"TableName": table.name, "Key": key(draw, table)}
        if chance(draw, 30):
            writer = Writer(draw, keys=table.key_names)
            get["ProjectionExpression"] = writer.projection()
            get |= writer.placeholders()
        gets.append({"Get": get})
    return Step("TransactGetItems", {"TransactItems": gets})


def transact_write(draw: Draw[Any]) -> Step:
    actions: list[Body] = []
    taken: list[tuple[str, Body]] = []
    for _ in range(draw(st.integers(1, 4))):
        table = one_of(draw, USED)
        the_key = key(draw, table)
        if (table.name, the_key) in taken and not chance(draw, 5):
            continue
        taken.append((table.name, the_key))
        actions.append(_action(draw, table, the_key))
    if chance(draw, 3):
        actions.append(
            one_of(
                draw,
                [
                    {},
                    {"Put": {"TableName": "unknown", "Item": {"pk": {"S": "p"}}}},
                    actions[0] | {"Delete": {"TableName": "plain", "Key": PLAIN.keys[0]}},
                ],
            )
        )
    return Step("TransactWriteItems", {"TransactItems": actions})


def _action(draw: Draw[Any], table: Table, the_key: Body) -> Body:
    kind = one_of(draw, ["Put", "Update", "Delete", "ConditionCheck"])
    writer = Writer(draw, keys=table.key_names, wild=3)
    action: Body = {"TableName": table.name}
    if kind == "Put":
        action["Item"] = the_key | attributes(draw, wild=table.wild, most=3)
    else:
        action["Key"] = the_key
    if kind == "Update":
        action["UpdateExpression"] = writer.update()
    if kind == "ConditionCheck" or chance(draw, 20):
        sure = f"attribute_not_exists({writer.name('gone')})"
        action["ConditionExpression"] = sure if chance(draw, 50) else writer.condition(1)
        if chance(draw, 40):
            action["ReturnValuesOnConditionCheckFailure"] = one_of(draw, ["ALL_OLD", "NONE"])
    return {kind: action | writer.placeholders()}


@st.composite
def transactions(draw: Draw[Any]) -> list[Step]:
    steps = [table.contents(draw, most=6) for table in USED]
    steps += [transact_get(draw) if chance(draw, 25) else transact_write(draw) for _ in range(draw(st.integers(1, 8)))]
    return [*steps, *(all_items(table) for table in USED)]
