"""A thin client: raw JSON over one keep-alive connection.

It can send malformed requests. It uses little CPU, so that measurements show the server's cost.
"""

from __future__ import annotations

import gzip
import json
import socket
from dataclasses import dataclass
from typing import Any

from benchmarks.servers import HOST

SERVICE = "DynamoDB_20120810"
# Enough of a signature for a server that reads the region but verifies nothing.
UNVERIFIED = (
    "AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
)

Json = Any


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Json

    @property
    def ok(self) -> bool:
        return self.status == 200

    @property
    def code(self) -> str:
        """The error code without its prefix up to '#', such as `ValidationException`; empty on success."""
        return "" if self.ok else str(self.body.get("__type", "")).rpartition("#")[2]

    @property
    def message(self) -> str:
        return str(self.body.get("message", self.body.get("Message", "")))


def http_request(operation: str, body: bytes, service: str = SERVICE) -> bytes:
    head = (
        f"POST / HTTP/1.1\r\nHost: {HOST}\r\nX-Amz-Target: {service}.{operation}\r\n"
        f"Content-Type: application/x-amz-json-1.0\r\nX-Amz-Date: 20260101T000000Z\r\n"
        f"Authorization: {UNVERIFIED}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Client:
    """One connection; not thread-safe."""

    def __init__(self, port: int, timeout: float = 60.0) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self.port = port

    def call(self, operation: str, body: Json, *, service: str = SERVICE) -> Answer:
        return self.send(operation, body if isinstance(body, bytes) else json.dumps(body).encode(), service=service)

    def send(self, operation: str, body: bytes, *, service: str = SERVICE) -> Answer:
        return self.exchange(http_request(operation, body, service))

    def exchange(self, request: bytes) -> Answer:
        """Send one complete HTTP request and read its answer."""
        self.start(request)
        return self.finish()

    def start(self, request: bytes) -> None:
        self._socket.sendall(request)

    def finish(self) -> Answer:
        """The answer to the request that was started."""
        head = self._until(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        if "content-length" in headers:
            content = self._exactly(int(headers["content-length"]))
        else:  # chunked
            content = b""
            while size := int(self._until(b"\r\n"), 16):
                content += self._exactly(size)
                self._exactly(2)
            self._exactly(2)
        if headers.get("content-encoding") == "gzip":
            content = gzip.decompress(content)
        is_json = "json" in headers.get("content-type", "")
        return Answer(int(status_line.split(" ", 2)[1]), json.loads(content) if content and is_json else {})

    def _until(self, end: bytes) -> bytes:
        while (at := self._buffer.find(end)) < 0:
            self._more()
        found, self._buffer = self._buffer[: at + len(end)], self._buffer[at + len(end) :]
        return found

    def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._more()
        found, self._buffer = self._buffer[:count], self._buffer[count:]
        return found

    def _more(self) -> None:
        received = self._socket.recv(262_144)
        if not received:
            raise ConnectionError("the server closed the connection")
        self._buffer += received

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
