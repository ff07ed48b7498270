"""The family of broken requests: a good one in which one JSON value is replaced, removed or added."""

from __future__ import annotations

import copy
import json
from typing import Any

from differential.multi import batch_get, batch_write, transact_get, transact_write
from differential.queries import query_step, scan_step
from differential.single import get, write
from differential.tables import INDEXED, RANGED, Step
from differential.values import Draw, chance, one_of
from hypothesis import strategies as st

JUNK: list[Any] = [
    None,
    0,
    1,
    -1,
    1.5,
    10**20,
    True,
    False,
    "",
    "x",
    "bad name!",
    "x" * 300,
    [],
    ["x"],
    [None],
    {},
    {"x": "y"},
    {"S": "p"},
]


def locations(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every JSON value inside."""
    found = [at] if at else []
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in members:
        found += locations(inner, (*at, name))
    return found


def broken(draw: Draw[Any], body: Any) -> Any:
    body = copy.deepcopy(body)
    # Shallow places first: that is where shapes and their constraints are.
    places = sorted(locations(body), key=len)
    *way, last = one_of(draw, places[: draw(st.integers(1, len(places)))])
    holder = body
    for name in way:
        holder = holder[name]
    change = one_of(draw, ["replace", "replace", "replace", "remove", "add"])
    if change == "replace":
        holder[last] = one_of(draw, JUNK)
    elif change == "remove":
        holder.pop(last)
    elif isinstance(holder, dict):
        name = one_of(
            draw,
            [
                "Unknown",
                "Limit",
                "Select",
                "ReturnValues",
                "ReturnConsumedCapacity",
                "IndexName",
                "Key",
                "Segment",
                "ConditionExpression",
            ],
        )
        holder[name] = one_of(draw, JUNK)
    else:
        holder.append(one_of(draw, JUNK))
    return body


@st.composite
def malformed(draw: Draw[Any]) -> list[Step]:
    steps = [RANGED.contents(draw, most=2)]
    for _ in range(draw(st.integers(1, 8))):
        step = _good(draw)
        if chance(draw, 4):
            text = json.dumps(step.body)
            body: Any = one_of(
                draw,
                ["", "{", "[]", "null", "1", '"x"', text[:-1], text + "}", text.replace(":", "=", 1), "\ufeff" + text],
            ).encode()
        else:
            body = broken(draw, step.body)
        operation = one_of(draw, ["Nothing", "", "getItem"]) if chance(draw, 2) else step.operation
        steps.append(Step(operation, body, unordered=True))
    return steps


def _good(draw: Draw[Any]) -> Step:
    operation = one_of(
        draw,
        [
            "GetItem",
            "PutItem",
            "UpdateItem",
            "DeleteItem",
            "Query",
            "Scan",
            "BatchGetItem",
            "BatchWriteItem",
            "TransactGetItems",
            "TransactWriteItems",
        ],
    )
    table = one_of(draw, [RANGED, INDEXED])
    if operation == "GetItem":
        return get(draw, table)
    if operation == "Query":
        return query_step(draw, table)
    if operation == "Scan":
        return scan_step(draw, table)
    several = {
        "BatchGetItem": batch_get,
        "BatchWriteItem": batch_write,
        "TransactGetItems": transact_get,
        "TransactWriteItems": transact_write,
    }
    return several[operation](draw) if operation in several else write(draw, table, operation)
