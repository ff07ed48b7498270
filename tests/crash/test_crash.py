"""A server killed under load, repeatedly over one data directory: every acknowledged write is there, whole and indexed.

There are 3 kills in an ordinary run, 20 where ATOLL_SOAK is set; ATOLL_SEED chooses the moments.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

from benchmarks import servers
from benchmarks.client import Client
from tests.crash.load import COUNTER, DEFINITION, Item, Writer, expect, run_until, scan

KILLS = 20 if os.environ.get("ATOLL_SOAK") else 3
SEED = int(os.environ.get("ATOLL_SEED", "1"))
WRITERS = 8


def test_acknowledged_writes_outlive_kills_under_load(tmp_path: Path) -> None:
    moments = random.Random(SEED)
    writers = [Writer(f"writer-{at}", random.Random(f"{SEED}/{at}")) for at in range(WRITERS)]
    with servers.atoll(tmp_path / "data") as server, Client(server.port) as client:
        expect(client.call("CreateTable", DEFINITION))
        while expect(client.call("DescribeTable", {"TableName": "crash"})).body["Table"]["TableStatus"] != "ACTIVE":
            pass
        run_until(writers, server.port, moments.randrange(50, 1500), server.kill)
    for _ in range(KILLS - 1):
        with servers.atoll(tmp_path / "data") as server:
            verify(server, writers)
            run_until(writers, server.port, moments.randrange(50, 1500), server.kill)
    with servers.atoll(tmp_path / "data") as server:
        verify(server, writers)


def verify(server: servers.Server, writers: list[Writer]) -> None:
    with Client(server.port) as client:
        items = scan(client)
        for writer in writers:
            writer.agree({item["sk"]["N"]: item for item in items if item["pk"]["S"] == writer.name})
        counter = expect(client.call("GetItem", {"TableName": "crash", "Key": COUNTER})).body.get("Item", {})
        check_counter(int(counter.get("version", {"N": "0"})["N"]), writers)
        for index, attribute in (("by-a", "a"), ("by-b", "b")):
            indexed = [item for item in items if attribute in item]
            assert ordered(scan(client, index)) == ordered(indexed), f"{index} and the table disagree"


def check_counter(stored: int, writers: list[Writer]) -> None:
    """At most one writer got each version; only unanswered increments may belong to no writer."""
    told = sorted(version for writer in writers for version in writer.versions)
    assert len(told) == len(set(told)), "two writers were told that they wrote the same version"
    assert not told or told[-1] <= stored, "an acknowledged increment is lost"


def ordered(items: list[Item]) -> list[str]:
    return sorted(json.dumps(item, sort_keys=True) for item in items)
