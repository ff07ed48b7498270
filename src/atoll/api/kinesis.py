"""Enable-, Disable-, Describe- and UpdateKinesisStreamingDestination. `transfer.destinations` sends the changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from atoll.api.table_names import table_name
from atoll.database import catalog, destination_positions
from atoll.database.destination import (
    ACTIVE,
    DISABLED,
    DISABLING,
    ENABLE_FAILED,
    ENABLING,
    MILLISECOND,
    UPDATING,
    Destination,
    changed,
    of,
)
from atoll.database.log import cursor
from atoll.database.log.cursor import Scope
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.errors import kinesis as errors
from atoll.storage.engine import Snapshot, Transaction
from atoll.versions import Stamp

Body = dict[str, Any]
Answer = dict[str, Any]

_PRECISION = "ApproximateCreationDateTimePrecision"


async def enable_kinesis_streaming_destination(region: Region, body: Body) -> Answer:
    configuration = body.get("EnableKinesisStreamingConfiguration") or {}

    def enable(tx: Transaction, table: Table, due_ms: int) -> Destination:
        if any(one.status not in (DISABLED, ENABLE_FAILED) for one in table.destinations):
            raise errors.not_disabled()
        destination_positions.put(tx, table.id, body["StreamArn"], cursor.start_at_end(tx, Scope(table.log_space)))
        return Destination(body["StreamArn"], ENABLING, due_ms, configuration.get(_PRECISION))

    answer = await _change(region, body, enable)
    return {**answer, "EnableKinesisStreamingConfiguration": configuration}


async def disable_kinesis_streaming_destination(region: Region, body: Body) -> Answer:
    if "EnableKinesisStreamingConfiguration" in body:
        raise errors.configuration_while_disabling()

    def disable(tx: Transaction, table: Table, due_ms: int) -> Destination:
        found = of(table.destinations, body["StreamArn"])
        if found is None or found.status not in (ACTIVE, DISABLING):
            raise errors.not_active()
        return found if found.status == DISABLING else replace(found, status=DISABLING, due_ms=due_ms)

    return await _change(region, body, disable)


async def update_kinesis_streaming_destination(region: Region, body: Body) -> Answer:
    configuration = body.get("UpdateKinesisStreamingConfiguration") or {}

    def update(tx: Transaction, table: Table, due_ms: int) -> Destination:
        precision = configuration.get(_PRECISION)
        if precision is None:
            raise errors.update_empty()
        found = of(table.destinations, body["StreamArn"])
        if found is None:
            raise errors.no_destination(body["StreamArn"], table.name)
        if found.status != ACTIVE:
            raise errors.update_inactive(table.name)
        if precision == (found.precision or MILLISECOND):
            raise errors.precision_set(precision, table.id, found.stream)
        return replace(found, status=UPDATING, precision=precision, due_ms=due_ms)

    answer = await _change(region, body, update)
    return {**answer, "UpdateKinesisStreamingConfiguration": configuration}


async def _change(region: Region, body: Body, change: Callable[[Transaction, Table, int], Destination]) -> Answer:
    name, now_ms = table_name(region, body), region.clock.now_ms()

    def write(tx: Transaction, stamp: Stamp) -> Answer:
        table = region.catalog.changeable(tx, name, now_ms)
        one = change(tx, table, now_ms + region.settings.control_plane_delay_ms)
        catalog.save(tx, replace(table, destinations=changed(table.destinations, one)))
        return {"TableName": name, "StreamArn": one.stream, "DestinationStatus": one.status}

    answer = await region.write(write)
    region.wake()
    return answer


async def describe_kinesis_streaming_destination(region: Region, body: Body) -> Answer:
    name, now_ms = table_name(region, body), region.clock.now_ms()

    def read(snapshot: Snapshot) -> Answer:
        table = region.catalog.described(snapshot, name, now_ms)
        return {"TableName": table.name, "KinesisDataStreamDestinations": [*map(_description, table.destinations)]}

    return await region.read(read)


def _description(destination: Destination) -> Answer:
    described: Answer = {"StreamArn": destination.stream, "DestinationStatus": destination.status}
    if destination.description:
        described["DestinationStatusDescription"] = destination.description
    if destination.precision is not None:
        described[_PRECISION] = destination.precision
    return described
