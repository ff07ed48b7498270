"""Families over many items: Query and Scan, on tables and indexes, page by page."""

from __future__ import annotations

from typing import Any

from differential.expressions import Writer
from differential.tables import BINARY, INDEXED, NUMBERED, PLAIN, RANGED, Index, Step, Table
from differential.values import BINARIES, BY_TYPE, NUMBERS, STRINGS, Draw, Value, anything, chance, one_of
from hypothesis import strategies as st

Body = dict[str, Any]

ALPHABETS = {"S": STRINGS, "N": NUMBERS, "B": BINARIES}
# What no item has: where DynamoDB Local goes on among equal items of a local index is decided by a hash.
BETWEEN = {"S": "aa", "N": "7", "B": "YWE="}
SELECTS = ["ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES", "COUNT", "SPECIFIC_ATTRIBUTES"]


def key_value(draw: Draw[Any], table: Table, name: str) -> Value:
    """A value that an item is likely to have in this key attribute."""
    kind = table.types[name]
    if chance(draw, 3):
        nonsense: Value = draw(anything)
        return nonsense
    known = table.partitions if name == table.partition else table.sorts if name == table.sort else ALPHABETS[kind]
    usable = known if chance(draw, 3) else [text for text in known if text]
    return {kind: one_of(draw, usable)}


def key_condition(draw: Draw[Any], table: Table, partition: str, sort: str | None, writer: Writer) -> str:
    parts = [f"{writer.name(partition)} = {writer.bind(key_value(draw, table, partition))}"]
    if sort is not None and chance(draw, 65):
        parts.append(_sort_condition(draw, table, sort, writer))
        if chance(draw, 15):
            parts.reverse()
    if chance(draw, 2):
        parts.append(f"{writer.name('n')} = {writer.value('N')}")
    return " AND ".join(f"({part})" if chance(draw, 5) else part for part in parts)


def _sort_condition(draw: Draw[Any], table: Table, sort: str, writer: Writer) -> str:
    def operand() -> str:
        return writer.bind(key_value(draw, table, sort))

    name = writer.name(sort)
    operator = one_of(draw, ["=", "<", "<=", ">", ">=", "BETWEEN", "BETWEEN", "begins_with", "begins_with"])
    if operator == "begins_with" and (table.types[sort] != "N" or chance(draw, 10)):
        return f"begins_with({name}, {operand()})"
    if operator == "BETWEEN":
        low, high = key_value(draw, table, sort), key_value(draw, table, sort)
        if low.keys() == high.keys() == {"S"} and low["S"].encode() > high["S"].encode() and chance(draw, 90):
            low, high = high, low
        if low.keys() == high.keys() == {"N"} and float(low["N"]) > float(high["N"]) and chance(draw, 90):
            low, high = high, low
        return f"{name} BETWEEN {writer.bind(low)} AND {writer.bind(high)}"
    if operator == "begins_with":
        operator = ">="
    return f"{operand()} {operator} {name}" if chance(draw, 8) else f"{name} {operator} {operand()}"


def narrowing(draw: Draw[Any], index: Index | None, writer: Writer, *, filtered: bool = True) -> Body:
    """Filter, projection and Select: what a read leaves out."""
    body: Body = {}
    if filtered and chance(draw, 35):
        body["FilterExpression"] = writer.condition(1)
    if chance(draw, 20):
        body["ProjectionExpression"] = writer.projection()
        if chance(draw, 20):
            body["Select"] = one_of(draw, SELECTS)
    elif chance(draw, 25):
        body["Select"] = one_of(draw, SELECTS[:3] if index or chance(draw, 10) else ["ALL_ATTRIBUTES", "COUNT"])
    if chance(draw, 25 if index is None or index.is_local else 3):
        body["ConsistentRead"] = draw(st.booleans())
    return body


def start_key(draw: Draw[Any], table: Table, index: Index | None) -> Value:
    """A key where a page could have ended, whether or not an item has it; now and then nonsense."""
    key = dict(one_of(draw, table.keys))
    for name in (index.partition, index.sort) if index else ():
        if name is not None and name not in key:
            kind = table.types[name]
            key[name] = {kind: BETWEEN[kind]} if index.is_local else key_value(draw, table, name)
    if chance(draw, 8):
        flaw = one_of(draw, ["missing", "extra", "type", "empty"])
        if flaw == "missing":
            key.pop(one_of(draw, list(key)))
        elif flaw == "extra":
            key["n"] = draw(BY_TYPE["N"])
        elif flaw == "type":
            key[one_of(draw, list(key))] = draw(anything)
        else:
            return {}
    return key


def query_step(draw: Draw[Any], table: Table) -> Step:
    index = one_of(draw, [None, *table.indexes]) if table.indexes and chance(draw, 85) else None
    partition, sort = (index.partition, index.sort) if index else (table.partition, table.sort)
    writer = Writer(draw, wild=5)
    body: Body = {"TableName": table.name}
    if index is not None:
        body["IndexName"] = index.name
    elif chance(draw, 2):
        body["IndexName"] = "none"
    body["KeyConditionExpression"] = key_condition(draw, table, partition, sort, writer)
    body |= narrowing(draw, index, writer) | writer.placeholders()
    if chance(draw, 40):
        body["ScanIndexForward"] = draw(st.booleans())
    # No server promises an order among items that are equal in a global index's key: single pages are of no use.
    is_global = index is not None and not index.is_local
    if chance(draw, 50):
        body["Limit"] = one_of(draw, [1, 2, 3, 5, 10])
        if not is_global and chance(draw, 40):
            if chance(draw, 50):
                start = start_key(draw, table, index)
                if chance(draw, 70) and start:
                    start[partition] = body["ExpressionAttributeValues"][":v0"]
                body["ExclusiveStartKey"] = start
            return Step("Query", body)
        return Step("Query", body, walk=True, unordered=is_global and sort is None, ties=sort if is_global else None)
    return Step("Query", body, unordered=is_global and sort is None, ties=sort if is_global else None)


@st.composite
def queries(draw: Draw[Any]) -> list[Step]:
    table = one_of(draw, [RANGED, NUMBERED, BINARY, PLAIN, INDEXED, INDEXED, INDEXED])
    return [table.contents(draw, most=5), *(query_step(draw, table) for _ in range(draw(st.integers(1, 8))))]


def scan_step(draw: Draw[Any], table: Table) -> Step:
    """Scans are compared as a whole: no two servers need the same order of partitions."""
    index = one_of(draw, [None, *table.indexes])
    writer = Writer(draw, wild=5)
    body: Body = {"TableName": table.name} | ({} if index is None else {"IndexName": index.name})
    # DynamoDB Local filters a scan by attributes that the index does not hold.
    filtered = index is None or index.projection["ProjectionType"] == "ALL"
    body |= narrowing(draw, index, writer, filtered=filtered) | writer.placeholders()
    if chance(draw, 40):
        body["Limit"] = one_of(draw, [1, 2, 3, 7, 100])
    if chance(draw, 30):
        body["TotalSegments"] = one_of(draw, [1, 2, 3, 5])
        body["Segment"] = 0
    if chance(draw, 6):
        body |= one_of(
            draw,
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


@st.composite
def scans(draw: Draw[Any]) -> list[Step]:
    table = one_of(draw, [PLAIN, RANGED, NUMBERED, INDEXED, INDEXED])
    return [table.contents(draw, most=5), *(scan_step(draw, table) for _ in range(draw(st.integers(1, 5))))]
