"""The pytest plugin, found through its entry point. Fixtures are loaded when a test requests one.

atoll_process       the server of this test process; for session fixtures that create tables once
atoll_server        the same server, for one test: the test's changes are undone when it ends
dynamodb            a boto3 client for atoll_server
dynamodb_resource   a boto3 resource for atoll_server
atoll_environment   environment variables that point the application's own clients to atoll_server

The setting `atoll_regions` names the server's regions.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from atoll.testing.local import LocalServer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("atoll_regions", "the regions of Atoll's server; the first is the default", type="args", default=[])


@pytest.fixture(scope="session")
def atoll_process(pytestconfig: pytest.Config) -> Iterator[LocalServer]:
    """The Atoll server of this test process. Its state lasts for the whole session."""
    from atoll import platforms

    if reason := platforms.unsupported():
        pytest.fail(reason, pytrace=False)
    try:
        from atoll.testing.local import serve
    except ImportError as error:
        pytest.fail(f"Atoll cannot run here: {error}", pytrace=False)
    with serve(regions=pytestconfig.getini("atoll_regions")) as server:
        yield server


@pytest.fixture
def atoll_server(atoll_process: LocalServer) -> Iterator[LocalServer]:
    """An Atoll server with a movable clock. Tables, items and time are restored when the test ends."""
    before = atoll_process.snapshot()
    yield atoll_process
    atoll_process.restore(before)


@pytest.fixture
def dynamodb(atoll_server: LocalServer) -> Any:
    """boto3.client("dynamodb") for atoll_server."""
    return atoll_server.client("dynamodb")


@pytest.fixture
def dynamodb_resource(atoll_server: LocalServer) -> Any:
    """boto3.resource("dynamodb") for atoll_server."""
    return atoll_server.resource("dynamodb")


@pytest.fixture
def atoll_environment(atoll_server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that the application creates during the test connect to atoll_server, never to AWS."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", atoll_server.endpoint_url)
    monkeypatch.setenv("AWS_REGION", atoll_server.region)
    monkeypatch.setenv("AWS_DEFAULT_REGION", atoll_server.region)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
