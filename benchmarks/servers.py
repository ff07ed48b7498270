"""Servers as subprocesses: Atoll from this working tree, and the peers DynamoDB Local and dynalite.

A peer is fetched at first use, at a pinned version, by Maven or npm into `.cache/peers` (git-ignored); apt-get installs
a missing program (java, mvn, node, wrk). Every server runs in its own session, so that `kill` also reaches its worker
processes, and listens on 127.0.0.1 only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
PEERS = CACHE / "peers"
HOST = "127.0.0.1"

DYNAMODB_LOCAL = "2.6.1"  # the newest that runs on Java 17
DYNALITE = "4.0.0"

# The Debian package of each program.
PACKAGES = {
    "java": "openjdk-17-jre-headless",
    "javac": "openjdk-17-jdk-headless",
    "mvn": "maven",
    "node": "nodejs",
    "npm": "npm",
    "wrk": "wrk",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "systemd-analyze": "systemd",
}

START_SECONDS = 60.0
LOGS = 40


def require(*programs: str) -> None:
    """Install the missing programs."""
    missing = [PACKAGES[name] for name in programs if shutil.which(name) is None]
    if missing:
        sudo = [] if os.geteuid() == 0 else ["sudo"]
        subprocess.run([*sudo, "apt-get", "update", "-qq"], check=True)
        subprocess.run([*sudo, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], check=True)


@dataclass
class Server:
    """One running process that speaks DynamoDB's protocol."""

    name: str
    command: Sequence[str]
    port: int  # 0: read it from the server's start line
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started_ms: float = 0.0  # from exec to the first answer

    def start(self) -> Server:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        begin = time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | self.environment,
                start_new_session=True,
            )
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() - begin > START_SECONDS:
                self.kill()
                raise RuntimeError(f"{self.name} did not start:\n{self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.002)
        self.started_ms = (time.monotonic() - begin) * 1000
        return self

    def _answers(self) -> bool:
        if self.port == 0:
            address = re.search(rf"https?://{re.escape(HOST)}:(\d+)", self.log.read_text(errors="replace"))
            if address is None:
                return False
            self.port = int(address[1])
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return connection.recv(1) != b""
        return False

    @property
    def pids(self) -> list[int]:
        """The process and its descendants."""
        assert self.process is not None
        found = [self.process.pid]
        for pid in found:  # grows while it is walked
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                with contextlib.suppress(OSError):
                    found.extend(int(child) for child in children.read_text().split())
        return found

    def kill(self) -> None:
        """Kill the server, as a power failure would."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        """Ask the server to stop, and wait for its end."""
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def __enter__(self) -> Server:
        return self if self.process is not None else self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()


def atoll(directory: Path | None, *options: str, port: int = 0, name: str = "Atoll") -> Server:
    """Start Atoll from this working tree, with its data in `directory`, or in memory if that is None. When tests run
    over PostgreSQL, a database takes the directory's place."""
    data = ["--in-memory"] if directory is None else ["--data", str(directory)]
    if directory is not None and os.environ.get("ATOLL_TEST_ENGINE") == "postgresql":
        data = ["--store", asyncio.run(database_for(directory))]
    return Server(
        name,
        [sys.executable, "-m", "atoll.cli", "serve", "--host", HOST, "--port", str(port), *data, *options],
        port,
        log_file(name),
        {"PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"},
    )


async def database_for(directory: Path) -> str:
    """The URL of the database that takes the directory's place, on the server of ATOLL_TEST_POSTGRESQL."""
    import asyncpg  # only tests over PostgreSQL need it

    base, name = os.environ["ATOLL_TEST_POSTGRESQL"], f"d{sha256(str(directory).encode()).hexdigest()[:20]}"
    connection = await asyncpg.connect(base)
    with contextlib.suppress(asyncpg.DuplicateDatabaseError):
        await connection.execute(f"create database {name}")
    await connection.close()
    return f"{base.rpartition('/')[0]}/{name}"


def dynamodb_local(directory: Path | None, name: str = "DynamoDB Local") -> Server:
    jars = _dynamodb_local_jars()
    port = free_port()
    if directory is None:
        store = ["-inMemory"]
    else:
        directory.mkdir(parents=True, exist_ok=True)
        store = ["-dbPath", str(directory)]
    return Server(
        name,
        [
            "java",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=off",
            f"-Djava.library.path={jars}",
            "-cp",
            f"{jars}/*",
            "com.amazonaws.services.dynamodbv2.local.main.ServerRunner",
            "-disableTelemetry",
            "-sharedDb",
            *("-port", str(port)),
            *store,
        ],
        port,
        log_file(name),
    )


def dynalite(directory: Path | None, name: str = "dynalite") -> Server:
    port = free_port()
    store = [] if directory is None else ["--path", str(directory)]
    delays = [word for what in ("create", "delete", "update") for word in (f"--{what}TableMs", "0")]
    program = _dynalite_program()
    return Server(
        name, ["node", str(program), "--host", HOST, "--port", str(port), *delays, *store], port, log_file(name)
    )


def log_file(name: str) -> Path:
    """The path of a new log, numbered because several servers may have one name. Deletes all but the last few logs."""
    folder = CACHE / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    for old in sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime)[:-LOGS]:
        old.unlink(missing_ok=True)
    return folder / f"{name.lower().replace(' ', '-')}-{os.getpid()}-{time.monotonic_ns()}.log"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _dynamodb_local_jars() -> Path:
    """The directory of the jar with its dependencies and native libraries."""
    jars = PEERS / f"dynamodb-local-{DYNAMODB_LOCAL}"
    require("java")
    if not jars.exists():
        require("mvn")
        fetched = jars.with_suffix(".part")
        fetched.mkdir(parents=True, exist_ok=True)
        (fetched / "pom.xml").write_text(f"""
            <project>
              <modelVersion>4.0.0</modelVersion>
              <groupId>atoll</groupId> <artifactId>peers</artifactId> <version>1</version>
              <dependencies><dependency>
                <groupId>com.amazonaws</groupId> <artifactId>DynamoDBLocal</artifactId>
                <version>{DYNAMODB_LOCAL}</version>
              </dependency></dependencies>
            </project>""")
        copy = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=."]
        subprocess.run(copy, cwd=fetched, check=True)
        fetched.rename(jars)
    return jars


def _dynalite_program() -> Path:
    folder = PEERS / f"dynalite-{DYNALITE}"
    require("node")
    if not folder.exists():
        require("npm")
        fetched = folder.with_suffix(".part")
        fetched.mkdir(parents=True, exist_ok=True)
        install = [
            "npm",
            "install",
            "--no-fund",
            "--no-audit",
            "--loglevel=error",
            "--prefix",
            ".",
            f"dynalite@{DYNALITE}",
        ]
        subprocess.run(install, cwd=fetched, check=True)
        fetched.rename(folder)
    return folder / "node_modules" / "dynalite" / "cli.js"
