"""List the permissions that a request needs: actions on resources, each with the part of the request that it concerns.

Most operations need the action of their name on each resource that they touch. A batch has one check per table, a
transaction one per item, PartiQL one per statement. Some operations need several actions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from atoll.api.services import CLOUDWATCH, DYNAMODB, LAMBDA, STREAMS, Operation
from atoll.errors import ApiError
from atoll.expressions.partiql.prepared import prepare
from atoll.expressions.partiql.statements import Checking, Deleting, Inserting, Selecting, Statement, Updating

Body = Mapping[str, Any]

ALL = "*"
PREFIXES = {"monitoring": "cloudwatch"}
"""The prefix of a service's actions where it is not the signing name."""


@dataclass(slots=True, eq=False)
class Part:
    """The part of a request that one action concerns."""

    action: str
    body: Body
    """The members that apply to it: those of the request, or of one entry of a batch or transaction."""
    keys: Sequence[Body] = ()
    """The items and keys that it names."""
    whole: Body = field(default_factory=dict)
    """The request."""
    enclosing: str | None = None
    """The transaction that the part belongs to."""
    statement: Statement | None = None
    index: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    action: str
    """service:Name"""
    resource: str
    """The resource as the request names it, or `*`."""
    part: Part


_ONLY_ALL = frozenset(
    {
        "ListTables", "ListStreams", "ListBackups", "ListGlobalTables", "ListContributorInsights",
        "ListBulkOperations", "DescribeLimits", "DescribeEndpoints",
    }
)  # fmt: skip
_KEY_MEMBERS = {"GetItem": "Key", "UpdateItem": "Key", "DeleteItem": "Key", "PutItem": "Item"}
_INDEXED = frozenset({"Query", "Scan", "SearchVectors"})
_TRANSACTED = {"ConditionCheck": "ConditionCheckItem", "Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem"}
_REPLICA_DATA = ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan", "BatchWriteItem")


def checks_of(operation: Operation, body: Body) -> list[Check]:
    """The checks of a request, whose body has the operation's shape."""
    service = operation.service
    if service is DYNAMODB:
        find = _SPECIAL.get(operation.name, _plain)
        return list(find(operation, body))
    if service is LAMBDA:
        return list(_of_lambda(operation, body))
    if service is CLOUDWATCH:
        return list(_of_cloudwatch(operation, body))
    return list(_plain(operation, body))


def _plain(operation: Operation, body: Body) -> Iterator[Check]:
    prefix = PREFIXES.get(operation.service.signing_name, operation.service.signing_name)
    action = f"{prefix}:{operation.name}"
    part = part_of(operation.name, body)
    touched: Sequence[str] = ()
    if operation.name not in _ONLY_ALL and operation.service in (DYNAMODB, STREAMS):
        touched = operation.touches(dict(body) if not isinstance(body, dict) else body)
    for resource in touched or (ALL,):
        yield Check(action, resource, part)


def part_of(operation: str, body: Body) -> Part:
    """The part of a request that needs a single action."""
    member = _KEY_MEMBERS.get(operation)
    if member is not None:
        return Part(operation, body, (body[member],), body)
    return Part(operation, body, (), body, None, None, body.get("IndexName") if operation in _INDEXED else None)


def _of_lambda(operation: Operation, body: Body) -> Iterator[Check]:
    """An event source mapping is a resource; its function, the present and the new one, is another."""
    action = "InvokeFunction" if operation.name == "Invoke" else operation.name
    part = Part(action, body, (), body)
    resources = []
    if isinstance(body.get("UUID"), str):
        resources.append(f"event-source-mapping:{body['UUID']}")
    if isinstance(body.get("FunctionName"), str):
        resources.append(f"function:{function_name(body['FunctionName'])}")
    for resource in resources:
        shown = resource.replace("{", "").replace("}", "")
        yield Check(f"lambda:{action}", f"arn:aws:lambda:{{region}}:{{account}}:{shown}", part)
    if not resources:
        yield Check(f"lambda:{action}", ALL, part)


def function_name(given: str) -> str:
    """The name of a function that is given by its name or ARN, whole or in part, with or without a version."""
    return given.rpartition("function:")[2].partition(":")[0]


def _of_cloudwatch(operation: Operation, body: Body) -> Iterator[Check]:
    """Alarms are resources, metrics are not."""
    action, part = f"cloudwatch:{operation.name}", Part(operation.name, body, (), body)
    names = [body["AlarmName"]] if "AlarmName" in body else body.get("AlarmNames") or ()
    if "ResourceARN" in body:
        yield Check(action, body["ResourceARN"], part)
    for name in names:
        shown = name.replace("{", "").replace("}", "")
        yield Check(action, f"arn:aws:cloudwatch:{{region}}:{{account}}:alarm:{shown}", part)
    if not names and "ResourceARN" not in body:
        yield Check(action, ALL, part)


def _create_table(operation: Operation, body: Body) -> Iterator[Check]:
    yield from _plain(operation, body)
    part = Part("CreateTable", body, (), body)
    if body.get("Tags"):
        yield Check("dynamodb:TagResource", body["TableName"], part)
    if body.get("ResourcePolicy") is not None:
        yield Check("dynamodb:PutResourcePolicy", body["TableName"], part)


def _update_table(operation: Operation, body: Body) -> Iterator[Check]:
    yield from _plain(operation, body)
    table = body["TableName"]
    part = Part("UpdateTable", body, (), body)
    for update in body.get("ReplicaUpdates") or ():
        if update.get("Create") is not None:
            for name in ("CreateTableReplica", "CreateTable", *_REPLICA_DATA):
                yield Check(f"dynamodb:{name}", table, part)
        if update.get("Delete") is not None:
            yield Check("dynamodb:DeleteTableReplica", table, part)
            yield Check("dynamodb:DeleteTable", table, part)


def _restore(operation: Operation, body: Body) -> Iterator[Check]:
    """A restore writes the new table with the rights of the caller."""
    yield from _plain(operation, body)
    part = Part(operation.name, body, (), body)
    for name in _REPLICA_DATA:
        yield Check(f"dynamodb:{name}", body["TargetTableName"], part)


def _global_table(operation: Operation, body: Body) -> Iterator[Check]:
    """A change also concerns the tables, which have the global table's name."""
    action, part = f"dynamodb:{operation.name}", Part(operation.name, body, (), body)
    yield Check(action, f"arn:aws:dynamodb::{{account}}:global-table/{body['GlobalTableName']}", part)
    if not operation.name.startswith("Describe"):
        yield Check(action, body["GlobalTableName"], part)


def _export(operation: Operation, body: Body) -> Iterator[Check]:
    """An export writes its files with the rights of the caller."""
    yield from _plain(operation, body)
    resource = _s3(f"{body['S3Bucket']}/{_output_root(body.get('S3Prefix'))}")
    yield Check("s3:PutObject", resource, Part(operation.name, body, (), body))


def _import(operation: Operation, body: Body) -> Iterator[Check]:
    """An import reads its files with the rights of the caller."""
    yield from _plain(operation, body)
    source, part = body["S3BucketSource"], Part(operation.name, body, (), body)
    yield Check("s3:ListBucket", _s3(source["S3Bucket"]), part)
    yield Check("s3:GetObject", _s3(f"{source['S3Bucket']}/{source.get('S3KeyPrefix') or ''}"), part)


def _bulk_put(operation: Operation, body: Body) -> Iterator[Check]:
    """Bulk puts read and write their files with the rights of the caller."""
    yield from _plain(operation, body)
    source, target, part = body["InputS3Configuration"], body["OutputS3Configuration"], part_of(operation.name, body)
    yield Check("s3:ListBucket", _s3(source["S3Bucket"]), part)
    yield Check("s3:GetObject", _s3(f"{source['S3Bucket']}/{source.get('S3KeyPrefix') or ''}"), part)
    if target.get("S3Bucket") and target["OutputType"]:
        yield Check("s3:PutObject", _s3(f"{target['S3Bucket']}/{_output_root(target.get('S3KeyPrefix'))}"), part)


def _output_root(prefix: str | None) -> str:
    return f"{prefix.rstrip('/')}/AWSDynamoDB/" if prefix else "AWSDynamoDB/"


def _s3(resource: str) -> str:
    return f"arn:aws:s3:::{resource.replace('{', '').replace('}', '')}"


def _batch_get(operation: Operation, body: Body) -> Iterator[Check]:
    for table, request in body["RequestItems"].items():
        yield Check("dynamodb:BatchGetItem", table, Part("BatchGetItem", request, request["Keys"], body))


def _batch_write(operation: Operation, body: Body) -> Iterator[Check]:
    for table, requests in body["RequestItems"].items():
        keys = []
        for request in requests:
            put, delete = request.get("PutRequest"), request.get("DeleteRequest")
            keys += [put["Item"]] if put is not None else []
            keys += [delete["Key"]] if delete is not None else []
        yield Check("dynamodb:BatchWriteItem", table, Part("BatchWriteItem", {}, keys, body))


def _transact_get(operation: Operation, body: Body) -> Iterator[Check]:
    for entry in body["TransactItems"]:
        get = entry["Get"]
        part = Part("GetItem", get, (get["Key"],), body, enclosing=operation.name)
        yield Check("dynamodb:GetItem", get["TableName"], part)


def _transact_write(operation: Operation, body: Body) -> Iterator[Check]:
    for entry in body["TransactItems"]:
        for kind, action in _TRANSACTED.items():
            write = entry.get(kind)
            if write is not None:
                key = write["Item" if kind == "Put" else "Key"]
                part = Part(action, write, (key,), body, enclosing=operation.name)
                yield Check(f"dynamodb:{action}", write["TableName"], part)


def _statements(operation: Operation, body: Body) -> Iterator[Check]:
    if operation.name == "ExecuteStatement":
        given: Sequence[Body] = (body,)
    else:
        given = body["Statements" if operation.name == "BatchExecuteStatement" else "TransactStatements"]
    enclosing = operation.name if operation.name == "ExecuteTransaction" else None
    for one in given:
        try:
            statement = prepare(one["Statement"]).statement
        except ApiError:
            continue  # the operation refuses it
        read = statement.select if isinstance(statement, Checking) else statement
        index = read.index if isinstance(read, Selecting) else None
        action = _ACTIONS[type(statement)]
        resource = read.table if index is None else f"{read.table}/index/{index}"
        part = Part(action, one, (), body, enclosing, read, index)
        yield Check(f"dynamodb:{action}", resource, part)


_ACTIONS: Mapping[type, str] = {
    Selecting: "PartiQLSelect",
    Checking: "PartiQLSelect",
    Inserting: "PartiQLInsert",
    Updating: "PartiQLUpdate",
    Deleting: "PartiQLDelete",
}

_SPECIAL: Mapping[str, Callable[[Operation, Body], Iterator[Check]]] = {
    "CreateTable": _create_table,
    "UpdateTable": _update_table,
    "RestoreTableFromBackup": _restore,
    "RestoreTableToPointInTime": _restore,
    "ExportTableToPointInTime": _export,
    "ImportTable": _import,
    "StartBulkPutItems": _bulk_put,
    "BatchGetItem": _batch_get,
    "BatchWriteItem": _batch_write,
    "TransactGetItems": _transact_get,
    "TransactWriteItems": _transact_write,
    "ExecuteStatement": _statements,
    "BatchExecuteStatement": _statements,
    "ExecuteTransaction": _statements,
    "CreateGlobalTable": _global_table,
    "UpdateGlobalTable": _global_table,
    "DescribeGlobalTable": _global_table,
    "DescribeGlobalTableSettings": _global_table,
    "UpdateGlobalTableSettings": _global_table,
}

ACROSS_ACCOUNTS = frozenset(
    f"dynamodb:{name}"
    for name in (
        "GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan", "SearchVectors", "BatchGetItem",
        "BatchWriteItem", "ConditionCheckItem", "DeleteTable", "DescribeTable", "UpdateTable", "TagResource",
        "UntagResource",
        "ListTagsOfResource", "DescribeStream", "GetRecords", "GetShardIterator",
    )
)  # fmt: skip
"""Actions that a resource policy may allow to other accounts."""
