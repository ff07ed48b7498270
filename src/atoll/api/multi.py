"""Operations on many items: BatchGetItem, BatchWriteItem, TransactGetItems, TransactWriteItems."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Any, NamedTuple, TypeVar

from atoll import errors, limits
from atoll.api import items, keys, large, plans
from atoll.api.binding import GET, Expressions
from atoll.api.returns import capacity_mode, wants_collection_metrics
from atoll.api.table_names import resolve_table, table_name
from atoll.aside import aside
from atoll.capacity import reading, throttling, writing
from atoll.capacity.units import Consumed, answers, read_units, written
from atoll.database import indexes, long, reads, tokens, writes
from atoll.database.region import Region
from atoll.database.rows import Row
from atoll.database.schema import Table
from atoll.errors import expressions as expression_errors
from atoll.errors import keys as key_errors
from atoll.errors import multi as multi_errors
from atoll.errors import values as value_errors
from atoll.errors.capacity import THROTTLED
from atoll.expressions.projection import PathProjection
from atoll.model import pieces, values
from atoll.slices import Slices
from atoll.storage.engine import Snapshot, Transaction

Body = dict[str, Any]
Answer = dict[str, Any]
T = TypeVar("T")


# BatchGetItem


@dataclass(slots=True)
class _Wanted:
    """The part of a BatchGetItem about one table."""

    given: str
    """The table's name or ARN as in the request, and so in the answer."""
    name: str
    options: Body
    projection: PathProjection | None
    consistent: bool


_Found = tuple[Table, list[bytes], list[Row | None]]
"""A table, the keys of its rows that the request wants, and the rows."""


async def batch_get_item(region: Region, body: Body) -> Answer:
    is_long = large.is_long(body, body["RequestItems"].values())
    wanted = await aside(_all_wanted, region, body) if is_long else _all_wanted(region, body)
    now_ms = region.clock.now_ms()

    def read(snapshot: Snapshot) -> list[_Found]:
        tables, row_keys = [], []
        for one in wanted:
            table = region.catalog.usable(snapshot, one.name, now_ms)
            tables.append(table)
            row_keys.append([keys.row_key(table, key) for key in one.options["Keys"]])
            if one.projection is not None:
                keys.check_scalars(table, one.projection.entered)
        rows = iter(reads.get_many(snapshot, list(chain.from_iterable(row_keys))))
        return [(table, own, list(islice(rows, len(own)))) for table, own in zip(tables, row_keys, strict=True)]

    slices, consistent = Slices(), any(one.consistent for one in wanted)
    found = await (region.read(read) if consistent else region.read_eventually(read))
    return await _batch_answer(region, wanted, found, capacity_mode(body), slices)


def _all_wanted(region: Region, body: Body) -> list[_Wanted]:
    is_large = type(body) is large.LargeBody
    wanted = [_wanted(region, given, options, is_large) for given, options in body["RequestItems"].items()]
    legacy, current = (
        [one for one in wanted if member in one.options] for member in ("AttributesToGet", "ProjectionExpression")
    )
    if legacy and current:
        raise expression_errors.mixed_parameters(["AttributesToGet"], ["ProjectionExpression"])
    return wanted


def _wanted(region: Region, given: str, options: Body, is_large: bool) -> _Wanted:
    projection = Expressions(options, GET).bind().projection
    given_keys = options["Keys"]
    for key in given_keys:
        values.check_item(key)
    if len(given_keys) > 1:
        texts_of_keys = {pieces.dump(key, is_large=is_large) for key in given_keys}
        if len(texts_of_keys) < len(given_keys):
            raise multi_errors.duplicate_keys()
    return _Wanted(given, resolve_table(region, given), options, projection, options.get("ConsistentRead") is True)


async def _batch_answer(
    region: Region, wanted: list[_Wanted], found: list[_Found], mode: str | None, slices: Slices
) -> Answer:
    """Return items until 16 MB or a table's limit; return the other keys as unprocessed, with their options."""
    responses: dict[str, list[Any]] = {}
    unprocessed: dict[str, Body] = {}
    consumed = []
    refusals = []
    size = 0
    pending: dict[int, float] = {}
    draws: list[tuple[Table, bytes, float]] = []
    for one, (table, row_keys, rows) in zip(wanted, found, strict=True):
        units = Consumed(table, "Read", one.given)
        answered = responses.setdefault(one.given, [])
        is_limited = table.limited or region.key_ranges is not None
        for key, row_key, row in zip(one.options["Keys"], row_keys, rows, strict=True):
            throttled = reading.unreadable(region, table, row_key, units, pending) if is_limited else None
            if throttled:
                refusals.append(throttled)
            row_size = row.size if row is not None else 0
            size += row_size
            if throttled or size > limits.BATCH_GET_BYTES:
                unprocessed.setdefault(one.given, {**one.options, "Keys": []})["Keys"].append(key)
                continue
            cost = read_units(row_size, consistent=one.consistent)
            units.table += cost
            if is_limited:
                reading.defer(region, table, row_key, cost, pending, draws)
            if row is not None:
                projection = one.projection
                answered.append(row.fragment if projection is None else await large.projected(row.json, projection))
            if slices.over:
                await slices.pause()
        consumed.append(units)
    fails = bool(refusals) and not any(units.table for units in consumed)
    for one_refusal in refusals[fails:]:  # that of a failed request is counted with the request
        region.meter.throttled("BatchGetItem", one_refusal)
    if fails:
        raise refusals[0]
    throttling.charge(region, consumed)
    for table, row_key, cost in draws:
        reading.draw(region, table, None, row_key, cost)
    for used in consumed:
        used.measure(region.meter, "BatchGetItem", len(responses[used.table_name]))
    answer: Answer = {"Responses": responses, "UnprocessedKeys": unprocessed}
    if mode is not None:
        answer["ConsumedCapacity"] = answers(consumed, mode)
    return answer


# BatchWriteItem


async def batch_write_item(region: Region, body: Body) -> Answer:
    prepared = _all_prepared(region, body) if type(body) is dict else await aside(_all_prepared, region, body)
    now_ms = region.clock.now_ms()

    def make(start: int, end: int, tx: Transaction) -> list[writes.Write]:
        batch: list[writes.Write] = []
        for name, _, entries in prepared:
            table = region.catalog.usable(tx, name, now_ms)
            batch += [entry.make(table) for _, entry in entries]
        _refuse_repeated([one.row_key for one in batch], multi_errors.duplicate_keys)
        for one in batch[end:]:
            if isinstance(one, writes.Put):  # one invalid write fails the whole batch
                indexes.check_keys(one.table, one.image.item)
        return batch[start:end]

    results = await _execute_pieces(region, prepared, make)
    done: list[tuple[str, writes.Write, writes.Outcome]] = []
    unprocessed: dict[str, list[Body]] = {}
    requests = [(given, request) for _, given, entries in prepared for request, _ in entries]
    for (given, request), (one, outcome) in zip(requests, results, strict=True):
        if one is None or isinstance(outcome, errors.ApiError):
            unprocessed.setdefault(given, []).append(request)
        else:
            done.append((given, one, outcome))
    return {"UnprocessedItems": unprocessed, **_written_answer(body, done)}


# A batch is applied in transactions of about this many bytes, with index entries: other requests wait for each one.
_PIECE_BYTES = 4 * 1024 * 1024

_Results = list[tuple[writes.Write | None, writes.Outcome | errors.ApiError]]
"""For each entry its write and its outcome. Entries of a piece that was throttled as a whole have no write."""


async def _execute_pieces(
    region: Region, prepared: _Prepared, make: Callable[[int, int, Transaction], list[writes.Write]]
) -> _Results:
    names = [name for name, _, _ in prepared]
    ends = _ends(region, prepared)
    results: _Results = []
    for end in ends:
        start = len(results)
        try:
            results += await writing.execute_each(region, names, partial(make, start, end), "BatchWriteItem")
        except errors.ApiError as refusal:
            if len(ends) == 1 or refusal.code not in THROTTLED:
                raise
            results += [(None, refusal.with_traceback(None))] * (end - start)
    refusals = [outcome for _, outcome in results if isinstance(outcome, errors.ApiError)]
    if len(refusals) == len(results):
        raise refusals[0]
    return results


def _ends(region: Region, prepared: _Prepared) -> list[int]:
    """Where each piece of the batch ends."""
    sizes: list[int] = []
    for name, _, entries in prepared:
        table = region.catalog.known.tables.get(name)
        copies = 1 if table is None else long.copies(table)
        sizes += [entry.size * copies for _, entry in entries]
    ends, total = [], 0
    if sum(sizes) > _PIECE_BYTES:
        for position, size in enumerate(sizes):
            if total and total + size > _PIECE_BYTES:
                ends.append(position)
                total = 0
            total += size
    return [*ends, len(sizes)]


class _PreparedEntry(NamedTuple):
    """An entry of a batch, checked as far as possible without its table. `make` returns its write."""

    size: int
    make: Callable[[Table], writes.Write]


_Prepared = list[tuple[str, str, list[tuple[Body, _PreparedEntry]]]]
"""For each table its name, its name or ARN as in the request, and its entries."""


def _all_prepared(region: Region, body: Body) -> _Prepared:
    return [
        (resolve_table(region, given), given, [(request, _prepare(request)) for request in requests])
        for given, requests in body["RequestItems"].items()
    ]


def _prepare(request: Body) -> _PreparedEntry:
    """Prepare an entry; raises if it is invalid whatever its table."""
    if "PutRequest" in request:
        image = plans.image_of(request["PutRequest"]["Item"])
        return _PreparedEntry(len(image.json), lambda table: _batch_put(table, image))
    key = request["DeleteRequest"]["Key"]
    values.check_item(key)
    return _PreparedEntry(0, lambda table: plans.delete_of(table, key))


def _batch_put(table: Table, image: writes.Image) -> writes.Put:
    """Make a put of a batch. All errors of its key have one text, as for a Key."""
    for name, type_ in table.keys.name_types:
        if type_ not in image.item.get(name, ()):
            raise key_errors.key_does_not_match()
    return plans.put_of(table, image)


def _refuse_repeated(row_keys: list[bytes], refusal: Callable[[], errors.ApiError]) -> None:
    if len(set(row_keys)) < len(row_keys):
        raise refusal()


def _written_answer(body: Body, done: list[tuple[str, writes.Write, writes.Outcome]], *, factor: int = 1) -> Answer:
    answer: Answer = {}
    mode = capacity_mode(body)
    if mode is not None:
        answer["ConsumedCapacity"] = answers(written(done, factor), mode, typed=factor == 2)
    if wants_collection_metrics(body):
        metrics: dict[str, list[Any]] = {}
        for given, write, outcome in done:
            if outcome.collection_size is not None:
                entry = items.collection_metrics(write, outcome)
                if entry not in metrics.setdefault(given, []):
                    metrics[given].append(entry)
        answer["ItemCollectionMetrics"] = metrics
    return answer


# Transactions


def distinct(attempts: Iterable[Callable[[], T]], row_key: Callable[[T], bytes]) -> list[T]:
    """The actions of a transaction. Duplicate items are reported first; any other invalid action cancels the
    transaction."""
    made, refusals = multi_errors.try_all(attempts)
    _refuse_repeated(list(map(row_key, made)), multi_errors.duplicate_operations)
    if any(refusals):
        raise multi_errors.Cancelled(refusals)
    return made


# TransactGetItems


async def transact_get_items(region: Region, body: Body) -> Answer:
    mode = capacity_mode(body)
    is_long = large.is_long_transaction(body)
    gets = await aside(_all_gets, region, body) if is_long else _all_gets(region, body)
    now_ms = region.clock.now_ms()

    def read(snapshot: Snapshot) -> tuple[list[Table], list[bytes], list[Row | None]]:
        tables = [region.catalog.usable(snapshot, name, now_ms) for name, _, _ in gets]
        pairs = zip(tables, gets, strict=True)
        row_keys = distinct((partial(keys.row_key, table, key) for table, (_, key, _) in pairs), bytes)
        for table, (_, _, projection) in zip(tables, gets, strict=True):
            if projection is not None:
                keys.check_scalars(table, projection.entered)
        return tables, row_keys, reads.get_many(snapshot, row_keys)

    given = [entry["Get"]["TableName"] for entry in body["TransactItems"]]
    try:
        tables, row_keys, rows = await region.read(read)
        if sum(map(reads.size_of, rows)) > limits.TRANSACTION_BYTES:
            raise multi_errors.transaction_too_large()
        sizes = list(zip(given, tables, map(reads.size_of, rows), strict=True))
        consumed = reading.settle_all(region, sizes, row_keys, "TransactGetItems")
    except multi_errors.Cancelled as cancelled:
        raise multi_errors.transaction_refused(cancelled.refusals) from None
    responses, slices = [], Slices()
    for (_, _, projection), row in zip(gets, rows, strict=True):
        responses.append(await _transact_response(row, projection))
        if slices.over:
            await slices.pause()
    region.meter.current = region.meter.of_all({name for name, _, _ in gets}, "TransactGetItems")
    answer: Answer = {"Responses": responses}
    if mode is not None:
        answer["ConsumedCapacity"] = answers(consumed, mode, typed=True)
    return answer


def _all_gets(region: Region, body: Body) -> list[tuple[str, values.Item, PathProjection | None]]:
    gets = []
    for entry in body["TransactItems"]:
        get = entry["Get"]
        expressions = Expressions(get, GET)
        try:
            values.check_item(get["Key"])
        except value_errors.TooDeep:
            expressions.bind()
            raise
        gets.append((table_name(region, get), get["Key"], expressions.bind().projection))
    return gets


async def _transact_response(row: Row | None, projection: PathProjection | None) -> Answer:
    """Unlike in GetItem, an item with an empty projection is absent."""
    if row is None:
        return {}
    if projection is None:
        return {"Item": row.fragment}
    part = await large.projected(row.json, projection)
    return {"Item": part} if part else {}


# TransactWriteItems


async def transact(
    region: Region,
    names: Iterable[str],
    attempts: Callable[[Transaction], Iterable[Callable[[], writes.Write]]],
    token: str | None,
    fingerprint: str,
    now_ms: int,
    operation: str,
) -> writing.Together:
    """Make writes to the tables `names` and run them as one transaction, once per token. `attempts` may raise an error
    that concerns the whole request."""

    def make(tx: Transaction) -> tuple[list[writes.Write], bool]:
        batch = distinct(attempts(tx), lambda one: one.row_key)
        return batch, token is not None and not tokens.claim(tx, token, fingerprint, now_ms)

    return await writing.execute_all(region, names, make, 2, operation)


async def transact_write_items(region: Region, body: Body) -> Answer:
    is_long = large.is_long_transaction(body)
    planned = await aside(_planned, region, body) if is_long else _planned(region, body)
    actions, token, fingerprint = planned
    given = [name for _, name, _ in actions]
    now_ms = region.clock.now_ms()
    is_long = is_long or any(action.is_long for _, _, action in actions)

    def attempts(tx: Transaction) -> list[Callable[[], writes.Write]]:
        if is_long:
            tx.announce_long()
        tables = [region.catalog.usable(tx, name, now_ms) for name, _, _ in actions]
        return [partial(action.make, table) for table, (_, _, action) in zip(tables, actions, strict=True)]

    try:
        names = {name for name, _, _ in actions}
        batch, outcomes = await transact(region, names, attempts, token, fingerprint, now_ms, "TransactWriteItems")
    except multi_errors.Cancelled as cancelled:
        raise multi_errors.transaction_refused(cancelled.refusals) from None
    if outcomes is None:
        return await _repeated(region, body, given, batch)
    region.meter.current = region.meter.of_all(names, "TransactWriteItems")
    return _written_answer(body, list(zip(given, batch, outcomes, strict=True)), factor=2)


def _planned(region: Region, body: Body) -> tuple[list[_Action], str | None, str]:
    actions = [_action(region, entry) for entry in body["TransactItems"]]
    if sum(action.size for _, _, action in actions) > limits.TRANSACTION_BYTES:
        raise multi_errors.transaction_too_large()
    token = body.get("ClientRequestToken")
    return actions, token, _fingerprint(body, type(body) is large.LargeBody) if token else ""


_PLANS: dict[str, Callable[[Body], plans.Plan[writes.Write]]] = {
    "Put": plans.put,
    "Update": plans.update,
    "Delete": plans.delete,
    "ConditionCheck": plans.check,
}


_Action = tuple[str, str, plans.Plan[writes.Write]]
"""The table's name, its name or ARN as in the request, and the plan."""


def _action(region: Region, entry: Body) -> _Action:
    (kind, part), *_ = ((k, v) for k, v in entry.items() if k in _PLANS)
    try:
        plan = _PLANS[kind](part)
    except value_errors.TooDeep:
        plans.check_expressions(part)  # in a transaction their faults are reported first
        raise
    return table_name(region, part), part["TableName"], plan


def _fingerprint(body: Body, is_large: bool) -> str:
    """Requests with equal fingerprints are the same. It ignores the token, the options for the answer and the order of
    members."""
    found = hashlib.sha256(b"[")
    for position, entry in enumerate(body["TransactItems"]):
        found.update(b"," if position else b"")
        found.update(pieces.dump(entry, is_large=is_large))
    found.update(b"]")
    return found.hexdigest()


async def _repeated(region: Region, body: Body, given: list[str], batch: list[writes.Write]) -> Answer:
    consumed = await reading.find_done(region, given, batch, "TransactWriteItems")
    mode = capacity_mode(body)
    return {} if mode is None else {"ConsumedCapacity": answers(consumed, mode, typed=True)}
