"""Every operation: its name on the wire, the shape of its requests, the function that does it.

`call` is the only middleware. A request is checked against its shape, then the operation runs; what it raises as
`ApiError` is the client's answer, trouble of the store becomes InternalServerError.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from atoll import errors
from atoll.api import account, items, multi, queries, shapes, streams, tables, tags, ttl
from atoll.api.partiql.batch import batch_execute_statement
from atoll.api.partiql.statement import execute_statement
from atoll.api.partiql.transaction import execute_transaction
from atoll.database.region import Region
from atoll.storage.engine import Full

Body = dict[str, Any]
Function = Callable[[Region, Body], Awaitable[Body]]

_log = logging.getLogger(__name__)


class Service(NamedTuple):
    """A family of operations: the first half of X-Amz-Target, botocore's name of its model, and what its requests are
    signed for."""

    target: str
    model: str
    signing_name: str


DYNAMODB = Service("DynamoDB_20120810", "dynamodb", "dynamodb")
STREAMS = Service("DynamoDBStreams_20120810", "dynamodbstreams", "dynamodb")

_FUNCTIONS: dict[Service, dict[str, Function]] = {
    DYNAMODB: {
        "GetItem": items.get_item,
        "PutItem": items.put_item,
        "UpdateItem": items.update_item,
        "DeleteItem": items.delete_item,
        "Query": queries.query,
        "Scan": queries.scan,
        "BatchGetItem": multi.batch_get_item,
        "BatchWriteItem": multi.batch_write_item,
        "TransactGetItems": multi.transact_get_items,
        "TransactWriteItems": multi.transact_write_items,
        "ExecuteStatement": execute_statement,
        "BatchExecuteStatement": batch_execute_statement,
        "ExecuteTransaction": execute_transaction,
        "CreateTable": tables.create_table,
        "DescribeTable": tables.describe_table,
        "ListTables": tables.list_tables,
        "UpdateTable": tables.update_table,
        "DeleteTable": tables.delete_table,
        "TagResource": tags.tag_resource,
        "UntagResource": tags.untag_resource,
        "ListTagsOfResource": tags.list_tags_of_resource,
        "UpdateTimeToLive": ttl.update_time_to_live,
        "DescribeTimeToLive": ttl.describe_time_to_live,
        "DescribeLimits": account.describe_limits,
        "DescribeEndpoints": account.describe_endpoints,
    },
    STREAMS: {
        "ListStreams": streams.list_streams,
        "DescribeStream": streams.describe_stream,
        "GetShardIterator": streams.get_shard_iterator,
        "GetRecords": streams.get_records,
    },
}


class Operation:
    """An operation with the check of its requests, which is compiled when it is first used."""

    __slots__ = ("_check", "_model", "_name", "function")

    def __init__(self, model: str, name: str, function: Function) -> None:
        self._model = model
        self._name = name
        self._check: Callable[[Body], None] | None = None
        self.function = function

    def check(self, body: Body) -> None:
        if self._check is None:
            self._check = shapes.validator(self._model, self._name)
        self._check(body)


OPERATIONS: dict[tuple[str, str], Operation] = {
    (service.target, name): Operation(service.model, name, function)
    for service, functions in _FUNCTIONS.items()
    for name, function in functions.items()
}

TARGETS: dict[str, str] = {
    f"{service.target}.{name}": service.signing_name for service, functions in _FUNCTIONS.items() for name in functions
}
"""The value of X-Amz-Target of each operation, and what its requests are signed for."""


# Operations whose validation errors changed their form in 2026 (`--error-style 2026`). Reads did not.
ENVELOPED = frozenset({"PutItem", "UpdateItem"})


async def call(region: Region, service: str, name: str, body: Body) -> Body:
    operation = OPERATIONS[service, name]
    operation.check(body)
    try:
        return await operation.function(region, body)
    except errors.ApiError as error:
        if region.settings.error_style == "2026" and name in ENVELOPED:
            raise errors.in_envelope(error) from None
        raise
    except Full as full:
        _log.error("the store has no room: %s", full)
        raise errors.internal() from None
