"""The family of texts that are not, or only just, expressions; `texts/` has one on a line."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from tests.differential.tables import Step
from tests.differential.values import chance

Body = dict[str, Any]


def texts(name: str) -> list[str]:
    lines = (Path(__file__).parent / "texts" / f"{name}.txt").read_text().splitlines()
    return [line.replace("\\n", "\n").replace("\\t", "\t") for line in lines]


CONDITION_TEXTS, UPDATE_TEXTS, PROJECTION_TEXTS, KEY_TEXTS = map(
    texts, ("conditions", "updates", "projections", "keys")
)


def syntax(random: Random) -> list[Step]:
    """Placeholders that a text does not use are left out, so that each text shows its own fault."""
    steps: list[Step] = []
    for _ in range(random.randint(1, 5)):
        kind = random.choice(["condition", "condition", "filter", "update", "projection", "key"])
        the_key: Body = {"pk": {"S": "none"}, "sk": {"S": "none"}}
        texts = {"update": UPDATE_TEXTS, "projection": PROJECTION_TEXTS, "key": KEY_TEXTS}.get(kind, CONDITION_TEXTS)
        text = random.choice(texts)
        if chance(random, 60) and kind in ("condition", "filter", "update"):
            text = with_values(text, kind)
        requests: dict[str, tuple[str, Body]] = {
            "condition": ("DeleteItem", {"Key": the_key, "ConditionExpression": text}),
            "filter": ("Scan", {"FilterExpression": text}),
            "update": ("UpdateItem", {"Key": the_key, "UpdateExpression": text}),
            "projection": ("GetItem", {"Key": the_key, "ProjectionExpression": text}),
            "key": ("Query", {"KeyConditionExpression": text}),
        }
        operation, body = requests[kind]
        steps.append(Step(operation, {"TableName": "ranged", **body} | placeholders_of(text), unordered=True))
        if kind == "update":
            steps.append(Step("DeleteItem", {"TableName": "ranged", "Key": the_key, "ReturnValues": "ALL_OLD"}))
    return steps


def with_values(text: str, kind: str) -> str:
    """Put a value for the last operand, as clients do."""
    for name in ("d", "c", "b"):
        if f" {name}" in text and kind != "projection":
            head, _, tail = text.rpartition(f" {name}")
            return f"{head} :s{tail}"
    return text


def placeholders_of(text: str) -> Body:
    names = {name: real for name, real in (("#a", "a"), ("#p", "pk")) if name in text.replace("#undefined", "")}
    values = {":p": {"S": "p"}, ":s": {"S": "a"}, ":t": {"S": "b"}, ":a": {"S": "x"}}
    used = {name: value for name, value in values.items() if name in text}
    members: Body = {}
    if names:
        members["ExpressionAttributeNames"] = names
    if used:
        members["ExpressionAttributeValues"] = used
    return members
