"""The whole harness finds faults: its clients and its check, on a server whose engine breaks a promise now and then."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator

import pytest

import atoll.testing
from atoll.node import Node
from atoll.storage.memory import MemoryEngine
from atoll.testing.histories import Operation, check
from benchmarks.client import Client
from tests.engines import fresh_engine
from tests.isolation import faults
from tests.isolation.workload import DEFINITION, sessions

SECONDS = 0.4
OPERATIONS = 20_000
"""Among so many a fault shows, in as many rounds as they take."""
EMPTY_ROUNDS = 10


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch, engine: Callable[[], MemoryEngine]) -> Iterator[int]:
    monkeypatch.setattr(Node, "_open_engine", lambda node, region: engine())
    with atoll.testing.serve(clock="system") as server:
        port = int(server.endpoint_url.rpartition(":")[2])
        with Client(port) as client:
            assert client.call("CreateTable", DEFINITION).ok
        yield port


def load(port: int, number: int) -> list[Operation]:
    return sessions(port, f"r{number}-a", "faults", time.monotonic_ns() + int(SECONDS * 1e9))


@pytest.mark.parametrize(
    ("engine", "kinds"),
    [
        (faults.StaleReads, {"stale read"}),
        (faults.StaleDecisions, {"lost update"}),
        (faults.SnapshotIsolation, {"write skew", "stale read"}),
        (faults.TornCommits, {"fractured read", "read skew"}),
        (faults.ForgottenCommits, {"lost update"}),
        (faults.ForgottenDeletions, {"lost update"}),
        (faults.RisingItems, {"stale read", "lost update"}),
        (faults.LateDeletions, {"stale read"}),
        (faults.UndoneTransactions, {"aborted read"}),
        (faults.AppliedRefusals, {"aborted read"}),
        (faults.RepeatedCommits, {"duplicated write"}),
    ],
)
def test_a_fault_of_the_engine_is_found(port: int, kinds: set[str]) -> None:
    found: set[str] = set()
    done = empty = 0
    for number in itertools.count():
        history = load(port, number)
        empty += not history  # a busy machine may not even begin in time
        assert empty < EMPTY_ROUNDS
        found |= {anomaly.kind for anomaly in check(history)}
        done += len(history)
        if found & kinds:
            return
        assert done < OPERATIONS, f"found {found}, which is not {kinds}"


@pytest.mark.parametrize("engine", [fresh_engine])
def test_an_engine_without_fault_is_not_blamed(port: int) -> None:
    history = load(port, 0)
    assert len(history) > 50
    assert check(history) == []
