"""Partitions and growth on demand: the arithmetic, and the memory that processes share."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.capacity.growth import Growth, admitted, turned
from atoll.capacity.key_ranges import KeyRanges
from atoll.clock import ManualClock
from atoll.database import schema
from atoll.errors.capacity import ACCOUNT, KEY_RANGE

START_MS = 1_800_000_000_000
MINUTE_MS = 60_000
HALF_HOUR_MS = 30 * MINUTE_MS
RATES = {"Read": 3000, "Write": 1000}


def table(space: int = 7, mode: str = schema.PROVISIONED, warm: tuple[int, int] | None = None) -> schema.Table:
    keys = schema.KeySchema((schema.KeyAttribute("pk", "S"),))
    given_warm = None if warm is None else schema.WarmThroughput(*warm)
    return schema.Table("Things", "id", space, space + 1, keys, START_MS, billing_mode=mode, warm=given_warm)


def key(of: schema.Table, name: str = "a") -> bytes:
    return of.item_key({"pk": {"S": name}})


def admits(ranges: KeyRanges, of: schema.Table, kind: str = "Write", name: str = "a") -> bool:
    return ranges.exhausted(of, None, kind, key(of, name), ranges.clock.now_ms()) is None


def take(ranges: KeyRanges, of: schema.Table, units: float, kind: str = "Write", name: str = "a") -> None:
    ranges.take(of, None, kind, key(of, name), units, ranges.clock.now_ms())


WAITS = st.lists(st.tuples(st.integers(0, 3_000), st.sampled_from([0.5, 1, 2, 100, 400, 800])), max_size=80)


@given(kind=st.sampled_from(["Read", "Write"]), operations=WAITS)
def test_no_sequence_gets_more_from_a_partition_than_one_second_plus_the_rate(
    kind: str, operations: list[tuple[int, float]]
) -> None:
    ranges, things, rate = KeyRanges(ManualClock(START_MS)), table(), RATES[kind]
    consumed, last = 0.0, 0.0
    assert isinstance(ranges.clock, ManualClock)
    for wait_ms, units in operations:
        ranges.clock.advance(wait_ms)
        if admits(ranges, things, kind):
            take(ranges, things, units, kind)
            consumed, last = consumed + units, units
            assert consumed - last <= rate + rate * (ranges.clock.now_ms() - START_MS) / 1000 + 1e-3


@given(kind=st.sampled_from(["Read", "Write"]), operations=WAITS)
def test_a_client_at_exactly_the_rate_of_a_partition_is_never_throttled(
    kind: str, operations: list[tuple[int, float]]
) -> None:
    clock = ManualClock(START_MS)
    ranges, things, asked = KeyRanges(clock), table(), 0.0
    for _, units in operations:
        clock.set(START_MS - int(-asked * 1000 // RATES[kind]))
        assert admits(ranges, things, kind)
        take(ranges, things, units, kind)
        asked += units


@given(warm=st.sampled_from([4_000, 12_000]), operations=WAITS)
def test_no_sequence_gets_more_from_an_on_demand_table_than_one_second_plus_its_rate(
    warm: int, operations: list[tuple[int, float]]
) -> None:
    clock = ManualClock(START_MS)
    ranges, things = KeyRanges(clock), table(mode=schema.ON_DEMAND, warm=(12_000, warm))
    consumed, last = 0.0, 0.0
    for number, (wait_ms, units) in enumerate(operations):
        clock.advance(wait_ms // 100)
        if admits(ranges, things, name=str(number)):
            take(ranges, things, 10 * units, name=str(number))
            consumed, last = consumed + 10 * units, 10 * units
            assert consumed - last <= warm + warm * (clock.now_ms() - START_MS) / 1000 + 1e-3


def test_a_debt_is_paid_before_units_accumulate() -> None:
    clock = ManualClock(START_MS)
    ranges, things = KeyRanges(clock), table()
    take(ranges, things, 1_400)
    clock.advance(400)
    assert not admits(ranges, things)
    clock.advance(1)
    assert admits(ranges, things)


def test_another_key_another_kind_and_another_table_have_their_own_units() -> None:
    ranges, things = KeyRanges(ManualClock(START_MS)), table()
    take(ranges, things, 2_000)
    assert not admits(ranges, things)
    assert admits(ranges, things, name="b")
    assert admits(ranges, things, "Read")
    assert admits(ranges, table(space=90))


def test_the_memory_is_the_same_after_a_million_keys() -> None:
    ranges, things = KeyRanges(ManualClock(START_MS)), table()
    before = len(ranges._numbers)
    for number in range(10_000):
        take(ranges, things, 1, name=str(number))
    assert len(ranges._numbers) == before < 300_000


def test_a_clock_that_was_set_back_throttles_no_client_for_hours() -> None:
    clock = ManualClock(START_MS)
    ranges, things = KeyRanges(clock), table(mode=schema.ON_DEMAND)
    take(ranges, things, 50_000)
    for hours in (1, 24):
        clock.set(START_MS - hours * 3600 * 1000)
        assert admits(ranges, things)


@pytest.mark.parametrize("mode", [schema.PROVISIONED, schema.ON_DEMAND])
@pytest.mark.parametrize("kind", ["Read", "Write"])
@pytest.mark.parametrize("start_ms", [0, 1, 999, -5_000])
def test_a_clock_that_begins_with_zero_finds_everything_full(mode: str, kind: str, start_ms: int) -> None:
    clock = ManualClock(start_ms)
    ranges, things = KeyRanges(clock), table(mode=mode)
    row = key(things)
    assert ranges.waits_until < start_ms
    assert ranges.exhausted(things, None, kind, row, start_ms, {-1: 0.0}) is None
    if kind == "Read":
        assert ranges.read(things, row, 0.5, start_ms) is None
    else:
        ranges.wrote(things, row, 0.5, start_ms)
    take(ranges, things, RATES[kind] - 1, kind)
    assert admits(ranges, things, kind)
    take(ranges, things, 1, kind)
    assert not admits(ranges, things, kind)
    ranges.forget()
    assert admits(ranges, things, kind)


def test_growth_counts_the_first_minute_of_a_clock_that_begins_with_zero() -> None:
    clock = ManualClock(0)
    ranges, things = KeyRanges(clock), table(mode=schema.ON_DEMAND)
    for number in range(60):
        take(ranges, things, 4_000, name=str(number))
        clock.advance(1_000)
    clock.advance(HALF_HOUR_MS)
    assert admits(ranges, things)
    take(ranges, things, 7_900, name="a")
    assert admits(ranges, things, name="b")


# Growth

STEPS = [
    # what was used in the minutes of a half hour, in units a second; what the table admits in the next one
    ([], 4_000),
    ([1_000], 4_000),
    ([2_000], 4_000),
    ([2_001, 5], 4_002),
    ([4_000], 8_000),
    ([100, 4_000, 3_000], 8_000),
    ([19_000], 38_000),
    ([20_500], 40_000),
]


@pytest.mark.parametrize(("minutes", "then"), STEPS)
def test_half_an_hour_later_a_table_admits_twice_its_busiest_minute(minutes: list[int], then: int) -> None:
    growth, now_ms = turned(Growth(), START_MS), START_MS
    for used in minutes:
        growth = growth._replace(units=60.0 * used)
        now_ms += MINUTE_MS
        growth = turned(growth, now_ms)
        assert admitted(growth, 4_000, 40_000) == 4_000
    growth = turned(growth, START_MS + HALF_HOUR_MS)
    assert admitted(growth, 4_000, 40_000) == then


def test_a_peak_is_not_forgotten_when_traffic_falls() -> None:
    growth = turned(Growth(), START_MS)._replace(units=60.0 * 4_000)
    for number in range(1, 20):
        growth = turned(growth, START_MS + number * HALF_HOUR_MS)
    assert admitted(growth, 4_000, 40_000) == 8_000


def test_a_table_doubles_each_half_hour_up_to_the_account_s_maximum() -> None:
    clock = ManualClock(START_MS)
    ranges, things = KeyRanges(clock), table(mode=schema.ON_DEMAND)
    for rate in (4_000, 8_000, 16_000, 32_000, 40_000, 40_000):
        for _ in range(2):
            clock.advance(MINUTE_MS)
            for number in range(60):
                clock.advance(900)
                take(ranges, things, rate, name=str(number))
        clock.advance(MINUTE_MS)
        take(ranges, things, rate * 1.1, name="last")
        limit = ranges.exhausted(things, None, "Write", key(things, "other"), clock.now_ms())
        assert limit == (ACCOUNT if rate == 40_000 else KEY_RANGE)
        clock.advance(HALF_HOUR_MS)


def test_warm_throughput_counts_at_once() -> None:
    ranges, things = KeyRanges(ManualClock(START_MS)), table(mode=schema.ON_DEMAND)
    take(ranges, things, 100)
    assert admits(ranges, things, name="b")
    warmed = table(mode=schema.ON_DEMAND, warm=(12_000, 10_000))
    take(ranges, warmed, 9_000, name="b")
    assert admits(ranges, warmed, name="c")


def test_the_account_has_no_maximum_without_quotas() -> None:
    clock = ManualClock(START_MS)
    ranges = KeyRanges(clock, quotas=False)
    things = table(mode=schema.ON_DEMAND, warm=(12_000, 90_000))
    take(ranges, things, 80_000)
    assert admits(ranges, things, name="b")


# Processes

PROGRAM = """
import sys
from pathlib import Path
from atoll.capacity.key_ranges import KeyRanges
from atoll.clock import ManualClock
from tests.capacity.test_key_ranges import START_MS, admits, table, take

ranges = KeyRanges(ManualClock(START_MS), Path(sys.argv[1]))
things = table(mode="PAY_PER_REQUEST", warm=(40_000, 40_000))
print("ready", flush=True)
sys.stdin.readline()
admitted = 0
while admits(ranges, things, name=str(admitted % 400)):
    take(ranges, things, 1, name=str(admitted % 400))
    admitted += 1
print(admitted, flush=True)
"""


def test_three_processes_together_get_as_much_as_one_within_5_percent(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "key-ranges")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([root, *sys.path])},
        )
        for _ in range(3)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    admitted = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert 40_000 <= sum(admitted) <= 42_000


def test_peaks_outlive_the_process(tmp_path: Path) -> None:
    clock = ManualClock(START_MS)
    things = table(mode=schema.ON_DEMAND)
    first = KeyRanges(clock, tmp_path / "key-ranges")
    for number in range(60):
        take(first, things, 4_000, name=str(number))
        clock.advance(900)
    clock.advance(HALF_HOUR_MS)
    second = KeyRanges(clock, tmp_path / "key-ranges")
    take(second, things, 7_000)
    assert admits(second, things, name="b")


def test_a_file_of_another_kind_is_emptied(tmp_path: Path) -> None:
    (tmp_path / "key-ranges").write_bytes(b"\xff" * 5_000_000)
    ranges = KeyRanges(ManualClock(START_MS), tmp_path / "key-ranges")
    assert admits(ranges, table())
