"""Find the items that a request names. Bodies have a checked shape, but their values are as the client sent them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from atoll import arns

Body = dict[str, Any]

Named = tuple[str, Any]
"""A table, and an item's key or the item itself."""


def table_of(resource: str) -> str:
    """The table's name, from its name or ARN."""
    arn = arns.parse(resource)
    return resource.partition("/")[0] if arn is None else arn.table


def named(operation: str, body: Body) -> list[Named]:
    """The items that the request names by their keys, in order."""
    found = _FOUND.get(operation)
    return [] if found is None else [(table_of(name), item) for name, item in found(body)]


def _key(body: Body) -> Iterator[Named]:
    yield body["TableName"], body["Key"]


def _item(body: Body) -> Iterator[Named]:
    yield body["TableName"], body["Item"]


def _gotten(body: Body) -> Iterator[Named]:
    for name, options in body["RequestItems"].items():
        for key in options["Keys"]:
            yield name, key


def written(request: Body) -> Any:
    """The item or key of an entry of a BatchWriteItem."""
    return request["PutRequest"]["Item"] if "PutRequest" in request else request["DeleteRequest"]["Key"]


def _batch_written(body: Body) -> Iterator[Named]:
    for name, requests in body["RequestItems"].items():
        for request in requests:
            yield name, written(request)


_TRANSACTED = frozenset({"Get", "Put", "Update", "Delete", "ConditionCheck"})


def _transacted(body: Body) -> Iterator[Named]:
    for entry in body["TransactItems"]:
        for kind, part in entry.items():
            if kind in _TRANSACTED and part is not None:  # other members are ignored
                yield part["TableName"], part.get("Key") or part.get("Item")


_FOUND: dict[str, Callable[[Body], Iterator[Named]]] = {
    "GetItem": _key,
    "UpdateItem": _key,
    "DeleteItem": _key,
    "PutItem": _item,
    "BatchGetItem": _gotten,
    "BatchWriteItem": _batch_written,
    "TransactGetItems": _transacted,
    "TransactWriteItems": _transacted,
}


def is_consistent(operation: str, body: Body, index_is_global: Callable[[str, str], bool]) -> bool:
    """Whether the read is strongly consistent, so that it must not be stale."""
    if operation == "BatchGetItem":
        return any(options.get("ConsistentRead") is True for options in body["RequestItems"].values())
    if operation == "ExecuteStatement" and not str(body["Statement"]).lstrip().upper().startswith("SELECT"):
        return True
    index = body.get("IndexName")
    if index is not None and index_is_global(table_of(body["TableName"]), index):
        return False
    return body.get("ConsistentRead") is True
