"""Odd requests to every operation of every service, in each of its protocols: made of the shapes of the models of the
services, of texts that mean something to one of them, and of nonsense.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

import cbor2

from atoll.api.service_model import Shape, model
from atoll.api.services import ADMIN, LAMBDA, OPERATIONS, SCALING, STS, Operation, Protocol
from atoll.wire.codec import Request
from tests.differential.tables import TABLES
from tests.fuzz.examples import ACCOUNT, EXAMPLES

NAMES = [table.name for table in TABLES]
ARNS = [f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{name}" for name in NAMES]
ARNS += [f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:one"]
TABLE = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/Items"
TEXTS = [
    "",
    "a",
    *NAMES,
    TABLE,
    f"{TABLE}/index/by-n",
    f"{TABLE}/stream/2026-01-01T00:00:00.000",
    "*",
    f"{TABLE}/backup/01489602797149-73d8d5bc",
    f"{TABLE}/export/01489602797149-73d8d5bc",
    "by-n",
    "us-east-1",
    "xx",
    f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:one",
    f"arn:aws:iam::{ACCOUNT}:role/ops",
    "one",
    "two",
    "é\U0001f600",
    "AWS/DynamoDB",
    "Mine",
    "ConsumedReadCapacityUnits",
    "TableName",
    "Sum",
    "Average",
    "p99",
    "TM(10%:90%)",
    "PR(:3)",
    "IQM",
    "m1",
    "e1",
    "m1+m2*2",
    "SUM(METRICS())",
    "SEARCH('{Mine,Of} a', 'Sum', 60)",
    "IF(m1>0,m1,0/0)",
    "RATE(m1)",
    "FILL(m1,",
    "ANOMALY_DETECTION_BAND(m1, 2)",
    "TIME_SERIES(1)",
    "METRICS('m')[0]",
    "((((",
    'ALARM(one) AND NOT OK("two")',
    "ALARM(",
    "cron(0 12 * * ? *)",
    "cron(0/5 L-3W 5#3 ? * 2026)",
    "rate(1 minute)",
    "at(2026-01-01T00:00:00)",
    "at(9999-12-31T23:59:59)",
    "cron(59 23 31 12 ? 2199)",
    "Europe/Berlin",
    "../etc/passwd",
    "table/Items",
    "table/Items/index/by-n",
    "dynamodb",
    "dynamodb:table:ReadCapacityUnits",
    "dynamodb:index:WriteCapacityUnits",
    "PT1H",
    "2026-01-01T00:00:00Z",
    "0001-01-01",
    "9999-12-31T23:59:59Z",
    "+0100",
    '{"Version":"2012-10-17","Statement":[]}',
    "{",
    "null",
    "[]",
    "TRIM_HORIZON",
    "MTIzLjQ1Ng==",
    "nan",
    "1e400",
    "-1",
    "NaN",
    "x" * 300,
    "\0",
    "-" * 5_000,
    "arn:aws:s3:::bucket",
    "bucket",
    "http://127.0.0.1:9/",
]
_TARGET = {
    "ServiceNamespace": ["dynamodb"],
    "ResourceId": [f"table/{name}" for name in NAMES],
    "ScalableDimension": [f"dynamodb:table:{one}CapacityUnits" for one in ("Read", "Write")],
}
FITTING: dict[str, list[Any]] = {
    **{key: [*NAMES, "New", TABLE] for key in ("TableName", "GlobalTableName", "SourceTableName", "TargetTableName")},
    **{key: [TABLE, *ARNS] for key in ("ResourceArn", "TableArn", "SourceTableArn", "ResourceARN")},
    **{key: ["one", "two"] for key in ("AlarmName", "AlarmNames", "ParentsOfAlarmName", "ChildrenOfAlarmName")},
    **{key: ["Mine", "AWS/DynamoDB"] for key in ("Namespace",)},
    **{key: ["a", "ConsumedReadCapacityUnits"] for key in ("MetricName",)},
    **{key: ["Sum", "p99", "TM(10%:90%)", "IQM"] for key in ("Stat", "Statistic", "Statistics", "ExtendedStatistic")},
    **{key: ["m1", "m2", "e1", "e2"] for key in ("Id",)},
    **{key: [60, 300, 3600, 86400, 1, 7] for key in ("Period",)},
    "AlarmRule": ["ALARM(one)", "NOT (OK(one) OR TRUE)", 'ALARM("two") AND INSUFFICIENT_DATA(one)', "(" * 300],
    "Schedule": [
        "cron(0 12 * * ? *)",
        "cron(0/5 L-3W * ? 2026-2199/7)",
        "rate(1 minute)",
        "cron(0 0 ? * 5#3 *)",
        "cron(59 23 31 12 ? 2199)",
        "at(2026-01-01T00:00:00)",
        "cron(0 0 30 2 ? *)",
    ],
    "Timezone": ["Europe/Berlin", "America/St_Johns", "../x"],
    "StreamViewType": ["NEW_IMAGE"],
    "RegionName": ["us-east-1", "eu-west-1"],
    "Statement": ["SELECT * FROM Items", 'DELETE FROM "Items" WHERE a=1', "INSERT INTO Items VALUE {'a':1}", "SELECT"],
    "RoleArn": [f"arn:aws:iam::{ACCOUNT}:role/ops"],
    "RoleSessionName": ["me"],
    "Policy": [
        json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": {"Effect": "Allow", "Principal": "*", "Action": "dynamodb:*", "Resource": TABLE},
            }
        )
    ],
    "AttributeName": ["a", "pk", "n"],
    "IndexName": ["by-n"],
    "Key": [{}],
    "S3Bucket": ["bucket"],
    "TopK": [1, 100],
    "EvaluationPeriods": [1, 3],
    "DatapointsToAlarm": [1],
    "StartTime": [0, 1.7e9],
    "EndTime": [1.8e9, 4e9],
    "Expression": [one for one in TEXTS if "(" in one or "+" in one],
    **_TARGET,
}
"""Texts and numbers that members with these names may have."""
NUMBERS = [
    0,
    1,
    -1,
    2,
    5,
    60,
    100,
    1.5,
    3600,
    86_400,
    2**31,
    2**63,
    -(2**63) - 1,
    1e18,
    1e308,
    -1e308,
    1_700_000_000,
    1.7e9,
]
ADMINISTERED = """
    table region from to fault operation key seed after times rate percent delay remove advance set now stream shard
    action resource principal context request policy partition index limit repair drop pause source name start
""".split()
ODD = 0.01
"""How often a value has another type than its shape."""


def requests(random: Random) -> Iterator[Request]:
    for _ in range(random.randint(3, 8)):
        if random.random() < 0.6:
            name, example = random.choice(EXAMPLES)
            operation = random.choice([one for one in OPERATIONS if one.name == name])
            changes = random.choice([0.0, 0.0, 0.02, 0.1])
            yield _request(random, operation, _varied(random, example, changes, ""))
        else:
            operation = random.choice(OPERATIONS)
            yield _request(random, operation, _body(random, operation))


def _varied(random: Random, value: Any, changes: float, name: str) -> Any:
    """The value with some of its parts changed."""
    if random.random() < changes:
        return random.choice(FITTING[name]) if name in FITTING and random.random() < 0.6 else _junk(random)
    if isinstance(value, dict):
        return {key: _varied(random, one, changes, key) for key, one in value.items() if random.random() >= changes / 2}
    if isinstance(value, list):
        return [_varied(random, one, changes, name) for one in value] * (2 if random.random() < changes / 2 else 1)
    return value


def _body(random: Random, operation: Operation) -> dict[str, Any]:
    if operation.service.model is None:
        return {random.choice(ADMINISTERED): _junk(random) for _ in range(random.randrange(5))}
    shape = model(operation.service.model).input(operation.name)
    return _structure(random, shape, 0)


def _structure(random: Random, shape: Shape, depth: int) -> dict[str, Any]:
    found = {}
    for name, member in shape.members.items():
        wanted = 0.99 if name in shape.required else random.choice([0.05, 0.3, 0.6]) / (1 + depth / 3)
        if random.random() < wanted:
            found[name] = _value(random, member, depth + 1, FITTING.get(name))
    return found


def _value(random: Random, shape: Shape, depth: int, fitting: list[Any] | None = None) -> Any:
    """`fitting`: what it should be, or its members."""
    if fitting is not None and shape.is_scalar and random.random() < 0.9:
        return random.choice(fitting)
    if random.random() < ODD or depth > 8:
        return _junk(random)
    if shape.is_value:
        kind, content = random.choice(
            [("S", "a"), ("N", "1"), ("N", "1e200"), ("B", "YQ=="), ("L", []), ("NULL", True)]
        )
        return {kind: content}
    match shape.kind:
        case "structure":
            return _structure(random, shape, depth)
        case "list":
            assert shape.item is not None
            count = random.choice([0, 1, 1, 1, 2, 3, 12])
            return [_value(random, shape.item, depth + 1, fitting) for _ in range(count)]
        case "map":
            assert shape.item is not None
            return {random.choice(TEXTS): _value(random, shape.item, depth + 1) for _ in range(random.randrange(3))}
        case "integer" | "long" | "double" | "float" | "timestamp":
            return random.choice(NUMBERS)
        case "boolean":
            return random.random() < 0.5
        case "blob":
            return random.choice(["", "YQ==", "!"])
    listed = [one for one in shape.constraints if one.kind == "enum"]
    if listed and random.random() < 0.9:
        return random.choice(sorted(_listed(listed[0].holds)))
    return random.choice(TEXTS)


def _listed(holds: Any) -> frozenset[str]:
    found: frozenset[str] = holds.__self__
    return found


def _junk(random: Random, depth: int = 0) -> Any:
    kind = random.randrange(6 if depth < 3 else 4)
    if kind == 4:
        return [_junk(random, depth + 1) for _ in range(random.randrange(3))]
    if kind == 5:
        return {random.choice(TEXTS): _junk(random, depth + 1) for _ in range(random.randrange(3))}
    return random.choice([random.choice(TEXTS), random.choice(NUMBERS), None, random.random() < 0.5])


def _request(random: Random, operation: Operation, body: dict[str, Any]) -> Request:
    service = operation.service
    headers = {b"host": b"localhost", b"authorization": _authorization(service.signing_name)}
    if service in (LAMBDA, ADMIN):
        return _rest(random, operation, body, headers)
    protocols = [one for one in service.protocols if one in (Protocol.CBOR, Protocol.QUERY) or service.target]
    protocol = random.choice(protocols)
    if service is STS or protocol is Protocol.QUERY:
        headers[b"content-type"] = b"application/x-www-form-urlencoded"
        assert service.model is not None
        fields = {"Action": operation.name, "Version": model(service.model).version, **dict(_fields("", body))}
        return Request(b"POST", b"/", b"", headers, urlencode(fields, errors="replace").encode())
    if protocol is Protocol.CBOR:
        headers |= {b"content-type": b"application/cbor", b"smithy-protocol": b"rpc-v2-cbor"}
        path = f"/service/{service.target}/operation/{operation.name}".encode()
        return Request(b"POST", path, b"", headers, _changed(random, cbor2.dumps(body)))
    headers |= {
        b"content-type": b"application/x-amz-json-1.1" if service is SCALING else b"application/x-amz-json-1.0",
        b"x-amz-target": f"{service.target}.{operation.name}".encode(),
    }
    return Request(b"POST", b"/", b"", headers, _changed(random, json.dumps(body).encode()))


def _authorization(service: str) -> bytes:
    return f"AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/{service}/aws4_request, Signature=0".encode()


def _rest(random: Random, operation: Operation, body: dict[str, Any], headers: dict[bytes, bytes]) -> Request:
    http = operation.http
    assert http is not None
    path = operation.service.prefix + http.path
    for name in ("UUID", "FunctionName"):
        path = path.replace(f"{{{name}}}", quote(random.choice(TEXTS)[:200], safe="") or "x")
    headers[b"content-type"] = b"application/json"
    method = http.method.encode()
    if method == b"GET":
        query = urlencode([(name, str(value)) for name, value in body.items()], errors="replace")
        return Request(method, path.encode(), query.encode(), headers, b"")
    return Request(method, path.encode(), b"", headers, _changed(random, json.dumps(body).encode()))


def _fields(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _fields(f"{path}.{name}" if path else name, one)
    elif isinstance(value, list):
        for number, one in enumerate(value, 1):
            yield from _fields(f"{path}.member.{number}", one)
    else:
        yield path, str(value)


def _changed(random: Random, body: bytes) -> bytes:
    if random.random() < 0.9:
        return body
    changed = bytearray(body)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(changed) + 1)
        changed[at : at + random.randint(0, 3)] = random.choice(
            (b"", b'"', b"{", b"]", b",", b"\0", b"9", b"\xff", b"\xbf")
        )
    return bytes(changed)
