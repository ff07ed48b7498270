"""The tables of pgvector in the schema of a region, and the SQL.

    "REGION".vectors       a row for each table: see `TableState`
    "REGION".vectors_SPACE the entries of the index with this space; `vectors_SPACE_graph` is its HNSW index

A transaction that changes a table first locks the table's row in `vectors`, and ends if the row has changed. So two
front ends that both believe that they hold the lease do no harm. These transactions need not be durable at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

PLAIN_BYTES = 6_000
"""Larger embeddings are stored outside of their rows, because a row must fit into a page of 8 KB."""

EXTENSION = """
select string_to_array(extversion, '.'), nspname, to_regclass($1) is not null
from (select) one left join pg_extension on extname = 'vector' left join pg_namespace n on n.oid = extnamespace
"""
HAS_STATES = "select to_regclass($1) is not null"
IS_AVAILABLE = "select exists (select from pg_available_extensions where name = 'vector')"
LOCK = "select pg_advisory_xact_lock(4706829773)"
CREATE_EXTENSION = f"begin; {LOCK}; create extension if not exists vector; commit"
BEGIN = "begin; set local synchronous_commit = off"

WALKING, FILLED, GRAPH, UNFIT = "walking", "filled", "graph", "unfit"


class TableState(NamedTuple):
    space: int
    shape: str
    """See `encoding.shape`."""
    stage: str
    """WALKING: the table is being filled. FILLED: it has all entries. GRAPH: it has a graph, too. UNFIT: the graph
    found too few of the nearest entries, so the table was dropped."""
    position: int
    """The number of the last change that the table has."""
    walked: bytes
    """The last key that was read to fill the table."""
    entries: int
    """The number of the index's entries at the last change of the table."""
    breadth: int
    """How many candidates a search of the graph keeps (`hnsw.ef_search`); 0 until the graph is measured."""
    measured: int
    """The position at the last measurement."""


@dataclass(frozen=True)
class Names:
    """The names of one table and its parts in SQL."""

    schema: str
    """The region's schema, quoted."""
    extension: str
    """The schema of the extension."""
    space: int
    type: str
    """The type of the column: vector or halfvec."""
    operator: str
    operators: str
    """The operator class of the graph."""

    @property
    def states(self) -> str:
        return f"{self.schema}.vectors"

    @property
    def table(self) -> str:
        return f"{self.schema}.vectors_{self.space}"

    @property
    def distance(self) -> str:
        return f"embedding operator({self.within}.{self.operator}) $1"

    @property
    def within(self) -> str:
        """The schema of the extension, quoted."""
        return '"' + self.extension.replace('"', '""') + '"'


def read_states(schema: str) -> str:
    return f"select {', '.join(TableState._fields)} from {schema}.vectors"


def read_state(schema: str) -> str:
    return f"{read_states(schema)} where space = $1"


def claim(names: Names) -> str:
    """Read and lock the table's state. Returns no row if another front end has locked it."""
    return f"{read_state(names.schema)} for update skip locked"


def create(names: Names, shape: str, dimensions: int, position: int, *, has_hashes: bool) -> str:
    """Create the table, in place of any earlier one."""
    lines = [
        BEGIN,
        LOCK,
        f"create table if not exists {names.states} (space int8 primary key, shape text not null, stage text not null,"
        " position int8 not null, walked bytea not null, entries int8 not null, breadth int4 not null,"
        " measured int8 not null)",
        f"drop table if exists {names.table}",
        f"create table {names.table} (id bytea primary key, key bytea not null, size int4 not null,"
        f" hashes int8[] not null, embedding {names.within}.{names.type}({dimensions}) not null)",
    ]
    if dimensions * (4 if names.type == "vector" else 2) <= PLAIN_BYTES:
        lines.append(f"alter table {names.table} alter embedding set storage plain")
    if has_hashes:
        lines.append(f"create index on {names.table} using gin (hashes) with (fastupdate = off)")
    values = f"({names.space}, '{shape}', '{WALKING}', {position}, '', 0, 0, 0)"
    columns = TableState._fields[1:]
    lines += [
        f"insert into {names.states} (space, {', '.join(columns)}) values {values} on conflict (space) do update set"
        f" ({', '.join(columns)}) = ({', '.join(f'excluded.{name}' for name in columns)})",
        "commit",
    ]
    return "; ".join(lines)


def update(names: Names) -> str:
    columns = TableState._fields[1:]
    values = ", ".join(f"${number}" for number in range(2, len(TableState._fields) + 1))
    return f"update {names.states} set ({', '.join(columns)}) = ({values}) where space = $1"


def put(names: Names) -> str:
    """Arguments: arrays of ids, keys, sizes, hashes as text, embeddings."""
    columns = ("key", "size", "hashes", "embedding")
    return (
        f"insert into {names.table} (id, {', '.join(columns)}) select id, key, size, hashes::int8[], embedding"
        f" from unnest($1::bytea[], $2::bytea[], $3::int4[], $4::text[], $5::{names.within}.{names.type}[])"
        f" u (id, {', '.join(columns)})"
        f" on conflict (id) do update set {', '.join(f'{name} = excluded.{name}' for name in columns)}"
    )


def remove(names: Names) -> str:
    return f"delete from {names.table} where id = any($1::bytea[])"


def build_graph(names: Names) -> str:
    return (
        f"create index {names.table.rpartition('.')[2]}_graph on {names.table}"
        f" using hnsw (embedding {names.within}.{names.operators})"
    )


def drop_graph(names: Names) -> str:
    return f"drop index if exists {names.table}_graph"


def drop_table(schema: str, space: int) -> str:
    return f"drop table if exists {schema}.vectors_{space}"


def forget(schema: str, space: int) -> str:
    """Drop a table and its state."""
    return f"{BEGIN}; {drop_table(schema, space)}; delete from {schema}.vectors where space = {space}; commit"


def sample(names: Names, percent: float) -> str:
    return f"select key, size from {names.table} tablesample system ({percent})"


# Searches. A store's sessions disable plans that need statistics (see `storage.postgresql`); searches enable them.

ALLOW_SCAN = "set local enable_seqscan = on"
ALLOW_FILTERED = "set local enable_bitmapscan = on"


def begin_search(names: Names) -> str:
    """Begin a transaction during which the table cannot be recreated."""
    return f"begin read only; lock table {names.table} in access share mode"


def allow_graph(breadth: int, most_tuples: int) -> str:
    settings = {
        "hnsw.ef_search": breadth,
        "hnsw.iterative_scan": "relaxed_order",
        "hnsw.max_scan_tuples": most_tuples,
        "enable_seqscan": "off",
        "enable_bitmapscan": "off",
    }
    return "; ".join(f"set local {name} = {value}" for name, value in settings.items())


def scan(names: Names, *, filtered: bool) -> str:
    """Compare the query with each entry that fits. Returns the nearest ones, and how many fit. Arguments: query, the
    number of nearest entries, the number of fitting entries to read, hashes."""
    where = "where hashes @> $4::int8[]" if filtered else ""
    return (
        f"with fit as materialized (select key, size, {names.distance} as distance from {names.table} {where} limit $3)"
        " select key, size, distance, (select count(*) from fit) from fit order by distance limit $2"
    )


def graph(names: Names, *, filtered: bool) -> str:
    """Search the graph. Arguments: query, the number of entries, hashes."""
    where = "where hashes @> $3::int8[]" if filtered else ""
    return f"select key, size, {names.distance} from {names.table} {where} order by {names.distance} limit $2"
