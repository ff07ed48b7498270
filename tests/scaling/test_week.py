"""A simulated week of varied traffic against the documented rules (`rules`): the same units, minute by minute.

`make test` runs a day of each of two seeds; `make scaling` runs weeks.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from atoll import testing
from atoll.api import tables
from atoll.clock import ManualClock
from atoll.node import Node
from atoll.scaling import targets
from atoll.scaling.targets import Id
from atoll.testing.local import LocalServer
from tests.scaling.rules import DAY, HOUR, Rules
from tests.scaling.test_operations import READ, WRITE, of, tracking

DAYS = int(os.environ.get("SCALING_DAYS", "1"))
SEEDS = [int(seed) for seed in os.environ.get("SCALING_SEEDS", "1,2").split(",")]

INDEX = "dynamodb:index:WriteCapacityUnits"


def traffic(random_: random.Random, minutes: int) -> Iterator[int]:
    """Units a minute: days and nights, noise, bursts, idle hours, and steps that stay."""
    base, burst, lull = random_.uniform(100, 4000), 0.0, 0
    for minute in range(minutes):
        wave = 1.2 + math.sin(2 * math.pi * (minute % DAY) / DAY)
        if random_.random() < 0.002:
            burst = random_.uniform(1, 12)
        if random_.random() < 0.001:
            lull = random_.randrange(10, 120)
        if random_.random() < 0.0005:
            base = random_.uniform(100, 4000)
        units = base * (wave + burst) * random_.uniform(0.8, 1.2)
        burst, lull = burst * 0.85 if burst > 0.1 else 0.0, max(0, lull - 1)
        yield 0 if lull else max(1, round(units))


class Simulated:
    """One target of the server, and the rules that it has to follow."""

    def __init__(self, scaling: Any, id_: Id, rules: Rules, random_: random.Random, kind: str) -> None:
        self.id, self.rules, self.kind = id_, rules, kind
        names = {"ResourceId": id_.resource, "ScalableDimension": id_.dimension, "ServiceNamespace": "dynamodb"}
        scaling.register_scalable_target(**names, MinCapacity=rules.least, MaxCapacity=rules.most)
        cooldowns = {
            "ScaleOutCooldown": rules.rise_cooldown * 60,
            "ScaleInCooldown": rules.fall_cooldown * 60,
            "DisableScaleIn": not rules.may_fall,
        }
        scaling.put_scaling_policy(**names, PolicyName="P", **tracking(float(rules.percent), kind, **cooldowns))
        self.traffic = traffic(random_, DAYS * DAY)
        self.schedules: dict[int, tuple[int, int]] = {}
        self._random = random_

    async def maybe_set(self, node: Node, now: int) -> None:
        """Somebody sets the units by hand once or twice a day."""
        if now < HOUR or now % HOUR or self._random.random() > 0.06 or self.id.index_name is not None:
            return
        units = self._random.randint(self.rules.least, self.rules.most)
        if units == self.rules.units or not self.rules.set_by_hand(now, units):
            return
        read, write = (units, 50) if self.kind == "Read" else (50, units)
        throughput = {"ReadCapacityUnits": read, "WriteCapacityUnits": write}
        await tables.update_table(node.region(), {"TableName": self.id.table_name, "ProvisionedThroughput": throughput})
        await node.work[node.region().key].evaluation.settle()  # the server takes note at once

    def consume(self, node: Node) -> int:
        consumed = next(self.traffic)
        if not consumed:
            return 0
        tally = node.region().meter.tally(self.id.table_name, self.id.index_name, "PutItem")
        (tally.reads if self.kind == "Read" else tally.writes)[consumed] += 1
        return consumed


def served(server: LocalServer, seed: int) -> list[Simulated]:
    """A table whose reads scale, and one whose writes and index do. (Reads and writes of one table share its decreases,
    and which of the two alarms is evaluated first in a minute is not defined.)"""
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
    units = {"ReadCapacityUnits": 50, "WriteCapacityUnits": 50}
    index = {"IndexName": "by_pk", "KeySchema": keys, "Projection": {"ProjectionType": "ALL"}}
    for name in ("Reads", "Writes"):
        server.client().create_table(
            TableName=name,
            KeySchema=keys,
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            ProvisionedThroughput=units,
            GlobalSecondaryIndexes=[{**index, "ProvisionedThroughput": units}],
        )
    scaling, random_ = server.client("application-autoscaling"), random.Random(seed)
    of_index = of("table/Writes/index/by_pk", INDEX)

    def id_(names: dict[str, str]) -> Id:
        return Id(names["ResourceId"], names["ScalableDimension"])

    found = [
        Simulated(scaling, id_(of("Reads", READ)), Rules(50, 5, 1000, 70), random_, "Read"),
        Simulated(scaling, id_(of("Writes", WRITE)), Rules(50, 1, 400, 50, 5, 30), random_, "Write"),
        Simulated(scaling, id_(of_index), Rules(50, 10, 600, 85, 60, 0), random_, "Write"),
    ]
    for name, hour, bounds in (("Morning", 8, (200, 600)), ("Evening", 20, (10, 300))):
        scaling.put_scheduled_action(
            **of_index,
            ScheduledActionName=name,
            Schedule=f"cron(0 {hour} * * ? *)",
            ScalableTargetAction={"MinCapacity": bounds[0], "MaxCapacity": bounds[1]},
        )
        found[2].schedules[hour * 60] = bounds
    return found


async def simulate(node: Node, simulated: list[Simulated], start_ms: int) -> list[str]:
    """The differences from the rules."""
    different: list[str] = []
    region, clock = node.region(), node.clock
    evaluation = node.work[region.key].evaluation
    assert isinstance(clock, ManualClock)
    for now in range(1, DAYS * DAY + 1):
        for one in simulated:
            await one.maybe_set(node, now - 1)
        consumed = [one.consume(node) for one in simulated]
        clock.set(start_ms + now * 60_000)  # everything is due at full minutes
        await evaluation.settle()
        for one, units in zip(simulated, consumed, strict=True):
            table = region.catalog.known.tables[one.id.table_name]
            bounds = one.schedules.get(now % DAY)
            if bounds is not None:
                one.rules.schedule(now, *bounds)
            one.rules.minute(now, units)
            served = targets.units(table, one.id)
            if served != one.rules.units:
                different.append(f"{one.id}, minute {now}: {served} units instead of {one.rules.units}")
        if different:
            break
    return different


@pytest.mark.parametrize("seed", SEEDS)
def test_units_follow_the_documented_rules_minute_by_minute(seed: int) -> None:
    with testing.serve(quotas=True) as server:
        midnight = server.clock.now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        server.clock.set(midnight)
        simulated = served(server, seed)
        start_ms = round(midnight.timestamp() * 1000)
        assert server._do(simulate(server._node, simulated, start_ms)) == []
        assert datetime.fromtimestamp(server.clock.time(), UTC) == midnight + timedelta(days=DAYS)
        activities = sum(len(one.rules.decreases) for one in simulated)
        assert activities >= 4 * DAYS, "too little happened"
