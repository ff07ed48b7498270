"""Measure imports, exports and restores, and for comparison PutItem in the same run.

An import creates a table of `items` items of 1 KB from a file in a bucket. Then the table is exported, and restored to
its present state. Meanwhile a client reads items at a steady rate and measures each read. PutItem runs on a plain
table, on one with point-in-time recovery, and on one with a stream of both images.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.client import Client, Json
from benchmarks.measure import Result, measure, rss_mb
from benchmarks.servers import Server
from benchmarks.signing import Credentials, Signer
from benchmarks.streams import Caller

BUCKET = "bench-files"
ITEM_BYTES = 1_000
READS_PER_SECOND = 500
KEYS = {
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
}
STREAM = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}}
RECOVERY = {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}


@dataclass(frozen=True)
class Job:
    name: str
    per_second: float
    p99_ms: float
    """The latency of the reads meanwhile."""
    rss_mb: float


def run(
    server: Server, credentials: Credentials, directory: Path, items: int, seconds: float
) -> tuple[dict[str, Result], list[Job]]:
    """`directory` has the server's buckets."""
    with Client(server.port) as client:
        caller = Caller(server, credentials, client)
        puts = {}
        for name, settings in (("Plain", {}), ("Recovery", {}), ("Stream", STREAM)):
            caller.call("CreateTable", {"TableName": name, **KEYS, **settings})
            if name == "Recovery":
                caller.call("UpdateContinuousBackups", {"TableName": name, **RECOVERY})
            requests = [caller.signer.request("PutItem", body) for body in _puts(name)]
            puts[name] = measure(server, requests, seconds=seconds, warm_up=1)
        _write_file(directory, items)
        jobs = [_job(server, credentials, "ImportTable", items, lambda: _import(caller))]
        caller.call("UpdateContinuousBackups", {"TableName": "Imported", **RECOVERY})
        for name, work in (("ExportTableToPointInTime", _export), ("RestoreTableToPointInTime", _restore)):
            jobs.append(_job(server, credentials, name, items, lambda work=work: work(caller)))  # type: ignore[misc]
    return puts, jobs


def table(puts: dict[str, Result], jobs: list[Job]) -> tuple[str, list[str], list[list[str]]]:
    plain = puts["Plain"].per_second
    rows = [[f"PutItem, {name}", f"{one.per_second:,.0f}", f"{one.per_second / plain:.2f}", f"{one.p99_ms:.1f}",
             f"{one.rss_mb:.0f}"] for name, one in puts.items()]  # fmt: skip
    rows += [[one.name, f"{one.per_second:,.0f}", f"{one.per_second / plain:.2f}", f"{one.p99_ms:.1f}",
              f"{one.rss_mb:.0f}"] for one in jobs]  # fmt: skip
    headings = ["what", "items/s", "beside plain PutItem", "p99 in ms (of jobs: of GetItem meanwhile)", "RSS in MB"]
    return "Imports, exports, restores", headings, rows


def _item(number: int, chance: random.Random) -> Json:
    return {"pk": {"S": f"item-{number:09d}"}, "n": {"N": str(number)}, "v": {"S": chance.randbytes(480).hex()}}


def _puts(name: str) -> Iterator[bytes]:
    chance = random.Random(0)
    for number in range(2_000):
        yield json.dumps({"TableName": name, "Item": _item(number, chance)}).encode()


def _write_file(directory: Path, items: int) -> None:
    chance = random.Random(1)
    path = directory / BUCKET / "in" / "items.json"
    path.parent.mkdir(parents=True)
    with path.open("w") as file:
        for number in range(items):
            file.write(json.dumps({"Item": _item(number, chance)}, separators=(",", ":")) + "\n")


def _job(server: Server, credentials: Credentials, name: str, items: int, work: Callable[[], None]) -> Job:
    with _reading(server, credentials) as taken_ms:
        began = time.perf_counter()
        work()
        seconds = time.perf_counter() - began
    taken_ms.sort()
    return Job(name, items / seconds, taken_ms[int(len(taken_ms) * 0.99)], rss_mb(server))


@contextmanager
def _reading(server: Server, credentials: Credentials) -> Iterator[list[float]]:
    taken_ms: list[float] = []
    ended = threading.Event()

    def read() -> None:
        with Client(server.port) as client:
            body = json.dumps({"TableName": "Plain", "Key": {"pk": {"S": "item-000000001"}}}).encode()
            request = Signer(server.port, credentials).request("GetItem", body)
            due = time.perf_counter()
            while not ended.is_set():
                due = max(due + 1 / READS_PER_SECOND, time.perf_counter() - 0.1)
                time.sleep(max(due - time.perf_counter(), 0))
                began = time.perf_counter()
                client.exchange(request)
                taken_ms.append((time.perf_counter() - began) * 1e3)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield taken_ms
    finally:
        ended.set()
        thread.join()


def _until(caller: Caller, operation: str, body: Json, is_done: Callable[[Json], bool]) -> None:
    while not is_done(caller.call(operation, body)):
        time.sleep(0.02)


def _import(caller: Caller) -> None:
    begun = caller.call(
        "ImportTable",
        {
            "S3BucketSource": {"S3Bucket": BUCKET, "S3KeyPrefix": "in/"},
            "InputFormat": "DYNAMODB_JSON",
            "TableCreationParameters": {"TableName": "Imported", **KEYS},
        },
    )
    arn = begun["ImportTableDescription"]["ImportArn"]
    ended = lambda answer: answer["ImportTableDescription"]["ImportStatus"] != "IN_PROGRESS"  # noqa: E731
    _until(caller, "DescribeImport", {"ImportArn": arn}, ended)


def _export(caller: Caller) -> None:
    arn = caller.call("DescribeTable", {"TableName": "Imported"})["Table"]["TableArn"]
    begun = caller.call("ExportTableToPointInTime", {"TableArn": arn, "S3Bucket": BUCKET})
    export = begun["ExportDescription"]["ExportArn"]
    ended = lambda answer: answer["ExportDescription"]["ExportStatus"] != "IN_PROGRESS"  # noqa: E731
    _until(caller, "DescribeExport", {"ExportArn": export}, ended)


def _restore(caller: Caller) -> None:
    names = {"SourceTableName": "Imported", "TargetTableName": "Restored", "UseLatestRestorableTime": True}
    caller.call("RestoreTableToPointInTime", names)
    ended = lambda answer: answer["Table"]["TableStatus"] == "ACTIVE"  # noqa: E731
    _until(caller, "DescribeTable", {"TableName": "Restored"}, ended)
