"""A front end that is stopped answers the requests that it has received, and another one continues at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError

from atoll.storage.postgresql.statements import commit_lock
from benchmarks.servers import ROOT, Server
from tests import postgres
from tests.ports import reserved_port

REGION = "eu-north-1"


def front_end(directory: Path, number: int, url: str) -> Server:
    port = reserved_port()
    command = [sys.executable, "-m", "atoll.cli", "serve", "--host", "127.0.0.1", "--port", str(port)]
    environment = {"PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1", "ATOLL_STORE": url, "ATOLL_REGION": REGION}
    return Server(f"front end {number}", command, port, directory / f"{number}.log", environment)


def client(server: Server) -> Any:
    return boto3.client(
        "dynamodb",
        region_name=REGION,
        endpoint_url=f"http://127.0.0.1:{server.port}",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(proxies={}, retries={"total_max_attempts": 1}, max_pool_connections=1),
    )


async def connect_and_lock(url: str) -> asyncpg.Connection[Any]:
    """Commits of the region wait for this connection."""
    connection = await asyncpg.connect(url)
    await connection.execute(f"select pg_advisory_lock({commit_lock(REGION)})")
    return connection


def test_a_front_end_that_ends_answers_its_requests_and_hands_over(tmp_path: Path) -> None:
    asyncio.run(play(tmp_path))


async def play(directory: Path) -> None:
    name = f"drain_{os.getpid()}"
    admin = await asyncpg.connect(postgres.URL)
    await admin.execute(f"create database {name}")
    url = f"{postgres.URL.rpartition('/')[0]}/{name}"
    try:
        with front_end(directory, 1, url) as first, front_end(directory, 2, url) as second:
            await write_through(first, second, url)
    finally:
        await admin.execute(f"drop database {name} with (force)")
        await admin.close()


async def write_through(first: Server, second: Server, url: str) -> None:
    ending, staying = client(first), client(second)
    ending.create_table(
        TableName="Things",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )
    lock = await connect_and_lock(url)
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as pool:
        # One request: that its commit waits shows that it was received.
        put = loop.run_in_executor(pool, partial(ending.put_item, TableName="Things", Item={"pk": {"S": "a"}}))
        waits = "select count(*) from pg_stat_activity where wait_event = 'advisory' and datname = current_database()"
        async with asyncio.timeout(20):
            while not await lock.fetchval(waits):
                assert not put.done()
        assert first.process is not None
        first.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            await asyncio.to_thread(wait_until_refused, first)
        assert not put.done()
        await lock.close()
        answer = await put
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert await asyncio.to_thread(first.process.wait, 20) == 0
    assert staying.scan(TableName="Things", ConsistentRead=True)["Count"] == 1
    with pytest.raises(EndpointConnectionError):
        ending.list_tables()


def wait_until_refused(server: Server) -> None:
    with pytest.raises(EndpointConnectionError):
        while True:
            client(server).list_tables()
