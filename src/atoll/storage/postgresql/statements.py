"""The tables of a store, and every SQL statement.

    atoll.store        one row: the format of the database. Another version of Atoll refuses it.
    atoll.documents    documents that all front ends share: the credentials, principals that commands declare,
                      the key of session tokens
    "REGION".rows      the rows: a primary key and a value. bytea compares bytewise, shorter first
    "REGION".numbers, .tallies   the counters of the two kinds
    "REGION".commits   one row: how many transactions have changed this region
    "REGION".leases    who runs the background work, with an epoch that grows with each new holder
    "REGION".buckets   the token buckets that the front ends share

A region's schema has the region's name; with another account than the default one, ACCOUNT/REGION.

`fetch` reads all data that a batch of functions needs, and the number of commits, in one statement and so one snapshot.
The function `commit_batch` applies a batch in one statement: it takes the region's commit lock, compares the number of
commits with the fetched one, and changes nothing if there was another commit since. The lock is freed when the commit
is visible, so commits of a region happen one after the other.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

from atoll.storage.postgresql.longkeys import PREFIX_BYTES, STORED_BYTES
from atoll.storage.sqlitefile import FORMAT_VERSION as ROWS_VERSION

SCHEMA_VERSION = 1
FORMAT = f"{SCHEMA_VERSION}.{ROWS_VERSION}"
"""The version of the format: of the tables, and of the rows in them."""

COPYING = "copying"
"""The format of a store while a copy into it is incomplete."""
INCOMPLETE_COPY = "a copy into this store is not complete: run the same `atoll store copy` again"

PAGE_BYTES = 1_500_000
"""A scan fetches no further rows after this many bytes."""

ROW, NUMBER, COMMITS, TALLY, SCAN = 0, 1, 2, 3, 10
"""The kinds of fetched rows: `SCAN + i` is a row of the scan i."""

# Small hot rows are updated in place, if their pages have room, and cleaned often.
_HOT = (
    "fillfactor=50, autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=1000, autovacuum_vacuum_cost_delay=0,"
    " vacuum_truncate=off"
)

# See `longkeys`.
_FULL_KEY = (
    f"(case when octet_length(r.key) = {STORED_BYTES}"
    " then substr(r.value, 5, ('x' || encode(substr(r.value, 1, 4), 'hex'))::bit(32)::int4) else r.key end)"
)

SHARED = f"""
create schema if not exists atoll;
create table if not exists atoll.store (format text not null, created timestamptz not null default now());
create table if not exists atoll.documents (name text primary key, version int8 not null, content bytea not null)
    with ({_HOT});
insert into atoll.store (format) select '{FORMAT}' where not exists (select from atoll.store);
"""
"""Creates what all regions share. Run under `SETUP_LOCK`."""

MAY_CREATE = "select has_database_privilege(current_database(), 'CREATE')"
READ_FORMAT = "select format from atoll.store"
HAS_STORE = "select to_regclass('atoll.store') is not null"
# By the catalog: `to_regclass` fails for schemas that the user may not look into.
SCHEMAS = """
select nspname from pg_class c join pg_namespace n on n.oid = relnamespace where relname = 'commits' and relkind = 'r'
"""
HAS_SCHEMA = "select to_regclass($1) is not null"

VACUUMED = ("rows", "numbers", "tallies", "commits", "leases", "buckets")

READ_CHANGED = """
select name, d.version, content
from atoll.documents d join unnest($1::text[], $2::int8[]) known (name, version) using (name)
where d.version <> known.version
"""
READ_DOCUMENT = "select version, content from atoll.documents where name = $1"
WRITE_DOCUMENT = """
insert into atoll.documents values ($1, 1, $3)
on conflict (name) do update set version = documents.version + 1, content = excluded.content
where documents.version = $2 returning version
"""

SERVER = """
select pg_is_in_recovery(), current_setting('transaction_read_only') = 'on', current_setting('synchronous_commit')
"""
TIMELINE = "select ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int8"

POSITION = "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::int8"
REPLAYED = "select pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::int8"
# Positions are shown only to members of pg_monitor.
STANDBYS = """
select application_name, pg_wal_lsn_diff(replay_lsn, '0/0')::int8 from pg_stat_replication
where state = 'streaming' and replay_lsn is not null
"""
SESSION = "select pg_backend_pid()"

SETUP_LOCK = "select pg_advisory_xact_lock(4706829771)"
CLOCK_LOCKS = {
    "manual": "select pg_try_advisory_lock(4706829772)",
    "system": "select pg_try_advisory_lock_shared(4706829772)",
}
"""A front end with a manual clock has the store for itself."""


@lru_cache(maxsize=256)
def quoted(schema: str) -> str:
    return '"' + schema.replace('"', '""') + '"'


def commit_lock(schema: str) -> int:
    return int.from_bytes(sha256(b"atoll " + schema.encode()).digest()[:8], "big", signed=True)


def region(schema: str) -> str:
    """Creates a region. Run under `SETUP_LOCK`."""
    s = quoted(schema)
    return f"""
create schema if not exists {s};
create table if not exists {s}.rows (key bytea primary key with (fillfactor=80), value bytea not null)
    with (fillfactor=90, autovacuum_vacuum_scale_factor=0.05, autovacuum_vacuum_cost_delay=0, vacuum_truncate=off);
{_compress(f"{s}.rows")};
create table if not exists {s}.numbers (key bytea primary key, value int8 not null) with ({_HOT});
create table if not exists {s}.tallies (key bytea primary key, value int8 not null) with ({_HOT});
create table if not exists {s}.commits (one bool primary key, number int8 not null) with ({_HOT});
create table if not exists {s}.leases (name text primary key, owner text not null, epoch int8 not null,
    until timestamptz not null) with ({_HOT});
create table if not exists {s}.buckets (number int8 primary key, units float8 not null, at timestamptz not null)
    with ({_HOT});
insert into {s}.commits values (true, 1) on conflict do nothing;
create or replace function {s}.commit_batch(expected int8, starts bytea[], ends bytea[], deleted bytea[],
    keys bytea[], contents bytea[], number_keys bytea[], number_values int8[], tally_keys bytea[], amounts int8[])
returns int8 language plpgsql as $body$
declare current int8;
begin
    perform pg_advisory_xact_lock({commit_lock(schema)});
    select number into current from {s}.commits;
    if current <> expected then return -1; end if;
    if cardinality(starts) > 0 then
        delete from {s}.rows r using unnest(starts, ends) u(a, b)
        where r.key >= substr(u.a, 1, {PREFIX_BYTES})
            and r.key < case when octet_length(u.b) > {PREFIX_BYTES}
                then substr(u.b, 1, {PREFIX_BYTES}) || decode(repeat('ff', 33), 'hex') else u.b end
            and {_FULL_KEY} >= u.a and {_FULL_KEY} < u.b;
    end if;
    if cardinality(deleted) > 0 then delete from {s}.rows where key = any(deleted); end if;
    if cardinality(keys) > 0 then
        insert into {s}.rows as r select * from unnest(keys, contents)
        on conflict (key) do update set value = excluded.value;
    end if;
    if cardinality(number_keys) > 0 then
        insert into {s}.numbers as n select * from unnest(number_keys, number_values)
        on conflict (key) do update set value = excluded.value;
    end if;
    if cardinality(tally_keys) > 0 then
        insert into {s}.tallies as t select * from unnest(tally_keys, amounts)
        on conflict (key) do update set value = t.value + excluded.value;
    end if;
    update {s}.commits set number = current + 1;
    return current + 1;
end $body$;
create or replace function {s}.take_units(chosen int8[], full_units float8[], rates float8[], taken float8[])
returns table (number_ int8, units_ float8) language plpgsql as $body$
begin
    perform set_config('synchronous_commit', 'off', true);
    insert into {s}.buckets select u.n, u.f, now() from unnest(chosen, full_units) u(n, f) on conflict do nothing;
    perform from {s}.buckets where number = any(chosen) order by number for update;
    return query update {s}.buckets b
        set units = least(u.f, b.units + u.r * greatest(0, extract(epoch from clock_timestamp() - b.at))) - u.t,
            at = greatest(b.at, clock_timestamp())
        from unnest(chosen, full_units, rates, taken) u(n, f, r, t) where b.number = u.n returning b.number, b.units;
end $body$;
"""


def _compress(table: str) -> str:
    """Values are compressed by lz4, if the server was built with it."""
    return f"""
do $body$ begin
    if 'lz4' = any((select enumvals from pg_settings where name = 'default_toast_compression')::text[]) then
        alter table {table} alter value set compression lz4;
    end if;
end $body$"""


def take_units(schema: str) -> str:
    """Arguments, for each bucket: number, its units when full, units a second, units taken. Returns what they hold."""
    return f"select * from {quoted(schema)}.take_units($1, $2, $3, $4)"


def fill_buckets(schema: str) -> str:
    return f"delete from {quoted(schema)}.buckets where number = any($1::int8[])"


def forget_buckets(schema: str) -> str:
    return f"delete from {quoted(schema)}.buckets"


def lock(schema: str) -> str:
    """Begins a transaction, and waits for the commit lock."""
    return f"begin; select pg_advisory_xact_lock({commit_lock(schema)})"


@lru_cache(maxsize=256)
def commit_batch(schema: str) -> str:
    return f"select {quoted(schema)}.commit_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"


@lru_cache(maxsize=256)
def commits(schema: str) -> str:
    return f"select number from {quoted(schema)}.commits"


@lru_cache(maxsize=1024)
def fetch(schema: str, tallies: bool, forward: bool, backward: bool) -> str:
    """Arguments: keys of rows, keys of numbers, then keys of tallies if there are any, then three arrays (starts, ends,
    limits) for each direction that is scanned."""
    s = quoted(schema)
    parts = [
        f"select {ROW}, key, value from {s}.rows where key = any($1::bytea[])",
        f"select {NUMBER}, key, int8send(value) from {s}.numbers where key = any($2::bytea[])",
        f"select {COMMITS}, null, int8send(number) from {s}.commits",
    ]
    argument = 3
    if tallies:
        parts.append(f"select {TALLY}, key, int8send(value) from {s}.tallies where key = any(${argument}::bytea[])")
        argument += 1
    for direction, wanted in enumerate((forward, backward)):
        if wanted:
            parts.append(_scan(s, argument, direction))
            argument += 3
    return " union all ".join(parts)


@lru_cache(maxsize=256)
def rows_between(schema: str) -> str:
    s = quoted(schema)
    return (
        f"select {ROW}, key, value from {s}.rows where key >= $1::bytea and key < $2::bytea"
        f" union all select {COMMITS}, null, int8send(number) from {s}.commits"
    )


def _scan(s: str, argument: int, direction: int) -> str:
    order = ("asc", "desc")[direction]
    return f"""
select ({SCAN} + 2 * (u.i - 1) + {direction})::int4, r.key, r.value
from unnest(${argument}::bytea[], ${argument + 1}::bytea[], ${argument + 2}::int8[]) with ordinality u(a, b, n, i)
cross join lateral (
    select key, value, sum(octet_length(key) + octet_length(value))
        over (order by key {order} rows between unbounded preceding and 1 preceding) before
    from (select key, value from {s}.rows where key >= u.a and key < u.b order by key {order} limit u.n) page
) r where coalesce(r.before, 0) < {PAGE_BYTES}"""


def take_lease(schema: str) -> str:
    """Arguments: name, owner, seconds. No row: another owner has it."""
    return f"""
insert into {quoted(schema)}.leases as l values ($1, $2, 1, now() + make_interval(secs => $3))
on conflict (name) do update set owner = excluded.owner, until = excluded.until,
    epoch = case when l.owner = excluded.owner then l.epoch else l.epoch + 1 end
where l.owner = excluded.owner or l.until < now() returning epoch"""


def leave_lease(schema: str) -> str:
    return f"update {quoted(schema)}.leases set until = now() where name = $1 and owner = $2"


def size_of(schema: str) -> str:
    """The bytes of all tables in a region's schema with their indexes, as they are on the disk."""
    name = schema.replace("'", "''")
    return (
        "select coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8 from pg_class c"
        f" join pg_namespace n on n.oid = relnamespace where nspname = '{name}' and relkind = 'r'"
    )
