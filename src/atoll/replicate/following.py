"""Phase 3: read the source's stream and apply it to the target.

Each task reads one page of a shard and applies it. If the page has several records of an item, only the last one is
applied, since each holds the whole item. A shard has at most one task at a time, so its pages are applied in order. An
open shard without new records is read again after a while; a finished shard makes its children ready.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any

from atoll.client.failures import NOT_FOUND
from atoll.clock import Clock, monotonic_ns
from atoll.replicate import keys
from atoll.replicate.crew import Pauses, crew
from atoll.replicate.failures import CallFailed, Failed
from atoll.replicate.lineage import Lineage
from atoll.replicate.progress import Counters
from atoll.replicate.state import ShardProgress
from atoll.replicate.stream import EXPIRED, Page, Record, Stream, last_of, written_ms
from atoll.replicate.writing import Request, Writer, deletion, put

THREADS = 16
POLL_S = 1.0
"""Read an open shard without new records this often. Consecutive pages with records are read five times as often, the
most that the service allows."""
LIST_EVERY_S = 30.0
"""List the shards at least this often, to notice that the stream has ended."""
LISTINGS = 5
"""The listings in which children of a closed shard may still be missing."""
SETTLED = 5
"""The quiet pages after which a shard is at its end: the service may return empty pages although more records
follow."""
QUIET_RECORDS = 100
IDLE_NOTED_MS = 600_000
"""How often the time of reading an idle shard is stored."""
TICK_S = 0.2


@dataclass(frozen=True, slots=True)
class Reader:
    """The state of reading a shard."""

    place: ShardProgress
    iterator: str | None = None
    quiet: int = 0
    """The number of consecutive pages with no or few new records."""
    caught_up: bool = False
    """Whether it has reached its end once."""
    lag_s: float = 0.0
    due_ns: int = 0
    noted_ms: int = 0
    """The place's `read_ms` when it was stored."""


class Follower:
    def __init__(
        self,
        stream: Stream,
        writer: Writer,
        names: Sequence[str],
        pauses: Pauses,
        counters: Counters,
        clock: Clock,
        poll_s: float = POLL_S,
    ) -> None:
        self._stream = stream
        self._writer = writer
        self._names = names
        self._pauses = pauses
        self._counters = counters
        self._clock = clock
        self._poll_s = poll_s
        self._begun_ms = clock.now_ms()
        self._readers: dict[str, Reader] = {}
        self._running: dict[Future[Reader], str] = {}
        self._list_ns = 0
        self.ended = False
        """The source's stream has ended: it was disabled, or its table deleted."""
        self.caught_up = False
        """All shards have been at their ends."""
        self._childless: dict[str, int] = {}
        """Closed shards whose children are not listed yet: the number of listings since."""
        self._closed = 0
        """The number of consecutive listings in which all shards were closed, although the stream goes on."""

    def follow(
        self,
        lineage: Lineage,
        note: Callable[[ShardProgress], None],
        forget: Callable[[str], None],
        tick: Callable[[], None],
        *,
        once: bool,
    ) -> None:
        """Follow the stream until it has ended; with `once`, until all shards have reached their ends. `note` is called
        when a place has changed, `tick` all the time. Raises Gap, Failed or Stopped."""
        try:
            with crew(THREADS, self._pauses) as pool:
                while True:
                    self._list(lineage, forget, once=once)
                    self.caught_up = self.caught_up or self._has_caught_up(lineage)
                    if (self.ended and lineage.done) or (once and self.caught_up):
                        break
                    self._submit(pool, lineage)
                    self._collect(lineage, note)
                    self._count(lineage)
                    tick()
                    self._pauses.check()
        finally:
            self._finish(lineage, note)
        self._count(lineage)

    # Shards

    def _list(self, lineage: Lineage, forget: Callable[[str], None], *, once: bool) -> None:
        if monotonic_ns() < self._list_ns:
            return
        try:
            shards, self.ended = self._stream.listed()
        except CallFailed as error:
            if error.code != NOT_FOUND:
                raise
            raise Failed(f"the source's stream no longer exists: {self._stream.arn}") from error
        for shard in lineage.update(shards):
            forget(shard)
            self._readers.pop(shard, None)
        parents = {shard.parent for shard in shards}
        self._closed = self._closed + 1 if lineage.done and not self.ended else 0
        if once and self._closed > LISTINGS:
            raise Failed("all shards of the source's stream are closed, but it has not ended")
        self._childless = {
            shard: count + 1
            for shard, count in self._childless.items()
            if shard not in parents and count < LISTINGS and not self.ended
        }
        delay_s = self._poll_s if self._childless or (once and self._closed) else LIST_EVERY_S
        self._list_ns = monotonic_ns() + int(delay_s * 1e9)

    def _has_caught_up(self, lineage: Lineage) -> bool:
        children_missing = self._childless or (lineage.done and not self.ended)
        return not children_missing and all(
            place.done or (name in self._readers and self._readers[name].caught_up)
            for name, place in lineage.places.items()
        )

    def _count(self, lineage: Lineage) -> None:
        unfinished = [reader for name, reader in self._readers.items() if not lineage.places[name].done]
        self._counters.shards = len(unfinished)
        self._counters.lag_s = max((reader.lag_s for reader in unfinished), default=0.0)

    # Tasks

    def _submit(self, pool: ThreadPoolExecutor, lineage: Lineage) -> None:
        now_ns = monotonic_ns()
        busy = set(self._running.values())
        for place in lineage.ready():
            name = place.shard
            if name not in self._readers:
                parent = self._readers.get(place.parent or "")
                self._readers[name] = Reader(place, caught_up=parent is not None and parent.caught_up)
            reader = self._readers[name]
            if name not in busy and reader.due_ns <= now_ns:
                self._running[pool.submit(self._step, reader)] = name

    def _collect(self, lineage: Lineage, note: Callable[[ShardProgress], None]) -> None:
        """Wait until a task ends or one is due, and take over the results."""
        if self._running:
            finished, _ = wait(self._running, timeout=TICK_S, return_when=FIRST_COMPLETED)
            for future in finished:
                name = self._running.pop(future)
                self._take(name, future.result(), lineage, note)
            return
        due_ns = [reader.due_ns for name, reader in self._readers.items() if not lineage.places[name].done]
        delay_s = (min([*due_ns, self._list_ns]) - monotonic_ns()) / 1e9
        if delay_s > 0:
            self._pauses(min(delay_s, TICK_S))

    def _finish(self, lineage: Lineage, note: Callable[[ShardProgress], None]) -> None:
        """Take over the results of the last tasks that succeeded, after all have ended."""
        for future, name in self._running.items():
            if not future.cancelled() and future.exception() is None:
                self._take(name, future.result(), lineage, note)
        self._running.clear()

    def _take(self, name: str, reader: Reader, lineage: Lineage, note: Callable[[ShardProgress], None]) -> None:
        before = self._readers[name].place
        lineage.advance(reader.place)
        if reader.place.after != before.after or reader.place.done or _idle_ms(reader) > IDLE_NOTED_MS:
            note(reader.place)
            reader = replace(reader, noted_ms=reader.place.read_ms)
        if reader.place.done:
            self._childless[name] = 0
            self._list_ns = 0
        self._readers[name] = reader

    def _step(self, reader: Reader) -> Reader:
        """Read a page and apply it. Runs in a thread."""
        begun_ns, begun_ms = monotonic_ns(), self._clock.now_ms()
        iterator = reader.iterator or self._stream.open(reader.place, begun_ms)
        try:
            page = self._stream.read(iterator)
        except CallFailed as error:
            if error.code != EXPIRED:
                raise
            return replace(reader, iterator=None)
        place = _advanced(reader.place, page, begun_ms)
        self._writer.write(_last_of_each(page.records, self._names))
        self._counters.add(records=len(page.records))
        quiet = reader.quiet + 1 if self._is_quiet(page) else 0
        pause_s = self._poll_s if not page.records and quiet > SETTLED else self._poll_s / 5
        return replace(
            reader,
            place=place,
            iterator=page.next,
            quiet=quiet,
            caught_up=reader.caught_up or quiet >= SETTLED,
            lag_s=max(0, begun_ms - written_ms(page.records[-1])) / 1000 if page.records else 0.0,
            due_ns=begun_ns + int(pause_s * 1e9),
        )

    def _is_quiet(self, page: Page) -> bool:
        if not page.records:
            return True
        return len(page.records) < QUIET_RECORDS and written_ms(page.records[-1]) >= self._begun_ms


def _idle_ms(reader: Reader) -> int:
    return reader.place.read_ms - reader.noted_ms


def _advanced(place: ShardProgress, page: Page, begun_ms: int) -> ShardProgress:
    done = page.next is None
    if not page.records:
        return replace(place, read_ms=begun_ms, done=done)
    return replace(place, after=last_of(page, place.after), read_ms=written_ms(page.records[-1]), done=done)


def _last_of_each(records: Sequence[Record], names: Sequence[str]) -> list[Request]:
    """One request for each item that the records change."""
    last: dict[Any, Request] = {}
    for record in records:
        change = record["dynamodb"]
        removed = record["eventName"] == "REMOVE"
        if not removed and "NewImage" not in change:
            raise Failed(f"source: the record {change['SequenceNumber']} of the stream has no new image")
        last[keys.identity(change["Keys"], names)] = deletion(change["Keys"]) if removed else put(change["NewImage"])
    return list(last.values())
