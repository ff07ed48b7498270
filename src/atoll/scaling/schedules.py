"""The schedules of scheduled actions: `at(time)`, `rate(5 minutes)`, `cron(minutes hours day month weekday year)`.

`parse` reads an expression, `following` returns the first run after a time. Cron expressions are Quartz's, as AWS uses
them: `?` for no particular day, `L` for the last day, `15W` for the weekday nearest to the 15th, `MON#2` for the second
Monday, and an optional first field of seconds. Weekdays are numbered from 1, Sunday. `at` and `cron` have a time zone.
A local time that a zone skips does not run; one that a zone repeats runs the first time.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from atoll import limits


class Invalid(ValueError):
    """The text is not a schedule."""


class UnknownZone(ValueError):
    """There is no such time zone."""


Matches = Callable[[date], bool]


@dataclass(frozen=True, eq=False)
class At:
    ms: int


@dataclass(frozen=True, eq=False)
class Rate:
    period_ms: int


@dataclass(frozen=True, eq=False)
class Cron:
    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    months: frozenset[int]
    years: frozenset[int]
    matches: Matches
    """A test whether a schedule runs on a day, apart from its month and year."""
    zone: tzinfo


Schedule = At | Rate | Cron

_EXPRESSION = re.compile(r"(at|rate|cron)\((.*)\)")
_RATE = re.compile(r"([1-9][0-9]{0,8}) +(minute|hour|day)s?")
_UNITS_MS = {"minute": 60_000, "hour": 3_600_000, "day": 86_400_000}


@lru_cache(1024)
def parse(expression: str, zone: str | None = None) -> Schedule:
    """Raises `Invalid` or `UnknownZone`."""
    local = _zone(zone)
    found = _EXPRESSION.fullmatch(expression.strip())
    if found is None:
        raise Invalid(expression)
    kind, inner = found[1], found[2].strip()
    if kind == "at":
        return At(_at_ms(inner, local))
    if kind == "cron":
        return _cron(inner, local)
    rate = _RATE.fullmatch(inner)
    if rate is None:
        raise Invalid(expression)
    return Rate(int(rate[1]) * _UNITS_MS[rate[2]])


def _zone(name: str | None) -> tzinfo:
    if name is None or name in ("UTC", "Etc/UTC"):
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # no file of the zone, or an invalid name
        raise UnknownZone(name) from None


def _at_ms(text: str, zone: tzinfo) -> int:
    try:
        local = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S")
        return _ms(local.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        raise Invalid(text) from None


def _ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def following(schedule: Schedule, after_ms: int, start_ms: int) -> int | None:
    """The first run after a time; None if there is none. A rate counts from `start_ms`."""
    if isinstance(schedule, At):
        return schedule.ms if schedule.ms > after_ms else None
    if isinstance(schedule, Rate):
        passed = max(0, (after_ms - start_ms) // schedule.period_ms)
        return start_ms + (passed + 1) * schedule.period_ms
    after = datetime.fromtimestamp(after_ms // 1000, UTC)
    local = after.astimezone(schedule.zone)
    bound = local.replace(tzinfo=None)
    if (after - _REPEATED).astimezone(schedule.zone).utcoffset() != local.utcoffset():
        bound -= _REPEATED  # local time may have been set back, so that an earlier local time is not in the past
    for day in _days(schedule, bound.date()):
        for time in _times(schedule, day, bound):
            moment = time.replace(tzinfo=schedule.zone).astimezone(UTC)
            if moment > after and moment.astimezone(schedule.zone).replace(tzinfo=None) == time:
                return _ms(moment)
    return None


_REPEATED = timedelta(hours=3)
"""More than the time that any zone repeats."""


def _days(cron: Cron, first: date) -> Iterator[date]:
    for year in range(first.year, limits.LAST_SCHEDULED_YEAR + 1):
        if year not in cron.years:
            continue
        for month in range(first.month if year == first.year else 1, 13):
            if month not in cron.months:
                continue
            start = first.day if (year, month) == (first.year, first.month) else 1
            for day in range(start, monthrange(year, month)[1] + 1):
                if cron.matches(found := date(year, month, day)):
                    yield found


def _times(cron: Cron, day: date, bound: datetime) -> Iterator[datetime]:
    for hour in cron.hours:
        if day == bound.date() and hour < bound.hour:
            continue
        for minute in cron.minutes:
            if day == bound.date() and (hour, minute) < (bound.hour, bound.minute):
                continue
            for second in cron.seconds:
                yield datetime(day.year, day.month, day.day, hour, minute, second)


# Cron expressions

_MONTHS = {name: number for number, name in enumerate("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(), 1)}
_WEEKDAYS = {name: number for number, name in enumerate("SUN MON TUE WED THU FRI SAT".split(), 1)}
_NO_NAMES: dict[str, int] = {}


def _cron(text: str, zone: tzinfo) -> Cron:
    fields = text.upper().split()
    if len(fields) == 6:
        fields.insert(0, "0")
    if len(fields) != 7:
        raise Invalid(text)
    seconds, minutes, hours, month_day, months, weekday, years = fields
    if month_day == "?" == weekday or ({month_day, weekday}.isdisjoint({"?", "*"})):
        raise Invalid(text)
    return Cron(
        _numbers(seconds, 0, 59),
        _numbers(minutes, 0, 59),
        _numbers(hours, 0, 23),
        frozenset(_numbers(months, 1, 12, _MONTHS)),
        frozenset(_numbers(years, limits.FIRST_SCHEDULED_YEAR, limits.LAST_SCHEDULED_YEAR)),
        _of_weekday(weekday) if month_day in ("?", "*") and weekday not in ("?", "*") else _of_month(month_day),
        zone,
    )


_PART = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/([0-9]{1,4}))?")


def _numbers(field: str, least: int, most: int, names: dict[str, int] = _NO_NAMES) -> tuple[int, ...]:
    found: set[int] = set()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise Invalid(field)
        low, high, step = match.groups()
        first = least if low is None else _number(low, least, most, names)
        if high is not None:
            last = _number(high, least, most, names)
        else:
            last = first if low is not None and step is None else most
        if step == "0":
            raise Invalid(field)
        # A range may wrap around: FRI-MON.
        span = range(first, last + 1) if first <= last else (*range(first, most + 1), *range(least, last + 1))
        found |= set(span[:: int(step or 1)])
    return tuple(sorted(found))


def _number(text: str, least: int, most: int, names: dict[str, int]) -> int:
    number = names.get(text, -1)
    if re.fullmatch("[0-9]{1,4}", text) is not None:
        number = int(text)
    if not least <= number <= most:
        raise Invalid(text)
    return number


def _of_month(field: str) -> Matches:
    if field in ("?", "*"):
        return lambda day: True
    tests = [_of_month_part(part) for part in field.split(",")]
    return lambda day: any(test(day) for test in tests)


def _of_month_part(part: str) -> Matches:
    if part == "LW":
        return lambda day: day.day == _nearest_weekday(day, _length(day))
    last = re.fullmatch("L(?:-([0-9]{1,2}))?", part)
    if last is not None and int(last[1] or 0) < 31:
        return lambda day: day.day == _length(day) - int(last[1] or 0)
    nearest = re.fullmatch("([0-9]{1,2})W", part)
    if nearest is not None:
        wanted = _number(nearest[1], 1, 31, _NO_NAMES)
        return lambda day: wanted <= _length(day) and day.day == _nearest_weekday(day, wanted)
    days = frozenset(_numbers(part, 1, 31))
    return lambda day: day.day in days


def _length(day: date) -> int:
    return monthrange(day.year, day.month)[1]


def _nearest_weekday(day: date, wanted: int) -> int:
    """The day of the month, from Monday to Friday, nearest to `wanted` in the same month."""
    weekday = date(day.year, day.month, wanted).weekday()
    if weekday == 5:
        return wanted - 1 if wanted > 1 else wanted + 2
    if weekday == 6:
        return wanted + 1 if wanted < _length(day) else wanted - 2
    return wanted


def _of_weekday(field: str) -> Matches:
    tests = [_of_weekday_part(part) for part in field.split(",")]
    return lambda day: any(test(day) for test in tests)


def _of_weekday_part(part: str) -> Matches:
    counted = re.fullmatch(r"(\w{1,3})#([1-5])", part)
    if counted is not None:
        wanted, count = _number(counted[1], 1, 7, _WEEKDAYS), int(counted[2])
        return lambda day: _weekday(day) == wanted and (day.day + 6) // 7 == count
    last = re.fullmatch("([1-7]|[A-Z]{3})L", part)
    if last is not None:
        wanted = _number(last[1], 1, 7, _WEEKDAYS)
        return lambda day: _weekday(day) == wanted and day.day + 7 > _length(day)
    if part == "L":
        return lambda day: _weekday(day) == _WEEKDAYS["SAT"]
    days = frozenset(_numbers(part, 1, 7, _WEEKDAYS))
    return lambda day: _weekday(day) in days


def _weekday(day: date) -> int:
    """The weekday's number from 1, Sunday."""
    return day.isoweekday() % 7 + 1
