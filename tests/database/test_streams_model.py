"""Weeks of a table's life from a seed: writes of all kinds, time to live, rotations, splits, trims, streams ended and
begun again. A consumer follows the lineage of the shards, forgets its iterators at random and goes on from the last
sequence number it has seen. It has to see each change exactly once, in order for each item."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import pytest

from atoll.api import items, multi, tables
from atoll.database import ttl
from atoll.database.log import maintenance, retention
from atoll.database.log.retention import Retention
from tests.engines import POSTGRESQL

HOUR_MS = 3600 * 1000
STEPS = 300 if POSTGRESQL else 2_000
"""Each reads all items, one by one."""
Key = tuple[str, str]
Change = tuple[str, Any, Any, bool]
"""Event name, old image, new image, whether time to live did it."""


class Consumer:
    """Reads one stream as a client library does: a shard is read when its parent is finished."""

    def __init__(self, world: Any, arn: str, rng: random.Random) -> None:
        self.world, self.arn, self.rng = world, arn, rng
        self.checkpoints: dict[str, str] = {}
        self.finished: set[str] = set()
        self.iterators: dict[str, str] = {}
        self.known: set[str] = set()
        self.seen: dict[Key, list[Change]] = defaultdict(list)
        self.event_ids: list[str] = []
        self.last_numbers: dict[Key, int] = {}

    def forget(self) -> None:
        self.iterators.clear()

    def poll(self) -> bool:
        """Read a page of each shard that may be read; whether there was anything to do."""
        described = self.world.shards(self.arn)
        listed = {s["ShardId"] for s in described}
        self.known |= listed
        progress = False
        for shard in described:
            name, parent = shard["ShardId"], shard.get("ParentShardId")
            if name in self.finished or (parent in listed and parent not in self.finished):
                continue
            assert parent is None or parent in self.known, "a parent was trimmed before it was seen"
            records, following = self.world.records(self._iterator(name), Limit=self.rng.choice((1, 7, 1000)))
            for record in records:
                self._take(name, record)
            if following is None:
                self.finished.add(name)
                self.iterators.pop(name, None)
            else:
                self.iterators[name] = following
            progress = progress or bool(records) or following is None
        return progress

    def _iterator(self, shard: str) -> str:
        held = self.iterators.get(shard)
        if held is not None:
            return held
        if shard in self.checkpoints:
            return str(self.world.iterator(self.arn, shard, "AFTER_SEQUENCE_NUMBER", self.checkpoints[shard]))
        return str(self.world.iterator(self.arn, shard, "TRIM_HORIZON"))

    def _take(self, shard: str, record: dict[str, Any]) -> None:
        body = record["dynamodb"]
        assert int(body["SequenceNumber"]) > int(self.checkpoints.get(shard, "0"))
        self.checkpoints[shard] = body["SequenceNumber"]
        key = (body["Keys"]["pk"]["S"], body["Keys"]["sk"]["N"])
        number = int(body["SequenceNumber"])
        assert number > self.last_numbers.get(key, 0), "numbers grow from parent to child"
        self.last_numbers[key] = number
        by_service = record.get("userIdentity", {}).get("type") == "Service"
        self.seen[key].append((record["eventName"], body.get("OldImage"), body.get("NewImage"), by_service))
        self.event_ids.append(record["eventID"])


class History:
    """Drives the world and notes what each write changed, by looking at the items before and after it."""

    def __init__(self, world: Any, seed: int) -> None:
        self.world = world
        self.rng = random.Random(seed)
        self.items: dict[Key, Any] = {}
        self.arn: str | None = None
        self.consumers: dict[str, Consumer] = {}
        self.expected: dict[str, dict[Key, list[Change]]] = {}
        self.unread_since_ms = 0
        world.create(units=self.rng.choice((1, None)), view=None)
        world.set_ttl()
        self.begin_stream()

    def begin_stream(self) -> None:
        if self.arn is None:
            self.world.enable_stream()
            self.arn = self.world.arns("Things")[-1]
            self.expected[self.arn] = defaultdict(list)
            self.consumers[self.arn] = Consumer(self.world, self.arn, self.rng)

    def end_stream(self) -> None:
        if self.arn is not None:
            self.world.disable_stream()
            self.arn = None

    def key(self) -> Key:
        return (f"p{self.rng.randrange(12)}", str(self.rng.randrange(2)))

    def note(self, *keys: Key, by_service: bool = False) -> None:
        for key in keys:
            old, new = self.items.get(key), self.world.get(key[0], int(key[1]))
            if old == new:
                continue
            event = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
            if self.arn is not None:
                self.expected[self.arn][key].append((event, old, new, by_service))
            if new is None:
                del self.items[key]
            else:
                self.items[key] = new

    def new_item(self, key: Key) -> Any:
        item: dict[str, Any] = {"pk": {"S": key[0]}, "sk": {"N": key[1]}, "v": {"N": str(self.rng.randrange(4))}}
        if self.rng.random() < 0.4:
            second = self.world.clock.now_ms() // 1000 + self.rng.choice((-10, 5, 600, 20_000, 200_000))
            item["expires"] = {"N": str(second)}
        return item

    def write(self) -> None:
        keys = list({self.key() for _ in range(self.rng.choice((1, 1, 1, 4)))})
        wire_keys = [{"pk": {"S": pk}, "sk": {"N": sk}} for pk, sk in keys]
        kind = self.rng.choice(("put", "put", "delete", "update", "batch", "transact", "nothing"))
        call = self.world.call
        if kind == "put":
            call(items.put_item, TableName="Things", Item=self.new_item(keys[0]))
        elif kind == "delete":
            call(items.delete_item, TableName="Things", Key=wire_keys[0])
        elif kind == "update":
            more = {"UpdateExpression": "ADD v :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}
            call(items.update_item, TableName="Things", Key=wire_keys[0], **more)
        elif kind == "nothing" and keys[0] in self.items:
            call(items.put_item, TableName="Things", Item=self.items[keys[0]])
        elif kind == "batch":
            requests: list[dict[str, Any]] = [{"PutRequest": {"Item": self.new_item(key)}} for key in keys]
            requests[0] = {"DeleteRequest": {"Key": wire_keys[0]}}
            call(multi.batch_write_item, RequestItems={"Things": requests})
        elif kind == "transact":
            writes = [{"Put": {"TableName": "Things", "Item": self.new_item(key)}} for key in keys]
            call(multi.transact_write_items, TransactItems=writes)
        self.note(*keys)

    def pass_time(self) -> None:
        self.world.clock.advance(self.rng.choice((1, 500, 3_000, 600_000, HOUR_MS, 5 * HOUR_MS, 6 * HOUR_MS)))
        while (again_ms := self.world.job(ttl.delete_expired)) is not None and again_ms <= self.world.clock.now_ms():
            pass
        self.note(*list(self.items), by_service=True)
        self.world.settle()

    def shake(self) -> None:
        """Something happens to the shards."""
        choice = self.rng.randrange(6)
        if choice == 0 and len(self.world.table().shards) < 12:
            self.world.by_hand(maintenance.force_split, "Things")
        elif choice == 1:
            self.world.by_hand(maintenance.force_rotate, "Things")
        elif choice == 2:
            self.end_stream()
        elif choice == 3:
            self.begin_stream()
        elif choice == 4 and self.world.table().billing_mode == "PROVISIONED":
            units = {"ReadCapacityUnits": 1, "WriteCapacityUnits": self.rng.randrange(1, 4000)}
            if units["WriteCapacityUnits"] > self.world.table().throughput.write:
                self.world.call(tables.update_table, TableName="Things", ProvisionedThroughput=units)

    def consume(self, *, to_the_end: bool) -> None:
        for arn in self.world.arns():
            consumer = self.consumers[arn]
            if self.rng.random() < 0.3 or to_the_end:
                consumer.forget()
            for _ in range(100_000 if to_the_end else self.rng.randrange(4)):
                if not consumer.poll():
                    break
        if to_the_end:
            self.unread_since_ms = self.world.clock.now_ms()

    def live(self, steps: int) -> None:
        for _ in range(steps):
            roll = self.rng.random()
            if roll < 0.70:
                self.write()
            elif roll < 0.80:
                # Nobody may be so late that records are trimmed, or iterators expire, unread.
                if self.world.clock.now_ms() - self.unread_since_ms > 18 * HOUR_MS:
                    self.consume(to_the_end=True)
                for consumer in self.consumers.values():
                    consumer.forget()
                self.pass_time()
            elif roll < 0.95:
                self.consume(to_the_end=False)
            else:
                self.shake()
        self.consume(to_the_end=True)


@pytest.mark.parametrize("seed", range(4))
def test_a_consumer_sees_each_change_once_and_in_order(world: Any, seed: int) -> None:
    history = History(world, seed)
    start_ms = world.clock.now_ms()
    history.live(STEPS)
    assert world.clock.now_ms() - start_ms > STEPS * HOUR_MS / 9
    for arn, expected in history.expected.items():
        consumer = history.consumers[arn]
        assert consumer.seen == expected
        assert len(set(consumer.event_ids)) == len(consumer.event_ids)
    event_ids = [e for consumer in history.consumers.values() for e in consumer.event_ids]
    assert len(set(event_ids)) == len(event_ids)


def test_a_log_that_is_kept_longer_shows_the_same_stream(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    longer = (*retention.READERS, lambda table: Retention(True, True, 35 * 24 * HOUR_MS))
    monkeypatch.setattr(retention, "READERS", longer)
    test_a_consumer_sees_each_change_once_and_in_order(world, 50)


@pytest.mark.parametrize("seed", range(100, 102))
def test_replaying_a_stream_from_empty_gives_the_table(world: Any, seed: int) -> None:
    history = History(world, seed)
    history.end_stream = lambda: None  # type: ignore[method-assign]
    history.live(STEPS // 2)
    replayed: dict[Key, Any] = {}
    for key, changes in history.consumers[history.arn or ""].seen.items():
        for _, old, new, _ in changes:
            assert replayed.get(key) == old
            replayed[key] = new
    assert {key: item for key, item in replayed.items() if item is not None} == history.items
    assert len(history.items) == sum(world.get(*key) is not None for key in history.items)
