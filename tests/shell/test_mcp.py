"""`atoll mcp`, as an assistant uses it: by the official library's own client."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Coroutine
from typing import Any

import pytest
from mcp.client.client import Client as Assistant
from mcp.client.stdio import StdioServerParameters

from atoll import testing
from atoll.cli import main
from atoll.client import Client
from atoll.mcp import tools
from atoll.mcp.server import server as mcp_server
from tests.ports import reserved_port

TOKEN = "a secret of many characters"
READING = {"list_tables", "describe_table", "query", "scan", "sql", "read_stream"}


def ask(client: Client, tool: str, writes: bool = False, **arguments: Any) -> tuple[bool, Any]:
    """Whether the tool failed, and its result."""

    async def work() -> tuple[bool, Any]:
        async with Assistant(mcp_server(client, writes=writes)) as assistant:
            result = await assistant.call_tool(tool, arguments)
            (content,) = result.content
            text = content.text  # type: ignore[union-attr]
            assert len(text) < tools.RESULT_CHARACTERS + 1_000
            return bool(result.is_error), text if result.is_error else json.loads(text)

    return run(work())


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 60))


def result(client: Client, tool: str, writes: bool = False, **arguments: Any) -> Any:
    failed, answer = ask(client, tool, writes, **arguments)
    assert not failed, answer
    return answer


class TestTools:
    def test_tables_and_schemas(self, client: Client) -> None:
        (table,) = result(client, "list_tables")["tables"]
        assert (table["table"], table["key"], table["indexes"]) == ("Orders", "pk S, sk N", "by-city")
        assert result(client, "describe_table", table="Orders")["TableName"] == "Orders"

    def test_queries_and_scans_read_on(self, client: Client) -> None:
        first = result(client, "query", table="Orders", key_condition="pk = a", limit=2, select="city")
        assert [item["sk"] for item in first["items"]] == [0, 1]
        rest = result(client, "query", table="Orders", key_condition="pk = a", start=first["next"])
        assert [item["sk"] for item in rest["items"]] == [2, 3, 4] and "next" not in rest
        found, start = [], ""
        while True:
            page = result(client, "scan", table="Orders", filter='city = "Köln"', limit=2, start=start)
            found += page["items"]
            if "next" not in page:
                break
            start = page["next"]
        assert sorted(item["sk"] for item in found) == [0, 2, 4]

    def test_results_are_bounded_and_nothing_is_skipped(self, client: Client) -> None:
        for number in range(40):
            item = {"pk": {"S": "l"}, "sk": {"N": str(number)}, "x": {"L": [{"S": "x" * 5_000}] * 3}}
            client.call("PutItem", TableName="Orders", Item=item)
        found: list[int] = []
        start = ""
        while True:
            page = result(client, "query", table="Orders", key_condition="pk = l", limit=1_000, start=start)
            found += [item["sk"] for item in page["items"]]
            if "next" not in page:
                break
            start = page["next"]
        assert found == list(range(40)) and "(5000 characters)" in page["items"][0]["x"][0]

    @pytest.mark.parametrize("limit", [1, 7, 100])
    def test_statements_read_on(self, limit: int, client: Client) -> None:
        for number in range(130):
            item = {"pk": {"S": "l"}, "sk": {"N": str(number)}, "x": {"L": [{"S": "x" * 1_000}] * 3}}
            client.call("PutItem", TableName="Orders", Item=item)
        found: list[int] = []
        start = ""
        while True:
            statement = "SELECT * FROM Orders WHERE pk = 'l' AND sk >= 90"
            page = result(client, "sql", statement=statement, limit=limit, start=start)
            assert 1 <= len(page["items"]) <= limit
            found += [item["sk"] for item in page["items"]]
            if "next" not in page:
                break
            start = page["next"]
        assert found == list(range(90, 130))

    def test_a_statement_with_few_matches_reads_on(self, client: Client) -> None:
        for number in range(1_100):
            client.call("PutItem", TableName="Orders", Item={"pk": {"S": "many"}, "sk": {"N": str(number)}})
        statement = "SELECT sk FROM Orders WHERE city = '東京' OR sk = 1099"
        pages = [result(client, "sql", statement=statement)]
        while "next" in pages[-1]:
            pages.append(result(client, "sql", statement=statement, start=pages[-1]["next"]))
        assert len(pages) == 2
        assert sorted(item["sk"] for page in pages for item in page["items"]) == [1, 3, 1099]

    def test_tables_read_on(self, client: Client) -> None:
        for number in range(102):
            client.call("CreateTable", TableName=f"T{number:03}", BillingMode="PAY_PER_REQUEST",
                        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}])  # fmt: skip
        first = result(client, "list_tables")
        rest = result(client, "list_tables", start=first["next"])
        assert [one["table"] for one in first["tables"] + rest["tables"]] == [
            "Orders", *(f"T{number:03}" for number in range(102))
        ]  # fmt: skip
        assert "next" not in rest

    def test_an_item_larger_than_a_result(self, client: Client) -> None:
        item = {"pk": {"S": "l"}, "sk": {"N": "1"}, **{f"a{number}": {"S": "x" * 1_000} for number in range(90)}}
        client.call("PutItem", TableName="Orders", Item=item)
        (shown,) = result(client, "query", table="Orders", key_condition="pk = l")["items"]
        assert "select attributes" in shown["too_large"]

    def test_streams(self, client: Client) -> None:
        changes = result(client, "read_stream", table="Orders", limit=2)["changes"]
        assert [change["new"]["sk"] for change in changes] == [3, 4]
        changes = result(client, "read_stream", table="Orders", limit=2, oldest=True)["changes"]
        assert [change["new"]["sk"] for change in changes] == [0, 1]

    @pytest.mark.parametrize("sizes", [[200_000], [1_000] * 100])
    def test_a_change_larger_than_a_result(self, sizes: list[int], client: Client) -> None:
        item = {"pk": {"S": "a"}, "sk": {"N": "9"}, **{f"a{at}": {"S": "x" * size} for at, size in enumerate(sizes)}}
        client.call("PutItem", TableName="Orders", Item=item)
        (change,) = result(client, "read_stream", table="Orders", limit=1)["changes"]
        assert change["key"] == {"pk": "a", "sk": 9} and "characters" in json.dumps(change["new"])

    def test_failures_are_reported(self, client: Client) -> None:
        failed, told = ask(client, "query", table="Nothing", key_condition="pk = a")
        assert failed and "there is no table Nothing" in told
        failed, told = ask(client, "query", table="Orders", key_condition="city = a")
        assert failed and "is not in the key" in told
        failed, told = ask(client, "scan", table="Orders", start="nonsense")
        assert failed and "start must be the `next` of a result" in told
        for start in ("[1]", "[" * 100_000):
            assert "start must be" in ask(client, "scan", table="Orders", start=start)[1]
        for start in ("nonsense", "[1, 2]", '["a", -1]', "7", '["a", true]'):
            failed, told = ask(client, "sql", statement="SELECT * FROM Orders", start=start)
            assert failed and "start must be the `next` of a result" in told


class TestWrites:
    INSERT = "INSERT INTO Orders VALUE {'pk': 'w', 'sk': 1}"

    @pytest.mark.parametrize(
        "statement", [INSERT, f" {INSERT}", "DELETE FROM Orders WHERE pk='a' AND sk=0", "selection"]
    )
    def test_without_leave_nothing_is_written(self, statement: str, client: Client) -> None:
        failed, told = ask(client, "sql", statement=statement)
        assert failed and "only SELECT is allowed" in told
        assert client.call("Scan", TableName="Orders")["Count"] == 5
        assert len(result(client, "sql", statement="select * FROM Orders WHERE pk='a'", limit=3)["items"]) == 3

    def test_with_leave_statements_write_and_the_clock_moves(self, server: testing.LocalServer, client: Client) -> None:
        result(client, "sql", writes=True, statement=self.INSERT)
        assert client.call("Scan", TableName="Orders")["Count"] == 6
        before = server.clock.now
        result(client, "advance_clock", writes=True, duration="25h")
        assert (server.clock.now - before).total_seconds() == 25 * 3600
        failed, told = ask(client, "advance_clock", writes=True, duration="soon")
        assert failed and "duration" in told

    def test_the_tools_that_there_are(self, client: Client) -> None:
        async def names(writes: bool) -> dict[str, bool]:
            async with Assistant(mcp_server(client, writes=writes)) as assistant:
                listed = (await assistant.list_tools()).tools
            return {tool.name: bool(tool.annotations and tool.annotations.read_only_hint) for tool in listed}

        assert run(names(False)) == dict.fromkeys(READING, True)
        assert run(names(True)) == {**dict.fromkeys(READING - {"sql"}, True), "sql": False, "advance_clock": False}


def test_on_standard_input(client: Client) -> None:
    async def work() -> Any:
        parameters = StdioServerParameters(
            command=sys.executable, args=["-m", "atoll", "mcp"], env=dict(os.environ) | {"NO_PROXY": "*"}
        )
        async with Assistant(parameters) as assistant:
            return await assistant.call_tool("query", {"table": "Orders", "key_condition": "pk = a", "limit": 1})

    found = run(work())
    assert json.loads(found.content[0].text)["items"] == [{"pk": "a", "sk": 0, "city": "Köln"}]


class TestHttp:
    @pytest.fixture(scope="class")
    @staticmethod
    def port() -> Any:
        port = reserved_port()
        command = [sys.executable, "-m", "atoll", "mcp", "--http", str(port)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        with subprocess.Popen(command, env=environment | {"ATOLL_MCP_TOKEN": TOKEN}) as process:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
            yield port
            process.terminate()

    def test_a_websocket_is_refused(self, port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(
                f"GET /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {TOKEN}\r\n"
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
            )
            assert connection.recv(100).split()[1] in (b"401", b"403")

    @staticmethod
    def post(port: int, **headers: str) -> int:
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}).encode()
        accepted = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        request = urllib.request.Request(f"http://127.0.0.1:{port}/mcp", body, accepted | headers)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def test_the_token_is_required(self, port: int) -> None:
        assert self.post(port) == 401
        assert self.post(port, Authorization=f"Bearer {TOKEN}x") == 401
        assert self.post(port, Authorization=f"Bearer {TOKEN}") == 200

    def test_pages_of_the_web_are_refused_even_with_the_token(self, port: int) -> None:
        token = f"Bearer {TOKEN}"
        assert self.post(port, Authorization=token, Origin="https://evil.example") == 403
        assert self.post(port, Authorization=token, Host=f"evil.example:{port}") == 421
        assert self.post(port, Authorization=token, Origin=f"http://localhost:{port}") == 200


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["mcp", "--http", port, "--token", TOKEN]) == 2
    assert capsys.readouterr().err.startswith(f"atoll: port {port} cannot be used: Address already in use: choose")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--http", "0"], "--http must be a number from 1 to 65535"),
        (["--http", "8123"], "--http needs --token, or ATOLL_MCP_TOKEN: a secret of at least 16 characters"),
        (["--http", "8123", "--token", "short"], "--http needs --token"),
    ],
)
def test_invalid_options(words: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mcp", *words]) == 2
    assert reason in capsys.readouterr().err


def test_without_the_library_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("atoll.mcp.command.find_spec", lambda name: None)
    assert main(["mcp"]) == 2
    assert capsys.readouterr().err == "atoll: `atoll mcp` needs an extra: pip install 'atoll[mcp]'\n"
