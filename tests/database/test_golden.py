"""The rows that each kind of write stores: the changes of all rows and counters, compared with a golden file.

`UPDATE_GOLDEN=1 python -m pytest tests/database/test_golden.py` writes the files anew; read the difference in them.
"""

from __future__ import annotations

import os
import re
from array import array
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from atoll.api import items, tables
from atoll.database import catalog, records, schema, writes
from atoll.database import format as fmt
from atoll.database import rows as item_rows
from atoll.database.log import rows as change_rows
from atoll.database.vectors import rows as vector_rows
from atoll.model import keycode, values
from atoll.storage.engine import Transaction
from atoll.storage.memory import MemoryEngine
from atoll.versions import Version
from tests.database.conftest import START_MS, ManualRegion
from tests.engines import finish

GOLDEN = Path(__file__).with_name("golden")
EXPIRES = {"N": str(START_MS // 1000 + 3600)}
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

Store = tuple[dict[bytes, bytes], dict[bytes, int]]


def store(world: ManualRegion) -> Store:
    """All rows, and all numbers and tallies."""
    rows, numbers, tallies = cast(MemoryEngine, world.region.engine).snapshot()
    return dict(rows), {**numbers, **tallies}


def number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def contents(key: bytes, attributes: tuple[schema.KeyAttribute, ...], start: int) -> str:
    values, end = keycode.decode(key, "".join(a.type for a in attributes), start)
    assert end == len(key)
    return " ".join(f"{a.name}={value}" for a, value in zip(attributes, values, strict=True))


class Reader:
    """Keys and values in words, by the grammar of `atoll.database.format`."""

    def __init__(self, *stores: Store) -> None:
        self.spaces: dict[int, str] = {0: "catalog"}
        self.keys: dict[int, tuple[schema.KeyAttribute, ...]] = {}
        self.dimensions: dict[int, int] = {}
        """Of the vector indexes, by their spaces."""
        self.commits: dict[int, int] = {}
        """The ids of transactions are random; here they are counted."""
        for rows, _ in stores:
            for key, value in rows.items():
                if key.startswith(fmt.TABLES[0]):
                    self.learn(records.load(schema.Table, value))

    def learn(self, table: schema.Table) -> None:
        self.spaces |= {table.space: "items", table.log_space: "log"}
        self.keys[table.space] = table.keys.attributes
        for index in table.indexes:
            self.spaces[index.space] = f"index {index.name}"
            self.keys[index.space] = index.keys.attributes + table.keys.attributes
        if table.ttl is not None:
            self.spaces[table.ttl.space] = "expiry"
            self.keys[table.ttl.space] = table.keys.attributes
        if table.tombstone_space is not None:
            self.spaces[table.tombstone_space] = "tombstones"
            self.keys[table.tombstone_space] = table.keys.attributes
        for vectors in table.vector_indexes:
            self.spaces[vectors.space] = f"vectors {vectors.name}"
            self.keys[vectors.space] = table.keys.attributes
            self.dimensions[vectors.space] = vectors.dimensions
            self.spaces[vectors.log_space] = "changed vectors"

    def row(self, key: bytes, value: bytes) -> list[str]:
        space = number(key[:4])
        kind = self.spaces[space]
        if kind == "catalog":
            return [f"catalog {self.catalog(key[4:])}", *([f"    {self.text(value)}"] if value else [])]
        if kind == "log":
            place = f"bucket={key[4:12].hex()} shard={number(key[12:16])} sequence={number(key[16:])}"
            return [f"log space={space} {place}", *self.change(value)]
        if kind == "expiry":
            item = f"hash={key[12:20].hex()} {contents(key, self.keys[space], 20)}"
            return [f"expiry space={space} second={number(key[4:12])} {item}"]
        if kind == "changed vectors":
            return [f"{kind} space={space} slot={number(key[4:])}", f"    {value.hex()}"]
        line = f"{kind} space={space} hash={key[4:12].hex()} {contents(key, self.keys[space], 12)}"
        if kind == "items":
            row = item_rows.Row(value)
            header = f"time={row.time} size={row.size} region={row.version.region}"
            return [line, f"    {header}", f"    {row.json.decode()}"]
        if kind == "tombstones":
            version = item_rows.parse_tombstone(value)
            return [line, f"    time={version.time} region={version.region}"]
        if space in self.dimensions:
            vector, json = vector_rows.parse_entry(value, self.dimensions[space])
            floats = array("f", vector).tolist()
            return [line, f"    size={number(value[:4])} vector={floats}", f"    {json.decode()}"]
        entry = item_rows.Entry(value)
        return [line, f"    size={entry.size}", f"    {entry.json.decode()}"]

    def catalog(self, key: bytes) -> str:
        kind, rest = key[:1].decode(), key[1:]
        match kind:
            case "T":
                return f"T name={rest.decode()}"
            case "S":
                table, label = rest.split(b"\0")
                return f"S table={table.decode()} label={label.decode()}"
            case "H":
                return f"H log-space={number(rest[:4])} shard={number(rest[4:])}"
            case "D":
                return f"D millisecond={number(rest[:8])} {self.work(rest[8:9], rest[9:])}"
            case "B" | "G":
                return f"{kind} space={number(rest)}"
            case "X":
                return f"X token={rest.decode()}"
        raise AssertionError(f"the format has no row {kind}")

    def work(self, kind: bytes, subject: bytes) -> str:
        words = {fmt.ROTATE: "rotate", fmt.SPLIT: "split", fmt.DELETE: "delete", fmt.INDEX: "index",
                 fmt.BUILD_EXPIRY: "build-expiry", fmt.EXPIRE: "expire", fmt.TRIM: "trim",
                 fmt.END_STREAM: "end-stream", fmt.SWEEP: "sweep", fmt.FORGET: "forget"}  # fmt: skip
        row = fmt.due_row(kind, subject)
        return f"{kind.decode()} {words[kind]}: {self.catalog(row[len(fmt.CATALOG) :])}"

    def text(self, value: bytes) -> str:
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value.hex()

    def change(self, value: bytes) -> list[str]:
        row = change_rows.parse(value)
        cause = ("user", "expiry", "replication", "restore")[row.cause]
        sizes = f"keys-size={row.keys_size} old-size={row.old_size} new-size={row.new_size}"
        images = [("keys", row.keys), ("old", row.old), ("new", row.new)]
        commit = self.commits.setdefault(row.commit, len(self.commits) + 1)
        return [
            f"    time={row.time} commit={commit} written={row.written_ms} cause={cause} region={row.region} {sizes}",
            *([] if row.previous is None else [f"    previous time={row.previous.time} region={row.previous.region}"]),
            *(f"    {name} {json.decode()}" for name, json in images if json is not None),
        ]

    def counter(self, key: bytes) -> str:
        if key in (fmt.GENERATION, fmt.SPACES, fmt.GREATEST_TIME):
            return key.decode()
        kind, space = key[:1].decode(), number(key[1:5])
        word = {"n": "rows", "b": "bytes", "e": "expired", "s": "sequence", "d": "due", "c": "collection"}[kind]
        rest = ""
        if kind == "s":
            rest = f" shard={number(key[5:])}"
        elif kind == "c":
            rest = f" hash={key[5:13].hex()} {contents(key, self.keys[space][:1], 13)}"
        return f"{kind} {word} space={space} ({self.spaces[space]}){rest}"


def members(old: bytes, new: bytes) -> list[str]:
    """The changes in a row of the catalog."""
    before, after = orjson.loads(old), orjson.loads(new)
    pairs = [(name, before.get(name), after.get(name)) for name in after | before]
    return [f"      {n}: {orjson.dumps(b).decode()} -> {orjson.dumps(a).decode()}" for n, b, a in pairs if b != a]


def difference(before: Store, after: Store) -> str:
    """Rows that are gone (-) or there now (+), rows of the catalog that changed (~), counters (#)."""
    reader, lines = Reader(before, after), []
    for key in sorted(before[0].keys() | after[0].keys()):
        old_row, new_row = before[0].get(key), after[0].get(key)
        if key.startswith(fmt.CATALOG) and old_row and new_row and old_row != new_row:
            lines += [f"~ catalog {reader.catalog(key[4:])}", *members(old_row, new_row)]
            continue
        for sign, rows, others in (("-", before[0], after[0]), ("+", after[0], before[0])):
            if key in rows and rows[key] != others.get(key):
                first, *more = reader.row(key, rows[key])
                lines += [f"{sign} {first}", *(f"  {line}" for line in more)]
    for key in sorted(before[1].keys() | after[1].keys()):
        old, new = before[1].get(key, 0), after[1].get(key, 0)
        if old != new:
            lines.append(f"# {reader.counter(key)}: {old} -> {new}")
    text = "\n".join(lines) if lines else "nothing"
    return UUID.sub("<uuid>", text) + "\n"


def create(world: ManualRegion) -> None:
    types = {"pk": "S", "sk": "N", "g": "S", "l": "N"}

    def keys(partition: str, sort: str | None) -> list[dict[str, str]]:
        ranged = [] if sort is None else [{"AttributeName": sort, "KeyType": "RANGE"}]
        return [{"AttributeName": partition, "KeyType": "HASH"}, *ranged]

    world.call(
        tables.create_table,
        TableName="Things",
        KeySchema=keys("pk", "sk"),
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, t in types.items()],
        BillingMode="PROVISIONED",
        ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
        GlobalSecondaryIndexes=[{
            "IndexName": "by-g", "KeySchema": keys("g", None), "Projection": {"ProjectionType": "KEYS_ONLY"},
            "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
        }],
        LocalSecondaryIndexes=[
            {"IndexName": "by-l", "KeySchema": keys("pk", "l"), "Projection": {"ProjectionType": "ALL"}}
        ],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )  # fmt: skip


def put(world: ManualRegion) -> None:
    world.put("a", 1, g={"S": "red"}, l={"N": "7"}, expires=EXPIRES)


def put_over(world: ManualRegion) -> None:
    world.put("a", 1, g={"S": "blue"}, l={"N": "7"}, text={"S": "new"})


def update(world: ManualRegion) -> None:
    world.call(
        items.update_item,
        TableName="Things",
        Key={"pk": {"S": "a"}, "sk": {"N": "1"}},
        UpdateExpression="SET l = :l REMOVE g",
        ExpressionAttributeValues={":l": {"N": "-1.5"}},
    )


def transaction(world: ManualRegion) -> None:
    world.transact_write(
        {"Put": {"TableName": "Things", "Item": {"pk": {"S": "b"}, "sk": {"N": "2"}, "g": {"S": "red"}}}},
        {"Delete": {"TableName": "Things", "Key": {"pk": {"S": "a"}, "sk": {"N": "1"}}}},
    )


def delete_table(world: ManualRegion) -> None:
    world.call(tables.delete_table, TableName="Things")


def nothing(world: ManualRegion) -> None:
    """Before a write."""


def table(world: ManualRegion) -> None:
    create(world)
    world.set_ttl()
    world.settle()


def one_item(world: ManualRegion) -> None:
    table(world)
    put(world)
    world.clock.advance(1000)


def replica(world: ManualRegion) -> None:
    """A table that keeps tombstones, as those with replicas do, with one item."""
    world.create()

    def keep_tombstones(tx: Transaction) -> None:
        found = world.region.catalog.find(tx, "Things")
        assert found is not None
        catalog.save(tx, replace(found, tombstone_space=catalog.new_space(tx)))

    world.transact(keep_tombstones)
    world.settle()
    world.put("a", 1)
    world.clock.advance(1000)


def put_from_elsewhere(world: ManualRegion) -> None:
    key = {"pk": {"S": "a"}, "sk": {"N": "1"}}
    item = {**key, "text": {"S": "from us"}}
    found = world.table()
    image = writes.Image(item, values.check_item(item), orjson.dumps(item))
    version = Version(world.region.versions.last + 1_000, "us-east-1")
    write = writes.Replicate(found, key, found.item_key(key), image, version)
    finish(world.region.write(lambda tx, stamp: writes.commit(tx, [write], stamp)))


def deleted_replica(world: ManualRegion) -> None:
    replica(world)
    world.delete("a", 1)


def vector_table(world: ManualRegion) -> None:
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    vectors = {
        "IndexName": "near", "VectorAttribute": {"AttributeName": "embedding"}, "Dimensions": 2,
        "Projection": {"ProjectionType": "ALL"}, "DistanceFunction": "EUCLIDEAN",
    }  # fmt: skip
    world.call(
        tables.create_table, TableName="Things", KeySchema=keys, BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, t in (("pk", "S"), ("sk", "N"))],
        VectorIndexes=[vectors],
    )  # fmt: skip
    world.settle()


def put_vector(world: ManualRegion) -> None:
    world.put("a", 1, text={"S": "near"}, embedding={"L": [{"N": "0.5"}, {"N": "-2"}]})


def expire(world: ManualRegion) -> None:
    world.clock.advance(3600_000)
    world.settle()


SCENARIOS: dict[str, tuple[Callable[[ManualRegion], None], Callable[[ManualRegion], Any]]] = {
    "create_table": (nothing, create),
    "put_new": (table, put),
    "put_over": (one_item, put_over),
    "put_unchanged": (one_item, put),
    "update": (one_item, update),
    "delete": (one_item, lambda world: world.delete("a", 1)),
    "delete_absent": (one_item, lambda world: world.delete("a", 2)),
    "expiry": (one_item, expire),
    "transaction_of_two": (one_item, transaction),
    "delete_table": (one_item, delete_table),
    "replica_put": (replica, lambda world: world.put("a", 1, text={"S": "new"})),
    "replica_delete": (replica, lambda world: world.delete("a", 1)),
    "replica_put_after_delete": (deleted_replica, lambda world: world.put("a", 1)),
    "replica_put_from_elsewhere": (replica, put_from_elsewhere),
    "vector_put": (vector_table, put_vector),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_rows_that_a_write_stores(name: str) -> None:
    prepare, write = SCENARIOS[name]
    world = ManualRegion()
    prepare(world)
    before = store(world)
    write(world)
    found = difference(before, store(world))
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(found)
    assert found == path.read_text()


def test_every_golden_file_belongs_to_a_scenario() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(SCENARIOS)
