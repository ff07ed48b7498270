"""Three regions under load, each killed and cut off repeatedly. See `run`."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from atoll.testing.histories import check
from tests.processes.load import Session
from tests.processes.verify import verify
from tests.processes.world import REGIONS, TABLE, World, running

CLIENTS = 2
"""In each region."""
CONVERGES_S = 120


def run(
    directory: Path, *, rounds: int, seconds: float, seed: int, say: Callable[[str], object], workers: int = 1
) -> None:
    """In each round each region is cut off and killed once, at random times, in `seconds`."""
    chance = random.Random(seed)
    with running(directory, workers) as world:
        create(world)
        sessions = [
            Session(region, f"{region}-{n}", world.client(region), random.Random(f"{seed}/{region}/{n}"))
            for region in REGIONS
            for n in range(CLIENTS)
        ]
        until_ns = time.monotonic_ns() + int(rounds * seconds * 1e9)
        with ThreadPoolExecutor(len(sessions)) as pool:
            working = [pool.submit(session.run, until_ns) for session in sessions]
            for _ in range(rounds):
                disturb(world, chance, seconds, say)
            for one in working:
                one.result()
        for region in REGIONS:
            if world.servers[region].process is None:
                world.start(region)
        for region in REGIONS:
            world.cut(region, is_cut=False)
        converge(world)
        conflicts = {region: world.admin(region, "conflicts?limit=1")["seen"][region] for region in REGIONS}
        world.stop()
    for region in REGIONS:
        history = [operation for one in sessions if one.region == region for operation in one.history]
        assert not (anomalies := check(history)), f"{region}: {anomalies[0]}"
        say(f"{region}: {len(history)} operations, {sum(o.outcome == 'unknown' for o in history)} unanswered")
    changes = verify({region: world.data(region) / region for region in REGIONS}, sessions)
    say(f"{changes} changes of shared items; conflicts seen: {conflicts}")


def create(world: World) -> None:
    client = world.client(REGIONS[0])
    client.create_table(
        TableName=TABLE, BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )  # fmt: skip
    for region in REGIONS[1:]:
        client.update_table(TableName=TABLE, ReplicaUpdates=[{"Create": {"RegionName": region}}])
        for asked in REGIONS[: REGIONS.index(region) + 1]:
            wait(partial(is_active, world.client(asked), REGIONS.index(region)))


def is_active(client: Any, replicas: int) -> bool:
    """Whether the table has so many other replicas, all active."""
    try:
        table = client.describe_table(TableName=TABLE)["Table"]
    except client.exceptions.ResourceNotFoundException:
        return False
    states = [one["ReplicaStatus"] for one in table.get("Replicas", [])]
    return table["TableStatus"] == "ACTIVE" and states == ["ACTIVE"] * replicas


def wait(holds: Callable[[], bool]) -> None:
    end_s = time.monotonic() + CONVERGES_S
    while not holds():
        assert time.monotonic() < end_s, "it takes too long"
        time.sleep(0.05)


def disturb(world: World, chance: random.Random, seconds: float, say: Callable[[str], object]) -> None:
    """Cut each region off, and kill each, at random times. A server that is killed forgets the faults of its links."""
    end_s = time.monotonic() + seconds
    order = [(action, region) for action in (kill, cut) for region in REGIONS]
    chance.shuffle(order)
    for number, (action, region) in enumerate(order):
        time.sleep(max(0.0, (end_s - time.monotonic()) / (len(order) - number) * chance.uniform(0.3, 1)))
        action(world, region, chance.uniform(0.1, seconds / 12))
        say(f"{region}: {action.__name__}")


def kill(world: World, region: str, pause_s: float) -> None:
    world.kill(region)
    time.sleep(pause_s)
    world.start(region)


def cut(world: World, region: str, pause_s: float) -> None:
    world.cut(region, is_cut=True)
    time.sleep(pause_s)
    world.cut(region, is_cut=False)


def converge(world: World) -> None:
    """Wait until all links say that they have nothing left, and all regions show the same items."""
    wait(partial(has_converged, world))


def has_converged(world: World) -> bool:
    if world.workers == 1 and not says_so(world.links()):  # only one of several workers reads, and shows it
        return False
    first, *others = (items(world, region) for region in REGIONS)
    return all(one == first for one in others)


def says_so(links: list[dict[str, Any]]) -> bool:
    tables = [table for link in links for table in link["tables"]]
    has_all = len(tables) == len(REGIONS) * (len(REGIONS) - 1)
    return has_all and not any(table["backlog"] or table["last_error"] for table in tables)


def items(world: World, region: str) -> dict[str, Any]:
    pages = world.client(region).get_paginator("scan").paginate(TableName=TABLE)
    return {item["pk"]["S"]: item for page in pages for item in page["Items"]}
