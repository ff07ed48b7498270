"""Check messages of other nodes before they are used. Pure.

A peer is authenticated, but it may be faulty, run another version, or have a wrong clock. A message that is refused
here changes nothing. `shapes` has the form of the heads; this module checks the parts. An item must be valid and
canonical, with its true size, and its key must fit the table. No version may be far in the future.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import error as StructError
from typing import Any

import orjson

from atoll import limits
from atoll.database import keys, links
from atoll.database import rows as item_rows
from atoll.database.rows import Row
from atoll.database.schema import Table
from atoll.errors import ApiError
from atoll.model import pieces, values
from atoll.model.values import Item
from atoll.replication import shapes
from atoll.replication.messages import Malformed, Message, parsed, shortened
from atoll.replication.source import CHANGES_BYTES, GONE

_UNREADABLE = (ApiError, AttributeError, LookupError, StructError, TypeError, ValueError)
"""The exceptions that parsing a malformed part may raise."""

MOST_ROWS = 1_000
"""The most changes or rows of an answer, so that none blocks the event loop for long."""
MOST_BYTES = 4 * CHANGES_BYTES
"""The most bytes of the parts of an answer, without the largest: regions send a megabyte and the item that ends it."""
MOST_ITEM_BYTES = limits.ITEM_BYTES + 1024
"""A global table of 2017 adds attributes to an item of any size."""
MOST_JSON_BYTES = 16 * MOST_ITEM_BYTES
"""A number of one digit with its comma takes 10 bytes of JSON, and 2 or 3 of an item."""


def question(asked: Message, now_ms: int) -> None:
    """Check a question; raises `Malformed`. Unknown names pass."""
    latest = shapes.latest_time(now_ms)
    if asked.name not in shapes.QUESTIONS:
        return
    shapes.QUESTIONS[asked.name](asked.head, latest)
    if asked.name == "join":
        _invitation(asked, latest)


def _invitation(asked: Message, latest: int) -> None:
    if len(asked.parts) != 1:
        raise Malformed("it has no table")
    table = parsed("table", asked.parts[0])
    shapes.TABLE(table, latest)
    group = table.get("group")
    if group is None or table.get("tombstone_space") is None:
        raise Malformed("its table is not a replica")
    for member in group["members"]:
        shapes.MEMBER(member, latest)
    for setting in group.get("shared", []):
        shapes.time(setting["time"], latest)


def answer(asked: Message, given: Message, table: Table | None, now_ms: int) -> None:
    """Check the answer to a question; raises `Malformed`. `table` is the asking replica."""
    if asked.name not in shapes.ANSWERS:
        return
    latest = shapes.latest_time(now_ms)
    if given.name == GONE and asked.name in ("changes", "rows", "items", "override"):
        shapes.ANSWERS[GONE](given.head, latest)
        return
    if given.name != asked.name:
        raise Malformed(f"its name is {shortened(given.name)}")
    shapes.ANSWERS[asked.name](given.head, latest)
    rest = sum(map(len, given.parts)) - max(map(len, given.parts), default=0)
    if rest > MOST_BYTES:
        raise Malformed(f"it has {rest} bytes besides its largest part; at most {MOST_BYTES} are read at a time")
    if table is not None and asked.name in _PARTS:
        _PARTS[asked.name](asked, given, table, latest)


def _changes(asked: Message, given: Message, table: Table, latest: int) -> None:
    rows, parts = given.head["rows"], given.parts
    if given.head["asked"] != {name: asked.head[name] for name in ("table_id", "positions")}:
        raise Malformed("it is the answer to another question")
    if len(rows) > MOST_ROWS:
        raise Malformed(f"it has {len(rows)} changes; at most {MOST_ROWS} are read at a time")
    if len(parts) != 2 * len(rows):
        raise Malformed(f"it has {len(parts)} parts for {len(rows)} changes")
    for number, (_, _, size, *_rest) in enumerate(rows):
        key = parsed("key", parts[2 * number])
        if type(key) is not dict or key.keys() != set(table.keys.names) or not _is_key(table, key):
            raise Malformed(f"{parts[2 * number][:60]!r} is not a key of {table.name}")
        json = parts[2 * number + 1]
        if json and table.keys.key_of(_item(table, json, size)) != key:
            raise Malformed(f"the item {json[:60]!r} has another key than its change")


def _rows(asked: Message, given: Message, table: Table, latest: int) -> None:
    head, parts = given.head, given.parts
    if any(head[name] != asked.head[name] for name in ("part", "after", "began")):
        raise Malformed("it is the answer to another question")
    if len(parts) % 2:
        raise Malformed("a key lacks its row")
    if len(parts) > 2 * MOST_ROWS:
        raise Malformed(f"it has {len(parts) // 2} rows; at most {MOST_ROWS} are read at a time")
    begins = head["part"] == links.ITEMS and not head["after"]
    if begins and not ("positions" in head and "links" in head):
        raise Malformed("it lacks the positions of the copy")
    before = bytes.fromhex(head["after"])
    for suffix, stored in zip(parts[::2], parts[1::2], strict=True):
        if suffix <= before:
            raise Malformed("its rows are not in the order of their keys")
        before = suffix
        _row(table, head["part"], suffix, stored, latest)
    if head["last"] != before.hex() or not (parts or head["all"]):
        raise Malformed("it does not name its last row")


def _items(asked: Message, given: Message, table: Table, latest: int) -> None:
    if any(given.head[name] != asked.head[name] for name in ("part", "after", "began")):
        raise Malformed("it is the answer to another question")
    found, wanted = list(given.parts[::3]), list(asked.parts)
    if len(given.parts) % 3 or found != wanted[: len(found)]:
        raise Malformed("it has other keys than the question")
    is_whole = len(found) == len(wanted)
    expected = (asked.head["last"], asked.head["all"]) if is_whole else (b"".join(found[-1:]).hex(), False)
    if (given.head["last"], given.head["all"]) != expected or not (found or is_whole):
        raise Malformed("it does not name its last row")
    for suffix, item, tombstone in zip(given.parts[::3], given.parts[1::3], given.parts[2::3], strict=True):
        if item:
            _row(table, links.ITEMS, suffix, item, latest)
        if tombstone:
            _row(table, links.TOMBSTONES, suffix, tombstone, latest)


_PARTS: dict[str, Callable[[Message, Message, Table, int], None]] = {
    "changes": _changes,
    "rows": _rows,
    "items": _items,
}


def _row(table: Table, part: str, suffix: bytes, stored: bytes, latest: int) -> None:
    """Check a row of a copy: an item or a tombstone."""
    row_key = table.prefix + suffix
    try:
        if part == links.TOMBSTONES:
            version = item_rows.parse_tombstone(stored)
            key = table.keys.decode(row_key)
        else:
            row = Row(stored)
            version, key = row.version, _item(table, row.json, row.size)
    except _UNREADABLE as error:
        raise Malformed(f"a row of its {part} cannot be read: {error!r}") from None
    shapes.time(version.time, latest)
    if not _is_key(table, key) or table.item_key(key) != row_key:
        raise Malformed(f"a row of its {part} is not at its key")


def _item(table: Table, json: bytes, size: int) -> Item:
    item = _parsed(json)
    try:
        read = dict(item)
        found = values.check_item(read)
        if found > MOST_ITEM_BYTES:
            raise Malformed(f"an item has {found} bytes; at most {MOST_ITEM_BYTES} are stored")
        is_whole = _is_key(table, read) and (orjson.dumps(read) == json or read == orjson.loads(json))
    except _UNREADABLE as error:
        raise Malformed(f"{json[:60]!r} is not an item: {error}") from None
    if not is_whole:
        raise Malformed(f"{json[:60]!r} is not an item of {table.name}")
    if found != size:
        raise Malformed(f"an item of {found} bytes claims to have {size}")
    return read


def _is_key(table: Table, item: Item) -> bool:
    """Whether the item has all key attributes, with the table's types and limits."""
    try:
        for name, type_ in table.keys.name_types:
            ((kind, content),) = item[name].items()
            if kind != type_ or type(content) is not str:
                return False
        return keys.fits(table.keys, item)
    except _UNREADABLE:
        return False


def _parsed(json: bytes) -> Any:
    if len(json) > MOST_JSON_BYTES:
        raise Malformed(f"the JSON of an item has {len(json)} bytes; at most {MOST_JSON_BYTES} are read")
    try:
        return pieces.load(json)
    except ValueError:
        raise Malformed(f"{json[:60]!r} is not JSON") from None
