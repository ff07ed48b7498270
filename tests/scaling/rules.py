"""The documented rules of target tracking, minute by minute, as one plain program. It shares no code with Atoll.

Sources: "Target tracking scaling policies" and "DynamoDB and Application Auto Scaling" of the Application Auto Scaling
User Guide; "Managing throughput capacity automatically with DynamoDB auto scaling" and "Decreasing provisioned
throughput" of the DynamoDB Developer Guide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

DAY = 24 * 60
HOUR = 60


@dataclass
class Rules:
    """One target with one policy. Times are whole minutes."""

    units: int
    least: int
    most: int
    percent: int
    rise_cooldown: int = 0
    fall_cooldown: int = 0
    may_fall: bool = True
    consumed: list[int] = field(default_factory=list)
    last_rise: tuple[int, int] | None = None
    """When it ended, and the units that it reached."""
    last_fall: int | None = None
    decreases: list[int] = field(default_factory=list)
    capacity: list[int] = field(default_factory=list)
    """The units at the end of each minute."""
    watched: int = 0
    """The units to which the thresholds of the alarms belong."""
    changed: int = 0
    """When these last changed."""
    acted: dict[str, int] = field(default_factory=dict)
    """The alarms on the capacity that are in breach, and when they last acted."""

    def __post_init__(self) -> None:
        self.watched = self.units

    def set_by_hand(self, now: int, units: int) -> bool:
        """Returns whether the table allows it. The alarms learn it later."""
        if units < self.units:
            if not self._may_decrease(now):
                return False
            self.decreases.append(now)
        self.units = units
        return True

    def schedule(self, now: int, least: int, most: int) -> None:
        """New bounds: the units are brought within them at once."""
        self.least, self.most = least, most
        wanted = min(max(self.units, least), most)
        if wanted > self.units:
            self._rise(now, wanted)
        elif wanted < self.units and self._may_decrease(now):
            self._fall(now, wanted)

    def minute(self, now: int, consumed: int) -> None:
        """The minute before `now` has ended."""
        self.consumed.append(consumed)
        self.capacity.append(self.units)
        if self.changed == now:  # alarms with new thresholds are evaluated at the next full minute
            return
        of_two, of_fifteen = self.consumed[-2:], self.consumed[-15:]
        if len(of_two) == 2 and all(units * 100 > self.watched * 60 * self.percent for units in of_two):
            self._want_rise(now, self._needed(max(of_two)))
        elif len(of_fifteen) == 15 and all(
            units * 100 < self.watched * 60 * (self.percent - 20) for units in of_fifteen
        ):
            self._want_fall(now, self._needed(max(of_fifteen)))

        self._look_at_capacity(now)

    def _look_at_capacity(self, now: int) -> None:
        """Three periods of five minutes in which the average capacity was above, or below, what the alarms watch."""
        if len(self.capacity) < 15 or self.changed == now:
            return
        sums = [sum(self.capacity[start : start + 5 or None]) for start in (-15, -10, -5)]
        for name, in_alarm in (
            ("high", all(total > 5 * self.watched for total in sums)),
            ("low", all(total < 5 * self.watched for total in sums)),
        ):
            if not in_alarm:
                self.acted.pop(name, None)
            elif now >= self.acted.get(name, now - 5) + 5:  # an alarm acts again every period while its state lasts
                self.acted[name] = now
                self._watch(now)

    def _watch(self, now: int) -> None:
        if self.watched != self.units:
            self.watched, self.changed, self.acted = self.units, now, {}

    def _needed(self, consumed: int) -> int:
        """The units of which the consumption of a minute is the target."""
        needed = math.ceil(Fraction(consumed, 60) / Fraction(self.percent, 100))
        return min(max(needed, 1, self.least), self.most)

    def _want_rise(self, now: int, wanted: int) -> None:
        if wanted <= self.units:
            return
        if self.last_rise is not None:
            ended, reached = self.last_rise
            if now < ended + self.rise_cooldown and wanted <= reached:
                return
        self._rise(now, wanted)

    def _want_fall(self, now: int, wanted: int) -> None:
        if wanted >= self.units or not self.may_fall or not self._may_decrease(now):
            return
        if self.last_fall is not None and now < self.last_fall + self.fall_cooldown:
            return
        self._fall(now, wanted)

    def _may_decrease(self, now: int) -> bool:
        """Four decreases at any time of a day (UTC); each further one needs an hour without one."""
        today = [time for time in self.decreases if time // DAY == now // DAY]
        return len(today) < 4 or now >= today[-1] + HOUR

    def _rise(self, now: int, units: int) -> None:
        self.units, self.last_rise, self.last_fall = units, (now, units), None
        self._watch(now)

    def _fall(self, now: int, units: int) -> None:
        self.units, self.last_fall = units, now
        self.decreases.append(now)
        self._watch(now)
