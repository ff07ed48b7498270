"""One machine of the cluster: a PostgreSQL server and the Patroni that runs it.

With a network, proxies stand before whatever connects the machine with others, so that it can be cut off: from the
front ends, from its standbys, from etcd and from the other Patronis.
"""

from __future__ import annotations

import contextlib
import json
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.cluster import programs
from tests.cluster.programs import Program
from tests.cluster.proxy import Network, Proxy
from tests.postgresql.server import BIN

USER = PASSWORD = DATABASE = "atoll"

SETTINGS: dict[str, Any] = {
    "ttl": 20,
    "loop_wait": 2,
    "retry_timeout": 3,
    "synchronous_mode": True,
    "synchronous_mode_strict": True,
    "maximum_lag_on_failover": 1 << 20,
    "primary_start_timeout": 0,  # promote a standby at once when the primary's server has crashed
    "failsafe_mode": True,
    "postgresql": {
        "use_pg_rewind": True,
        "use_slots": True,
        "parameters": {
            "wal_level": "replica",
            "hot_standby": "on",
            "max_wal_senders": 8,
            "max_replication_slots": 8,
            "wal_keep_size": "256MB",
            "wal_log_hints": "on",
            "wal_retrieve_retry_interval": "200ms",  # a standby looks for the new primary so often
            "wal_compression": "lz4",
            "max_connections": 100,
            "max_pred_locks_per_transaction": 256,
            "shared_buffers": "64MB",
            "tcp_keepalives_idle": 5,
            "tcp_keepalives_interval": 2,
            "tcp_keepalives_count": 3,
            "client_connection_check_interval": "2s",
        },
    },
}
"""Of the whole cluster, which Patroni keeps in etcd."""

_BOOTSTRAP = f"""#!/bin/sh
exec {BIN}/psql "$1" -q -v ON_ERROR_STOP=1 -c "create role {USER} login password '{PASSWORD}'" \\
    -c "create database {DATABASE} owner {USER}"
"""


class Machine:
    def __init__(self, name: str, directory: Path, etcd: list[int], network: Network | None = None) -> None:
        self.name = name
        self._directory = directory
        # A cut does not stop this machine from asking the others' Patronis, and with the failsafe mode it would stay
        # the primary as long as they answer.
        self._settings = SETTINGS | {"failsafe_mode": network is None}
        self._port, self._rest = programs.free_ports(2)
        self._proxies: list[Proxy] = []
        self.port = self._before(self._port, network)
        """Where others reach its PostgreSQL."""
        self._etcd = [self._before(port, network) for port in etcd]
        self._public_rest = self._before(self._rest, network)
        self._program = Program(
            [str(programs.ENVIRONMENT / "bin" / "patroni"), str(directory / f"{name}.yml")], directory / f"{name}.log"
        )

    def _before(self, port: int, network: Network | None) -> int:
        if network is None:
            return port
        self._proxies.append(network.proxy(port))
        return self._proxies[-1].port

    def configure(self) -> None:
        directory, name = self._directory, self.name
        script = directory / "bootstrap"
        script.write_text(_BOOTSTRAP)
        script.chmod(0o755)
        configuration = {
            "scope": "atoll",
            "name": name,
            "restapi": {
                "listen": f"127.0.0.1:{self._rest}",
                "connect_address": f"127.0.0.1:{self._public_rest}",
            },
            # As proxies: Patroni does not ask etcd for other addresses.
            "etcd3": {"hosts": [f"127.0.0.1:{port}" for port in self._etcd], "use_proxies": True},
            "bootstrap": {
                "dcs": self._settings,
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums"],
                "post_bootstrap": str(script),
            },
            "postgresql": {
                "listen": f"127.0.0.1:{self._port}",
                "connect_address": f"127.0.0.1:{self.port}",
                "use_unix_socket": True,
                # A server that cannot go on with its data copies that of the primary.
                "remove_data_directory_on_rewind_failure": True,
                "remove_data_directory_on_diverged_timelines": True,
                "basebackup": [{"checkpoint": "fast"}],
                "bin_dir": str(BIN),
                "data_dir": str(directory / name),
                "pgpass": str(directory / f"{name}.pgpass"),
                "authentication": {
                    "superuser": {"username": "postgres", "password": "postgres"},
                    "replication": {"username": "replication", "password": "replication"},
                    "rewind": {"username": "rewind", "password": "rewind"},
                },
                "pg_hba": [
                    "local all all trust",
                    "host all all 127.0.0.1/32 scram-sha-256",
                    "host replication replication 127.0.0.1/32 scram-sha-256",
                ],
                "parameters": {"unix_socket_directories": str(directory)},
            },
            "watchdog": {"mode": "off"},
        }
        path = directory / f"{name}.yml"
        path.write_text(json.dumps(configuration, indent=2))  # JSON is YAML, too
        programs.own(path)
        path.chmod(0o600)

    def start(self) -> None:
        self._program.start()

    def stop(self) -> None:
        """Patroni stops PostgreSQL."""
        self.thaw()
        self.heal()
        self._program.stop(30)
        self.kill_postgres()

    def status(self) -> dict[str, Any]:
        """Patroni's report about this machine; empty if Patroni does not answer."""
        return self._ask("patroni")

    def members(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask("cluster").get("members", [])
        return found

    def switch_over(self) -> None:
        """Ask this primary to hand over to its synchronous standby."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._rest}/switchover",
            data=json.dumps({"leader": self.name}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with contextlib.suppress(urllib.error.HTTPError), _OPENER.open(request, timeout=30) as answer:
            answer.read()

    def _ask(self, path: str) -> dict[str, Any]:
        try:
            with _OPENER.open(f"http://127.0.0.1:{self._rest}/{path}", timeout=2) as answer:
                found: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:  # 503: it is not healthy
            try:
                found = json.load(error)
            except ValueError:
                found = {}
        except (OSError, ValueError):
            found = {}
        return found

    # Faults

    def kill(self) -> None:
        """As if the machine had died."""
        pids = self._postgres_pids()
        self._program.kill()
        self._signal(pids, signal.SIGKILL)

    def kill_postgres(self) -> None:
        self._signal(self._postgres_pids(), signal.SIGKILL)

    def freeze(self) -> None:
        self._signal(self._pids(), signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(self._pids(), signal.SIGCONT)

    def cut(self) -> None:
        for proxy in self._proxies:
            proxy.cut()

    def heal(self) -> None:
        for proxy in self._proxies:
            proxy.heal()

    def _signal(self, pids: list[int], number: signal.Signals) -> None:
        for pid in pids:
            programs.signal_process(pid, number)

    def _pids(self) -> list[int]:
        pid = self._program.pid
        return [*([pid] if pid is not None else []), *self._postgres_pids()]

    def _postgres_pids(self) -> list[int]:
        """The postmaster, which leads no one but its own processes, first."""
        try:
            pid = int((self._directory / self.name / "postmaster.pid").read_text().split("\n")[0])
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return []
        # The file may be left of a server that is dead, whose number another process has got.
        return programs.descendants(pid) if str(self._directory / self.name).encode() in command else []


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
