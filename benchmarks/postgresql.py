"""`python -m benchmarks --store postgresql`: compare Atoll over PostgreSQL with pgbench, which has as many clients and
uses the same database server.

pgbench selects and upserts single rows of 1 KB by their key. It runs twice: with its default protocol, which parses and
plans each statement again, and with prepared statements. All writes are durable, and Atoll verifies every signature.
The CPU of the front end is compared with that of a server on SQLite. Each workload is repeated at half of its rate, for
the latency of a server that is not overloaded. At the end, two workers are measured.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from benchmarks import servers
from benchmarks.measure import CONNECTIONS, Result, measure
from benchmarks.report import Results
from benchmarks.signing import Credentials, Signer
from benchmarks.workloads import WORKLOADS, Workload, encoded
from tests.postgresql import server as postgresql

ROWS = 2_000

TABLE = """
create table if not exists bench (k bytea primary key, v bytea not null);
insert into bench select int8send(n), decode(repeat(md5(n::text), 32), 'hex') from generate_series(1, 2000) n
on conflict do nothing;
"""
SELECT = "\\set n random(1, 2000)\nselect v from bench where k = int8send(:n);\n"
UPSERT = (
    "\\set n random(1, 2000)\ninsert into bench values (int8send(:n), decode(repeat(md5(random()::text), 32), 'hex'))"
    " on conflict (k) do update set v = excluded.v;\n"
)

# (Atoll's workload, pgbench's workload, goal): the goal is a part of pgbench's rate with its default protocol.
GOALS = (
    ("GetItem", "select", 0.65),
    ("Query", "select", 0.15),
    ("PutItem", "upsert", 0.40),
    ("TransactWriteItems", "upsert", 0.20),
)
CPU_GOALS = {"GetItem": 1.6, "PutItem": 2.0}

Atoll = Callable[..., AbstractContextManager[tuple[servers.Server, Credentials]]]


@contextmanager
def store(scratch: Path) -> Iterator[postgresql.Server]:
    if not postgresql.is_installed():
        postgresql.install()
    directory = postgresql.temporary()
    running = postgresql.Server(directory / "server", shared_buffers="256MB", max_wal_size="4GB")
    try:
        running.create()
        running.start()
        yield running
    finally:
        running.remove()
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def front_end(database: postgresql.Server, *options: str) -> Iterator[tuple[servers.Server, Credentials]]:
    environment = {"PYTHONPATH": str(servers.ROOT / "src"), "ATOLL_STORE": database.url, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "atoll.cli"]
    created = subprocess.run(
        [*command, "credentials", "create"], env=os.environ | environment, check=True, capture_output=True, text=True
    ).stdout
    known = dict(line.split("=", 1) for line in created.split())
    serving = [*command, "serve", "--host", servers.HOST, "--port", "0", "--auth", "sigv4", *options]
    name = "Atoll on PostgreSQL"
    with servers.Server(name, serving, 0, servers.log_file(name), environment) as server:
        yield server, Credentials(known["AWS_ACCESS_KEY_ID"], known["AWS_SECRET_ACCESS_KEY"])


def compare(results: Results, scratch: Path, atoll: Atoll, prepare: Any, seconds: float) -> None:
    chosen = {one.name: one for one in WORKLOADS if one.name in {name for name, _, _ in GOALS}}
    with atoll(scratch / "sqlite") as (server, credentials):
        prepare(server, credentials, {"plain"})
        sqlite = {name: _run(server, credentials, one, seconds) for name, one in chosen.items()}
    with store(scratch) as database:
        database.run("psql", "-q", "-h", "127.0.0.1", "-p", str(database.port), "-U", "postgres", "-c", TABLE)
        with front_end(database) as (server, credentials):
            prepare(server, credentials, {"plain"})
            rows = [_row(database, server, credentials, chosen, sqlite, *goal, seconds) for goal in GOALS]
        with front_end(database, "--workers", "2") as (server, credentials):
            two = [[name, *_shown(_run(server, credentials, one, seconds))] for name, one in chosen.items()]
    rates = ["requests/s", "p50 ms", "p99 ms", "failed", "CPU us"]
    beside = ["on SQLite", "times", "goal", "pgbench", "simple /s", "part", "goal", "prepared /s", "part"]
    headings = ["", *rates, "p99 ms at half the rate", *beside]
    results.add_table("On PostgreSQL, beside pgbench with as many clients", headings, rows)
    results.add_table("The same with two workers", ["", *rates], two)


def _row(
    database: postgresql.Server, server: servers.Server, credentials: Credentials, chosen: dict[str, Workload],
    sqlite: dict[str, Result], name: str, beside: str, goal: float, seconds: float,
) -> list[str]:  # fmt: skip
    own = _run(server, credentials, chosen[name], seconds)
    half = _run(server, credentials, chosen[name], seconds, own.per_second / 2)
    simple, prepared = (_pgbench(database, beside, protocol, seconds) for protocol in ("simple", "prepared"))
    cpu = own.cpu_us / sqlite[name].cpu_us
    row = [
        name, *_shown(own), f"{half.p99_ms:.2f}", f"{sqlite[name].cpu_us:.0f}", f"{cpu:.2f}",
        str(CPU_GOALS.get(name, "")), beside, f"{simple:,.0f}", f"{own.per_second / simple:.0%}", f"{goal:.0%}",
        f"{prepared:,.0f}", f"{own.per_second / prepared:.0%}",
    ]  # fmt: skip
    print("  ".join(row), flush=True)
    return row


def _shown(one: Result) -> list[str]:
    return [f"{one.per_second:,.0f}", f"{one.p50_ms:.2f}", f"{one.p99_ms:.2f}", str(one.failed), f"{one.cpu_us:.0f}"]


def _run(
    server: servers.Server, credentials: Credentials, workload: Workload, seconds: float, rate: float | None = None
) -> Result:
    signer = Signer(server.port, credentials)
    requests = [signer.request(*one) for one in encoded(workload.requests(workload.table, ROWS))]
    return measure(server, islice(cycle(requests), max(len(requests), 20_000)), seconds=seconds, warm_up=1, rate=rate)


def _pgbench(database: postgresql.Server, kind: str, protocol: str, seconds: float) -> float:
    """Transactions a second."""
    script = database.directory / f"{kind}.sql"
    script.write_text({"select": SELECT, "upsert": UPSERT}[kind])
    script.chmod(0o644)
    command = [
        str(postgresql.BIN / "pgbench"), "-n", "-M", protocol, "-c", str(CONNECTIONS), "-j", "2", "-T",
        str(max(1, round(seconds))), "-f", str(script), "-h", "127.0.0.1", "-p", str(database.port), "-U", "postgres",
        "postgres",
    ]  # fmt: skip
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rate = re.search(r"tps = ([0-9.]+)", found)
    assert rate is not None, found
    return float(rate[1])
