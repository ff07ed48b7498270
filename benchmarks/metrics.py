"""`python -m benchmarks.metrics`: memory and disk of the metrics of many tables, after simulated days of traffic.

A node with a data directory and a manual clock makes `--tables` tables, every second one provisioned, and uses some of
them each minute: GetItem, PutItem and Query, with varied numbers of requests, units and latencies. The meter gets these
numbers without requests; the evaluation of each minute is the server's own. Of each day it prints the process's memory,
the store's size and the CPU time of a minute. Memory is that of the node without tables, of the tables' definitions,
and of the metrics, each as it was when the one before was there. It fails if the metrics exceed their goals.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from atoll.api import tables
from atoll.capacity.meter import Meter, Tally
from atoll.clock import ManualClock
from atoll.config import Config
from atoll.database.region import Region, Settings
from atoll.evaluation import Evaluation
from atoll.node import Node

MEMORY_MB, DISK_MB = 200, 1_000
"""The goals, of metrics alone."""

START_MS = 1_800_000_000_000
MINUTE_MS, DAY_MINUTES = 60_000, 1_440
AT_ONCE = 100
KEYS = {
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
}
MODES = (
    {"BillingMode": "PAY_PER_REQUEST"},
    {"ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}},
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--tables", type=int, default=10_000)
    parser.add_argument("--active", type=int, default=200, help="how many of them are used each minute")
    parser.add_argument("--days", type=float, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        memory_mb, disk_mb = asyncio.run(simulate(Path(scratch), options.tables, options.active, options.days))
    print(f"metrics: {memory_mb:.0f} MB of memory (goal {MEMORY_MB}), {disk_mb:.0f} MB of disk (goal {DISK_MB})")
    sys.exit(memory_mb > MEMORY_MB or disk_mb > DISK_MB)


async def simulate(directory: Path, count: int, active: int, days: float) -> tuple[float, float]:
    """Memory and disk of the metrics, in MB."""
    clock = ManualClock(START_MS)
    settings = Settings(quotas=False)
    node = Node(Config(port=0, data=directory, settings=settings, clock="manual"), clock)
    await node.start()
    empty_mb = settled_mb()
    region = node.region()
    names = [f"service-{number % 40}-table-{number:05d}" for number in range(count)]
    await make(region, names)
    evaluation = node.evaluations[region.key]
    await evaluation.settle()
    defined_mb, defined_disk_mb = settled_mb(), size_mb(directory)
    print(f"memory: node {empty_mb:.0f} MB; definitions of {count} tables {defined_mb - empty_mb:.0f} MB")
    most_mb = 0.0
    traffic = Traffic(region.meter, names[:: max(1, count // active)][:active])
    minutes, began = round(days * DAY_MINUTES), time.process_time()
    for minute in range(1, minutes + 1):
        await traffic.minute(evaluation, clock)
        if minute % DAY_MINUTES == 0 or minute == minutes:
            most_mb = max(most_mb, resident_mb() - defined_mb)
            each_ms = (time.process_time() - began) * 1000 / minute
            print(
                f"day {minute / DAY_MINUTES:5.2f}: metrics {resident_mb() - defined_mb:6.1f} MB, peak of the process "
                f"{peak_mb():.0f} MB, disk {size_mb(directory) - defined_disk_mb:6.1f} MB, {each_ms:.1f} ms a minute",
                flush=True,
            )
    disk_mb = size_mb(directory) - defined_disk_mb
    await node.stop()
    return max(most_mb, peak_mb() - defined_mb), disk_mb


async def make(region: Region, names: list[str]) -> None:
    for start in range(0, len(names), AT_ONCE):
        some = names[start : start + AT_ONCE]
        await asyncio.gather(*(
            tables.create_table(region, {"TableName": name, **KEYS, **MODES[number % len(MODES)]})
            for number, name in enumerate(some)
        ))  # fmt: skip


class Traffic:
    def __init__(self, meter: Meter, names: Iterable[str]) -> None:
        self._meter, self._names, self._random = meter, list(names), random.Random(0)

    async def minute(self, evaluation: Evaluation, clock: ManualClock) -> None:
        for name in self._names:
            requests = self._random.randrange(1, 200)
            for operation, share in (("GetItem", 1.0), ("PutItem", 0.3), ("Query", 0.1)):
                self._use(self._meter.tally(name, None, operation), operation, round(requests * share) or 1)
        clock.advance(MINUTE_MS)
        await evaluation.settle()

    def _use(self, tally: Tally, operation: str, requests: int) -> None:
        units = 0.5 * requests * self._random.randrange(1, 5)
        if operation == "PutItem":
            tally.writes, tally.write_units, tally.least_written, tally.most_written = requests, units, 1.0, 4.0
        else:
            tally.reads, tally.read_units, tally.least_read, tally.most_read = requests, units, 0.5, 8.0
        tally.calls = requests
        for _ in range(min(requests, 12)):
            tally.succeeded(round(1_000_000 * self._random.lognormvariate(0, 0.5)))
        if operation == "Query":
            tally.pages, tally.items = requests, 7 * requests


def settled_mb() -> float:
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    return resident_mb()


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def size_mb(directory: Path) -> float:
    return sum(path.stat().st_blocks * 512 for path in directory.rglob("*") if path.is_file()) / 1e6


if __name__ == "__main__":
    main()
