"""Each operation of each service, called by a user without any rights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

from atoll.api import services
from atoll.api.services import ADMIN, Operation
from atoll.testing import serve
from atoll.testing.local import LocalServer

ACCOUNT = "000000000000"
ARN = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/Things"
STREAM = f"{ARN}/stream/2026-01-01T00:00:00.000"
JOB = "01489602797149-73d8d5bc"
KEY = {"pk": {"S": "a"}}
SCALED = f"arn:aws:application-autoscaling:us-east-1:{ACCOUNT}:scalable-target/0123456789abcdef0123456789abcdef"
MEMBERS: dict[str, Any] = {
    "TableName": "Things", "SourceTableName": "Things", "TargetTableName": "Copy", "GlobalTableName": "Things",
    "TableArn": ARN, "ResourceArn": ARN, "StreamArn": STREAM, "ShardIterator": f"{STREAM}|1|AAAA",
    "BackupArn": f"{ARN}/backup/{JOB}", "ExportArn": f"{ARN}/export/{JOB}", "ImportArn": f"{ARN}/import/{JOB}",
    "BulkOperationArn": f"{ARN}/bulk-operation/{JOB}",
    "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/ops", "Statement": "SELECT * FROM Things", "Policy": "{}",
    "ResourceARN": f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:a", "UseLatestRestorableTime": True,
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}], "RequestItems": {"Things": {"Keys": [KEY]}},
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}], "BillingMode": "PAY_PER_REQUEST",
}  # fmt: skip
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("DynamoDB", "BatchWriteItem"): {"RequestItems": {"Things": [{"DeleteRequest": {"Key": KEY}}]}},
    ("DynamoDB", "TransactWriteItems"): {"TransactItems": [{"Delete": {"TableName": "Things", "Key": KEY}}]},
    ("ApplicationAutoScaling", "TagResource"): {"ResourceARN": SCALED, "Tags": {"a": "b"}},
    ("ApplicationAutoScaling", "UntagResource"): {"ResourceARN": SCALED, "TagKeys": ["a"]},
    ("ApplicationAutoScaling", "ListTagsForResource"): {"ResourceARN": SCALED},
}
"""Bodies that the shapes alone do not give."""
OPEN = {("STS", "GetCallerIdentity"), ("STS", "GetSessionToken")}
"""IAM asks for no permission: they concern the caller only."""


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with serve(policies={"users": {"nobody": {"access_keys": {"AKIANOBODY": "secret"}}}}) as server:
        yield server


def _filled(shape: Any, name: str = "") -> Any:
    """The least value of a shape."""
    if name in MEMBERS:
        return MEMBERS[name]
    match shape.type_name:
        case "structure":
            if shape.name == "AttributeValue":
                return {"S": "a"}
            members = [one for one in shape.members if one in shape.required_members or one == "BillingMode"]
            return {one: _filled(shape.members[one], one) for one in members}
        case "list":
            return [_filled(shape.member)]
        case "map":
            return {"pk": _filled(shape.value)}
        case "string":
            return shape.enum[0] if shape.enum else "a" * max(3, shape.metadata.get("min", 0))
        case "integer" | "long":
            return max(1, shape.metadata.get("min", 1))
        case "timestamp":
            return 1_790_000_000
    return {"double": 1.0, "float": 1.0, "boolean": True, "blob": b"{}"}[shape.type_name]


def _id(row: Operation) -> str:
    return f"{row.service.name}.{row.name}"


@pytest.mark.parametrize("row", [row for row in services.OPERATIONS if row.service is not ADMIN], ids=_id)
def test_an_operation_is_refused_to_callers_without_rights(server: LocalServer, row: Operation) -> None:
    assert row.service.model is not None
    client = server.client(row.service.model, aws_access_key_id="AKIANOBODY", aws_secret_access_key="secret")
    shape = client.meta.service_model.operation_model(row.name).input_shape
    body = BODIES.get((row.service.name, row.name)) or ({} if shape is None else _filled(shape))
    if row.name == "CreateTable":
        body = {name: MEMBERS[name] for name in ("TableName", "KeySchema", "AttributeDefinitions", "BillingMode")}
    code = None
    try:
        client._make_api_call(row.name, body)
    except ClientError as error:
        code = error.response["Error"]["Code"]
    is_open = (row.service.name, row.name) in OPEN
    assert (code not in ("AccessDeniedException", "AccessDenied")) is is_open


@pytest.mark.parametrize("row", services.of(ADMIN), ids=_id)
def test_administration_is_refused_to_callers_that_are_not_administrators(server: LocalServer, row: Operation) -> None:
    assert row.http is not None
    url = f"{server.endpoint_url}{ADMIN.prefix}{row.http.path}"
    request = AWSRequest(row.http.method, url, data=b"{}" if row.http.method == "POST" else None)
    SigV4Auth(Credentials("AKIANOBODY", "secret"), "dynamodb", "us-east-1").add_auth(request)
    answer = URLLib3Session().send(request.prepare())
    assert (answer.status_code, b"AccessDeniedException" in answer.content) == (403, True)
