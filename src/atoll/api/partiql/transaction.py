"""ExecuteTransaction: runs all statements, or none of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from atoll import errors, limits
from atoll.api import multi
from atoll.api.large import LargeBody, is_long
from atoll.api.partiql.bound import Bound, bind
from atoll.api.partiql.items import Keyed, keyed, read_key, refused, work_out, write_of
from atoll.api.partiql.kinds import OF_TRANSACTION
from atoll.api.partiql.select import projected
from atoll.api.returns import capacity_mode
from atoll.api.table_names import resolve_table
from atoll.aside import aside
from atoll.capacity import reading
from atoll.capacity.units import answers, written
from atoll.database import reads, writes
from atoll.database.region import Region
from atoll.database.rows import Row
from atoll.database.schema import Table
from atoll.errors import multi as multi_errors
from atoll.errors import partiql as partiql_errors
from atoll.expressions.partiql.statements import Checking, Deleting, Selecting, Updating
from atoll.storage.engine import Snapshot, Transaction

Body = dict[str, Any]
Answer = dict[str, Any]


async def execute_transaction(region: Region, body: Body) -> Answer:
    takes_long = is_long(body, body["TransactStatements"])
    bounds, of = await aside(_worked_out, region, body) if takes_long else _all_bound(body)
    mode = capacity_mode(body)
    if bounds[0].is_read:
        return await _read_transaction(region, bounds, mode)
    return await _write_transaction(region, bounds, of, body, mode, takes_long)


def _worked_out(region: Region, body: Body) -> tuple[list[Bound], str]:
    found = _all_bound(body)
    work_out(region, found[0])
    return found


def _all_bound(body: Body) -> tuple[list[Bound], str]:
    """The statements, and their fingerprint if the request has a token."""
    bounds = [_bound_in_transaction(index, statement) for index, statement in enumerate(body["TransactStatements"])]
    if len({bound.is_read for bound in bounds}) > 1:
        raise partiql_errors.transaction_mixed()
    if sum(bound.size for bound in bounds) > limits.TRANSACTION_BYTES:
        raise multi_errors.transaction_too_large()
    if body.get("ClientRequestToken") is None:
        return bounds, ""
    is_large = type(body) is LargeBody
    return bounds, "".join(bound.fingerprint(is_large) for bound in bounds)


def _bound_in_transaction(index: int, body: Body) -> Bound:
    try:
        bound = bind(body)
        statement = bound.statement
        if isinstance(statement, Updating | Deleting) and statement.returning is not None:
            raise partiql_errors.transaction_returning()
        if isinstance(statement, Selecting) and statement.index is not None:
            if statement.fault is not None:
                raise errors.validation(statement.fault)
            raise partiql_errors.transaction_index()
    except errors.ApiError as refusal:
        if refusal.code != "ValidationException" or refusal.bare:
            raise  # unreadable parameters, and invalid numbers in them, are the request's faults
        raise partiql_errors.in_transaction(index, refusal) from None
    return bound


def _all_keyed(region: Region, snapshot: Snapshot, bounds: Sequence[Bound], now_ms: int) -> list[Keyed]:
    """The statements with their keys. A condition that does not fit its table cancels the transaction; this is reported
    before duplicate items."""
    pairs = enumerate(zip(bounds, [bound.table(region, snapshot, now_ms) for bound in bounds], strict=True))
    found, refusals = multi_errors.try_all(partial(_keyed_in_transaction, index, *pair) for index, pair in pairs)
    if any(refusals):
        raise multi_errors.Cancelled(refusals)
    return found


class _Invalid(Exception):
    """A statement that is not allowed in a transaction; it fails the whole request."""


def _keyed_in_transaction(index: int, bound: Bound, table: Table) -> Keyed:
    if bound.is_read:
        refusal = partiql_errors.in_transaction(index, partiql_errors.transaction_select())
        try:
            return read_key(bound, table, refusal)
        except errors.ApiError as error:
            raise (_Invalid(error) if error is refusal else error) from None
    if not isinstance(bound.statement, Checking):
        return keyed(bound, table)
    refusal = partiql_errors.in_transaction(index, partiql_errors.exists_form())
    try:
        one = keyed(bound, table)
    except partiql_errors.KeyNotGiven:
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
            raise multi_errors.transaction_too_large()
        pairs = zip(found, rows, strict=True)
        sizes = [(one.table.name, one.table, reads.size_of(row)) for one, row in pairs]
        consumed = reading.settle_all(region, sizes, [one.row_key() for one in found], OF_TRANSACTION[True])
    except _Invalid as invalid:
        raise invalid.args[0] from None
    except multi_errors.Cancelled as cancelled:
        raise multi_errors.transaction_cancelled(cancelled.refusals) from None
    responses = []
    for one, row in zip(found, rows, strict=True):
        assert isinstance(one.bound.statement, Selecting)
        responses.append({} if row is None else {"Item": await projected(one.bound.statement.columns, row)})
    region.meter.current = region.meter.of_all({one.table.name for one in found}, OF_TRANSACTION[True])
    answer: Answer = {"Responses": responses}
    if mode is not None:
        answer["ConsumedCapacity"] = answers(consumed, mode, typed=True)
    return answer


async def _write_transaction(
    region: Region, bounds: Sequence[Bound], of: str, body: Body, mode: str | None, takes_long: bool
) -> Answer:
    now_ms = region.clock.now_ms()

    def attempts(tx: Transaction) -> list[Callable[[], writes.Write]]:
        if takes_long:
            tx.announce_long()
        return [partial(write_of, one) for one in _all_keyed(region, tx, bounds, now_ms)]

    try:
        token = body.get("ClientRequestToken")
        tables = {resolve_table(region, bound.table_name) for bound in bounds}
        batch, outcomes = await multi.transact(region, tables, attempts, token, of, now_ms, OF_TRANSACTION[False])
    except _Invalid as invalid:
        raise invalid.args[0] from None
    except multi_errors.Cancelled as cancelled:
        refusals = [r and refused(bound, r) for bound, r in zip(bounds, cancelled.refusals, strict=True)]
        raise multi_errors.transaction_cancelled(refusals) from None
    names = [one.table.name for one in batch]
    if outcomes is None:
        consumed = await reading.find_done(region, names, batch, OF_TRANSACTION[False])
    else:
        consumed = written(zip(names, batch, outcomes, strict=True), factor=2)
    region.meter.current = region.meter.of_all(set(names), OF_TRANSACTION[False])
    answer: Answer = {"Responses": []}
    if mode is not None:
        answer["ConsumedCapacity"] = answers(consumed, mode, typed=True)
    return answer
