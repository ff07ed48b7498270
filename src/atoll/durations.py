"""Parse durations and times in requests and options."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

from atoll import limits
from atoll.clock import LATEST_MS
from atoll.errors import admin as admin_errors

_UNITS_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_PART = re.compile(r"(\d+(?:\.\d+)?)(d|h|ms|m|s)", re.ASCII)
_DURATION = re.compile(f"-?(?:{_PART.pattern})+", re.ASCII)


def duration_ms(value: object) -> int:
    """Parse a number of seconds, or text such as 25h, 1h30m, -20m, 90s, 500ms, 7d."""
    ms = math.inf
    if isinstance(value, int | float) and not isinstance(value, bool):
        ms = value * 1000
    elif isinstance(value, str) and _DURATION.fullmatch(value):
        ms = sum(float(amount) * _UNITS_MS[unit] for amount, unit in _PART.findall(value))
        ms = -ms if value.startswith("-") else ms
    if not abs(ms) <= LATEST_MS:
        raise admin_errors.bad_duration(value)
    return round(ms)


def time_ms(value: object) -> int:
    """Parse seconds since 1970, or an ISO 8601 date and time, UTC unless it has an offset."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise admin_errors.bad_time(value) from None
        value = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value * 1000 <= LATEST_MS:
        return round(value * 1000)
    raise admin_errors.bad_time(value)


def instant(seconds: float) -> float:
    """Seconds since 1970 from a request, limited to the years 1970 to 9999, since arithmetic fails with other times.
    Operations treat such a time like any time without data."""
    return min(max(seconds, 0.0), limits.LAST_TIME_MS / 1000)
