"""Nodes that are each other's peers, over HTTP on this machine."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from atoll.clock import ManualClock
from atoll.config import Config
from atoll.database.region import Region
from atoll.errors import resource_not_found
from atoll.node import Node
from atoll.replication.messages import Message
from atoll.security.credentials import Credential, Credentials
from tests.ports import reserved_port

US, JP = "us-east-1", "ap-northeast-1"
START_MS = 1_800_000_000_000


def peering(directory: Path, name: str = "peers.json") -> Path:
    Credentials(directory / name).create(0, peer=True)
    return directory / name


async def greet(asked: Region, source: str, message: Message) -> Message:
    return Message("greeted", {"asked": asked.name, "source": source, **message.head}, message.parts)


async def refuse(asked: Region, source: str, message: Message) -> Message:
    raise resource_not_found("no such table")


HANDLERS = {"greet": greet, "refuse": refuse}


@asynccontextmanager
async def running(*nodes: Node) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for node in nodes:
            node.peering.handlers.update(HANDLERS)
            await node.start()
            stack.push_async_callback(node.stop)
        yield


def pair(keys: Path, **options: Any) -> tuple[Node, Node]:
    """Nodes of us-east-1 and ap-northeast-1. `options` are those of both."""
    ports = {US: reserved_port(), JP: reserved_port()}
    scheme = "https" if "tls" in options else "http"
    one, other = (
        Config(data=None, port=ports[own], region=own, peer_credentials=keys,
               peers={peer: f"{scheme}://localhost:{ports[peer]}"})
        for own, peer in ((US, JP), (JP, US))
    )  # fmt: skip
    return tuple(Node(replace(config, **options), ManualClock(START_MS)) for config in (one, other))  # type: ignore[return-value]


def certificate(directory: Path, host: str, name: str) -> tuple[ssl.SSLContext, Path]:
    """A server's context, and the file of its certificate, which a client may trust."""
    directory.mkdir(exist_ok=True)
    subprocess.run(
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.pem "
        f"-subj /CN={host} -addext subjectAltName=DNS:{host} -days 1".split(),
        cwd=directory,
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / f"{name}.pem", directory / f"{name}.key")
    return context, directory / f"{name}.pem"


def only_peer(keys: Path) -> Credential:
    (found,) = Credentials(keys).peers()
    return found
