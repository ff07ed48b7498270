"""Stores with rows of every kind, to be damaged: in memory, and the same as a file."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw

from atoll.api import items, multi, tables
from atoll.check.findings import Context, Finding
from atoll.check.sections import check
from atoll.database.log import maintenance
from atoll.database.region import Settings
from atoll.storage import sqlitefile
from atoll.storage.memory import MemoryEngine, MemoryState
from atoll.storage.sqlite import FILE_NAME
from atoll.triggers import mapping
from atoll.triggers.batches import Lane
from atoll.triggers.mapping import Mapping
from tests.database.conftest import ManualRegion
from tests.engines import finish

UUID = "01234567-89ab-cdef-0123-456789abcdef"
TYPES = {"pk": "S", "sk": "N", "l": "N", "g": "S", "h": "B"}


def key_schema(*names: str) -> list[dict[str, str]]:
    return [{"AttributeName": n, "KeyType": k} for n, k in zip(names, ("HASH", "RANGE"), strict=False)]


def index(name: str, kind: str, *keys: str, include: tuple[str, ...] = ()) -> dict[str, Any]:
    projection: dict[str, Any] = {"ProjectionType": kind}
    if include:
        projection["NonKeyAttributes"] = list(include)
    return {"IndexName": name, "KeySchema": key_schema(*keys), "Projection": projection}


def create(world: ManualRegion, name: str = "Things", *, expires: bool = True) -> None:
    """A table with local and global indexes, a stream and time to live."""
    world.call(
        tables.create_table,
        TableName=name,
        KeySchema=key_schema("pk", "sk"),
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, t in TYPES.items()],
        BillingMode="PAY_PER_REQUEST",
        LocalSecondaryIndexes=[index("by-l", "ALL", "pk", "l")],
        GlobalSecondaryIndexes=[
            index("by-g", "KEYS_ONLY", "g"), index("by-h", "INCLUDE", "h", "sk", include=("tags",)),
        ],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )  # fmt: skip
    if expires:
        world.set_ttl(name)


def random_item(rng: random.Random, now_ms: int) -> dict[str, Any]:
    item: dict[str, Any] = {
        "pk": {"S": f"p\0{rng.randrange(9)}"},
        "sk": {"N": str(rng.randrange(-3, 4))},
        "v": {"L": [{"M": {"é": {"NS": ["3", "-1", "2.50"]}}}]},
        "tags": {"SS": rng.sample(["b", "a", "ç", "zz"], 2)},
    }
    for name, value in (
        ("l", {"N": str(rng.randrange(5))}),
        ("g", {"S": f"g{rng.randrange(3)}"}),
        ("h", {"B": "AAEC"}),
        ("expires", {"N": str(now_ms // 1000 + rng.choice((-100, 60, 5_000, 10**9)))}),
    ):
        if rng.random() < 0.6:
            item[name] = value
    return item


def write(world: ManualRegion, rng: random.Random, name: str = "Things") -> None:
    """One write of some kind."""
    made = random_item(rng, world.clock.now_ms())
    key = {"pk": made["pk"], "sk": made["sk"]}
    kind = rng.choice(("put", "put", "put", "delete", "update", "batch", "transact"))
    if kind == "put":
        world.call(items.put_item, TableName=name, Item=made)
    elif kind == "delete":
        world.call(items.delete_item, TableName=name, Key=key)
    elif kind == "update":
        values = {":l": {"N": "1"}, ":t": {"SS": ["new"]}}
        world.call(
            items.update_item, TableName=name, Key=key, UpdateExpression="SET l = :l ADD tags :t REMOVE g, expires",
            ExpressionAttributeValues=values,
        )  # fmt: skip
    elif kind == "batch":
        world.call(multi.batch_write_item, RequestItems={name: [{"PutRequest": {"Item": made}}]})
    else:
        put = {"Put": {"TableName": name, "Item": made}}
        token = f"token-{rng.randrange(1000)}-{rng.randrange(1000)}"
        world.call(multi.transact_write_items, TransactItems=[put], ClientRequestToken=token)


def full_world(seed: int = 1, writes: int = 120) -> ManualRegion:
    """A store with rows of every kind."""
    rng = random.Random(seed)
    world = ManualRegion(engine=MemoryEngine())
    create(world)
    create(world, "Gone")
    for number in range(writes):
        write(world, rng, rng.choice(("Things", "Things", "Gone")))
        if number == writes // 3:
            world.by_hand(maintenance.force_split, "Things")
    world.call(tables.delete_table, TableName="Gone")
    world.create("Plain", view=None)
    world.put("a", table="Plain")
    arn = world.arns("Things")[0]
    made = Mapping(UUID, "f", arn)
    world.transact(lambda tx: mapping.create(tx, world.region, made, world.clock.now_ms()))
    world.transact(lambda tx: mapping.save_lane(tx, UUID, 0, 0, Lane(3)))
    return world


def slow_world() -> ManualRegion:
    """A store whose tables change slowly, with a table without time to live."""
    world = ManualRegion(Settings(control_plane_delay_ms=10_000), MemoryEngine())
    create(world, expires=False)
    world.pass_time(11_000)
    return world


def findings(world: ManualRegion) -> list[Finding]:
    context = Context(world.clock.now_ms())
    found: list[Finding] = finish(world.region.engine.read(lambda snapshot: list(check(snapshot, context))))
    return found


def repair(world: ManualRegion) -> list[Finding]:
    """Make the changes that the findings name, until there are none; return the findings that had changes."""
    made: list[Finding] = []
    for _ in range(8):
        found = [finding for finding in findings(world) if finding.fixes]
        if not found:
            return made
        made += found

        def change(tx: Any, found: list[Finding] = found) -> None:
            for finding in found:
                for fix in finding.fixes:
                    fix.apply(tx)

        world.transact(change)
    raise AssertionError("repairs do not end")


def save(world: ManualRegion, directory: Path) -> Path:
    """Write the store to a file."""
    directory.mkdir(parents=True, exist_ok=True)
    assert isinstance(world.region.engine, MemoryEngine)
    stored: MemoryState = world.region.engine.snapshot()
    rows, numbers, tallies = stored
    path = directory / FILE_NAME
    with closing(sqlitefile.connect(path, synced=False)) as connection:
        target = sqlitefile.Rows(connection)
        target.begin("BEGIN IMMEDIATE")
        for row in rows.items():
            target.put(*row)
        for counters, is_tally in ((numbers, False), (tallies, True)):
            for counter in counters.items():
                target.set_counter(*counter, tally=is_tally)
        target.write_counters()
        target.commit()
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, False)
    return path
