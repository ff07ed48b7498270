"""Measure streams and time to live.

Reading a stream: read every page of a stream once, as boto3 would, then replay the requests that returned records. (The
server keeps no state for a shard iterator, so it can be used again.)
Expiry: `EXPIRING` items have already expired when time to live is enabled, so all are due when their index is built.
Once the first item is deleted, other items are read; the table's item count shows how many are deleted meanwhile.
The log: fill a table's log through the storage engine, with the smallest possible rows, before the server starts.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from atoll.database import format as fmt
from atoll.database.catalog import read_definitions
from atoll.database.log import rows as log_rows
from atoll.database.schema import Shard, Table
from atoll.storage.engine import Transaction
from atoll.storage.sqlite import SQLiteEngine
from atoll.versions import COUNTER_BITS, Version
from benchmarks.client import Client, Json
from benchmarks.measure import Result, measure
from benchmarks.servers import Server
from benchmarks.signing import Credentials, Signer
from benchmarks.workloads import PARTITIONS, SORTS, Requests, definition, encoded, get_item, item, key

SERVICE = "DynamoDBStreams_20120810"
RECORDS = 20_000
READERS = 4
"""The number of connections that read the stream: about one per shard, as consumers have."""
EXPIRING = 50_000
FILLED_AT_ONCE = 10_000


@dataclass(frozen=True)
class Pages:
    """The result of replaying a stream page by page."""

    result: Result
    records: float
    """The average number of records in a page."""

    @property
    def records_per_cpu_second(self) -> float:
        return self.records / self.result.cpu_us * 1e6


@dataclass(frozen=True)
class Expiry:
    calm: Result
    busy: Result
    deleted_per_second: float
    left: int
    """The items not yet deleted when the reads ended; 0 means that some reads ran without deletions."""


class Caller:
    """Sends signed calls on one connection; each must succeed."""

    def __init__(self, server: Server, credentials: Credentials, client: Client) -> None:
        self.signer = Signer(server.port, credentials)
        self._client = client

    def call(self, operation: str, body: Json) -> Json:
        return self.send(self.signer.request(operation, json.dumps(body).encode()))

    def send(self, request: bytes) -> Json:
        answer = self._client.exchange(request)
        assert answer.ok, answer.body
        return answer.body


# Reading a stream


def changing(table: str, count: int) -> Requests:
    """Replace all items repeatedly until the stream has `count` changes."""
    for turn in range(-(-count // (PARTITIONS * SORTS))):
        chance = random.Random(turn + 1)
        for start in range(0, PARTITIONS * SORTS, 25):
            puts = [{"PutRequest": {"Item": item(at, chance)}} for at in range(start, start + 25)]
            yield "BatchWriteItem", {"RequestItems": {table: puts}}


def read_stream(server: Server, credentials: Credentials, table: str, seconds: float) -> Pages:
    """Read the stream of a table, which must have items and a stream of both images."""
    with Client(server.port) as client:
        caller = Caller(server, credentials, client)
        for operation, body in changing(table, RECORDS):
            caller.call(operation, body)
        pages = list(_pages(caller, table))
    requests = [request for request, _ in pages]
    result = measure(server, requests, seconds=seconds, warm_up=1, connections=READERS)
    return Pages(result, sum(records for _, records in pages) / len(pages))


def _pages(caller: Caller, table: str) -> Iterator[tuple[bytes, int]]:
    """The requests for all pages that have records, with the number of records."""

    def request(operation: str, body: Json) -> bytes:
        return caller.signer.request(operation, json.dumps(body).encode(), service=SERVICE)

    (stream,) = caller.send(request("ListStreams", {"TableName": table}))["Streams"]
    arn = {"StreamArn": stream["StreamArn"]}
    for shard in caller.send(request("DescribeStream", arn))["StreamDescription"]["Shards"]:
        start = arn | {"ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = caller.send(request("GetShardIterator", start))["ShardIterator"]
        while True:
            page = request("GetRecords", {"ShardIterator": iterator, "Limit": 1000})
            answer = caller.send(page)
            if not answer["Records"]:
                break
            yield page, len(answer["Records"])
            iterator = answer["NextShardIterator"]


# Expiry


def expire(server: Server, credentials: Credentials, readable: str, count: int, seconds: float) -> Expiry:
    """Read the `count` items of `readable` while items of another table expire."""
    signer = Signer(server.port, credentials)
    reads = [signer.request(*request) for request in encoded(get_item(readable, count))]
    with Client(server.port) as client, ThreadPoolExecutor(1) as pool:
        caller = Caller(server, credentials, client)
        _load_expiring(caller)
        calm = measure(server, reads, seconds=seconds, warm_up=1)
        specification = {"Enabled": True, "AttributeName": "expires"}
        caller.call("UpdateTimeToLive", {"TableName": "expiring", "TimeToLiveSpecification": specification})
        while (first := _left(caller)) == EXPIRING:
            time.sleep(0.005)
        begin = end = time.monotonic()
        left = first
        reading = pool.submit(measure, server, reads, seconds=seconds, warm_up=0)
        while left and not reading.done():
            time.sleep(0.02)
            left, end = _left(caller), time.monotonic()
        return Expiry(calm, reading.result(), (first - left) / (end - begin), left)


def _load_expiring(caller: Caller) -> None:
    caller.call("CreateTable", definition("expiring"))
    expires = {"expires": {"N": str(int(time.time()))}}
    one = item(0, random.Random(0)) | expires
    for start in range(0, EXPIRING, 25):
        puts = [{"PutRequest": {"Item": one | key(at)}} for at in range(start, start + 25)]
        caller.call("BatchWriteItem", {"RequestItems": {"expiring": puts}})


def _left(caller: Caller) -> int:
    count: int = caller.call("DescribeTable", {"TableName": "expiring"})["Table"]["ItemCount"]
    return count


# The log


def fill_log(store: Path, table: str, count: int) -> None:
    """Fill the table's shards evenly with `count` records. No server may have the store open."""
    asyncio.run(_fill_log(store, table, count))


async def _fill_log(store: Path, name: str, count: int) -> None:
    engine = SQLiteEngine.open(store, durability="relaxed")
    table = await engine.read(lambda snapshot: read_definitions(snapshot).tables[name])
    share = count // len(table.shards)
    for shard in table.shards:
        for done in range(0, share, FILLED_AT_ONCE):
            rows = min(FILLED_AT_ONCE, share - done)
            await engine.transact(partial(_append, table=table, shard=shard, count=rows))
    await engine.close()


def _append(tx: Transaction, *, table: Table, shard: Shard, count: int) -> None:
    now_ms = time.time_ns() // 1_000_000
    key_json = b'{"pk":{"S":"a"},"sk":{"S":"b"}}'
    version, keys, nothing = Version(now_ms << COUNTER_BITS, "us-east-1"), (6, key_json), log_rows.NOTHING
    row = log_rows.dump(version, 1, now_ms, fmt.USER, keys, nothing, nothing)
    last = tx.add_number(fmt.sequence_counter(table.log_space, shard.number), count)
    for sequence in range(last - count + 1, last + 1):
        tx.put(fmt.change_key(shard.change_prefix(table.log_space), sequence), row)


# Results


def read_table(pages: Pages) -> tuple[str, list[str], list[list[str]]]:
    result = pages.result
    figures = (
        ("pages/s", f"{result.per_second:,.0f}" + f" ({result.failed} failed)" * bool(result.failed)),
        ("p50 ms", f"{result.p50_ms:.2f}"),
        ("p99 ms", f"{result.p99_ms:.2f}"),
        ("records/page", f"{pages.records:.0f}"),
        ("records/s", f"{result.per_second * pages.records:,.0f}"),
        ("CPU us/record", f"{result.cpu_us / pages.records:.1f}"),
        ("records/s of CPU", f"{pages.records_per_cpu_second:,.0f}"),
        ("RSS MB", f"{result.rss_mb:.0f}"),
    )
    return (
        f"GetRecords, new and old images, {READERS} readers",
        [name for name, _ in figures],
        [[value for _, value in figures]],
    )


def expiry_table(expiry: Expiry) -> tuple[str, list[str], list[list[str]]]:
    headings = ["", "requests/s", "p50 ms", "p99 ms", "items deleted/s", "left at the end"]
    rows = [
        [name, f"{r.per_second:,.0f}", f"{r.p50_ms:.2f}", f"{r.p99_ms:.2f}", *more]
        for name, r, *more in (
            ("nothing expires", expiry.calm, "", ""),
            ("items expire", expiry.busy, f"{expiry.deleted_per_second:,.0f}", f"{expiry.left:,}"),
        )
    ]
    return f"GetItem while {EXPIRING:,} items expire", headings, rows
