"""Write to Kinesis streams, or to a directory with a file of JSON lines for each stream.

    file:///PATH             PATH/REGION/STREAM.jsonl, to which each record is appended as a line
    https://ENDPOINT         Kinesis' protocol, with the credentials of the usual environment variables

Requests go over the asynchronous client that replication uses, signed by `security.signing`: PutRecords needs nothing
more, and an SDK would bring threads and its own retries.
"""

from __future__ import annotations

import asyncio
import os
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

import orjson

from atoll import arns
from atoll.clock import Clock
from atoll.errors import kinesis as errors
from atoll.replication.http import Answer, BadAnswer, HttpClient
from atoll.security.credentials import Credential
from atoll.security.signing import sign

TIMEOUT_S = 30.0
ANSWER_BYTES = 4 * 1024**2
_TARGET = "Kinesis_20131202."


class Unsent(Exception):
    """The stream did not take all records, or cannot be reached. Its text is the reason."""


class Data(NamedTuple):
    partition: str
    json: bytes


class Streams(Protocol):
    async def refusal(self, stream: str) -> str | None:
        """Why the stream with this ARN cannot be used. Raises `Unsent` if that cannot be found out."""

    async def put(self, stream: str, records: Sequence[Data]) -> list[Data]:
        """Send the records; returns those that were throttled. Raises `Unsent`."""


def opened(url: str, clock: Clock) -> Streams:
    """The URL was checked."""
    parts = urlsplit(url)
    return Files(Path(unquote(parts.path))) if parts.scheme == "file" else Endpoint(url, clock)


def check(url: str) -> None:
    """Raises ValueError for a URL of no known kind."""
    parts = urlsplit(url)
    is_file = parts.scheme == "file" and parts.netloc in ("", "localhost")
    if not is_file and not (parts.scheme in ("http", "https") and parts.netloc):
        raise ValueError(f"{url} is neither file:///PATH nor https://ENDPOINT")


class Files:
    def __init__(self, root: Path) -> None:
        self._root = root

    async def refusal(self, stream: str) -> str | None:
        return None

    async def put(self, stream: str, records: Sequence[Data]) -> list[Data]:
        arn = arns.parse(stream)
        assert arn is not None  # the stream was not refused
        path = self._root / arn.region / f"{arn.resource.rpartition('/')[2]}.jsonl"
        lines = b"".join([record.json + b"\n" for record in records])
        try:
            await asyncio.to_thread(_append, path, lines)
        except OSError as error:
            raise Unsent(f"{path}: {error.strerror}") from None
        return []


def _append(path: Path, lines: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())


class Endpoint:
    def __init__(self, url: str, clock: Clock) -> None:
        self._client = HttpClient(url, None, most_bytes=ANSWER_BYTES)
        self._path = urlsplit(url).path or "/"
        self._clock = clock

    async def refusal(self, stream: str) -> str | None:
        answer = await self._post(stream, "DescribeStreamSummary", {"StreamName": _name(stream)})
        if answer.status != 200:
            return errors.NO_PERMISSION
        summary = _parsed(answer).get("StreamDescriptionSummary")
        status = summary.get("StreamStatus") if isinstance(summary, dict) else None
        return errors.NO_PERMISSION if status == "CREATING" else errors.INACTIVE if status == "DELETING" else None

    async def put(self, stream: str, records: Sequence[Data]) -> list[Data]:
        entries = [{"Data": b64encode(one.json).decode(), "PartitionKey": one.partition} for one in records]
        answer = await self._post(stream, "PutRecords", {"StreamName": _name(stream), "Records": entries})
        if answer.status != 200:
            raise Unsent(f"{stream}: {answer.body[:500].decode(errors='replace')}")
        results = _parsed(answer).get("Records")
        if not isinstance(results, list) or len(results) != len(records):
            raise Unsent(f"{stream}: the answer lacks the result of each record")
        return [one for one, result in zip(records, results, strict=True) if result.get("ErrorCode")]

    async def _post(self, stream: str, operation: str, body: dict[str, Any]) -> Answer:
        arn = arns.parse(stream)
        assert arn is not None
        credential = Credential(
            os.environ.get("AWS_ACCESS_KEY_ID") or "atoll",
            os.environ.get("AWS_SECRET_ACCESS_KEY") or "atoll",
            session_token=os.environ.get("AWS_SESSION_TOKEN") or None,
        )
        json = orjson.dumps(body)
        headers = {
            "host": self._client.host,
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": _TARGET + operation,
        }
        signed = sign(
            credential, path=self._path, query="", headers=headers, body=json, region=arn.region, service="kinesis",
            now_ms=self._clock.now_ms(),
        )  # fmt: skip
        try:
            return await self._client.post(self._path, signed, json, TIMEOUT_S)
        except (OSError, TimeoutError, BadAnswer) as error:
            raise Unsent(f"{self._client.url}: {error!r}") from None


def _name(stream: str) -> str:
    return stream.rpartition("/")[2]


def _parsed(answer: Answer) -> dict[str, Any]:
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        raise Unsent("the answer is not JSON") from None
    return found if isinstance(found, dict) else {}
