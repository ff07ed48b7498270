"""A simulated region: its store, its clock and its process. Each commit of its store is judged at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any

import orjson

from atoll import limits
from atoll.clock import ManualClock
from atoll.database import format as fmt
from atoll.database import links
from atoll.database import rows as item_rows
from atoll.database.links import Link
from atoll.database.log import rows as log_rows
from atoll.database.records import load
from atoll.database.region import Region, Settings
from atoll.database.rows import Row
from atoll.database.schema import Table
from atoll.storage.buffer import Buffer
from atoll.storage.memory import MemoryState
from atoll.versions import Version
from tests.simulation.engine import TurningEngine
from tests.simulation.model import Model, Suffix, Violation, Write, require

TABLE = "Things"
TABLE_KEY = fmt.table_key(TABLE)
CONFLICT_PREFIX = fmt.CONFLICTS[0]

_parse_table: Callable[[bytes], Table] = lru_cache(maxsize=4096)(partial(load, Table))
_parse_link: Callable[[bytes], Link] = lru_cache(maxsize=4096)(partial(load, Link))

Sight = tuple[Suffix, Version]
"""An item, and a version of it that a message tells of."""


class SimulatedRegion:
    def __init__(self, name: str, models: dict[str, Model], clock: ManualClock, changed: Callable[[], None]) -> None:
        self.name = name
        self.clock = clock
        self.engine = TurningEngine(self._committed)
        self.models = models
        self.sights: Iterable[Sight] = ()
        """What the message that is being applied tells of."""
        self.conflicts = 0
        self.changes = 0
        """Commits that changed the store."""
        self._changed = changed
        self._forget_table(None)
        self.start()

    def start(self) -> None:
        """Start a process, which knows only what the store has."""
        self.region = Region(self.name, self.engine, self.clock, Settings(quotas=False))

    def load(self, state: MemoryState) -> None:
        """Begin with a store that another world has made."""
        self.engine.restore(state)
        self._table_changed(self.engine.committed_rows.get(TABLE_KEY))
        self.start()

    def _forget_table(self, table: Table | None) -> None:
        self.table = table
        self.greatest: dict[Suffix, Version] = {}
        """The greatest version that the replica ever had of each item."""
        self.seen: dict[Suffix, set[Version]] = defaultdict(set)
        self.replayed: dict[Suffix, Any] = {}
        """The table as its change log tells it."""
        self.links: dict[str, Link] = {}
        self._leaves_ms = 0
        """A replica that leaves waits for the others until then."""

    @property
    def model(self) -> Model | None:
        return None if self.table is None or self.table.group is None else self.models[self.table.group.id]

    @property
    def accepts_writes(self) -> bool:
        return self.table is not None and self.table.status == "ACTIVE"

    def items(self) -> dict[Suffix, Row]:
        assert self.table is not None
        rows = self.engine.committed_rows.scan(*fmt.space_range(self.table.space))
        return {fmt.in_space(key): Row(row) for key, row in rows}

    def tombstones(self) -> dict[Suffix, Version]:
        if self.table is None or self.table.tombstone_space is None:
            return {}
        rows = self.engine.committed_rows.scan(*fmt.space_range(self.table.tombstone_space))
        return {fmt.in_space(key): item_rows.parse_tombstone(row) for key, row in rows}

    def give_up(self) -> None:
        """The replica is removed, though the others may lack some of its writes."""
        if self.model is not None and self.table is not None:
            self.model.lost.add(self.table.id)

    # Judging a commit

    def _committed(self, buffer: Buffer) -> None:
        self.changes += 1
        self._changed()
        if self.table is not None and self.table.group is not None:
            self._judge_rows(buffer, self.table)
        if TABLE_KEY in buffer.rows:
            self._table_changed(buffer.rows[TABLE_KEY])

    def _table_changed(self, stored: bytes | None) -> None:
        before, after = self.table, None if stored is None else _parse_table(stored)
        if after is not None and after.status == "DELETING":
            self._leaves_ms = self._leaves_ms or self.clock.now_ms() + limits.LEAVING_MS
        elif after is None and self.model is not None and self.clock.now_ms() >= self._leaves_ms:
            self.give_up()
        self._joined_or_left(before, after)
        if before is None or after is None or before.id != after.id:
            self._forget_table(after)
            return
        self.table = after
        if after.group is not None and before.group is None:
            self._founded(self.models[after.group.id], after)

    def _joined_or_left(self, before: Table | None, after: Table | None) -> None:
        if before is not None and before.group is not None:
            model = self.models[before.group.id]
            model.replicas.discard(before.id)
            if after is not None and after.group is None and model.replicas:
                self.give_up()  # two parts of a group have given each other up
        if after is not None and after.group is not None:
            self.models.setdefault(after.group.id, Model()).replicas.add(after.id)

    def _founded(self, model: Model, table: Table) -> None:
        """The items of an ordinary table are the first ones of a group."""
        self._forget_table(table)
        for suffix, row in self.items().items():
            model.add(suffix, Write(row.version, row.json, frozenset(), table.id))
            self.greatest[suffix] = row.version
            self.seen[suffix].add(row.version)
            self.replayed[suffix] = orjson.loads(row.json)

    def _judge_rows(self, buffer: Buffer, table: Table) -> None:
        item, tombstone = table.prefix, fmt.space_prefix(table.tombstone_space or 0)
        log, link = fmt.space_prefix(table.log_space), fmt.links_of(table.space)[0]
        reported, has_read = [], False
        for key, value in buffer.rows.items():
            start = key[:4]
            if start == item:
                if value is not None:
                    self._applied(table, fmt.in_space(key), Row(value).version, Row(value).json)
            elif start == tombstone:
                if value is not None:
                    self._applied(table, fmt.in_space(key), item_rows.parse_tombstone(value), None)
            elif start == log:
                if value is not None:
                    self._logged(table, log_rows.parse(value))
            elif key.startswith(link):
                has_read |= self._moved(fmt.parse_link_key(key)[1], None if value is None else _parse_link(value))
            elif key.startswith(CONFLICT_PREFIX) and value is not None:
                reported.append(orjson.loads(value))
        for conflict in reported:
            self._judge_conflict(table, conflict)
        if has_read:
            for suffix, version in self.sights:
                self._see(suffix, version)
            self.sights = ()

    def _applied(self, table: Table, suffix: Suffix, version: Version, image: bytes | None) -> None:
        model = self.model
        assert model is not None
        known, last = model.find(suffix, version), self.greatest.get(suffix)
        is_old_tombstone = last == version and image is None  # dropped, and copied from another replica again
        require(
            last is None or last < version or is_old_tombstone,
            f"{self.name}: {suffix!r} went back from {last} to {version}",
        )
        if known is None:
            require(version.region == self.name, f"{self.name} applied {version} of {suffix!r}, which nobody wrote")
            model.add(suffix, Write(version, image, frozenset(self.seen[suffix]), table.id))
        elif known.image != image:
            raise Violation(f"{self.name}: {version} of {suffix!r} has another image than at {version.region}")
        self.greatest[suffix] = version
        self._see(suffix, version)

    def _see(self, suffix: Suffix, version: Version) -> None:
        """The region knows this write, and all that the write's region knew."""
        assert self.model is not None
        write = self.model.find(suffix, version)
        if write is not None and version not in self.seen[suffix]:
            self.seen[suffix] |= {version, *write.context}

    def _logged(self, table: Table, change: log_rows.ChangeRow) -> None:
        suffix = fmt.in_space(table.item_key(orjson.loads(change.keys)))
        old = None if change.old is None else orjson.loads(change.old)
        require(old == self.replayed.get(suffix), f"{self.name}: the log skips a change of {suffix!r}")
        if change.new is None:
            self._applied(table, suffix, Version(change.time, change.region), None)
            self.replayed.pop(suffix, None)
        else:
            self.replayed[suffix] = orjson.loads(change.new)

    def _moved(self, source: str, after: Link | None) -> bool:
        """Returns whether an answer of the source was applied."""
        before = self.links.pop(source, Link())
        if after is None:
            return False
        self.links[source] = after
        if before.table_id == after.table_id:
            require(is_forward(before, after), f"{self.name}: the link to {source} went back: {before} to {after}")
        if after.copy is not None and (before.copy is None or before.copy.began != after.copy.began):
            return False  # a copy begins; what else the answer tells is not applied
        return before.positions != after.positions or (before.copy is not None and before.copy != after.copy)

    def _judge_conflict(self, table: Table, conflict: dict[str, Any]) -> None:
        self.conflicts += 1
        suffix = fmt.in_space(table.item_key(conflict["key"]))
        winner, loser = (Version(conflict[side]["time"], conflict[side]["region"]) for side in ("winner", "loser"))
        require(winner > loser, f"{self.name}: {winner} cannot win over {loser}")
        assert self.model is not None
        if not self.model.is_conflict(suffix, winner, loser):
            raise Violation(f"{self.name}: {winner} and {loser} of {suffix!r} are no conflict")


def is_forward(before: links.Link, after: links.Link) -> bool:
    """Whether a link has not gone back in the source's log."""
    if after.seen < before.seen:
        return False
    if before.positions is None or after.positions is None:
        return before.positions is None
    old = dict(before.positions)
    return all(
        position >= old[shard] if shard in old else shard > min(old, default=-1) for shard, position in after.positions
    )
