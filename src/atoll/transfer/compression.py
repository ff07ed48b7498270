"""Decompress objects piece by piece, in bounded memory whatever their compression ratio."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from isal import igzip_lib, isal_zlib

OUTPUT_BYTES = 64 * 1024
INPUT_BYTES = 16 * 1024
"""Pass no more compressed bytes at a time: thousands of empty members may give no output."""
_FAULT: Any = igzip_lib.IsalError
_ZSTD_INPUT_BYTES = 512
"""The bytes of one piece of input. A block has at least 4 bytes and becomes at most 128 KiB, so a piece becomes at most
16 MiB."""


class Unreadable(Exception):
    """The object is not compressed as the import says, or ends too early. Its text is the reason."""


class Expansion(Protocol):
    """The expansion of one object."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Raises `Unreadable`."""

    def finish(self) -> None:
        """Raises `Unreadable` if the object ends too early."""


class Plain:
    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data

    def finish(self) -> None:
        pass


class Gzip:
    """May have several members, and zeros at the end."""

    def __init__(self) -> None:
        self._member: Any = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._member is None:
                data = data.lstrip(b"\0")
                if not data:
                    return
                self._member = isal_zlib.decompressobj(wbits=31)
            try:
                found = self._member.decompress(data, OUTPUT_BYTES)
                while found:
                    yield found
                    found = self._member.decompress(self._member.unconsumed_tail, OUTPUT_BYTES)
            except _FAULT:
                raise Unreadable("The object is not in GZIP format") from None
            if not self._member.eof:
                return
            data, self._member = self._member.unused_data, None

    def finish(self) -> None:
        if self._member is not None:
            raise Unreadable("Unexpected end of a GZIP object")


class Zstandard:
    """May have several frames. Needs the extra `atoll[files]`."""

    def __init__(self) -> None:
        import zstandard

        self._decompressor: Any = zstandard.ZstdDecompressor()
        self._error: type[Exception] = zstandard.ZstdError
        self._frame: Any = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _ZSTD_INPUT_BYTES):
            yield from self._feed(data[start : start + _ZSTD_INPUT_BYTES])

    def _feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._frame is None:
                self._frame = self._decompressor.decompressobj()
            try:
                found = self._frame.decompress(data)
            except self._error:
                raise Unreadable("The object is not in ZSTD format") from None
            for start in range(0, len(found), OUTPUT_BYTES):
                yield found[start : start + OUTPUT_BYTES]
            if not self._frame.eof:
                return
            data, self._frame = self._frame.unused_data, None

    def finish(self) -> None:
        if self._frame is not None:
            raise Unreadable("Unexpected end of a ZSTD object")


EXPANSIONS: dict[str, Callable[[], Expansion]] = {"NONE": Plain, "GZIP": Gzip, "ZSTD": Zstandard}
