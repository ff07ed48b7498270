"""The checks at the end: they read the stores of the stopped servers, which have every change with its version."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from atoll.database import catalog
from atoll.database import format as fmt
from atoll.database.log import cursor
from atoll.database.rows import Row
from atoll.storage.engine import Snapshot
from atoll.storage.sqlite import SQLiteEngine
from atoll.versions import Version
from tests.processes.load import Session
from tests.processes.world import TABLE


@dataclass
class Stored:
    """A region's replica and the changes that its clients made."""

    items: dict[bytes, tuple[Version, bytes]]
    """By key, without the space: the item's version and JSON."""
    made: dict[bytes, Version]
    """By key: the greatest version that was written in the region."""
    images: dict[bytes, dict[Version, bytes | None]]
    values: set[tuple[str, str]]
    """The items and values that were written in the region."""


def read(store: Path, region: str) -> Stored:
    return asyncio.run(_read(store, region))


async def _read(store: Path, region: str) -> Stored:
    engine = SQLiteEngine.open(store)
    found = await engine.read(lambda snapshot: _stored(snapshot, region))
    await engine.close()
    return found


def _stored(snapshot: Snapshot, region: str) -> Stored:
    table = catalog.read_definitions(snapshot).tables[TABLE]
    rows = {fmt.in_space(key): Row(row) for key, row in snapshot.scan(*fmt.space_range(table.space))}
    found = Stored({key: (row.version, row.json) for key, row in rows.items()}, {}, {}, set())
    scope = cursor.Scope(table.log_space)
    batch = cursor.read(snapshot, scope, cursor.start_at(snapshot, scope), 10_000_000)
    assert batch.caught_up and not batch.missed
    for _, _, change in batch.changes:
        if change.region != region:
            continue
        key: Any = orjson.loads(change.keys)
        suffix, version = fmt.in_space(table.item_key(key)), Version(change.time, change.region)
        assert version > found.made.get(suffix, Version(0, "")), "a version of the region is not greater than the last"
        found.made[suffix] = version
        found.images.setdefault(suffix, {})[version] = change.new
        if change.new is not None and "v" in (item := orjson.loads(change.new)):
            found.values.add((key["pk"]["S"], item["v"]["S"]))
    return found


def verify(stores: dict[str, Path], sessions: Iterable[Session]) -> int:
    """Returns the number of changes of shared items."""
    stored = {region: read(path, region) for region, path in stores.items()}
    first = next(iter(stored.values()))
    for region, one in stored.items():
        assert one.items == first.items, f"the replica of {region} is another one"
    for session in sessions:
        lost = set(session.shared) - stored[session.region].values
        assert not lost, f"acknowledged writes in {session.region} were never made: {lost}"
    greatest: dict[bytes, Version] = {}
    for one in stored.values():
        for key, version in one.made.items():
            greatest[key] = max(version, greatest.get(key, version))
    for key, version in greatest.items():
        image = stored[version.region].images[key][version]
        survivor = first.items.get(key)
        assert survivor == (None if image is None else (version, image)), f"the greatest version of {key!r} is lost"
    return sum(len(one.values) for one in stored.values())
