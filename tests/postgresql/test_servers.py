"""Several front ends as processes on one store, as clients and operators see them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest

from atoll.cli import main
from benchmarks import servers
from benchmarks.client import Client
from tests import postgres
from tests.postgresql.server import BIN

TABLE = {
    "TableName": "Things",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}
ENVIRONMENT = {"PYTHONPATH": str(servers.ROOT / "src"), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty database."""
    return asyncio.run(servers.database_for(tmp_path))


def front_end(store: str, *options: str) -> servers.Server:
    command = [sys.executable, "-m", "atoll.cli", "serve", "--host", servers.HOST, "--port", "0", *options]
    name = f"front end {time.monotonic_ns()}"
    return servers.Server(name, command, 0, servers.log_file(name), {**ENVIRONMENT, "ATOLL_STORE": store})


@pytest.fixture
def pair(store: str) -> Iterator[tuple[Client, Client]]:
    with (
        front_end(store) as one, front_end(store, "--workers", "2") as other,
        Client(one.port) as client, Client(other.port) as other_client,
    ):  # fmt: skip
        yield client, other_client


def call(client: Client, operation: str, **body: object) -> dict:
    answer = client.call(operation, body)
    assert answer.status == 200, answer.body
    return answer.body


def refused(*options: str, **environment: str) -> str:
    """The error of a server that ends with exit code 2."""
    found = subprocess.run(
        [sys.executable, "-m", "atoll.cli", "serve", "--port", "0", *options],
        env={**os.environ, **ENVIRONMENT, **environment}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert found.returncode == 2, found.stderr
    assert len(found.stderr.splitlines()) == 1 and "secret" not in found.stderr, found.stderr
    return found.stderr


def contents(url: str) -> list[str]:
    """All that is in the database: `pg_dump` in lines."""
    found = subprocess.run([str(BIN / "pg_dump"), url], capture_output=True, text=True, check=True).stdout
    assert "create schema atoll" in found.lower()
    return [line for line in found.splitlines() if "restrict" not in line]  # they have a random word


def sql(url: str, script: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(script)
        await connection.close()

    asyncio.run(run())


def test_a_table_of_one_front_end_exists_for_the_other_at_once(pair: tuple[Client, Client]) -> None:
    one, other = pair
    for number in range(5):
        name = f"Table{number}"
        call(one, "CreateTable", **{**TABLE, "TableName": name})
        call(other, "PutItem", TableName=name, Item={"pk": {"S": "a"}})
        assert call(one, "Scan", TableName=name, ConsistentRead=True)["Count"] == 1
        call(other, "DeleteTable", TableName=name)
        assert one.call("GetItem", {"TableName": name, "Key": {"pk": {"S": "a"}}}).status == 400
        one, other = other, one


def test_counters_of_many_clients_of_both_front_ends_add_up(pair: tuple[Client, Client]) -> None:
    call(pair[0], "CreateTable", **TABLE)

    def count(number: int) -> None:
        with Client(pair[number % 2].port) as client:
            for _ in range(25):
                call(
                    client, "UpdateItem", TableName="Things", Key={"pk": {"S": "n"}}, UpdateExpression="ADD v :one",
                    ExpressionAttributeValues={":one": {"N": "1"}},
                )  # fmt: skip

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))
    assert call(pair[1], "GetItem", TableName="Things", Key={"pk": {"S": "n"}}, ConsistentRead=True)["Item"]["v"] == {
        "N": "200"
    }


def test_workers_of_one_front_end_see_each_other_s_writes_at_once(store: str) -> None:
    with front_end(store, "--workers", "2") as front, Client(front.port) as client:
        call(client, "CreateTable", **TABLE)
        for number in range(8):
            item = {"pk": {"S": "a"}, "v": {"N": f"{number}"}}
            call(client, "PutItem", TableName="Things", Item=item)
            for _ in range(8):  # the system gives each new connection to one of the workers
                with Client(front.port) as other:
                    read = call(other, "GetItem", TableName="Things", Key={"pk": {"S": "a"}}, ConsistentRead=True)
                    assert read["Item"] == item


def test_a_wrong_password_role_or_host_is_reported(store: str) -> None:
    place = store.rpartition("@")[2]
    assert "does not exist" in refused(ATOLL_STORE=f"postgresql://nobody:secret@{place}")
    nowhere = f"postgresql://postgres:secret@127.0.0.1:{servers.free_port()}/x"
    assert "127.0.0.1" in refused(ATOLL_STORE=nowhere)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:secret@host:port/x", "a host needs a form such as"),
        ("mysql://u:secret@host/x", "postgresql://"),
    ],
)
def test_an_invalid_url_is_reported_without_its_password(url: str, said: str) -> None:
    assert said in refused(ATOLL_STORE=url)


def test_a_store_excludes_a_data_directory_and_memory(store: str) -> None:
    assert "exclude each other" in refused("--data", "data", ATOLL_STORE=store)
    assert "exclude each other" in refused("--in-memory", ATOLL_STORE=store)


def test_a_store_of_another_version_is_refused_and_left_alone(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    sql(store, "create schema atoll; create table atoll.store (format text); insert into atoll.store values ('0.1')")
    before = contents(store)
    assert "0.1" in refused(ATOLL_STORE=store)
    for command in (["credentials", "create"], ["users", "create", "ann"], ["store", "check", "--repair"]):
        assert main([*command, "--store", store]) == 2
        assert "0.1" in capsys.readouterr().err
    assert contents(store) == before


def test_a_user_who_may_not_create_schemas_is_refused(store: str) -> None:
    role = f"poor_{os.getpid()}"
    sql(store, f"create role {role} login")
    try:
        place = store.rpartition("@")[2]
        assert "may not create" in refused(ATOLL_STORE=f"postgresql://{role}@{place}")
    finally:
        sql(store, f"drop role {role}")


def test_a_manual_clock_is_not_shared(store: str) -> None:
    with front_end(store):
        assert "manual clock" in refused("--clock", "manual", ATOLL_STORE=store)
    with front_end(store, "--clock", "manual"):
        assert "manual clock" in refused(ATOLL_STORE=store)


def test_credentials_are_in_the_store(store: str) -> None:
    def credentials(*arguments: str) -> str:
        command = [sys.executable, "-m", "atoll.cli", "credentials", *arguments]
        environment = {**os.environ, **ENVIRONMENT, "ATOLL_STORE": store}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    key = credentials("create", "--admin").split("=")[1].split()[0]
    assert credentials("list") == f"{key}  admin\n"
    credentials("delete", key)
    assert credentials("list") == ""


def test_throughput_is_shared(pair: tuple[Client, Client]) -> None:
    """Both front ends together admit what one would."""
    throughput = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    call(pair[0], "CreateTable", **{**TABLE, "BillingMode": "PROVISIONED", "ProvisionedThroughput": throughput})

    def write(number: int) -> int:
        admitted = 0
        with Client(pair[number].port) as client:
            for at in range(400):
                item = {"pk": {"S": f"{number}-{at}"}}
                admitted += client.call("PutItem", {"TableName": "Things", "Item": item}).status == 200
        return admitted

    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        admitted = sum(pool.map(write, range(2)))
    # What a full bucket holds and what comes in since, and no more than 5 %, and what is under way, above it.
    assert 300 <= admitted <= (300 + time.monotonic() - began) * 1.05 + 20


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    assert postgres.URL
    monkeypatch.delenv("ATOLL_STORE", raising=False)
