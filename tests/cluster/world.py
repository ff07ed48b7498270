"""A whole cluster on loopback: etcd, three machines with PostgreSQL, two front ends."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.servers import ROOT, Server
from tests.cluster import programs
from tests.cluster.etcd import Etcd
from tests.cluster.patroni import DATABASE, PASSWORD, USER, Machine
from tests.cluster.proxy import Network

MACHINES, FRONT_ENDS = 3, 2
START_S = 120


class World:
    def __init__(self, directory: Path, *, ports: list[int], is_cuttable: bool) -> None:
        self.directory = directory
        self.network = Network() if is_cuttable else None
        self.etcd = Etcd(directory)
        self.machines = [
            Machine(f"n{number}", directory, self.etcd.ports, self.network) for number in range(1, MACHINES + 1)
        ]
        self.front_ends = [
            Server(
                f"front end {number}",
                [sys.executable, "-m", "atoll.cli", "serve", "--host", "127.0.0.1", "--port", str(port)],
                port,
                directory / f"front-end-{number}.log",
                {"PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1", "ATOLL_STORE": self.url},
            )
            for number, port in enumerate(ports, 1)
        ]

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{machine.port}" for machine in self.machines)
        return f"postgresql://{USER}:{PASSWORD}@{hosts}/{DATABASE}"

    @property
    def endpoints(self) -> list[str]:
        return [f"http://127.0.0.1:{server.port}" for server in self.front_ends]

    def start(self, say: Callable[[str], object]) -> None:
        say("starting etcd and PostgreSQL")
        self.etcd.start()
        wait(self.etcd.is_ready, "etcd")
        for machine in self.machines:
            machine.configure()
        first, *others = self.machines
        first.start()
        wait(lambda: first.status().get("state") == "running", "the first server")
        for machine in others:
            machine.start()
        wait(self.is_whole, "the standbys")
        say("starting the front ends")
        for server in self.front_ends:
            server.start()

    def stop(self) -> None:
        for server in self.front_ends:
            server.stop()
        for machine in reversed(self.machines):
            machine.stop()
        self.etcd.stop()
        if self.network is not None:
            self.network.close()

    def primary(self) -> Machine:
        """The one that Patroni names."""
        found: list[Machine] = []

        def is_found() -> bool:
            for machine in self.machines:
                leaders = [one["name"] for one in machine.members() if one.get("role") == "leader"]
                found.extend(one for one in self.machines if one.name in leaders)
            return bool(found)

        wait(is_found, "a primary")
        return found[0]

    def is_whole(self) -> bool:
        """Whether all machines say that there are a primary, a synchronous standby, and another standby, which follow
        it. One that was frozen or cut off may say so of former times."""
        return all(_is_whole(machine.members()) for machine in self.machines)


def _is_whole(members: list[dict[str, Any]]) -> bool:
    states = sorted((one.get("role", ""), one.get("state", "")) for one in members)
    timelines = {one.get("timeline") for one in members}
    return len(timelines) == 1 and states == [
        ("leader", "running"),
        ("replica", "streaming"),
        ("sync_standby", "streaming"),
    ]


def wait(holds: Callable[[], bool], for_: str, patience_s: float = START_S) -> None:
    until = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError(f"waited in vain for {for_}")
        time.sleep(0.25)


@contextmanager
def running(say: Callable[[str], object], *, port: int = 0, is_cuttable: bool = False) -> Iterator[World]:
    """`port`: of the first front end, if it is free."""
    programs.install()
    directory = Path(tempfile.mkdtemp(prefix="atoll-cluster-"))
    directory.chmod(0o755)
    programs.own(directory)
    world = World(directory, ports=_ports(port), is_cuttable=is_cuttable)
    try:
        world.start(say)
        yield world
    except BaseException:
        if os.environ.get("KEEP"):
            say(f"logs are kept in {directory}")
        raise
    finally:
        say("stopping")
        world.stop()
        if not os.environ.get("KEEP"):
            shutil.rmtree(directory, ignore_errors=True)


def _ports(first: int) -> list[int]:
    wanted = [first + number for number in range(FRONT_ENDS)]
    for port in wanted if first else ():
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                break
    else:
        if first:
            return wanted
    return programs.free_ports(FRONT_ENDS)
