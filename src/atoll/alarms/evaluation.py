"""Evaluate the alarms of a region: every minute, or every 10 seconds if their periods are short.

Only the process that holds the region's lease evaluates alarms. It keeps the alarms in memory and reads an alarm again
after a change (`store.changes`). It also keeps the datapoints that alarms look at (`windows`). An alarm is *quiet* once
nothing but new data can change its state: all its periods look the same, nothing was measured in them, and no datapoint
has arrived since. A quiet alarm costs one comparison and does not wake the process.

A change of state is stored with an event in one transaction. Then the actions of the event begin: scaling policies act,
and calls of functions and webhooks are stored (`deliveries`). Only then is the event deleted, so after a crash an
action may begin twice, but none is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import orjson

from atoll.alarms import inputs, reasons, store
from atoll.alarms.actions import Actions, Event, Message, repeats
from atoll.alarms.alarm import Alarm
from atoll.alarms.composites import Composites
from atoll.alarms.deciding import COMPARISONS, Decision, decide, samples_needed
from atoll.alarms.inputs import Input
from atoll.alarms.reasons import Point
from atoll.alarms.windows import MetricWindow
from atoll.database.region import Region
from atoll.metrics.implied import lines
from atoll.metrics.store import Metrics, Wanted
from atoll.storage.engine import Transaction

TOGETHER = 200
"""The alarms whose datapoints one read takes, or that are evaluated before other tasks run."""
CHANGED_TOGETHER = 50
"""The alarms whose states one transaction changes."""
ACTED_TOGETHER = 20
"""The events whose actions begin before the evaluation lets other tasks run."""
TOGETHER_PERIODS = 500
"""After this many periods, the evaluation lets other tasks run."""

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass
class Watched:
    """An alarm and what is known of its last evaluation."""

    alarm: Alarm
    inputs: tuple[Input, ...]
    evaluated_ms: int
    """The end of the newest period that was looked at."""
    acted_ms: int
    """When its scaling policies last ran."""
    windows: tuple[MetricWindow, ...]
    is_steady: bool = False
    """At the last evaluation nothing was measured, and all periods looked the same. Never true of metric math: its
    values may change without data."""
    verdict: Verdict | None = None

    @property
    def repeats(self) -> bool:
        """Whether an action runs again while the state lasts."""
        return any(map(repeats, self.alarm.actions(self.alarm.state.value)))

    @cached_property
    def interval_ms(self) -> int:
        span_ms = self.alarm.period_s * self.alarm.periods * 1000
        return HOUR_MS if span_ms > DAY_MS else self.alarm.interval_ms


class Verdict(NamedTuple):
    """One evaluation: the decision and what it was based on."""

    alarm: Alarm
    decision: Decision
    points: Sequence[Point | None]
    breaches: Sequence[bool | None]
    times: Sequence[int]

    @property
    def reason(self) -> str:
        return reasons.reason(self.alarm, self.decision, self.points, self.breaches)

    def data(self, now_ms: int) -> dict[str, Any]:
        return reasons.data(self.alarm, self.decision, self.points, self.times, now_ms)


def judge(one: Watched, until_ms: int) -> Verdict:
    """Evaluate an alarm on the datapoints in its windows."""
    alarm = one.alarm
    times = inputs.times(alarm, until_ms)
    points = inputs.seen(alarm, one.inputs, [window.points(times) for window in one.windows], times)
    breached = COMPARISONS[alarm.configuration["ComparisonOperator"]]
    threshold = alarm.configuration["Threshold"]
    breaches = [None if point is None else breached(point.value, threshold) for point in points]
    decision = decide(breaches, alarm.periods, alarm.to_alarm, alarm.missing)
    if alarm.configuration.get("EvaluateLowSampleCountPercentile") == "ignore":
        needed = samples_needed(alarm.statistic)
        if any((point := points[place]) is not None and (point.samples or 0) < needed for place in decision.used):
            decision = Decision(None)
    return Verdict(alarm, decision, points, breaches, times)


class Watch:
    """The region's alarms as this process knows them: `region.state(Watch)`."""

    def __init__(self, region: Region) -> None:
        self.seen = -1
        """The number of changes up to which the alarms are known."""
        self.alarms: dict[str, Watched] = {}
        self.composites = Composites()

    def forget(self, name: str) -> None:
        self.alarms.pop(name, None)
        self.composites.drop(name)

    def metric_alarm(self, name: str) -> Alarm | None:
        watched = self.alarms.get(name)
        return None if watched is None else watched.alarm


class Alarms:
    """The `Work` of alarms; see `evaluation`."""

    def __init__(self, region: Region, actions: Actions) -> None:
        self._region = region
        self._actions = actions

    async def settle(self, now_ms: int) -> int | None:
        watch = self._region.state(Watch)
        await self._catch_up(watch, now_ms)
        ends_ms = watch.composites.wake_ms
        if ends_ms is not None and ends_ms <= now_ms:
            await self._compose(watch, now_ms)
            await self._act(watch)
        metrics = self._region.state(Metrics)
        if watch.alarms:
            await metrics.learn()
        due = [one for one in watch.alarms.values() if _floor(now_ms, one.interval_ms) > one.evaluated_ms]
        if due:
            await self._evaluate(watch, due, now_ms)
            await self._catch_up(watch, now_ms)  # an action may have changed alarms
        others = (await self._actions.settle(now_ms), watch.composites.wake_ms)
        wakes = [wake_ms for wake_ms in others if wake_ms is not None]
        for looked_at, one in enumerate(watch.alarms.values(), 1):
            if not self._is_quiet(one, metrics):
                wakes.append(one.evaluated_ms + one.interval_ms)
            if looked_at % TOGETHER == 0:
                await asyncio.sleep(0)
        return min(wakes, default=None)

    async def stop(self) -> None:
        await self._actions.stop()

    async def _catch_up(self, watch: Watch, now_ms: int) -> None:
        """Apply changes of alarms that API calls or other processes made."""
        if await self._region.read(store.changes) != watch.seen:
            await self._learn(watch, now_ms)
            await self._compose(watch, now_ms)
            await self._act(watch)

    async def _learn(self, watch: Watch, now_ms: int) -> None:
        """Read the alarms that have changed. They are evaluated at the next full minute."""
        number, alarms = await self._region.read(partial(store.changed_since, number=watch.seen))
        if alarms is None:
            alarms = dict.fromkeys([*watch.alarms, *watch.composites.names()])
            async for page in store.pages(self._region):
                alarms |= {alarm.name: alarm for alarm in page}
        for looked_at, (name, alarm) in enumerate(alarms.items(), 1):
            if looked_at % TOGETHER == 0:
                await asyncio.sleep(0)
            old = watch.alarms.get(name)
            if alarm is None:
                watch.forget(name)
            elif alarm.rule:
                watch.composites.put(alarm)
                await asyncio.sleep(0)  # parsing its rule may have taken long
            elif old is None or old.alarm != alarm:
                watch.alarms[name] = _watched(alarm, now_ms)
        watch.seen = number

    def _is_quiet(self, one: Watched, metrics: Metrics) -> bool:
        return one.is_steady and not one.repeats and not any(window.has_news(metrics) for window in one.windows)

    async def _evaluate(self, watch: Watch, due: Sequence[Watched], now_ms: int) -> None:
        metrics = self._region.state(Metrics)
        for start in range(0, len(due), TOGETHER):
            together = due[start : start + TOGETHER]
            await self._load(together, metrics, now_ms)
            await self._follow(together, metrics)
            await asyncio.sleep(0)
        changed, repeated = [], []
        looked_at = 0
        for one in due:
            if looked_at > TOGETHER_PERIODS:
                looked_at = 0
                await asyncio.sleep(0)
            until_ms = one.evaluated_ms = _floor(now_ms, one.interval_ms)
            news = [window.take(metrics) for window in one.windows]
            if one.is_steady and not one.repeats and not any(news):
                continue
            verdict = one.verdict = judge(one, until_ms)
            looked_at += len(verdict.points)
            is_measured = one.alarm.metrics or any(window.is_measured for window in one.windows)
            one.is_steady = not is_measured and len({point and point.value for point in verdict.points}) == 1
            if verdict.decision.state not in (None, one.alarm.state.value):
                changed.append(one)
            elif one.repeats and now_ms >= one.acted_ms + one.alarm.period_s * 1000:
                repeated.append(one)
        for start in range(0, len(changed), CHANGED_TOGETHER):
            group = changed[start : start + CHANGED_TOGETHER]
            watch.seen, alarms = await self._region.transact(partial(_change_states, group, now_ms, watch.seen))
            for one, alarm in zip(group, alarms, strict=True):
                one.alarm = alarm
            await asyncio.sleep(0)
        if changed:
            await self._compose(watch, now_ms)
            await self._act(watch)
        for one in repeated:
            one.acted_ms = now_ms
            assert one.verdict is not None
            event = Event(one.alarm, one.alarm, now_ms, one.verdict.data(now_ms), repeats=True)
            await self._actions.repeat(event)

    async def _compose(self, watch: Watch, now_ms: int) -> None:
        """Evaluate composite alarms. Those that change are read again in the next round."""
        if watch.composites:
            await watch.composites.evaluate(self._region, watch.metric_alarm, now_ms)

    async def _load(self, due: Sequence[Watched], metrics: Metrics, now_ms: int) -> None:
        """Read the datapoints of alarms that are new, or whose batches were moved before they were seen."""
        behind = [(one, window) for one in due for window in one.windows if window.is_behind(metrics)]
        wanted = [
            Wanted(
                window.wanted.metric,
                inputs.times(one.alarm, _floor(now_ms, one.interval_ms))[-1],
                now_ms + DAY_MS,
                window.wanted.unit,
            )
            for one, window in behind
        ]
        while wanted:
            number = metrics.numbers[1]
            found = await metrics.points(wanted, lambda _, points: [point for _, point in points])
            if metrics.numbers[1] == number:  # otherwise it is not known which batches they include
                for (one, window), points in zip(behind, found, strict=True):
                    window.load(points, number)
                    one.is_steady = False
                return

    async def _follow(self, due: Sequence[Watched], metrics: Metrics) -> None:
        """Derive the datapoints that follow from table definitions again, if a table has changed."""
        outdated = [(one, window) for one in due for window in one.windows if window.is_outdated(metrics)]
        if outdated:
            found = await lines(self._region, [window.wanted.metric for _, window in outdated])
            for (one, window), line in zip(outdated, found, strict=True):
                window.follow(line, metrics)
                one.is_steady = False

    async def _act(self, watch: Watch) -> None:
        """Run the actions of all stored events. If one fails, all are read again in the next round."""
        seen, watch.seen = watch.seen, -1
        while first := await self._region.read(partial(store.events, most=ACTED_TOGETHER)):
            for stored in first:
                event = Event(stored.new, stored.old, stored.new.state.updated_ms, stored.data)
                messages = await self._actions.run(event)
                await self._region.transact(partial(_acted, stored, messages))
                watched = watch.alarms.get(event.alarm.name)
                if watched is not None:
                    watched.acted_ms = event.now_ms
            await asyncio.sleep(0)
        watch.seen = seen


def _acted(event: store.StoredEvent, messages: Sequence[Message], tx: Transaction) -> None:
    store.forget_event(tx, event)
    for message in messages:
        store.add_delivery(tx, event.new, *message)


def _watched(alarm: Alarm, now_ms: int) -> Watched:
    read = inputs.inputs(alarm)
    windows = tuple([MetricWindow(one, alarm.period_s * 1000, alarm.interval_ms) for one in read])
    watched = Watched(alarm, read, 0, now_ms, windows)
    watched.evaluated_ms = _floor(now_ms, watched.interval_ms)
    return watched


def _floor(time_ms: int, interval_ms: int) -> int:
    return time_ms - time_ms % interval_ms


def _change_states(changed: Sequence[Watched], now_ms: int, seen: int, tx: Transaction) -> tuple[int, list[Alarm]]:
    """Store the new states of alarms, except of those that have changed meanwhile. Returns the number of changes that
    the watch then knows, and the alarms. If an alarm has changed, that number stays `seen`, so the watch reads the
    change."""
    is_current = store.changes(tx) == seen
    alarms = []
    for one in changed:
        alarm, verdict = one.alarm, one.verdict
        assert verdict is not None and verdict.decision.state is not None
        if store.find(tx, alarm.name) == alarm:
            data = verdict.data(now_ms)
            new = alarm.in_state(verdict.decision.state, verdict.reason, orjson.dumps(data).decode(), now_ms)
            store.change_state(tx, alarm, new, data, now_ms)
            alarm = new
        alarms.append(alarm)
    return store.changes(tx) if is_current else seen, alarms
