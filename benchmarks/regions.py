"""Measure the replication of a table between three regions: its throughput, its lag, and its cost for the region that
writes.

The regions are in one process, or in a process each, which are peers over HTTP. `plain` is a table without replicas in
the same server. Its writes are durable, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks import servers
from benchmarks.client import Client
from benchmarks.measure import measure
from benchmarks.servers import Server
from benchmarks.signing import Credentials, Signer
from benchmarks.workloads import PARTITIONS, SORTS, definition, encoded, key, load, put_item

REGIONS = ("us-east-1", "eu-west-1", "ap-northeast-1")
TOKEN = "benchmark"
ITEMS = PARTITIONS * SORTS
LATEST_S = 120.0
PACED = 4
"""The number of clients that write at a given rate."""
SAMPLES = 200

Json = Any


@dataclass(frozen=True)
class Found:
    plain: float
    """Durable PutItems a second on a table without replicas."""
    plain_cpu_us: float
    cut_cpu_us: float
    """CPU of a PutItem to a replicated table whose links are cut."""
    applied: float
    """Writes a second that were made in one region and applied in both others."""
    lag_p50_ms: float
    lag_p99_ms: float
    copied: float
    """Items a second that a new replica copied."""


class World:
    def __init__(self, servers_: dict[str, Server], credentials: Credentials) -> None:
        self.servers = servers_
        self._credentials = credentials

    def signer(self, region: str) -> Signer:
        return Signer(self.servers[region].port, replace(self._credentials, region=region))

    def call(self, region: str, operation: str, body: Json) -> Json:
        with Client(self.servers[region].port) as client:
            return self.exchange(client, region, operation, body)

    def exchange(self, client: Client, region: str, operation: str, body: Json) -> Json:
        answer = client.exchange(self.signer(region).request(operation, json.dumps(body).encode()))
        assert answer.ok, answer
        return answer.body

    def cut(self, *, is_cut: bool) -> None:
        for to, server in self.servers.items():
            for from_ in REGIONS:
                if from_ != to:
                    request = urllib.request.Request(
                        f"http://{servers.HOST}:{server.port}/_atoll/replication/links",
                        data=json.dumps({"from": from_, "to": to, "partition": is_cut}).encode(),
                        headers={"Authorization": f"Bearer {TOKEN}"},
                    )
                    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).close()

    def create(self, table: str, *, replicas: bool) -> None:
        self.call(REGIONS[0], "CreateTable", definition(table))
        for region in REGIONS[1:] if replicas else ():
            self.add(table, region)

    def add(self, table: str, region: str) -> None:
        """Add a replica, and wait until it is active."""
        create = {"Create": {"RegionName": region}}
        self.call(REGIONS[0], "UpdateTable", {"TableName": table, "ReplicaUpdates": [create]})
        _wait(lambda: self._states(table).get(region) == "ACTIVE")

    def _states(self, table: str) -> dict[str, str]:
        found = self.call(REGIONS[0], "DescribeTable", {"TableName": table})["Table"].get("Replicas", [])
        return {one["RegionName"]: one["ReplicaStatus"] for one in found}

    def fill(self, table: str, items: int) -> None:
        with Client(self.servers[REGIONS[0]].port) as client:
            for operation, body in load(table, items):
                self.exchange(client, REGIONS[0], operation, body)

    def mark(self, table: str) -> None:
        """Write an item, and wait until all regions have it; they then have all earlier changes of the shard."""
        name = {"pk": {"S": f"mark {time.monotonic_ns()}"}, "sk": {"S": "0"}}
        self.call(REGIONS[0], "PutItem", {"TableName": table, "Item": name})
        for region in REGIONS[1:]:
            with Client(self.servers[region].port) as client:
                _wait(
                    lambda c=client, r=region: (
                        "Item" in self.exchange(c, r, "GetItem", {"TableName": table, "Key": name})
                    )
                )


def _wait(holds: Any) -> None:
    end_s = time.monotonic() + LATEST_S
    while not holds():
        assert time.monotonic() < end_s, "replication takes too long"
        time.sleep(0.001)


@contextmanager
def together(directory: Path) -> Iterator[World]:
    """All regions in one process."""
    credentials = _created(directory / "credentials.json")
    options = [f"--region={region}" for region in REGIONS]
    with servers.atoll(directory / "data", *_signed(directory), *options, name="regions") as server:
        yield World(dict.fromkeys(REGIONS, server), credentials)


@contextmanager
def apart(directory: Path) -> Iterator[World]:
    """A process for each region."""
    credentials = _created(directory / "credentials.json")
    _created(directory / "peers.json", "--peer")
    ports = {region: servers.free_port() for region in REGIONS}
    with ExitStack() as stack:
        found: dict[str, Server] = {}
        for region, port in ports.items():
            peers = [f"--peer={one}=http://{servers.HOST}:{ports[one]}" for one in REGIONS if one != region]
            options = [f"--region={region}", *peers, f"--peer-credentials={directory / 'peers.json'}"]
            server = servers.atoll(directory / region, *_signed(directory), *options, port=port, name=region)
            found[region] = stack.enter_context(server)
        yield World(found, credentials)


def _signed(directory: Path) -> list[str]:
    return ["--auth=sigv4", f"--credentials={directory / 'credentials.json'}", f"--admin-token={TOKEN}"]


def _created(path: Path, *options: str) -> Credentials:
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "atoll.cli", "credentials", "create", "--credentials", str(path), *options]
    environment = os.environ | {"PYTHONPATH": str(servers.ROOT / "src")}
    created = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    known = dict(line.split("=", 1) for line in created.split() if "=" in line)
    return Credentials(known.get("AWS_ACCESS_KEY_ID", ""), known.get("AWS_SECRET_ACCESS_KEY", ""))


def run(world: World, seconds: float, items: int) -> Found:
    world.create("plain", replicas=False)
    world.create("global", replicas=True)
    for table in ("plain", "global"):
        world.fill(table, ITEMS)
    world.mark("global")
    plain = _put(world, "plain", seconds)
    world.cut(is_cut=True)
    cut = _put(world, "global", seconds)
    world.cut(is_cut=False)
    world.mark("global")
    begin = time.monotonic()
    put = _put(world, "global", seconds, warm_up=0)
    world.mark("global")
    applied = put.per_second * seconds / (time.monotonic() - begin)
    lags = sorted(_lags(world, "global", applied / 2))
    copied = _copy(world, items)
    return Found(
        plain.per_second, plain.cpu_us, cut.cpu_us, applied,
        lags[len(lags) // 2] * 1e3, lags[len(lags) * 99 // 100] * 1e3, copied,
    )  # fmt: skip


def _put(world: World, table: str, seconds: float, warm_up: float = 1) -> Any:
    signer = world.signer(REGIONS[0])
    requests = [signer.request(*request) for request in encoded(put_item(table, ITEMS))]
    found = measure(world.servers[REGIONS[0]], requests, seconds=seconds, warm_up=warm_up)
    assert not found.failed, f"{found.failed} requests failed"
    return found


@contextmanager
def _writing(world: World, table: str, rate: float) -> Iterator[None]:
    """Let clients write at this rate, or as fast as they can."""
    signer, ended = world.signer(REGIONS[0]), threading.Event()
    requests = [signer.request(*request) for request in encoded(put_item(table, ITEMS))]

    def write(first: int) -> None:
        begin = time.monotonic()
        with Client(world.servers[REGIONS[0]].port) as client:
            for at in count():
                if ended.wait(max(0.0, begin + at * PACED / rate - time.monotonic())):
                    return
                assert client.exchange(requests[(first + at * PACED) % len(requests)]).ok

    with ThreadPoolExecutor(PACED) as pool:
        writers = [pool.submit(write, first) for first in range(PACED)]
        try:
            yield
        finally:
            ended.set()
        for writer in writers:
            writer.result()


def _lags(world: World, table: str, rate: float) -> list[float]:
    """Seconds from the answer to a write in one region until another one shows it."""
    found: list[float] = []
    here, there = REGIONS[:2]
    with (
        _writing(world, table, rate),
        Client(world.servers[here].port) as ours,
        Client(world.servers[there].port) as theirs,
    ):
        for number in range(SAMPLES):
            name = {**key(0), "sk": {"S": f"lag#{number}"}}
            world.exchange(ours, here, "PutItem", {"TableName": table, "Item": name})
            begin = time.monotonic()
            while "Item" not in world.exchange(theirs, there, "GetItem", {"TableName": table, "Key": name}):
                pass
            found.append(time.monotonic() - begin)
            time.sleep(0.01)
    return found


def _copy(world: World, items: int) -> float:
    """Items a second that a new replica copies while clients go on writing."""
    world.create("copied", replicas=False)
    world.fill("copied", items)
    with _writing(world, "copied", 100):
        begin = time.monotonic()
        world.add("copied", REGIONS[1])
        return items / (time.monotonic() - begin)


def table(found: dict[str, Found]) -> tuple[str, list[str], list[list[str]]]:
    headings = ["", "plain PutItem/s", "applied in both others/s", "of plain", "lag p50 ms", "p99 ms",
                "CPU us, plain", "replicated", "ratio", "items copied/s", "of applied"]  # fmt: skip
    rows = [
        [
            name, f"{one.plain:,.0f}", f"{one.applied:,.0f}", f"{one.applied / one.plain:.0%}", f"{one.lag_p50_ms:.1f}",
            f"{one.lag_p99_ms:.1f}", f"{one.plain_cpu_us:.0f}", f"{one.cut_cpu_us:.0f}",
            f"{one.cut_cpu_us / one.plain_cpu_us:.2f}", f"{one.copied:,.0f}", f"{one.copied / one.applied:.0%}",
        ]
        for name, one in found.items()
    ]  # fmt: skip
    load_ = os.getloadavg()[0]
    return f"Three regions (load average of the machine at the end: {load_:.1f})", headings, rows
