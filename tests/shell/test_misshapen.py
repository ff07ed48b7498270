"""Endpoints whose answers are JSON of another shape: a command ends with one plain line, never with a traceback."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.shell.conftest import Atoll

SAMPLES = 60
ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/Orders"
STREAM = f"{ARN}/stream/2026-01-01T00:00:00.000"
KEY = {"pk": {"S": "a"}, "sk": {"N": "1"}}
ITEM = {
    **KEY,
    "city": {"S": "Köln"},
    "l": {"L": [{"NULL": True}, {"B": "YQ=="}]},
    "m": {"M": {"x": {"NS": ["1", "2"]}}},
}
SCHEMA = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
TABLE = {
    "TableName": "Orders", "TableStatus": "ACTIVE", "KeySchema": SCHEMA, "ItemCount": 1, "TableSizeBytes": 5,
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"},
                             {"AttributeName": "sk", "AttributeType": "N"}],
    "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"}, "TableArn": ARN, "TableId": "1",
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}, "LatestStreamArn": STREAM,
    "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}, "LatestStreamLabel": "2026",
    "GlobalSecondaryIndexes": [{"IndexName": "by-sk", "KeySchema": SCHEMA[1:],
                                "Projection": {"ProjectionType": "ALL"}}],
}  # fmt: skip
ANSWERS: dict[str, Any] = {
    "ListTables": {"TableNames": ["Orders"]},
    "DescribeTable": {"Table": TABLE},
    "Query": {"Count": 1, "ScannedCount": 1, "Items": [ITEM]},
    "ExecuteStatement": {"Items": [ITEM]},
}  # fmt: skip
JUNK: list[Any] = [None, 0, -1, 1e300, "", "x", True, [], {}, [1], {"a": 1}, [[]], {"S": 1}, "1e99999", "\x1b[2J"]


class Nonsense:
    """Answers each operation as `answers` says."""

    def __init__(self) -> None:
        self.answers = ANSWERS
        self.asked: list[str] = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                operation = self.headers["X-Amz-Target"].rpartition(".")[2]
                stub.asked.append(operation)
                body = json.dumps(stub.answers.get(operation, {})).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def nonsense(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nonsense]:
    one = Nonsense()
    monkeypatch.setenv("AWS_ENDPOINT_URL", one.url)
    yield one
    one.close()


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in members:
        yield from _places(one, (*path, key))


def _changed(answer: Any, path: tuple[Any, ...], junk: Any) -> Any:
    """The answer with this in its place; without the place if it is `Ellipsis`."""
    if not path:
        return {} if junk is ... else junk
    found = copy.deepcopy(answer)
    inner = found
    for key in path[:-1]:
        inner = inner[key]
    if junk is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = junk
    return found


COMMANDS: dict[str, tuple[list[str], Callable[[Path, int], list[str]]]] = {
    "tables": (["ListTables", "DescribeTable"], lambda folder, run: ["tables"]),
    "tables of one": (["DescribeTable"], lambda folder, run: ["tables", "Orders"]),
    "query": (["DescribeTable", "Query"], lambda folder, run: ["query", "Orders", 'pk = "a"']),
    "query as JSON": (["Query"], lambda folder, run: ["query", "Orders", 'pk = "a"', "--output", "json"]),
    "sql": (["ExecuteStatement"], lambda folder, run: ["sql", "SELECT * FROM Orders"]),
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_answers_of_another_shape_end_a_command_with_one_line(
    command: str, atoll: Atoll, nonsense: Nonsense, tmp_path: Path
) -> None:
    operations, words = COMMANDS[command]
    assert atoll(*words(tmp_path, 0))[0] == 0  # the answers that are changed below
    random, failed = Random(command), 0
    for run in range(1, SAMPLES):
        operation = random.choice(operations)
        path = random.choice(list(_places(ANSWERS[operation])))
        nonsense.answers = ANSWERS | {operation: _changed(ANSWERS[operation], path, random.choice([*JUNK, ...]))}
        code, _, errors = atoll(*words(tmp_path, run))
        assert code in (0, 1, 2), (operation, path, nonsense.answers[operation])
        if code:
            failed += 1
            assert "\x1b" not in errors
            assert "Traceback" not in errors
            assert errors.strip()
    assert failed > 5
