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

from atoll.client import Client, resolve
from atoll.client.failures import CallError
from atoll.clock import monotonic_ns
from atoll.files import command as of_files
from atoll.mcp.tools import Tools
from atoll.options import Refused
from atoll.replicate import checkpoints, following, tables
from atoll.replicate import command as of_replicate
from atoll.replicate.crew import Pauses
from tests.shell.conftest import Atoll

SAMPLES = 60
MOST_CALLS = 400
"""No command needs more calls: with more, it goes round in circles."""
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
    "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"}, "TableArn": ARN, "TableId": "1", "CreationDateTime": 1,
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}, "LatestStreamArn": STREAM,
    "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}, "LatestStreamLabel": "2026",
    "GlobalSecondaryIndexes": [{"IndexName": "by-sk", "KeySchema": SCHEMA[1:],
                                "Projection": {"ProjectionType": "ALL"}}],
}  # fmt: skip
CHECKPOINTS = TABLE | {
    "KeySchema": [{"AttributeName": "table", "KeyType": "HASH"}, {"AttributeName": "row", "KeyType": "RANGE"}],
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("table", "row")],
    "GlobalSecondaryIndexes": [],
}
NOTHING = {"Count": 0, "ScannedCount": 0, "Items": []}
RECORD = {"eventName": "MODIFY", "eventID": "1", "dynamodb": {"ApproximateCreationDateTime": 1, "SequenceNumber": "7",
          "Keys": KEY, "OldImage": KEY, "NewImage": ITEM, "StreamViewType": "NEW_AND_OLD_IMAGES"}}  # fmt: skip
RUN = {"epoch": {"S": "e"}, "phase": {"S": "copy"}, "source": {"S": ARN}, "source_id": {"S": "1"},
       "target_id": {"S": "1"}, "stream": {"S": STREAM}, "segments": {"N": "1"}, "prunes": {"BOOL": True}}  # fmt: skip
LEASE = {"owner": {"S": ""}, "host": {"S": "x"}, "pid": {"N": "1"}, "beat": {"N": "1"}}
READ = {"from": "eu-west-1", "backlog": 1, "lag_ms": 2, "last_error": None}
REPLICA = {"table": "Orders", "region": "us-east-1", "status": "ACTIVE", "kind": "multi-master", "master": None,
           "replicas": [{"region": "eu-west-1", "state": "ACTIVE"}], "reads": [READ]}  # fmt: skip
LIST, ADD, UPGRADE = (f"/_atoll/replication/{path}" for path in ("replicas", "replicas/add", "upgrade"))
EXPLAIN, OBSERVED = "/_atoll/policies/explain", "/_atoll/policies/observed"
ANSWERS: dict[str, Any] = {
    "ListTables": {"TableNames": ["Orders"]},
    "DescribeTable": {"Table": TABLE},
    "DescribeTable atoll-replicate-Orders": {"Table": CHECKPOINTS},
    "Query": {"Count": 1, "ScannedCount": 1, "Items": [ITEM]},
    "Query atoll-replicate-Orders": NOTHING,
    "Scan": {"Count": 1, "ScannedCount": 1, "Items": [ITEM]},
    "BatchGetItem": {"Responses": {"Orders": [ITEM]}, "UnprocessedKeys": {}},
    "BatchWriteItem": {"UnprocessedItems": {}, "ConsumedCapacity": [{"TableName": "Orders", "CapacityUnits": 1.0}]},
    "TransactWriteItems": {"ConsumedCapacity": [{"TableName": "Orders", "CapacityUnits": 1.0}]},
    "PutItem": {"ConsumedCapacity": {"TableName": "Orders", "CapacityUnits": 1.0}},
    "GetItem run": {"Item": RUN},
    "GetItem lease": {"Item": LEASE},
    "DescribeStream": {"StreamDescription": {"StreamArn": STREAM, "StreamStatus": "ENABLED", "Shards": [
        {"ShardId": "shardId-1", "SequenceNumberRange": {"StartingSequenceNumber": "5"}}]}},
    "GetShardIterator": {"ShardIterator": "begin"},
    "GetShardIterator AFTER_SEQUENCE_NUMBER": {"ShardIterator": "end"},
    "GetRecords": {"Records": [RECORD], "NextShardIterator": "end"},
    "GetRecords end": {"Records": [], "NextShardIterator": "end"},
    LIST: {"replicas": [REPLICA]},
    ADD: {"replicas": [REPLICA | {"master": "us-east-1"}]},
    UPGRADE: {"table": "Orders", "version": "2019.11.21", "replicas": ["eu-west-1"]},
    EXPLAIN: {"checks": [{"decision": "allowed", "action": "a", "resource": "r", "reason": "x", "keys": {"k": ["v"]}}],
              "allowed": True},
    OBSERVED: {"policies": {}},
    "ExecuteStatement": {"Items": [ITEM]},
}  # fmt: skip
JUNK: list[Any] = [None, 0, -1, 1e300, "", "x", True, [], {}, [1], {"a": 1}, [[]], {"S": 1}, "1e99999", "\x1b[2J"]


class Nonsense:
    """Answers each operation as `answers` says: by the operation and what it names, or else by the operation alone."""

    def __init__(self) -> None:
        self.answers = ANSWERS
        self.asked: list[str] = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet for an answer

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                asked = json.loads(body) if body.startswith(b"{") else {}
                operation = self.headers.get("X-Amz-Target", self.path).rpartition(".")[2]
                name = asked.get("ShardIterator") or asked.get("ShardIteratorType") or asked.get("TableName", "")
                name = asked.get("Key", {}).get("row", {}).get("S", name) if operation == "GetItem" else name
                self._answer(operation, f"{operation} {name}")

            def do_GET(self) -> None:
                self._answer(self.path.partition("?")[0], "")

            def _answer(self, operation: str, named: str) -> None:
                stub.asked.append(operation)
                body = json.dumps(stub.answers.get(named, stub.answers.get(operation, {}))).encode()
                self.send_response(200 if len(stub.asked) < MOST_CALLS else 400)
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


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses take no time, and waiting is given up early."""
    begun_ns = monotonic_ns()
    monkeypatch.setattr(following, "monotonic_ns", lambda: begun_ns + 1_000 * (monotonic_ns() - begun_ns))
    monkeypatch.setattr(Pauses, "sleep", lambda pauses, seconds: None)
    monkeypatch.setattr(tables, "WAIT_S", 5.0)
    monkeypatch.setattr(checkpoints, "EXPIRES_S", 0.0)
    for module in (of_files, of_replicate):
        monkeypatch.setattr(module, "end_on_signals", lambda stop: None)


@pytest.fixture
def nonsense(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nonsense]:
    one = Nonsense()
    monkeypatch.setenv("AWS_ENDPOINT_URL", one.url)
    yield one
    one.close()


def places_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in members:
        yield from places_of(one, (*path, key))


def changed(answer: Any, path: tuple[Any, ...], junk: Any) -> Any:
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


def _file(folder: Path) -> str:
    file = folder / "items.jsonl"
    file.write_text(json.dumps({"Item": ITEM}) + "\n")
    return str(file)


STREAMED = ["DescribeStream", "GetShardIterator", "GetRecords", "GetRecords end"]
TAIL = ["tail", "Orders", "--from", "oldest", "--once"]
REPLICATE = ["replicate", "--from-region", "eu-west-1", "--table", "Orders", "--segments", "1"]

COMMANDS: dict[str, tuple[list[str], Callable[[Path, int], list[str]]]] = {
    "tables": (["ListTables", "DescribeTable"], lambda folder, run: ["tables"]),
    "tables of one": (["DescribeTable"], lambda folder, run: ["tables", "Orders"]),
    "query": (["DescribeTable", "Query"], lambda folder, run: ["query", "Orders", 'pk = "a"']),
    "query as JSON": (["Query"], lambda folder, run: ["query", "Orders", 'pk = "a"', "--output", "json"]),
    "tail": (["DescribeTable", *STREAMED], lambda folder, run: [*TAIL, "--output", "json"]),
    "tail as text": (STREAMED, lambda folder, run: [*TAIL, "--output", "text"]),
    "export": (["DescribeTable", "Scan"], lambda folder, run: [
        "export", "Orders", str(folder / str(run))]),
    "import": (["DescribeTable", "BatchWriteItem"], lambda folder, run: [
        "import", _file(folder), "--table", "Orders", "--state", str(folder / f"{run}.state")]),
    "replicate": (["DescribeTable", "DescribeTable atoll-replicate-Orders", "Query atoll-replicate-Orders", "Scan",
                   "BatchGetItem", "BatchWriteItem", "TransactWriteItems", "PutItem", "GetItem lease", *STREAMED],
                  lambda folder, run: [*REPLICATE, "--once", "--overwrite"]),
    "replicate further": (["DescribeTable", "Query atoll-replicate-Orders", "GetItem run", "GetItem lease"],
                          lambda folder, run: [*REPLICATE, "--once"]),
    "verify": (["DescribeTable", "Scan", "BatchGetItem"], lambda folder, run: [*REPLICATE, "--verify"]),
    "replicas": ([LIST], lambda folder, run: ["replicas", "list"]),
    "replicas added": ([ADD], lambda folder, run: ["replicas", "add", "Orders", "eu-west-1"]),
    "replicas upgraded": ([UPGRADE], lambda folder, run: ["replicas", "upgrade", "Orders"]),
    "policies": ([EXPLAIN], lambda folder, run: ["policies", "explain", "ann", "dynamodb:GetItem", ARN]),
    "policies observed": ([OBSERVED], lambda folder, run: ["policies", "observed"]),
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
        path = random.choice(list(places_of(ANSWERS[operation])))
        nonsense.answers = ANSWERS | {operation: changed(ANSWERS[operation], path, random.choice([*JUNK, ...]))}
        nonsense.asked.clear()
        code, _, errors = atoll(*words(tmp_path, run))
        assert len(nonsense.asked) < MOST_CALLS, (operation, path, nonsense.answers[operation])
        assert code in (0, 1, 2), (operation, path, nonsense.answers[operation])
        if code:
            failed += 1
            assert "\x1b" not in errors
            assert "Traceback" not in errors
            assert errors.strip()
    assert failed > 5


CIRCLES: dict[str, tuple[str, dict[str, Any], str]] = {
    "tables": ("ListTables", {"TableNames": ["Orders"], "LastEvaluatedTableName": "Orders"}, "is not DynamoDB's"),
    "query": ("Query", NOTHING | {"LastEvaluatedKey": KEY}, "is not DynamoDB's"),
    "sql": ("ExecuteStatement", {"Items": [], "NextToken": "a"}, "is not DynamoDB's"),
    "export": ("Scan", NOTHING | {"LastEvaluatedKey": KEY}, "is not DynamoDB's"),
    "verify": ("Scan", NOTHING | {"LastEvaluatedKey": {}}, "is not DynamoDB's"),
    "tail": ("GetRecords end", {"Records": [RECORD], "NextShardIterator": "end"}, "repeatedly"),
    "replicate": ("GetRecords end", {"Records": [RECORD], "NextShardIterator": "end"}, "repeatedly"),
    "import": ("DescribeTable", {"Table": TABLE | {"TableStatus": "UPDATING"}}, "to become ACTIVE"),
}  # fmt: skip
STREAMS: dict[str, tuple[dict[str, Any], str]] = {
    "goes round": ({"LastEvaluatedShardId": "shardId-1"}, "is not DynamoDB's"),
    "is never enabled": ({"StreamStatus": "ENABLING"}, "to become ENABLED"),
    "has no shards": ({"Shards": []}, "to have shards"),
    "has only closed shards": ({"Shards": [{"ShardId": "a", "SequenceNumberRange": {"EndingSequenceNumber": "9"}}]},
                               "all shards of the source's stream are closed"),
    "has a shard that is its own parent": ({"Shards": [
        {"ShardId": "a", "ParentShardId": "a", "SequenceNumberRange": {}}]}, "are parents of each other"),
}  # fmt: skip


@pytest.mark.parametrize("command", CIRCLES)
def test_an_endpoint_whose_pages_never_end_ends_a_command(
    command: str, atoll: Atoll, nonsense: Nonsense, tmp_path: Path
) -> None:
    operation, answer, why = CIRCLES[command]
    nonsense.answers = ANSWERS | {operation: answer}
    code, _, errors = atoll(*COMMANDS[command][1](tmp_path, 0))
    assert (code, why in errors) == (1, True), errors
    assert len(nonsense.asked) < MOST_CALLS


@pytest.mark.parametrize("stream", STREAMS)
def test_a_stream_that_cannot_be_followed_to_its_end_ends_the_replication(
    stream: str, atoll: Atoll, nonsense: Nonsense
) -> None:
    change, why = STREAMS[stream]
    described = ANSWERS["DescribeStream"]["StreamDescription"] | change
    closed = {"Records": [RECORD]}
    nonsense.answers = ANSWERS | {"DescribeStream": {"StreamDescription": described}, "GetRecords": closed}
    code, _, errors = atoll(*REPLICATE, "--once", "--overwrite")
    assert (code, why in errors) == (1, True), errors
    assert len(nonsense.asked) < MOST_CALLS


TOOLS: dict[str, tuple[list[str], Callable[[Tools], str]]] = {
    "list_tables": (["ListTables", "DescribeTable"], lambda tools: tools.list_tables()),
    "describe_table": (["DescribeTable"], lambda tools: tools.describe_table("Orders")),
    "query": (["DescribeTable", "Query"], lambda tools: tools.query("Orders", 'pk = "a"')),
    "scan": (["DescribeTable", "Scan"], lambda tools: tools.scan("Orders", select="city")),
    "sql": (["ExecuteStatement"], lambda tools: tools.sql("SELECT * FROM Orders")),
    "read_stream": (["DescribeTable", *STREAMED], lambda tools: tools.read_stream("Orders", oldest=True)),
    "advance_clock": (["/_atoll/clock"], lambda tools: tools.advance_clock("1h")),
}


@pytest.mark.parametrize("tool", TOOLS)
def test_misshapen_answers_are_reported_to_an_assistant(tool: str, nonsense: Nonsense) -> None:
    operations, use = TOOLS[tool]
    answers = nonsense.answers = ANSWERS | {"/_atoll/clock": {"now": "2026"}}
    tools = Tools(Client(resolve(), attempts=1), writes=True)
    json.loads(use(tools))
    random, failed = Random(tool), 0
    for _ in range(1, SAMPLES):
        operation = random.choice(operations)
        path = random.choice(list(places_of(answers[operation])))
        nonsense.answers = answers | {operation: changed(answers[operation], path, random.choice([*JUNK, ...]))}
        nonsense.asked.clear()
        try:
            json.loads(use(tools))
        except (CallError, Refused) as error:
            assert str(error).isprintable()
            failed += 1
        assert len(nonsense.asked) < MOST_CALLS, (operation, path, nonsense.answers[operation])
    assert failed > 5
