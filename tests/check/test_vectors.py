"""Damage of a vector index is found and repaired, and a search of the running server sees the repair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from atoll.clock import ManualClock
from atoll.database.region import Region, Settings
from atoll.database.vectors import rows
from atoll.storage.engine import Transaction
from atoll.storage.memory import MemoryEngine
from tests import desk
from tests.engines import findings, finish, run

INDEX = {
    "IndexName": "near",
    "VectorAttribute": {"AttributeName": "v"},
    "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["text"]},
    "Dimensions": 1,
    "DistanceFunction": "EUCLIDEAN",
}


def request(region: Region, operation: str, **body: Any) -> Any:
    return orjson.loads(orjson.dumps(run(desk.call(region, operation, orjson.loads(orjson.dumps(body))))))


def found(region: Region) -> list[tuple[str, str, float]]:
    answer = request(region, "SearchVectors", TableName="Notes", IndexName="near", SearchVector=[{"N": "0"}], TopK=9)
    return [(one["Item"]["pk"]["S"], one["Item"]["text"]["S"], one["Score"]) for one in answer["SearchResults"]]


def _lost(tx: Transaction, key: bytes, row: bytes) -> None:
    tx.delete(key)


def _with_another_vector(tx: Transaction, key: bytes, row: bytes) -> None:
    tx.put(key, row[: rows.VECTOR] + bytes(4) + row[rows.VECTOR + 4 :])


def _with_another_text(tx: Transaction, key: bytes, row: bytes) -> None:
    tx.put(key, row.replace(b"hello", b"other"))


def _of_no_item(tx: Transaction, key: bytes, row: bytes) -> None:
    tx.put(key.replace(b"n1", b"n7"), row)


@pytest.mark.parametrize("damage", [_lost, _with_another_vector, _with_another_text, _of_no_item])
def test_a_repair_is_seen_at_once(damage: Callable[[Transaction, bytes, bytes], None]) -> None:
    region = Region("us-east-1", MemoryEngine(), ManualClock(1_800_000_000_000), Settings())
    request(
        region, "CreateTable", TableName="Notes", BillingMode="PAY_PER_REQUEST", VectorIndexes=[INDEX],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )  # fmt: skip
    for number in range(3):
        item = {"pk": {"S": f"n{number}"}, "v": {"L": [{"N": str(number + 1)}]}, "text": {"S": "hello"}}
        request(region, "PutItem", TableName="Notes", Item=item)
    whole = found(region)
    assert not findings(region)
    (index,) = region.catalog.known.tables["Notes"].vector_indexes

    def break_(tx: Transaction) -> None:
        key, row = next((k, r) for k, r in tx.scan(*_range(index.space)) if b"n1" in k)
        damage(tx, key, row)

    finish(region.transact(break_))
    # The process learned of the entries after the damage, as after a restart.
    region.rewind()
    found(region)
    fixes = [fix for finding in findings(region) for fix in finding.fixes]
    assert fixes
    finish(region.transact(lambda tx: [fix.apply(tx) for fix in fixes]))
    assert [one for one in findings(region) if one.kind != "counter"] == []
    assert found(region) == whole


def _range(space: int) -> tuple[bytes, bytes]:
    return space.to_bytes(4, "big"), (space + 1).to_bytes(4, "big")
