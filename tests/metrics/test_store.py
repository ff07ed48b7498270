"""How datapoints are stored: batches become blocks, blocks get a coarser grain, the oldest are deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from atoll.clock import ManualClock
from atoll.database.region import Region
from atoll.metrics import upkeep
from atoll.metrics.batches import dump_batch, dump_block, load_batch, load_block
from atoll.metrics.collection import Collection
from atoll.metrics.reading import Query, datapoints, datapoints_of, listed
from atoll.metrics.series import DAY_MS, HOUR_MS, MINUTE_MS, Datapoint, Metric, Series, of_values, single, united
from atoll.metrics.statistics import extended, statistic
from atoll.metrics.store import Metrics
from atoll.metrics.upkeep import Upkeep
from tests.engines import findings, fresh_engine

START_MS = 1_800_000_000_000
ORDERS, PRICES = Metric("App", "Orders", (("Host", "a"),)), Metric("App", "Prices")


class World:
    """A region, whose upkeep runs in each minute that passes."""

    def __init__(self) -> None:
        self.clock = ManualClock(START_MS)
        self.region = Region("us-east-1", fresh_engine(), self.clock)
        self.upkeep = Upkeep(self.region)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(work)

    def put(self, *values: float, metric: Metric = ORDERS, unit: str = "Count", time_ms: int | None = None) -> None:
        at_ms = self.clock.now_ms() if time_ms is None else time_ms
        points = [single(at_ms - at_ms % MINUTE_MS, value) for value in values]
        self.run(self.region.state(Metrics).append({Series(metric, unit): points}))

    def advance(self, ms: int) -> None:
        until_ms = self.clock.now_ms() + ms
        while self.clock.now_ms() < until_ms:
            wake_ms = self.run(self.upkeep.settle(self.clock.now_ms()))
            wake_ms = until_ms if wake_ms is None else max(wake_ms, self.clock.now_ms() + 1)
            self.clock.set(min(until_ms, wake_ms))
        self.run(self.upkeep.settle(self.clock.now_ms()))

    def sums(self, period_s: int = 60, metric: Metric = ORDERS) -> dict[int, float]:
        """By minutes since the start."""
        found = self.run(datapoints(self.region, metric, period_s, 0, START_MS + 1000 * DAY_MS))
        return {(point.time_ms - START_MS) // MINUTE_MS: point.sum for point in found}

    def restart(self) -> None:
        """Another process takes over the store."""
        self.region = Region("us-east-1", self.region.engine, self.clock)
        self.upkeep = Upkeep(self.region)

    def rows(self, letter: bytes) -> list[tuple[bytes, bytes]]:
        start = b"\0\0\0\0" + letter
        end = b"\0\0\0\0" + bytes([letter[0] + 1])
        found: list[tuple[bytes, bytes]] = self.run(self.region.read(lambda snapshot: list(snapshot.scan(start, end))))
        return found


@pytest.fixture
def world() -> World:
    return World()


def test_recent_datapoints_of_a_series_share_its_key(world: World) -> None:
    for value in (1, 2):
        world.put(value)
    world.run(world.region.state(Metrics).learn())
    first, second = world.region.state(Metrics).recent[ORDERS]
    assert first.number < second.number
    assert first.key is second.key


def test_datapoints_are_the_same_before_while_and_after_they_move(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "TOGETHER", 1)
    expected = {}
    for minute in range(100):
        world.put(1, 2, metric=ORDERS)
        world.put(minute, metric=PRICES)
        expected[minute] = 3.0
        world.advance(MINUTE_MS)
        assert world.sums() == expected
    assert len(world.rows(b"N")) == 2
    assert len(world.rows(b"V")) == 4  # two hours of two series
    assert len(world.rows(b"A")) < 60
    assert world.sums(metric=PRICES) == {minute: float(minute) for minute in range(100)}
    world.restart()
    assert world.sums() == expected
    assert not findings(world.region)


def test_a_move_interrupted_by_a_crash_continues(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "TOGETHER", 1)
    metrics = [Metric("App", f"M{n}") for n in range(5)]
    for metric in metrics:
        world.put(1, metric=metric)
    world.advance(10 * MINUTE_MS)
    transact, left = world.region.transact, 3

    async def failing(fn: Any) -> Any:
        nonlocal left
        left -= 1
        if not left:
            raise RuntimeError("power is gone")
        return await transact(fn)

    monkeypatch.setattr(world.region, "transact", failing)
    with pytest.raises(RuntimeError):
        world.advance(10 * MINUTE_MS)
    assert len(world.rows(b"V")) == 2
    assert [world.sums(metric=metric) for metric in metrics] == [{0: 1.0}] * 5
    world.restart()
    assert [world.sums(metric=metric) for metric in metrics] == [{0: 1.0}] * 5
    world.advance(MINUTE_MS)
    assert len(world.rows(b"V")) == 5
    assert world.rows(b"A") == []
    assert [world.sums(metric=metric) for metric in metrics] == [{0: 1.0}] * 5


def test_datapoints_grow_coarser_with_age_and_go_at_last(world: World) -> None:
    for minute in range(10):
        world.put(1, time_ms=START_MS + minute * MINUTE_MS)
    world.advance(HOUR_MS)
    assert world.sums() == dict.fromkeys(range(10), 1.0)
    world.advance(16 * DAY_MS)
    assert world.sums() == {}  # a minute is asked for more precisely than it is kept
    assert world.sums(300) == {0: 5.0, 5: 5.0}
    assert len(world.rows(b"V")) == 1
    world.advance(60 * DAY_MS)
    assert world.sums(300) == {}
    assert world.sums(3600) == {0: 10.0}
    world.advance(500 * DAY_MS)
    assert world.sums(3600) == {}
    assert (world.rows(b"V"), world.rows(b"N")) == ([], [])


def test_metrics_are_listed_while_they_are_active(world: World) -> None:
    world.put(1)
    assert world.run(listed(world.region, START_MS - MINUTE_MS)) == {ORDERS}
    world.advance(HOUR_MS)
    assert world.run(listed(world.region, START_MS - MINUTE_MS)) == {ORDERS}
    assert world.run(listed(world.region, START_MS + MINUTE_MS)) == set()


def test_many_metrics_over_a_long_time_are_read_together(world: World) -> None:
    metrics = [Metric("App", f"M{n}") for n in range(50)]
    for day in range(12):
        for metric in metrics:
            world.put(day, metric=metric)
        world.advance(DAY_MS)
    queries = [Query(metric, 86_400, START_MS, START_MS + 20 * DAY_MS) for metric in metrics]
    found = world.run(datapoints_of(world.region, queries))
    assert {sum(point.sum for point in points) for points in found} == {66.0}


def test_units_of_a_metric_are_stored_apart(world: World) -> None:
    world.put(1, unit="Seconds")
    world.put(5, unit="Milliseconds")
    for _ in range(2):
        found = world.run(datapoints(world.region, ORDERS, 60, START_MS, START_MS + DAY_MS, "Seconds"))
        assert [point.sum for point in found] == [1]
        assert world.sums() == {0: 6.0}
        world.advance(HOUR_MS)


def test_processes_of_one_store_add_up_and_a_restart_keeps_all(world: World) -> None:
    other = Region("us-east-1", world.region.engine, world.clock)
    of_table = Metric("AWS/DynamoDB", "ConsumedReadCapacityUnits", (("TableName", "Things"),))
    for region in (world.region, other):
        region.state(Collection)
        region.meter.tally("Things", None, "GetItem").reads[1.5] += 1
    world.clock.advance(MINUTE_MS)
    assert world.sums(metric=of_table) == {0: 1.5}
    world.run(other.state(Collection).settle())
    assert world.sums(metric=of_table) == {0: 3.0}
    world.restart()
    assert world.sums(metric=of_table) == {0: 3.0}


def test_rows_keep_datapoints_exactly() -> None:
    points = [Datapoint(START_MS, 0.1 + 0.2, 3, -1e300, 1e300), of_values(START_MS, {0.1: 2.0, 5e-324: 1.0})]
    assert load_block(dump_block(points)) == points
    batch = {Series(ORDERS, "Count"): points}
    assert load_batch(dump_batch(batch)) == batch


def test_many_values_are_bounded_and_percentiles_stay_near() -> None:
    values = {1 + n / 10: 1.0 for n in range(10_000)}
    point = united(START_MS, [of_values(START_MS, {value: 1.0}) for value in values])
    assert point.values is not None
    assert len(point.values) <= 150
    assert point.count == 10_000
    for percent in (1, 10, 50, 90, 99, 99.9):
        exact = sorted(values)[max(0, round(10_000 * percent / 100) - 1)]
        assert statistic(point, f"p{percent}") == pytest.approx(exact, rel=0.05)


HUNDRED = of_values(START_MS, {float(n): 1.0 for n in range(1, 101)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Sum", 5050), ("Average", 50.5), ("SampleCount", 100), ("Minimum", 1), ("Maximum", 100),
        ("p0", 1), ("p50", 50), ("p99", 99), ("p99.9", 100), ("p100", 100),
        ("tm90", 45.5), ("TM(10%:90%)", 50.5), ("TM(10:20)", 15.5), ("IQM", 50.5), ("tc90", 90), ("TC(:10)", 10),
        ("ts10", 55), ("TS(90:)", 955), ("PR(:30)", 30), ("PR(30:60)", 30), ("wm90", 49.5 - 0.45 + 0.9),
    ],
)  # fmt: skip
def test_statistics_of_a_hundred_values(name: str, value: float) -> None:
    assert statistic(HUNDRED, name) == pytest.approx(value)


@pytest.mark.parametrize(
    "name", ["p101", "p", "P50", "Median", "TM", "TM()", "TM(:)", "TM(10%:20)", "PR(10%:)", "tm-1"]
)
def test_unknown_statistics(name: str) -> None:
    assert extended(name) is None


def test_percentiles_need_all_values_and_no_negative_ones() -> None:
    summary = Datapoint(START_MS, 10, 5, 1, 3)
    assert statistic(summary, "p50") is None
    assert statistic(united(START_MS, [HUNDRED, summary]), "p50") is None
    assert statistic(of_values(START_MS, {-1.0: 1, 2.0: 1}), "p50") is None
