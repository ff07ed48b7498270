"""Find spaces and counters without an owner. It jumps from space to space and does not read the rows of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from atoll.check import findings as on
from atoll.check.findings import Context, Finding
from atoll.check.spaces import DISCARDED, ENTRIES, EXPIRY, ITEMS, KEPT, Spaces
from atoll.database import format as fmt
from atoll.database.garbage import Garbage
from atoll.database.records import dump
from atoll.database.vectors import entries as vectors
from atoll.storage.engine import Snapshot

_END = b"\xff" * 5

_TALLIES = {b"n": (ITEMS, ENTRIES), b"b": (ITEMS, ENTRIES), b"e": (ITEMS,), b"c": (ITEMS,)}
_NUMBERS = {b"d": (EXPIRY,)}


def check(snapshot: Snapshot, context: Context) -> Iterator[Finding]:
    spaces = Spaces(snapshot, is_complete=context.is_complete)
    yield from _check_spaces(snapshot, spaces, context)
    yield from _check_numbers(snapshot, spaces)
    yield from _check_tallies(snapshot, spaces)


def _check_spaces(snapshot: Snapshot, spaces: Spaces, context: Context) -> Iterator[Finding]:
    """A repair discards an unknown space, so that it is deleted in the background."""
    next_space = 1
    while (row := snapshot.first([(fmt.space_prefix(next_space), _END)])[0]) is not None:
        space = fmt.space_of(row[0])
        next_space = space + 1
        if space not in spaces.owners:
            key = fmt.garbage_key(space)
            due = fmt.due_key(context.now_ms, fmt.SWEEP, fmt.subject_of(key))
            fixes = spaces.if_complete(on.put(key, dump(Garbage(space, context.now_ms))), on.put(due, b""))
            text = f"the rows of the space {space} belong to no table, index or log; a repair discards them"
            yield Finding(on.ORPHAN, None, fmt.space_prefix(space).hex(), text, fixes, is_loss=True)
        if space == 0xFFFFFFFF:
            return


def _check_numbers(snapshot: Snapshot, spaces: Spaces) -> Iterator[Finding]:
    open_shards = {
        fmt.sequence_counter(table.log_space, shard.number)
        for table in spaces.tables.values()
        for shard in table.shards
    }
    open_shards |= {counter for table in spaces.tables.values() for counter in vectors.counters(table)}
    for key, _ in on.counters(snapshot, b"s", b"t", tallies=False):
        if fmt.is_sequence_counter(key) and key not in open_shards:
            text = "a sequence counter belongs to no open shard"
            yield Finding(on.ORPHAN, None, key.hex(), text, spaces.if_complete(on.set_number(key, 0)))
    yield from _check_owners(snapshot, spaces, _NUMBERS, tallies=False)


def _check_tallies(snapshot: Snapshot, spaces: Spaces) -> Iterator[Finding]:
    yield from _check_owners(snapshot, spaces, _TALLIES, tallies=True)


def _check_owners(
    snapshot: Snapshot, spaces: Spaces, roles: Mapping[bytes, tuple[str, ...]], *, tallies: bool
) -> Iterator[Finding]:
    for letter, owned_by in roles.items():
        for key, _ in on.counters(snapshot, letter, bytes([letter[0] + 1]), tallies=tallies):
            owner = spaces.owners.get(fmt.space_of_counter(key))
            if owner is None or owner.role not in (*owned_by, DISCARDED, KEPT):
                fix = on.set_tally(key, 0) if tallies else on.set_number(key, 0)
                yield Finding(on.ORPHAN, None, key.hex(), "a counter belongs to nothing", spaces.if_complete(fix))
