"""Clients in several processes against one server that is killed under them: every history has to be serializable.

Where there are several workers, one of them is killed every other time, and the others go on.

An ordinary run takes one short round with each number of workers. A soak (`ATOLL_SOAK`) takes five minutes of rounds
with each, over one data directory. `ATOLL_SECONDS` sets the time, `ATOLL_SEED` requests and the moments of the kills.
"""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from pathlib import Path

import pytest

from atoll.testing.histories import Operation, check, dump
from benchmarks import servers
from benchmarks.client import Client
from tests.isolation.workload import DEFINITION, Processes

SOAK = bool(os.environ.get("ATOLL_SOAK"))
SEED = os.environ.get("ATOLL_SEED", "1")
SECONDS = float(os.environ.get("ATOLL_SECONDS", "300" if SOAK else "2.4"))
ROUND_SECONDS = min(SECONDS, 20.0)
KILL_AFTER_SECONDS = (1.0, 6.0) if SOAK else (0.6, 0.9)
PROCESSES = 4


@pytest.mark.parametrize("workers", [1, 2])
def test_histories_are_serializable_across_kills(workers: int, tmp_path: Path) -> None:
    moments = random.Random(f"{SEED}/{workers}")
    port = servers.free_port()
    total: Counter[tuple[str, str]] = Counter()
    kills = 0
    create_table(tmp_path, port)
    for number in range(round(SECONDS / ROUND_SECONDS)):
        with servers.atoll(tmp_path / "data", "--workers", str(workers), port=port) as server:
            load = Processes(port, PROCESSES, f"r{number}", SEED, tmp_path)
            try:
                load.start(ROUND_SECONDS)
                while load.wait(moments.uniform(*KILL_AFTER_SECONDS)):
                    kills += 1
                    if workers > 1 and kills % 2:
                        os.kill(moments.choice(server.pids[1:]), signal.SIGKILL)
                    else:
                        server.kill()
                        server.start()
                history = load.history()
            finally:
                load.stop()
        total.update((operation.name, operation.outcome) for operation in history)
        assert_serializable(history, tmp_path / "history.jsonl")
    assert kills > 0
    for name in ("TransactWriteItems", "UpdateItem", "PutItem", "DeleteItem"):
        for outcome in ("ok", "failed"):
            assert total[name, outcome] >= 3, total
    for name in ("TransactGetItems", "GetItem", "Query", "BatchGetItem", "BatchWriteItem"):
        assert total[name, "ok"] >= 3, total
    unknown = sum(count for (_, outcome), count in total.items() if outcome == "unknown")
    assert unknown > 0, "no request was under way when the server was killed"
    print(f"{workers} workers, {kills} kills, {total.total()} operations, {unknown} unknown: {dict(total)}")


def create_table(directory: Path, port: int) -> None:
    with servers.atoll(directory / "data", port=port), Client(port) as client:
        assert client.call("CreateTable", DEFINITION).ok


def assert_serializable(history: list[Operation], file: Path) -> None:
    anomalies = check(history)
    if anomalies:
        file.write_bytes(dump(history))
        shown = "\n".join(str(anomaly) for anomaly in anomalies[:5])
        pytest.fail(f"{len(anomalies)} anomalies among {len(history)} operations, kept in {file}:\n{shown}")
