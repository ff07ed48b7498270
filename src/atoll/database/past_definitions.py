"""The past definitions of a table with point-in-time recovery: a restore uses the one of its moment.

    definition    by the table's id and the time from which it holds, in milliseconds

A definition is stored when a request or another replica changes it; then those before the recovery window are dropped.
For a moment before the earliest stored definition, that one is used; if none is stored, the present one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from atoll.database import documents
from atoll.database import format as fmt
from atoll.database.records import build, plain
from atoll.database.schema import Encryption, Index, OnDemandThroughput, Table, Throughput
from atoll.database.vectors.definition import VectorIndex
from atoll.storage.engine import Snapshot, Transaction

KIND = "definition"


@dataclass(frozen=True)
class Definition:
    """The parts of a table's definition that can change and are restored."""

    billing_mode: str
    throughput: Throughput
    on_demand: OnDemandThroughput | None = None
    encryption: Encryption | None = None
    indexes: tuple[Index, ...] = ()
    vector_indexes: tuple[VectorIndex, ...] = ()


def _of(table: Table) -> Definition:
    return Definition(
        table.billing_mode,
        Throughput(table.throughput.read, table.throughput.write),
        table.on_demand,
        table.encryption,
        tuple(
            Index(
                index.name, index.keys, index.projection, index.local, 0,
                throughput=index.throughput and Throughput(index.throughput.read, index.throughput.write),
                on_demand=index.on_demand,
            )
            for index in table.indexes
            if index.status != "DELETING"
        ),
        tuple(
            replace(index, space=0, log_space=0, status="ACTIVE", backfilling=False, due_ms=0)
            for index in table.vector_indexes
            if index.status != "DELETING"
        ),
    )  # fmt: skip


def note(tx: Transaction, table: Table, now_ms: int) -> None:
    """Store the table's definition, valid from now on, if recovery is on."""
    if table.recovery is None:
        return
    definition = _of(table)
    if _find(tx, table, now_ms) == definition:
        return
    documents.put(tx, plain(definition), KIND, table.id, _time(now_ms))
    needed = _key(tx, table, now_ms - table.recovery.keep_ms)
    if needed is not None:
        tx.delete_range(fmt.documents_of(KIND, table.id)[0], needed)


def forget(tx: Transaction, table: Table) -> None:
    tx.delete_range(*fmt.documents_of(KIND, table.id))


def at(snapshot: Snapshot, table: Table, moment_ms: int) -> Table:
    """The table with the definition that it had at the moment."""
    found = _find(snapshot, table, moment_ms)
    if found is None:
        found = next((build(Definition, one) for one in documents.listed(snapshot, KIND, table.id)), None)
    if found is None:
        return table
    return replace(
        table,
        billing_mode=found.billing_mode,
        throughput=found.throughput,
        on_demand=found.on_demand,
        encryption=found.encryption,
        indexes=found.indexes,
        vector_indexes=found.vector_indexes,
    )


def _find(snapshot: Snapshot, table: Table, ms: int) -> Definition | None:
    """The latest definition that began at the moment or before."""
    key = _key(snapshot, table, ms)
    if key is None:
        return None
    found: Definition = build(Definition, documents.get(snapshot, *fmt.parse_document_key(key)))
    return found


def _key(snapshot: Snapshot, table: Table, ms: int) -> bytes | None:
    start, _ = fmt.documents_of(KIND, table.id)
    end = fmt.document_key(KIND, table.id, _time(ms)) + b"\0"
    return next((key for key, _ in snapshot.scan(start, end, reverse=True, limit=1)), None)


def _time(ms: int) -> str:
    return f"{max(ms, 0):014d}"
