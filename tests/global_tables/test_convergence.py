"""Random changes of settings in several regions, some of which are cut off now and then: all end with the same
settings."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from atoll.database.region import Settings
from atoll.errors import ApiError
from atoll.replication import shared
from tests.engines import findings
from tests.global_tables.conftest import NAMES, US, World

CLASSES = ("STANDARD", "STANDARD_INFREQUENT_ACCESS")
EXPECTED = (
    "already exists",  # an index that is created twice
    "in use",  # while a replica is added or removed
    "not part of the global table",
    "existed as tables",
    "can be created or deleted simultaneously",
    "Requested resource not found: Index",
    "already enabled",
    "already disabled",
    "different AttributeName",
    "cannot be asked",
    "already encrypted",
    "decreasing WarmThroughput is not supported",
    "not found",
    "is being",
)
"""What a client may hear that does not know the state of the table."""


def index(random: Random) -> dict[str, Any]:
    name = random.choice(("by_kind", "by_time"))
    if random.random() < 0.4:
        return {"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": name}}]}
    created = {
        "IndexName": name,
        "KeySchema": [{"AttributeName": "by", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": random.choice(("ALL", "KEYS_ONLY"))},
    }
    types = [{"AttributeName": "by", "AttributeType": "S"}]
    return {"AttributeDefinitions": types, "GlobalSecondaryIndexUpdates": [{"Create": created}]}


def maxima(random: Random) -> dict[str, Any]:
    member = random.choice(("MaxReadRequestUnits", "MaxWriteRequestUnits"))
    return {"OnDemandThroughput": {member: random.randint(1, 1_000)}}


def warm(random: Random) -> dict[str, Any]:
    return {"WarmThroughput": {"ReadUnitsPerSecond": random.randint(12_000, 20_000)}}


CHANGES: tuple[Callable[[Random], dict[str, Any]], ...] = (
    index,
    index,
    maxima,
    warm,
    lambda random: {"TableClass": random.choice(CLASSES)},
    lambda random: {"SSESpecification": {"Enabled": random.random() < 0.5}},
)


def act(world: World, random: Random) -> None:
    region, other = random.sample(NAMES, 2)
    match random.randrange(10):
        case 0 | 1:
            world.wires.down = set(random.sample(NAMES, random.randint(0, 2)))
        case 2 | 3:
            world.step(region)
        case 4:
            world.put(region, str(random.randrange(10)), by={"S": "x"})
        case 5:
            attribute = random.choice(("ends", "until"))
            specification = {"AttributeName": attribute, "Enabled": random.random() < 0.7}
            world.request(region, "UpdateTimeToLive", TableName="Things", TimeToLiveSpecification=specification)
        case 6:
            own = {"OnDemandThroughputOverride": {"MaxReadRequestUnits": random.randint(1, 1_000)}}
            world.change(region, Update={"RegionName": other, **own})
        case _:
            world.update(region, **random.choice(CHANGES)(random))


@pytest.mark.parametrize("seed", range(25))
def test_all_replicas_end_with_the_same_settings(seed: int) -> None:
    world, random = World(Settings(quotas=False)), Random(seed)
    world.global_table(*NAMES)
    for _ in range(60):
        try:
            act(world, random)
        except ApiError as error:
            assert any(text in str(error.message) for text in EXPECTED), error
        world.clock.advance(random.choice((0, 1, 1_000)))
    world.wires.down = set()
    world.settle()
    assert_alike(world)


def assert_alike(world: World) -> None:
    tables = {name: region.catalog.known.tables["Things"] for name, region in world.regions.items()}
    first = tables[US]
    assert first.group is not None
    for table in tables.values():
        assert table.group is not None
        assert table.group.shared == first.group.shared and table.group.settings == first.group.settings
        assert table.group.members == first.group.members
        assert shared.is_in_effect(table)
        assert {one.status for one in table.indexes} <= {"ACTIVE"}
        own = shared.unpacked(table.group.by_region[table.group.own].own)
        assert own == shared.overrides(table)
    for region in world.regions.values():
        assert not findings(region)
