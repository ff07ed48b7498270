"""Many writers in several processes against several workers behind one port: no increment is lost or counted twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks import servers
from benchmarks.client import Client
from tests.crash import increments

PROCESSES, THREADS, COUNT = 4, 4, 12


def test_no_lost_update_under_writers_in_several_processes(tmp_path: Path) -> None:
    with servers.atoll(tmp_path / "data", "--workers", "2") as server, Client(server.port) as client:
        definition = {
            "TableName": increments.TABLE,
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
        }
        assert client.call("CreateTable", definition).ok
        first = {"TableName": increments.TABLE, "Item": increments.KEY | {"version": {"N": "0"}}}
        assert client.call("PutItem", first).ok
        arguments = [str(argument) for argument in (server.port, THREADS, COUNT)]
        writers = [
            subprocess.Popen([sys.executable, increments.__file__, *arguments], stdout=subprocess.PIPE)
            for _ in range(PROCESSES)
        ]
        told = [version for writer in writers for version in json.loads(writer.communicate(timeout=120)[0])]
        total = PROCESSES * THREADS * COUNT
        assert sorted(told) == list(range(1, total + 1))
        stored = client.call("GetItem", {"TableName": increments.TABLE, "Key": increments.KEY, "ConsistentRead": True})
        assert stored.body["Item"]["version"] == {"N": str(total)}
