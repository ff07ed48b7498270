"""A server with a manual clock, and clients of CloudWatch in each of its protocols."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.config
import botocore.session
import pytest

from atoll.testing import LocalServer, serve

START_S = 1_800_000_000  # the start of a minute, but not of an hour
START = datetime.fromtimestamp(START_S, UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with serve() as server:
        server.clock.set(START_S)
        yield server


PROTOCOLS = ("json", "query", "smithy-rpc-v2-cbor")


def client(server: LocalServer, protocol: str = "json") -> Any:
    """A client of CloudWatch that speaks one protocol, of those that botocore has serializers and parsers of."""
    session = botocore.session.Session()
    session.set_credentials("atoll", "atoll")
    loader = session.get_component("data_loader")
    load = loader.load_service_model

    def only(service: str, kind: str, api_version: str | None = None) -> Any:
        found = load(service, kind, api_version)
        if service == "cloudwatch" and kind == "service-2":
            found = {**found, "metadata": {**found["metadata"], "protocols": [protocol], "protocol": protocol}}
        return found

    loader.load_service_model = only
    config = botocore.config.Config(retries={"total_max_attempts": 1})
    return session.create_client("cloudwatch", "us-east-1", endpoint_url=server.endpoint_url, config=config)


@pytest.fixture(params=PROTOCOLS)
def cloudwatch(request: pytest.FixtureRequest, server: LocalServer) -> Any:
    return client(server, request.param)


def table(server: LocalServer, name: str = "Things", **more: Any) -> Any:
    body = {
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    return server.resource().create_table(TableName=name, **{**body, **more})


def statistics(client: Any, name: str, statistic: str = "Sum", *, period: int = 60, **dimensions: str) -> list[Any]:
    """The minutes since the start, and the values of a metric of DynamoDB."""
    found = client.get_metric_statistics(
        Namespace="AWS/DynamoDB", MetricName=name, Period=period, Statistics=[statistic],
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=START - 60 * MINUTE, EndTime=START + 600 * MINUTE,
    )  # fmt: skip
    return sorted(((one["Timestamp"] - START) / MINUTE, one[statistic]) for one in found["Datapoints"])


def token(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
