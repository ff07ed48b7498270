"""Limit concurrent readers of a shard to two, as the service does; only with `--strict-stream-readers`."""

from __future__ import annotations

from atoll import limits
from atoll.errors import streams as stream_errors

WINDOW_MS = 1_000
MOST_SHARDS = 1_000


class StreamReaderLimit:
    """The readers of each shard within the last second, in this process."""

    def __init__(self) -> None:
        self._seen_ms: dict[tuple[str, int], dict[int, int]] = {}

    def admit(self, stream: str, shard: int, reader: int, now_ms: int) -> None:
        """Raises LimitExceededException if two other readers use this shard. `stream` is the stream's ARN."""
        if len(self._seen_ms) > MOST_SHARDS:
            self._seen_ms = {k: v for k, v in self._seen_ms.items() if max(v.values()) + WINDOW_MS > now_ms}
        seen = self._seen_ms.get((stream, shard), {})
        active = {one: ms for one, ms in seen.items() if 0 <= now_ms - ms < WINDOW_MS}
        if reader not in active and len(active) >= limits.STREAM_READERS:
            raise stream_errors.too_many_readers()
        active[reader] = now_ms
        self._seen_ms[stream, shard] = active
