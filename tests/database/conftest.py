"""A region in memory whose clock the test moves, driven without an event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest

from atoll.api import items, multi, streams, tables, ttl
from atoll.clock import ManualClock
from atoll.database import background
from atoll.database.region import Region, Settings
from atoll.storage.engine import Engine, Transaction
from tests.engines import findings, finish, fresh_engine

START_MS = 1_800_000_000_000

Item = dict[str, Any]


class ManualRegion:
    def __init__(self, settings: Settings | None = None, engine: Engine | None = None) -> None:
        self.clock = ManualClock(START_MS)
        self.region = Region("eu-west-1", engine or fresh_engine(), self.clock, settings or Settings())
        self.pretends = False
        """Whether the test has written rows that the API would not write. Otherwise its end checks the store."""

    def call(self, function: Callable[..., Any], **body: Any) -> Any:
        """The answer as a client would parse it."""
        return orjson.loads(orjson.dumps(finish(function(self.region, orjson.loads(orjson.dumps(body))))))

    def transact(self, function: Callable[[Transaction], Any]) -> Any:
        return finish(self.region.transact(function))

    def read(self, function: Callable[[Any], Any]) -> Any:
        return finish(self.region.read(function))

    def settle(self) -> None:
        """Run all jobs until none is due."""
        finish(background.run(self.region))

    def next_ms(self) -> int | None:
        """When the next job is due, after those that are."""
        next_ms: int | None = finish(background.run(self.region))
        return next_ms

    def job(self, job: background.Job, subject: str = "Things") -> int | None:
        """Run a job once, due or not."""
        again_ms: int | None = finish(
            self.region.write(lambda tx, stamp: job(tx, self.region, stamp, subject.encode()))
        )
        return again_ms

    def by_hand(self, function: Callable[..., Any], name: str) -> Any:
        return self.transact(lambda tx: function(tx, self.region, name, self.clock.now_ms()))

    def pass_time(self, ms: int) -> None:
        self.clock.advance(ms)
        self.settle()

    # Tables

    def create(self, name: str = "Things", *, view: str | None = "NEW_AND_OLD_IMAGES", units: int | None = 1) -> None:
        """A table with keys pk (S) and sk (N); on demand if `units` is None."""
        body: dict[str, Any] = {"BillingMode": "PAY_PER_REQUEST"}
        if units is not None:
            body = {"ProvisionedThroughput": {"ReadCapacityUnits": units, "WriteCapacityUnits": units}}
        if view is not None:
            body["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": view}
        keys = (("pk", "HASH", "S"), ("sk", "RANGE", "N"))
        self.call(
            tables.create_table,
            TableName=name,
            KeySchema=[{"AttributeName": n, "KeyType": k} for n, k, _ in keys],
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, _, t in keys],
            **body,
        )

    def table(self, name: str = "Things") -> Any:
        return self.read(lambda snapshot: self.region.catalog.find(snapshot, name))

    def enable_stream(self, name: str = "Things", view: str = "NEW_AND_OLD_IMAGES") -> None:
        specification = {"StreamEnabled": True, "StreamViewType": view}
        self.call(tables.update_table, TableName=name, StreamSpecification=specification)

    def disable_stream(self, name: str = "Things") -> None:
        self.call(tables.update_table, TableName=name, StreamSpecification={"StreamEnabled": False})

    def set_ttl(self, name: str = "Things", attribute: str = "expires", *, enabled: bool = True) -> None:
        specification = {"Enabled": enabled, "AttributeName": attribute}
        self.call(ttl.update_time_to_live, TableName=name, TimeToLiveSpecification=specification)

    def ttl_status(self, name: str = "Things") -> str:
        description = self.call(ttl.describe_time_to_live, TableName=name)["TimeToLiveDescription"]
        status: str = description["TimeToLiveStatus"]
        return status

    # Items

    def put(self, pk: str, sk: int = 0, *, table: str = "Things", **attributes: Any) -> None:
        self.call(items.put_item, TableName=table, Item={"pk": {"S": pk}, "sk": {"N": str(sk)}, **attributes})

    def delete(self, pk: str, sk: int = 0, *, table: str = "Things") -> None:
        self.call(items.delete_item, TableName=table, Key={"pk": {"S": pk}, "sk": {"N": str(sk)}})

    def get(self, pk: str, sk: int = 0, *, table: str = "Things") -> Item | None:
        key = {"pk": {"S": pk}, "sk": {"N": str(sk)}}
        item: Item | None = self.call(items.get_item, TableName=table, Key=key).get("Item")
        return item

    def transact_write(self, *writes: Item) -> None:
        self.call(multi.transact_write_items, TransactItems=list(writes))

    # Streams

    def arns(self, name: str | None = None) -> list[str]:
        chosen = {} if name is None else {"TableName": name}
        return [stream["StreamArn"] for stream in self.call(streams.list_streams, **chosen)["Streams"]]

    def describe(self, arn: str, **more: Any) -> Any:
        return self.call(streams.describe_stream, StreamArn=arn, **more)["StreamDescription"]

    def shards(self, arn: str) -> list[Any]:
        found: list[Any] = []
        start: dict[str, str] = {}
        while True:
            page = self.describe(arn, **start)
            found += page["Shards"]
            if "LastEvaluatedShardId" not in page:
                return found
            start = {"ExclusiveStartShardId": page["LastEvaluatedShardId"]}

    def iterator(self, arn: str, shard: str, kind: str = "TRIM_HORIZON", number: str | None = None, **more: Any) -> str:
        if number is not None:
            more["SequenceNumber"] = number
        answer = self.call(streams.get_shard_iterator, StreamArn=arn, ShardId=shard, ShardIteratorType=kind, **more)
        token: str = answer["ShardIterator"]
        return token

    def records(self, iterator: str, **more: Any) -> tuple[list[Any], str | None]:
        answer = self.call(streams.get_records, ShardIterator=iterator, **more)
        return answer["Records"], answer.get("NextShardIterator")

    def all_records(self, arn: str) -> list[Any]:
        """Everything that all shards have now, shard by shard."""
        found: list[Any] = []
        for shard in self.shards(arn):
            iterator: str | None = self.iterator(arn, shard["ShardId"])
            while iterator is not None:
                records, iterator = self.records(iterator)
                found += records
                if not records:
                    break
        return found


@pytest.fixture
def world() -> Iterator[ManualRegion]:
    region = ManualRegion()
    yield region
    assert region.pretends or not findings(region.region)


@pytest.fixture
def slow_world() -> Iterator[ManualRegion]:
    """Changes of tables take ten seconds."""
    region = ManualRegion(Settings(control_plane_delay_ms=10_000))
    yield region
    assert region.pretends or not findings(region.region)
