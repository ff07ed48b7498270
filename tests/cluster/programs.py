"""The programs of a cluster: install them, and run them as the user postgres.

PostgreSQL refuses to run as root, so root runs it, etcd and Patroni as the user postgres. Debian's Patroni is older
than 4.1 and may lose acknowledged writes after a freeze, so Patroni comes from PyPI into an environment of its own,
where the user postgres may enter.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.postgresql import server as postgresql

PATRONI = "patroni[etcd3]==4.1.*"
ENVIRONMENT = Path("/opt/atoll-patroni") if os.geteuid() == 0 else Path.home() / ".cache" / "atoll-patroni"

_used: set[int] = set()


def install() -> None:
    """Install what is missing. apt-get needs root."""
    missing = [] if postgresql.is_installed() else ["postgresql-15"]
    missing += [] if shutil.which("etcd") else ["etcd-server"]
    if missing:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-q", "-y", *missing]):
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    if not (ENVIRONMENT / "installed").exists():
        # A Python of the user root cannot be started by the user postgres.
        python = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else "python3"
        subprocess.run([python, "-m", "venv", "--clear", str(ENVIRONMENT)], check=True)
        pip = [str(ENVIRONMENT / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, PATRONI, "psycopg[binary]"], check=True)
        (ENVIRONMENT / "installed").touch()


def user() -> str | None:
    return "postgres" if os.geteuid() == 0 else None


def free_ports(count: int) -> list[int]:
    """Ports below those that the system gives to clients, so that none is taken while a server is down."""
    found: list[int] = []
    port = 20_000 + os.getpid() * 7 % 10_000
    while len(found) < count:
        port += 1
        with contextlib.suppress(OSError), socket.socket() as one:
            one.bind(("127.0.0.1", port))
            if port not in _used:
                found.append(port)
    _used.update(found)
    return found


class Program:
    """A process in a separate session, so that a Ctrl-C on the terminal does not reach it."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._command = command
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=user(),
                cwd=self._log.parent,
                start_new_session=True,
            )

    @property
    def pid(self) -> int | None:
        """None if it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def stop(self, patience_s: float = 20) -> None:
        self.signal(signal.SIGTERM)
        if self._process is not None:
            try:
                self._process.wait(patience_s)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        if self.pid is not None:
            signal_process(self.pid, number)


def signal_process(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def descendants(pid: int) -> list[int]:
    """The process and its descendants."""
    found = [pid]
    for one in found:  # grows while it is walked
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found.extend(int(child) for child in children.read_text().split())
    return found


def directory(path: Path) -> Path:
    """Create a directory of the user postgres."""
    path.mkdir()
    own(path)
    return path


def own(path: Path) -> None:
    if (name := user()) is not None:
        shutil.chown(path, name)
