"""The rules of UpdateTable as tables: changes that one request may combine, changes that may overlap, and the states
that descriptions show meanwhile.

A concern is one kind of change. `EXCLUSIONS` says which concerns exclude each other in one request, in the order in
which the service reports them; other combinations are accepted. `REFUSED_WHILE` says which concerns are refused
while another one is under way, and with which text; other overlaps are accepted. `SHOWN` and `UPDATING` say what
descriptions show meanwhile. Without `--control-plane-delay` nothing is ever under way, except the backfill of an index.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from atoll.database.schema import PROVISIONED, Change, Encryption, Index, Table, WarmThroughput
from atoll.database.vectors.definition import VectorIndex
from atoll.errors import ApiError
from atoll.errors import changes as change_errors

Body = dict[str, Any]

UNITS = "units"
MODE = "billing mode"
AGAIN = "again"
"""A billing mode or table class that the table already has: only the answer shows it."""
MAXIMA = "maxima"
WARM = "warm throughput"
STREAM = "stream"
CLASS = "table class"
ENCRYPTION = "encryption"
PROTECTION = "protection"
REPLICAS = "replicas"
REPLICATION = "settings replication"
CREATION = "creation of an index"
DELETION = "deletion of an index"
INDEX = "update of an index"
TAGS = "tags"

# In one request

MEMBERS: Mapping[str, str] = {
    "ProvisionedThroughput": UNITS,
    "BillingMode": MODE,
    "OnDemandThroughput": MAXIMA,
    "WarmThroughput": WARM,
    "StreamSpecification": STREAM,
    "TableClass": CLASS,
    "SSESpecification": ENCRYPTION,
    "DeletionProtectionEnabled": PROTECTION,
    "ReplicaUpdates": REPLICAS,
    "GlobalTableSettingsReplicationMode": REPLICATION,
}
"""The members of a request and their concerns. `ACTIONS` has those of the updates of indexes."""

ACTIONS: Mapping[str, str] = {"Create": CREATION, "Delete": DELETION, "Update": INDEX}

ANY = frozenset({*MEMBERS.values(), *ACTIONS.values()})


def _alone(subject: str) -> Callable[[], ApiError]:
    return partial(change_errors.only_operation, subject)


EXCLUSIONS: Sequence[tuple[frozenset[str], frozenset[str], Callable[[], ApiError]]] = (
    (frozenset({REPLICAS}), ANY, _alone("Replica modification")),
    (frozenset({ENCRYPTION}), ANY, _alone("Server-Side Encryption modification")),
    (frozenset({CLASS}), ANY, _alone("TableClass modification")),
    (frozenset({PROTECTION}), ANY, _alone("DeletionProtection modification")),
    (
        frozenset({MAXIMA}),
        frozenset({UNITS, STREAM, CREATION, DELETION, INDEX, WARM}),
        change_errors.maxima_with_others,
    ),
    (frozenset({WARM}), ANY, _alone("WarmThroughput")),
    (frozenset({STREAM}), frozenset({UNITS}), change_errors.stream_with_units),
    (frozenset({CREATION, DELETION}), frozenset({UNITS}), change_errors.index_with_units),
    (frozenset({CREATION, DELETION}), frozenset({STREAM}), change_errors.index_with_stream),
)
"""Pairs of sets of concerns that exclude each other in one request, with the error."""


def requested(body: Body) -> frozenset[str]:
    """The concerns of a request. A BillingMode of PROVISIONED counts as a change of units, too."""
    found = {concern for member, concern in MEMBERS.items() if body.get(member) is not None}
    for update in body.get("GlobalSecondaryIndexUpdates") or ():
        found |= {concern for action, concern in ACTIONS.items() if action in update}
    for update in body.get("VectorIndexUpdates") or ():
        found |= {concern for action, concern in ACTIONS.items() if action in update}
    if body.get("BillingMode") == PROVISIONED:
        found.add(UNITS)
    return frozenset(found)


def check_combination(body: Body) -> None:
    asked = requested(body)
    for some, others, error in EXCLUSIONS:
        if asked & some and (asked - some) & others:
            raise error()


# While something is under way

Refusal = Callable[[Table, Sequence[str]], ApiError]
"""The error for a table. The names are those of the indexes that are being created or deleted."""


def _being_updated(table: Table, indexes: Sequence[str]) -> ApiError:
    return change_errors.table_being_updated(table.name)


def _units(table: Table, indexes: Sequence[str]) -> ApiError:
    return change_errors.units_being_updated(table.name)


def _units_while_stream(table: Table, indexes: Sequence[str]) -> ApiError:
    assert table.stream is not None
    return change_errors.units_while_stream(
        table.name, table.stream.label, "ENABLE" if table.stream.enabled else "DISABLE"
    )


def _while_class(action: str) -> Refusal:
    return lambda table, indexes: change_errors.refused_while_class(action, table.name, table.table_class or "STANDARD")


def _class_while(cause: str) -> Refusal:
    return lambda table, indexes: change_errors.class_while(cause, table.name)


def _class_while_index(what: str) -> Refusal:
    return lambda table, indexes: change_errors.class_while_index(table.name, indexes, what)


def _maxima_while(cause: str) -> Refusal:
    return lambda table, indexes: change_errors.maxima_while(cause)


_CAPACITY: Mapping[str, Refusal] = {
    UNITS: _units,
    MODE: _units,
    STREAM: _units_while_stream,
    CREATION: lambda table, indexes: change_errors.units_while_index(table.name, indexes, "created"),
    DELETION: lambda table, indexes: change_errors.units_while_index(table.name, indexes, "deleted"),
    CLASS: _while_class("change table IOPS"),
}
_INDEXES: Mapping[str, Refusal] = {
    UNITS: lambda table, indexes: change_errors.index_while_units(table.name),
    MODE: lambda table, indexes: change_errors.index_while_units(table.name),
    STREAM: lambda table, indexes: change_errors.index_while_stream(),
    CLASS: _while_class("create or delete an index"),
}

REFUSED_WHILE: Mapping[str, Mapping[str, Refusal]] = {
    UNITS: _CAPACITY,
    MODE: _CAPACITY,
    CREATION: _INDEXES,
    DELETION: _INDEXES,
    STREAM: {
        UNITS: lambda table, indexes: change_errors.stream_while_units(table.name),
        MODE: lambda table, indexes: change_errors.stream_while_units(table.name),
        CREATION: lambda table, indexes: change_errors.stream_while_index(table.name, indexes, "created"),
        DELETION: lambda table, indexes: change_errors.stream_while_index(table.name, indexes, "deleted"),
        CLASS: _while_class("change stream status"),
        STREAM: _being_updated,
    },
    CLASS: {
        STREAM: _class_while("stream status is"),
        UNITS: _class_while("table IOPS are"),
        MODE: _class_while("table IOPS are"),
        CREATION: _class_while_index("created"),
        DELETION: _class_while_index("deleted"),
        CLASS: _while_class("update table class"),
    },
    MAXIMA: {
        STREAM: _maxima_while("stream status"),
        CREATION: lambda table, indexes: change_errors.maxima_while_index(indexes, "creation"),
        DELETION: lambda table, indexes: change_errors.maxima_while_index(indexes, "deletion"),
        UNITS: _maxima_while("table IOPS"),
        MODE: _maxima_while("table IOPS"),
        CLASS: _maxima_while("table class"),
    },
    WARM: {CREATION: lambda table, indexes: change_errors.warm_under_maintenance()},
    ENCRYPTION: {ENCRYPTION: lambda table, indexes: change_errors.encryption_being_updated()},
}
"""By the concern of the request, then by the one under way. Texts that `errors.changes` calls assumed follow the
measured ones."""

INDEX_REFUSED_WHILE: Mapping[str, Mapping[str, Callable[[str, str], ApiError]]] = {
    INDEX: {
        CREATION: change_errors.index_not_backfilling,
        DELETION: change_errors.index_being_deleted,
        INDEX: change_errors.index_being_updated,
    },
    DELETION: {
        CREATION: change_errors.index_being_allocated,
        DELETION: change_errors.index_being_deleted,
        INDEX: change_errors.index_being_updated,
    },
}
"""The same for one index: by the action on it, then by what is under way with it."""


def running(table: Table, now_ms: int) -> dict[str, list[str]]:
    """The concerns that are under way, with the indexes that are being created or deleted. An index whose backfill runs
    is ready for most changes, so its creation does not count."""
    found: dict[str, list[str]] = {change.concern: [] for change in table.under_way(now_ms) if change.index is None}
    for index in table.online_indexes:
        concern = running_on(table, index, now_ms)
        if concern in (CREATION, DELETION):
            found.setdefault(concern, []).append(index.name)
    return found


def running_on(table: Table, index: Index | VectorIndex, now_ms: int) -> str | None:
    """The changes of an index that are in progress."""
    if index.status == "DELETING":
        return DELETION
    if index.status == "CREATING":
        return CREATION if now_ms < index.due_ms else None
    ongoing = any(change.index == index.name and change.concern != WARM for change in table.under_way(now_ms))
    return INDEX if ongoing or index.status_at(now_ms) == "UPDATING" else None


def check_overlap(table: Table, body: Body, now_ms: int) -> None:
    """Refuse a change that may not overlap with one under way. Indexes come first: an update of an index that is being
    deleted is reported before the units of the table."""
    for update in body.get("GlobalSecondaryIndexUpdates") or ():
        for action, given in update.items():
            index = table.index(given["IndexName"]) if action in ACTIONS else None
            if index is not None and not index.local:
                _check_index_overlap(table, index, ACTIONS[action], now_ms)
    for update in body.get("VectorIndexUpdates") or ():
        vector_index = table.vector_index(update["Delete"]["IndexName"]) if "Delete" in update else None
        if vector_index is not None:
            _check_index_overlap(table, vector_index, DELETION, now_ms)
    asked = requested(body)
    if body.get("BillingMode") == table.billing_mode and UNITS not in asked:
        asked -= {MODE}
    under_way = running(table, now_ms)
    for concern, refusals in REFUSED_WHILE.items():
        for other, refusal in refusals.items():
            if concern in asked and other in under_way:
                raise refusal(table, under_way[other])


def _check_index_overlap(table: Table, index: Index | VectorIndex, concern: str, now_ms: int) -> None:
    refusals = INDEX_REFUSED_WHILE.get(concern, {})
    ongoing = running_on(table, index, now_ms)
    if ongoing is not None and ongoing in refusals:
        raise refusals[ongoing](table.name, index.name)


def is_forgotten(table: Table, body: Body, now_ms: int) -> bool:
    """Whether the request is answered without effect: a switch back to on-demand while the table still becomes
    provisioned."""
    return (
        requested(body) == {MODE}
        and table.billing_mode == PROVISIONED
        and any(change.concern == MODE for change in table.under_way(now_ms))
    )


# What descriptions show

UPDATING = frozenset({UNITS, MODE, AGAIN, STREAM, CLASS, CREATION, DELETION})
"""The concerns that make a table UPDATING. The others leave it ACTIVE."""

SHOWN: Mapping[str, Sequence[str]] = {
    UNITS: ("throughput",),
    MODE: ("throughput", "billing_changed_ms"),
    WARM: ("warm",),
    CLASS: ("table_class", "table_class_changed_ms"),
    ENCRYPTION: ("encryption",),
    TAGS: ("tags",),
}
"""The fields that show the value in the `Change`, instead of the table's, until it is due."""


def shown(table: Table, now_ms: int) -> Table:
    """The table with the settings that descriptions show: if a setting has several pending changes, the value before
    the oldest."""
    for change in reversed(table.under_way(now_ms)):
        fields = {field: getattr(change, field) for field in SHOWN.get(change.concern, ())}
        index = None if change.index is None else table.index(change.index)
        if index is not None:
            table = table.with_index(replace(index, **fields))
        elif change.index is None:
            table = replace(table, **fields)
    return table


def status(table: Table, now_ms: int) -> str:
    """The TableStatus that clients see."""
    stored = table.status_at(now_ms)
    if stored == "ACTIVE" and table.group is not None and table.group.is_changing:
        return "UPDATING"
    return "UPDATING" if stored == "ACTIVE" and UPDATING & running(table, now_ms).keys() else stored


def begun(old: Table, new: Table, body: Body, due_ms: int, now_ms: int) -> tuple[Change, ...]:
    """The changes from one definition to another that a request begins, except the creation and deletion of indexes,
    which the indexes record themselves."""
    found = [*_of_capacity(old, new, body, due_ms, now_ms), *_of_settings(old, new, body, due_ms)]
    for index in new.global_indexes:
        before = old.index(index.name)
        if before is not None and before.status != "DELETING":
            found += _of_index(old, before, index, body, due_ms)
    return tuple(found)


def warm_shown(table: Table, index: Index | None, now_ms: int) -> WarmThroughput:
    """The warm throughput that descriptions show: the old value while it rises."""
    name = None if index is None else index.name
    rising = (change.warm for change in table.under_way(now_ms) if change.warm is not None and change.index == name)
    return next(rising, table.warm_throughput(index))


def _of_capacity(old: Table, new: Table, body: Body, due_ms: int, now_ms: int) -> list[Change]:
    units = new.throughput
    if new.billing_mode != old.billing_mode:
        if new.billing_mode != PROVISIONED:  # provisioned tables show a decrease at first, even if there was none
            units = replace(units, decreased_ms=now_ms)
        return [Change(MODE, due_ms, throughput=units, billing_changed_ms=old.billing_changed_ms)]
    if (units.read, units.write) != (old.throughput.read, old.throughput.write):
        shown_units = replace(units, read=old.throughput.read, write=old.throughput.write)
        return [Change(UNITS, due_ms, throughput=shown_units)]
    return [Change(AGAIN, due_ms)] if "BillingMode" in body else []


def _of_settings(old: Table, new: Table, body: Body, due_ms: int) -> list[Change]:
    found = []
    if "WarmThroughput" in body and new.warm_throughput() != old.warm_throughput():
        found.append(Change(WARM, due_ms, warm=old.warm_throughput()))
    if new.stream != old.stream:
        found.append(Change(STREAM, due_ms))
    if "TableClass" in body:
        same = new.table_class == old.table_class
        class_, changed_ms = old.table_class, old.table_class_changed_ms
        found.append(
            Change(AGAIN, due_ms)
            if same
            else Change(CLASS, due_ms, table_class=class_, table_class_changed_ms=changed_ms)
        )
    if "SSESpecification" in body:
        before = old.encryption or Encryption("", "", "")
        found.append(Change(ENCRYPTION, due_ms, encryption=replace(before, status="UPDATING")))
    return found


def _of_index(old: Table, before: Index, index: Index, body: Body, due_ms: int) -> list[Change]:
    name, found = index.name, []
    updates = [update["Update"] for update in body.get("GlobalSecondaryIndexUpdates") or () if "Update" in update]
    given: Body = next((update for update in updates if update["IndexName"] == name), {})
    if "ProvisionedThroughput" in given and index.throughput is not None and before.throughput is not None:
        units = replace(index.throughput, read=before.throughput.read, write=before.throughput.write)
        if old.billing_mode == PROVISIONED:
            found.append(Change(UNITS, due_ms, name, throughput=units))
    if "OnDemandThroughput" in given:
        found.append(Change(MAXIMA, due_ms, name))
    warm = old.warm_throughput(before)
    if "WarmThroughput" in given and index.warm != warm:
        found.append(Change(WARM, due_ms, name, warm=warm))
    return found
