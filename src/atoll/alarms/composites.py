"""Evaluate the composite alarms of a region, whose states follow from a rule over the states of other alarms.

A composite alarm is evaluated when it is new, when its configuration has changed, and when an alarm that its rule names
has changed its state. Alarms that other rules name come first, so each is evaluated once. Rules may name each other in
a circle: such alarms are evaluated again in the next round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson

from atoll.alarms import rules, store, suppression
from atoll.alarms.alarm import ALARM, INITIAL, OK, Alarm, name_of
from atoll.alarms.reasons import instant
from atoll.database.region import Region
from atoll.storage.engine import Transaction

TOGETHER = 500
"""After this many alarms named by rules, the evaluation lets other tasks run."""


@dataclass
class Composite:
    """A composite alarm and the alarms that its last evaluation has seen."""

    alarm: Alarm
    rule: rules.Rule
    children: tuple[str, ...]
    """The names of the alarms that its rule names."""
    seen: tuple[str | None, ...] | None = None
    """The states of `children` at the last evaluation; None for an alarm that does not exist."""


def composite(alarm: Alarm) -> Composite:
    rule = rules.parse(alarm.rule)
    return Composite(alarm, rule, tuple(map(name_of, rule.alarms)))


class Composites:
    """The composite alarms of a region, by name, kept by the process that evaluates its alarms."""

    def __init__(self) -> None:
        self._known: dict[str, Composite] = {}

    def __bool__(self) -> bool:
        return bool(self._known)

    def put(self, alarm: Alarm) -> None:
        old, new = self._known.get(alarm.name), composite(alarm)
        is_same = old is not None and old.alarm.configured_ms == alarm.configured_ms
        if old is not None and is_same and old.rule == new.rule and alarm.state.reason != INITIAL:
            new.seen = old.seen
        self._known[alarm.name] = new

    def drop(self, name: str) -> None:
        self._known.pop(name, None)

    def names(self) -> list[str]:
        return list(self._known)

    async def evaluate(self, region: Region, metric_alarm: Callable[[str], Alarm | None], now_ms: int) -> None:
        """Store the states that have changed."""
        looked_at = 0
        for one in self._in_order():
            looked_at += len(one.children)
            if looked_at > TOGETHER:
                looked_at = 0
                await asyncio.sleep(0)
            found = [known.alarm if (known := self._known.get(name)) else metric_alarm(name) for name in one.children]
            before, one.seen = one.seen, tuple([None if child is None else child.state.value for child in found])
            if one.seen == before:
                continue
            changed = [
                child
                for child, old, new in zip(found, before or one.seen, one.seen, strict=True)
                if child is not None and old != new
            ]
            states = dict(zip(one.rule.alarms, one.seen, strict=True))
            value = ALARM if one.rule.holds(states) else OK
            if value != one.alarm.state.value:
                one.alarm = await region.transact(partial(_change, one.alarm, value, changed, region, now_ms))
        for one in self._known.values():
            name = one.alarm.suppressor
            if name is None and one.alarm.suppression is None:
                continue
            by = None if name is None else (known.alarm if (known := self._known.get(name)) else metric_alarm(name))
            new = suppression.followed(one.alarm, None if by is None else by.state.value, now_ms)
            if new != one.alarm:
                one.alarm = await region.transact(partial(_follow, one.alarm, new, now_ms))

    @property
    def wake_ms(self) -> int | None:
        """When the next period of a suppressor ends."""
        ends = [one.alarm.suppression.until_ms for one in self._known.values() if one.alarm.suppression is not None]
        return min((end_ms for end_ms in ends if end_ms is not None), default=None)

    def _in_order(self) -> Iterator[Composite]:
        """All composite alarms; an alarm that a rule names comes before the alarm with the rule."""
        begun: set[str] = set()
        for first in self._known.values():
            path = [(first, iter(first.children))] if first.alarm.name not in begun else []
            begun.add(first.alarm.name)
            while path:
                child = next((name for name in path[-1][1] if name in self._known and name not in begun), None)
                if child is None:
                    yield path.pop()[0]
                else:
                    begun.add(child)
                    path.append((self._known[child], iter(self._known[child].children)))


def _change(old: Alarm, value: str, changed: list[Alarm], region: Region, now_ms: int, tx: Transaction) -> Alarm:
    """Store the state, unless the alarm has changed meanwhile: then it is evaluated again."""
    if store.find(tx, old.name) != old:
        return old
    data: dict[str, Any] = {"triggeringAlarms": [_triggering(child, region) for child in changed]}
    reason = _reason(old, value, changed, region)
    new = old.in_state(value, reason, orjson.dumps(data).decode() if changed else None, now_ms)
    return store.change_state(tx, old, new, data, now_ms)


def _follow(old: Alarm, new: Alarm, now_ms: int, tx: Transaction) -> Alarm:
    """Store whether the actions are suppressed, unless the alarm has changed meanwhile."""
    if store.find(tx, old.name) != old:
        return old
    store.change_suppression(tx, old, new, now_ms)
    return new


def _reason(alarm: Alarm, value: str, changed: list[Alarm], region: Region) -> str:
    if changed:
        child = changed[0]
        at = datetime.fromtimestamp(child.state.transitioned_ms / 1000, UTC).strftime("%A %d %B, %Y %H:%M:%S UTC")
        return f"{region.arn(child.resource, 'cloudwatch')} transitioned to {child.state.value} at {at}"
    done = "created" if alarm.state.reason == INITIAL else "updated"
    return f"{region.arn(alarm.resource, 'cloudwatch')} was {done} and its alarm rule evaluates to {value}"


def _triggering(alarm: Alarm, region: Region) -> Mapping[str, Any]:
    state = {"value": alarm.state.value, "timestamp": instant(alarm.state.transitioned_ms)}
    return {"arn": region.arn(alarm.resource, "cloudwatch"), "state": state}
