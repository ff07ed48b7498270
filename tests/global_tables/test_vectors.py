"""Replicas have the vector indexes of their table, each its own entries."""

from __future__ import annotations

from typing import Any

from tests.global_tables.conftest import AP, EU, US, World

INDEX = {
    "IndexName": "near",
    "VectorAttribute": {"AttributeName": "v"},
    "Projection": {"ProjectionType": "KEYS_ONLY"},
    "Dimensions": 2,
    "DistanceFunction": "EUCLIDEAN",
}


def vector(*numbers: int) -> dict[str, Any]:
    return {"L": [{"N": str(number)} for number in numbers]}


def found(world: World, region: str, name: str = "near") -> list[str]:
    answer = world.request(
        region, "SearchVectors", TableName="Things", IndexName=name, SearchVector=vector(0, 0)["L"], TopK=10
    )
    return [one["Item"]["pk"]["S"] for one in answer["SearchResults"]]


def test_a_new_replica_has_the_index_and_its_entries(world: World) -> None:
    world.table(US, VectorIndexes=[INDEX], StreamSpecification={
        "StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES",
    })  # fmt: skip
    for number in range(5):
        world.put(US, f"n{number}", v=vector(number, 0))
    world.add(EU, US)
    world.settle()
    assert found(world, EU) == ["n0", "n1", "n2", "n3", "n4"]
    world.put(EU, "n9", v=vector(0, 1))
    world.delete(US, "n0")
    world.settle()
    assert found(world, US)[:2] == found(world, EU)[:2] or sorted(found(world, US)) == sorted(found(world, EU))
    assert set(found(world, EU)) == {"n1", "n2", "n3", "n4", "n9"}


def test_an_index_created_or_deleted_in_one_replica_is_so_in_all(world: World) -> None:
    world.global_table(US, EU, AP)
    world.put(US, "a", v=vector(1, 1))
    world.settle()
    world.update(EU, VectorIndexUpdates=[{"Create": INDEX}])
    world.settle()
    for region in (US, EU, AP):
        assert found(world, region) == ["a"]
    world.update(AP, VectorIndexUpdates=[{"Delete": {"IndexName": "near"}}])
    world.settle()
    for region in (US, EU, AP):
        assert "VectorIndexes" not in world.describe(region)
