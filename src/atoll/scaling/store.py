"""The stored documents of auto scaling.

    scalable-target   resource dimension         -> Target
    target-number     number                     -> its resource and dimension, by the last part of its ARN
    scaling-policy    resource dimension name    -> Policy
    scheduled-action  resource dimension name    -> ScheduledAction
    scaling-activity  time number                -> Activity; the newest have the least time
    scaling-latest    resource dimension         -> the key of the target's newest activity
    scaling-due       time what resource dimension name    -> nothing: work that is due then, see `work`

Targets and activities are also counted, in numbers, so that checking their limits costs one read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from atoll import limits
from atoll.database import documents
from atoll.database import format as fmt
from atoll.database.records import build, plain
from atoll.scaling.targets import Activity, Id, Policy, ScalableTarget, ScheduledAction
from atoll.storage.engine import Snapshot, Transaction

TARGET, NUMBER, POLICY, ACTION = "scalable-target", "target-number", "scaling-policy", "scheduled-action"
ACTIVITY, LATEST, DUE, COUNT = "scaling-activity", "scaling-latest", "scaling-due", "scaling-count"

_LATEST_MS = 10**15 - 1

FOLLOW, CLAMP, RUN = "follow", "clamp", "run"
"""Kinds of work: check whether a change of capacity has ended; bring the capacity within the bounds; run an action."""

TRIMMED = 3
"""The most expired activities that each new one deletes."""


# Targets


def target(snapshot: Snapshot, id_: Id) -> ScalableTarget | None:
    found: ScalableTarget | None = build(ScalableTarget, documents.get(snapshot, TARGET, *id_))
    return found


def target_of(snapshot: Snapshot, number: str) -> ScalableTarget | None:
    found = documents.get(snapshot, NUMBER, number)
    return None if found is None else target(snapshot, Id(*found))


def targets(snapshot: Snapshot, *names: str, after: tuple[str, ...] | None = None) -> Iterator[ScalableTarget]:
    """Targets in the order of their ids; `names` are a resource, or empty."""
    for stored in documents.listed(snapshot, TARGET, *names, after=after):
        yield build(ScalableTarget, stored)


def save_target(tx: Transaction, new: ScalableTarget) -> None:
    documents.put(tx, plain(new), TARGET, *new.id)


def add_target(tx: Transaction, new: ScalableTarget) -> None:
    _count(tx, TARGET, 1)
    documents.put(tx, list(new.id), NUMBER, new.number)
    save_target(tx, new)


def delete_target(tx: Transaction, old: ScalableTarget) -> None:
    _count(tx, TARGET, -1)
    documents.delete(tx, NUMBER, old.number)
    documents.delete(tx, LATEST, *old.id)
    documents.delete(tx, TARGET, *old.id)


def count(snapshot: Snapshot, kind: str) -> int:
    return documents.get(snapshot, COUNT, kind) or 0


def _count(tx: Transaction, kind: str, amount: int) -> int:
    number = count(tx, kind) + amount
    documents.put(tx, number, COUNT, kind)
    return number


# Policies and scheduled actions


def policy(snapshot: Snapshot, id_: Id, name: str) -> Policy | None:
    found: Policy | None = build(Policy, documents.get(snapshot, POLICY, *id_, name))
    return found


def policies(snapshot: Snapshot, *names: str, after: tuple[str, ...] | None = None) -> Iterator[Policy]:
    for stored in documents.listed(snapshot, POLICY, *names, after=after):
        yield build(Policy, stored)


def save_policy(tx: Transaction, new: Policy) -> None:
    documents.put(tx, plain(new), POLICY, *new.id, new.name)


def delete_policy(tx: Transaction, old: Policy) -> None:
    documents.delete(tx, POLICY, *old.id, old.name)


def action(snapshot: Snapshot, id_: Id, name: str) -> ScheduledAction | None:
    found: ScheduledAction | None = build(ScheduledAction, documents.get(snapshot, ACTION, *id_, name))
    return found


def actions(snapshot: Snapshot, *names: str, after: tuple[str, ...] | None = None) -> Iterator[ScheduledAction]:
    for stored in documents.listed(snapshot, ACTION, *names, after=after):
        yield build(ScheduledAction, stored)


def save_action(tx: Transaction, new: ScheduledAction, old: ScheduledAction | None) -> None:
    """Store an action, and schedule its next run for its `due_ms`."""
    if old is not None:
        delete_action(tx, old)
    documents.put(tx, plain(new), ACTION, *new.id, new.name)
    if new.due_ms is not None:
        schedule(tx, new.due_ms, RUN, new.id, new.name)


def delete_action(tx: Transaction, old: ScheduledAction) -> None:
    documents.delete(tx, ACTION, *old.id, old.name)
    if old.due_ms is not None:
        documents.delete(tx, DUE, _time(old.due_ms), RUN, *old.id, old.name)


# Activities

Key = tuple[str, str]


def activity(snapshot: Snapshot, key: Key) -> Activity | None:
    found: Activity | None = build(Activity, documents.get(snapshot, ACTIVITY, *key))
    return found


def add_activity(tx: Transaction, new: Activity) -> Key:
    """Store an activity; returns its key. Deletes activities that are too old or too many."""
    number = _count(tx, ACTIVITY, 1)
    key = _newest_first(new.start_ms), f"{_LATEST_MS - count(tx, _SEQUENCE):015}"
    _count(tx, _SEQUENCE, 1)
    documents.put(tx, plain(new), ACTIVITY, *key)
    documents.put(tx, list(key), LATEST, *new.id)
    expired = _newest_first(new.start_ms - limits.SCALING_ACTIVITIES_MS)
    start, end = fmt.documents_of(ACTIVITY)
    deleted = 0
    for row, _ in list(tx.scan(start, end, reverse=True, limit=TRIMMED)):
        if number - deleted > limits.SCALING_ACTIVITIES or fmt.parse_document_key(row)[1] > expired:
            tx.delete(row)
            deleted += 1
    if deleted:
        _count(tx, ACTIVITY, -deleted)
    return key


_SEQUENCE = "activities-added"


def latest(snapshot: Snapshot, id_: Id) -> tuple[Key, Activity] | None:
    """The target's newest activity, with its key."""
    stored = documents.get(snapshot, LATEST, *id_)
    if stored is None:
        return None
    key = stored[0], stored[1]
    found = activity(snapshot, key)
    return None if found is None else (key, found)


def save_activity(tx: Transaction, key: Key, new: Activity) -> None:
    documents.put(tx, plain(new), ACTIVITY, *key)


def activities(snapshot: Snapshot, after: Key | None, limit: int) -> list[tuple[Key, Activity]]:
    """At most `limit` activities, the newest first; if `after` is given, only those after that key."""
    start, end = fmt.documents_of(ACTIVITY)
    if after is not None:
        _, start = fmt.documents_of(ACTIVITY, *after)
    found = []
    for row, stored in snapshot.scan(start, end, limit=limit):
        _, time, number = fmt.parse_document_key(row)
        found.append(((time, number), build(Activity, orjson.loads(stored))))
    return found


def _newest_first(ms: int) -> str:
    return _time(_LATEST_MS - ms)


def _time(ms: int) -> str:
    return f"{min(max(ms, 0), _LATEST_MS):015}"


# Work that is due


_DUE = fmt.documents_of(DUE)


class Work(NamedTuple):
    due_ms: int
    what: str
    id: Id
    name: str
    """The name of a scheduled action; empty for other work."""


def schedule(tx: Transaction, due_ms: int, what: str, id_: Id, name: str = "") -> None:
    documents.put(tx, None, DUE, _time(due_ms), what, *id_, name)


def work(snapshot: Snapshot) -> Work | None:
    """The work that is due first."""
    for row, _ in snapshot.scan(*_DUE, limit=1):
        _, time, what, resource, dimension, name = fmt.parse_document_key(row)
        return Work(int(time), what, Id(resource, dimension), name)
    return None


def forget(tx: Transaction, done: Work) -> None:
    documents.delete(tx, DUE, _time(done.due_ms), done.what, *done.id, done.name)


def members(record: ScalableTarget | Policy | ScheduledAction) -> dict[str, Any]:
    """The members that name a target in every answer."""
    return {"ServiceNamespace": "dynamodb", "ResourceId": record.resource, "ScalableDimension": record.dimension}
