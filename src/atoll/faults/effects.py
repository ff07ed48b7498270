"""The errors and answers that faults cause."""

from __future__ import annotations

from typing import Any

from atoll import errors
from atoll.database.region import Region
from atoll.database.schema import ON_DEMAND
from atoll.errors import ApiError
from atoll.errors import capacity as capacity_errors
from atoll.errors import faults as fault_errors
from atoll.errors import multi as multi_errors
from atoll.faults.requests import Named
from atoll.faults.rule import (
    CONFLICT,
    DATA,
    IN_PROGRESS,
    LIMITS,
    READS,
    THROTTLING,
    TRANSACTIONS,
    Rule,
)

Body = dict[str, Any]


def error(rule: Rule, region: Region, operation: str, body: Body, table: str, items: list[Named]) -> ApiError:
    """The error of a rule that strikes a request. `table` is the first table of the request that it matches; `items`
    are those that the request names."""
    if rule.fault == IN_PROGRESS:
        return fault_errors.in_progress()
    if rule.fault == CONFLICT:
        return _of_items(rule, operation, body, items, fault_errors.conflict())
    if rule.fault == THROTTLING:
        if operation not in DATA:
            return fault_errors.too_many_requests()
        return _of_items(rule, operation, body, items, _throttled(rule, region, operation, body, table))
    return errors.internal()


def _of_items(rule: Rule, operation: str, body: Body, items: list[Named], refusal: ApiError) -> ApiError:
    """The refusal itself; for a transaction, a cancellation whose reasons mark the items that the rule matches."""
    if operation not in TRANSACTIONS:
        return refusal
    if operation == "ExecuteTransaction":
        return multi_errors.transaction_cancelled([refusal] * len(body["TransactStatements"]))
    return multi_errors.transaction_cancelled([refusal if matches(rule, one) else None for one in items])


def matches(rule: Rule, one: Named) -> bool:
    """Whether the rule matches an item that a request names."""
    table, item = one
    return rule.table in (None, table) and isinstance(item, dict) and rule.holds_for(item)


def _throttled(rule: Rule, region: Region, operation: str, body: Body, table: str) -> ApiError:
    known = region.catalog.known.tables.get(table)
    on_demand = known is None or known.billing_mode == ON_DEMAND
    index = rule.index or body.get("IndexName")
    reason = rule.reason
    if reason is None:
        kind = "Read" if operation in READS or _selects(body) else "Write"
        limit = capacity_errors.KEY_RANGE if on_demand else capacity_errors.PROVISIONED
    else:
        kind = "Read" if "Read" in reason else "Write"
        limit = next(limit for limit in LIMITS if reason.endswith(limit))
        on_demand = limit != capacity_errors.PROVISIONED and (on_demand or limit == capacity_errors.MAXIMUM)
    of_index = index is not None if reason is None else reason.startswith("Index")
    if of_index and index is None and known is not None and known.global_indexes:
        index = known.global_indexes[0].name
    arn = region.arn(f"table/{table}" + (f"/index/{index}" if of_index and index is not None else ""))
    return capacity_errors.exceeded(kind, [(arn, of_index, limit)], on_demand=on_demand)


def _selects(body: Body) -> bool:
    statement = body.get("Statement")
    return isinstance(statement, str) and statement.lstrip().upper().startswith("SELECT")
