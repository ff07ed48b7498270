"""Decide the state of an alarm: a pure function of the periods that it looks at.

An alarm decides on N periods, of which M must breach. It looks at a few more periods than N, the *evaluation range*, so
that later points can stand in for missing ones. The rules, in this order:

1. At least N points in the range: the newest N decide. M of them breach: ALARM; else OK.
2. Fewer, and missing data is `breaching` or `notBreaching`: the missing points up to N count as such.
3. Fewer, and missing data is `missing` or `ignore`: M points breach: ALARM; one does not: OK. If all breach, but there
   are fewer than M, the oldest of them decides: at least M periods back and `missing`: ALARM. Otherwise, and without
   any point, the data is insufficient: INSUFFICIENT_DATA for `missing`, no change for `ignore`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from atoll.alarms.alarm import ALARM, INSUFFICIENT_DATA, OK

BREACHING, NOT_BREACHING, MISSING, IGNORE = "breaching", "notBreaching", "missing", "ignore"

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}


class Decision(NamedTuple):
    state: str | None
    """None: the state stays as it is."""
    used: tuple[int, ...] = ()
    """The periods that decided and have a point, newest first; 0 is the newest period of the range."""
    filled: int = 0
    """The number of missing points that were treated as points."""


def evaluation_range(periods: int) -> int:
    """The number of periods that an alarm looks at. The service does not publish it; its examples have 5 for 3."""
    return periods + max(periods // 3, 2)


def decide(breaches: Sequence[bool | None], periods: int, to_alarm: int, missing: str) -> Decision:
    """`breaches`: whether each period of the evaluation range breaches, newest first; None if its point is missing."""
    real = [place for place, breach in enumerate(breaches) if breach is not None]
    used = tuple(real[:periods])
    breaching = sum(1 for place in used if breaches[place])
    if len(used) == periods:
        return Decision(ALARM if breaching >= to_alarm else OK, used)
    if missing in (BREACHING, NOT_BREACHING):
        filled = periods - len(used)
        if missing == BREACHING:
            breaching += filled
        return Decision(ALARM if breaching >= to_alarm else OK, used, filled)
    if used and breaching >= to_alarm:
        return Decision(ALARM, used)
    if breaching < len(used):
        return Decision(OK, used)
    if missing == IGNORE:
        return Decision(None)
    if used and used[-1] + 1 >= to_alarm:
        return Decision(ALARM, used)
    return Decision(INSUFFICIENT_DATA)


def samples_needed(statistic: str) -> float:
    """The samples that a percentile needs to be meaningful. With fewer, an alarm may be configured to keep its
    state."""
    if not statistic.startswith("p"):
        return 0
    share = float(statistic[1:]) / 100
    rest = 1 - share if share >= 0.5 else share
    return round(10 / rest, 6) if rest > 1e-9 else 0
