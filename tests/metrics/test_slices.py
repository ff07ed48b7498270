"""Requests for much do not hold the event loop: they read in pieces, and work in the thread for long work.

The tests count what happens on the loop between two of its turns: reads, and functions that run inline.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from atoll import limits
from atoll.alarms import store as alarms
from atoll.api import alarms as alarm_operations
from atoll.api import metric_data, metric_search, metrics
from atoll.clock import ManualClock
from atoll.database import format as fmt
from atoll.database.region import Region
from atoll.errors import ApiError
from atoll.metrics import implied, store, upkeep
from atoll.metrics.series import DAY_MS, HOUR_MS, MINUTE_MS, Metric, Series, single
from atoll.metrics.store import Metrics
from atoll.metrics.upkeep import Upkeep
from atoll.storage.memory import MemoryEngine

START_MS = 1_800_000_000_000
LONG = Metric("App", "Long")
Body = dict[str, Any]


class World:
    def __init__(self) -> None:
        self.clock = ManualClock(START_MS)
        self.region = Region("us-east-1", MemoryEngine(), self.clock)

    async def put(self, metrics: list[Metric], minutes: int = 1) -> None:
        batch = {Series(one, "Count"): [single(START_MS - n * MINUTE_MS, n) for n in range(minutes)] for one in metrics}
        await self.region.state(Metrics).append(batch)

    async def move(self) -> None:
        """Into blocks."""
        work = Upkeep(self.region)
        await work.settle(self.clock.now_ms())
        for _ in range(2):
            self.clock.advance(upkeep.MOVE_MS)
            await work.settle(self.clock.now_ms())
        await self.region.state(Metrics).learn()
        assert not self.region.state(Metrics).recent

    def query(self, days: float, *names: str, **more: Any) -> Body:
        return {
            "StartTime": START_MS / 1000 - days * 86_400,
            "EndTime": START_MS / 1000 + 60,
            "MetricDataQueries": [
                {"Id": f"q{place}", "MetricStat": {"Metric": {"Namespace": "App", "MetricName": name},
                                                  "Period": 60, "Stat": "Sum"}}
                for place, name in enumerate(names)
            ],
        } | more  # fmt: skip


@pytest.fixture
def aside_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], list[bool]]:
    """Records for each call of a module's function whether it ran in a thread."""

    def watch(module: Any, name: str) -> list[bool]:
        notes: list[bool] = []
        original = getattr(module, name)

        def noted(*args: Any, **more: Any) -> Any:
            notes.append(threading.current_thread().name.startswith("atoll-large"))
            return original(*args, **more)

        monkeypatch.setattr(module, name, noted)
        return notes

    return watch


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


async def longest_wait(region: Region, work: Coroutine[Any, Any, Any]) -> int:
    """The most reads of the work between two turns of the loop."""
    reads = most = 0
    original = region.read

    async def read(fn: Any) -> Any:
        nonlocal reads, most
        reads += 1
        most = max(most, reads)
        return await original(fn)

    region.read = read  # type: ignore[method-assign]
    task = asyncio.create_task(work)
    while not task.done():
        reads = 0
        await asyncio.sleep(0)
    await task
    return most


def test_datapoints_of_blocks_are_decoded_in_a_thread(aside_of: Any) -> None:
    async def work() -> Body:
        world = World()
        await world.put([LONG], minutes=14 * 24 * 60)
        await world.move()
        decoded, shown = aside_of(store, "load_block"), aside_of(metric_data, "shown_time")
        answer = await metric_data.get_metric_data(world.region, world.query(14, "Long"))
        assert decoded and all(decoded) and shown and all(shown)
        return answer

    (result,) = run(work())["MetricDataResults"]
    assert len(result["Values"]) == 14 * 24 * 60


def test_zeros_of_an_idle_table_are_computed_in_a_thread(aside_of: Any) -> None:
    async def work() -> None:
        world = World()
        line = implied.Line("Count", [(START_MS - 15 * DAY_MS, 0.0)], only_gaps=True)

        async def lines(region: Region, metrics: Any) -> list[implied.Line | None]:
            return [line for _ in metrics]

        made = aside_of(metric_data, "statistic")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("atoll.metrics.reading.lines", lines)
            answer = await metric_data.get_metric_data(world.region, world.query(15, *["Long"] * 500))
        # A page has no more than it may, so that no more is made.
        assert all(made)
        assert len(made) <= limits.METRIC_DATAPOINTS + 2 * metric_data.READ_POINTS
        assert sum(len(one["Values"]) for one in answer["MetricDataResults"]) == limits.METRIC_DATAPOINTS

    run(work())


def test_pages_of_many_queries_have_every_point_once() -> None:
    async def work() -> None:
        world = World()
        names = [f"M{number}" for number in range(7)]
        await world.put([Metric("App", name) for name in names], minutes=100)
        body, found = world.query(1, *names, MaxDatapoints=130), dict[str, list[float]]()
        pages = 0
        while True:
            answer = await metric_data.get_metric_data(world.region, body)
            pages += 1
            for one in answer["MetricDataResults"]:
                found.setdefault(one["Id"], []).extend(one["Values"])
            if "NextToken" not in answer:
                break
            assert sum(len(one["Values"]) for one in answer["MetricDataResults"]) == 130
            body["NextToken"] = answer["NextToken"]
        assert pages == 6
        assert list(found.values()) == [[float(number) for number in range(100)]] * 7

    run(work())


def test_expressions_over_too_many_datapoints_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        world = World()
        await world.put([LONG], minutes=50)
        body = world.query(1, "Long", "Long", "Long")
        body["MetricDataQueries"].append({"Id": "e", "Expression": "q0"})
        assert len((await metric_data.get_metric_data(world.region, body))["MetricDataResults"]) == 4
        monkeypatch.setattr(limits, "MATH_POINTS", 140)
        with pytest.raises(ApiError, match="too many data points"):
            await metric_data.get_metric_data(world.region, body)

    run(work())


def test_searches_match_in_a_thread(aside_of: Any) -> None:
    async def work() -> None:
        world = World()
        await world.put([Metric("App", f"Calls{number}") for number in range(50)])
        built, matched = aside_of(metric_search, "candidate"), aside_of(metric_search, "_those")
        body = world.query(1)
        body["MetricDataQueries"] = [{"Id": "s", "Expression": "SEARCH('Calls', 'Sum', 60)"}]
        answer = await metric_data.get_metric_data(world.region, body)
        assert len(answer["MetricDataResults"]) == 50
        assert built and all(built) and matched and all(matched)

    run(work())


def test_a_request_has_a_bounded_number_of_searches() -> None:
    async def ask(searches: int, text: str) -> Body:
        body = World().query(1)
        body["MetricDataQueries"] = [
            {"Id": f"s{n}", "Expression": f"SEARCH('{text}{n}', 'Sum', 60)"} for n in range(searches)
        ]
        return await metric_data.get_metric_data(World().region, body)

    run(ask(limits.METRIC_SEARCHES, "a"))
    with pytest.raises(ApiError):
        run(ask(limits.METRIC_SEARCHES + 1, "a"))
    with pytest.raises(ApiError, match="1024 characters"):
        run(ask(1, "a" * limits.METRIC_SEARCH_CHARS))


def test_names_are_listed_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        world = World()
        await world.put([Metric("App", f"M{number:03}") for number in range(95)])
        await world.move()
        await world.put([Metric("App", "new")])
        monkeypatch.setattr(store, "TOGETHER", 10)
        rows: list[int] = []
        original = store._series_from

        def noted(start: bytes, snapshot: Any) -> Any:
            found = original(start, snapshot)
            rows.append(len(found[0]))
            return found

        monkeypatch.setattr(store, "_series_from", noted)
        assert await longest_wait(world.region, metrics.list_metrics(world.region, {})) <= 4
        assert rows == [*[10] * 9, 5]
        found = await world.region.state(Metrics).listed(START_MS - HOUR_MS)
        assert len(found) == 96

    run(work())


def test_a_move_has_a_bounded_number_of_blocks_and_encodes_them_in_a_thread(aside_of: Any) -> None:
    async def work() -> None:
        world = World()
        for name in "abcde":
            await world.put([Metric("App", name)], minutes=1_500)
        dumped, moves = aside_of(upkeep, "dump_block"), aside_of(upkeep, "_move")
        await world.move()
        assert all(dumped) and not any(moves)
        assert len(moves) == 5

    run(work())


def test_old_blocks_become_coarser_a_few_at_a_time(aside_of: Any) -> None:
    async def work() -> None:
        world = World()
        await world.put([LONG], minutes=5 * 24 * 60)
        await world.move()
        world.clock.advance(30 * DAY_MS)
        aged = aside_of(upkeep, "_age_one")
        await Upkeep(world.region).settle(world.clock.now_ms())
        assert len(aged) >= 5 * 24 // upkeep.AGED_BLOCKS
        with_blocks = await world.region.read(lambda snapshot: list(snapshot.scan(*fmt.blocks_of(0, 1, 0, 1 << 48))))
        assert not with_blocks
        body = world.query(5, "Long")
        body["MetricDataQueries"][0]["MetricStat"]["Period"] = 300
        (result,) = (await metric_data.get_metric_data(world.region, body))["MetricDataResults"]
        assert sum(result["Values"]) == sum(range(5 * 24 * 60))

    run(work())


def test_alarms_are_read_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        world = World()
        for number in range(45):
            await alarm_operations.put_metric_alarm(world.region, {
                "AlarmName": f"a{number:02}", "Namespace": "App", "MetricName": "Long", "Statistic": "Sum",
                "Period": 60, "EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold",
            })  # fmt: skip
        pages: list[int] = []
        original = alarms.page

        def noted(snapshot: Any, after: str | None, prefix: str) -> Any:
            found = original(snapshot, after, prefix, 10)
            pages.append(len(found))
            return found

        monkeypatch.setattr(alarms, "page", noted)
        monkeypatch.setattr(alarms, "PAGE", 10)
        body = {"Namespace": "App", "MetricName": "Long"}
        found = await alarm_operations.describe_alarms_for_metric(world.region, body)
        assert [one["AlarmName"] for one in found["MetricAlarms"]] == [f"a{number:02}" for number in range(45)]
        assert pages == [10, 10, 10, 10, 5]
        work = alarm_operations.describe_alarms(world.region, {"StateValue": "ALARM"})
        assert await longest_wait(world.region, work) == 1

    run(work())


def test_a_new_alarm_does_not_count_all_others() -> None:
    async def work() -> None:
        world = World()
        names = [f"a{number}" for number in range(5)]
        for name in names:
            await alarm_operations.put_metric_alarm(world.region, {
                "AlarmName": name, "Namespace": "App", "MetricName": "Long", "Statistic": "Sum",
                "Period": 60, "EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold",
            })  # fmt: skip
        await alarm_operations.delete_alarms(world.region, {"AlarmNames": ["a1", "a1", "unknown"]})
        scans = await world.region.read(_scans_of_count)
        assert scans == (4, 0)

    run(work())


def _scans_of_count(snapshot: Any) -> tuple[int, int]:
    scans = 0

    class Counting:
        def __getattr__(self, name: str) -> Any:
            nonlocal scans
            scans += name == "scan"
            return getattr(snapshot, name)

    counted: Any = Counting()
    return alarms.count(counted), scans
