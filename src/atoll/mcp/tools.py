"""The tools of an assistant for an endpoint. Every result is a text of bounded size, and costs bounded reads."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Any

import orjson

from atoll.client import Client
from atoll.options import Refused
from atoll.shell.expressions import Placeholders, filter_of, key_condition_of, projection_of
from atoll.shell.query import key_types, tops
from atoll.shell.session import Description, describe
from atoll.shell.stream import OLDEST, Record, Stream
from atoll.shell.tables import descriptions, summary
from atoll.shell.tail import as_json, stream_of
from atoll.shell.values import Item, Value, plain_item, text

MOST_ITEMS = 100
MOST_TABLES = 100
MOST_PAGES = 10
"""The most pages of a query or scan whose filter keeps few items: each page reads up to a megabyte."""
MOST_ROUNDS = 200
"""The most calls that read a stream."""
RESULT_CHARACTERS = 60_000
VALUE_CHARACTERS = 2_000

_SELECT = re.compile(r"\s*select\b", re.IGNORECASE)


class Tools:
    """The methods are the tools; an assistant sees their names, parameters and docstrings."""

    def __init__(self, client: Client, *, writes: bool) -> None:
        self._client = client
        self._writes = writes

    def list_tables(self, start: str = "") -> str:
        """List the tables, with their keys, indexes, sizes and streams. If the result has `next`, pass it as `start`
        to read on."""
        found = list(islice(descriptions(self._client, after=start), MOST_TABLES + 1))
        shown = [text(summary(one)) for one in found[:MOST_TABLES]]
        fitting = _fitting(shown)
        following = "" if fitting == len(found) else f', "next": {text(found[fitting - 1]["TableName"])}'
        return f'{{"tables": [{", ".join(shown[:fitting])}]{following}}}'

    def describe_table(self, table: str) -> str:
        """Describe a table: key schema, attribute types, indexes, capacity, stream, as DescribeTable does."""
        return text(describe(self._client, table))[:RESULT_CHARACTERS]

    def query(
        self,
        table: str,
        key_condition: str,
        index: str = "",
        filter: str = "",
        select: str = "",
        limit: int = 25,
        reverse: bool = False,
        start: str = "",
    ) -> str:
        """Read the items that meet a key condition with values in it, such as `pk = "a" and sk begins_with "2026-"`
        (=, <, <=, >, >=, between ... and ..., begins_with). `filter` is a further condition, such as `total > 100 and
        contains(tags, "new")`. `select` names attributes, as in `name, address.city`. If the result has `next`, pass it
        as `start` to read on."""
        description = describe(self._client, table)
        placeholders = Placeholders()
        condition = key_condition_of(key_condition, key_types(description, index), placeholders)
        request = {"KeyConditionExpression": condition, "ScanIndexForward": not reverse}
        return self._read("Query", description, request, placeholders, index, filter, select, limit, start)

    def scan(
        self, table: str, index: str = "", filter: str = "", select: str = "", limit: int = 25, start: str = ""
    ) -> str:
        """Read some items of a table, in no order. `filter`, `select` and `start` are as for `query`. A scan reads at
        most 10 pages of a megabyte at a time: use `query` where there is a key."""
        description = describe(self._client, table)
        return self._read("Scan", description, {}, Placeholders(), index, filter, select, limit, start)

    def sql(self, statement: str, limit: int = 25, start: str = "") -> str:
        """Run a PartiQL statement, such as `SELECT * FROM "Orders" WHERE pk = 'a'`. Unless writes are allowed, only
        SELECT is. If the result has `next`, pass it as `start`, with the same statement, to read on."""
        selects = _SELECT.match(statement) is not None
        if not self._writes and not selects:
            raise Refused("only SELECT is allowed: start `atoll mcp` with --allow-writes to allow other statements")
        if not selects:
            answer = self._client.call("ExecuteStatement", Statement=statement)
            return _result("items", map(_shown, answer.get("Items", [])), more=False)
        most = _bounded(limit)
        token, skipped = _position_of(start)
        shown: list[str] = []
        for _ in range(MOST_PAGES):
            going_on = {} if token is None else {"NextToken": token}
            # All calls have the same Limit, so that a page that is read again for the rest of its items is the same
            # page.
            answer = self._client.call("ExecuteStatement", Statement=statement, Limit=MOST_ITEMS, **going_on)
            found = [*shown, *map(_shown, answer.get("Items", [])[skipped:])]
            fitting = min(_fitting(found), most)
            if fitting < len(found):
                return _selected(found[:fitting], (token, skipped + fitting - len(shown)))
            shown, token, skipped = found, answer.get("NextToken"), 0
            if token is None or len(shown) == most:
                break
        return _selected(shown, None if token is None else (token, 0))

    def read_stream(self, table: str, limit: int = 25, oldest: bool = False) -> str:
        """Read the latest changes of a table from its stream (24 hours), or the oldest: the event, the key, and
        the item before and after it."""
        most = _bounded(limit)
        stream = Stream(self._client, stream_of(describe(self._client, table)), OLDEST)
        found: deque[str] = deque(maxlen=None if oldest else most)
        for _ in range(MOST_ROUNDS):
            records = [_changed(record) for record in stream.records()]
            found += records
            if (oldest and len(found) >= most) or (stream.settled and not records):
                break
        return _result("changes", list(found)[:most], more=not stream.settled)

    def advance_clock(self, duration: str) -> str:
        """Move the clock of an Atoll server that runs with --clock manual, by a duration such as 25h or 90s. What is
        due meanwhile happens: items expire, tables become active, alarms go off."""
        return text(self._client.post("/_atoll/clock", {"advance": duration}))

    def _read(
        self, operation: str, description: Description, request: dict[str, Any], placeholders: Placeholders,
        index: str, filter_: str, select: str, limit: int, start: str,
    ) -> str:  # fmt: skip
        key = {**key_types(description, ""), **key_types(description, index)}
        most = _bounded(limit)
        request = {"TableName": description["TableName"], "Limit": most} | request
        if index:
            request["IndexName"] = index
        if filter_:
            request["FilterExpression"] = filter_of(filter_, placeholders)
        if select:
            keys = [f"`{name}`" for name in key if name not in tops(select)]  # needed to read on after an item
            request["ProjectionExpression"] = projection_of(", ".join([select, *keys]), placeholders)
        request |= placeholders.parameters()
        if start:
            request["ExclusiveStartKey"] = _key_of(start)
        items: list[Item] = []
        for _ in range(MOST_PAGES):
            page = self._client.call(operation, **request)
            items += page["Items"]
            request["ExclusiveStartKey"] = page.get("LastEvaluatedKey")
            if request["ExclusiveStartKey"] is None or len(items) >= most:
                break
        return _items(items[:most], items[most:], request["ExclusiveStartKey"], key)


def _bounded(limit: int) -> int:
    return max(1, min(limit, MOST_ITEMS))


def _key_of(start: str) -> dict[str, Value]:
    try:
        key = orjson.loads(start)
    except ValueError:
        key = None
    if not isinstance(key, dict):
        raise Refused("start must be the `next` of a result")
    return key


def _position_of(start: str) -> tuple[str | None, int]:
    """The token of a page of a statement, None for the first page; and how many of its items were shown."""
    try:
        token, shown = json.loads(start) if start else (None, 0)
        if isinstance(token, str | None) and type(shown) is int and 0 <= shown < MOST_ITEMS:
            return token, shown
    except (ValueError, TypeError):
        pass
    raise Refused("start must be the `next` of a result")


def _selected(shown: list[str], position: tuple[str | None, int] | None) -> str:
    following = "" if position is None else f', "next": {text(json.dumps(position))}'
    return f'{{"items": [{", ".join(shown)}]{following}}}'


def _items(items: list[Item], left: list[Item], end: dict[str, Value] | None, key: dict[str, str]) -> str:
    """As many items as fit, and the key to continue from: that of the last of them, or the end of the page."""
    shown = list(map(_shown, items))
    fitting = _fitting(shown)
    if fitting < len(items) or left:
        last = items[fitting - 1]
        end = {name: last[name] for name in key if name in last}
    following = "" if end is None else f', "next": {text(orjson.dumps(end).decode())}'
    return f'{{"items": [{", ".join(shown[:fitting])}]{following}}}'


def _result(name: str, shown: Iterable[str], *, more: bool) -> str:
    parts = list(shown)
    fitting = _fitting(parts)
    cut = more or fitting < len(parts)
    ending = ', "more": true' if cut else ""
    return f'{{"{name}": [{", ".join(parts[:fitting])}]{ending}}}'


def _fitting(parts: list[str]) -> int:
    """The number of parts that fit into a result, at least one."""
    room = RESULT_CHARACTERS
    for at, part in enumerate(parts):
        room -= len(part) + 2
        if room < 0:
            return max(at, 1)
    return len(parts)


def _shown(item: Item) -> str:
    found = plain_item({name: _short(value) for name, value in item.items()})
    if len(found) <= RESULT_CHARACTERS:
        return found
    return plain_item({"too_large": {"S": f"{len(found)} characters: select attributes"}})


def _changed(record: Record) -> str:
    data = record["dynamodb"]
    images = {name: data[name] for name in ("OldImage", "NewImage") if name in data}
    short = {name: {one: _short(value) for one, value in image.items()} for name, image in images.items()}
    found = as_json(record | {"dynamodb": data | short})
    if len(found) <= RESULT_CHARACTERS:
        return found
    note = {"too_large": {"S": f"{len(found)} characters: query the item"}}
    return as_json(record | {"dynamodb": data | dict.fromkeys(images, note)})


def _short(value: Value) -> Value:
    ((kind, content),) = value.items()
    if kind in ("S", "B") and len(content) > VALUE_CHARACTERS:
        return {"S": f"{content[:VALUE_CHARACTERS]}… ({len(content)} characters)"}
    if kind == "M":
        return {"M": {name: _short(one) for name, one in content.items()}}
    return {"L": [_short(one) for one in content]} if kind == "L" else value
