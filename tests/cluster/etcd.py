"""etcd, in which Patroni stores the name of the primary: three servers on loopback."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from tests.cluster import programs
from tests.cluster.programs import Program

COUNT = 3


class Etcd:
    def __init__(self, directory: Path) -> None:
        self.ports = programs.free_ports(COUNT)
        peers = programs.free_ports(COUNT)
        names = ",".join(f"e{number}=http://127.0.0.1:{port}" for number, port in enumerate(peers))
        self._programs = []
        for number, (port, peer) in enumerate(zip(self.ports, peers, strict=True)):
            url, peer_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
            options = {
                "name": f"e{number}",
                "data-dir": str(directory / f"etcd{number}"),
                "listen-client-urls": url,
                "advertise-client-urls": url,
                "listen-peer-urls": peer_url,
                "initial-advertise-peer-urls": peer_url,
                "initial-cluster": names,
                "initial-cluster-token": directory.name,
                "initial-cluster-state": "new",
                "heartbeat-interval": "200",
                "election-timeout": "2000",
                "logger": "zap",
                "log-level": "warn",
            }
            command = ["etcd", *[part for name, value in options.items() for part in (f"--{name}", value)]]
            self._programs.append(Program(command, directory / f"etcd{number}.log"))

    def start(self) -> None:
        for program in self._programs:
            program.start()

    def is_ready(self) -> bool:
        """Whether the servers have agreed on a version: Patroni ends if they have not."""
        try:
            for port in self.ports:
                with _OPENER.open(f"http://127.0.0.1:{port}/version", timeout=2) as answer:
                    if json.load(answer).get("etcdcluster", "not_decided") == "not_decided":
                        return False
        except OSError:
            return False
        return True

    def stop(self) -> None:
        for program in self._programs:
            program.stop()


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
