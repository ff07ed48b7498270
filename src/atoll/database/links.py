"""Store how far a replica has read the changes of others: a `Link` for each region that it reads from.

A link is a row beside the table. The transaction that applies changes also stores the new link. So a process that is
killed skips no change, and an answer that arrives twice is applied once.

A replica that lacks too much copies the items and tombstones of another one (`Copy`), then reads the changes that were
made since.

`seen` is the source's `Group.floor`, taken from an answer that left nothing to read: this replica has applied all
changes made there with versions up to this time, and no more will come.

`stable_time` is the time up to which tombstones are not needed any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from atoll.database import format as fmt
from atoll.database.group import Group
from atoll.database.log.cursor import Cursor
from atoll.database.records import dump, load
from atoll.database.schema import Table
from atoll.storage.engine import Snapshot, Transaction

ITEMS, TOMBSTONES = "items", "tombstones"

Positions = tuple[tuple[int, int], ...]
"""The number to read next in each shard that is being read, see `Cursor`."""


@dataclass(frozen=True)
class Copy:
    """An unfinished walk over all rows of a table."""

    part: str = ITEMS
    """ITEMS, then TOMBSTONES."""
    after: str = ""
    """The key of the last row visited, without its space, in hexadecimal digits."""
    began: int = 0
    """When it began, as a hybrid logical clock time: it distinguishes answers from those to an earlier copy."""


@dataclass(frozen=True)
class Link:
    table_id: str = ""
    """The id of the source's table; a table that was deleted and recreated has another log."""
    positions: Positions | None = None
    """The positions in the source's log; None means its beginning."""
    copy: Copy | None = None
    """The copy under way, if any; then `positions` are from its beginning."""
    revert: Copy | None = None
    """The progress of undoing the changes that a newly promoted master lacks."""
    seen: int = 0
    """This replica has applied all changes made there with versions up to this time."""
    others: tuple[tuple[str, str, int], ...] = ()
    """The times that the source has seen of other regions, as (region, its table's id, time)."""
    drained: bool = False
    """This region is leaving, and that one has read all of its changes."""
    ended: bool = False
    """That region is leaving, and all of its changes have been read."""
    evened: tuple[tuple[str, int], ...] = ()
    """Lost members, as (region, number): the source was copied after it had read the last of their changes."""

    @property
    def cursor(self) -> Cursor | None:
        return None if self.positions is None else Cursor(self.positions)


def find(snapshot: Snapshot, table: Table, source: str) -> Link | None:
    stored = snapshot.get(fmt.link_key(table.space, source))
    return None if stored is None else _parse(stored)


def of(snapshot: Snapshot, table: Table) -> dict[str, Link]:
    """All links of a table, by the region that they read from."""
    return {fmt.parse_link_key(key)[1]: _parse(row) for key, row in snapshot.scan(*fmt.links_of(table.space))}


def save(tx: Transaction, table: Table, source: str, link: Link) -> None:
    tx.put(fmt.link_key(table.space, source), dump(link))


def remove(tx: Transaction, table: Table, source: str) -> None:
    tx.delete(fmt.link_key(table.space, source))


@lru_cache(maxsize=1024)
def _parse(stored: bytes) -> Link:
    link: Link = load(Link, stored)
    return link


def seen(links: Mapping[str, Link], group: Group) -> tuple[tuple[str, str, int], ...]:
    """The times that a replica has seen of each other one, as in `Link.others`; 0 for a replica that it still has to
    copy."""

    def time(link: Link) -> int:
        return link.seen if link.copy is None and group.lost <= set(link.evened) else 0

    return tuple((source, link.table_id, time(link)) for source, link in links.items())


def stable_time(snapshot: Snapshot, table: Table) -> int:
    """A time up to which every replica has applied all changes, and none makes further ones. So no change and no copy
    can bring back an item that was deleted before."""
    group = table.group
    assert group is not None
    links = of(snapshot, table)
    tables = {group.own: table.id} | {region: link.table_id for region, link in links.items()}
    told = {group.own: seen(links, group)} | {region: link.others for region, link in links.items()}
    known = {(reader, *entry[:2]): entry[2] for reader, entries in told.items() for entry in entries}
    regions = [member.region for member in group.present]
    pairs = [(reader, writer) for reader in regions for writer in regions if reader != writer]
    return min(
        (known.get((reader, writer, tables.get(writer, "")), 0) for reader, writer in pairs), default=group.floor
    )
