"""Spans and metrics of requests that come over HTTP."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from tests.telemetry.conftest import KEY, Traced, traced

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
AMAZON = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1"


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def consumed(span: ReadableSpan) -> dict[str, float]:
    found = map(json.loads, attributes(span).get("aws.dynamodb.consumed_capacity", ()))
    return {one["TableName"]: one["CapacityUnits"] for one in found}


def test_a_span_has_the_table_the_units_and_the_id_of_the_request() -> None:
    async def main() -> None:
        async with traced() as server:
            await server.create()
            _, _, request_id = await server.call("PutItem", TableName="Things", Item=KEY | {"v": {"S": "x" * 2000}})
            (span,) = server.spans()
            assert (span.name, span.kind, span.parent) == ("DynamoDB.PutItem", SpanKind.SERVER, None)
            assert attributes(span) == {
                "db.system.name": "aws.dynamodb",
                "db.operation.name": "PutItem",
                "db.collection.name": "Things",
                "rpc.system": "aws-api",
                "rpc.service": "DynamoDB",
                "rpc.method": "PutItem",
                "cloud.region": "us-east-1",
                "aws.dynamodb.table_names": ("Things",),
                "aws.dynamodb.consumed_capacity": ('{"TableName": "Things", "CapacityUnits": 2.0}',),
                "atoll.read_units": 0.0,
                "atoll.write_units": 2.0,
                "aws.request_id": request_id,
            }
            assert span.resource.attributes["service.name"] == "atoll"

    asyncio.run(main())


def test_units_of_each_operation_as_the_answer_tells_them() -> None:
    """Among many concurrent requests, each span has its own units."""
    index = {"IndexName": "by_v", "KeySchema": [{"AttributeName": "v", "KeyType": "HASH"}],
             "Projection": {"ProjectionType": "ALL"}}  # fmt: skip

    async def main() -> None:
        async with traced() as server:
            await server.call(
                "CreateTable", TableName="Indexed", BillingMode="PAY_PER_REQUEST", GlobalSecondaryIndexes=[index],
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "v")],
            )  # fmt: skip
            await server.create()

            def item(n: int) -> dict[str, Any]:
                return {"pk": {"S": str(n)}, "v": {"S": "y"}, "text": {"S": "x" * 1000 * (n % 7)}}

            total = {"ReturnConsumedCapacity": "TOTAL"}
            calls: list[tuple[str, dict[str, Any]]] = [
                *(("PutItem", {"TableName": "Things", "Item": item(n)}) for n in range(12)),
                *(("PutItem", {"TableName": "Indexed", "Item": item(n)}) for n in range(3)),
                ("BatchWriteItem", {"RequestItems": {
                    name: [{"PutRequest": {"Item": item(n)}} for n in range(20, 25)] for name in ("Things", "Indexed")
                }}),
                ("TransactWriteItems", {"TransactItems": [
                    {"Put": {"TableName": name, "Item": item(30)}} for name in ("Things", "Indexed")
                ]}),
                *(("GetItem", {"TableName": "Things", "Key": {"pk": {"S": str(n)}}}) for n in range(3)),
                ("Scan", {"TableName": "Things"}),
                ("Query", {"TableName": "Indexed", "IndexName": "by_v", "KeyConditionExpression": "v = :v",
                           "ExpressionAttributeValues": {":v": {"S": "y"}}}),
                ("ExecuteStatement", {"Statement": "SELECT * FROM Things WHERE pk = '1'"}),
            ]  # fmt: skip
            answers = await asyncio.gather(*(server.call(name, **body, **total) for name, body in calls))
            spans = {attributes(span)["aws.request_id"]: span for span in server.spans()}
            assert len(spans) == len(calls)
            for status, answer, request_id in answers:
                assert status == 200, answer
                told = answer["ConsumedCapacity"]
                parts = told if isinstance(told, list) else [told]
                assert consumed(spans[request_id]) == {one["TableName"]: one["CapacityUnits"] for one in parts}

    asyncio.run(main())


def test_bytes_of_vector_indexes_are_not_units() -> None:
    index = {"IndexName": "near", "VectorAttribute": {"AttributeName": "v"}, "Dimensions": 2,
             "DistanceFunction": "COSINE", "Projection": {"ProjectionType": "KEYS_ONLY"}}  # fmt: skip

    async def main() -> None:
        async with traced() as server:
            await server.create(VectorIndexes=[index])
            item = KEY | {"v": {"L": [{"N": "1"}, {"N": "2"}]}}
            await server.call("PutItem", TableName="Things", Item=item)
            await server.call(
                "BatchWriteItem", RequestItems={"Things": [{"PutRequest": {"Item": item | {"pk": {"S": "b"}}}}]}
            )
            assert [consumed(span) for span in server.spans()] == [{"Things": 1.0}, {"Things": 1.0}]
            metrics = await server.metrics()
            assert set(metrics["atoll.consumed.write"].values()) == {0.0, 1.0}
            written = metrics["atoll.vectors.written"]
            assert written.keys() == {(name, "Things", "near") for name in ("PutItem", "BatchWriteItem")}
            assert all(written.values())

    asyncio.run(main())


def test_errors() -> None:
    async def main() -> None:
        async with traced() as server:
            await server.create()
            await server.call("GetItem", TableName="Absent", Key=KEY)
            await server.call("PutItem", TableName="Things", Item=KEY, ConditionExpression="attribute_exists(pk)")
            await server.call("PutItem", TableName="Things")
            absent, condition, invalid = server.spans()
            assert attributes(absent)["error.type"] == "ResourceNotFoundException"
            assert attributes(absent)["http.response.status_code"] == 400
            assert attributes(absent)["aws.dynamodb.table_names"] == ("Absent",)
            assert attributes(condition)["error.type"] == "ConditionalCheckFailedException"
            assert consumed(condition) == {"Things": 1.0}
            assert attributes(invalid)["error.type"] == "ValidationException"
            assert {one.status.status_code for one in (absent, condition, invalid)} == {StatusCode.UNSET}

    asyncio.run(main())


def test_a_server_failure_gives_the_span_of_an_operation_the_status_error() -> None:
    async def main() -> None:
        async with traced() as server:
            await server.create()

            def broken(_: object) -> None:
                raise RuntimeError("a bug")

            region = server.node.regions["us-east-1"]
            region.read_eventually = broken  # type: ignore[method-assign, assignment]
            status, _, _ = await server.call("GetItem", TableName="Things", Key=KEY)
            (span,) = server.spans()
            assert (status, span.status.status_code) == (500, StatusCode.ERROR)
            assert attributes(span)["error.type"] == "InternalServerError"
            assert attributes(span)["http.response.status_code"] == 500

    asyncio.run(main())


class TestTheParent:
    @pytest.mark.parametrize("headers", [
        {"traceparent": f"00-{TRACE}-{SPAN}-01"},
        {"X-Amzn-Trace-Id": AMAZON},
        {"traceparent": f"00-{TRACE}-{SPAN}-01", "X-Amzn-Trace-Id": AMAZON.replace("4bf92f35", "00000001")},
        {"X-Amzn-Trace-Id": "Self=1-67891234-12456789abcdef012345678;" + AMAZON},
    ])  # fmt: skip
    def test_the_span_joins_the_trace_of_the_client(self, headers: dict[str, str]) -> None:
        span = self.span_of(headers)
        assert span.parent is not None
        assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, SPAN)

    @pytest.mark.parametrize("headers", [
        {}, {"traceparent": "nonsense"}, {"traceparent": f"00-{'0' * 32}-{SPAN}-01"}, {"X-Amzn-Trace-Id": "Root=1-2-3"},
        {"X-Amzn-Trace-Id": AMAZON.replace("4bf9", "zzzz")}, {"X-Amzn-Trace-Id": "\xff" * 10_000},
    ])  # fmt: skip
    def test_without_a_valid_header_it_begins_a_trace(self, headers: dict[str, str]) -> None:
        assert self.span_of(headers).parent is None

    def test_a_client_that_does_not_sample_gets_no_span(self) -> None:
        assert self.spans_of({"traceparent": f"00-{TRACE}-{SPAN}-00"}) == []
        assert self.spans_of({"X-Amzn-Trace-Id": AMAZON.replace("Sampled=1", "Sampled=0")}) == []

    def span_of(self, headers: dict[str, str]) -> ReadableSpan:
        (span,) = self.spans_of(headers)
        return span

    def spans_of(self, headers: dict[str, str]) -> list[ReadableSpan]:
        async def main() -> list[ReadableSpan]:
            async with traced() as server:
                await server.call("ListTables", headers)
                return server.spans()

        return asyncio.run(main())


def test_metrics_are_the_totals_of_the_meter() -> None:
    async def main(server: Traced) -> None:
        await server.create()
        for _ in range(3):
            await server.call("PutItem", TableName="Things", Item=KEY)
        await server.call("GetItem", TableName="Things", Key=KEY)
        await server.call("PutItem", TableName="Things", Item=KEY, ConditionExpression="attribute_not_exists(pk)")
        region = server.node.regions["us-east-1"]
        region.meter.take()  # metrics take the tallies each minute
        await server.call("GetItem", TableName="Things", Key=KEY)
        found = await server.metrics()
        assert found["atoll.operations"]["PutItem", "Things"] == 4
        assert found["atoll.operations"]["GetItem", "Things"] == 2
        assert found["atoll.consumed.write"]["PutItem", "Things"] == 4
        assert found["atoll.consumed.read"]["GetItem", "Things"] == 1
        assert found["atoll.failed_conditions"]["PutItem", "Things"] == 1
        counted = {(one.operation, one.table): one.calls for one in region.meter.snapshot() if one.table}
        assert {labels: value for labels, value in found["atoll.operations"].items() if len(labels) == 2} == counted
        assert found["atoll.operations.duration"]["PutItem", "Things"] > 0

    async def run() -> None:
        async with traced() as server:
            await main(server)

    asyncio.run(run())
