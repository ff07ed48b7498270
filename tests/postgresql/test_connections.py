"""How a store is reached: TLS, passwords, PgBouncer, and the errors if it cannot be reached."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from atoll.cli import main
from atoll.shared_store import SharedStore
from atoll.storage.postgresql.url import BadStore
from benchmarks.client import Client
from tests.ports import reserved_port
from tests.postgresql.server import Server, temporary
from tests.postgresql.test_servers import TABLE, call, front_end, refused

HBA = """
local    all        all      trust
hostssl  certified  alice    127.0.0.1/32  cert
hostssl  all        bob      127.0.0.1/32  scram-sha-256
host     all        postgres 127.0.0.1/32  trust
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    directory = temporary()
    running = Server(directory / "server", ssl="on")
    running.create()
    data = directory / "server" / "data"
    _certify(directory, "server", "localhost")
    _certify(directory, "client", "alice")
    for name in ("server.crt", "server.key"):
        shutil.copy(directory / name, data / name)
        shutil.copystat(directory / name, data / name)
        shutil.chown(data / name, (data / "pg_hba.conf").owner())
    shutil.copy(directory / "ca.crt", data / "root.crt")
    (data / "root.crt").chmod(0o644)
    running.settings["ssl_ca_file"] = "root.crt"
    (data / "pg_hba.conf").write_text(HBA)
    running.start()
    asyncio.run(_prepare(running))
    yield running
    running.remove()
    shutil.rmtree(directory, ignore_errors=True)


async def _prepare(server: Server) -> None:
    connection = await asyncpg.connect(server.url)
    await connection.execute("create role alice login; create role bob login password 'secret'")
    for name, owner in (("certified", "alice"), ("words", "bob")):
        await connection.execute(f"create database {name} owner {owner}")
    await connection.close()


def _certify(directory: Path, name: str, subject: str) -> None:
    """A key and a certificate, signed by the authority `ca`, which is made first."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    if not (directory / "ca.key").exists():
        for authority in ("ca", "other"):
            openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={authority}",
                    "-keyout", f"{authority}.key", "-out", f"{authority}.crt")  # fmt: skip
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={subject}", "-keyout", f"{name}.key",
            "-out", f"{name}.csr", "-addext", f"subjectAltName=DNS:{subject}")  # fmt: skip
    openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-copy_extensions", "copy", "-out", f"{name}.crt")  # fmt: skip
    (directory / f"{name}.key").chmod(0o600)


def use(url: str) -> None:
    """Open the store, and create it where it is missing. Raises `BadStore`."""

    async def opened() -> None:
        store = SharedStore(url)
        await store.start()
        await store.close()

    asyncio.run(opened())


def url_of(server: Server, user: str, database: str, host: str = "localhost", **options: str) -> str:
    query = "&".join(f"{name}={value}" for name, value in options.items())
    return f"postgresql://{user}@{host}:{server.port}/{database}?{query}"


def test_a_certificate_is_verified(server: Server) -> None:
    authority = str(server.directory.parent / "ca.crt")
    use(url_of(server, "bob:secret", "words", sslmode="require"))
    use(url_of(server, "bob:secret", "words", sslmode="verify-full", sslrootcert=authority))
    use(url_of(server, "bob:secret", "words", "127.0.0.1", sslmode="verify-ca", sslrootcert=authority))
    with pytest.raises(BadStore, match="certificate"):
        use(url_of(server, "bob:secret", "words", "127.0.0.1", sslmode="verify-full", sslrootcert=authority))
    other = str(server.directory.parent / "other.crt")
    with pytest.raises(BadStore, match="certificate"):
        use(url_of(server, "bob:secret", "words", sslmode="verify-full", sslrootcert=other))


def test_a_server_that_demands_tls_is_not_reached_without(server: Server) -> None:
    with pytest.raises(BadStore, match="no encryption"):
        use(url_of(server, "bob:secret", "words", sslmode="disable"))


def test_a_client_certificate_authenticates_its_user(server: Server) -> None:
    files = server.directory.parent
    own = {"sslcert": str(files / "client.crt"), "sslkey": str(files / "client.key")}
    use(url_of(server, "alice", "certified", sslmode="verify-full", sslrootcert=str(files / "ca.crt"), **own))
    with pytest.raises(BadStore, match="certificate"):
        use(url_of(server, "alice", "certified", sslmode="require"))


def test_a_password_file_and_variable_are_read(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pass"
    file.write_text(f"localhost:{server.port}:words:bob:secret\n")
    file.chmod(0o600)
    use(url_of(server, "bob", "words", sslmode="require", passfile=str(file)))
    monkeypatch.setenv("PGPASSWORD", "secret")
    use(url_of(server, "bob", "words", sslmode="require"))


@pytest.mark.parametrize(
    ("user", "database", "said"),
    [
        ("bob:hushhush", "words", "password authentication failed"),
        ("bob:secret", "nowhere", 'database "nowhere" does not exist'),
        ("carol:hushhush", "words", "no pg_hba.conf entry"),
    ],
)
def test_an_unusable_store_is_reported_in_one_line(
    server: Server, capsys: pytest.CaptureFixture[str], user: str, database: str, said: str
) -> None:
    url = url_of(server, user, database, "127.0.0.1", sslmode="require")
    errors = [refused(ATOLL_STORE=url)]
    for command in (["credentials", "list"], ["users", "list"], ["store", "check"]):
        assert main([*command, "--store", url]) == 2
        errors.append(capsys.readouterr().err)
    for error in errors:
        assert said in error and len(error.splitlines()) == 1
        assert "hushhush" not in error and "secret" not in error


# PgBouncer


@contextmanager
def pgbouncer(server: Server, mode: str) -> Iterator[str]:
    """The URL of a pooler before the server."""
    port, directory = reserved_port(), server.directory
    file = directory / f"{mode}.ini"
    file.write_text(
        f"[databases]\n* = host=127.0.0.1 port={server.port} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\ndefault_pool_size = 40\n"
    )
    file.chmod(0o644)
    log, user = directory / f"{mode}.log", None if os.geteuid() else "postgres"
    with log.open("wb") as output:
        process = subprocess.Popen(["pgbouncer", str(file)], stdout=output, stderr=output, user=user)
    try:
        deadline = time.monotonic() + 20
        while subprocess.run(["pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)], check=False).returncode:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.fixture(scope="module")
def installed() -> None:
    if shutil.which("pgbouncer") is None:
        subprocess.run(["apt-get", "install", "-q", "-y", "pgbouncer"], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.usefixtures("installed")
def test_pgbouncer_that_pools_sessions_works(server: Server) -> None:
    def write(port: int) -> None:
        with Client(port) as client:
            for number in range(20):
                item = {"pk": {"S": f"{number}"}, "v": {"S": "x" * 100}}
                call(client, "PutItem", TableName="Things", Item=item)
                answer = call(client, "GetItem", TableName="Things", Key={"pk": item["pk"]}, ConsistentRead=True)
                assert answer["Item"] == item

    with pgbouncer(server, "session") as url, front_end(url) as one, front_end(url) as other:
        with Client(one.port) as client:
            call(client, "CreateTable", **TABLE)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, [one.port, other.port] * 4))


@pytest.mark.usefixtures("installed")
def test_pgbouncer_that_pools_transactions_is_refused(server: Server) -> None:
    with pgbouncer(server, "transaction") as url, pytest.raises(BadStore, match="pool_mode = session"):
        use(url)
