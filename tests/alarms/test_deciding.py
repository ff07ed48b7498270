"""How alarms decide: AWS's own table, and a plain statement of the rules for everything else."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.alarms.deciding import decide, evaluation_range, samples_needed

OK, ALARM, INSUFFICIENT, STAYS = "OK", "ALARM", "INSUFFICIENT_DATA", None

# Oldest first: 0 is fine, X breaches, - has no data. The states for missing, ignore, breaching, notBreaching.
TABLE = [
    (3, "0-X-X", OK, OK, OK, OK),
    (3, "0----", OK, OK, OK, OK),
    (3, "-----", INSUFFICIENT, STAYS, ALARM, OK),
    (3, "0XX-X", ALARM, ALARM, ALARM, ALARM),
    (3, "--X--", ALARM, STAYS, ALARM, OK),
    (3, "----X", INSUFFICIENT, STAYS, ALARM, OK),
    (2, "0-X-X", ALARM, ALARM, ALARM, ALARM),
    (2, "00X0X", ALARM, ALARM, ALARM, ALARM),
    (2, "0-X--", OK, OK, ALARM, OK),
    (2, "----0", OK, OK, ALARM, OK),
    (2, "---X-", ALARM, STAYS, ALARM, OK),
]
MODES = ("missing", "ignore", "breaching", "notBreaching")


def breaches(points: str) -> list[bool | None]:
    return [{"0": False, "X": True, "-": None}[point] for point in reversed(points)]


@pytest.mark.parametrize(
    ("to_alarm", "points", "mode", "state"),
    [(row[0], row[1], mode, state) for row in TABLE for mode, state in zip(MODES, row[2:], strict=True)],
)
def test_the_published_table(to_alarm, points, mode, state):
    assert decide(breaches(points), 3, to_alarm, mode).state == state


def stated(points: str, periods: int, to_alarm: int, mode: str) -> str | None:
    """The rules again, as one would say them of a string of periods, oldest first."""
    present = points.replace("-", "")
    if len(present) < periods and mode in ("breaching", "notBreaching"):
        filler = "X" if mode == "breaching" else "0"
        present = filler * (periods - len(present)) + present
    deciding = present[-periods:]
    if deciding.count("X") >= to_alarm:
        return ALARM
    if "0" in deciding:
        return OK
    premature = "X" in points and len(points) - points.index("X") >= to_alarm
    if mode == "missing":
        return ALARM if premature else INSUFFICIENT
    return STAYS


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("to_alarm", [1, 2, 3])
def test_every_window_of_three_periods(to_alarm, mode):
    for window in product("0X-", repeat=5):
        points = "".join(window)
        assert decide(breaches(points), 3, to_alarm, mode).state == stated(points, 3, to_alarm, mode), points


@given(st.data(), st.integers(1, 30), st.sampled_from(MODES))
def test_a_plain_statement_agrees(data, periods, mode):
    to_alarm = data.draw(st.integers(1, periods))
    size = evaluation_range(periods)
    points = data.draw(st.text("0X-", min_size=size, max_size=size))
    assert decide(breaches(points), periods, to_alarm, mode).state == stated(points, periods, to_alarm, mode)


@given(st.data(), st.integers(1, 10), st.sampled_from(MODES))
def test_more_breaches_never_end_an_alarm(data, periods, mode):
    to_alarm = data.draw(st.integers(1, periods))
    size = evaluation_range(periods)
    points = data.draw(st.text("0X-", min_size=size, max_size=size))
    if decide(breaches(points), periods, to_alarm, mode).state == ALARM:
        assert decide(breaches(points.replace("0", "X")), periods, to_alarm, mode).state == ALARM


@pytest.mark.parametrize(("periods", "looked_at"), [(1, 3), (2, 4), (3, 5), (15, 20)])
def test_the_evaluation_range(periods, looked_at):
    assert evaluation_range(periods) == looked_at


@pytest.mark.parametrize(
    ("statistic", "samples"), [("p99", 1000), ("p50", 20), ("p90", 100), ("p10", 100), ("p100", 0), ("tm90", 0)]
)
def test_the_samples_that_a_percentile_needs(statistic, samples):
    assert samples_needed(statistic) == pytest.approx(samples)
