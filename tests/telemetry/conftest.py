"""A node whose spans and metrics stay in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.client import HTTPConnection
from typing import Any

from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from atoll.config import Config
from atoll.database.region import Settings
from atoll.node import Node
from atoll.telemetry.exporters import Telemetry

KEY = {"pk": {"S": "a"}}
AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
)


class Traced:
    def __init__(self, node: Node, spans: InMemorySpanExporter, metrics: InMemoryMetricReader) -> None:
        self.node = node
        self._spans = spans
        self._metrics = metrics

    async def call(self, operation: str, headers: Any = None, **body: Any) -> tuple[int, Any, str]:
        """The status, the answer and the request's id."""
        return await asyncio.to_thread(self._call, operation, headers or {}, body)

    def _call(self, operation: str, headers: dict[str, str], body: dict[str, Any]) -> tuple[int, Any, str]:
        connection = HTTPConnection(*self.node.address, timeout=30)
        target = {
            "X-Amz-Target": f"DynamoDB_20120810.{operation}",
            "Content-Type": "application/x-amz-json-1.0",
            "Authorization": AUTHORIZATION,
        }
        connection.request("POST", "/", json.dumps(body), target | headers)
        answer = connection.getresponse()
        found = answer.status, json.loads(answer.read()), answer.headers["x-amzn-RequestId"]
        connection.close()
        return found

    async def create(self, name: str = "Things", **more: Any) -> None:
        await self.call(
            "CreateTable", TableName=name, BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}], **more,
        )  # fmt: skip
        self._spans.clear()

    def spans(self) -> list[ReadableSpan]:
        found = list(self._spans.get_finished_spans())
        self._spans.clear()
        return found

    async def metrics(self) -> dict[str, dict[tuple[str, ...], float]]:
        """Of each metric: the values by operation, table and index."""
        data = await asyncio.to_thread(self._metrics.get_metrics_data)
        found: dict[str, dict[tuple[str, ...], float]] = {}
        for metric in data.resource_metrics[0].scope_metrics[0].metrics if data is not None else ():
            for point in metric.data.data_points:
                names = ("db.operation.name", "db.collection.name", "aws.dynamodb.index_name")
                given = dict(point.attributes or {})
                labels = tuple(str(given[name]) for name in names if name in given)
                found.setdefault(metric.name, {})[labels] = point.value  # type: ignore[union-attr]
        return found


@asynccontextmanager
async def traced() -> AsyncIterator[Traced]:
    spans, metrics = InMemorySpanExporter(), InMemoryMetricReader()
    telemetry = Telemetry(SimpleSpanProcessor(spans), metrics)
    node = Node(Config(port=0, data=None, settings=Settings(), telemetry=telemetry))
    await node.start()
    telemetry.observe(lambda: list(node.regions.values()))
    try:
        yield Traced(node, spans, metrics)
    finally:
        await node.stop()
        await telemetry.close()
