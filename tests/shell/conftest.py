"""Makes `tests.*` importable, hides the machine's configuration, and gives each test a server."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from atoll import testing  # noqa: E402
from atoll.cli import main  # noqa: E402
from atoll.client import Client, resolve  # noqa: E402

Atoll = Callable[..., tuple[int, str, str]]
"""Runs a command: its exit code, what it printed, and its errors."""


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("ATOLL_", "AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[testing.LocalServer]:
    with testing.serve() as one:
        monkeypatch.setenv("AWS_ENDPOINT_URL", one.endpoint_url)
        yield one


@pytest.fixture
def client(server: testing.LocalServer) -> Client:
    """With the table Orders, whose key is pk (S) and sk (N); the index by-city has the key city (S)."""
    client = Client(resolve())
    client.call(
        "CreateTable", TableName="Orders", BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": type_}
                              for name, type_ in (("pk", "S"), ("sk", "N"), ("city", "S"))],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        GlobalSecondaryIndexes=[{"IndexName": "by-city", "KeySchema": [{"AttributeName": "city", "KeyType": "HASH"}],
                                 "Projection": {"ProjectionType": "ALL"}}],
    )  # fmt: skip
    for number in range(5):
        item = {"pk": {"S": "a"}, "sk": {"N": str(number)}, "city": {"S": ["Köln", "東京"][number % 2]}}
        client.call("PutItem", TableName="Orders", Item=item)
    return client


@pytest.fixture
def atoll(capsys: pytest.CaptureFixture[str]) -> Atoll:
    def run(*words: str) -> tuple[int, str, str]:
        code = main(words)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run
