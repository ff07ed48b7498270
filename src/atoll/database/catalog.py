"""The tables of a region: rows in space 0, cached per process.

The cache is an immutable value, `Definitions`: all tables at one generation, a number that every change of the catalog
increments. Each lookup compares that number in its own snapshot or transaction, so a write never uses an outdated
definition. At another generation, the lookup reads the table's row in its snapshot instead, and counts a miss; it never
changes the definitions. After enough misses, `Region` reloads them outside, from committed rows only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from atoll import errors, limits
from atoll.database import due
from atoll.database import format as fmt
from atoll.database.records import dump, load
from atoll.database.schema import Table
from atoll.database.vectors.definition import VectorIndex
from atoll.errors import tables as table_errors
from atoll.storage.engine import Snapshot, Transaction


class Definitions(NamedTuple):
    generation: int
    tables: Mapping[str, Table]
    """The tables by name, in the order of names."""


NOTHING_KNOWN = Definitions(-1, {})


PARSED = 20 * limits.TABLES


# A change of one table makes every process reload all tables; this cache avoids parsing unchanged rows again. A node
# without quotas may have more tables than an account.
@lru_cache(maxsize=PARSED)
def _parse(stored: bytes) -> Table:
    table: Table = load(Table, stored)
    return table


def read_definitions(snapshot: Snapshot) -> Definitions:
    tables = [_parse(stored) for _, stored in snapshot.scan(*fmt.TABLES)]
    return Definitions(snapshot.number(fmt.GENERATION), {table.name: table for table in tables})


class Catalog:
    def __init__(self) -> None:
        self.known = NOTHING_KNOWN
        """Replaced as a whole, outside of transactions."""
        self.misses = 0
        """Lookups since then at another generation. A hint: threads may lose a count."""

    @property
    def is_outdated(self) -> bool:
        """Whether there were enough misses to be worth reloading all definitions."""
        return self.misses > len(self.known.tables) // 8

    def learn(self, definitions: Definitions) -> None:
        self.known = definitions
        self.misses = 0

    def find(self, snapshot: Snapshot, name: str) -> Table | None:
        """The stored table, in any status."""
        known = self.known
        if snapshot.number(fmt.GENERATION) == known.generation:
            return known.tables.get(name)
        self.misses += 1
        stored = snapshot.get(fmt.table_key(name))
        return None if stored is None else _parse(stored)

    def forget(self) -> None:
        self.known = NOTHING_KNOWN

    def usable(self, snapshot: Snapshot, name: str, now_ms: int) -> Table:
        """The table for the data plane: it must exist, and be neither CREATING nor DELETING."""
        table = self.find(snapshot, name)
        if table is None or (table.status != "ACTIVE" and table.status_at(now_ms) in ("CREATING", "DELETING")):
            raise errors.resource_not_found()
        return table

    def described(self, snapshot: Snapshot, name: str, now_ms: int) -> Table:
        """The table for the control plane, in any status."""
        table = self.find(snapshot, name)
        if table is None or table.gone_at(now_ms):
            raise table_errors.table_not_found(name)
        return table

    def changeable(self, snapshot: Snapshot, name: str, now_ms: int) -> Table:
        """The table for a change of its definition: it must be neither CREATING nor DELETING."""
        table = self.described(snapshot, name, now_ms)
        if table.origin is not None:
            raise table_errors.table_not_found(name)
        status = table.status_at(now_ms)
        if status == "CREATING":
            raise table_errors.table_being_created(name)
        if status == "DELETING":
            raise table_errors.table_being_deleted(name)
        return table

    def tables(self, snapshot: Snapshot) -> list[Table]:
        """All stored tables, sorted by name."""
        known = self.known
        if snapshot.number(fmt.GENERATION) != known.generation:
            self.misses += 1 + len(known.tables) // 16
            known = read_definitions(snapshot)
        return list(known.tables.values())


def save(tx: Transaction, table: Table) -> None:
    """Store the table, and schedule the background work that its definition requires."""
    tx.put(fmt.table_key(table.name), dump(table))
    tx.add_number(fmt.GENERATION, 1)
    for due_ms, kind in table.work():
        due.schedule(tx, due_ms, kind, table.name.encode())


def new_space(tx: Transaction) -> int:
    return tx.add_number(fmt.SPACES, 1)


def renewed(tx: Transaction, indexes: Iterable[VectorIndex]) -> tuple[VectorIndex, ...]:
    """The indexes of another table, for a new table: empty, in new spaces."""
    return tuple(
        [
            replace(index, space=new_space(tx), log_space=new_space(tx), status="ACTIVE", backfilling=False, due_ms=0)
            for index in indexes
            if index.status != "DELETING"
        ]
    )
