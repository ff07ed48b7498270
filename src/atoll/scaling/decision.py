"""The decision of a target-tracking policy when one of its alarms is in breach. Pure arithmetic over plain values.

A policy wants the units that bring the consumption to its target: `ceil(consumed per second / target)`, within the
bounds of its scalable target. The units rise as soon as any policy wants a rise. They fall only if all policies that
may scale in want a fall, to the most units that any of them wants. Rises and falls have cooldowns:

- In a scale-out cooldown, the units rise only above those of the rise that began it.
- In a scale-in cooldown the units do not fall. A rise ends it.

A decision that changes nothing has a reason, which activities show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

AT_MAX = "AlreadyAtMaxCapacity"
AT_MIN = "AlreadyAtMinCapacity"
AT_DESIRED = "AlreadyAtDesiredCapacity"
FLAPPING = "AutoScalingAnticipatedFlapping"


@dataclass(frozen=True)
class Bounds:
    least: int
    most: int

    @property
    def is_valid(self) -> bool:
        return 1 <= self.least <= self.most

    def clamped(self, units: int) -> int:
        return min(max(units, self.least), self.most)


@dataclass(frozen=True)
class Last:
    """The last finished rise or fall of a target."""

    policy: str
    """The id of the policy that decided it."""
    ended_ms: int
    units: int
    before: int


@dataclass(frozen=True)
class Decision:
    units: int | None
    """The new units; None for no change."""
    reason: str | None = None
    """The reason of no change; None if no activity shows it, in a suspension or a cooldown."""


NOTHING = Decision(None)


def wanted(consumed: float, period_s: int, target_percent: float) -> int:
    """The units of which the consumption in a period is `target_percent`."""
    return max(1, ceil(Fraction(consumed) * 100 / (period_s * _exact(target_percent))))


def wanted_of_metric(metric: float, target: float, units: int) -> int:
    """The same for a customised metric, assumed to be inversely proportional to the units."""
    return max(1, ceil(Fraction(metric) * units / _exact(target)))


def _exact(number: float) -> Fraction:
    """The number as it was written: 0.7 becomes exactly seven tenths."""
    return Fraction(str(number))


def rise(
    bounds: Bounds, units: int, wanted_units: int, *, last: Last | None, policy: str, cooldown_ms: int, now_ms: int
) -> Decision:
    """`last` is the target's last rise."""
    goal = bounds.clamped(wanted_units)
    if units >= bounds.most and wanted_units > bounds.most:
        return Decision(None, AT_MAX)
    if goal <= units:
        return Decision(None, AT_DESIRED)
    if last is not None and last.policy == policy and now_ms < last.ended_ms + cooldown_ms and goal <= last.units:
        return NOTHING
    return Decision(goal)


def fall(
    bounds: Bounds, units: int, wishes: Sequence[int | None], *, last: Last | None, cooldown_ms: int, now_ms: int
) -> Decision:
    """`wishes` are the units that each policy wants that may scale in; None for one that wants no fall. `last` is the
    target's last fall, unless there was a rise since."""
    if units <= bounds.least:
        return Decision(None, AT_MIN)
    agreed = [wish for wish in wishes if wish is not None]
    if not agreed or len(agreed) < len(wishes):
        return Decision(None, FLAPPING)
    goal = bounds.clamped(max(agreed))
    if goal >= units:
        return Decision(None, AT_DESIRED)
    if last is not None and now_ms < last.ended_ms + cooldown_ms:
        return NOTHING
    return Decision(goal)
