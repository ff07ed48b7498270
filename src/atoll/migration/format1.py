"""Translate the rows of format 1 into rows of format 2.

The differences of format 1:

    log       space shard4 sequence8 -> change row without a commit
    expiry    space second8 item-key, with the item's space
    catalog   0 'Y' millisecond8 token -> key of the token; work on tables was found by looking at all tables
    counters  numbers and tallies share one key space
    sets      in the order in which they were written
    checksums none

Rows come in the order of their keys, so the catalog, in space 0, precedes the rows that it explains.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from atoll.database import format as fmt
from atoll.database import rows as item_rows
from atoll.database.garbage import Garbage
from atoll.database.log import rows
from atoll.database.records import load
from atoll.database.schema import Shard, Table
from atoll.model import sets
from atoll.versions import Version

Row = tuple[bytes, bytes]

_CHANGE_HEADER = struct.Struct(">QQBBIIIII")
_TALLIES = b"nbec"


class Translation:
    def __init__(self) -> None:
        self._tables: list[Table] = []
        self._shards: dict[tuple[int, int], Shard] = {}
        self._kinds: dict[int, Callable[[bytes, bytes], Row | None]] = {0: self._catalog}
        self._scheduled: list[bytes] = []

    def learn(self, key: bytes, value: bytes) -> None:
        """Record a row of the catalog. Call this with all of its rows before `row`."""
        if key.startswith(fmt.TABLES[0]):
            table: Table = load(Table, value)
            self._tables.append(table)
            self._kinds[table.space] = _item
            self._kinds |= {index.space: _entry for index in table.indexes}
            if table.ttl is not None:
                self._kinds[table.ttl.space] = _expiry
        elif key.startswith(fmt.SHARDS[0]):
            log_space, number = fmt.parse_shard_key(key)
            self._shards[log_space, number] = load(Shard, value)
            self._kinds[log_space] = self._change
        elif key.startswith(fmt.GARBAGE[0]):
            garbage: Garbage = load(Garbage, value)
            self._scheduled.append(fmt.due_key(garbage.due_ms, fmt.SWEEP, fmt.subject_of(key)))

    def row(self, key: bytes, value: bytes) -> Row | None:
        """The row of format 2; None if there is none."""
        kind = self._kinds.get(int.from_bytes(key[:4], "big"))
        return (key, value) if kind is None else kind(key, value)  # rows of discarded spaces are kept, and swept later

    def scheduled(self) -> Iterator[bytes]:
        """The rows of the due index for work that format 1 found by examining all tables."""
        yield from self._scheduled
        for table in self._tables:
            for due_ms, kind in (*table.work(), (table.created_ms, fmt.SPLIT)):
                yield fmt.due_key(due_ms, kind, table.name.encode())

    def _catalog(self, key: bytes, value: bytes) -> Row | None:
        if key[4:5] == b"Y":
            due_ms, token = int.from_bytes(key[5:13], "big"), key[13:]
            return fmt.due_key(due_ms, fmt.FORGET, token), b""
        return key, value

    def _change(self, key: bytes, value: bytes) -> Row | None:
        log_space, number, sequence = (int.from_bytes(part, "big") for part in (key[:4], key[4:8], key[8:]))
        shard = self._shards.get((log_space, number))
        if shard is None:  # the catalog has no shard for the row
            return None
        time, written_ms, cause, region_length, keys_size, old_size, new_size, keys_length, old_length = (
            _CHANGE_HEADER.unpack_from(value)
        )
        parts = []
        start = _CHANGE_HEADER.size
        for length in (region_length, keys_length, old_length, len(value)):
            parts.append(value[start : start + length])
            start += length
        region, keys, old, new = parts
        row = rows.dump(
            Version(time, region.decode()),
            time,  # in format 1 the version's time identified the transaction
            written_ms,
            cause,
            (keys_size, keys),
            (old_size, _sorted_sets(old)),
            (new_size, _sorted_sets(new)),
        )
        return fmt.change_key(shard.change_prefix(log_space), sequence), row


def is_tally(counter: bytes) -> bool:
    """Whether a counter of format 1 is a tally; the others are numbers."""
    return counter[:1] in _TALLIES


def _item(key: bytes, value: bytes) -> Row:
    row = item_rows.Row(value)
    return key, item_rows.item_row(row.version, row.size, _sorted_sets(row.json))


def _entry(key: bytes, value: bytes) -> Row:
    entry = item_rows.Entry(value)
    return key, item_rows.entry_row(entry.size, _sorted_sets(entry.json))


def _expiry(key: bytes, value: bytes) -> Row:
    return key[:12] + key[16:], value


def _sorted_sets(json: bytes) -> bytes:
    if b'S":[' not in json:  # no set; JSON is stored without spaces
        return json
    item = orjson.loads(json)
    for value in item.values():
        _sort(value)
    return orjson.dumps(item)


def _sort(value: dict[str, Any]) -> None:
    [(kind, content)] = value.items()
    if kind in ("SS", "NS", "BS"):
        value[kind] = sets.ordered(kind, content)
    elif kind == "L":
        for member in content:
            _sort(member)
    elif kind == "M":
        for member in content.values():
            _sort(member)
