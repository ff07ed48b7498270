"""Three servers, each a process with a region of its own: they are each other's peers over TLS, with their own CA.

Every request is signed. A server can be killed, and its links can be cut through the administration.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from benchmarks.servers import ROOT, Server
from tests.ports import reserved_port

REGIONS = ("us-east-1", "eu-west-1", "ap-northeast-1")
TOKEN = "administration"
TABLE = "Things"


@dataclass
class TlsServer(Server):
    def _answers(self) -> bool:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5) as plain:
            context.wrap_socket(plain).close()
            return True
        return False


class World:
    def __init__(self, directory: Path, workers: int = 1) -> None:
        self.directory = directory
        self.workers = workers
        self.ca = _certificates(directory)
        self.servers: dict[str, TlsServer] = {}
        self._keys = _credentials(directory)
        self._peers = directory / "peers.json"
        _credentials(directory, "--peer", "--credentials", str(self._peers))
        self._ports = {region: reserved_port() for region in REGIONS}

    def url(self, region: str) -> str:
        return f"https://localhost:{self._ports[region]}"

    def start(self, region: str) -> None:
        peers = [f"--peer={other}={self.url(other)}" for other in REGIONS if other != region]
        self.servers[region] = server = TlsServer(
            region,
            [
                sys.executable, "-m", "atoll.cli", "serve", "--host", "127.0.0.1", "--port", str(self._ports[region]),
                "--data", str(self.data(region)), "--region", region, "--auth", "sigv4",
                "--credentials", str(self.directory / "credentials.json"), "--admin-token", TOKEN,
                "--tls-cert", str(self.directory / "server.pem"), "--tls-key", str(self.directory / "server.key"),
                "--peer-ca", str(self.ca), "--peer-credentials", str(self._peers), *peers,
                "--workers", str(self.workers),
            ],
            self._ports[region],
            self.directory / f"{region}.log",
            {"PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        server.start()

    def data(self, region: str) -> Path:
        return self.directory / region

    def kill(self, region: str) -> None:
        self.servers[region].kill()

    def stop(self) -> None:
        for server in self.servers.values():
            server.stop()

    def client(self, region: str) -> Any:
        """A client that never sends a request twice, so that it knows what may have happened."""
        return boto3.client(
            "dynamodb",
            region_name=region,
            endpoint_url=self.url(region),
            verify=str(self.ca),
            aws_access_key_id=self._keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self._keys["AWS_SECRET_ACCESS_KEY"],
            config=Config(proxies={}, retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20),
        )

    def admin(self, region: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"{self.url(region)}/_atoll/replication/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {TOKEN}"},
        )
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(self.ca))),
        )
        with opener.open(request, timeout=20) as answer:
            return json.load(answer)

    def cut(self, region: str, *, is_cut: bool) -> None:
        """Cut a region off from all others, or undo it. Each server has the faults of the links that lead to it. With
        several workers there are no faults of links."""
        for other in REGIONS if self.workers == 1 else ():
            for from_, to in ((region, other), (other, region)):
                if from_ != to and self.servers[to].process is not None:
                    with contextlib.suppress(OSError):
                        self.admin(to, "links", {"from": from_, "to": to, "partition": is_cut})

    def links(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.admin(REGIONS[0], "links")["links"]
        return found


@contextmanager
def running(directory: Path, workers: int = 1) -> Iterator[World]:
    world = World(directory, workers)
    with ExitStack() as stack:
        stack.callback(world.stop)
        for region in REGIONS:
            world.start(region)
        yield world


def _credentials(directory: Path, *options: str) -> dict[str, str]:
    options = options or ("--credentials", str(directory / "credentials.json"))
    created = subprocess.run(
        [sys.executable, "-m", "atoll.cli", "credentials", "create", *options],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return dict(line.split("=", 1) for line in created.split() if "=" in line)


def _certificates(directory: Path) -> Path:
    """A CA, and a certificate of it for localhost."""
    curve = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    (directory / "names").write_text("subjectAltName=DNS:localhost")
    for command in (
        f"req -x509 {curve} -keyout ca.key -out ca.pem -subj /CN=test",
        f"req {curve.removesuffix(' -days 2')} -keyout server.key -out server.csr -subj /CN=localhost",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile names",
    ):
        subprocess.run(["openssl", *command.split()], cwd=directory, check=True, capture_output=True)
    return directory / "ca.pem"
