"""The steps of capacity, if two processes have the lease in turn."""

from __future__ import annotations

from typing import Any

from atoll.api import tables
from atoll.clock import ManualClock
from atoll.database.region import Region
from atoll.metrics.steps import Steps, steps
from tests.engines import fresh_engine, run

START_MS = 1_800_000_000_000
KEYS: dict[str, Any] = {
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
}


def units(read: int) -> dict[str, Any]:
    return {"ProvisionedThroughput": {"ReadCapacityUnits": read, "WriteCapacityUnits": 1}}


def test_steps_of_another_process_are_known() -> None:
    """The first process once missed a change back to what it had seen itself."""

    async def work() -> list[int | None]:
        clock = ManualClock(START_MS)
        region = Region("us-east-1", fresh_engine(), clock)
        first, second = Steps(region), Steps(region)
        await tables.create_table(region, {"TableName": "Things", **KEYS, **units(5)})
        for read, process in ((5, first), (7, second), (5, first), (9, first)):
            clock.advance(60_000)
            (table,) = await region.read(region.catalog.tables)
            if table.throughput.read != read:
                await tables.update_table(region, {"TableName": "Things", **units(read)})
            clock.advance(60_000)
            await process.settle(clock.now_ms())
        found = await region.read(lambda snapshot: steps(snapshot, ("Things", "")))
        return [step.values[0] for step in found]

    assert run(work()) == [5, 7, 5, 9]
