"""Buckets of objects: directories below one directory, S3 (or a server with its protocol), or memory.

    file:///PATH             a bucket is a directory below PATH; writing makes it
    https://ENDPOINT         S3's protocol, with the credentials of the usual environment variables

S3 needs the extra `atoll[s3]`. An error of a store becomes one of the two that jobs report, `NoSuchBucket` and
`Unreachable`.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

DIRECTORY = "s3"
"""The directory of buckets in the data directory, if no other place is configured."""
READ_BYTES = 256 * 1024


class NoSuchBucket(Exception):
    pass


def no_such_bucket(request: str) -> str:
    """S3's text, as jobs report it. `request` is an id."""
    return (
        "The specified bucket does not exist (Service: Amazon S3; Status Code: 404; Error Code: NoSuchBucket; "
        f"Request ID: {request[-8:]}; S3 Extended Request ID: null; Proxy: null)"
    )


class Unreachable(Exception):
    """The store refuses, or cannot be asked. Its text is the reason."""


@dataclass(frozen=True, slots=True)
class Object:
    key: str
    size: int


class Buckets(Protocol):
    async def put(self, bucket: str, key: str, body: bytes) -> str:
        """Write an object, all of it or nothing; returns its entity tag."""

    async def objects(self, bucket: str, prefix: str) -> list[Object]:
        """The objects whose keys begin with the prefix, by their keys."""

    def read(self, bucket: str, key: str) -> AsyncIterator[bytes]:
        """The object in pieces."""


def opened(url: str) -> Buckets:
    """Raises ValueError for a URL of no known kind, ImportError if the extra is missing."""
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Directories(Path(unquote(parts.path)))
    if parts.scheme in ("http", "https") and parts.netloc:
        return S3(url)
    raise ValueError(f"{url} is neither file:///PATH nor https://ENDPOINT")


def etag(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


class Memory:
    """Buckets of a server that keeps everything in memory. A bucket exists as soon as something was written to it."""

    def __init__(self) -> None:
        self.buckets: dict[str, dict[str, bytes]] = {}

    async def put(self, bucket: str, key: str, body: bytes) -> str:
        self.buckets.setdefault(bucket, {})[key] = body
        return etag(body)

    async def objects(self, bucket: str, prefix: str) -> list[Object]:
        if bucket not in self.buckets:
            raise NoSuchBucket
        return [Object(key, len(body)) for key, body in sorted(self.buckets[bucket].items()) if key.startswith(prefix)]

    async def read(self, bucket: str, key: str) -> AsyncIterator[bytes]:
        yield self.buckets[bucket][key]


class Directories:
    def __init__(self, root: Path) -> None:
        self._root = root

    def _path(self, bucket: str, key: str) -> Path:
        """Refuses names that lead out of the bucket, and those that no file can have."""
        try:
            root = (self._root / bucket).resolve()
            path = (root / key).resolve()
        except (ValueError, RuntimeError) as error:  # a null character, half of a surrogate pair; a loop of links
            raise Unreachable(f"{bucket}/{key}: {error}") from None
        if root.parent != self._root.resolve() or not path.is_relative_to(root):
            raise Unreachable(f"{bucket}/{key} is not below {self._root}")
        return path

    async def put(self, bucket: str, key: str, body: bytes) -> str:
        try:
            await asyncio.to_thread(_write, self._path(bucket, key), body)
        except OSError as error:
            raise Unreachable(f"{self._root / bucket / key}: {error.strerror}") from None
        return etag(body)

    async def objects(self, bucket: str, prefix: str) -> list[Object]:
        root = self._path(bucket, "")
        if not root.is_dir():
            raise NoSuchBucket
        try:
            return await asyncio.to_thread(lambda: sorted(_objects(root, prefix), key=lambda found: found.key))
        except OSError as error:
            raise Unreachable(f"{root}: {error.strerror}") from None

    async def read(self, bucket: str, key: str) -> AsyncIterator[bytes]:
        try:
            with await asyncio.to_thread(self._path(bucket, key).open, "rb") as file:
                while piece := await asyncio.to_thread(file.read, READ_BYTES):
                    yield piece
        except OSError as error:
            raise Unreachable(f"{self._root / bucket / key}: {error.strerror}") from None


def _write(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    with new.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)


def _objects(root: Path, prefix: str) -> Iterator[Object]:
    for path in root.rglob("*"):
        key = path.relative_to(root).as_posix()
        if key.startswith(prefix) and path.is_file() and not path.name.startswith("."):
            if not key.isascii() and key != key.encode(errors="replace").decode():
                raise Unreachable(f"the name of a file is not in UTF-8: {key!a}")
            yield Object(key, path.stat().st_size)


class S3:
    def __init__(self, endpoint: str) -> None:
        from obstore.store import S3Store  # type: ignore[import-not-found, unused-ignore]

        self._endpoint = endpoint
        self._store: Any = S3Store
        self._stores: dict[str, Any] = {}

    def _bucket(self, name: str) -> Any:
        found = self._stores.get(name)
        if found is None:
            region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
            insecure = {"client_options": {"allow_http": True}} if self._endpoint.startswith("http:") else {}
            found = self._stores[name] = self._store(
                name,
                endpoint=self._endpoint,
                region=region,
                virtual_hosted_style_request=False,
                **insecure,
            )
        return found

    async def put(self, bucket: str, key: str, body: bytes) -> str:
        try:
            result = await self._bucket(bucket).put_async(key, body)
        except Exception as error:
            raise _translated(error) from None
        return str(result["e_tag"] or "").strip('"')

    async def objects(self, bucket: str, prefix: str) -> list[Object]:
        # The library lists whole path segments: a prefix may end within one.
        parent = prefix.rpartition("/")[0]
        found: list[Object] = []
        try:
            async for page in self._bucket(bucket).list(parent or None):
                found += [Object(one["path"], one["size"]) for one in page if one["path"].startswith(prefix)]
        except Exception as error:
            raise _translated(error) from None
        return sorted(found, key=lambda one: one.key)

    async def read(self, bucket: str, key: str) -> AsyncIterator[bytes]:
        try:
            result = await self._bucket(bucket).get_async(key)
            async for piece in result.stream(min_chunk_size=READ_BYTES):
                yield bytes(piece)
        except Exception as error:
            raise _translated(error) from None


def _translated(error: Exception) -> Exception:
    text = str(error)
    if "NoSuchBucket" in text:
        return NoSuchBucket()
    return Unreachable(text.partition("\n")[0][:1000])
