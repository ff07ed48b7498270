"""The only path by which items change.

Every change of an item is a `Write`. Its `decide` gets the stored item and returns the new one, or refuses by raising
the service's error. `decide` has no side effects, so it may run again. `commit` reads the items of one or more writes
together, calls `decide` on each, and applies the decisions in the caller's transaction: item row, index entries, expiry
entry, counters and change record. Single writes, batches, transactions, statements and time to live all use it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple, Protocol

import orjson
from isal.isal_zlib import adler32

from atoll import errors, limits
from atoll.database import counters, expiry, indexes, legacy, long, reads
from atoll.database import format as fmt
from atoll.database import rows as item_rows
from atoll.database.indexes import IndexWrite
from atoll.database.log import changes
from atoll.database.rows import Row
from atoll.database.schema import Table
from atoll.database.vectors import entries as vectors
from atoll.database.vectors.entries import VectorWrite
from atoll.errors import replication as replication_errors
from atoll.errors import values as value_errors
from atoll.errors.multi import Cancelled, try_all
from atoll.expressions.condition import Condition
from atoll.expressions.update import Update as UpdateExpression
from atoll.model import values
from atoll.model.comparison import items_equal
from atoll.model.values import Item
from atoll.storage.engine import Transaction
from atoll.versions import Stamp, Version


class Image(NamedTuple):
    """An item to store, with its size by the published formula and its JSON."""

    item: Item
    size: int
    json: bytes


class _Unchanged:
    """The decision of a write that changes nothing."""


UNCHANGED = _Unchanged()
Decision = Image | None | _Unchanged


class Write(Protocol):
    @property
    def table(self) -> Table: ...
    @property
    def key(self) -> Item: ...
    @property
    def row_key(self) -> bytes: ...
    @property
    def cause(self) -> int: ...
    @property
    def reads(self) -> int:
        """The most times that `decide` reads through the item after parsing it."""

    @property
    def version(self) -> Version | None:
        """The version of a replicated change. None: the transaction's stamp assigns one."""

    def decide(self, old: Row | None) -> Decision:
        """The image to store, None to delete. Pure; raises `ApiError` to refuse."""


def _require(condition: Condition | None, old: Row | None, show_item: bool) -> None:
    if condition is not None and not condition.matches(old.item if old is not None else {}):
        if old is None:
            raise errors.ConditionFailed()
        raise errors.ConditionFailed(old.fragment if show_item else None, old.size)


class _Conditional:
    __slots__ = ()

    condition: Condition | None

    @property
    def reads(self) -> int:
        return 0 if self.condition is None else self.condition.reads


@dataclass(slots=True)
class Put(_Conditional):
    table: Table
    key: Item
    row_key: bytes
    image: Image
    condition: Condition | None = None
    show_item: bool = False
    """Whether a failed condition returns the item."""
    cause: int = fmt.USER
    version: ClassVar[None] = None

    def decide(self, old: Row | None) -> Decision:
        indexes.check_keys(self.table, self.image.item)
        _require(self.condition, old, self.show_item)
        return self.image


@dataclass(slots=True)
class Delete(_Conditional):
    table: Table
    key: Item
    row_key: bytes
    condition: Condition | None = None
    show_item: bool = False
    cause: int = fmt.USER
    version: ClassVar[None] = None

    def decide(self, old: Row | None) -> Decision:
        _require(self.condition, old, self.show_item)
        return None


@dataclass(slots=True)
class Update(_Conditional):
    table: Table
    key: Item
    row_key: bytes
    update: UpdateExpression | None
    """None creates an item with only the key, or leaves an item unchanged."""
    condition: Condition | None = None
    show_item: bool = False
    cause: int = fmt.USER
    version: ClassVar[None] = None

    @property
    def reads(self) -> int:
        of_condition = 0 if self.condition is None else self.condition.reads
        return of_condition + (0 if self.update is None else self.update.reads)

    def decide(self, old: Row | None) -> Decision:
        _require(self.condition, old, self.show_item)
        before = old.item if old is not None else self.key
        item = self.update.apply(before, missing=old is None) if self.update is not None else before
        if old is None and self.update is not None and len(item) == len(self.key):
            return None  # it only removes attributes of a missing item: create no item
        if self.table.all_indexes:
            by_expression = self.update is not None and self.update.is_expression
            indexes.check_updated_keys(
                self.table, old.item if old is not None else {}, item, by_expression=by_expression
            )
        size = old.size if old is not None else values.item_size(before)
        if self.update is not None:
            size += _grown(before, item, self.update.attributes)
        if size > limits.ITEM_BYTES:
            raise value_errors.updated_item_too_large()
        return Image(item, size, orjson.dumps(item))


def _grown(before: Item, after: Item, names: frozenset[str]) -> int:
    """The change of the item's size in bytes by an update of these attributes. Refuses values nested too deeply."""
    size, documents = 0, {}
    for name in names:
        old, new = before.get(name), after.get(name)
        if old is not None:
            size -= values.attribute_size(name, old)
        if new is not None:
            size += values.attribute_size(name, new)
            if "M" in new or "L" in new:
                documents[name] = new
    if documents:
        values.check_item(documents)
    return size


@dataclass(slots=True)
class Check(_Conditional):
    """A ConditionCheck: refuses the transaction unless its condition holds; changes nothing."""

    table: Table
    key: Item
    row_key: bytes
    condition: Condition
    show_item: bool = False
    cause: int = fmt.USER
    version: ClassVar[None] = None

    def decide(self, old: Row | None) -> Decision:
        _require(self.condition, old, self.show_item)
        return UNCHANGED


@dataclass(slots=True)
class Replicate:
    """A change from another replica, with its version. It has no condition; it is applied if its version is greater
    than the item's, or than the version that the item's deletion left."""

    table: Table
    key: Item
    row_key: bytes
    image: Image | None
    """None after a deletion."""
    version: Version
    force: bool = False
    """Apply it even if its version is smaller: the stored change is to be undone."""
    cause: int = fmt.REPLICATION
    reads: ClassVar[int] = 0

    def decide(self, old: Row | None) -> Decision:
        return self.image


@dataclass(slots=True)
class Outcome:
    """The item before and after a write; `new` is None after a deletion."""

    old: Row | None
    new: Image | None
    index_writes: Sequence[IndexWrite] = ()
    vector_writes: Sequence[VectorWrite] = ()
    saved: tuple[int, int] = (0, 0)
    """The bytes to subtract from the sizes of the images before and after, because of their vectors."""
    collection_size: int | None = None
    """The size in bytes of the item's collection, on tables with local indexes."""
    found: Version | None = None
    """For a replicated change, the stored version of the item or of its deletion."""
    is_outdated: bool = False
    """A replicated change was not applied, because its version is not greater than `found`."""

    @property
    def table_bytes(self) -> int:
        """The size for which the table is charged: the larger image."""
        before = self.old.size - self.saved[0] if self.old is not None else 0
        after = self.new.size - self.saved[1] if self.new is not None else 0
        return before if before > after else after


class Refused(Cancelled):
    """At least one write's decision refused. `sizes` are the bytes of the items that the decisions saw."""

    def __init__(self, refusals: list[errors.ApiError | None], writes: Sequence[Write], sizes: list[int]) -> None:
        super().__init__(refusals)
        self.writes = writes
        self.sizes = sizes


Decide = Callable[[Write, Row | None], Decision]
"""Calls the write's `decide`, or raises to refuse the write."""


class Admission(Protocol):
    """Decides which writes of a batch may run now; each runs by itself."""

    def refusal(self, write: Write, old: Row | None, new: Decision) -> errors.ApiError | None:
        """The error, if the write may not run now."""

    def applied(self, write: Write, outcome: Outcome) -> None:
        """Called after the write was applied."""


def decide_freely(write: Write, old: Row | None) -> Decision:
    return write.decide(old)


def commit(tx: Transaction, batch: Sequence[Write], stamp: Stamp, decide: Decide = decide_freely) -> list[Outcome]:
    """Apply writes to different items: all decide on the same state, then all are applied or none is. Raises `Refused`
    if a decision refused, otherwise `Cancelled`."""
    rows = _read(tx, batch, stamp)
    long.announce_batch(tx, list(zip(batch, rows, strict=True)))
    pairs = zip(batch, rows, strict=True)
    decisions, refusals = try_all(partial(decide, write, old) for write, old in pairs)
    if any(refusals):
        raise Refused(refusals, batch, [reads.size_of(row) for row in rows])
    _prefetch_entries(tx, batch, rows, decisions)
    # The size of an item collection depends on the earlier writes.
    applied = (partial(_apply, tx, stamp, *one) for one in zip(batch, rows, decisions, strict=True))
    outcomes, refusals = try_all(applied)
    if any(refusals):
        raise Cancelled(refusals)
    return outcomes


def commit_single(tx: Transaction, write: Write, stamp: Stamp, decide: Decide = decide_freely) -> Outcome:
    """`commit` one write; raises its refusal directly."""
    if tx.is_remote:
        announce(tx, (write,), stamp)
    old = reads.get(tx, write.row_key)
    if old is not None and len(old.json) > long.LEAST_BYTES:
        long.announce_item(tx, old.json, write.reads)
    decision = decide(write, old)
    if write.table.all_indexes and isinstance(decision, Image) and len(decision.json) > long.LEAST_BYTES:
        long.announce_entries(tx, decision.json, long.copies(write.table) - 1)
    if write.table.is_filling:
        _prefetch_entries(tx, (write,), (old,), (decision,))
    return _apply(tx, stamp, write, old, decision)


def commit_each(
    tx: Transaction, batch: Sequence[Write], stamp: Stamp, admission: Admission
) -> list[Outcome | errors.ApiError]:
    """Apply each admitted write of a batch to different items; the outcome of another write is its error. All writes
    decide before the first is admitted: one invalid write fails the whole batch, even if the table is throttled."""
    rows = _read(tx, batch, stamp)
    long.announce_batch(tx, list(zip(batch, rows, strict=True)))
    decisions = [write.decide(old) for write, old in zip(batch, rows, strict=True)]
    _prefetch_entries(tx, batch, rows, decisions)
    outcomes: list[Outcome | errors.ApiError] = []
    for write, old, new in zip(batch, rows, decisions, strict=True):
        refusal = admission.refusal(write, old, new)
        if refusal is not None:
            outcomes.append(refusal)
            continue
        outcome = _apply(tx, stamp, write, old, new)
        admission.applied(write, outcome)
        outcomes.append(outcome)
    return outcomes


def _read(tx: Transaction, batch: Sequence[Write], stamp: Stamp) -> list[Row | None]:
    if tx.is_remote:
        announce(tx, batch, stamp)
    return reads.get_many(tx, [write.row_key for write in batch])


def announce(tx: Transaction, batch: Sequence[Write], stamp: Stamp) -> None:
    """Announce the items of the writes, and the counters that applying them needs."""
    numbers = [write.table.log_of(write.row_key)[0] for write in batch]
    if stamp.reserves is not None:
        numbers.append(fmt.GREATEST_TIME)
    rows = [write.row_key for write in batch]
    for write in batch:
        if (space := write.table.tombstone_space) is not None:
            rows.append(fmt.tombstone_key(space, write.row_key))
        numbers += vectors.counters(write.table)
        if write.table.ttl is not None:
            numbers.append(fmt.expiry_due_number(write.table.ttl.space))
    tx.prefetch(
        rows, numbers, [counters.collection(write.table, write.key) for write in batch if write.table.local_indexes]
    )


def _prefetch_entries(
    tx: Transaction, batch: Sequence[Write], rows: Sequence[Row | None], decisions: Sequence[Decision]
) -> None:
    """Announce the old entries of an index under backfill: some may be missing, so they have to be looked up."""
    wanted = [
        key
        for write, old, new in zip(batch, rows, decisions, strict=True)
        if write.table.is_filling and not isinstance(new, _Unchanged)
        for key in indexes.uncertain_entries(write.table, write.row_key, old)
    ]
    if wanted:
        tx.prefetch(wanted)


def _apply(tx: Transaction, stamp: Stamp, write: Write, old: Row | None, decision: Decision) -> Outcome:
    """Write the item's row and everything derived from it. `decision` is the write's decision on `old`, the stored
    row."""
    table, version = write.table, write.version
    if isinstance(decision, _Unchanged):
        return _unchanged(table, old)
    outcome = Outcome(old, decision)
    if version is not None:
        outcome.found = found = _stored_version(tx, write, old)
        if found is not None and found >= version and not (isinstance(write, Replicate) and write.force):
            outcome = _unchanged(table, old)
            outcome.found, outcome.is_outdated = found, True
            return outcome
    elif table.group is not None and not table.group.accepts_writes:
        raise replication_errors.is_read_replica(table.name, table.group.own, table.group.master)
    if not same(old, decision):
        _change(tx, stamp, write, outcome)
    elif version is not None:
        _store(tx, write, version, outcome)
    if table.local_indexes:
        outcome.collection_size = tx.tally(counters.collection(table, write.key))
    if table.vector_indexes:
        outcome.saved = vectors.saved_bytes(table, old), vectors.saved_bytes(table, outcome.new)
    return outcome


def _unchanged(table: Table, old: Row | None) -> Outcome:
    saved = vectors.saved_bytes(table, old) if table.vector_indexes else 0
    return Outcome(old, Image(old.item, old.size, old.json) if old is not None else None, saved=(saved, saved))


def same(old: Row | None, new: Image | None) -> bool:
    """Whether a write would change nothing, ignoring the order of sets and maps."""
    if old is None or new is None:
        return old is None and new is None
    if old.size != new.size:
        return False
    if old.json == new.json:
        return True
    # Equal items consist of the same bytes, in any order. The low half of Adler-32 is the sum of bytes.
    if (adler32(old.json) ^ adler32(new.json)) & 0xFFFF:
        return False
    return items_equal(old.item, new.item)


def _change(tx: Transaction, stamp: Stamp, write: Write, outcome: Outcome) -> None:
    table, row_key, old, new = write.table, write.row_key, outcome.old, outcome.new
    if stamp.reserves is not None:
        counters.reserve(tx, stamp.reserves)
    version, previous = write.version, None
    if table.tombstone_space is None:
        if version is None:
            version = stamp.version(old.time if old is not None else 0)
    else:
        previous = _stored_version(tx, write, old)
        if version is None:
            version = stamp.version(max(previous.time if previous else 0, table.group.floor if table.group else 0))
            if new is not None and table.group is not None and table.group.is_legacy:
                outcome.new = new = Image(*legacy.stamped(new.item, version))
    _store(tx, write, version, outcome)
    if table.indexes:
        outcome.index_writes = indexes.apply(tx, table, row_key, old, new)
    if table.vector_indexes:
        outcome.vector_writes = vectors.apply(tx, table, row_key, old, new)
    if table.ttl is not None:
        expiry.apply(tx, table, table.ttl, row_key, old.item if old else None, new.item if new else None)
    counters.count(tx, table, write.key, old, new, limited=write.version is None)
    changes.append(tx, table, row_key, write.key, version, stamp, write.cause, old, new, previous)


def _stored_version(tx: Transaction, write: Write, old: Row | None) -> Version | None:
    """The version of the item or of its deletion; None if the table has neither."""
    if old is not None:
        return old.version
    space = write.table.tombstone_space
    stored = None if space is None else tx.get(fmt.tombstone_key(space, write.row_key))
    return None if stored is None else item_rows.parse_tombstone(stored)


def _store(tx: Transaction, write: Write, version: Version, outcome: Outcome) -> None:
    """Write the item's row, or delete it. If the table keeps tombstones, a deletion leaves its version."""
    new, tombstones = outcome.new, write.table.tombstone_space
    if new is not None:
        tx.put(write.row_key, item_rows.item_row(version, new.size, new.json))
        if tombstones is not None and outcome.old is None:
            tx.delete(fmt.tombstone_key(tombstones, write.row_key))
        return
    if outcome.old is not None:
        tx.delete(write.row_key)
    if tombstones is not None:
        tx.put(fmt.tombstone_key(tombstones, write.row_key), item_rows.tombstone_row(version))
