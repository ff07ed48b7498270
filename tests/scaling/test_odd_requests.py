"""Odd requests to the operations of Application Auto Scaling get an answer or the service's error, never HTTP 500."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from atoll.api import service_model, services
from atoll.api.service_model import Shape
from atoll.clock import ManualClock
from atoll.database.region import Region, Settings
from atoll.errors import ApiError
from tests import desk
from tests.engines import fresh_engine

START_MS = 1_800_000_000_000
TARGET = "AnyScaleFrontendService"
MODEL = service_model.model("application-autoscaling")

TEXTS = (
    "", " ", "table/Things", "table/Things/index/by", "table/Missing", "Things", "P", "A", "x" * 1700, "\0", "ü😀",
    "a:b", "dynamodb", "ecs", "dynamodb:table:ReadCapacityUnits", "dynamodb:index:WriteCapacityUnits",
    "TargetTrackingScaling", "StepScaling", "DynamoDBReadCapacityUtilization", "Average", "Sum", "rate(5 minutes)",
    "rate(0 days)",
    "rate(1 day)", "cron(0 0 30 2 ? *)", "cron(* * * * ? *)", "cron(²  0 * * ? *)",
    "at(2030-01-01T00:00:00)", "at(0001-01-01T00:00:00)",
    "at(9999-12-31T23:59:59)", "UTC", "Europe/Berlin", "/etc/passwd", "../x", "WyJhIiwiYiJd", "W10=", "aws:x",
    "arn:aws:application-autoscaling:us-east-1:000000000000:scalable-target/abc",
)  # fmt: skip
NUMBERS = (0, 1, -1, 5, 50, 51, 100, 2**31 - 1, -(2**31), 2**31, 1e300, -1e300, 1e-300, 70.0, 90.1, 1.5, 1_900_000_000)
OTHERS: tuple[Any, ...] = (None, True, [], {}, "x", 1, [None], {"": None})


def value(shape: Shape, random_: random.Random, depth: int = 0) -> Any:
    if random_.random() < 0.01:
        return random_.choice(OTHERS)
    match shape.kind:
        case "structure":
            needed = [name for name in shape.members if name in shape.required or random_.random() < 0.6]
            return {name: value(shape.members[name], random_, depth + 1) for name in needed if random_.random() < 0.98}
        case "list":
            assert shape.item is not None
            return [
                value(shape.item, random_, depth + 1)
                for _ in range(random_.choice((0, 1, 1, 2, 60 if depth < 3 else 3)))
            ]
        case "map":
            assert shape.item is not None and shape.key is not None
            keys = [random_.choice(TEXTS) for _ in range(random_.choice((0, 1, 3)))]
            return {key: value(shape.item, random_, depth + 1) for key in keys}
        case "boolean":
            return random_.random() < 0.5
        case "integer" | "long" | "double" | "timestamp":
            return random_.choice(NUMBERS)
    return random_.choice(TEXTS)


LIKELY = {
    "ServiceNamespace": "dynamodb", "ResourceId": "table/Things",
    "ScalableDimension": "dynamodb:table:ReadCapacityUnits",
    "PolicyType": "TargetTrackingScaling", "PolicyName": "P", "ScheduledActionName": "A",
}  # fmt: skip


@pytest.mark.parametrize("operation", sorted(one.name for one in services.of(services.SCALING)))
def test_no_request_fails_unexpectedly(operation: str) -> None:
    random_ = random.Random(operation)
    region = Region("us-east-1", fresh_engine(), ManualClock(START_MS), Settings())
    table = {
        "TableName": "Things",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
    }
    asyncio.run(desk.call(region, "CreateTable", table))
    register = {**LIKELY, "MinCapacity": 1, "MaxCapacity": 9}
    asyncio.run(desk.call(region, "RegisterScalableTarget", register, TARGET))
    shape = MODEL.input(operation)
    for _ in range(200):
        body = value(shape, random_)
        if not isinstance(body, dict):
            continue
        for name, likely in LIKELY.items():
            if name in body and random_.random() < 0.7:
                body[name] = likely
        try:
            asyncio.run(desk.call(region, operation, body, TARGET))
        except ApiError as error:
            assert error.status < 500, (body, error)
