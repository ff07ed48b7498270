"""Endpoints whose answers are JSON of another shape: each page says so, and is never an error of the console."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from random import Random

import pytest

from atoll.console.endpoint import UNSIGNED, Address, CallFailed, Connection, Endpoint, checked_answers
from tests.shell.test_misshapen import ANSWERS, JUNK, STREAMED, TABLE, Nonsense, changed, places_of

PAGES = [
    "/",
    "/partiql",
    "/capacity",
    "/streams",
    "/triggers",
    "/backups",
    "/regions",
    "/storage",
    "/clock",
    "/create-table",
]
OF_TABLE = ["items", "settings", "indexes", "stream", "ttl", "capacity", "backups", "item", "item?pk=%7B%7D", "nearest"]
PATHS = [*PAGES, "/create-table"] + [f"/table/Orders/{tab}" for tab in OF_TABLE]
LIVE = {"/_atoll/health/live": {"status": "live"}}
CHANGED = ["ListTables", "DescribeTable", "Scan", "Query", *STREAMED]
SAMPLES = 60


@pytest.fixture
def nonsense(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nonsense]:
    for name in [name for name in os.environ if name.startswith(("ATOLL_", "AWS_"))]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    one = Nonsense()
    one.answers = ANSWERS | LIVE
    yield one
    one.close()


def test_pages_are_served_whatever_the_endpoint_answers(nonsense: Nonsense) -> None:
    command = [sys.executable, "-m", "atoll", "console", "--endpoint", nonsense.url, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as console:
        assert console.stderr is not None
        try:
            found = re.match(r"the console is at (\S+)", console.stderr.readline())
            threading.Thread(target=console.stderr.read, daemon=True).start()  # a full pipe would stop the console
            assert found is not None
            _visit(nonsense, found[1])
        finally:
            console.kill()


def _visit(nonsense: Nonsense, url: str) -> None:
    open_url = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
    random, told = Random(1), 0
    for sample in range(SAMPLES):
        path = PATHS[sample % len(PATHS)]
        operation = random.choice(CHANGED)
        place = random.choice(list(places_of(ANSWERS[operation])))
        nonsense.answers = ANSWERS | LIVE | {operation: changed(ANSWERS[operation], place, random.choice(JUNK))}
        nonsense.asked.clear()
        with open_url(url + path, timeout=30) as answer:  # raises HTTPError for an error of the console
            told += "is not DynamoDB" in answer.read().decode()
    assert told


def test_a_page_that_ends_where_it_began_is_refused(nonsense: Nonsense) -> None:
    connection = Connection(Endpoint(Address(nonsense.url)), UNSIGNED)
    nonsense.answers = {"ListTables": {"TableNames": ["Orders"], "LastEvaluatedTableName": "Orders"}}
    with pytest.raises(CallFailed, match="ends where it began"):
        asyncio.run(connection.table_names())
    assert len(nonsense.asked) == 2


@pytest.mark.parametrize("path", [("TableName",), ("KeySchema", 0, "AttributeName")])
def test_unreadable_answer_is_a_failed_call(path: tuple[str | int, ...], caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(CallFailed, match="is not DynamoDB's"), checked_answers():
        found = changed(TABLE, path, ...)
        for part in path:
            found = found[part]
    assert "KeyError" in caplog.text
