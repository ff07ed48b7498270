"""BatchExecuteStatement: runs each statement by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from atoll import errors
from atoll.api.large import LargeBody, is_long
from atoll.api.partiql.bound import Bound, bind
from atoll.api.partiql.items import Keyed, keyed, read_key, refused, returned, work_out, write
from atoll.api.partiql.kinds import OF_BATCH
from atoll.api.partiql.select import projected
from atoll.api.returns import capacity_mode
from atoll.aside import aside
from atoll.capacity import reading, throttling, writing
from atoll.capacity.units import Consumed, answers, read_units
from atoll.database import reads
from atoll.database.region import Region
from atoll.database.rows import Row
from atoll.errors import multi as multi_errors
from atoll.errors import partiql as partiql_errors
from atoll.errors.capacity import THROTTLED
from atoll.expressions.partiql.statements import Checking, Selecting
from atoll.storage.engine import Full, Snapshot

Body = dict[str, Any]
Answer = dict[str, Any]

Result = tuple[Keyed, bytes] | errors.ApiError
"""A statement with the key of its row, or its error."""


class Response(NamedTuple):
    answer: Answer
    consumed: Consumed | None = None
    refusal: errors.ApiError | None = None
    """Why the statement did nothing."""

    @property
    def is_throttled(self) -> bool:
        return self.refusal is not None and self.refusal.code in THROTTLED


async def batch_execute_statement(region: Region, body: Body) -> Answer:
    """Run each statement by itself; only an error of the batch itself fails all statements."""
    takes_long = is_long(body, body["Statements"])
    bounds = await aside(_worked_out, region, body) if takes_long else _all_bound(body)
    if len({bound.is_read for bound in bounds if isinstance(bound, Bound)}) > 1:
        raise partiql_errors.batch_mixed()

    now_ms = region.clock.now_ms()

    def read(snapshot: Snapshot) -> tuple[list[Result], dict[bytes, Row | None]]:
        found = [_located(region, snapshot, bound, now_ms) for bound in bounds]
        located = [result for result in found if isinstance(result, tuple)]
        if len({row_key for _, row_key in located}) < len(located):
            raise multi_errors.duplicate_keys()
        selected = [row_key for one, row_key in located if one.bound.is_read]
        return found, dict(zip(selected, reads.get_many(snapshot, selected), strict=True))

    found, rows = await region.read(read)
    done = await asyncio.gather(*(_batch_response(region, one, rows, type(body) is LargeBody) for one in found))
    _measure(region, found, done)
    answer: Answer = {"Responses": [one.answer for one in done]}
    mode = capacity_mode(body)
    if mode is not None:
        answer["ConsumedCapacity"] = answers([one.consumed for one in done if one.consumed is not None], mode)
    return answer


def _measure(region: Region, found: Sequence[Result], done: Sequence[Response]) -> None:
    """Count the statements, and the batch on their tables. A batch is throttled if all of it was."""
    located = [(result[0], one) for result, one in zip(found, done, strict=True) if isinstance(result, tuple)]
    if not located:
        return
    meter, operation = region.meter, OF_BATCH[located[0][0].bound.is_read]
    for of, one in located:
        if one.consumed is not None:
            one.consumed.measure(meter, operation, int("Item" in one.answer))
        if isinstance(one.refusal, errors.ConditionFailed):
            meter.tally(of.table.name, None, operation).failed_conditions += 1
        elif one.refusal is not None:
            meter.throttled(operation, one.refusal)
    tables = {of.table.name for of, _ in located}
    if all(one.is_throttled for one in done):
        for name in tables:
            meter.tally(name, None, operation).throttled += 1
    meter.current = meter.of_all(tables, operation)


def _worked_out(region: Region, body: Body) -> list[Bound | errors.ApiError]:
    bounds = _all_bound(body)
    work_out(region, [bound for bound in bounds if isinstance(bound, Bound)])
    return bounds


def _all_bound(body: Body) -> list[Bound | errors.ApiError]:
    return [_bound_or_refusal(statement) for statement in body["Statements"]]


def _bound_or_refusal(body: Body) -> Bound | errors.ApiError:
    try:
        bound = bind(body)
    except errors.ApiError as refusal:
        if refusal.code not in partiql_errors.BATCH_CODES:
            raise  # unreadable parameters
        return refusal
    return partiql_errors.exists_outside_transaction() if isinstance(bound.statement, Checking) else bound


def _located(region: Region, snapshot: Snapshot, bound: Bound | errors.ApiError, now_ms: int) -> Result:
    if isinstance(bound, errors.ApiError):
        return bound
    try:
        table = bound.table(region, snapshot, now_ms)
        one = read_key(bound, table, partiql_errors.single_item_only()) if bound.is_read else keyed(bound, table)
        return one, one.row_key()
    except errors.ApiError as refusal:
        return refusal


async def _batch_response(region: Region, located: Result, rows: dict[bytes, Row | None], is_large: bool) -> Response:
    if isinstance(located, errors.ApiError):
        return Response({"Error": partiql_errors.batch_error(located)}, refusal=located)
    one, row_key = located
    response: Answer = {"TableName": one.bound.table_name}
    if isinstance(one.bound.statement, Selecting):
        consumed = Consumed(one.table, "Read", one.table.name)
        row = rows[row_key]
        if row is not None:
            response["Item"] = await projected(one.bound.statement.columns, row)
        consistent = one.bound.body.get("ConsistentRead") is True
        consumed.table = read_units(reads.size_of(row), consistent=consistent)
        try:
            reading.settle(region, consumed, row_key)
        except errors.ApiError as refusal:
            answer = {"TableName": one.bound.table_name, "Error": partiql_errors.batch_error(refusal)}
            return Response(answer, refusal=refusal)
        return Response(response, consumed)
    try:
        done, result, consumed = await write(region, one.bound, is_large)
    except Full:  # other statements of the batch may have succeeded
        return Response({**response, "Error": partiql_errors.batch_error(errors.internal())})
    except errors.ApiError as refusal:
        response["Error"] = partiql_errors.batch_error(refusal)
        if refusal.code in THROTTLED:
            return Response(response, refusal=refusal)
        consumed = Consumed(one.table, "Write", one.table.name, table=1.0)
        throttling.charge(region, [consumed])  # failed statements are charged too
        writing.draw(region, one.table, row_key, 1.0)
        return Response(response, consumed, refusal)
    if isinstance(result, errors.ConditionFailed):
        failed = refused(one.bound, result)
        return Response({**response, "Error": partiql_errors.batch_error(failed)}, consumed, failed)
    item = await returned(one.bound, done, result)
    return Response(response if item is None else {**response, "Item": item}, consumed)
