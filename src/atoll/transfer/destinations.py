"""Send the changes of tables to Kinesis streams.

A step takes the next changes of one table from its log, sends their records, and stores the position after them. If a
step is interrupted, or the stream refuses the records, they are sent again: records may arrive twice, but none is lost.
The same steps end the transitional states of destinations. Steps of different destinations run concurrently.
"""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from collections.abc import Sequence, Set
from contextlib import suppress
from dataclasses import replace
from functools import partial
from hashlib import md5
from typing import Any

import orjson

from atoll import arns
from atoll.capacity.units import write_units
from atoll.database import catalog, destination_positions
from atoll.database import destination as states
from atoll.database import format as fmt
from atoll.database.destination import (
    ACTIVE,
    DISABLED,
    DISABLING,
    ENABLE_FAILED,
    ENABLING,
    MICROSECOND,
    UPDATING,
    Destination,
    of,
)
from atoll.database.health import DESTINATIONS
from atoll.database.log import cursor
from atoll.database.log.cursor import ChangeBatch, Scope
from atoll.database.log.rows import ChangeRow
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.errors import kinesis as errors
from atoll.storage.engine import Snapshot, Transaction
from atoll.transfer.kinesis import Data, Streams, Unsent
from atoll.versions import Stamp

_log = logging.getLogger(__name__)

RECORDS = 500
"""PutRecords takes so many."""
PIECE_BYTES = 2 * 1024**2
RECORD_BYTES = 1024**2
"""A record with more bytes is skipped."""
ATTEMPTS = 6
WAIT_S = 0.1
"""The pause before the second attempt to send throttled records; it doubles with each attempt."""
RETRY_S = 5.0
"""The pause between a failure and the next attempt."""
FOLLOW_S = 0.25
"""The interval between two checks for commits of other processes."""
LOOK_AGAIN_S = 2.0
SETTLE_S = 5.0
"""How long `settle` waits for streams that do not answer."""
_STREAM = re.compile(r"stream/[a-zA-Z0-9_.-]{1,128}")


Key = tuple[str, str]
"""A table's id and the ARN of a stream."""


class Sender:
    """Sends the changes of the tables of one region. Each destination has a task of its own, so a stream that does not
    answer holds up no other."""

    def __init__(self, region: Region, streams: Streams | None, *, alone: bool = True) -> None:
        """`alone`: no other process changes tables."""
        self._region = region
        self._streams = streams
        self._alone = alone
        self._running: dict[Key, asyncio.Task[bool]] = {}
        self._resting: set[Key] = set()
        """Destinations that failed less than RETRY_S ago."""
        self._failing: set[Key] = set()
        """Destinations whose last attempt failed here."""
        self._woken = asyncio.Event()
        self._stopping = False
        self.is_active = False
        """Whether any table has a destination that is on."""

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        health = self._region.health
        while not self._stopping:
            self._woken.clear()
            try:
                if await self._region.engine.lease():
                    await self._begin(self._resting)
                else:
                    self._failing.clear()  # another process sends
                if not self._failing:
                    health.resolve(DESTINATIONS)
            except Exception as error:
                health.failing(DESTINATIONS, error)
            if self.is_active:
                await self._region.committed.wait(FOLLOW_S)
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if self._alone else LOOK_AGAIN_S):
                        await self._woken.wait()

    async def settle(self) -> bool:
        """Send the changes of all destinations, for at most SETTLE_S; returns whether there was anything to do."""
        if self._stopping or not await self._region.engine.lease():
            return False
        tasks = await self._begin()
        if not tasks:
            return False
        done, _ = await asyncio.wait(tasks, timeout=SETTLE_S)
        failed = [error for task in done if not task.cancelled() and isinstance(error := task.exception(), Exception)]
        if failed:
            raise ExceptionGroup("Kinesis destinations", failed)
        return any(not task.cancelled() and task.result() for task in done)

    async def stop(self) -> None:
        """Cancel sending; pending records are sent again after the restart."""
        self._stopping = True
        self.wake()
        for task in self._running.values():
            task.cancel()
        if self._running:
            await asyncio.wait(list(self._running.values()))

    async def _begin(self, without: Set[Key] = frozenset()) -> list[asyncio.Task[bool]]:
        """Start a task for each destination that is on, except for those in `without`; returns the tasks that run."""
        found = await self._region.read(self._destinations)
        self.is_active = bool(found)
        self._failing &= {(table.id, destination.stream) for table, destination in found}
        tasks = []
        for table, destination in found:
            key = table.id, destination.stream
            task = self._running.get(key)
            if (task is None or task.done()) and key not in without and not self._stopping:
                task = self._running[key] = asyncio.create_task(self._catch_up(key))
                task.add_done_callback(partial(self._ended, key))
            if task is not None and not task.done():
                tasks.append(task)
        return tasks

    def _ended(self, key: Key, task: asyncio.Task[bool]) -> None:
        if self._running.get(key) is task:
            del self._running[key]
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._region.health.failing(DESTINATIONS, error)
            self._failing.add(key)
            self._resting.add(key)
            asyncio.get_running_loop().call_later(RETRY_S, self._resting.discard, key)
        elif not task.cancelled():
            self._failing.discard(key)
            self._resting.discard(key)

    async def _catch_up(self, key: Key) -> bool:
        """Send all changes of a destination; returns whether there was anything to do."""
        moved = False
        while not self._stopping:
            found = await self._region.read(self._destinations)
            one = next((one for one in found if (one[0].id, one[1].stream) == key), None)
            if one is None or not await self._advance(*one):
                break
            moved = True
            await asyncio.sleep(0)
        return moved

    def _destinations(self, snapshot: Snapshot) -> list[tuple[Table, Destination]]:
        return [
            (table, destination)
            for table in self._region.catalog.tables(snapshot)
            for destination in table.destinations
            if destination.is_on
        ]

    async def _advance(self, table: Table, destination: Destination) -> bool:
        """Send the next changes, or end a transitional state. Returns whether there may be more to do."""
        is_due = destination.due_ms <= self._region.clock.now_ms()
        if destination.status == ENABLING:
            if is_due:
                reason = await self._refusal(destination)
                await self._change(table, destination, ENABLE_FAILED if reason else ACTIVE, reason or "")
            return is_due
        try:
            is_last = await self._send(table, destination)
        except Unsent:
            if destination.status != DISABLING:
                raise
            is_last = True
        if is_last and is_due and destination.status != ACTIVE:
            await self._change(table, destination, ACTIVE if destination.status == UPDATING else DISABLED)
            return True
        return not is_last

    async def _refusal(self, destination: Destination) -> str | None:
        arn = arns.parse(destination.stream)
        if self._streams is None:
            return errors.NO_ENDPOINT
        if arn is None or arn.service != "kinesis" or _STREAM.fullmatch(arn.resource) is None:
            return errors.NO_PERMISSION
        if arn.region != self._region.name:
            return errors.ELSEWHERE
        if arn.account != self._region.settings.account:
            return errors.INACTIVE
        return await self._streams.refusal(destination.stream)

    async def _change(self, table: Table, old: Destination, status: str, description: str = "") -> None:
        def change(tx: Transaction, stamp: Stamp) -> None:
            found = self._region.catalog.find(tx, table.name)
            if found is None or found.id != table.id or of(found.destinations, old.stream) != old:
                return
            changed = replace(old, status=status, description=description)
            if not changed.is_on:
                destination_positions.forget(tx, table.id, old.stream)
            catalog.save(tx, replace(found, destinations=states.changed(found.destinations, changed)))

        await self._region.write(change)

    async def _send(self, table: Table, destination: Destination) -> bool:
        """Send the next changes; returns whether these were all."""
        scope = Scope(table.log_space)

        def read(snapshot: Snapshot) -> ChangeBatch | None:
            position = destination_positions.find(snapshot, table.id, destination.stream)
            return None if position is None else cursor.read(snapshot, scope, position, RECORDS, PIECE_BYTES)

        batch = await self._region.read(read)
        if batch is None:
            return True
        if batch.missed:
            _log.error("changes were trimmed before they were sent to Kinesis", extra={"table": table.name})
        records = [self._data(table, destination, change) for _, _, change in batch.changes]
        fitting = [one for one in records if len(one.json) <= RECORD_BYTES]
        if len(fitting) < len(records):
            _log.warning("changes of more than 1 MB were not sent to Kinesis", extra={"table": table.name})
        if batch.changes:
            age_ms = self._region.clock.now_ms() - min(change.written_ms for _, _, change in batch.changes)
            self._region.meter.sent(table.name).waited(age_ms)
        await self._put(table, destination, fitting)
        if batch.changes or batch.missed:
            lost = len(records) - len(fitting) + batch.missed
            self._region.meter.sent(table.name).ended(_units(records, batch), lost)
        if batch.changes or batch.missed:
            await self._region.write(lambda tx, stamp: self._store(tx, table, destination, batch))
        return batch.caught_up

    async def _put(self, table: Table, destination: Destination, records: Sequence[Data]) -> None:
        assert self._streams is not None
        wait_s, left = WAIT_S, list(records)
        for _ in range(ATTEMPTS):
            if left:
                left = await self._streams.put(destination.stream, left)
                self._region.meter.sent(table.name).throttled += len(left)
            if not left:
                return
            await asyncio.sleep(wait_s)
            wait_s *= 2
        raise Unsent(f"{destination.stream} throttles")

    def _store(self, tx: Transaction, table: Table, destination: Destination, batch: ChangeBatch) -> None:
        found = self._region.catalog.find(tx, table.name)
        if found is not None and found.id == table.id:
            destination_positions.put(tx, table.id, destination.stream, batch.cursor)

    def _data(self, table: Table, destination: Destination, change: ChangeRow) -> Data:
        partition = md5(table.keys.encode(orjson.loads(change.keys)), usedforsecurity=False).hexdigest().upper()
        return Data(partition, orjson.dumps(record(self._region.name, table.name, destination.precision, change)))


def _units(records: Sequence[Data], batch: ChangeBatch) -> list[float]:
    """The units of change data capture of each record that was sent: a unit for each KB of the greater image."""
    return [
        write_units(max(change.old_size, change.new_size))
        for one, (_, _, change) in zip(records, batch.changes, strict=True)
        if len(one.json) <= RECORD_BYTES
    ]


def record(region: str, table: str, precision: str | None, change: ChangeRow) -> dict[str, Any]:
    """Keys and images are spliced, not parsed."""
    is_micro = precision == MICROSECOND
    body: dict[str, Any] = {
        "ApproximateCreationDateTime": change.written_ms * 1000 if is_micro else change.written_ms,
        "Keys": orjson.Fragment(change.keys),
    }
    size = change.keys_size
    if change.new is not None:
        body["NewImage"] = orjson.Fragment(change.new)
        size += change.new_size
    if change.old is not None:
        body["OldImage"] = orjson.Fragment(change.old)
        size += change.old_size
    body["SizeBytes"] = size
    if is_micro:
        body["ApproximateCreationDateTimePrecision"] = MICROSECOND
    by_service = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    return {
        "awsRegion": region,
        "eventID": str(uuid.uuid4()),
        "eventName": "INSERT" if not change.old_size else "REMOVE" if not change.new_size else "MODIFY",
        "userIdentity": by_service if change.cause == fmt.EXPIRY else None,
        "recordFormat": "application/json",
        "tableName": table,
        "dynamodb": body,
        "eventSource": "aws:dynamodb",
    }
