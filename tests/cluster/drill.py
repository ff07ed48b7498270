"""`make drill`: faults of a cluster under load. Nothing acknowledged may be lost, and clients wait for a bounded time.

ROUNDS     how many faults (12: ten of the primary, two of a front end); the kinds take turns
DURATION   no fault begins after so many seconds
KINDS      only these kinds, as in KINDS="postgres machine"
PROCESSES  of the load (4), SEED of its choices
"""

from __future__ import annotations

import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise

from benchmarks.servers import Server
from tests.cluster import world
from tests.cluster.load import INDEX, Load, Result, connect
from tests.cluster.patroni import Machine
from tests.cluster.verify import verify
from tests.cluster.world import World
from tests.processes.world import TABLE

AWAY_S = 34
"""How long a machine is frozen or cut off: longer than Patroni waits for it."""
GOALS_S = {"postgres": 6, "machine": 25, "pause": 25, "cut": 25, "switchover": 3, "front end": 1}
ORDER = ["postgres", "machine", "front end", "pause", "switchover", "cut"]
CALM_S = 3


def main() -> int:
    environment = os.environ
    kinds = [one.replace("-", " ") for one in environment.get("KINDS", "").split()] or ORDER
    rounds, duration = int(environment.get("ROUNDS", "12")), float(environment.get("DURATION", "3600"))
    processes, seed = int(environment.get("PROCESSES", "4")), int(environment.get("SEED", "1"))
    with world.running(_say, is_cuttable=True) as cluster:
        _create(cluster)
        load = Load(cluster.directory, cluster.endpoints, processes, seed)
        begin = time.monotonic()
        faults: list[tuple[str, int]] = []
        time.sleep(CALM_S)
        for number in range(rounds):
            if time.monotonic() - begin > duration:
                break
            kind = kinds[number % len(kinds)]
            faults.append((kind, time.monotonic_ns()))
            gap = _disturb(cluster, load, kind, number)
            _say(
                f"{number + 1:3} {kind:10} {gap:5.1f} s until writes went on; whole again after {_since(faults):.0f} s"
            )
        end_ns = time.monotonic_ns()
        results = load.stop()
        _report(results, faults, end_ns)
        for right in verify(cluster, results):
            _say(right)
    return 0


def _say(text: str) -> None:
    print(text, flush=True)


def _since(faults: list[tuple[str, int]]) -> float:
    return (time.monotonic_ns() - faults[-1][1]) / 1e9


def _create(cluster: World) -> None:
    connect(cluster.endpoints[0]).create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "owner", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": INDEX,
                "KeySchema": [
                    {"AttributeName": "owner", "KeyType": "HASH"},
                    {"AttributeName": "pk", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )


def _disturb(cluster: World, load: Load, kind: str, number: int) -> float:
    """One fault, until the cluster is whole again. Returns how long it took until a write was acknowledged."""
    if kind == "front end":
        return _disturb_front_end(cluster.front_ends[number % 2], load)
    primary = cluster.primary()
    actions: dict[str, Callable[[], None]] = {
        "postgres": primary.kill_postgres,
        "machine": primary.kill,
        "pause": primary.freeze,
        "cut": primary.cut,
        "switchover": primary.switch_over,
    }
    begin_ns = time.monotonic_ns()
    actions[kind]()
    gap = _until_writes(load, begin_ns)
    if kind in ("pause", "cut"):
        time.sleep(max(0.0, AWAY_S - (time.monotonic_ns() - begin_ns) / 1e9))
    _bring_back(primary, kind)
    time.sleep(CALM_S)
    world.wait(cluster.is_whole, "the cluster to be whole again", 180)
    time.sleep(CALM_S)
    return gap


def _bring_back(machine: Machine, kind: str) -> None:
    actions: dict[str, Callable[[], None]] = {"machine": machine.start, "pause": machine.thaw, "cut": machine.heal}
    actions.get(kind, lambda: None)()


def _disturb_front_end(server: Server, load: Load) -> float:
    begin_ns = time.monotonic_ns()
    server.kill()
    gap = _until_writes(load, begin_ns)
    time.sleep(CALM_S)
    server.start()
    time.sleep(CALM_S)
    return gap


def _until_writes(load: Load, begin_ns: int) -> float:
    """Wait for a write that is acknowledged a while after the fault, with others after it."""

    def go_on() -> bool:
        last = load.last_ns()
        return last > begin_ns + 1e9 and time.monotonic_ns() - last < 0.5e9

    world.wait(go_on, "an acknowledged write", 120)
    return (load.last_ns() - begin_ns) / 1e9


def _report(results: list[Result], faults: list[tuple[str, int]], end_ns: int) -> None:
    times = sorted(ns for one in results for ns in one.acknowledged_ns)
    _say(f"{len(times):,} acknowledged writes; the longest time without one, by fault:")
    gaps: dict[str, list[float]] = defaultdict(list)
    ends = [*[ns for _, ns in faults[1:]], end_ns]
    for (kind, begin), end in zip(faults, ends, strict=True):
        inside = [begin, *[ns for ns in times if begin <= ns <= end], end]
        gaps[kind].append(max(later - earlier for earlier, later in pairwise(inside)) / 1e9)
    for kind, found in gaps.items():
        shown = ", ".join(f"{gap:.2f}" for gap in found)
        _say(f"  {kind:10} {max(found):6.2f} s (goal {GOALS_S[kind]} s): {shown}")


if __name__ == "__main__":
    sys.exit(main())
