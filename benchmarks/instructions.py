"""`python -m benchmarks.instructions`: how many instructions a request takes, counted by valgrind's callgrind.

Unlike a time, a count does not depend on other programs on the machine. It leaves out the kernel's share. Requests are
sent over 32 connections at a time, as `benchmarks.measure` sends them, so that commits and answers are batched.

`--against DIR` counts the same with the source of another checkout, side by side. `--options` gives the server more
options, and `--against-options` counts the same with other ones:

    python -m benchmarks.instructions --units 40000 --options "--throttling full" --against-options "--throttling off"
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path

from benchmarks.client import Client
from benchmarks.measure import CONNECTIONS
from benchmarks.servers import HOST, ROOT, require
from benchmarks.signing import Credentials, Signer
from benchmarks.workloads import WORKLOADS as TIMED_WORKLOADS
from benchmarks.workloads import Body, Requests, Workload, definition, encoded, key, load

WARM_UP, COUNTED = 3, 10
"""How many requests each connection sends for one count."""
TIMES = 3
"""Each workload is counted this many times, and the least count is used: background work and batch sizes vary."""

ITEMS = 500


def _keys(operation: str, more: Body | None = None) -> Callable[[str, int], Requests]:
    return lambda table, count: (
        (operation, {"TableName": table, "Key": key(at)} | (more or {})) for at in range(count)
    )


def batch_get(table: str, count: int) -> Requests:
    for at in range(count - 25):
        yield "BatchGetItem", {"RequestItems": {table: {"Keys": [key(at + n) for n in range(25)]}}}


def transact_get(table: str, count: int) -> Requests:
    for at in range(count - 2):
        yield (
            "TransactGetItems",
            {"TransactItems": [{"Get": {"TableName": table, "Key": key(at + n)}} for n in range(2)]},
        )


def scan(table: str, count: int) -> Requests:
    for at in range(count):
        yield "Scan", {"TableName": table, "Limit": 100, "ExclusiveStartKey": key(at)}


WORKLOADS = (
    *TIMED_WORKLOADS,
    Workload("BatchGetItem", "plain", batch_get, items=25),
    Workload("TransactGetItems", "plain", transact_get, items=2),
    Workload("Scan", "plain", scan, items=100),
    Workload("DeleteItem", "plain", _keys("DeleteItem")),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", metavar="NAMES", help="only these workloads, separated by commas")
    parser.add_argument("--against", metavar="DIR", help="another checkout, to compare with")
    parser.add_argument("--options", metavar="OPTIONS", default="", help="more options of the server")
    parser.add_argument("--against-options", metavar="OPTIONS", help="other options of the server, to compare with")
    parser.add_argument(
        "--units", metavar="N", type=int, help="provision so many units of reads and of writes a second"
    )
    parser.add_argument("--profile", metavar="DIR", type=Path, help="keep callgrind's files here")
    options = parser.parse_args()
    require("valgrind")
    names = options.only.split(",") if options.only else None
    chosen = [one for one in WORKLOADS if names is None or one.name in names]
    own, other_options = (
        shlex.split(options.options),
        shlex.split(options.against_options if options.against_options is not None else options.options),
    )
    counts = count(ROOT, chosen, options.profile, own, options.units)
    before: dict[str, float] = {}
    if options.against or options.against_options is not None:
        before = count(Path(options.against or ROOT), chosen, None, other_options, options.units)
    for name, instructions in counts.items():
        other = f"  {before[name] / 1000:8.1f}  {instructions / before[name]:.3f}" if name in before else ""
        print(f"{name:24} {instructions / 1000:8.1f}{other}", flush=True)


def count(
    checkout: Path, chosen: list[Workload], profile: Path | None, options: list[str], units: int | None
) -> dict[str, float]:
    """The instructions of a request, by the name of its workload. Tables without `units` are on demand."""
    with tempfile.TemporaryDirectory() as scratch, Counted(checkout, Path(scratch), options) as server:
        for table in dict.fromkeys(one.table for one in chosen):
            server.each([("CreateTable", definition(table, units))])
            server.each(list(load(table, ITEMS)))
        found = {}
        for one in chosen:
            requests = [server.signer.request(*two) for two in encoded(one.requests(one.table, ITEMS))]
            found[one.name] = server.count(requests, profile and profile / one.name)
        return found


class Counted:
    """A server under callgrind."""

    def __init__(self, checkout: Path, scratch: Path, options: list[str]) -> None:
        with socket.create_server((HOST, 0)) as free:
            self.port = free.getsockname()[1]
        self.scratch = scratch
        environment = os.environ | {"PYTHONPATH": str(checkout / "src"), "PYTHONHASHSEED": "0"}
        atoll = [sys.executable, "-m", "atoll.cli"]
        created = subprocess.run(
            [*atoll, "credentials", "create", "--data", str(scratch / "data")], env=environment, check=True,
            capture_output=True, text=True,
        ).stdout  # fmt: skip
        pairs = dict(line.split("=", 1) for line in created.splitlines())
        self.signer = Signer(self.port, Credentials(pairs["AWS_ACCESS_KEY_ID"], pairs["AWS_SECRET_ACCESS_KEY"]))
        self.process = subprocess.Popen(
            ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={scratch}/out", *atoll,
             "serve", "--port", str(self.port), "--data", str(scratch / "data"), "--auth", "sigv4", *options],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.connections: list[Client] = []

    def __enter__(self) -> Counted:
        begin = time.monotonic()
        while time.monotonic() - begin < 120:
            try:
                socket.create_connection((HOST, self.port), timeout=60).close()
                break
            except OSError:
                time.sleep(0.1)
        self.connections = [Client(self.port) for _ in range(CONNECTIONS)]
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def each(self, requests: list[tuple[str, object]]) -> None:
        for operation, body in encoded(iter(requests)):  # type: ignore[arg-type]
            answer = self.connections[0].exchange(self.signer.request(operation, body))
            assert answer.status == 200, (operation, answer)

    def count(self, requests: list[bytes], profile: Path | None) -> float:
        rounds = rounds_of(requests)
        for _ in range(WARM_UP):
            self.round(next(rounds))
        return min(self.dumped(rounds, profile) for _ in range(TIMES))

    def dumped(self, rounds: Iterator[list[bytes]], profile: Path | None) -> float:
        self.control("-i", "on")
        self.control("-z")
        for _ in range(COUNTED):
            self.round(next(rounds))
        self.control("-d")
        self.control("-i", "off")
        dumps = sorted(self.scratch.glob("out.*"), key=lambda path: path.stat().st_mtime)
        text = dumps[-1].read_text()
        if profile is not None:
            profile.parent.mkdir(parents=True, exist_ok=True)
            profile.write_text(text)
        (total,) = re.findall(r"^totals: (\d+)", text, re.MULTILINE)
        return int(total) / (COUNTED * CONNECTIONS)

    def round(self, requests: list[bytes]) -> None:
        for connection, request in zip(self.connections, requests, strict=True):
            connection.start(request)
        for connection in self.connections:
            answer = connection.finish()
            assert answer.status == 200, answer

    def control(self, *words: str) -> None:
        subprocess.run(["callgrind_control", *words, str(self.process.pid)], check=True, capture_output=True)


def rounds_of(requests: list[bytes]) -> Iterator[list[bytes]]:
    endless = cycle(requests)
    while True:
        yield list(islice(endless, CONNECTIONS))


if __name__ == "__main__":
    main()
