"""ExecuteStatement."""

from __future__ import annotations

from typing import Any

from atoll import errors
from atoll.api import queries
from atoll.api.large import LargeBody, is_long
from atoll.api.partiql import kinds
from atoll.api.partiql.bound import Bound, bind
from atoll.api.partiql.items import refused, returned, write
from atoll.api.partiql.select import complete, next_token, position_of, select
from atoll.api.returns import capacity_mode
from atoll.api.table_names import resolve_table
from atoll.aside import aside
from atoll.database.region import Region
from atoll.errors import partiql as partiql_errors
from atoll.expressions.partiql.statements import Checking, Selecting

Body = dict[str, Any]
Answer = dict[str, Any]

_OF_READ = ("ConsistentRead", "ReturnConsumedCapacity")
"""Options that a statement shares with Query and Scan."""


async def execute_statement(region: Region, body: Body) -> Answer:
    bound = await aside(bind, body) if is_long(body, (body,)) else bind(body)
    if isinstance(bound.statement, Selecting):
        return await _select(region, bound, bound.statement)
    if isinstance(bound.statement, Checking):
        raise partiql_errors.exists_outside_transaction()
    done, result, consumed = await write(region, bound, type(body) is LargeBody)
    counted = kinds.OF_STATEMENT[type(bound.statement)]
    consumed.measure(region.meter, counted)
    if isinstance(result, errors.ConditionFailed):
        raise refused(bound, result)
    item = await returned(bound, done, result)
    answer: Answer = {"Items": [] if item is None else [item]}
    mode = capacity_mode(body)
    if mode is not None:
        answer["ConsumedCapacity"] = consumed.answer(mode)
    region.meter.current = region.meter.tally(done.table.name, None, counted)
    return answer


async def _fingerprint(bound: Bound) -> str:
    if type(bound.body) is LargeBody:
        return await aside(bound.fingerprint, is_large=True)
    return bound.fingerprint(is_large=False)


async def _select(region: Region, bound: Bound, selecting: Selecting) -> Answer:
    body = bound.body
    token = body.get("NextToken")
    position = None if token is None else position_of(token, await _fingerprint(bound))
    name = resolve_table(region, selecting.table)
    source = {"IndexName": selecting.index, **{name: body.get(name) for name in _OF_READ}}

    found = await region.read(
        lambda snapshot: select(
            snapshot,
            queries.target_of(region, snapshot, name, source, lambda _: partiql_errors.no_such_index()),
            selecting,
            bound.values,
            position,
            body.get("Limit"),
        )
    )
    items = await complete(region, found, type(body) is LargeBody)
    answer: Answer = {"Items": items}
    if found.position is not None:
        answer["NextToken"] = next_token(found.position, await _fingerprint(bound))
    start = found.ranges[0].start if found.ranges else found.target.table.prefix
    queries.charge_page(
        region, found.target, found.page, len(items), source, answer, kinds.OF_STATEMENT[Selecting], start
    )
    return answer
