"""The stored documents of alarms: the alarms, their tags, their history, and the events whose actions have yet to run.

    alarm          name           -> the alarm (`alarm.document`)
    alarm-tags     name           -> its tags
    alarm-history  time number    -> an item of the history, of any alarm
    alarm-event    time number    -> a change of state whose actions have yet to run
    alarm-changes                 -> the number of changes of alarms so far, and the alarms that changed last
    alarm-items                   -> the number of items of the history so far
    alarm-delivery number         -> what an alarm sends to a function or a webhook, until it has arrived or failed
    alarm-deliveries              -> the number of deliveries so far
    alarm-count                   -> the number of alarms; without it, they are counted

A change of state stores its history and its event in the same transaction, so its actions begin even after a crash. The
process that evaluates alarms compares `alarm-changes` with the number that it has seen: an API call may have run
elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import orjson

from atoll import limits
from atoll.alarms import alarm as alarms
from atoll.alarms import suppression
from atoll.alarms.alarm import Alarm
from atoll.database import documents
from atoll.database import format as fmt
from atoll.database.region import Region
from atoll.storage.engine import Snapshot, Transaction

ALARM, TAGS, HISTORY, EVENT = "alarm", "alarm-tags", "alarm-history", "alarm-event"
CHANGES, ITEMS, COUNT = "alarm-changes", "alarm-items", "alarm-count"
DELIVERY, DELIVERIES = "alarm-delivery", "alarm-deliveries"

CONFIGURATION_UPDATE, STATE_UPDATE, ACTION = "ConfigurationUpdate", "StateUpdate", "Action"

NAMED = 64
"""The number of latest changes whose alarms `alarm-changes` names."""

PAGE = 200
"""The alarms that one read takes."""

LATEST_MS = 10**15 - 1

TRIMMED = 3
"""The most expired history items that each new item deletes."""


class StoredEvent(NamedTuple):
    key: tuple[str, str]
    old: Alarm
    new: Alarm
    data: Mapping[str, Any]


class StoredDelivery(NamedTuple):
    number: int
    alarm: Alarm
    arn: str
    body: Mapping[str, Any]


def changes(snapshot: Snapshot) -> int:
    found = documents.get(snapshot, CHANGES)
    return 0 if found is None else int(found[0])


def changed_since(snapshot: Snapshot, number: int) -> tuple[int, dict[str, Alarm | None] | None]:
    """The number of changes so far, and the alarms changed since that number was `number`, by name: None for a deleted
    alarm. Instead of the alarms None, if too many have changed: the caller reads all."""
    now, names = documents.get(snapshot, CHANGES) or (0, [])
    if not 0 <= number <= now or now - number > len(names):
        return now, None
    return now, {name: find(snapshot, name) for name in names[len(names) - (now - number) :]}


def _change(tx: Transaction, name: str) -> None:
    number, names = documents.get(tx, CHANGES) or (0, [])
    documents.put(tx, [number + 1, [*names, name][-NAMED:]], CHANGES)


def _count(tx: Transaction, kind: str) -> int:
    number = int(documents.get(tx, kind) or 0) + 1
    documents.put(tx, number, kind)
    return number


def find(snapshot: Snapshot, name: str) -> Alarm | None:
    stored = documents.get(snapshot, ALARM, name)
    return None if stored is None else alarms.parse(stored)


def listed(snapshot: Snapshot, prefix: str = "", after: str | None = None) -> Iterator[Alarm]:
    """The alarms whose names have this prefix, in the order of names; if `after` is given, only those after that
    name."""
    start, end = fmt.documents_of(ALARM)
    if prefix:
        start = max(start, fmt.documents_from(ALARM, prefix))
    if after is not None:
        start = max(start, fmt.documents_of(ALARM, after)[1])
    for _, stored in snapshot.scan(start, end):
        alarm = alarms.parse(orjson.loads(stored))
        if not alarm.name.startswith(prefix):
            return
        yield alarm


def page(snapshot: Snapshot, after: str | None, prefix: str = "", most: int = PAGE) -> list[Alarm]:
    """The first `most` alarms that `listed` yields."""
    return list(islice(listed(snapshot, prefix, after), most))


async def pages(region: Region, prefix: str = "", after: str | None = None) -> AsyncIterator[list[Alarm]]:
    """All alarms that `listed` yields, in pages; other requests run between two pages."""
    while True:
        found = await region.read(partial(page, after=after, prefix=prefix))
        yield found
        if len(found) < PAGE:
            return
        after = found[-1].name
        await asyncio.sleep(0)


def count(snapshot: Snapshot) -> int:
    stored = documents.get(snapshot, COUNT)
    return sum(1 for _ in snapshot.scan(*fmt.documents_of(ALARM))) if stored is None else int(stored)


def put(tx: Transaction, configuration: Mapping[str, Any], now_ms: int) -> Alarm:
    """Create an alarm, or replace the configuration of an existing one, which keeps its state. The members are those of
    PutMetricAlarm, already checked."""
    old = find(tx, configuration["AlarmName"])
    if old is None:
        new = alarms.created(configuration, now_ms)
        documents.put(tx, count(tx) + 1, COUNT)
    else:
        new = replace(old, configuration=configuration, configured_ms=now_ms)
    _save(tx, new)
    _record_configuration(tx, new, "Create" if old is None else "Update", now_ms)
    return new


def delete(tx: Transaction, names: Sequence[str], now_ms: int) -> None:
    """Delete alarms; unknown names are ignored."""
    for name in names:
        old = find(tx, name)
        if old is not None:
            documents.put(tx, count(tx) - 1, COUNT)
            documents.delete(tx, ALARM, name)
            _change(tx, name)
            documents.delete(tx, TAGS, name)
            _record_configuration(tx, old, "Delete", now_ms)


def enable_actions(tx: Transaction, names: Sequence[str], enabled: bool, now_ms: int) -> None:
    for name in names:
        old = find(tx, name)
        if old is not None and old.configuration["ActionsEnabled"] != enabled:
            new = replace(old, configuration={**old.configuration, "ActionsEnabled": enabled}, configured_ms=now_ms)
            _save(tx, new)
            _record_configuration(tx, new, "Update", now_ms)


def change_state(tx: Transaction, old: Alarm, new: Alarm, data: Mapping[str, Any], now_ms: int) -> Alarm:
    """Store the alarm's new state; returns what is stored. If its value differs from the old one, also store an item of
    the history and, unless a suppressor holds its actions back, the event."""
    if new.state.value == old.state.value:
        _save(tx, new)
        return new
    if new.suppressor is not None:
        suppressor = find(tx, new.suppressor)
        new = suppression.entered(old, new, None if suppressor is None else suppressor.state.value, now_ms)
    _save(tx, new)
    histories = [
        {"version": "1.0", "oldState": _shown(old, whole=old_whole), "newState": _shown(new, whole=new_whole)}
        for old_whole, new_whole in ((True, True), (False, True), (False, False))
    ]
    summary = f"Alarm updated from {old.state.value} to {new.state.value}"
    number = record(tx, new, STATE_UPDATE, summary, *histories, now_ms=now_ms)
    if new.suppression is None:
        _add_event(tx, old, new, data, now_ms, number)
    return new


def change_suppression(tx: Transaction, old: Alarm, new: Alarm, now_ms: int) -> None:
    """Store the alarm; at the end of its suppression also the event that was held back."""
    _save(tx, new)
    before = None if old.suppression is None or new.suppression is not None else old.suppression.before
    if before is not None and before.value != new.state.value:
        _add_event(tx, replace(new, state=before), new, {}, now_ms, _count(tx, ITEMS))


def _add_event(tx: Transaction, old: Alarm, new: Alarm, data: Mapping[str, Any], now_ms: int, number: int) -> None:
    if new.actions(new.state.value):
        event = {"old": alarms.document(old), "new": alarms.document(new), "data": dict(data)}
        documents.put(tx, event, EVENT, *_at(now_ms, number))


def events(snapshot: Snapshot, most: int) -> list[StoredEvent]:
    """The first changes of state whose actions have yet to run, in their order."""
    found = []
    start, end = fmt.documents_of(EVENT)
    for key, stored in islice(snapshot.scan(start, end), most):
        _, time, number = fmt.parse_document_key(key)
        event = orjson.loads(stored)
        found.append(StoredEvent((time, number), alarms.parse(event["old"]), alarms.parse(event["new"]), event["data"]))
    return found


def forget_event(tx: Transaction, event: StoredEvent) -> None:
    documents.delete(tx, EVENT, *event.key)


def add_delivery(tx: Transaction, alarm: Alarm, arn: str, body: Mapping[str, Any]) -> None:
    stored = {"alarm": alarms.document(alarm), "arn": arn, "body": dict(body)}
    documents.put(tx, stored, DELIVERY, _number(_count(tx, DELIVERIES)))


def deliveries(snapshot: Snapshot, after: int, most: int) -> list[StoredDelivery]:
    """The deliveries with numbers above `after`, in order."""
    _, start = fmt.documents_of(DELIVERY, _number(after))
    _, end = fmt.documents_of(DELIVERY)
    found = []
    for key, stored in islice(snapshot.scan(start, end), most):
        one = orjson.loads(stored)
        number = int(fmt.parse_document_key(key)[1])
        found.append(StoredDelivery(number, alarms.parse(one["alarm"]), one["arn"], one["body"]))
    return found


def is_delivered(snapshot: Snapshot, number: int) -> bool:
    return documents.get(snapshot, DELIVERY, _number(number)) is None


def forget_delivery(tx: Transaction, number: int) -> None:
    documents.delete(tx, DELIVERY, _number(number))


def record(tx: Transaction, alarm: Alarm, kind: str, summary: str, *data: Mapping[str, Any], now_ms: int) -> int:
    """Add an item to the history; returns its number. The item gets the first of `data` that is not too long."""
    number = _count(tx, ITEMS)
    texts = [orjson.dumps(one).decode() for one in data]
    text = next((one for one in texts if len(one) <= limits.ALARM_HISTORY_DATA_CHARS), '{"version":"1.0"}')
    item = [alarm.name, now_ms, kind, summary[: limits.ALARM_SUMMARY_CHARS], text, alarm.type]
    documents.put(tx, item, HISTORY, *_at(now_ms, number))
    oldest, _ = fmt.documents_of(HISTORY, _time(0))
    end, _ = fmt.documents_of(HISTORY, _time(now_ms - limits.ALARM_HISTORY_MS))
    for key, _ in list(tx.scan(oldest, end, limit=TRIMMED)):
        tx.delete(key)
    return number


def history(
    snapshot: Snapshot, from_ms: int, until_ms: int, *, reverse: bool, after: tuple[str, str] | None
) -> Iterator[tuple[tuple[str, str], list[Any]]]:
    """The items with from <= time < until, each with its key: (alarm, time, kind, summary, data, type of the alarm). If
    `after` is given, only those after that key."""
    start, _ = fmt.documents_of(HISTORY, _time(max(from_ms, 0)))
    end, _ = fmt.documents_of(HISTORY, _time(min(until_ms, LATEST_MS)))
    if after is not None:
        first, last = fmt.documents_of(HISTORY, *after)
        start, end = (start, min(end, first)) if reverse else (max(start, last), end)
    for key, stored in snapshot.scan(start, end, reverse=reverse) if start < end else ():
        _, time, number = fmt.parse_document_key(key)
        yield (time, number), [*orjson.loads(stored), alarms.METRIC][:6]  # old items have no type


def _time(ms: int) -> str:
    return f"{ms:015}"


def _at(ms: int, number: int) -> tuple[str, str]:
    return _time(ms), _number(number)


def _number(number: int) -> str:
    return f"{number:012}"


def tags(snapshot: Snapshot, name: str) -> dict[str, str]:
    return documents.get(snapshot, TAGS, name) or {}


def put_tags(tx: Transaction, name: str, new: Mapping[str, str]) -> None:
    if new:
        documents.put(tx, dict(new), TAGS, name)
    else:
        documents.delete(tx, TAGS, name)


def _save(tx: Transaction, alarm: Alarm) -> None:
    documents.put(tx, alarms.document(alarm), ALARM, alarm.name)
    _change(tx, alarm.name)


def _record_configuration(tx: Transaction, alarm: Alarm, kind: str, now_ms: int) -> None:
    member = {"Create": "createdAlarm", "Update": "updatedAlarm", "Delete": "deletedAlarm"}[kind]
    data = {"version": "1.0", "type": kind, member: dict(alarm.configuration)}
    record(tx, alarm, CONFIGURATION_UPDATE, f'Alarm "{alarm.name}" {_DONE[kind]}', data, now_ms=now_ms)


_DONE = {"Create": "created", "Update": "updated", "Delete": "deleted"}


def _shown(alarm: Alarm, *, whole: bool) -> dict[str, Any]:
    state = alarm.state
    shown: dict[str, Any] = {"stateValue": state.value, "stateReason": state.reason}
    if state.data and whole:
        shown["stateReasonData"] = orjson.loads(state.data)
    return shown
