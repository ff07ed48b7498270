"""A store that fails under the loops of replication: each fault is one line of the log, not one for each attempt."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from atoll.database import health
from atoll.database.group import MULTI_MASTER
from atoll.replication import follower, steps
from atoll.replication.messages import Message
from tests.replication.regions import Regions

A, B, C = "us-east-1", "eu-west-1", "ap-northeast-1"


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


def test_a_member_that_does_not_answer_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members were asked to join one after the other, and each question may take a minute."""
    monkeypatch.setattr(follower, "LOOK_S", 0)
    world = Regions(A, B, C)
    for table in ("Silent", "Things"):
        world.create(A, table)
    deliver = world.ask
    asked: list[str] = []
    follows = asyncio.Event()

    async def ask(source: str, target: str, message: Message) -> Message:
        asked.append(f"{message.name} {target}")
        if (message.name, target) == ("changes", C):
            follows.set()
        if target == B:
            await asyncio.Event().wait()
        return await deliver(source, target, message)

    monkeypatch.setattr(world, "settle", lambda: None)
    world.replicate(A, B, kind=MULTI_MASTER, table="Silent")
    world.replicate(A, C, kind=MULTI_MASTER)
    monkeypatch.setattr(world, "ask", ask)
    replication = world.replication[A]

    async def run() -> None:
        running = asyncio.create_task(replication.run())
        await asyncio.wait_for(follows.wait(), 20)
        await replication.stop()
        await running

    world.run(run())
    assert asked.count(f"join {B}") == 1
