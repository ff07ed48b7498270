"""The requests that are slowest to parse: their numbers, names, expressions, headers and encodings. They use the tables
of `stalls.load`.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any

from benchmarks.client import UNVERIFIED, http_request
from benchmarks.servers import HOST

Body = dict[str, Any]

MANY = json.dumps({"TableName": "Many", "Limit": 100}).encode()
KEY = {"TableName": "Probe", "Key": {"pk": {"S": "t"}}}

UNDECODABLE = frozenset({"gzip of a gigabyte"})
"""Requests whose bodies cannot be decompressed. They get the service's internal error by design."""


def texts() -> Iterator[tuple[str, bytes]]:
    """The name and all bytes of each request."""
    yield from _heads()
    yield from _encodings()
    yield from _numbers()
    yield from _names()
    yield from _vectors()


def _request(operation: str, body: Body | bytes, *lines: str, target: str = "DynamoDB_20120810") -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
    head = [
        "POST / HTTP/1.1", f"Host: {HOST}", f"X-Amz-Target: {target}.{operation}",
        "Content-Type: application/x-amz-json-1.0", f"Content-Length: {len(content)}",
    ]  # fmt: skip
    head += (
        lines if any(line.startswith("Authorization") for line in lines) else [f"Authorization: {UNVERIFIED}", *lines]
    )
    return "\r\n".join([*head, "", ""]).encode() + content


def _heads() -> Iterator[tuple[str, bytes]]:
    digits, names = "1" * 15_000, ",".join(f"x{number};q=0.{number}" for number in range(1_200))
    yield "Accept-Encoding of 15,000 digits", _request("Scan", MANY, f"Accept-Encoding: gzip;q={digits}x")
    yield "Accept-Encoding of 1,200 names", _request("Scan", MANY, f"Accept-Encoding: {names}")
    yield (
        "Authorization of Credential=",
        _request("Scan", MANY, f"Authorization: AWS4-HMAC-SHA256 {'Credential=' * 1_300}"),
    )
    yield "Authorization of slashes", _request("Scan", MANY, f"Authorization: AWS4 Credential={'/' * 15_000}")
    yield "unknown target of dots", _request("a." * 7_000, b"{}")
    yield "header of many lines", _request("Scan", MANY, *["X-A: b"] * 1_000)
    yield "Host of colons", _request("Scan", MANY).replace(b"Host: ", b"Host: " + b":1" * 7_000)
    yield "Origin of 15,000 characters", _request("Scan", MANY, "Origin: https://" + "a-." * 5_000)
    trace = ";  " * 5_000
    yield "X-Amzn-Trace-Id of blanks", _request("Scan", MANY, f"X-Amzn-Trace-Id: {trace}")
    path = "/" + "../" * 5_000
    yield "path of dots", _request("Scan", MANY).replace(b"POST / ", f"POST {path} ".encode())
    query = "&".join("%a=" for _ in range(5_000))
    yield "query of 5,000 names", _request("Scan", MANY).replace(b"POST / ", f"POST /_atoll/clock?{query} ".encode())


def _encodings() -> Iterator[tuple[str, bytes]]:
    encoded = "Content-Encoding: gzip"
    empty = gzip.compress(b"")
    yield "gzip of 800,000 members", _request("Scan", empty * (16_000_000 // len(empty)), encoded)
    yield "gzip of members of a byte", _request("Scan", gzip.compress(b" ", 0) * 600_000, encoded)
    yield "gzip of a gigabyte", _request("Scan", gzip.compress(bytes(1_000_000_000), 6), encoded)
    yield "gzip of 16 MB", _request("Scan", gzip.compress(MANY + b" " * 16_000_000), encoded)
    yield "deflate of 16 MB", _request("Scan", zlib.compress(MANY + b" " * 16_000_000), "Content-Encoding: deflate")
    values = json.dumps(
        {"TableName": "Probe", "Item": {"pk": {"S": "z"}, "l": {"L": [{"N": "1"}] * 1_500_000}}}
    ).encode()
    yield "gzip of 1,500,000 values", _request("PutItem", gzip.compress(values[:16_777_216]), encoded)
    chunks = b"1\r\n \r\n" * 2_500_000 + b"0\r\n\r\n"
    head = http_request("Scan", b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    yield "2,500,000 chunks", head + chunks
    form = head.replace(b"x-amz-json-1.0", b"x-www-form-urlencoded").replace(b"X-Amz-Target", b"X")
    form = form.replace(b"Transfer-Encoding: chunked", b"Content-Length: 16000000")
    yield "form of 16 MB", form + b"&Version=" * 1_777_777 + b"1234567"
    yield "form of 1 MB", form.replace(b"16000000", b"1000008") + b"&Action=" * 125_001


def _numbers() -> Iterator[tuple[str, bytes]]:
    def put(value: Any) -> Body:
        return {"TableName": "Probe", "Item": {"pk": {"S": "t"}, "a": value}}

    yield "number of 10,000 digits and a letter", _request("PutItem", put({"N": "1" * 9_999 + "x"}))
    yield "numbers of 10,000 digits and a letter", _request("PutItem", put({"L": [{"N": "1" * 9_999 + "x"}] * 1_500}))
    yield "numbers of 10,000 zeros", _request("PutItem", put({"NS": [f"{'0' * 9_990}{n}" for n in range(1_500)]}))
    yield (
        "numbers of 9,999 decimals",
        _request("PutItem", put({"L": [{"N": f"0.{'0' * 9_990}{n}"} for n in range(1_500)]})),
    )
    yield "numbers of large exponents", _request("PutItem", put({"NS": [f"1e{n}" for n in range(900_000)]}))
    yield "strings of 100,000 characters", _request("PutItem", put({"L": [{"S": "a" * 99_000}] * 160}))
    yield "strings beside each other", _request("PutItem", b'{"TableName":' + (b'"' + b"a" * 99_000 + b'" ') * 160)
    yield "strings of escapes", _request("PutItem", b'{"TableName":' + (b'"' + b"\\n" * 49_000 + b'" ') * 160)
    yield "numbers of 38 digits", _request("PutItem", put({"NS": [str(10**37 + n) for n in range(8_000)]}))
    exponent = _request("PutItem", put({"N": "1e" + "9" * 9_000}))
    yield "exponent of 9,000 digits", exponent


def _names() -> Iterator[tuple[str, bytes]]:
    table = "arn:aws:dynamodb:us-east-1:000000000000:table/Probe"
    for length in (255, 5_000, 15_000_000):
        bucket = "a" * length + "!"
        body: Body = {"TableArn": table, "S3Bucket": bucket}
        yield f"S3Bucket of {length:,} characters", _request("ExportTableToPointInTime", body)
        names = {"TableName": "a" * length + "!", "Key": {"pk": {"S": "a"}}}
        yield f"TableName of {length:,} characters", _request("GetItem", names)
        arn = {"ResourceArn": "arn:aws:dynamodb:" + "a:" * (length // 4) + "table/" + "/" * (length // 2)}
        yield f"ARN of {length:,} characters", _request("ListTagsOfResource", arn)
        stream = {"StreamArn": f"{table}/stream/" + "-" * length}
        yield (
            f"stream ARN of {length:,} characters",
            _request("DescribeStream", stream, target="DynamoDBStreams_20120810"),
        )
        iterator = {"ShardIterator": "|".join("1" * (length // 3) for _ in range(3))}
        yield f"iterator of {length:,} characters", _request("GetRecords", iterator, target="DynamoDBStreams_20120810")
        start = {"TableName": "Many", "ExclusiveStartKey": {"pk": {"S": "a" * length}, "sk": {"N": "1" * 50}}}
        yield f"start key of {length:,} characters", _request("Scan", start)
    text = "SET a = :v" + " " * 4_000
    yield (
        "expression of blanks",
        _request("UpdateItem", {**KEY, "UpdateExpression": text, "ExpressionAttributeValues": {}}),
    )
    for open_ in ("/*", "--", "'", '"', "`", "1e", "1.", "''", "<<", "/**/", "/**/ --\n"):
        statement = "SELECT * FROM Many WHERE " + open_ * (8_000 // len(open_))
        yield f"PartiQL of {open_!r}", _request("ExecuteStatement", {"Statement": statement})
    listed = "SELECT * FROM Many WHERE n IN [" + ",".join(["?"] * 3_000) + "]"
    values = [{"N": "1" * 9_999 + "x"}] * 1_500
    yield (
        "PartiQL parameters of 9,999 digits",
        _request("ExecuteStatement", {"Statement": listed, "Parameters": values}),
    )


def _vectors() -> Iterator[tuple[str, bytes]]:
    for dimensions in (4_096, 1_000_000):
        vector = {"L": [{"N": str(number / 7)} for number in range(dimensions)]}
        body = {"TableName": "Vectors", "IndexName": "near", "SearchVector": vector["L"], "TopK": 100}
        yield f"SearchVectors of {dimensions:,} numbers", _request("SearchVectors", body)
        item = {"pk": {"S": "v"}, "vector": vector}
        yield f"vector of {dimensions:,} numbers", _request("PutItem", {"TableName": "Vectors", "Item": item})
    vector = {"L": [{"N": f"{number}.25"} for number in range(4_096)]}
    puts = [{"PutRequest": {"Item": {"pk": {"S": f"v{number}"}, "vector": vector}}} for number in range(25)]
    yield "BatchWriteItem 25 vectors of 4,096", _request("BatchWriteItem", {"RequestItems": {"Vectors": puts}})
    items = [{"pk": {"S": f"w{number}"}, "vector": vector} for number in range(80)]
    writes = [{"Put": {"TableName": "Vectors", "Item": item}} for item in items]
    yield "TransactWriteItems 80 vectors of 4,096", _request("TransactWriteItems", {"TransactItems": writes})
    few = {"TableName": "Vectors", "IndexName": "near", "SearchVector": vector["L"], "TopK": 100}
    yield "SearchVectors 4,096 of 106", _request("SearchVectors", few)
