"""Check the due index: all work that other rows make necessary is scheduled. Superfluous work does no harm."""

from __future__ import annotations

from collections.abc import Iterator

from atoll import limits
from atoll.check import findings as on
from atoll.check.findings import Context, Finding
from atoll.check.spaces import Spaces, parsed, readable_subject
from atoll.database import background, backups, expiry
from atoll.database import format as fmt
from atoll.database.garbage import Garbage
from atoll.database.schema import Table, TimeToLive
from atoll.database.streams import StreamDescription
from atoll.database.tokens import Token
from atoll.storage.engine import Snapshot
from atoll.versions import COUNTER_BITS

_NAMES = {
    fmt.ROTATE: "the rotation of the stream's shards",
    fmt.DELETE: "the deletion of the table",
    fmt.INDEX: "the change of an index",
    fmt.BUILD_EXPIRY: "the change of time to live",
    fmt.EXPIRE: "the deletion of expired items",
    fmt.TRIM: "the trimming of a shard",
    fmt.END_STREAM: "the end of a stream",
    fmt.SWEEP: "the deletion of a discarded space",
    fmt.FORGET: "the deletion of an idempotency token",
    fmt.EXPIRE_BACKUP: "the deletion of a deleted table's backup",
    fmt.DROP_TOMBSTONES: "the deletion of the versions that deletions left",
}


def check(snapshot: Snapshot, context: Context) -> Iterator[Finding]:
    return _Schedule(snapshot, context).findings()


class _Schedule:
    def __init__(self, snapshot: Snapshot, context: Context) -> None:
        self._snapshot = snapshot
        self._context = context
        self._scheduled: set[tuple[bytes, bytes]] = set()
        """Kinds and subjects, without those of tokens, which may be many."""
        self._tokens: set[bytes] | None = None

    def findings(self) -> Iterator[Finding]:
        snapshot = self._snapshot
        for key, _ in snapshot.scan(*fmt.DUE):
            _, kind, subject = fmt.parse_due(key)
            if kind not in background.JOBS:
                text = "the scheduled work is of no known kind"
                yield Finding(on.SCHEDULE, None, readable_subject(subject), text, (on.delete(key),))
            elif kind != fmt.FORGET:
                self._scheduled.add((kind, subject))
        for table in Spaces(snapshot).tables.values():
            yield from self._check_table(table)
        for key, _ in snapshot.scan(*fmt.SHARDS):
            yield from self._check(self._context.now_ms, fmt.TRIM, fmt.subject_of(key))
        for _, stream in parsed(snapshot, fmt.STREAMS, StreamDescription):
            if stream is not None and stream.disabled_ms is not None:
                due_ms = stream.disabled_ms + limits.STREAM_RETENTION_MS
                yield from self._check(due_ms, fmt.END_STREAM, fmt.subject_of(stream.key), stream.table)
        for key, garbage in parsed(snapshot, fmt.GARBAGE, Garbage):
            if garbage is not None:
                yield from self._check(garbage.due_ms, fmt.SWEEP, fmt.subject_of(key))
        for backup in backups.listed(snapshot):
            if backup.expires_ms is not None:
                subject = fmt.subject_of(fmt.document_key(backups.KIND, backup.id))
                yield from self._check(backup.expires_ms, fmt.EXPIRE_BACKUP, subject, backup.table.name)
        yield from self._check_tokens()

    def _check(self, due_ms: int, kind: bytes, subject: bytes, table: str | None = None) -> Iterator[Finding]:
        if (kind, subject) not in self._scheduled:
            fix = on.put(fmt.due_key(due_ms, kind, subject), b"")
            text = f"{_NAMES[kind]} is not scheduled"
            yield Finding(on.SCHEDULE, table, readable_subject(subject), text, (fix,))

    def _check_table(self, table: Table) -> Iterator[Finding]:
        subject = table.name.encode()
        for due_ms, kind in table.work():
            if kind != fmt.EXPIRE:
                yield from self._check(due_ms, kind, subject, table.name)
        if table.ttl is not None and table.ttl.status == "ENABLED" and table.status != "DELETING":
            yield from self._check_expiry(table, table.ttl)

    def _check_expiry(self, table: Table, ttl: TimeToLive) -> Iterator[Finding]:
        """Check that deletions of expired items are scheduled. A number in the store has the scheduled second; see
        `database.expiry`."""
        snapshot, subject = self._snapshot, table.name.encode()
        # Time to live ignores items that expired long ago, even if the clock was set back since.
        latest_ms = max(self._context.now_ms, snapshot.number(fmt.GREATEST_TIME) >> COUNTER_BITS)
        oldest = fmt.expiry_start(ttl.space, max(0, latest_ms // 1000 - limits.TTL_OLDEST_SECONDS))
        first = snapshot.first([(oldest, fmt.space_range(ttl.space)[1])])[0]
        number = fmt.expiry_due_number(ttl.space)
        scheduled = snapshot.number(number)
        if (fmt.EXPIRE, subject) not in self._scheduled:
            if first is None and scheduled == 0:
                return
            second = 0 if first is None else fmt.parse_expiry(first[0], table.space)[0]
        elif first is not None and not self._is_due_by(scheduled, first[0], table):
            second = fmt.parse_expiry(first[0], table.space)[0]
        else:
            return
        due = on.put(fmt.due_key(expiry.due_ms(second), fmt.EXPIRE, subject), b"")
        text = f"{_NAMES[fmt.EXPIRE]} is not scheduled"
        yield Finding(on.SCHEDULE, table.name, table.name, text, (due, on.set_number(number, second + 1)))

    def _is_due_by(self, scheduled: int, first: bytes, table: Table) -> bool:
        """Whether the expiry job runs no later than the first item expires, or a change of time to live has yet to run
        it."""
        second, _ = fmt.parse_expiry(first, table.space)
        assert table.ttl is not None
        changed = fmt.due_key(table.ttl.changed_ms, fmt.EXPIRE, table.name.encode())
        return 0 < scheduled <= second + 1 or self._snapshot.get(changed) is not None

    def _check_tokens(self) -> Iterator[Finding]:
        for key, token in parsed(self._snapshot, fmt.TOKENS, Token):
            if token is None:
                continue
            subject, due_ms = fmt.subject_of(key), token.used_ms + limits.TRANSACTION_TOKEN_MS
            row = fmt.due_key(due_ms, fmt.FORGET, subject)
            if self._snapshot.get(row) is None and subject not in self._all_tokens():
                text = f"{_NAMES[fmt.FORGET]} is not scheduled"
                yield Finding(on.SCHEDULE, None, readable_subject(subject), text, (on.put(row, b""),))

    def _all_tokens(self) -> set[bytes]:
        """All tokens whose deletion is scheduled, at any time."""
        if self._tokens is None:
            due = (fmt.parse_due(key) for key, _ in self._snapshot.scan(*fmt.DUE))
            self._tokens = {subject for _, kind, subject in due if kind == fmt.FORGET}
        return self._tokens
