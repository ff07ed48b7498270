"""The keys of the rows of metrics, which `format` lists with all others."""

from __future__ import annotations

from atoll.database import format as fmt

BATCHES = b"batches"
SERIES_COUNT = b"series"


def batch_key(number: int) -> bytes:
    return fmt.CATALOG + b"A" + number.to_bytes(8, "big")


def batches_after(number: int) -> tuple[bytes, bytes]:
    return batch_key(number + 1), fmt.CATALOG + b"B"


def parse_batch_key(key: bytes) -> int:
    return int.from_bytes(key[len(fmt.CATALOG) + 1 :], "big")


def series_key(*parts: str) -> bytes:
    """`parts`: namespace, name, number of dimensions, their names and values, unit."""
    return fmt.CATALOG + b"N" + b"".join([fmt.terminated(part) for part in parts])


def series_of(*parts: str) -> tuple[bytes, bytes]:
    """The range of the series whose parts begin with these."""
    start = series_key(*parts)
    return start, start + b"\xff"


SERIES = (fmt.CATALOG + b"N", fmt.CATALOG + b"O")


def parse_series_key(key: bytes) -> tuple[str, ...]:
    return fmt.names_of(key[len(fmt.CATALOG) + 1 : -1])


def series(number: int, last_ms: int) -> bytes:
    return number.to_bytes(8, "big") + last_ms.to_bytes(8, "big")


def parse_series(stored: bytes) -> tuple[int, int]:
    """The number, and the time of the last datapoint."""
    return int.from_bytes(stored[:8], "big"), int.from_bytes(stored[8:], "big")


def block_key(grain: int, series: int, start_ms: int) -> bytes:
    minute = min(start_ms // 60_000, 0xFFFFFFFF)
    return fmt.CATALOG + b"V" + grain.to_bytes(1, "big") + series.to_bytes(8, "big") + minute.to_bytes(4, "big")


def blocks_of(grain: int, series: int, start_ms: int, end_ms: int) -> tuple[bytes, bytes]:
    """The range of a series' blocks that begin between these times."""
    return block_key(grain, series, -(-start_ms // 60_000) * 60_000), block_key(grain, series, end_ms + 59_999)
