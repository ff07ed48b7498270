"""What a target-tracking policy decides when one of its alarms is in breach. Pure arithmetic over plain values.

A policy wants as many units as bring the consumption to its target: `ceil(consumed per second / target)`, between the
bounds of its scalable target. A rise happens as soon as any policy wants one. A fall needs all policies that may scale
in: it goes to the most units that any of them wants. Rises and falls have cooldowns:

- In a scale-out cooldown, only more units than those that began it are a rise: they are counted as added.
- In a scale-in cooldown nothing falls. A rise ends it.

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
    """The last rise or fall of a target that has ended."""

    policy: str
    """The id of the policy that decided it."""
    ended_ms: int
    units: int
    before: int


@dataclass(frozen=True)
class Decision:
    units: int | None
    """None changes nothing."""
    reason: str | None = None
    """Why nothing changes; None if no activity shows it: suspended, or in a cooldown."""


NOTHING = Decision(None)


def wanted(consumed: float, period_s: int, target_percent: float) -> int:
    """The units by which consumption in a period is `target_percent` of them."""
    return max(1, ceil(Fraction(consumed) * 100 / (period_s * _exact(target_percent))))


def wanted_of_metric(metric: float, target: float, units: int) -> int:
    """The same for a customised metric, which is taken to fall as the units rise."""
    return max(1, ceil(Fraction(metric) * units / _exact(target)))


def _exact(number: float) -> Fraction:
    """The number as it was written: 0.7 is seven tenths."""
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
    """`wishes` are the units that each policy that may scale in wants; None for one that wants no fall. `last` is the
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
