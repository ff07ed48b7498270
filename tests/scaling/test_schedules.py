"""The expressions of scheduled actions and their next runs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from atoll.scaling import schedules


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def runs(expression: str, after: str, count: int = 1, zone: str | None = None) -> list[str]:
    """The next runs in UTC."""
    schedule, after_ms, found = schedules.parse(expression, zone), ms(after), []
    start_ms = after_ms
    for _ in range(count):
        run = schedules.following(schedule, after_ms, start_ms)
        if run is None:
            break
        found.append(datetime.fromtimestamp(run / 1000, UTC).isoformat()[:19])
        after_ms = run
    return found


@pytest.mark.parametrize(
    "expression, after, zone, expected",
    [
        ("at(2026-11-30T08:00:00)", "2026-11-29T00:00:00", None, ["2026-11-30T08:00:00"]),
        ("at(2026-11-30T08:00:00)", "2026-11-29T00:00:00", "Asia/Tokyo", ["2026-11-29T23:00:00"]),
        ("at(2026-11-30T08:00:00)", "2026-11-30T08:00:00", None, []),
        ("rate(1 minute)", "2026-11-29T00:00:30", None, ["2026-11-29T00:01:30", "2026-11-29T00:02:30"]),
        ("rate(5 minutes)", "2026-11-29T00:00:00", None, ["2026-11-29T00:05:00", "2026-11-29T00:10:00"]),
        ("rate(12 hours)", "2026-11-29T00:00:00", None, ["2026-11-29T12:00:00", "2026-11-30T00:00:00"]),
        ("rate(1 day)", "2026-11-29T06:00:00", None, ["2026-11-30T06:00:00", "2026-12-01T06:00:00"]),
        ("cron(0 10 * * ? *)", "2026-11-29T10:00:00", None, ["2026-11-30T10:00:00", "2026-12-01T10:00:00"]),
        ("cron(15 12 * * ? *)", "2026-11-29T10:00:00", None, ["2026-11-29T12:15:00"]),
        ("cron(0 18 ? * MON-FRI *)", "2026-11-27T18:00:00", None, ["2026-11-30T18:00:00", "2026-12-01T18:00:00"]),
        ("cron(0 18 ? * 2-6 *)", "2026-11-27T18:00:00", None, ["2026-11-30T18:00:00", "2026-12-01T18:00:00"]),
        ("cron(0 8 1 * ? *)", "2026-11-29T10:00:00", None, ["2026-12-01T08:00:00", "2027-01-01T08:00:00"]),
        ("cron(0/15 * * * ? *)", "2026-11-29T23:50:00", None, ["2026-11-30T00:00:00", "2026-11-30T00:15:00"]),
        ("cron(5/20 9-10 ? * * *)", "2026-11-29T09:30:00", None,
         ["2026-11-29T09:45:00", "2026-11-29T10:05:00", "2026-11-29T10:25:00"]),
        ("cron(0,30 9 ? * FRI-MON 2027)", "2026-11-29T09:30:00", None, ["2027-01-01T09:00:00", "2027-01-01T09:30:00"]),
        ("cron(0 0 L * ? *)", "2027-02-01T00:00:00", None, ["2027-02-28T00:00:00", "2027-03-31T00:00:00"]),
        ("cron(0 0 L-2 * ? *)", "2027-02-01T00:00:00", None, ["2027-02-26T00:00:00"]),
        ("cron(0 0 15W * ? *)", "2026-11-01T00:00:00", None, ["2026-11-16T00:00:00", "2026-12-15T00:00:00"]),
        ("cron(0 0 1W 8 ? *)", "2026-01-01T00:00:00", None, ["2026-08-03T00:00:00"]),
        ("cron(0 0 LW 1 ? *)", "2026-12-01T00:00:00", None, ["2027-01-29T00:00:00"]),
        ("cron(0 0 ? * MON#2 *)", "2026-11-01T00:00:00", None, ["2026-11-09T00:00:00", "2026-12-14T00:00:00"]),
        ("cron(0 0 ? * 6L *)", "2026-11-01T00:00:00", None, ["2026-11-27T00:00:00"]),
        ("cron(0 0 ? * L *)", "2026-11-01T00:00:00", None, ["2026-11-07T00:00:00"]),
        ("cron(0 0 29 2 ? *)", "2026-11-01T00:00:00", None, ["2028-02-29T00:00:00", "2032-02-29T00:00:00"]),
        ("cron(0 0 30 2 ? *)", "2026-11-01T00:00:00", None, []),
        ("cron(0 0 1 1 ? 2020)", "2026-11-01T00:00:00", None, []),
        ("cron(30 0 10 ? * * *)", "2026-11-29T10:00:00", None, ["2026-11-29T10:00:30"]),
        ("cron(0 0 * * * *)", "2026-11-29T10:00:00", None, ["2026-11-30T00:00:00"]),
        ("cron(0 9 * * ? *)", "2026-10-24T12:00:00", "Europe/Berlin", ["2026-10-25T08:00:00", "2026-10-26T08:00:00"]),
        ("cron(0 9 * * ? *)", "2026-10-23T12:00:00", "Europe/Berlin", ["2026-10-24T07:00:00"]),
    ],
)  # fmt: skip
def test_the_next_runs(expression: str, after: str, zone: str | None, expected: list[str]) -> None:
    assert runs(expression, after, len(expected) or 1, zone) == expected


def test_a_local_time_that_the_zone_skips_does_not_run_that_day() -> None:
    assert runs("cron(30 2 * * ? *)", "2026-03-28T12:00:00", 1, "Europe/Berlin") == ["2026-03-30T00:30:00"]


def test_a_local_time_that_the_zone_repeats_runs_once() -> None:
    assert runs("cron(30 2 * * ? *)", "2026-10-24T12:00:00", 2, "Europe/Berlin") == [
        "2026-10-25T00:30:00",
        "2026-10-26T01:30:00",
    ]


@pytest.mark.parametrize(
    "expression",
    [
        "", "10 minutes", "rate()", "rate(0 minutes)", "rate(5)", "rate(5 seconds)", "rate(-1 minutes)",
        "rate(1.5 hours)",
        "at(2026-11-30)", "at(2026-13-30T00:00:00)", "at(now)", "at(2026-11-30T08:00:00Z)",
        "cron()", "cron(* * * * *)", "cron(0 0 1 1 1 *)", "cron(60 0 * * ? *)", "cron(0 24 * * ? *)",
        "cron(0 0 0 * ? *)", "cron(0 0 32 * ? *)", "cron(0 0 ? * 8 *)", "cron(0 0 ? * ? *)", "cron(0 0 * 13 ? *)",
        "cron(0 0 * * ? 1969)", "cron(0 0 * FOO ? *)", "cron(0/0 0 * * ? *)", "cron(, 0 * * ? *)",
        "cron(0 0 ? * MON#6 *)",
        "cron(0 0 32W * ? *)", "cron(0 0 L-31 * ? *)", "every(1 day)", "cron(0 0 * * ? * * *)", "CRON(0 0 * * ? *)",
    ],
)  # fmt: skip
def test_an_invalid_expression_is_refused(expression: str) -> None:
    with pytest.raises(schedules.Invalid):
        schedules.parse(expression)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "/etc/localtime", "Europe", "a\0b"])
def test_an_unknown_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(schedules.UnknownZone):
        schedules.parse("rate(1 day)", zone)
