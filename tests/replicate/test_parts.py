"""The parts that need no server: lineage, rates, keys and values, stored state, output."""

from __future__ import annotations

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from atoll.replicate import keys, state
from atoll.replicate.crew import Pauses, crew
from atoll.replicate.failures import Gap, Stopped
from atoll.replicate.lineage import Lineage, Shard
from atoll.replicate.pacing import Rate
from atoll.replicate.progress import Counters, Display, units
from atoll.replicate.state import Run, Segment, ShardProgress


def shard(name: str, parent: str | None = None, *, closed: bool = False) -> Shard:
    return Shard(name, parent, "1", closed)


def ready(lineage: Lineage) -> set[str]:
    return {place.shard for place in lineage.ready()}


class TestLineage:
    LISTED = (shard("a", closed=True), shard("b", "a"), shard("c", "a"), shard("d", "c"))

    def test_parents_come_before_children(self) -> None:
        lineage = Lineage([ShardProgress("a")])
        lineage.update(self.LISTED)
        assert ready(lineage) == {"a"}
        lineage.advance(ShardProgress("a", done=True))
        assert ready(lineage) == {"b", "c"}
        lineage.advance(ShardProgress("c", "a", done=True))
        assert ready(lineage) == {"b", "d"}

    def test_the_order_of_the_listing_does_not_matter(self) -> None:
        lineage = Lineage([ShardProgress("a")])
        lineage.update(reversed(self.LISTED))
        assert ready(lineage) == {"a"}

    def test_a_shard_trimmed_before_it_was_finished_is_a_gap(self) -> None:
        lineage = Lineage([ShardProgress("a")])
        with pytest.raises(Gap, match="a was trimmed before all of it was read"):
            lineage.update([shard("b", "a")])

    def test_a_shard_whose_parent_was_never_seen_is_a_gap(self) -> None:
        lineage = Lineage([ShardProgress("a", done=True)])
        with pytest.raises(Gap, match="x, the parent of b, was trimmed"):
            lineage.update([shard("b", "x")])

    def test_a_done_shard_is_kept_while_a_child_needs_it(self) -> None:
        lineage = Lineage([ShardProgress("a", done=True)])
        assert lineage.update([shard("b", "a")]) == []
        assert ready(lineage) == {"b"}
        lineage.advance(ShardProgress("b", "a", done=True))
        assert lineage.update([shard("c", "b")]) == ["a"]
        assert lineage.update([shard("c", "b"), shard("d", "c")]) == []

    def test_a_child_that_was_never_read_was_read_as_lately_as_its_parent(self) -> None:
        lineage = Lineage([ShardProgress("a", done=True, read_ms=7), ShardProgress("b", "a")])
        assert [place.read_ms for place in lineage.ready()] == [7]


class TestRate:
    def rate(self, per_second: float | None) -> Rate:
        self.now_ns = 0
        self.slept = 0.0

        def pause(seconds: float) -> None:
            self.slept += seconds
            self.now_ns += int(seconds * 1e9)

        return Rate(per_second, pause, lambda: self.now_ns)

    def test_units_above_the_rate_are_waited_for(self) -> None:
        rate = self.rate(10)
        for _ in range(20):
            rate.wait()
            rate.spend(5)
        rate.wait()
        assert self.slept == pytest.approx((20 * 5 - 10) / 10, abs=0.2)

    def test_one_costly_request_makes_the_next_one_wait(self) -> None:
        rate = self.rate(100)
        rate.wait()
        rate.spend(1_000)
        assert self.slept == 0
        rate.wait()
        assert self.slept == pytest.approx(9, abs=0.1)

    def test_only_one_second_is_saved(self) -> None:
        rate = self.rate(10)
        self.now_ns = int(3600e9)
        rate.wait()
        rate.spend(20)
        rate.wait()
        assert self.slept == pytest.approx(1, abs=0.1)

    def test_without_a_rate_nothing_waits(self) -> None:
        rate = self.rate(None)
        for _ in range(1_000):
            rate.wait()
            rate.spend(1e6)
        assert self.slept == 0


class TestValues:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"N": "1.0"}, {"N": "1"}),
            ({"N": "100"}, {"N": "1E2"}),
            ({"NS": ["1", "2.50"]}, {"NS": ["2.5", "1.0"]}),
            ({"SS": ["a", "b"]}, {"SS": ["b", "a"]}),
            ({"M": {"a": {"N": "1"}, "b": {"L": []}}}, {"M": {"b": {"L": []}, "a": {"N": "1.0"}}}),
        ],
    )
    def test_values_that_are_equal_however_written(self, one: dict[str, Any], other: dict[str, Any]) -> None:
        assert keys.comparable(one) == keys.comparable(other)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"N": "1"}, {"S": "1"}),
            ({"L": [{"N": "1"}, {"N": "2"}]}, {"L": [{"N": "2"}, {"N": "1"}]}),
            ({"N": "0.1234567890123456789012345678901234567"}, {"N": "0.1234567890123456789012345678901234568"}),
            ({"S": ""}, {"NULL": True}),
            ({"B": b"a"}, {"S": "a"}),
        ],
    )
    def test_values_that_differ(self, one: dict[str, Any], other: dict[str, Any]) -> None:
        assert keys.comparable(one) != keys.comparable(other)


class TestState:
    @pytest.mark.parametrize(
        "one",
        [
            Run("e", state.COPY, "arn", "id", "other", "stream", 4, True),
            Segment(3, {"pk": {"B": b"\0"}, "sk": {"N": "1"}}, False, 12),
            Segment(3),
            ShardProgress("s", "p", "12", "11", 17, True),
            ShardProgress("s"),
        ],
    )
    def test_it_comes_back_as_it_was_stored(self, one: Run | Segment | ShardProgress) -> None:
        assert state.load(type(one), {"row": {"S": "x"}, **state.dump(one)}) == one


class TestPauses:
    def test_a_stop_ends_a_pause(self) -> None:
        pauses = Pauses()
        threading.Timer(0.01, pauses.stop).start()
        with pytest.raises(Stopped):
            pauses(3600)
        with pytest.raises(Stopped):
            pauses(0)

    def test_a_failure_ends_the_pauses_of_the_crew_and_of_no_later_one(self) -> None:
        pauses = Pauses()
        ended = []

        def wait() -> None:
            with pytest.raises(Stopped):
                pauses(3600)
            ended.append(True)

        with pytest.raises(ValueError), crew(2, pauses) as pool:
            pool.submit(wait)
            raise ValueError
        assert ended == [True]
        with crew(2, pauses) as pool:
            pool.submit(pauses, 0).result()

    def test_a_stop_is_not_forgotten_when_a_crew_ends(self) -> None:
        pauses = Pauses()
        with crew(1, pauses):
            pauses.stop()
        with pytest.raises(Stopped):
            pauses.check()


class TestDisplay:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def display(self, out: io.StringIO, *, as_json: bool = False) -> tuple[Counters, Display]:
        self.now_ns = 0
        counters = Counters(phase="copy", expected=200)
        return counters, Display(counters, out, as_json=as_json, now_ns=lambda: self.now_ns)

    def test_a_terminal_has_a_bar_in_one_line(self) -> None:
        out = self.Terminal()
        counters, display = self.display(out)
        counters.add(items=50)
        self.now_ns += 10**9
        display.tick()
        counters.add(items=50, throttled=3)
        self.now_ns += 10**9
        display.tick()
        assert out.getvalue().split("\r\x1b[K")[1:] == [
            "copy: [######------------------] 50 of about 200 items, 25%, 50/s, 3 s left",
            "copy: [############------------] 100 of about 200 items, 50%, 50/s, 2 s left, throttled 3 times",
        ]

    def test_elsewhere_there_are_lines_now_and_then(self) -> None:
        out = io.StringIO()
        counters, display = self.display(out)
        for _ in range(25):
            counters.add(items=10)
            self.now_ns += 10**9
            display.tick()
        display.say("done")
        assert out.getvalue().splitlines() == [
            "copy: 100 of about 200 items, 50%, 10/s, 10 s left",
            "copy: 200 of about 200 items, 100%, 10/s",
            "done",
        ]

    def test_following_shows_the_lag(self) -> None:
        out = io.StringIO()
        counters, display = self.display(out)
        counters.phase, counters.lag_s, counters.shards = "follow", 3.4, 4
        counters.add(records=1_000)
        self.now_ns += 10 * 10**9
        display.tick()
        assert out.getvalue() == "follow: 1,000 records, 100/s, lag 3 s, 4 shards\n"

    def test_json_has_an_object_in_each_line(self) -> None:
        out = io.StringIO()
        counters, display = self.display(out, as_json=True)
        counters.add(items=10, read_units=0.5)
        self.now_ns += 10 * 10**9
        display.tick()
        display.say("copied 10 items")
        progress, event = map(json.loads, out.getvalue().splitlines())
        assert progress["event"] == "progress" and progress["per_second"] == 1.0 and progress["items"] == 10
        assert event["event"] == "copied 10 items" and event["read_units"] == 0.5 and event["phase"] == "copy"

    def test_a_failing_endpoint_is_reported_now_and_then(self) -> None:
        out = io.StringIO()
        counters, _ = self.display(out)
        for _ in range(70):
            counters.trouble("source: scan: no")
            self.now_ns += 10**9
        assert out.getvalue() == "trying again: source: scan: no\n" * 3

    def test_threads_count_together(self) -> None:
        counters = Counters()
        with ThreadPoolExecutor(8) as pool:
            for _ in range(8):
                pool.submit(lambda: [counters.add(items=1) for _ in range(1_000)])
        assert counters.items == 8_000


def test_units_of_an_answer() -> None:
    assert units({}) == 0
    assert units({}, default=7) == 7
    assert units({"ConsumedCapacity": {"CapacityUnits": 1.5}}) == 1.5
    assert units({"ConsumedCapacity": [{"CapacityUnits": 1.5}, {"CapacityUnits": 2.0}]}) == 3.5
