"""PutScheduledAction, DeleteScheduledAction, DescribeScheduledActions."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from atoll import limits
from atoll.api.scaling import requests
from atoll.database.region import Region
from atoll.durations import instant
from atoll.errors import scaling as errors
from atoll.scaling import policies, runs, schedules, store
from atoll.scaling.targets import ScheduledAction
from atoll.storage.engine import Snapshot, Transaction

Body = dict[str, Any]


async def put_scheduled_action(region: Region, body: Body) -> Body:
    id_, name, now_ms = requests.target_id(body), body["ScheduledActionName"], region.clock.now_ms()
    number = str(uuid.uuid4())

    def put(tx: Transaction) -> None:
        requests.registered(tx, id_)
        old = store.action(tx, id_, name)
        new = _merged(old or ScheduledAction(*id_, name, number, now_ms, ""), body)
        _check(new, now_ms)
        if old is None and sum(1 for _ in store.actions(tx, *id_)) >= limits.SCHEDULED_ACTIONS:
            raise errors.too_many_actions(limits.SCHEDULED_ACTIONS)
        store.save_action(tx, replace(new, due_ms=runs.next_run(new, now_ms)), old)

    await region.transact(put)
    region.wake()
    return {}


def _merged(old: ScheduledAction, body: Body) -> ScheduledAction:
    """The action with the request's members. Start and end are removed if the request has none."""
    bounds = body.get("ScalableTargetAction")
    given = bounds or {}
    return replace(
        old,
        schedule=body.get("Schedule") or old.schedule,
        zone=body.get("Timezone") or old.zone,
        start_ms=_ms(body.get("StartTime")),
        end_ms=_ms(body.get("EndTime")),
        least=old.least if bounds is None else given.get("MinCapacity"),
        most=old.most if bounds is None else given.get("MaxCapacity"),
    )


def _ms(time: float | None) -> int | None:
    return None if time is None else round(instant(time) * 1000)


def _check(action: ScheduledAction, now_ms: int) -> None:
    if not action.schedule:
        raise errors.schedule_required()
    try:
        schedule = schedules.parse(action.schedule, action.zone)
    except schedules.Invalid:
        raise errors.schedule_invalid(action.schedule) from None
    except schedules.UnknownZone:
        raise errors.zone_unknown(action.zone or "") from None
    if action.least is None and action.most is None:
        raise errors.target_action_required()
    if action.least is not None and action.least < 1:
        raise errors.minimum_too_low()
    if action.most is not None and action.most < (action.least or 1):
        raise errors.bounds_reversed()
    if isinstance(schedule, schedules.At) and schedule.ms <= now_ms:
        raise errors.schedule_in_past()
    if action.end_ms is not None and action.end_ms <= now_ms:
        raise errors.end_in_past()
    if action.start_ms is not None and action.end_ms is not None and action.end_ms <= action.start_ms:
        raise errors.end_before_start()


async def delete_scheduled_action(region: Region, body: Body) -> Body:
    id_, name = requests.target_id(body), body["ScheduledActionName"]

    def delete(tx: Transaction) -> None:
        old = store.action(tx, id_, name)
        if old is None:
            raise errors.action_not_found(*id_, name)
        store.delete_action(tx, old)

    await region.transact(delete)
    return {}


async def describe_scheduled_actions(region: Region, body: Body) -> Body:
    wanted, after = requests.names(body), requests.after(body, 3)
    only = body.get("ScheduledActionNames")

    def read(snapshot: Snapshot) -> Body:
        limit = body.get("MaxResults") or limits.SCALING_PAGE
        found = iter(()) if wanted is None else _found(snapshot, wanted, only, after)
        return requests.page(
            "ScheduledActions", found, limit, lambda one: _described(region, one), lambda one: (*one.id, one.name)
        )

    return await region.read(read)


def _found(
    snapshot: Snapshot, names: tuple[str, ...], only: list[str] | None, after: tuple[str, ...] | None
) -> Iterator[ScheduledAction]:
    wanted = None if not only else frozenset(only)
    for action in store.actions(snapshot, *names):
        if (after is None or (*action.id, action.name) > after) and (wanted is None or action.name in wanted):
            yield action


def _described(region: Region, action: ScheduledAction) -> Body:
    bounds = {"MinCapacity": action.least, "MaxCapacity": action.most}
    described: Body = {
        "ScheduledActionName": action.name,
        "ScheduledActionARN": region.arn(action.arn_resource, policies.SERVICE),
        **store.members(action),
        "Schedule": action.schedule,
        "ScalableTargetAction": {member: units for member, units in bounds.items() if units is not None},
        "CreationTime": action.created_ms / 1000,
    }
    if action.zone is not None:
        described["Timezone"] = action.zone
    for member, time in (("StartTime", action.start_ms), ("EndTime", action.end_ms)):
        if time is not None:
            described[member] = time / 1000
    return described
