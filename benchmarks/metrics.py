"""`python -m benchmarks.metrics`: the memory and the disk of the metrics of many tables, after simulated days.

A region with a SQLite store and a manual clock has `--tables` tables. Every minute `--active` of them count GetItem,
PutItem and Query, with varied numbers of requests, units and latencies. The benchmark passes these counts to the meter,
without requests; the server's own code evaluates each minute. The memory of metrics is the process's peak minus its
memory with all tables before the first metric. The disk is that of the whole store, with its log and its tables. The
run fails if memory or disk exceeds the goals. It needs Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from atoll.api import tables
from atoll.capacity.meter import Meter, Tally
from atoll.clock import ManualClock
from atoll.database import catalog
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.evaluation import Evaluation, works
from atoll.storage.engine import Transaction
from atoll.storage.sqlite import SQLiteEngine
from atoll.triggers.functions import Functions

MEMORY_MB, DISK_MB = 200, 1_000
"""The goals, for the metrics alone."""

START_MS = 1_800_000_000_000
MINUTE_MS, DAY_MINUTES = 60_000, 1_440
AT_ONCE = 200
REQUESTS = 200
"""The greatest number of GetItem requests to a table in one minute."""
VARIANTS = 1_000

TABLE: dict[str, Any] = {
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--tables", type=int, default=10_000)
    parser.add_argument("--active", type=int, default=200, help="how many of them are used every minute")
    parser.add_argument("--days", type=float, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        memory_mb, disk_mb = asyncio.run(simulate(Path(scratch), options.tables, options.active, options.days))
    print(f"metrics: {memory_mb:.0f} MB of memory (goal {MEMORY_MB}), {disk_mb:.0f} MB of disk (goal {DISK_MB})")
    sys.exit(memory_mb > MEMORY_MB or disk_mb > DISK_MB)


async def simulate(directory: Path, count: int, active: int, days: float) -> tuple[float, float]:
    """The memory of the metrics and the disk, in MB."""
    clock = ManualClock(START_MS)
    engine = SQLiteEngine.open(directory, durability="relaxed")
    region = Region("us-east-1", engine, clock)
    names = [f"service-{number % 40}-table-{number:05d}" for number in range(count)]
    await make(region, names)
    evaluation = Evaluation(region, works(region, no_functions), alone=True)
    await evaluation.settle()
    traffic = Traffic(region.meter, names[:: max(1, count // active)][:active])
    forget_peak()
    before_mb = memory_mb("VmRSS")
    print(f"{count} tables without metrics: {before_mb:.0f} MB of memory, {disk_mb(directory):.0f} MB of disk")
    minutes, began = round(days * DAY_MINUTES), time.process_time()
    for minute in range(1, minutes + 1):
        traffic.count()
        clock.advance(MINUTE_MS)
        await evaluation.settle()
        if minute % DAY_MINUTES == 0 or minute == minutes:
            print(
                f"day {minute / DAY_MINUTES:5.2f}: metrics have {memory_mb('VmRSS') - before_mb:.0f} MB of memory, "
                f"at most {memory_mb('VmHWM') - before_mb:.0f} MB; {disk_mb(directory):.0f} MB of disk; "
                f"{(time.process_time() - began) * 1000 / minute:.0f} ms of CPU a minute",
                flush=True,
            )
    found = memory_mb("VmHWM") - before_mb, disk_mb(directory)
    await evaluation.stop()
    await engine.close()
    return found


async def make(region: Region, names: Sequence[str]) -> None:
    """Create one table and copy its definition, because an account's quota allows fewer tables."""
    await tables.create_table(region, {"TableName": names[0], **TABLE})
    model = await region.read(lambda snapshot: region.catalog.usable(snapshot, names[0], START_MS))
    for start in range(1, len(names), AT_ONCE):
        await region.transact(partial(copy, model, names[start : start + AT_ONCE]))


def copy(model: Table, names: Sequence[str], tx: Transaction) -> None:
    for name in names:
        catalog.save(tx, replace(model, name=name, space=catalog.new_space(tx), log_space=catalog.new_space(tx)))


def no_functions() -> Functions:
    raise LookupError("there are no alarms that call functions")


class Traffic:
    def __init__(self, meter: Meter, names: Sequence[str]) -> None:
        self._meter, self._names, self._random = meter, names, random.Random(0)
        self._minutes = {
            operation: [self._variant(operation, share) for _ in range(VARIANTS)]
            for operation, share in (("GetItem", 1.0), ("PutItem", 0.3), ("Query", 0.1))
        }

    def _variant(self, operation: str, share: float) -> Tally:
        """The counts of one operation on a table in a minute."""
        tally, numbers = Tally(), self._random
        for _ in range(round(numbers.randrange(1, REQUESTS) * share) or 1):
            tally.succeeded(round(1_000_000 * numbers.lognormvariate(0, 0.5)))
            if operation == "PutItem":
                tally.writes[float(numbers.randrange(1, 5))] += 1
            else:
                tally.reads[0.5 * numbers.randrange(1, 17)] += 1
            if operation == "Query":
                tally.returned(numbers.randrange(20))
        return tally

    def count(self) -> None:
        for name in self._names:
            for operation, variants in self._minutes.items():
                made, tally = self._random.choice(variants), self._meter.tally(name, None, operation)
                tally.latencies.update(made.latencies)
                tally.reads.update(made.reads)
                tally.writes.update(made.writes)
                tally.latency_ns, tally.pages, tally.items = made.latency_ns, made.pages, made.items


def forget_peak() -> None:
    """Give memory that is no longer used back to the system, and begin a new peak."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def memory_mb(field: str) -> float:
    """The field VmRSS is the memory of the process, VmHWM its peak since `forget_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{field}:")).split()[1]) / 1_000


def disk_mb(directory: Path) -> float:
    return sum(path.stat().st_blocks * 512 for path in directory.rglob("*") if path.is_file()) / 1e6


if __name__ == "__main__":
    main()
