"""The two ends of a copy for a store in PostgreSQL: source and target.

While a copy into a store is incomplete, its format is `copying`, which front ends refuse. The table `atoll.copying` has
the positions of the copy and is dropped at the end.
"""

from __future__ import annotations

from collections.abc import Iterator

from atoll.copying.contents import (
    BATCH_BYTES,
    BATCH_ROWS,
    CREDENTIALS,
    PRINCIPALS,
    SHARED_DOCUMENTS,
    CannotCopy,
    Counter,
    RowBatch,
    Sums,
    Verification,
)
from atoll.storage.postgresql import statements
from atoll.storage.postgresql.direct import Direct

_SUM = """
select count(*), coalesce(sum(('x' || substr(hash, 1, 15))::bit(60)::int8), 0)::text from (
    select encode(sha256(int4send(octet_length(key)) || key || {value}), 'hex') hash from {table} {where}
) hashed
"""
_BEGIN_READING = "begin isolation level repeatable read read only"

_BATCH = f"""
select key, value from (
    select key, value, sum(octet_length(value))
        over (order by key rows between unbounded preceding and 1 preceding) before
    from (select key, value from {{table}} where key > $1 order by key limit $2) page
) r where coalesce(before, 0) < {BATCH_BYTES}
"""


class _Database:
    def __init__(self, url: str) -> None:
        """Raises `BadStore`."""
        self._direct = Direct(url)

    def __str__(self) -> str:
        return str(self._direct)

    def close(self) -> None:
        self._direct.close()

    def count(self, region: str) -> int:
        found: int = self._direct.value(f"select count(*) from {statements.quoted(region)}.rows")
        return found

    def sums(self, region: str) -> Verification:
        name = statements.quoted(region)
        rows = self._sum(f"{name}.rows", "value", "")
        numbers, tallies = (
            self._sum(f"{name}.{table}", "int8send(value)", "where value <> 0") for table in ("numbers", "tallies")
        )
        return rows, numbers, tallies

    def _sum(self, table: str, value: str, where: str) -> Sums:
        ((count, digest),) = self._direct.fetch(_SUM.format(table=table, value=value, where=where))
        return Sums(count, int(digest))


class SourceDatabase(_Database):
    """Reads everything from one snapshot."""

    def __init__(self, url: str, *, is_used: bool = False) -> None:
        """`is_used`: front ends may use the store meanwhile. Raises `BadStore`, unless `is_used` also if a front end
        uses the store."""
        super().__init__(url)
        self._direct.require_format()
        if not is_used:
            self._direct.claim()
        self._direct.execute(_BEGIN_READING)

    def regions(self) -> list[str]:
        return self._direct.regions()

    def batches(self, region: str, position: bytes) -> Iterator[RowBatch]:
        statement = _BATCH.format(table=f"{statements.quoted(region)}.rows")
        while rows := self._direct.fetch(statement, position, BATCH_ROWS):
            position = rows[-1][0]
            yield RowBatch([(key, value) for key, value in rows], position)

    def counters(self, region: str, *, tallies: bool) -> list[Counter]:
        table = "tallies" if tallies else "numbers"
        name = statements.quoted(region)
        return [(k, v) for k, v in self._direct.fetch(f"select key, value from {name}.{table} where value <> 0")]

    def document(self, name: str) -> bytes | None:
        rows = self._direct.fetch(statements.READ_DOCUMENT, name)
        return bytes(rows[0][1]) if rows else None


class TargetDatabase(_Database):
    documents: tuple[str, ...] = SHARED_DOCUMENTS

    def __init__(self, url: str) -> None:
        """Raises `BadStore`, also if a front end uses the store."""
        super().__init__(url)
        self._direct.claim()

    def begin(self, regions: list[str]) -> bool:
        direct = self._direct
        is_new = not direct.value(statements.HAS_STORE)
        if not is_new and direct.value(statements.READ_FORMAT) != statements.COPYING:
            direct.require_format()
            self._require_empty()
        direct.execute(f"begin; {statements.SETUP_LOCK}; {statements.SHARED}")
        direct.execute(
            f"update atoll.store set format = '{statements.COPYING}';"
            " create table if not exists atoll.copying (region text primary key, position bytea not null)"
        )
        for region in regions:
            direct.execute(statements.region(region))
        direct.commit()
        return False

    def _require_empty(self) -> None:
        for region in self._direct.regions():
            if self._direct.value(f"select exists (select from {statements.quoted(region)}.rows)"):
                raise CannotCopy(f"{self} is not empty: it has tables in {region}")
        for name in (CREDENTIALS, PRINCIPALS):
            if self._direct.fetch(statements.READ_DOCUMENT, name):
                raise CannotCopy(f"{self} is not empty: it has {name}")

    def position(self, region: str) -> bytes:
        found = self._direct.value("select position from atoll.copying where region = $1", region)
        return b"" if found is None else bytes(found)

    def write(self, region: str, batch: RowBatch) -> None:
        direct = self._direct
        direct.execute("begin")
        direct.fetch(
            f"insert into {statements.quoted(region)}.rows select * from unnest($1::bytea[], $2::bytea[])",
            [key for key, _ in batch.rows],
            [value for _, value in batch.rows],
        )
        direct.fetch(
            "insert into atoll.copying values ($1, $2) on conflict (region) do update set position = excluded.position",
            region,
            batch.position,
        )
        direct.commit()

    def write_counters(self, region: str, numbers: list[Counter], tallies: list[Counter]) -> None:
        direct, name = self._direct, statements.quoted(region)
        direct.execute(f"begin; delete from {name}.numbers; delete from {name}.tallies")
        for table, counters in (("numbers", numbers), ("tallies", tallies)):
            direct.fetch(
                f"insert into {name}.{table} select * from unnest($1::bytea[], $2::int8[])",
                [key for key, _ in counters],
                [value for _, value in counters],
            )
        direct.commit()

    def write_document(self, name: str, content: bytes) -> None:
        self._direct.fetch(
            "insert into atoll.documents values ($1, 1, $2)"
            " on conflict (name) do update set version = documents.version + 1, content = excluded.content",
            name,
            content,
        )

    def complete(self) -> None:
        self._direct.execute(f"begin; drop table atoll.copying; update atoll.store set format = '{statements.FORMAT}'")
        self._direct.commit()
