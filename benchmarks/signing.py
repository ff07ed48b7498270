"""Build complete HTTP requests with Signature Version 4, as an SDK sends them, fast enough to build thousands."""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass

from benchmarks.client import SERVICE
from benchmarks.servers import HOST

SIGNED_HEADERS = "content-type;host;x-amz-date;x-amz-target"
CONTENT_TYPE = "application/x-amz-json-1.0"


@dataclass(frozen=True)
class Credentials:
    access_key: str
    secret: str
    region: str = "us-east-1"


# For servers that do not verify signatures.
ANYONE = Credentials("AKIAIOSFODNN7EXAMPLE", "secret")


class Signer:
    """Signs requests to one server, all with the same time: they are valid for a quarter of an hour."""

    def __init__(self, port: int, credentials: Credentials) -> None:
        self._host = f"{HOST}:{port}"
        self._date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        self._scope = f"{self._date[:8]}/{credentials.region}/dynamodb/aws4_request"
        self._credential = f"{credentials.access_key}/{self._scope}"
        key = f"AWS4{credentials.secret}".encode()
        for part in self._scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        self._key = key

    def request(self, operation: str, body: bytes, *, service: str = SERVICE) -> bytes:
        target = f"{service}.{operation}"
        canonical = (
            f"POST\n/\n\ncontent-type:{CONTENT_TYPE}\nhost:{self._host}\nx-amz-date:{self._date}\nx-amz-target:{target}\n"
            f"\n{SIGNED_HEADERS}\n{hashlib.sha256(body).hexdigest()}"
        )
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{self._date}\n{self._scope}\n{digest}"
        signature = hmac.digest(self._key, text.encode(), "sha256").hex()
        head = (
            f"POST / HTTP/1.1\r\nHost: {self._host}\r\nAccept-Encoding: identity\r\n"
            f"User-Agent: Boto3/1.40 md/Botocore#1.40 ua/2.1 os/linux lang/python#3.11 cfg/retry-mode#standard\r\n"
            f"X-Amz-Target: {target}\r\nContent-Type: {CONTENT_TYPE}\r\nX-Amz-Date: {self._date}\r\n"
            f"Authorization: AWS4-HMAC-SHA256 Credential={self._credential}, SignedHeaders={SIGNED_HEADERS}, "
            f"Signature={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def get(self, path: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode()
