"""The resources that a request touches, named as in the request.

A resource is a table's name or ARN, `<table>/index/<name>`, the ARN of a stream, the name or ARN of a function, the id
of an event source mapping, the name or ARN of an alarm, the id of a scalable target, or the ARN of a role. The
functions are pure and expect bodies of a checked shape. An unparsable statement touches no resource: its operation
refuses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from atoll import arns, limits
from atoll.errors import ApiError
from atoll.expressions.partiql.prepared import prepare
from atoll.expressions.partiql.statements import Checking, Selecting

Body = dict[str, Any]

_ACTIONS = ("ConditionCheck", "Put", "Update", "Delete")


Touches = Callable[[Body], tuple[str, ...]]


def _member(*names: str) -> Touches:
    """Returns a function that lists the resources in these members. Bodies of the admin API have no shape, so values
    may have any type."""
    return lambda body: tuple(body[name] for name in names if body.get(name) and isinstance(body[name], str))


def _index(body: Body) -> tuple[str, ...]:
    table, index = body["TableName"], body.get("IndexName")
    return (table if index is None else f"{table}/index/{index}",)


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _written(body: Body) -> tuple[str, ...]:
    parts = (entry.get(kind) for entry in body["TransactItems"] for kind in _ACTIONS)
    return _distinct(part["TableName"] for part in parts if part is not None)


def _of_statement(text: str) -> tuple[str, ...]:
    try:
        statement = prepare(text).statement
    except ApiError:
        return ()
    one = statement.select if isinstance(statement, Checking) else statement
    index = one.index if isinstance(one, Selecting) else None
    return (one.table if index is None else f"{one.table}/index/{index}",)


def _statements(member: str) -> Touches:
    return lambda body: _distinct(name for one in body[member] for name in _of_statement(one["Statement"]))


def _nothing(body: Body) -> tuple[str, ...]:
    return ()


def _requested(body: Body) -> tuple[str, ...]:
    return tuple(body["RequestItems"])


def _got(body: Body) -> tuple[str, ...]:
    return _distinct(entry["Get"]["TableName"] for entry in body["TransactItems"])


def _of_iterator(body: Body) -> tuple[str, ...]:
    return (body["ShardIterator"].partition("|")[0],)


def _imported(body: Body) -> tuple[str, ...]:
    return (body["TableCreationParameters"]["TableName"],)


def _alarms(body: Body) -> tuple[str, ...]:
    return (*_ALARM(body), *_distinct(body.get("AlarmNames") or ()))


def _statement(body: Body) -> tuple[str, ...]:
    return _of_statement(body["Statement"])


_ALARM = _member("AlarmName", "ResourceARN")

NOTHING: Touches = _nothing
TABLE = _member("TableName")
INDEX: Touches = _index
BATCH: Touches = _requested
GET_TRANSACTION: Touches = _got
WRITE_TRANSACTION: Touches = _written
STATEMENT: Touches = _statement
STATEMENT_BATCH = _statements("Statements")
STATEMENT_TRANSACTION = _statements("TransactStatements")
TAGGED = _member("ResourceArn")
GLOBAL_TABLE = _member("GlobalTableName")
JOB = _member("BackupArn", "ExportArn", "ImportArn", "BulkOperationArn")
RESTORE = _member("SourceTableName", "SourceTableArn", "BackupArn", "TargetTableName")
TABLE_ARN = _member("TableArn")
IMPORT: Touches = _imported
STREAM = _member("StreamArn")
GET_RECORDS: Touches = _of_iterator
NEW_MAPPING = _member("EventSourceArn", "FunctionName")
MAPPING = _member("UUID")
FUNCTION = _member("FunctionName")
ROLE = _member("RoleArn")
ALARM: Touches = _alarms
INSIGHT_RULE = _member("RuleName")
SCALED = _member("ResourceId", "ResourceARN")
ADMINISTERED_STREAM = _member("stream")
ADMINISTERED_TABLE = _member("table")


def table_of(resource: str) -> str:
    """The name of the resource's table; empty if the resource belongs to no table."""
    return _table_of(resource[: limits.KEY_NAME_CHARS])


@lru_cache(1024)
def _table_of(resource: str) -> str:
    arn = arns.parse(resource)
    return resource.partition("/")[0] if arn is None else arn.table
