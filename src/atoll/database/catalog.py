"""The tables of a region: rows in space 0, cached per process.

Another process may change the catalog, so each use compares one counter, the generation, with that of the cache. The
counter is read in the same snapshot or transaction as the data: a write can never use a table definition that was
replaced before it.
"""

from __future__ import annotations

from functools import lru_cache

from atoll import errors, limits
from atoll.database import format as fmt
from atoll.database.schema import Table, dump, load
from atoll.errors import tables as texts
from atoll.storage.engine import Snapshot, Transaction


# A change of one table makes everybody read all anew; those that did not change need not be built again.
@lru_cache(maxsize=limits.TABLES)
def _parse(stored: bytes) -> Table:
    table: Table = load(Table, stored)
    return table


class Catalog:
    def __init__(self) -> None:
        self._generation = -1
        self._tables: dict[str, Table] = {}
        self._all_generation = -1
        self._all: list[Table] | None = None

    def find(self, snapshot: Snapshot, name: str) -> Table | None:
        """The table as it is stored, whatever its status."""
        generation = snapshot.number(fmt.GENERATION)
        if generation != self._generation:
            self._tables.clear()
            self._generation = generation
        try:
            return self._tables[name]
        except KeyError:
            stored = snapshot.get(fmt.table_key(name))
            if stored is None:
                return None
            table = self._tables[name] = _parse(stored)
            return table

    def forget(self) -> None:
        """Read everything anew: what was cached may have been read in a transaction that failed."""
        self._generation = self._all_generation = -1

    def usable(self, snapshot: Snapshot, name: str, now_ms: int) -> Table:
        """The table for the data plane: it has to be there and neither being created nor deleted."""
        table = self.find(snapshot, name)
        if table is None or (table.status != "ACTIVE" and table.status_at(now_ms) in ("CREATING", "DELETING")):
            raise errors.resource_not_found()
        return table

    def described(self, snapshot: Snapshot, name: str, now_ms: int) -> Table:
        """The table for the control plane, in any status."""
        table = self.find(snapshot, name)
        if table is None or table.gone_at(now_ms):
            raise texts.table_not_found(name)
        return table

    def changeable(self, tx: Transaction, name: str, now_ms: int) -> Table:
        """The table for a change of its definition: it has to be ACTIVE."""
        table = self.described(tx, name, now_ms)
        status = table.status_at(now_ms)
        if status == "CREATING":
            raise texts.table_being_created(name)
        if status == "UPDATING":
            raise texts.table_being_updated(name)
        if status == "DELETING":
            raise texts.table_being_deleted(name)
        return table

    def tables(self, snapshot: Snapshot) -> list[Table]:
        """All tables as they are stored, in the order of their names."""
        generation = snapshot.number(fmt.GENERATION)
        if self._all is None or generation != self._all_generation:
            self._all = [_parse(stored) for _, stored in snapshot.scan(*fmt.TABLES)]
            self._all_generation = generation
        return self._all


# A transaction sees its own writes but the cache is keyed by the committed generation: whoever saves a table must not
# look it up again in the same transaction.


def save(tx: Transaction, table: Table) -> None:
    tx.put(fmt.table_key(table.name), dump(table))
    tx.add_number(fmt.GENERATION, 1)


def new_space(tx: Transaction) -> int:
    return tx.add_number(fmt.SPACES, 1)
