"""The checks at a quiet point, when every message has arrived and no region has work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from atoll.database import format as fmt
from atoll.database.group import ACTIVE
from atoll.versions import COUNTER_BITS
from tests.engines import findings
from tests.simulation.model import Violation, require
from tests.simulation.place import SimulatedRegion
from tests.simulation.world import World


def check(world: World) -> None:
    for place in world.places.values():
        found = findings(place.region)
        require(not found, f"{place.name}: the store is damaged: {found}")
        _check_log(place)
    groups: dict[str, list[SimulatedRegion]] = {}
    for place in world.places.values():
        if place.table is not None and place.table.group is not None:
            groups.setdefault(place.table.group.id, []).append(place)
    for id_, places in groups.items():
        _check_members(places)
        _check_equal(places)
        _check_survivors(world, id_, places)


def check_end(world: World) -> None:
    for place in world.places.values():
        left = place.tombstones()
        require(not left, f"{place.name}: {len(left)} tombstones are left: {left}")


def _check_log(place: SimulatedRegion) -> None:
    table = place.table
    if table is not None and table.group is not None:
        stored = {suffix: row.item for suffix, row in place.items().items()}
        require(stored == place.replayed, f"{place.name}: the log does not replay to the table")


def _check_members(places: list[SimulatedRegion]) -> None:
    names = [place.name for place in places]
    for place in places:
        table = place.table
        assert table is not None and table.group is not None
        states = {member.region: member.state for member in table.group.present}
        expected = dict.fromkeys(names, ACTIVE)
        require(states == expected, f"{place.name}: the group is {states}, not {expected}")
        require(table.status == "ACTIVE", f"{place.name}: the table is {table.status}")
        require(len(places) > 1 or len(table.group.members) == 1, f"{place.name} is alone in a group")
        first = places[0].table
        assert first is not None and first.group is not None
        require(table.group.members == first.group.members, f"{place.name}: the group differs from {names[0]}'s")


def _check_equal(places: list[SimulatedRegion]) -> None:
    first = dict(_state(places[0]))
    for place in places[1:]:
        state = dict(_state(place))
        for key in sorted(first.keys() | state.keys()):
            if first.get(key) != state.get(key):
                raise Violation(f"{key} is {first.get(key)} in {places[0].name}, {state.get(key)} in {place.name}")


def _state(place: SimulatedRegion) -> Iterator[tuple[tuple[str, bytes], Any]]:
    """Rows that must be the same in all replicas: items with versions byte for byte, TTL entries, index entries by
    their value."""
    table, snapshot = place.table, place.engine.committed_rows
    assert table is not None and table.ttl is not None
    for key, row in snapshot.scan(*fmt.space_range(table.space)):
        yield ("item", fmt.in_space(key)), row
    for key, row in snapshot.scan(*fmt.space_range(table.ttl.space)):
        yield ("expiry", fmt.in_space(key)), row
    for index in table.indexes:
        for key, row in snapshot.scan(*fmt.space_range(index.space)):
            yield (index.name, fmt.in_space(key)), orjson.loads(row[4:])


def _check_survivors(world: World, id_: str, places: list[SimulatedRegion]) -> None:
    model = world.models[id_]
    items, tombstones = places[0].items(), places[0].tombstones()
    for suffix, writes in model.writes.items():
        winner, item = model.winner(suffix), items.get(suffix)
        version = item.version if item is not None else tombstones.get(suffix)
        if winner is not None:
            if version is None:
                later = [write for write in writes.values() if write.version >= winner.version]
                is_deleted = any(write.image is None for write in later)
                require(is_deleted, f"{suffix!r} is lost: it has no version, not {winner.version}")
                continue
            require(version >= winner.version, f"{suffix!r} has the version {version}, not {winner.version}")
        if version is not None:
            require(version in writes, f"{suffix!r} has the version {version}, which nobody wrote")


def latest_ms(world: World) -> int:
    """After all versions that anybody has assigned or will assign, by all clocks."""
    times = [version.time for model in world.models.values() for writes in model.writes.values() for version in writes]
    tables = [place.table for place in world.places.values() if place.table is not None]
    times += [table.group.floor for table in tables if table.group is not None]
    return max(max(times, default=0) >> COUNTER_BITS, world.now_ms + max(world.skew_ms.values()))
