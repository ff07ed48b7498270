"""The datapoints of one metric in an alarm's evaluation range, kept between evaluations.

Periods slide, so datapoints are kept in *grains*, the interval between two evaluations, and united into periods.

Besides measured datapoints, a metric of a table may have datapoints that follow from the table's definition
(`implied`).

An evaluation reads only the batches that have arrived since the last one, from the metrics that the process keeps in
memory. It reads the store for a new alarm, and if batches were moved to blocks meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from atoll.alarms.inputs import Input
from atoll.alarms.reasons import Point
from atoll.metrics import implied
from atoll.metrics.implied import Line
from atoll.metrics.series import Datapoint, united
from atoll.metrics.statistics import statistic
from atoll.metrics.store import Metrics


class MetricWindow:
    def __init__(self, wanted: Input, period_ms: int, grain_ms: int) -> None:
        self.wanted = wanted
        self._grains: dict[int, Datapoint] = {}
        """The measured datapoints, by the starts of the grains."""
        self._points: dict[int, Point | None] = {}
        """The points of the grains computed so far."""
        self._line: Line | None = None
        """The datapoints that follow from table definitions, at `_generation`."""
        self._generation = -1
        self._period_ms = period_ms
        self._grain_ms = grain_ms
        self._number = -1
        """The last batch whose datapoints are here."""

    def is_behind(self, metrics: Metrics) -> bool:
        """Whether the window lacks datapoints that only the store has."""
        return self._number < metrics.numbers[0] or self._number < 0

    def has_news(self, metrics: Metrics) -> bool:
        recent = metrics.recent.get(self.wanted.metric)
        if self.is_behind(metrics) or self.is_outdated(metrics):
            return True
        return recent is not None and recent[-1].number > self._number

    def is_outdated(self, metrics: Metrics) -> bool:
        """Whether a table definition may have changed that implies datapoints."""
        return self._generation != metrics.generation(self.wanted.metric)

    def follow(self, line: Line | None, metrics: Metrics) -> None:
        self._line = line if line is None or self.wanted.unit in (None, line.unit) else None
        self._generation = metrics.generation(self.wanted.metric)
        self._points.clear()

    @property
    def is_measured(self) -> bool:
        """Whether the window has measured datapoints."""
        return bool(self._grains)

    def take(self, metrics: Metrics) -> bool:
        """Add the new datapoints; returns whether there were any. If batches were moved to blocks before that, the next
        evaluation loads the window again."""
        if self.is_behind(metrics):
            return False
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
        """Replace the window's datapoints by these, which include all batches up to `number`."""
        self._grains.clear()
        self._points.clear()
        for point in points:
            self._add(point)
        self._number = number

    def points(self, starts: Sequence[int]) -> list[Point | None]:
        """The points of the periods with these starts, newest first. Older ones are forgotten."""
        first_ms = starts[-1]
        for known in (self._grains, self._points):
            for time_ms in [time_ms for time_ms in known if time_ms < first_ms]:
                del known[time_ms]
        if self._period_ms <= self._grain_ms:
            return [self._of_grain(start_ms) for start_ms in starts]
        return [self._of_period(start_ms) for start_ms in starts]

    def _of_grain(self, start_ms: int) -> Point | None:
        if start_ms not in self._points:
            self._points[start_ms] = self._of_period(start_ms)
        return self._points[start_ms]

    def _of_period(self, start_ms: int) -> Point | None:
        end_ms = start_ms + self._period_ms
        times = range(start_ms, end_ms, self._grain_ms)
        inside = [self._grains[time_ms] for time_ms in times if time_ms in self._grains]
        if self._line is not None and not (inside and self._line.only_gaps):
            inside += implied.points(self._line, start_ms, end_ms, self._period_ms, start_ms)
        return self._point(united(start_ms, inside)) if inside else None

    def _point(self, datapoint: Datapoint) -> Point | None:
        value = statistic(datapoint, self.wanted.statistic)
        return None if value is None else Point(datapoint.time_ms, value, datapoint.count)

    def _add(self, point: Datapoint) -> None:
        time_ms = point.time_ms - point.time_ms % self._grain_ms
        self._points.pop(time_ms, None)
        old = self._grains.get(time_ms)
        self._grains[time_ms] = point if old is None else united(time_ms, [old, point])
