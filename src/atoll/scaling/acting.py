"""Change capacity for alarms, schedules and new bounds, through the same UpdateTable as users.

`update` is that operation. If it refuses because the table is being changed, it is tried again later; any other refusal
becomes a failed activity. A change that takes a while is followed until the table is ACTIVE; meanwhile its target does
nothing else. A process makes one change at a time, so that two alarms of one table do not undo each other's units.

An alarm in breach calls `act` each minute. The policy uses the present capacity each time, so a user's change of units
is corrected like its own. AlarmLow never raises units, and AlarmHigh never lowers them.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from atoll.alarms import store as alarm_store
from atoll.alarms.actions import Event
from atoll.alarms.alarm import ALARM
from atoll.database.group import MULTI_MASTER
from atoll.database.region import Region
from atoll.database.schema import Index, Table
from atoll.errors import ApiError
from atoll.scaling import activities, decision, policies, runs, store, targets, tracking
from atoll.scaling.decision import Decision
from atoll.scaling.store import CLAMP, FOLLOW, RUN, Work
from atoll.scaling.targets import Activity, Id, Policy, Running, ScalableTarget
from atoll.storage.engine import Snapshot, Transaction

Update = Callable[[Region, dict[str, Any]], Awaitable[Any]]
"""The operation UpdateTable."""

AGAIN_MS = 5_000
"""The interval of retries while the table is being changed, and of checks whether a change has ended."""

BUSY = frozenset({"ResourceInUseException", "ThrottlingException", "InternalServerError"})
"""The codes of transient refusals."""


@dataclass(frozen=True)
class _View:
    """The state that a decision is based on."""

    target: ScalableTarget
    table: Table
    units: int


class Scaling:
    """Auto scaling of one region."""

    def __init__(self, region: Region, update: Update) -> None:
        self._region = region
        self._update = update
        self._changing = asyncio.Lock()

    async def settle(self, now_ms: int) -> int | None:
        """Do the due work; returns when more is due."""
        while True:
            work = await self._region.read(store.work)
            if work is None or work.due_ms > now_ms:
                return None if work is None else work.due_ms
            if work.what == RUN:
                await self._region.transact(partial(runs.run, self._region, work, now_ms))
            else:
                await (self._follow(work) if work.what == FOLLOW else self.clamp(work.id))
                # Deleted only now: if the store fails before, the work is done again.
                await self._region.transact(partial(store.forget, done=work))

    # Alarms

    async def act(self, event: Event, arn: str) -> None:
        """Run the action of an alarm, given the ARN of a policy."""
        region, now_ms = self._region, event.now_ms
        async with self._changing:
            policy = await region.read(partial(policies.by_arn, region, arn))
            if policy is None or event.alarm.state.value != ALARM:
                return
            view = await region.read(partial(self._view, policy.id))
            kind = next((kind for kind, name in policy.alarms.items() if name == event.alarm.name), None)
            if view is None or kind is None or view.target.running is not None:
                return
            if kind in (tracking.PROVISIONED_HIGH, tracking.PROVISIONED_LOW):
                await region.transact(partial(policies.adjust_alarms, region, view.target.id, view.units, now_ms))
                return
            data = event.data or event.alarm.state.data
            decided = await region.read(partial(_decide, policy, kind, view, data, now_ms))
            cause = activities.alarm_triggered(event.alarm.name, ALARM, policy.name)
            if decided.units is not None:
                before = _base(view, policy, now_ms) if decided.units > view.units else view.units
                await self._change(view, decided.units, cause, policy.number, now_ms, before)
            elif decided.reason is not None:
                reason = activities.reason(decided.reason, view.target.bounds, view.units)
                await region.transact(partial(_not_scaled, view.target.id, cause, reason, now_ms))

    def _view(self, id_: Id, snapshot: Snapshot) -> _View | None:
        """The state for a decision; None without a target or a table or index, or if it is on-demand."""
        target = store.target(snapshot, id_)
        table = policies.find_table(self._region, snapshot, id_.table_name)
        units = None if table is None else targets.units(table, id_)
        return None if target is None or table is None or units is None else _View(target, table, units)

    # Bounds

    async def clamp(self, id_: Id) -> None:
        """Bring the capacity within the bounds of its target, whether it has policies or not."""
        async with self._changing:
            view = await self._region.read(partial(self._view, id_))
            if view is None:
                return
            units, now_ms = view.target.bounds.clamped(view.units), self._region.clock.now_ms()
            if units == view.units:
                return
            cause = activities.minimum_set(units) if units > view.units else activities.maximum_set(units)
            if view.target.running is not None or not await self._change(view, units, cause, "", now_ms, view.units):
                await self._again(CLAMP, id_, view.table)

    # Changes

    async def _change(self, view: _View, units: int, cause: str, policy: str, now_ms: int, before: int) -> bool:
        """Change the units. Returns False if the change must be tried again."""
        id_ = view.target.id
        try:
            await self._update(self._region, _request(view.table, id_, units))
        except ApiError as error:
            if error.code in BUSY:
                return False
            message = activities.failed(id_, units, error)
            await self._region.transact(partial(_failed, id_, units, cause, message, now_ms))
            return True
        running = Running(("", ""), before, units, policy)
        await self._region.transact(partial(self._begin, id_, running, cause, now_ms))
        return True

    def _begin(self, id_: Id, running: Running, cause: str, now_ms: int, tx: Transaction) -> None:
        """Record a change that the table has accepted."""
        target, units = store.target(tx, id_), running.units
        if target is None:
            return
        description, message = activities.setting(id_, units), activities.waiting(id_, units)
        begun = Activity(
            str(uuid.uuid4()), *id_, description, cause, now_ms, activities.IN_PROGRESS, message
        )  # fmt: skip
        key = store.add_activity(tx, begun)
        self._look(tx, replace(target, running=replace(running, activity=key)))

    def _look(self, tx: Transaction, target: ScalableTarget) -> None:
        """End the target's running change if its table is ACTIVE; otherwise check again later."""
        running, now_ms = target.running, self._region.clock.now_ms()
        table = policies.find_table(self._region, tx, target.id.table_name)
        assert running is not None
        busy_ms = max((change.due_ms for change in table.under_way(now_ms)), default=0) if table is not None else 0
        if busy_ms:
            store.save_target(tx, target)
            store.schedule(tx, busy_ms, FOLLOW, target.id)
            return
        units = None if table is None else targets.units(table, target.id)
        begun = store.activity(tx, running.activity)
        if begun is not None:
            status, message = activities.ended(target.id, running.units, units)
            store.save_activity(tx, running.activity, replace(begun, status=status, message=message, end_ms=now_ms))
        store.save_target(tx, target.ended(now_ms))
        if units is not None:
            policies.adjust_alarms(self._region, target.id, units, now_ms, tx)

    async def _follow(self, work: Work) -> None:
        def look(tx: Transaction) -> None:
            target = store.target(tx, work.id)
            if target is not None and target.running is not None:
                self._look(tx, target)

        async with self._changing:
            await self._region.transact(look)

    async def _again(self, what: str, id_: Id, table: Table) -> None:
        now_ms = self._region.clock.now_ms()
        due_ms = _busy_until(table, now_ms) or now_ms + AGAIN_MS
        await self._region.transact(lambda tx: store.schedule(tx, due_ms, what, id_))
        self._region.wake()


def _busy_until(table: Table, now_ms: int) -> int:
    """When the running changes of a table end; 0 if there are none."""
    dues = [change.due_ms for change in table.under_way(now_ms)]
    parts: list[Table | Index] = [table, *table.indexes]
    dues += [part.due_ms for part in parts if part.status_at(now_ms) in ("CREATING", "UPDATING")]
    return max((due_ms if due_ms > now_ms else now_ms + AGAIN_MS for due_ms in dues), default=0)


def _request(table: Table, id_: Id, units: int) -> dict[str, Any]:
    """The request that gives a table or index these units."""
    part = targets.part(table, id_)
    assert part is not None and part.throughput is not None
    if id_.kind == targets.READ and table.group is not None and table.group.kind == MULTI_MASTER:
        return _override(table, table.group.own, id_, units)
    read, write = part.throughput.read, part.throughput.write
    read, write = (units, write) if id_.kind == targets.READ else (read, units)
    throughput = {"ReadCapacityUnits": read, "WriteCapacityUnits": write}
    if id_.index_name is None:
        return {"TableName": table.name, "ProvisionedThroughput": throughput}
    update = {"IndexName": id_.index_name, "ProvisionedThroughput": throughput}
    return {"TableName": table.name, "GlobalSecondaryIndexUpdates": [{"Update": update}]}


def _override(table: Table, region: str, id_: Id, units: int) -> dict[str, Any]:
    """The request that scales only this replica's reads."""
    override: dict[str, Any] = {"ProvisionedThroughputOverride": {"ReadCapacityUnits": units}}
    if id_.index_name is not None:
        override = {"GlobalSecondaryIndexes": [{"IndexName": id_.index_name, **override}]}
    return {"TableName": table.name, "ReplicaUpdates": [{"Update": {"RegionName": region, **override}}]}


# Decisions


def _decide(policy: Policy, kind: str, view: _View, data: Any, now_ms: int, snapshot: Snapshot) -> Decision:
    target = view.target
    if kind == tracking.HIGH:
        return _decide_rise(policy, view, data, now_ms)
    if target.suspended.falls or not policy.scales_in:
        return decision.NOTHING
    wishes: list[int | None] = []
    units = _base(view, policy, now_ms)
    for other in store.policies(snapshot, *target.id):
        if other.name == policy.name:
            wishes.append(tracking.wanted(policy, data, units))
        elif other.scales_in:
            wishes.append(_fall_wanted(snapshot, other, units))
    cooldown_ms = policy.cooldown_ms("ScaleInCooldown")
    return decision.fall(
        target.bounds, view.units, wishes, last=target.last_fall, cooldown_ms=cooldown_ms, now_ms=now_ms
    )


def _base(view: _View, policy: Policy, now_ms: int) -> int:
    """The units at which an alarm's datapoints were measured: without units added since a scale-out cooldown began, and
    without another alarm's change at the same time."""
    rise, fall = view.target.last_rise, view.target.last_fall
    cooldown_ms = policy.cooldown_ms("ScaleOutCooldown")
    if rise is not None and rise.policy == policy.number and now_ms < rise.ended_ms + cooldown_ms:
        return rise.before
    last = max((one for one in (rise, fall) if one is not None), key=lambda one: one.ended_ms, default=None)
    return last.before if last is not None and last.ended_ms >= now_ms else view.units


def _decide_rise(policy: Policy, view: _View, data: Any, now_ms: int) -> Decision:
    target = view.target
    if target.suspended.rises:
        return decision.NOTHING
    units = _base(view, policy, now_ms)
    wish = tracking.wanted(policy, data, units)
    if wish is None:
        return decision.NOTHING
    return decision.rise(
        target.bounds,
        view.units,
        wish,
        last=target.last_rise,
        policy=policy.number,
        cooldown_ms=policy.cooldown_ms("ScaleOutCooldown"),
        now_ms=now_ms,
    )


def _fall_wanted(snapshot: Snapshot, policy: Policy, units: int) -> int | None:
    """The units that another policy wants by its AlarmLow; None if that is not in breach."""
    name = policy.alarms.get(tracking.LOW)
    alarm = None if name is None else alarm_store.find(snapshot, name)
    if alarm is None or alarm.state.value != ALARM:
        return None
    return tracking.wanted(policy, alarm.state.data, units)


# Activities


def _failed(id_: Id, units: int, cause: str, message: str, now_ms: int, tx: Transaction) -> None:
    description = activities.setting(id_, units)
    new = Activity(
        str(uuid.uuid4()), *id_, description, cause, now_ms, activities.FAILED, message, end_ms=now_ms
    )  # fmt: skip
    _add_or_repeat(tx, new)


def _not_scaled(id_: Id, cause: str, reason: dict[str, Any], now_ms: int, tx: Transaction) -> None:
    _add_or_repeat(
        tx,
        Activity(
            str(uuid.uuid4()), *id_, activities.NOT_SCALED, cause, now_ms, activities.FAILED,
            end_ms=now_ms, reasons=(reason,),
        ),
    )  # fmt: skip


def _add_or_repeat(tx: Transaction, new: Activity) -> None:
    """Store an activity. Alarms repeat each minute: an equal result only moves the end of the last activity."""
    latest = store.latest(tx, new.id)
    if latest is not None and _is_repeat(latest[1], new):
        store.save_activity(tx, latest[0], replace(latest[1], end_ms=new.end_ms))
    else:
        store.add_activity(tx, new)


def _is_repeat(last: Activity, new: Activity) -> bool:
    return (last.description, last.cause, last.status, last.reasons) == (
        new.description,
        new.cause,
        new.status,
        new.reasons,
    )
