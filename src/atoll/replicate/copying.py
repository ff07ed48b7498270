"""Phase 2: two parallel scans. One copies the source into the target, the other finds items to delete.

One thread at a time scans a segment, page by page. `note` is called with the segment's progress after each page is
handled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import replace
from typing import Any

from atoll.client.failures import NOT_FOUND
from atoll.replicate import keys
from atoll.replicate.crew import Pauses, crew
from atoll.replicate.ends import End
from atoll.replicate.failures import CallFailed, Failed
from atoll.replicate.pacing import Rate
from atoll.replicate.progress import Counters, units
from atoll.replicate.state import Item, Segment
from atoll.replicate.writing import Writer, deletion, put

THREADS = 32
TICK_S = 0.2
BATCH = 100
"""The most keys of a BatchGetItem."""

Page = list[Item]


class Table:
    """Consistent reads of one table, at a limited rate."""

    def __init__(self, end: End, name: str, names: Sequence[str], rate: Rate, pauses: Pauses, counters: Counters):
        self.end = end
        self.name = name
        self.names = names
        """The attributes of the key."""
        self._rate = rate
        self._pauses = pauses
        self._counters = counters

    def scan(
        self,
        segments: Iterable[Segment],
        handle: Callable[[Page], None],
        note: Callable[[Segment], None],
        tick: Callable[[], None],
        *,
        keys_only: bool = False,
    ) -> None:
        """Scan the unfinished segments, and let threads `handle` the pages in batches. Raises their first failure."""
        segments = list(segments)
        total = len(segments)
        projection = self._projection() if keys_only else {}

        def walk(segment: Segment) -> None:
            while not segment.done:
                self._pauses.check()
                page, segment = self._page(segment, total, projection)
                for first in range(0, len(page), BATCH):
                    handle(page[first : first + BATCH])
                    self._counters.add(items=len(page[first : first + BATCH]))
                    self._pauses.check()
                note(segment)

        with crew(min(total, THREADS), self._pauses) as pool:
            running = {pool.submit(walk, segment) for segment in segments}
            while running:
                finished, running = wait(running, timeout=TICK_S, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                tick()
                self._pauses.check()

    def _page(self, segment: Segment, total: int, projection: dict[str, Any]) -> tuple[Page, Segment]:
        start = {} if segment.last_key is None else {"ExclusiveStartKey": segment.last_key}
        answer = self._read("Scan", TableName=self.name, Segment=segment.number, TotalSegments=total,
                            ConsistentRead=True, **start, **projection)  # fmt: skip
        page: Page = answer["Items"]
        last_key = answer.get("LastEvaluatedKey")
        return page, replace(segment, last_key=last_key, done=last_key is None, items=segment.items + len(page))

    def look_up(self, wanted: Iterable[Item], *, keys_only: bool = False) -> dict[Any, Item]:
        """The items with these keys that exist, by the identity of their keys."""
        found: dict[Any, Item] = {}
        pending = list(wanted)
        projection = self._projection() if keys_only else {}
        attempt = 0
        while pending:
            batch, rest = pending[:BATCH], pending[BATCH:]
            request = {self.name: {"Keys": batch, "ConsistentRead": True, **projection}}
            answer = self._read("BatchGetItem", RequestItems=request)
            items: Page = next(iter(answer.get("Responses", {}).values()), [])
            found |= {keys.identity(item, self.names): item for item in items}
            left: Page = [key for one in answer.get("UnprocessedKeys", {}).values() for key in one["Keys"]]
            if len(left) > len(batch):
                raise Failed(
                    f"the {self.end.role} returned unprocessed keys of {self.name} that were not in the request"
                )
            if len(left) < len(batch):
                attempt = 0
            else:
                self._counters.add(throttled=1)
                self.end.back_off(attempt)
                attempt += 1
            pending = left + rest
        return found

    def _read(self, operation: str, **parameters: Any) -> dict[str, Any]:
        try:
            answer = self.end.call(operation, self._rate.wait, ReturnConsumedCapacity="TOTAL", **parameters)
        except CallFailed as error:
            if error.code != NOT_FOUND:
                raise
            raise Failed(f"the {self.end.role} table {self.name} was deleted while it was read") from error
        consumed = units(answer)
        self._rate.spend(consumed)
        self._counters.add(read_units=consumed)
        return answer

    def _projection(self) -> dict[str, Any]:
        placeholders = {f"#{number}": name for number, name in enumerate(self.names)}
        return {"ProjectionExpression": ", ".join(placeholders), "ExpressionAttributeNames": placeholders}


def copy(
    source: Table,
    writer: Writer,
    segments: Iterable[Segment],
    note: Callable[[Segment], None],
    tick: Callable[[], None],
) -> None:
    """Put all items of the source into the target."""
    source.scan(segments, lambda page: writer.write([put(item) for item in page]), note, tick)


def prune(
    source: Table,
    target: Table,
    writer: Writer,
    segments: Iterable[Segment],
    note: Callable[[Segment], None],
    tick: Callable[[], None],
    counters: Counters,
) -> None:
    """Delete the target's items that the source lacks. If the source gets such an item meanwhile, the stream has a
    later record of it."""

    def delete_strangers(page: Page) -> None:
        there = source.look_up(page, keys_only=True)
        strangers = [item for item in page if keys.identity(item, source.names) not in there]
        writer.write([deletion(key) for key in strangers])
        counters.add(deleted=len(strangers))

    target.scan(segments, delete_strangers, note, tick, keys_only=True)
