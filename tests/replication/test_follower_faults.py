"""A store that fails under the loops of replication: each fault is one line of the log, not one for each attempt."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from atoll.database import health
from atoll.database.group import MULTI_MASTER
from atoll.replication import follower, steps
from tests.replication.regions import Regions

A, B = "us-east-1", "eu-west-1"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Regions:
    monkeypatch.setattr(follower, "LOOK_S", 0)
    monkeypatch.setattr(follower, "LONGEST_RETRY_S", 0)
    monkeypatch.setattr(follower, "WAIT_MS", 0)
    regions = Regions(A, B)
    regions.create(A)
    regions.replicate(A, B, kind=MULTI_MASTER)
    return regions


def test_replicas_that_cannot_be_looked_at_are_one_problem(
    world: Regions, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    replication, attempts = world.replication[A], []

    async def replicas() -> Any:
        attempts.append(1)
        if len(attempts) > 5:
            replication._stopping = True
            return []
        raise ZeroDivisionError

    monkeypatch.setattr(replication, "_replicas", replicas)
    world.run(replication.run())
    assert [record.message for record in caplog.records if record.name == health.__name__] == [
        health.REPLICATION.text, health.REPLICATION.over
    ]  # fmt: skip


def test_changes_that_cannot_be_applied_are_logged_once(
    world: Regions, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    replication, attempts = world.replication[B], []

    async def take(*_: object) -> None:
        attempts.append(1)
        replication._stopping = len(attempts) == 5
        raise ZeroDivisionError

    monkeypatch.setattr(steps, "take", take)
    world.run(asyncio.wait_for(replication._follow("Things", A), 10))
    assert len(attempts) == 5
    assert [record.levelname for record in caplog.records if record.name == follower.__name__] == ["ERROR"]
    assert replication.states["Things", A].last_error == "ZeroDivisionError"
