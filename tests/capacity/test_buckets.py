"""Token buckets: the arithmetic, and the file that processes share."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.capacity.buckets import Bucket, LocalBuckets, full
from atoll.capacity.shared import SharedBuckets
from atoll.clock import ManualClock

START_MS = 1_800_000_000_000


def held(units: float, rate: float, after_ms: int) -> float:
    """The units of a bucket some time after it held these."""
    return Bucket(units, START_MS).held(rate, START_MS + after_ms)


def test_a_new_bucket_holds_the_units_of_300_seconds() -> None:
    assert full(5, START_MS) == Bucket(1500, START_MS)


def test_a_bucket_is_refilled_steadily_and_never_runs_over() -> None:
    assert held(0, 10, 250) == 2.5
    assert held(0, 10, 299_000) == 2990
    assert held(0, 10, 3_600_000) == 3000


def test_a_debt_is_paid_before_units_accumulate() -> None:
    assert held(-100, 10, 9_999) < 0
    assert held(-100, 10, 10_001) > 0


def test_at_another_rate_a_bucket_keeps_its_units_if_there_is_room() -> None:
    assert held(1500, 100, 0) == 1500
    assert held(1500, 1, 0) == 300
    assert held(-50, 1, 0) == -50


def test_a_clock_that_was_set_back_refills_nothing_until_it_catches_up() -> None:
    clock = ManualClock(START_MS)
    buckets = LocalBuckets(clock)
    buckets.take(7, 10, 3_000)
    clock.set(START_MS - 60_000)
    assert buckets.level(7, 10) == 0
    clock.set(START_MS - 59_000)
    assert buckets.level(7, 10) == 10


@pytest.mark.parametrize("shared", [False, True])
def test_a_debt_is_paid_on_time_even_if_the_clock_was_set_back(shared: bool, tmp_path: Path) -> None:
    clock = ManualClock(START_MS)
    buckets = SharedBuckets(tmp_path / "buckets", clock) if shared else LocalBuckets(clock)
    buckets.take(7, 10, 3_010)
    clock.set(START_MS - 3_600_000)
    assert buckets.level(7, 10) == -10
    clock.advance(900)
    assert buckets.level(7, 10) == -1
    clock.advance(200)
    assert buckets.level(7, 10) == 1


@pytest.mark.parametrize("shared", [False, True])
def test_a_clock_that_begins_with_zero_finds_a_full_bucket(shared: bool, tmp_path: Path) -> None:
    clock = ManualClock(0)
    buckets = SharedBuckets(tmp_path / "buckets", clock) if shared else LocalBuckets(clock)
    assert buckets.level(7, 10) == 3_000
    buckets.take(7, 10, 3_000)
    assert buckets.level(7, 10) == 0
    clock.advance(1_000)
    assert buckets.level(7, 10) == 10


OPERATIONS = st.lists(st.tuples(st.integers(0, 400_000), st.sampled_from([0.5, 1, 2, 7, 100, 400])), max_size=60)


@given(rate=st.integers(1, 50), operations=OPERATIONS)
def test_no_schedule_gets_more_than_the_burst_plus_the_rate(rate: int, operations: list[tuple[int, float]]) -> None:
    clock = ManualClock(START_MS)
    buckets = LocalBuckets(clock)
    consumed, last = 0.0, 0.0
    for wait_ms, units in operations:
        clock.advance(wait_ms)
        if buckets.level(7, rate) <= 0:
            continue
        # Whoever is admitted finds all that was consumed before him paid for.
        assert consumed <= 300 * rate + rate * (clock.now_ms() - START_MS) / 1000 + 1e-6
        buckets.take(7, rate, units)
        consumed, last = consumed + units, units
    assert consumed - last <= 300 * rate + rate * (clock.now_ms() - START_MS) / 1000 + 1e-6


@given(rate=st.integers(1, 50), operations=OPERATIONS)
def test_a_client_that_waits_for_its_units_is_never_throttled(rate: int, operations: list[tuple[int, float]]) -> None:
    clock = ManualClock(START_MS)
    buckets = LocalBuckets(clock)
    for _, units in operations:
        assert buckets.level(7, rate) > 0
        buckets.take(7, rate, units)
        clock.advance(-int(-units * 1000 // rate))


@pytest.mark.parametrize("kind", ["local", "shared"])
def test_buckets_are_independent_and_full_after_they_are_forgotten(kind: str, tmp_path: Path) -> None:
    clock = ManualClock(START_MS)
    buckets = LocalBuckets(clock) if kind == "local" else SharedBuckets(tmp_path / "buckets", clock)
    buckets.take(1001, 2, 650)
    buckets.take(4, 1, 10)
    assert [buckets.level(number, rate) for number, rate in [(1001, 2), (4, 1), (5, 1)]] == [-50, 290, 300]
    clock.advance(30_000)
    assert [buckets.level(number, rate) for number, rate in [(1001, 2), (4, 1), (5, 1)]] == [10, 300, 300]
    buckets.forget()
    assert buckets.level(1001, 2) == 600


@pytest.mark.parametrize("kind", ["local", "shared"])
def test_a_bucket_that_was_used_when_the_clock_was_at_zero_is_not_full(kind: str, tmp_path: Path) -> None:
    clock = ManualClock(0)
    buckets = LocalBuckets(clock) if kind == "local" else SharedBuckets(tmp_path / "buckets", clock)
    buckets.take(4, 1, 10)
    assert buckets.level(4, 1) == 290


PROGRAM = """
import sys
from pathlib import Path
from atoll.capacity.shared import SharedBuckets
from atoll.clock import ManualClock

buckets = SharedBuckets(Path(sys.argv[1]), ManualClock(1_800_000_000_000))
for line in sys.stdin:
    for _ in range(int(line)):
        buckets.take(6, 1000, 1)
    print(buckets.level(6, 1000), flush=True)
"""


def other_process(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


def say(process: subprocess.Popen[str], times: int) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{times}\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> float:
    assert process.stdout is not None
    return float(process.stdout.readline())


def end(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.communicate(timeout=60)


def test_processes_lose_none_of_each_others_changes(tmp_path: Path) -> None:
    processes = [other_process(tmp_path / "buckets") for _ in range(3)]
    for process in processes:  # all have opened the file
        say(process, 0)
        assert hear(process) == 300_000
    for process in processes:
        say(process, 5000)
    for process in processes:
        hear(process)
    say(processes[0], 0)
    assert hear(processes[0]) == 300_000 - 3 * 5000
    end(*processes)


def test_a_later_process_finds_the_buckets_as_they_are_and_the_first_one_finds_them_full(
    tmp_path: Path,
) -> None:
    first = other_process(tmp_path / "buckets")
    say(first, 100)
    assert hear(first) == 299_900
    second = other_process(tmp_path / "buckets")
    say(second, 0)
    assert hear(second) == 299_900
    end(first)
    third = other_process(tmp_path / "buckets")
    say(third, 0)
    assert hear(third) == 299_900
    end(second, third)
    fourth = other_process(tmp_path / "buckets")
    say(fourth, 0)
    assert hear(fourth) == 300_000
    end(fourth)
