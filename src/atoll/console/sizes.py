"""Format numbers, sizes and times for people. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

_UNITS = ("bytes", "KB", "MB", "GB", "TB")


def count(number: float) -> str:
    return f"{number:,.0f}"


def size(number: float) -> str:
    unit = 0
    while number >= 1024 and unit < len(_UNITS) - 1:
        number, unit = number / 1024, unit + 1
    return f"{number:,.0f} {_UNITS[unit]}" if unit == 0 or number >= 100 else f"{number:,.1f} {_UNITS[unit]}"


def time(when: Any) -> str:
    """Format a datetime, or seconds since 1970, in UTC."""
    if when in (None, ""):
        return ""
    try:
        found = when.astimezone(UTC) if isinstance(when, datetime) else datetime.fromtimestamp(float(when), UTC)
    except (ValueError, OverflowError, OSError):
        return str(when)
    return found.strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float) -> str:
    """Format a duration, in its two greatest units."""
    sign, left = ("-" if seconds < 0 else ""), abs(seconds)
    if left < 1:
        return f"{sign}{left * 1000:.0f} ms"
    parts = []
    for name, length in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        whole = int(left // length)
        left -= whole * length
        if whole:
            parts.append(f"{whole} {name}")
    return sign + " ".join(parts[:2])
