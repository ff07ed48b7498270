"""Alarms of a region in memory, on a clock that the test moves. The calls of actions are recorded; `behaviours` may
answer them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from atoll import arns
from atoll.alarms import configuration, store
from atoll.alarms.actions import Actions, Event
from atoll.alarms.evaluation import Alarms
from atoll.clock import ManualClock
from atoll.database.region import Region, Settings
from atoll.evaluation import Evaluation
from atoll.metrics.series import Metric, Series, single
from atoll.metrics.store import Metrics
from atoll.triggers.batches import BatchOutcome
from atoll.triggers.functions import Functions
from atoll.triggers.registry import Destination, Function, Registry
from tests.engines import fresh_engine

START_MS = 1_800_000_000_000
MINUTE_MS = 60_000
POLICY = "arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:1:resource/dynamodb/table/T:policyName/p"
TOPIC = "arn:aws:sns:us-east-1:000000000000:ops"
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:f"
UNKNOWN = "arn:aws:automate:us-east-1:ec2:stop"


class PlainFunctions(Functions):
    """Notes what it is given; fails as often as `failures` says."""

    def __init__(self, registry: Registry, region: Region) -> None:
        super().__init__(registry, region)
        self.events: list[Any] = []
        self.reports: list[Any] = []
        self.failures = 0

    async def invoke(self, function: Function, event: bytes, request_id: str) -> BatchOutcome:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("unreachable")
        self.events.append(orjson.loads(event))
        return BatchOutcome(b"null")

    async def report(self, arn: str, report: dict[str, Any], name: str) -> bool:
        if self.failures:
            self.failures -= 1
            return False
        self.reports.append(report)
        return True


class World:
    def __init__(self, directory: Path) -> None:
        self.clock = ManualClock(START_MS)
        self.region = Region("us-east-1", fresh_engine(), self.clock, Settings())
        registry = Registry(
            {"f": Function("f", directory, python="none:none")},
            {"ops": Destination("ops", directory / "ops")},
        )
        self.functions = PlainFunctions(registry, self.region)
        self.scaled: list[Event] = []
        self.restart()

    def restart(self) -> None:
        """As after a crash: what was only in memory is gone."""
        self.region.rewind()
        actions = Actions(self.region, lambda: self.functions, {"autoscaling": self._scale})
        self.alarms = Alarms(self.region, actions)
        self.evaluation = Evaluation(self.region, [self.alarms], alone=True)

    async def _scale(self, region: Region, event: Event, arn: str) -> None:
        assert arns.parse(arn) is not None
        self.scaled.append(event)

    def put(self, name: str = "a", **more: Any) -> None:
        body = {
            "AlarmName": name,
            "Namespace": "App",
            "MetricName": "Errors",
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            **more,
        }
        if "Metrics" in body:
            for member in ("Namespace", "MetricName", "Statistic", "Period"):
                del body[member]
        checked = configuration.checked(body, "us-east-1")
        asyncio.run(self.region.transact(lambda tx: store.put(tx, checked, self.clock.now_ms())))
        self.settle()

    def datapoint(self, value: float, metric: str = "Errors", at_ms: int | None = None, count: int = 1) -> None:
        """One that belongs to the present minute, or to another time."""
        now_ms = self.clock.now_ms() if at_ms is None else at_ms
        point = single(now_ms - now_ms % MINUTE_MS, value, count)
        asyncio.run(self.region.state(Metrics).append({Series(Metric("App", metric), "Count"): [point]}))

    def settle(self) -> int | None:
        return asyncio.run(self.evaluation.settle())

    def minutes(self, *values: float | None, metric: str = "Errors") -> list[str]:
        """Put one value into each minute; returns the alarm's states at the ends of these minutes."""
        states = []
        for value in values:
            if value is not None:
                self.datapoint(value, metric)
            self.clock.advance(MINUTE_MS)
            self.settle()
            states.append(self.state())
        return states

    def alarm(self, name: str = "a") -> Any:
        return asyncio.run(self.region.read(lambda snapshot: store.find(snapshot, name)))

    def state(self, name: str = "a") -> str:
        return str(self.alarm(name).state.value)

    def history(self, kind: str | None = None) -> list[str]:
        """The summaries, oldest first."""
        items = asyncio.run(
            self.region.read(lambda s: list(store.history(s, 0, store.LATEST_MS, reverse=False, after=None)))
        )
        return [item[3] for _, item in items if kind in (None, item[2])]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    yield World(tmp_path)
