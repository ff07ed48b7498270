"""How far a replica has read the changes of another one: a `Link` for each region that it reads from.

A link is a row beside the table. Whoever applies changes stores the new link in the same transaction, so a change that
is applied twice or a process that is killed loses nothing and repeats little.

A replica that lacks too much copies the items and tombstones of another one (`Copy`), then reads the changes that were
made since.

`stable_time` tells which tombstones are not needed any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from atoll.database import format as fmt
from atoll.database.log.cursor import Cursor
from atoll.database.records import dump, load
from atoll.database.schema import Table
from atoll.storage.engine import Snapshot, Transaction

ITEMS, TOMBSTONES = "items", "tombstones"


@dataclass(frozen=True)
class Copy:
    """A walk over all rows of a table, under way."""

    part: str = ITEMS
    """ITEMS, then TOMBSTONES"""
    after: str = ""
    """The key of the last row visited, without its space, in hexadecimal digits."""


@dataclass(frozen=True)
class Link:
    table_id: str = ""
    """The source's table; a table that was made again has another log."""
    positions: tuple[tuple[int, int], ...] | None = None
    """The numbers to read next in the shards of its log, see `Cursor`. None: its beginning."""
    copy: Copy | None = None
    """`positions` are of the time at which the copy began."""
    revert: Copy | None = None
    """A master was promoted that lacks some changes of the one before: how far this replica has undone them."""
    seen: int = 0
    """All changes made there with versions up to this time have been applied."""
    others: tuple[tuple[str, int], ...] = ()
    """The same of the source: what it has seen of other regions."""
    drained: bool = False
    """That region has read all changes of this one, which is leaving."""

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


def _parse(stored: bytes) -> Link:
    link: Link = load(Link, stored)
    return link


def seen(links: Mapping[str, Link]) -> dict[str, int]:
    """What a replica has seen of each other one."""
    return {source: link.seen for source, link in links.items()}


def stable_time(snapshot: Snapshot, table: Table) -> int:
    """Every replica has applied all changes with versions up to this time. So no change and no copy can bring back an
    item that was deleted by then."""
    assert table.group is not None
    own, links = table.group.own, of(snapshot, table)
    regions = [member.region for member in table.group.present]
    known = {region: dict(links[region].others) for region in regions if region in links} | {own: seen(links)}
    return min(
        (known.get(reader, {}).get(writer, 0) for reader in regions for writer in regions if reader != writer),
        default=0,
    )
