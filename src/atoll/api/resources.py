"""Which resources a request touches, as it names them.

A resource is a table's name or ARN, `<table>/index/<name>`, the ARN of a stream, the name or ARN of a function, or the
id of an event source mapping. The functions are pure and see bodies whose shape was checked. A statement that cannot
be parsed touches nothing: its operation refuses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from atoll import arns
from atoll.errors import ApiError
from atoll.expressions.partiql.prepared import prepare
from atoll.expressions.partiql.statements import Checking, Reading

Body = dict[str, Any]

_ACTIONS = ("ConditionCheck", "Put", "Update", "Delete")


class Touches(NamedTuple):
    of: Callable[[Body], tuple[str, ...]]
    table: str | None = None
    """The member that names the one table of a request."""


def _member(*names: str) -> Callable[[Body], tuple[str, ...]]:
    """Those of the members that are there. The administration's bodies have no shape, so any type may come."""
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
    one = statement.reading if isinstance(statement, Checking) else statement
    index = one.index if isinstance(one, Reading) else None
    return (one.table if index is None else f"{one.table}/index/{index}",)


def _statements(member: str) -> Callable[[Body], tuple[str, ...]]:
    return lambda body: _distinct(name for one in body[member] for name in _of_statement(one["Statement"]))


NOTHING = Touches(lambda body: ())
TABLE = Touches(_member("TableName"), "TableName")
INDEX = Touches(_index, "TableName")
GET_BATCH = WRITE_BATCH = Touches(lambda body: tuple(body["RequestItems"]))
GET_TRANSACTION = Touches(lambda body: _distinct(entry["Get"]["TableName"] for entry in body["TransactItems"]))
WRITE_TRANSACTION = Touches(_written)
STATEMENT = Touches(lambda body: _of_statement(body["Statement"]))
STATEMENT_BATCH = Touches(_statements("Statements"))
STATEMENT_TRANSACTION = Touches(_statements("TransactStatements"))
TAGGED = Touches(_member("ResourceArn"))
STREAM = Touches(_member("StreamArn"))
GET_RECORDS = Touches(lambda body: (body["ShardIterator"].partition("|")[0],))
NEW_MAPPING = Touches(_member("EventSourceArn", "FunctionName"))
MAPPING = Touches(_member("UUID"))
FUNCTION = Touches(_member("FunctionName"))
ADMINISTERED_STREAM = Touches(_member("stream"))


@lru_cache(1024)
def table_of(resource: str) -> str:
    """The name of the table that a resource is, or belongs to; empty for one that is no table's."""
    arn = arns.parse(resource)
    return resource.partition("/")[0] if arn is None else arn.table
