"""Run scheduled actions: each run sets the bounds of its target; the capacity follows as after any change of bounds.

An action without a further run before its end is deleted. A run that was missed because schedules were suspended is
skipped.
"""

from __future__ import annotations

import uuid
from dataclasses import replace

from atoll.database.region import Region
from atoll.scaling import activities, schedules, store
from atoll.scaling.decision import Bounds
from atoll.scaling.store import CLAMP, Work
from atoll.scaling.targets import Activity, ScalableTarget, ScheduledAction
from atoll.storage.engine import Transaction


def next_run(action: ScheduledAction, after_ms: int) -> int | None:
    """The action's first run after a time. With a start time, the first run is at that time, and further runs follow
    the recurrence."""
    start_ms = action.start_ms
    schedule = schedules.parse(action.schedule, action.zone)
    if start_ms is not None and start_ms > after_ms and not isinstance(schedule, schedules.At):
        found: int | None = start_ms
    else:
        found = schedules.following(schedule, after_ms, action.created_ms if start_ms is None else start_ms)
    return None if found is None or (action.end_ms is not None and found > action.end_ms) else found


def run(region: Region, work: Work, now_ms: int, tx: Transaction) -> None:
    store.forget(tx, work)
    action, target = store.action(tx, work.id, work.name), store.target(tx, work.id)
    if action is None or action.due_ms != work.due_ms:
        return
    if target is not None and not target.suspended.schedules:
        _apply(tx, target, action, now_ms)
        store.schedule(tx, work.due_ms, CLAMP, work.id)
    due_ms = next_run(action, max(now_ms, work.due_ms))
    if due_ms is None:
        store.delete_action(tx, action)
    else:
        store.save_action(tx, replace(action, due_ms=due_ms), action)


def _apply(tx: Transaction, target: ScalableTarget, action: ScheduledAction, now_ms: int) -> None:
    least = target.least if action.least is None else action.least
    most = target.most if action.most is None else action.most
    told = activities.bounds_described(action.least, action.most)
    status, message, end_ms = activities.SUCCESSFUL, f"Successfully set {told}", None
    if Bounds(least, most).is_valid:
        store.save_target(tx, replace(target, least=least, most=most))
    else:
        status, end_ms = activities.FAILED, now_ms
        message = f"Failed to set {told}. Reason: {activities.BOUNDS_REVERSED}"
    store.add_activity(
        tx,
        Activity(
            str(uuid.uuid4()), *target.id, f"Setting {told}", activities.schedule_triggered(action.name), now_ms,
            status, message, end_ms,
        ),
    )  # fmt: skip
