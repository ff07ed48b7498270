"""The family of broken requests: a good one in which one JSON value is replaced, removed or added."""

from __future__ import annotations

import copy
import json
from random import Random
from typing import Any

from tests.differential.multi import batch_get, batch_write, transact_get, transact_write
from tests.differential.queries import query_step, scan_step
from tests.differential.single import get, write
from tests.differential.tables import INDEXED, RANGED, Step
from tests.differential.values import chance

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


def broken(random: Random, body: Any) -> Any:
    body = copy.deepcopy(body)
    # Shallow places first: that is where shapes and their constraints are.
    places = sorted(locations(body), key=len)
    *way, last = random.choice(places[: random.randint(1, len(places))])
    holder = body
    for name in way:
        holder = holder[name]
    change = random.choice(["replace", "replace", "replace", "remove", "add"])
    if change == "replace":
        holder[last] = random.choice(JUNK)
    elif change == "remove":
        holder.pop(last)
    elif isinstance(holder, dict):
        name = random.choice(
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
        holder[name] = random.choice(JUNK)
    else:
        holder.append(random.choice(JUNK))
    return body


def malformed(random: Random) -> list[Step]:
    steps = [RANGED.contents(random, most=2)]
    for _ in range(random.randint(1, 8)):
        step = _good(random)
        if chance(random, 4):
            text = json.dumps(step.body)
            body: Any = random.choice(
                ["", "{", "[]", "null", "1", '"x"', text[:-1], text + "}", text.replace(":", "=", 1), "\ufeff" + text],
            ).encode()
        else:
            body = broken(random, step.body)
        operation = random.choice(["Nothing", "", "getItem"]) if chance(random, 2) else step.operation
        steps.append(Step(operation, body, unordered=True))
    return steps


def _good(random: Random) -> Step:
    operation = random.choice(
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
    table = random.choice([RANGED, INDEXED])
    if operation == "GetItem":
        return get(random, table)
    if operation == "Query":
        return query_step(random, table)
    if operation == "Scan":
        return scan_step(random, table)
    several = {
        "BatchGetItem": batch_get,
        "BatchWriteItem": batch_write,
        "TransactGetItems": transact_get,
        "TransactWriteItems": transact_write,
    }
    return several[operation](random) if operation in several else write(random, table, operation)
