"""GetItem, PutItem, UpdateItem, DeleteItem."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import orjson

from atoll.api import keys, plans
from atoll.api.binding import GET, Expressions
from atoll.api.large import LargeBody, of_json, projected
from atoll.api.returns import capacity_mode, wants_collection_metrics
from atoll.api.table_names import table_name
from atoll.aside import aside
from atoll.capacity import reading, writing
from atoll.capacity.units import Consumed, read_units
from atoll.database import writes
from atoll.database.region import Region
from atoll.database.rows import Row
from atoll.database.schema import Table
from atoll.database.stored import Stored
from atoll.errors import values as value_errors
from atoll.expressions.projection import PathProjection
from atoll.expressions.update import Update as UpdateExpression
from atoll.model import values
from atoll.storage.engine import RowRead, Snapshot, Transaction

Body = dict[str, Any]
Answer = dict[str, Any]
W = TypeVar("W", bound=writes.Write)


async def get_item(region: Region, body: Body) -> Answer:
    key, projection = _asked(body) if type(body) is dict else await aside(_asked, body)
    name, now_ms = table_name(region, body), region.clock.now_ms()

    def plan(snapshot: Snapshot) -> tuple[Table, bytes]:
        table = region.catalog.usable(snapshot, name, now_ms)
        row_key = keys.row_key(table, key)
        if projection is not None:
            keys.check_scalars(table, projection.entered)
        return table, row_key

    consistent, read = body.get("ConsistentRead") is True, RowRead(plan)
    table, row_key, stored = await (region.read(read) if consistent else region.read_eventually(read))
    row = Row(stored) if stored is not None else None
    answer: Answer = {}
    if row is not None:
        answer["Item"] = row.fragment if projection is None else await projected(row.json, projection)
    size = row.size if row is not None else 0
    units = read_units(size, consistent=consistent)
    if region.key_ranges is not None or (table.limited and region.buckets is not None):
        reading.settle_item(region, table, row_key, units, now_ms)
    mode = capacity_mode(body)
    if mode is not None:
        answer["ConsumedCapacity"] = Consumed(table, "Read", body["TableName"], units).answer(mode)
    tally = region.meter.current = region.meter.tally(table.name, None, "GetItem")
    tally.reads[units] += 1
    if row is not None:
        tally.items += 1
    return answer


def _asked(body: Body) -> tuple[values.Item, PathProjection | None]:
    expressions = Expressions(body, GET)
    key = body["Key"]
    values.check_item(key)
    return key, expressions.bind().projection


async def put_item(region: Region, body: Body) -> Answer:
    returns = body.get("ReturnValues")
    plan = plans.put(body, returns) if type(body) is dict else await aside(plans.put, body, returns)
    put, outcome = await _write(region, body, plan, "PutItem")
    answer = write_answer(body, put, outcome)
    _add_old_attributes(answer, body, outcome)
    return answer


async def delete_item(region: Region, body: Body) -> Answer:
    returns = body.get("ReturnValues")
    plan = plans.delete(body, returns) if type(body) is dict else await aside(plans.delete, body, returns)
    delete, outcome = await _write(region, body, plan, "DeleteItem")
    answer = write_answer(body, delete, outcome)
    _add_old_attributes(answer, body, outcome)
    return answer


async def update_item(region: Region, body: Body) -> Answer:
    plan = plans.update(body) if type(body) is dict else await aside(plans.update, body)
    if plan.is_overcharged and region.charges_statements:
        plan = plan._replace(make=partial(_refused, plan.make))
    change, outcome = await _write(region, body, plan, "UpdateItem")
    answer = write_answer(body, change, outcome)
    wanted = body.get("ReturnValues", "NONE")
    attributes = None if wanted == "NONE" else await _update_values(wanted, change.update, outcome)
    if attributes:
        answer["Attributes"] = attributes
    return answer


def _refused(make: Callable[[Table], writes.Update], table: Table) -> writes.Update:
    """Refuse an update whose statement is too large: after the checks of its key, before its condition."""
    make(table)
    raise value_errors.updated_item_too_large()


def _write(
    region: Region, body: Body, plan: plans.Plan[W], operation: str
) -> Coroutine[Any, Any, tuple[W, writes.Outcome]]:
    name, make_write = table_name(region, body), plan.make
    is_long = plan.is_long or type(body) is LargeBody

    def make(tx: Transaction, now_ms: int) -> W:
        if is_long:
            tx.announce_long()
        return make_write(region.catalog.usable(tx, name, now_ms))

    return writing.execute(region, name, make, operation)


def _add_old_attributes(answer: Answer, body: Body, outcome: writes.Outcome) -> None:
    if outcome.old is not None and body.get("ReturnValues") == "ALL_OLD":
        answer["Attributes"] = outcome.old.fragment


async def _update_values(wanted: str | None, update: UpdateExpression | None, outcome: writes.Outcome) -> Any:
    if wanted == "ALL_NEW":
        return orjson.Fragment(outcome.new.json) if outcome.new is not None else None
    if wanted == "ALL_OLD":
        return outcome.old.fragment if outcome.old is not None else None
    image = {"UPDATED_NEW": outcome.new, "UPDATED_OLD": outcome.old}.get(wanted or "")
    return None if update is None or image is None else await touched(update, image)


async def touched(update: UpdateExpression, image: Stored) -> values.Item:
    return await of_json(image.json, lambda: update.touched(image.item))


def write_answer(body: Body, write: writes.Write, outcome: writes.Outcome) -> Answer:
    """ConsumedCapacity and ItemCollectionMetrics, if requested."""
    answer: Answer = {}
    mode = capacity_mode(body)
    if mode is not None:
        consumed = Consumed(write.table, "Write", body["TableName"])
        consumed.add_write(write, outcome)
        answer["ConsumedCapacity"] = consumed.answer(mode)
    if wants_collection_metrics(body) and outcome.collection_size is not None:
        answer["ItemCollectionMetrics"] = collection_metrics(write, outcome)
    return answer


GIGABYTE = 1024**3


def collection_metrics(write: writes.Write, outcome: writes.Outcome) -> Answer:
    """ItemCollectionMetrics; the size estimate is a range one gigabyte wide that contains the size."""
    partition = write.table.keys.partition[0].name
    gigabytes = (outcome.collection_size or 0) // GIGABYTE
    return {
        "ItemCollectionKey": {partition: write.key[partition]},
        "SizeEstimateRangeGB": [float(gigabytes), float(gigabytes + 1)],
    }
