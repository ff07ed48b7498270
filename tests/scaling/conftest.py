"""A server in this process, and boto3's client of Application Auto Scaling for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from atoll import testing
from atoll.testing.local import LocalServer


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with testing.serve(quotas=True) as server:
        yield server


@pytest.fixture(scope="module")
def scaling(server: LocalServer) -> Any:
    return server.client("application-autoscaling")


@pytest.fixture(scope="module")
def dynamodb(server: LocalServer) -> Any:
    return server.client()
