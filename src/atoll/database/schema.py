"""The definition of a table: frozen dataclasses, stored as JSON in the catalog.

A table owns *spaces*: ranges of keys, each identified by a number that is never reused. Its items, each index, its
change log and its expiry index have one space each. `format` describes the rows in them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from atoll import limits
from atoll.database import format as fmt
from atoll.database.destination import Destination
from atoll.database.group import Group
from atoll.database.key_schema import KeyAttribute as KeyAttribute
from atoll.database.key_schema import KeySchema as KeySchema
from atoll.database.key_schema import Projection as Projection
from atoll.database.recovery import Origin, Recovery
from atoll.database.vectors.definition import VectorIndex
from atoll.model.values import Item

# Billing modes, view types, table classes and statuses are the service's own strings, returned unchanged.
PROVISIONED = "PROVISIONED"
ON_DEMAND = "PAY_PER_REQUEST"
BOTH_IMAGES = "NEW_AND_OLD_IMAGES"
NEW_VIEWS = ("NEW_IMAGE", BOTH_IMAGES)
OLD_VIEWS = ("OLD_IMAGE", BOTH_IMAGES)


@dataclass(frozen=True)
class Throughput:
    """Provisioned capacity units a second, with the history that DescribeTable shows."""

    read: int
    write: int
    increased_ms: int | None = None
    decreased_ms: int | None = None
    decreases_ms: tuple[int, ...] = ()
    """When today's (UTC) decreases were made."""


@dataclass(frozen=True)
class OnDemandThroughput:
    """Optional maxima of an on-demand table, in units a second, as requests gave them: None if never given, -1 for no
    maximum."""

    max_read: int | None = None
    max_write: int | None = None


@dataclass(frozen=True)
class WarmThroughput:
    read: int
    write: int


WARM_ON_DEMAND = WarmThroughput(limits.WARM_READ_UNITS, limits.WARM_WRITE_UNITS)


def unwarmed(billing_mode: str, provisioned: Throughput | None) -> WarmThroughput:
    """The default warm throughput of a table or index."""
    if billing_mode == ON_DEMAND:
        return WARM_ON_DEMAND
    return WarmThroughput(0, 0) if provisioned is None else WarmThroughput(provisioned.read, provisioned.write)


@dataclass(frozen=True)
class Index:
    name: str
    keys: KeySchema
    projection: Projection
    local: bool
    space: int
    status: str = "ACTIVE"
    backfilling: bool = False
    """Whether the index may lack entries of items that existed before it."""
    due_ms: int = 0
    """The time until which CREATING or UPDATING shows; see `Table.due_ms`."""
    throughput: Throughput | None = None
    on_demand: OnDemandThroughput | None = None
    warm: WarmThroughput | None = None

    @property
    def spaces(self) -> tuple[int, ...]:
        return (self.space,)

    def status_at(self, now_ms: int) -> str:
        return "ACTIVE" if self.status == "UPDATING" and now_ms >= self.due_ms else self.status

    def filling_at(self, now_ms: int) -> bool:
        """Whether the index is in its backfill phase, in which its table is ACTIVE again."""
        return self.backfilling and now_ms >= self.due_ms


@dataclass(frozen=True)
class Shard:
    """A range of partition-key hashes whose changes are numbered together; see `log.shards`."""

    number: int
    parent: int | None
    first_hash: int
    last_hash: int
    """Hashes are the first 64 bits of a key's prefix: first_hash <= hash <= last_hash."""
    opened_ms: int
    first_sequence: int
    """The least number of its changes."""
    last_sequence: int | None = None
    """The number that closing it took, which no change has; None while it is open."""
    closed_ms: int | None = None
    parent_opened_ms: int | None = None

    def change_prefix(self, log_space: int) -> bytes:
        """The start of the keys of its changes."""
        return fmt.change_prefix(log_space, self.first_hash, self.number)


@dataclass(frozen=True)
class Stream:
    """The table's record of its latest stream; see `streams`."""

    label: str
    view_type: str
    enabled: bool = True


@dataclass(frozen=True)
class TimeToLive:
    attribute: str
    status: str
    """One of "ENABLING", "ENABLED" or "DISABLING"."""
    space: int
    changed_ms: int


@dataclass(frozen=True)
class Encryption:
    """Server-side encryption with a KMS key. A table without it uses the service's own key, which is not shown."""

    status: str
    type: str
    key_arn: str


@dataclass(frozen=True)
class Change:
    """A change of a table or of one of its indexes that is under way until `due_ms`. The new settings are in the
    table and in effect; the members below are those that descriptions still show."""

    concern: str
    """The kind of change, a name in `api.concerns`."""
    due_ms: int
    index: str | None = None
    throughput: Throughput | None = None
    warm: WarmThroughput | None = None
    billing_changed_ms: int | None = None
    table_class: str | None = None
    table_class_changed_ms: int | None = None
    encryption: Encryption | None = None
    tags: tuple[tuple[str, str], ...] = ()


HASHES = 1 << 64


@dataclass(frozen=True)
class Table:
    name: str
    id: str
    space: int
    log_space: int
    keys: KeySchema
    created_ms: int
    status: str = "ACTIVE"
    due_ms: int = 0
    """The time at which a transitional status ends by itself."""
    indexes: tuple[Index, ...] = ()
    vector_indexes: tuple[VectorIndex, ...] = ()
    billing_mode: str = PROVISIONED
    billing_changed_ms: int | None = None
    """When the table last became on-demand."""
    throughput: Throughput = Throughput(0, 0)
    on_demand: OnDemandThroughput | None = None
    warm: WarmThroughput | None = None
    table_class: str | None = None
    table_class_changed_ms: int | None = None
    deletion_protection: bool = False
    encryption: Encryption | None = None
    stream: Stream | None = None
    ttl: TimeToLive | None = None
    ttl_changed_ms: int | None = None
    """When time to live was last enabled or disabled."""
    tags: tuple[tuple[str, str], ...] = ()
    replication_mode: str | None = None
    """GlobalTableSettingsReplicationMode, if it was set."""
    protection_changed_ms: int | None = None
    encryption_changes_ms: tuple[int, ...] = ()
    table_class_changes_ms: tuple[int, ...] = ()
    changes: tuple[Change, ...] = ()
    """The changes that were under way at the last change; see `under_way`."""
    tombstone_space: int | None = None
    """The space of tombstones, which deletions write; None without tombstones."""
    group: Group | None = None
    """Its replicas, if it has any. A table with replicas has a tombstone space."""
    recovery: Recovery | None = None
    """Point-in-time recovery, if it is on."""
    copies: tuple[str, ...] = ()
    """The jobs that copy the table as it was at an earlier moment."""
    destinations: tuple[Destination, ...] = ()
    origin: Origin | None = None
    """The source of a running restore; the table is CREATING until that ends."""
    shards: tuple[Shard, ...] = ()
    """The open shards, by first_hash."""

    def index(self, name: str) -> Index | None:
        return self._indexes_by_name.get(name)

    @cached_property
    def _indexes_by_name(self) -> dict[str, Index]:
        return {index.name: index for index in self.indexes}

    def vector_index(self, name: str) -> VectorIndex | None:
        return next((index for index in self.vector_indexes if index.name == name), None)

    @cached_property
    def all_indexes(self) -> tuple[Index | VectorIndex, ...]:
        return self.indexes + self.vector_indexes

    def projected_names(self, index: Index) -> frozenset[str]:
        """The attributes that an index has unless it projects all."""
        return self._projected_names[index.name]

    @cached_property
    def _projected_names(self) -> dict[str, frozenset[str]]:
        own = self.keys.names
        return {i.name: frozenset((*own, *i.keys.names, *i.projection.attributes)) for i in self.indexes}

    @cached_property
    def local_indexes(self) -> tuple[Index, ...]:
        return tuple(index for index in self.indexes if index.local)

    @cached_property
    def global_indexes(self) -> tuple[Index, ...]:
        return tuple(index for index in self.indexes if not index.local)

    @cached_property
    def online_indexes(self) -> tuple[Index | VectorIndex, ...]:
        """The indexes that can be created and deleted while the table is in use."""
        return self.global_indexes + self.vector_indexes

    @cached_property
    def is_filling(self) -> bool:
        """Whether an index may still lack entries of items older than the index."""
        return any(index.backfilling for index in self.all_indexes)

    @cached_property
    def prefix(self) -> bytes:
        return fmt.space_prefix(self.space)

    @cached_property
    def count_tally(self) -> bytes:
        """The tally of its items."""
        return fmt.count_counter(self.space)

    @cached_property
    def bytes_tally(self) -> bytes:
        """The tally of their bytes."""
        return fmt.bytes_counter(self.space)

    @cached_property
    def item_key(self) -> Callable[[Item], bytes]:
        """A function that encodes an item's row key. The item must have all key attributes, of the right types."""
        return self.keys.encoder_behind(self.prefix)

    def decode_entry_key(self, index: Index, entry_key: bytes) -> Item:
        """The key attributes of the table and of the index, from the key of an entry."""
        found = self._entry_schemas[index.name].decode(entry_key)
        return {name: found[name] for name in (*self.keys.names, *index.keys.names)}

    @cached_property
    def _entry_schemas(self) -> dict[str, KeySchema]:
        return {index.name: index.keys.followed_by(self.keys) for index in self.indexes}

    def partition_ends(self, space: int) -> Sequence[bytes] | None:
        """The ends of the partitions' rows, in the table's space or an index's; None if there is only one partition."""
        return self._partition_ends[space] if len(self.shards) > 1 else None

    @cached_property
    def _partition_ends(self) -> dict[int, list[bytes]]:
        firsts = sorted(shard.first_hash for shard in self.shards)[1:]
        return {
            space: [*(fmt.hash_start(space, first) for first in firsts), fmt.space_range(space)[1]]
            for space in (self.space, *(index.space for index in self.indexes))
        }

    def log_of(self, row_key: bytes) -> tuple[bytes, bytes]:
        """The shard of this item's changes: the counter that numbers them, and the prefix of their keys."""
        logs = self._logs
        return logs[0] if len(logs) == 1 else logs[bisect_right(self._shard_starts, row_key) - 1]

    @cached_property
    def _logs(self) -> list[tuple[bytes, bytes]]:
        log = self.log_space
        return [(fmt.sequence_counter(log, one.number), one.change_prefix(log)) for one in self.shards]

    @cached_property
    def _shard_starts(self) -> list[bytes]:
        return [fmt.hash_start(self.space, shard.first_hash) for shard in self.shards]

    @cached_property
    def oldest_shard_ms(self) -> int:
        """The opening time of the oldest open shard."""
        return min(shard.opened_ms for shard in self.shards)

    def status_at(self, now_ms: int) -> str:
        """The stored status. CREATING and UPDATING end at `due_ms`; DELETING ends with the table. `description` adds
        the changes that are under way."""
        if self.status in ("CREATING", "UPDATING") and now_ms >= self.due_ms and self.origin is None:
            return "ACTIVE"
        return self.status

    def under_way(self, now_ms: int) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if now_ms < change.due_ms)

    def changing_index(self, now_ms: int) -> Index | VectorIndex | None:
        """The index that is being built or deleted, if there is one."""
        for index in self.all_indexes:
            if index.status_at(now_ms) in ("CREATING", "DELETING"):
                return index
        return None

    def warm_throughput(self, index: Index | None = None) -> WarmThroughput:
        """The warm throughput of the table or of one of its indexes."""
        of = self if index is None else index
        return of.warm or unwarmed(self.billing_mode, of.throughput)

    def units_per_second(self, index: Index | None = None) -> tuple[int | None, int | None]:
        """The throughput limits of the table or a global index, in read and write units a second; None means no
        limit."""
        of = self if index is None else index
        if self.billing_mode == PROVISIONED:
            return (None, None) if of.throughput is None else (of.throughput.read, of.throughput.write)
        read, write = (None, None) if of.on_demand is None else (of.on_demand.max_read, of.on_demand.max_write)
        return None if read == -1 else read, None if write == -1 else write

    @cached_property
    def own_limits(self) -> tuple[int | None, int | None]:
        """The limits of the table itself; see `units_per_second`."""
        return self.units_per_second()

    @cached_property
    def limited(self) -> bool:
        """Whether the table or any of its global indexes has a throughput limit."""
        return any(units is not None for one in (None, *self.global_indexes) for units in self.units_per_second(one))

    @cached_property
    def spaces(self) -> frozenset[int]:
        """All spaces that the table owns."""
        found = {self.space, self.log_space, *(index.space for index in self.indexes)}
        found |= {space for index in self.vector_indexes for space in index.spaces}
        if self.ttl is not None:
            found.add(self.ttl.space)
        if self.tombstone_space is not None:
            found.add(self.tombstone_space)
        return frozenset(found)

    def work(self) -> Iterator[tuple[int, bytes]]:
        """The background work that the definition requires, as (time in ms, kind); see `format`."""
        if self.status == "DELETING":
            yield self.due_ms, fmt.DELETE
            return
        if self.group is not None:
            yield self.group.raises_floor_ms, fmt.DROP_TOMBSTONES
        if self.stream is not None and self.stream.enabled:
            yield self.oldest_shard_ms + limits.STREAM_ROTATION_MS, fmt.ROTATE
        for index in self.all_indexes:
            if index.status in ("CREATING", "DELETING"):
                yield index.due_ms, fmt.INDEX
        if self.ttl is not None:
            yield self.ttl.changed_ms, fmt.EXPIRE if self.ttl.status == "ENABLED" else fmt.BUILD_EXPIRY

    def gone_at(self, now_ms: int) -> bool:
        return self.status == "DELETING" and now_ms >= self.due_ms

    def with_index(self, changed: Index | VectorIndex) -> Table:
        """The table with the index of that name replaced."""
        if isinstance(changed, VectorIndex):
            kept = tuple(changed if i.name == changed.name else i for i in self.vector_indexes)
            return replace(self, vector_indexes=kept)
        return replace(self, indexes=tuple(changed if i.name == changed.name else i for i in self.indexes))

    def without_index(self, name: str) -> Table:
        return replace(
            self,
            indexes=tuple(i for i in self.indexes if i.name != name),
            vector_indexes=tuple(i for i in self.vector_indexes if i.name != name),
        )
