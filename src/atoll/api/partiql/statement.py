"""ExecuteStatement, BatchExecuteStatement, ExecuteTransaction: statements become the reads and writes of the other
operations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from atoll import errors, limits
from atoll.api import multi, queries
from atoll.api.binding import resolve_table
from atoll.api.partiql.items import Bound, Keyed, bind, keyed, read_key, refused, write_of
from atoll.api.partiql.select import (
    fingerprint,
    next_token,
    position_of,
    projected,
    select,
    shown,
)
from atoll.capacity import reading, throttling, writing
from atoll.capacity.units import MODES, Consumed, answers, read_units, written
from atoll.database import reads, writes
from atoll.database.format import Row
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.errors import multi as multi_texts
from atoll.errors import partiql as texts
from atoll.errors.capacity import THROTTLED
from atoll.expressions.partiql.statements import Checking, Deleting, Reading, Updating
from atoll.model import values as model
from atoll.storage.engine import Full, Snapshot, Transaction

Body = dict[str, Any]
Answer = dict[str, Any]


# Writes of single items


async def _write(region: Region, bound: Bound) -> tuple[writes.Write, writing.Result, Consumed]:
    """What its condition refused is charged, and is a result; other refusals are raised."""

    now_ms = region.clock.now_ms()

    def write(tx: Transaction) -> tuple[writes.Write, writing.Result]:
        one = write_of(keyed(bound, bound.table(region, tx, now_ms)))
        return one, writing.execute(tx, region, one)

    one, result = await region.transact(write)
    return one, result, writing.charged(region, one, result)


def _returned(bound: Bound, write: writes.Write, outcome: writes.Outcome) -> Any:
    """The item that RETURNING asks for, None if there is nothing to show."""
    returning = bound.statement.returning if isinstance(bound.statement, Updating | Deleting) else None
    if returning is None:
        return None
    what, when = returning
    if when == "OLD":
        item = outcome.old.item if outcome.old is not None else None
    else:
        item = outcome.new.item if outcome.new is not None else None
    if item is not None and what == "MODIFIED":
        assert isinstance(write, writes.Update)
        assert write.update is not None
        item = write.update.touched(item)
    return item or None


# ExecuteStatement


async def execute_statement(region: Region, body: Body) -> Answer:
    bound = bind(body)
    if isinstance(bound.statement, Reading):
        return await _select(region, bound, bound.statement)
    if isinstance(bound.statement, Checking):
        raise texts.exists_outside_transaction()
    write, result, consumed = await _write(region, bound)
    if isinstance(result, errors.ConditionFailed):
        raise refused(bound, result)
    item = _returned(bound, write, result)
    answer: Answer = {"Items": [] if item is None else [item]}
    mode = body.get("ReturnConsumedCapacity")
    if mode in MODES:
        answer["ConsumedCapacity"] = consumed.answer(mode)
    return answer


async def _select(region: Region, bound: Bound, reading: Reading) -> Answer:
    body = bound.body
    token = body.get("NextToken")
    position = None if token is None else position_of(token, _fingerprint(bound))
    name = resolve_table(region, reading.table)
    source = {"IndexName": reading.index, "ConsistentRead": body.get("ConsistentRead")}

    found = await region.read(
        lambda snapshot: select(
            snapshot,
            queries.target_of(region, snapshot, name, source),
            reading,
            bound.values,
            position,
            body.get("Limit"),
        )
    )
    answer: Answer = {"Items": [shown(found.columns, row) for row in found.page.rows]}
    if found.position is not None:
        answer["NextToken"] = next_token(found.position, _fingerprint(bound))
    mode = body.get("ReturnConsumedCapacity")
    told = mode if mode in MODES else None
    return answer | queries.charge_page(region, found.target, found.page, source, told)


def _fingerprint(bound: Bound) -> str:
    return fingerprint(bound.body["Statement"], bound.body.get("Parameters"))


# BatchExecuteStatement

Result = tuple[Keyed, bytes] | errors.ApiError
"""A statement with the key of its row, or what is wrong with it."""


async def batch_execute_statement(region: Region, body: Body) -> Answer:
    """Each statement by itself; only what is wrong with the batch fails all of them."""
    bounds = [_bound_or_refusal(statement) for statement in body["Statements"]]
    if len({bound.is_read for bound in bounds if isinstance(bound, Bound)}) > 1:
        raise texts.batch_mixed()

    now_ms = region.clock.now_ms()

    def read(snapshot: Snapshot) -> tuple[list[Result], dict[bytes, Row | None]]:
        found = [_located(region, snapshot, bound, now_ms) for bound in bounds]
        located = [result for result in found if isinstance(result, tuple)]
        if len({row_key for _, row_key in located}) < len(located):
            raise multi_texts.duplicate_keys()
        selected = [row_key for one, row_key in located if one.bound.is_read]
        return found, dict(zip(selected, reads.get_many(snapshot, selected), strict=True))

    found, rows = await region.read(read)
    done = await asyncio.gather(*(_batch_response(region, one, rows) for one in found))
    answer: Answer = {"Responses": [response for response, _ in done]}
    mode = body.get("ReturnConsumedCapacity")
    if mode in MODES:
        answer["ConsumedCapacity"] = answers([consumed for _, consumed in done if consumed is not None], mode)
    return answer


def _bound_or_refusal(body: Body) -> Bound | errors.ApiError:
    try:
        bound = bind(body)
    except errors.ApiError as refusal:
        if refusal.code not in texts.BATCH_CODES:
            raise  # parameters that cannot even be read
        return refusal
    return texts.exists_outside_transaction() if isinstance(bound.statement, Checking) else bound


def _located(region: Region, snapshot: Snapshot, bound: Bound | errors.ApiError, now_ms: int) -> Result:
    if isinstance(bound, errors.ApiError):
        return bound
    try:
        table = bound.table(region, snapshot, now_ms)
        one = read_key(bound, table, texts.single_item_only()) if bound.is_read else keyed(bound, table)
        return one, one.row_key()
    except errors.ApiError as refusal:
        return refusal


async def _batch_response(
    region: Region, located: Result, rows: dict[bytes, Row | None]
) -> tuple[Answer, Consumed | None]:
    if isinstance(located, errors.ApiError):
        return {"Error": texts.batch_error(located)}, None
    one, row_key = located
    response: Answer = {"TableName": one.bound.table_name}
    if isinstance(one.bound.statement, Reading):
        consumed = Consumed(one.table, "Read", one.table.name)
        row = rows[row_key]
        if row is not None:
            response["Item"] = projected(one.bound.statement.columns, row)
        consistent = one.bound.body.get("ConsistentRead") is True
        consumed.table = read_units(reads.size_of(row), consistent=consistent)
        try:
            reading.settle(region, consumed)
        except errors.ApiError as refusal:
            return {"TableName": one.bound.table_name, "Error": texts.batch_error(refusal)}, None
        return response, consumed
    try:
        write, result, consumed = await _write(region, one.bound)
    except Full:  # others of the batch may have gone through
        return {**response, "Error": texts.batch_error(errors.internal())}, None
    except errors.ApiError as refusal:
        response["Error"] = texts.batch_error(refusal)
        if refusal.code in THROTTLED:
            return response, None
        consumed = Consumed(one.table, "Write", one.table.name, table=1.0)
        throttling.charge(region, [consumed])  # what did not go through is charged all the same
        return response, consumed
    if isinstance(result, errors.ConditionFailed):
        return {**response, "Error": texts.batch_error(refused(one.bound, result))}, consumed
    item = _returned(one.bound, write, result)
    return response if item is None else {**response, "Item": item}, consumed


# ExecuteTransaction


async def execute_transaction(region: Region, body: Body) -> Answer:
    statements: list[Body] = body["TransactStatements"]
    bounds = [_bound_in_transaction(index, statement) for index, statement in enumerate(statements)]
    kinds = {bound.is_read for bound in bounds}
    if len(kinds) > 1:
        raise texts.transaction_mixed()
    if sum(model.value_size(value) for bound in bounds for value in bound.values.values()) > limits.TRANSACTION_BYTES:
        raise multi_texts.transaction_too_large()
    mode = body.get("ReturnConsumedCapacity")
    if kinds == {True}:
        return await _read_transaction(region, bounds, mode)
    return await _write_transaction(region, bounds, body, mode)


def _bound_in_transaction(index: int, body: Body) -> Bound:
    try:
        bound = bind(body)
        statement = bound.statement
        if isinstance(statement, Updating | Deleting) and statement.returning is not None:
            raise texts.transaction_returning()
        if isinstance(statement, Reading) and statement.index is not None:
            raise texts.transaction_index()
    except errors.ApiError as refusal:
        if refusal.code != "ValidationException" or isinstance(refusal, texts.Malformed):
            raise
        raise texts.in_transaction(index, refusal) from None
    return bound


def _all_keyed(region: Region, snapshot: Snapshot, bounds: Sequence[Bound], now_ms: int) -> list[Keyed]:
    """Statements whose conditions do not fit their table cancel the transaction, before one item twice is told."""
    pairs = enumerate(zip(bounds, [bound.table(region, snapshot, now_ms) for bound in bounds], strict=True))
    found, refusals = writes.attempted(partial(_keyed_in_transaction, index, *pair) for index, pair in pairs)
    if any(refusals):
        raise multi_texts.Cancelled(refusals)
    return found


class _Invalid(Exception):
    """A statement that a transaction may not have: the whole request is at fault."""


def _keyed_in_transaction(index: int, bound: Bound, table: Table) -> Keyed:
    if bound.is_read:
        refusal = texts.in_transaction(index, texts.transaction_select())
        try:
            return read_key(bound, table, refusal)
        except errors.ApiError as error:
            raise (_Invalid(error) if error is refusal else error) from None
    if not isinstance(bound.statement, Checking):
        return keyed(bound, table)
    refusal = texts.in_transaction(index, texts.exists_form())
    try:
        one = keyed(bound, table)
    except texts.KeyNotGiven:
        raise _Invalid(refusal) from None
    if not one.rest:
        raise _Invalid(refusal)
    return one


async def _read_transaction(region: Region, bounds: Sequence[Bound], mode: str | None) -> Answer:
    now_ms = region.clock.now_ms()

    def read(snapshot: Snapshot) -> tuple[list[Keyed], list[Row | None]]:
        found = _all_keyed(region, snapshot, bounds, now_ms)
        return found, reads.get_many(snapshot, multi.distinct((one.row_key for one in found), bytes))

    try:
        found, rows = await region.read(read)
        if sum(map(reads.size_of, rows)) > limits.TRANSACTION_BYTES:
            raise multi_texts.transaction_too_large()
        pairs = zip(found, rows, strict=True)
        consumed = reading.settle_all(region, [(one.table.name, one.table, reads.size_of(row)) for one, row in pairs])
    except _Invalid as invalid:
        raise invalid.args[0] from None
    except multi_texts.Cancelled as cancelled:
        raise multi_texts.transaction_cancelled(cancelled.refusals) from None
    responses = []
    for one, row in zip(found, rows, strict=True):
        assert isinstance(one.bound.statement, Reading)
        responses.append({} if row is None else {"Item": projected(one.bound.statement.columns, row)})
    answer: Answer = {"Responses": responses}
    if mode in MODES:
        answer["ConsumedCapacity"] = answers(consumed, mode, typed=True)
    return answer


async def _write_transaction(region: Region, bounds: Sequence[Bound], body: Body, mode: str | None) -> Answer:
    now_ms = region.clock.now_ms()

    def attempts(tx: Transaction) -> list[Callable[[], writes.Write]]:
        return [partial(write_of, one) for one in _all_keyed(region, tx, bounds, now_ms)]

    of = "".join(map(_fingerprint, bounds))
    try:
        batch, outcomes = await multi.transact(region, attempts, body.get("ClientRequestToken"), of, now_ms)
    except _Invalid as invalid:
        raise invalid.args[0] from None
    except multi_texts.Cancelled as cancelled:
        refusals = [r and refused(bound, r) for bound, r in zip(bounds, cancelled.refusals, strict=True)]
        raise multi_texts.transaction_cancelled(refusals) from None
    names = [one.table.name for one in batch]
    if outcomes is None:
        consumed = await reading.find_done(region, names, batch)
    else:
        consumed = written(zip(names, batch, outcomes, strict=True), factor=2)
    answer: Answer = {"Responses": []}
    if mode in MODES:
        answer["ConsumedCapacity"] = answers(consumed, mode, typed=True)
    return answer
