"""`python -m benchmarks`: send the same requests to Atoll, DynamoDB Local and dynalite, one after the other.

Atoll runs with one worker on SQLite, every write durable before its answer, every signature verified. DynamoDB Local
runs on disk and in memory, dynalite on disk (LevelDB, without fsync); they verify no signatures.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks import authorization, postgresql, recovery, regions, report, servers, streams
from benchmarks.client import Client
from benchmarks.measure import CONNECTIONS, Result, measure, rss_mb, together
from benchmarks.signing import ANYONE, Credentials, Signer
from benchmarks.workloads import TABLES, WORKLOADS, Workload, definition, encoded, load, put_item

ITEMS = 2_000
SCALES = (10_000, 1_000_000)
LOG_SCALES = (10_000, 10_000_000)


def main() -> None:
    options = _options()
    names = options.only.split(",") if options.only else None
    chosen = [w for w in WORKLOADS if (w.name in names if names else w.core or not options.quick)]
    with tempfile.TemporaryDirectory(dir=_cache(), prefix="bench-") as scratch:
        results = report.Results(machine())
        if options.store:
            postgresql.compare(results, Path(scratch), atoll, prepare, options.seconds)
        elif options.vectors:
            vector_search(results, Path(scratch), options)
        elif options.recovery:
            imports_and_restores(results, Path(scratch), options)
        elif not (options.streams or options.regions):
            compare(results, Path(scratch), chosen, options)
        if options.streams or not (
            options.quick or options.only or options.regions or options.store or options.recovery or options.vectors
        ):
            streams_and_expiry(results, Path(scratch), options)
        if options.regions or not (
            options.quick or options.only or options.streams or options.store or options.recovery or options.vectors
        ):
            replication(results, Path(scratch), options)
        if options.workers:
            several_workers(results, Path(scratch), options)
        if options.scale:
            scale(results, Path(scratch), options)
            scale_log(results, Path(scratch), options)
    print(results.text())
    if not (options.only or options.streams or options.regions or options.recovery or options.vectors):
        authorization.main()
    if options.write:
        Path(__file__).with_name("RESULTS.md").write_text(results.text())


def _options() -> Any:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--only", metavar="NAMES", help=f"only these workloads, of {','.join(w.name for w in WORKLOADS)}"
    )
    parser.add_argument("--seconds", type=float, default=3, help="duration of each measurement (default: 3)")
    parser.add_argument("--quick", action="store_true", help="only the core operations, for one second each")
    parser.add_argument("--skip-peers", action="store_true", help="only Atoll")
    parser.add_argument("--streams", action="store_true", help="only Atoll's streams and time to live")
    parser.add_argument("--regions", action="store_true", help="only replication between Atoll's regions")
    parser.add_argument(
        "--replica-items", type=int, default=20_000, help="items that a new replica copies (default: 20000)"
    )
    parser.add_argument("--recovery", action="store_true", help="only imports, exports and restores")
    parser.add_argument("--recovery-items", type=int, default=20_000, help="items of each of these (default: 20000)")
    parser.add_argument("--vectors", action="store_true", help="only vector search, beside numpy")
    parser.add_argument("--vector-items", type=int, default=100_000, help="vectors to search (default: 100000)")
    parser.add_argument("--uniform", action="store_true", help="vectors without any structure")
    parser.add_argument("--store", choices=["postgresql"], help="only Atoll on PostgreSQL, beside pgbench")
    parser.add_argument("--workers", action="store_true", help="also compare one worker with two")
    parser.add_argument(
        "--scale", action="store_true", help="also with 1,000,000 items, and 10,000,000 in a log (minutes)"
    )
    parser.add_argument("--write", action="store_true", help="write benchmarks/RESULTS.md")
    options = parser.parse_args()
    if options.quick:
        options.seconds = 1
    return options


def _cache() -> Path:
    servers.CACHE.mkdir(exist_ok=True)
    return servers.CACHE


def machine() -> str:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = names[0].partition(":")[2].strip() if names else platform.machine()
    return f"{os.cpu_count()} cores, {model}, Python {platform.python_version()}"


# Servers


@contextmanager
def atoll(directory: Path, *options: str) -> Iterator[tuple[servers.Server, Credentials]]:
    created = subprocess.run(
        [sys.executable, "-m", "atoll.cli", "credentials", "create", "--data", str(directory)],
        env=os.environ | {"PYTHONPATH": str(servers.ROOT / "src")},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    known = dict(line.split("=", 1) for line in created.split())
    with servers.atoll(directory, "--auth", "sigv4", *options) as server:
        yield server, Credentials(known["AWS_ACCESS_KEY_ID"], known["AWS_SECRET_ACCESS_KEY"])


@contextmanager
def peer(server: servers.Server) -> Iterator[tuple[servers.Server, Credentials]]:
    with server:
        yield server, ANYONE


def prepare(server: servers.Server, credentials: Credentials, tables: set[str], count: int = ITEMS) -> None:
    with ThreadPoolExecutor(4) as pool, Client(server.port) as client:
        sender = Sender(server, credentials)
        for table in sorted(tables):
            answer = sender.send(client, "CreateTable", definition(table))
            assert answer == 200, f"{server.name} has no table {table}: {answer}"
            requests = encoded(load(table, count))
            while chunk := list(islice(requests, 400)):
                for status in pool.map(sender.load, [chunk[at::4] for at in range(4)]):
                    assert status == 200, f"{server.name} refused items: {status}"


class Sender:
    """Sends signed requests one by one: to load tables, and to find out whether a server supports an operation."""

    def __init__(self, server: servers.Server, credentials: Credentials) -> None:
        self._port = server.port
        self._credentials = credentials

    def send(self, client: Client, operation: str, body: Any) -> int:
        ((_, content),) = encoded(iter([(operation, body)]))
        return client.exchange(Signer(self._port, self._credentials).request(operation, content)).status

    def load(self, requests: list[tuple[str, bytes]]) -> int:
        signer = Signer(self._port, self._credentials)
        worst = 200
        with Client(self._port) as client:
            for operation, content in requests:
                worst = max(worst, client.exchange(signer.request(operation, content)).status)
        return worst


# Measurements


def compare(results: report.Results, scratch: Path, workloads: list[Workload], options: Any) -> None:
    contenders: dict[str, Callable[[], AbstractContextManager[tuple[servers.Server, Credentials]]]]
    contenders = {"Atoll": lambda: atoll(scratch / "atoll")}
    if not options.skip_peers:
        contenders |= {
            "DynamoDB Local, disk": lambda: peer(servers.dynamodb_local(scratch / "local", "DynamoDB Local, disk")),
            "DynamoDB Local, memory": lambda: peer(servers.dynamodb_local(None, "DynamoDB Local, memory")),
            "dynalite, disk": lambda: peer(servers.dynalite(scratch / "dynalite", "dynalite, disk")),
        }
    for name, start in contenders.items():
        with start() as (server, credentials):
            results.start(name, server.started_ms, rss_mb(server))
            prepare(server, credentials, {workload.table for workload in workloads} & set(TABLES))
            signer = Signer(server.port, credentials)
            if not options.only:
                results.add("GET /", name, measure(server, [signer.get("/")], seconds=options.seconds, warm_up=1))
            for workload in workloads:
                results.add(workload.name, name, one(server, credentials, workload, options.seconds))
                print(f"{name:24} {workload.name:22} {results.line(workload.name, name)}", file=sys.stderr)


def one(
    server: servers.Server,
    credentials: Credentials,
    workload: Workload,
    seconds: float,
    count: int = ITEMS,
    connections: int = CONNECTIONS,
) -> Result | None:
    """None if the server does not support the operation."""
    operation, body = next(workload.requests(workload.table, count))
    with Client(server.port) as client:
        if Sender(server, credentials).send(client, operation, body) != 200:
            return None
    signer = Signer(server.port, credentials)
    requests = (signer.request(*request) for request in encoded(workload.requests(workload.table, count)))
    warm_up = 2 if "Local" in server.name else 1  # for the JVM's compiler
    return measure(server, requests, seconds=seconds, warm_up=warm_up, connections=connections)


def several_workers(results: report.Results, scratch: Path, options: Any) -> None:
    """Compare one worker, two workers, and two independent servers, which show the limit of the machine."""
    compared = [workload for workload in WORKLOADS if workload.name in ("GetItem", "PutItem", "Query")]
    for count in (1, 2):
        name = f"{count} worker" + "s" * (count > 1)
        with atoll(scratch / name, "--workers", str(count)) as (server, credentials):
            prepare(server, credentials, {"plain"})
            for workload in compared:
                results.add_variant("workers", workload.name, name, one(server, credentials, workload, options.seconds))
    with (
        atoll(scratch / "first server") as first,
        atoll(scratch / "second server") as second,
        ThreadPoolExecutor() as threads,
    ):
        for each in (first, second):
            prepare(*each, {"plain"})
        for workload in compared:
            half = partial(one, workload=workload, seconds=options.seconds, connections=CONNECTIONS // 2)
            found = [run.result() for run in [threads.submit(half, *each) for each in (first, second)]]
            results.add_variant("workers", workload.name, "2 servers", together([one for one in found if one]))


def scale(results: report.Results, scratch: Path, options: Any) -> None:
    for count in SCALES:
        name = f"{count:,} items"
        directory = scratch / name
        with atoll(directory) as (server, credentials):
            prepare(server, credentials, {"plain"}, count)
            for workload in WORKLOADS:
                if workload.name in ("GetItem", "PutItem", "Query"):
                    result = one(server, credentials, workload, options.seconds, count)
                    results.add_variant("items", workload.name, name, result)
        shutil.rmtree(directory)


def streams_and_expiry(results: report.Results, scratch: Path, options: Any) -> None:
    with atoll(scratch / "streams") as (server, credentials):
        prepare(server, credentials, {"plain", "streamed"})
        pages = streams.read_stream(server, credentials, "streamed", options.seconds)
        best: dict[str, Result] = {}
        for name, table in (
            ("no stream", "plain"),
            ("a stream", "streamed"),
        ) * 2:  # alternate, since the machine's speed varies
            put = one(server, credentials, Workload("PutItem", table, put_item), options.seconds)
            if put is not None:
                best[name] = max(put, best.get(name, put), key=lambda result: result.per_second)
        for name, put in best.items():
            results.add_variant("stream (the better of two)", "PutItem", name, put)
        expiry = streams.expire(server, credentials, "plain", ITEMS, options.seconds)
    results.add_table(*streams.read_table(pages))
    results.add_table(*streams.expiry_table(expiry))


def imports_and_restores(results: report.Results, scratch: Path, options: Any) -> None:
    data = scratch / "recovery"
    with atoll(data, "--quotas", "off") as (server, credentials):
        found = recovery.run(server, credentials, data / "s3", options.recovery_items, options.seconds)
    results.add_table(*recovery.table(*found))


def vector_search(results: report.Results, scratch: Path, options: Any) -> None:
    from benchmarks import vectors  # only this needs numpy

    made = vectors.vectors(options.vector_items + vectors.QUERIES, uniform=options.uniform)
    stored, queries = made[: options.vector_items], made[options.vector_items :]
    data, port = scratch / "vectors", servers.free_port()
    with atoll(data) as (server, credentials):
        puts, batches = vectors.fill(server, credentials, stored, options.seconds)
        server.kill()
    with servers.atoll(data, "--auth", "sigv4", port=port) as server:
        found = vectors.search(server, credentials, stored, queries)
    kind = "uniform" if options.uniform else "clustered"
    results.add_table(*vectors.table(len(stored), kind, found, puts, batches))


def replication(results: report.Results, scratch: Path, options: Any) -> None:
    found: dict[str, regions.Found] = {}
    for name, start in (("one process", regions.together), ("a process each", regions.apart)):
        with start(scratch / name) as world:
            found[name] = regions.run(world, options.seconds, options.replica_items)
    results.add_table(*regions.table(found))


def scale_log(results: report.Results, scratch: Path, options: Any) -> None:
    """Measure writes to tables with small and with large logs; the size of the log should not matter."""
    for count in LOG_SCALES:
        directory = scratch / f"log-{count}"
        with atoll(directory) as (server, credentials):
            prepare(server, credentials, {"streamed"})
        streams.fill_log(directory / credentials.region, "streamed", count)
        with atoll(directory) as (server, credentials):
            result = one(server, credentials, Workload("PutItem", "streamed", put_item), options.seconds)
            results.add_variant("records in the log", "PutItem", f"{count:,} records", result)
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
