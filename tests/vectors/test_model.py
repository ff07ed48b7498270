"""Random changes of items, and searches that must find the same as a comparison with all items."""

from __future__ import annotations

import math
import random
from typing import Any

import orjson
import pytest

from atoll.clock import ManualClock
from atoll.database import backfill, background
from atoll.database.region import Region, Settings
from atoll.database.vectors import rows
from atoll.errors import ApiError
from atoll.vectors import following, memory, scan, searchers
from tests import desk
from tests.engines import findings, fresh_engine, run

START_MS = 1_800_000_000_000
DISTANCES = ("COSINE", "DOT_PRODUCT", "EUCLIDEAN")
Item = dict[str, Any]


def index(distance: str, **more: Any) -> dict[str, Any]:
    schema = (
        [("tenant", "HASH"), ("kind", "INLINE_FILTER")] if distance == "DOT_PRODUCT" else [("kind", "INLINE_FILTER")]
    )
    return {
        "IndexName": distance.lower(),
        "VectorAttribute": {"AttributeName": "v"},
        "SearchSchema": [{"AttributeName": n, "SearchSchemaElementType": kind} for n, kind in schema],
        "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["text"]},
        "Dimensions": 3,
        "DistanceFunction": distance,
        **more,
    }


class World:
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.clock = ManualClock(START_MS)
        self.engine = fresh_engine()
        self.open()
        self.items: dict[str, Item] = {}
        self.request(
            "CreateTable",
            TableName="Notes",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "tenant", "kind")],
            VectorIndexes=[index(distance) for distance in DISTANCES],
        )
        self.request("UpdateTimeToLive", TableName="Notes", TimeToLiveSpecification={
            "Enabled": True, "AttributeName": "expires",
        })  # fmt: skip
        self.settle()

    def open(self) -> None:
        """Another process opens the store: nothing is in memory."""
        self.region = Region("us-east-1", self.engine, self.clock, Settings())

    def settle(self) -> None:
        """Background work has had time."""
        run(background.run(self.region))

    def request(self, operation: str, **body: Any) -> Any:
        return orjson.loads(orjson.dumps(run(desk.call(self.region, operation, orjson.loads(orjson.dumps(body))))))

    def item(self) -> Item:
        chance = self.chance
        item: Item = {"pk": {"S": f"k{chance.randrange(40)}"}}
        if chance.random() < 0.9:
            item["v"] = {"L": [{"N": str(chance.randrange(-6, 7))} for _ in range(3)]}
        if chance.random() < 0.9:
            item["tenant"] = {"S": f"t{chance.randrange(2)}"}
        if chance.random() < 0.8:
            item["kind"] = {"S": f"k{chance.randrange(3)}"}
        if chance.random() < 0.2:
            item["expires"] = {"N": str(self.clock.now_ms() // 1000 + chance.randrange(1, 500))}
        return item | {"text": {"S": str(chance.random())}, "other": {"S": "x"}}

    def change(self) -> None:
        chance, items = self.chance, self.items
        item = self.item()
        pk = item["pk"]["S"]
        match chance.randrange(7):
            case 0 | 1:
                self.request("PutItem", TableName="Notes", Item=item)
                items[pk] = item
            case 2:
                self.request("DeleteItem", TableName="Notes", Key={"pk": item["pk"]})
                items.pop(pk, None)
            case 3:
                value = {":v": {"L": [{"N": "0.5"}, {"N": "1"}, {"N": str(chance.randrange(9))}]}}
                self.request(
                    "UpdateItem", TableName="Notes", Key={"pk": item["pk"]}, UpdateExpression="SET v = :v REMOVE kind",
                    ExpressionAttributeValues=value,
                )  # fmt: skip
                before = {name: v for name, v in items.get(pk, {"pk": item["pk"]}).items() if name != "kind"}
                items[pk] = before | {"v": value[":v"]}
            case 4:
                other = self.item()
                if other["pk"] == item["pk"]:
                    return
                actions = [{"Put": {"TableName": "Notes", "Item": item}},
                           {"Delete": {"TableName": "Notes", "Key": {"pk": other["pk"]}}}]  # fmt: skip
                failing = chance.random() < 0.3
                if failing:
                    actions[1]["Delete"]["ConditionExpression"] = "attribute_exists(nothing)"
                try:
                    self.request("TransactWriteItems", TransactItems=actions)
                except ApiError:
                    assert failing
                    return
                items[pk] = item
                items.pop(other["pk"]["S"], None)
            case 5:
                batch = {one["pk"]["S"]: one for one in (self.item() for _ in range(5))}
                puts = [{"PutRequest": {"Item": one}} for one in batch.values()]
                self.request("BatchWriteItem", RequestItems={"Notes": puts})
                items.update(batch)
            case 6:
                self.clock.advance(100_000)
                self.settle()
                kept = {one["pk"]["S"] for one in self.request("Scan", TableName="Notes")["Items"]}
                for name in items.keys() - kept:
                    assert int(items.pop(name)["expires"]["N"]) <= self.clock.now_ms() // 1000

    def check(self, distance: str) -> None:
        chance = self.chance
        query = [float(chance.randrange(-5, 6)) for _ in range(3)]
        wanted = {"kind": f"k{chance.randrange(3)}"} if chance.random() < 0.5 else {}
        if distance == "DOT_PRODUCT":
            wanted["tenant"] = f"t{chance.randrange(2)}"
        top = chance.choice([1, 3, 50])
        more: dict[str, Any] = {}
        if wanted:
            more["SearchConditionExpression"] = " AND ".join(f"{name} = :{name}" for name in wanted)
            more["ExpressionAttributeValues"] = {f":{name}": {"S": value} for name, value in wanted.items()}
        results = self.request(
            "SearchVectors", TableName="Notes", IndexName=distance.lower(), TopK=top,
            SearchVector=[{"N": str(number)} for number in query], **more,
        )["SearchResults"]  # fmt: skip
        fit = {
            pk: score(distance, [float(n["N"]) for n in item["v"]["L"]], query)
            for pk, item in self.items.items()
            if "v" in item and (distance != "DOT_PRODUCT" or "tenant" in item)
            if all(item.get(name) == {"S": value} for name, value in wanted.items())
        }
        assert len(results) == min(top, len(fit))
        best = sorted(fit.values(), reverse=distance == "DOT_PRODUCT")[:top]
        assert [one["Score"] for one in results] == pytest.approx(best, abs=1e-6)
        for one in results:
            item = self.items[one["Item"]["pk"]["S"]]
            assert one["Score"] == pytest.approx(fit[item["pk"]["S"]], abs=1e-6)
            shown = ("pk", "kind", "text", *(("tenant",) if distance == "DOT_PRODUCT" else ()))
            assert one["Item"] == {name: item[name] for name in shown if name in item}
        assert len({one["Item"]["pk"]["S"] for one in results}) == len(results)


def score(distance: str, a: list[float], b: list[float]) -> float:
    if distance == "EUCLIDEAN":
        return math.dist(a, b)
    product = math.sumprod(a, b) if hasattr(math, "sumprod") else sum(x * y for x, y in zip(a, b, strict=True))
    if distance == "DOT_PRODUCT":
        return product
    lengths = math.hypot(*a) * math.hypot(*b)
    return 1 - product / lengths if lengths else 1.0


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_searches_find_all_existing_entries(seed: int, small: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With small chunks, pieces and logs all of their ends are met."""
    if small:
        monkeypatch.setattr(memory, "CHUNK", 4)
        monkeypatch.setattr(rows, "SLOTS", 8)
        monkeypatch.setattr(scan, "PIECE_ROWS", 3)
        monkeypatch.setattr(following, "PIECE_CHANGES", 2)
    world = World(seed)
    for step in range(120):
        world.change()
        if step % 3 == 0:
            for distance in DISTANCES:
                world.check(distance)
        if step % 40 == 39:
            world.open()
    assert not findings(world.region)


def test_an_index_that_is_too_large_for_memory_is_scanned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searchers, "MOST_BYTES", -1)
    monkeypatch.setattr(scan, "PIECE_ROWS", 3)
    world = World(7)
    for step in range(60):
        world.change()
        if step % 5 == 0:
            for distance in DISTANCES:
                world.check(distance)
    assert len(world.region.state(searchers.Searchers)._followed) == 0


def test_two_processes_see_each_others_writes_at_once() -> None:
    world = World(8)
    first = world.region
    world.open()
    second = world.region
    for _ in range(40):
        world.region = world.chance.choice([first, second])
        world.change()
        world.region = world.chance.choice([first, second])
        world.check("EUCLIDEAN")


def test_a_backfill_continues_after_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "ITEMS", 4)
    world = World(9)
    for _ in range(60):
        world.change()
    creation = index("EUCLIDEAN", IndexName="later")
    definitions = [{"AttributeName": "kind", "AttributeType": "S"}]
    world.request(
        "UpdateTable", TableName="Notes", AttributeDefinitions=definitions, VectorIndexUpdates=[{"Create": creation}]
    )
    for _ in range(3):
        run(world.region.write(lambda tx, stamp: backfill.change_indexes(tx, world.region, stamp, b"Notes")))
        world.change()
        world.open()
    run(background.run(world.region))
    (described,) = [
        one
        for one in world.request("DescribeTable", TableName="Notes")["Table"]["VectorIndexes"]
        if one["IndexName"] == "later"
    ]
    assert described["IndexStatus"] == "ACTIVE"
    assert described["ItemCount"] == sum("v" in item for item in world.items.values())
    assert not findings(world.region)
