"""The datapoints of one metric in an alarm's evaluation range, kept between evaluations.

An evaluation reads only the batches that have arrived since the last one, from what the process knows of the region's
metrics, and so from memory. The store is read for a new alarm, and if batches were moved to blocks meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable

from atoll.alarms.inputs import Input
from atoll.metrics.series import Datapoint, united
from atoll.metrics.store import Metrics


class Window:
    def __init__(self, wanted: Input, grain_ms: int) -> None:
        self.wanted = wanted
        self.grains: dict[int, Datapoint] = {}
        """By the starts of the grains."""
        self._grain_ms = grain_ms
        self._number = -1
        """The last batch whose datapoints are here."""

    def is_behind(self, metrics: Metrics) -> bool:
        """Whether it lacks datapoints that only the store has."""
        return self._number < metrics.numbers[0] or self._number < 0

    def has_news(self, metrics: Metrics) -> bool:
        recent = metrics.recent.get(self.wanted.metric)
        return self.is_behind(metrics) or (recent is not None and recent[-1].number > self._number)

    def take(self, metrics: Metrics) -> bool:
        """Add the datapoints that are new; returns whether there were any."""
        has_news = False
        for one in reversed(metrics.recent.get(self.wanted.metric, ())):
            if one.number <= self._number:
                break
            if self.wanted.unit in (None, one.unit):
                self._add(one.point)
                has_news = True
        self._number = metrics.numbers[1]
        return has_news

    def load(self, points: Iterable[Datapoint], number: int) -> None:
        """Begin anew with these datapoints, which include all batches up to a number."""
        self.grains = {}
        for point in points:
            self._add(point)
        self._number = number

    def forget(self, before_ms: int) -> None:
        for time_ms in [time_ms for time_ms in self.grains if time_ms < before_ms]:
            del self.grains[time_ms]

    def _add(self, point: Datapoint) -> None:
        time_ms = point.time_ms - point.time_ms % self._grain_ms
        old = self.grains.get(time_ms)
        self.grains[time_ms] = point if old is None else united(time_ms, [old, point])
