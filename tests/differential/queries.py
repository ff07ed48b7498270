"""Families over many items: Query and Scan, on tables and indexes, page by page."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.differential.expressions import Writer
from tests.differential.tables import BINARY, INDEXED, NUMBERED, PLAIN, RANGED, Index, Step, Table
from tests.differential.values import BINARIES, BY_TYPE, NUMBERS, STRINGS, Value, anything, chance

Body = dict[str, Any]

ALPHABETS = {"S": STRINGS, "N": NUMBERS, "B": BINARIES}
# What no item has: where DynamoDB Local goes on among equal items of a local index is decided by a hash.
BETWEEN = {"S": "aa", "N": "7", "B": "YWE="}
SELECTS = ["ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES", "COUNT", "SPECIFIC_ATTRIBUTES"]


def key_value(random: Random, table: Table, name: str) -> Value:
    """A value that an item is likely to have in this key attribute."""
    kind = table.types[name]
    if chance(random, 3):
        return anything(random)
    known = table.partitions if name == table.partition else table.sorts if name == table.sort else ALPHABETS[kind]
    usable = known if chance(random, 3) else [text for text in known if text]
    return {kind: random.choice(usable)}


def key_condition(random: Random, table: Table, partition: str, sort: str | None, writer: Writer) -> str:
    parts = [f"{writer.name(partition)} = {writer.bind(key_value(random, table, partition))}"]
    if sort is not None and chance(random, 65):
        parts.append(_sort_condition(random, table, sort, writer))
        if chance(random, 15):
            parts.reverse()
    if chance(random, 2):
        parts.append(f"{writer.name('n')} = {writer.value('N')}")
    return " AND ".join(f"({part})" if chance(random, 5) else part for part in parts)


def _sort_condition(random: Random, table: Table, sort: str, writer: Writer) -> str:
    def operand() -> str:
        return writer.bind(key_value(random, table, sort))

    name = writer.name(sort)
    operator = random.choice(["=", "<", "<=", ">", ">=", "BETWEEN", "BETWEEN", "begins_with", "begins_with"])
    if operator == "begins_with" and (table.types[sort] != "N" or chance(random, 10)):
        return f"begins_with({name}, {operand()})"
    if operator == "BETWEEN":
        low, high = key_value(random, table, sort), key_value(random, table, sort)
        if low.keys() == high.keys() == {"S"} and low["S"].encode() > high["S"].encode() and chance(random, 90):
            low, high = high, low
        if low.keys() == high.keys() == {"N"} and float(low["N"]) > float(high["N"]) and chance(random, 90):
            low, high = high, low
        return f"{name} BETWEEN {writer.bind(low)} AND {writer.bind(high)}"
    if operator == "begins_with":
        operator = ">="
    return f"{operand()} {operator} {name}" if chance(random, 8) else f"{name} {operator} {operand()}"


def narrowing(random: Random, index: Index | None, writer: Writer) -> Body:
    """Filter, projection and Select: what a read leaves out."""
    body: Body = {}
    if chance(random, 35):
        body["FilterExpression"] = writer.condition(1)
    if chance(random, 20):
        body["ProjectionExpression"] = writer.projection()
        if chance(random, 20):
            body["Select"] = random.choice(SELECTS)
    elif chance(random, 25):
        body["Select"] = random.choice(SELECTS[:3] if index or chance(random, 10) else ["ALL_ATTRIBUTES", "COUNT"])
    if chance(random, 25 if index is None or index.is_local else 3):
        body["ConsistentRead"] = chance(random, 50)
    return body


def start_key(random: Random, table: Table, index: Index | None) -> Value:
    """A key where a page could have ended, whether or not an item has it; now and then nonsense."""
    key = dict(random.choice(table.keys))
    for name in (index.partition, index.sort) if index else ():
        if name is not None and name not in key:
            kind = table.types[name]
            key[name] = {kind: BETWEEN[kind]} if index and index.is_local else key_value(random, table, name)
    if chance(random, 8):
        flaw = random.choice(["missing", "extra", "type", "blank", "empty"])
        if flaw == "missing":
            key.pop(random.choice(list(key)))
        elif flaw == "extra":
            key["n"] = BY_TYPE["N"](random)
        elif flaw == "type":
            key[random.choice(list(key))] = anything(random)
        elif flaw == "blank":
            key[random.choice(list(key))] = {random.choice(["S", "B"]): ""}
        else:
            return {}
    return key


def query_step(random: Random, table: Table) -> Step:
    index = random.choice([None, *table.indexes]) if table.indexes and chance(random, 85) else None
    partition, sort = (index.partition, index.sort) if index else (table.partition, table.sort)
    writer = Writer(random, wild=5)
    body: Body = {"TableName": table.name}
    if index is not None:
        body["IndexName"] = index.name
    elif chance(random, 2):
        body["IndexName"] = "none"
    body["KeyConditionExpression"] = key_condition(random, table, partition, sort, writer)
    body |= narrowing(random, index, writer) | writer.placeholders()
    if chance(random, 40):
        body["ScanIndexForward"] = chance(random, 50)
    # No server promises an order among items that are equal in a global index's key: single pages are of no use.
    is_global = index is not None and not index.is_local
    if chance(random, 50):
        body["Limit"] = random.choice([1, 2, 3, 5, 10])
        if not is_global and chance(random, 40):
            if chance(random, 50):
                start = start_key(random, table, index)
                if chance(random, 70) and start:
                    start[partition] = body["ExpressionAttributeValues"][":v0"]
                body["ExclusiveStartKey"] = start
            return Step("Query", body)
        return Step("Query", body, walk=True, unordered=is_global and sort is None, ties=sort if is_global else None)
    return Step("Query", body, unordered=is_global and sort is None, ties=sort if is_global else None)


def queries(random: Random) -> list[Step]:
    table = random.choice([RANGED, NUMBERED, BINARY, PLAIN, INDEXED, INDEXED, INDEXED])
    return [table.contents(random, most=5), *(query_step(random, table) for _ in range(random.randint(1, 8)))]


def scan_step(random: Random, table: Table) -> Step:
    """Scans are compared as a whole: no two servers need the same order of partitions."""
    index = random.choice([None, *table.indexes])
    # DynamoDB Local filters a scan by attributes that the index does not hold.
    writer = Writer(random, wild=5, only=frozenset() if index is None else table.held(index))
    body: Body = {"TableName": table.name} | ({} if index is None else {"IndexName": index.name})
    body |= narrowing(random, index, writer) | writer.placeholders()
    if chance(random, 40):
        body["Limit"] = random.choice([1, 2, 3, 7, 100])
    if chance(random, 30):
        body["TotalSegments"] = random.choice([1, 2, 3, 5])
        body["Segment"] = 0
    if chance(random, 6):
        body |= random.choice(
            [
                {"Segment": 5, "TotalSegments": 5},
                {"Segment": -1, "TotalSegments": 2},
                {"TotalSegments": 2},
                {"Segment": 1},
                {"Segment": 0, "TotalSegments": 0},
                {"Segment": 0, "TotalSegments": 1_000_001},
                {"Limit": 0},
                {"Limit": -1},
                {"IndexName": "none"},
                {"ExclusiveStartKey": {"n": {"N": "1"}}},
                {"ExclusiveStartKey": {}},
            ],
        )
    return Step("Scan", body, walk="ExclusiveStartKey" not in body, unordered=True)


def scans(random: Random) -> list[Step]:
    table = random.choice([PLAIN, RANGED, NUMBERED, INDEXED, INDEXED])
    return [table.contents(random, most=5), *(scan_step(random, table) for _ in range(random.randint(1, 5)))]
