"""GetItem, PutItem, UpdateItem, DeleteItem."""

from __future__ import annotations

from typing import Any

import orjson

from atoll import limits
from atoll.api import keys
from atoll.api.binding import GET, UPDATE, WRITE, Requested, table_name
from atoll.capacity import reading, writing
from atoll.capacity.units import Consumed, read_units
from atoll.database import reads, writes
from atoll.database.format import Row
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.errors import keys as key_texts
from atoll.errors import requests as texts
from atoll.errors import values as value_texts
from atoll.expressions.condition import Condition
from atoll.expressions.update import Update as UpdateExpression
from atoll.model import values
from atoll.storage.engine import Snapshot, Transaction

Body = dict[str, Any]
Answer = dict[str, Any]


async def get_item(region: Region, body: Body) -> Answer:
    requested = Requested(body, GET)
    key = body["Key"]
    values.check_item(key)
    projection = requested.projection()
    requested.finish()
    name, now_ms = table_name(region, body), region.clock.now_ms()

    def read(snapshot: Snapshot) -> tuple[Table, Row | None]:
        table = region.catalog.usable(snapshot, name, now_ms)
        row_key = keys.row_key(table, key)
        if projection is not None:
            keys.check_scalars(table, projection.entered)
        return table, reads.get(snapshot, row_key)

    table, row = await region.read(read)
    answer: Answer = {}
    if row is not None:
        answer["Item"] = row.fragment if projection is None else projection.apply(row.item)
    size = row.size if row is not None else 0
    units = read_units(size, consistent=body.get("ConsistentRead") is True)
    if requested.capacity is not None or table.limited:
        consumed = Consumed(table, "Read", requested.table, units)
        reading.settle(region, consumed)
        if requested.capacity is not None:
            answer["ConsumedCapacity"] = consumed.answer(requested.capacity)
    tally = region.meter.current = region.meter.tally(table.name, None, "GetItem")
    tally.read_units += units
    if row is not None:
        tally.items += 1
    return answer


async def put_item(region: Region, body: Body) -> Answer:
    requested = Requested(body, WRITE)
    item, wanted = body["Item"], body.get("ReturnValues")
    size = values.check_item(item)
    check_return_values(wanted)
    image = _image(item, size)
    condition = requested.condition()
    requested.finish()
    name, now_ms = table_name(region, body), region.clock.now_ms()
    show_item = body.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"

    def make(tx: Transaction) -> writes.Put:
        table = region.catalog.usable(tx, name, now_ms)
        return put_of(table, image, condition, show_item)

    put, result = await writing.execute(region, name, make)
    outcome = writing.settle(region, put, result, "PutItem")
    answer = write_answer(requested, put, outcome)
    if wanted == "ALL_OLD" and outcome.old is not None:
        answer["Attributes"] = outcome.old.fragment
    return answer


async def delete_item(region: Region, body: Body) -> Answer:
    requested = Requested(body, WRITE)
    key, wanted = body["Key"], body.get("ReturnValues")
    values.check_item(key)
    check_return_values(wanted)
    condition = requested.condition()
    requested.finish()
    name, now_ms = table_name(region, body), region.clock.now_ms()
    show_item = body.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"

    def make(tx: Transaction) -> writes.Delete:
        table = region.catalog.usable(tx, name, now_ms)
        return delete_of(table, key, condition, show_item)

    delete, result = await writing.execute(region, name, make)
    outcome = writing.settle(region, delete, result, "DeleteItem")
    answer = write_answer(requested, delete, outcome)
    if wanted == "ALL_OLD" and outcome.old is not None:
        answer["Attributes"] = outcome.old.fragment
    return answer


async def update_item(region: Region, body: Body) -> Answer:
    requested = Requested(body, UPDATE)
    key = body["Key"]
    values.check_item(key)
    update = requested.update()
    condition = requested.condition()
    requested.finish()
    name, now_ms = table_name(region, body), region.clock.now_ms()
    show_item = body.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"

    def make(tx: Transaction) -> writes.Update:
        table = region.catalog.usable(tx, name, now_ms)
        return update_of(table, key, update, condition, show_item)

    change, result = await writing.execute(region, name, make)
    outcome = writing.settle(region, change, result, "UpdateItem")
    answer = write_answer(requested, change, outcome)
    attributes = _update_values(body.get("ReturnValues"), update, outcome)
    if attributes:
        answer["Attributes"] = attributes
    return answer


def _update_values(wanted: str | None, update: UpdateExpression | None, outcome: writes.Outcome) -> Any:
    if wanted == "ALL_NEW":
        return orjson.Fragment(outcome.new.json) if outcome.new is not None else None
    if wanted == "ALL_OLD":
        return outcome.old.fragment if outcome.old is not None else None
    if update is not None and wanted == "UPDATED_NEW" and outcome.new is not None:
        return update.touched(outcome.new.item)
    if update is not None and wanted == "UPDATED_OLD" and outcome.old is not None:
        return update.touched(outcome.old.item)
    return None


def check_return_values(wanted: str | None) -> None:
    """Of PutItem and DeleteItem."""
    if wanted is not None and wanted not in ("ALL_OLD", "NONE"):
        raise texts.return_values_of_write()


def image_of(item: values.Item) -> writes.Image:
    """A request's Item, checked and ready to be stored."""
    return _image(item, values.check_item(item))


def _image(item: values.Item, size: int) -> writes.Image:
    if size > limits.ITEM_BYTES:
        raise value_texts.item_too_large()
    return writes.Image(item, size, orjson.dumps(item))


def put_of(
    table: Table, image: writes.Image, condition: Condition | None = None, show_item: bool = False
) -> writes.Put:
    row_key = keys.row_key_of_item(table, image.item)
    if condition is not None:
        keys.check_scalars(table, condition.entered)
    return writes.Put(table, table.keys.key_of(image.item), row_key, image, condition, show_item)


def delete_of(
    table: Table, key: values.Item, condition: Condition | None = None, show_item: bool = False
) -> writes.Delete:
    row_key = keys.row_key(table, key)
    if condition is not None:
        keys.check_scalars(table, condition.entered)
    return writes.Delete(table, key, row_key, condition, show_item)


def update_of(
    table: Table,
    key: values.Item,
    update: UpdateExpression | None,
    condition: Condition | None = None,
    show_item: bool = False,
) -> writes.Update:
    row_key = keys.row_key(table, key)
    if update is not None:
        for name in table.keys.names:
            if name in update.attributes:
                raise key_texts.update_of_key(name)
        keys.check_assigned(table, update)
        keys.check_scalars(table, update.program.entered)
    if condition is not None:
        keys.check_scalars(table, condition.entered)
    return writes.Update(table, key, row_key, update, condition, show_item)


def write_answer(requested: Requested, write: writes.Write, outcome: writes.Outcome) -> Answer:
    """ConsumedCapacity and ItemCollectionMetrics, where they were asked for."""
    answer: Answer = {}
    if requested.capacity is not None:
        consumed = Consumed(write.table, "Write", requested.table)
        consumed.add_write(write, outcome)
        answer["ConsumedCapacity"] = consumed.answer(requested.capacity)
    if requested.collection_metrics and outcome.collection_size is not None:
        answer["ItemCollectionMetrics"] = collection_metrics(write, outcome)
    return answer


GIGABYTE = 1024**3


def collection_metrics(write: writes.Write, outcome: writes.Outcome) -> Answer:
    """The size estimate is a range of one gigabyte's width that holds the size."""
    partition = write.table.keys.partition[0].name
    gigabytes = (outcome.collection_size or 0) // GIGABYTE
    return {
        "ItemCollectionKey": {partition: write.key[partition]},
        "SizeEstimateRangeGB": [float(gigabytes), float(gigabytes + 1)],
    }
