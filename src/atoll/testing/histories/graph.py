"""Operations as a graph of what must come before what, after Adya's serialization graph.

    ww  wrote a version of an item -> wrote a later one
    wr  wrote a version -> saw it
    rw  saw a version -> wrote a later one
    rt  completed -> was invoked afterwards; also marks those of the others that are known because of time

A history is (strictly) serializable if these have no cycle. Only neighbours are joined, the rest follows, and where
many come before many they pass through a *moment*, so the graph stays linear in the size of the history: nodes 0..n-1
are the operations, those from n on are moments (of time, or the end of a segment). An edge that leaves a moment has no
kind: what counts is how the moment was reached.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from math import inf

from atoll.testing.histories.versions import Item, Segment, Versions

WW, WR, RW, RT = 1, 2, 4, 8


class Graph:
    def __init__(self, operations: int) -> None:
        self.operations = operations
        self.edges: list[list[tuple[int, int, str]]] = [[] for _ in range(operations)]
        """By source: target, kind, item."""

    def moment(self) -> int:
        self.edges.append([])
        return len(self.edges) - 1

    def add(self, source: int, target: int, kind: int = 0, item: str = "") -> None:
        if source != target:
            self.edges[source].append((target, kind, item))


def dependencies(versions: Versions, *, strict: bool) -> Graph:
    graph = Graph(len(versions.operations))
    for item in versions.items.values():
        _order_item(graph, versions, item)
    if strict:
        _order_by_time(graph, versions, versions.happened)
    else:
        for touching in _touching(versions).values():
            _order_by_time(graph, versions, touching)
    return graph


def _order_item(graph: Graph, versions: Versions, item: Item) -> None:
    ends = {head: graph.moment() for head in item.segments}
    replacing = {item.writers[head] for head in item.segments if head is not None}
    for head, segment in item.segments.items():
        _order_segment(graph, item, segment, ends[head], replacing)
    for head, earlier in _segment_order(versions, item):
        graph.add(ends[earlier], item.writers[head])
    for value, writer in item.writers.items():
        # An acknowledged append that no list shows came after what was seen of the first segment: there it would be
        # seen. After which later segment it came, nothing tells.
        if value not in item.placed and writer in versions.happened and versions.operations[writer].outcome != "failed":
            graph.add(ends[None], writer)


def _order_segment(graph: Graph, item: Item, segment: Segment, end: int, replacing: set[int]) -> None:
    """`replacing` are those who replace the item, and are themselves what follows if they saw the end."""
    at_end = RT if replacing else 0
    writers = [item.writers[value] for value in segment.chain]
    for reader in segment.readers.get(None, ()):  # of the absent item
        if writers:
            graph.add(reader, writers[0], RW, item.name)
        elif reader not in replacing:
            graph.add(reader, end, RW | at_end, item.name)
    for value, writer, following in zip(segment.chain, writers, [*writers, end][1:], strict=True):
        timed = at_end if following == end else 0
        graph.add(writer, following, WW | timed, item.name)
        for reader in segment.readers.get(value, ()):
            graph.add(writer, reader, WR, item.name)
            if following != end or reader not in replacing:
                graph.add(reader, following, RW | timed, item.name)


def _segment_order(versions: Versions, item: Item) -> Iterator[tuple[str, str | None]]:
    """Segments, and those known to be earlier: some operation in them completed before one in the later was invoked.

    That is an interval order. What follows from others is left out: of all earlier ones, let `latest` be the one in
    which something was invoked last; then those that completed anything before that are earlier than `latest` already.
    """
    if len(item.segments) == 1:
        return
    began: dict[str | None, float] = {}
    lasted: dict[str | None, float] = {}
    for head, segment in item.segments.items():
        inside = [item.writers[value] for value in segment.chain]
        inside += [reader for readers in segment.readers.values() for reader in readers]
        completed = [versions.operations[at].completed for at in inside]
        began[head] = min((at for at in completed if at is not None), default=inf) if head is not None else -inf
        lasted[head] = max((versions.operations[at].invoked for at in inside), default=-inf)
    heads = sorted(item.segments, key=began.__getitem__)
    starts = [began[head] for head in heads]
    tops: list[tuple[str | None, str | None]] = []  # the two segments that lasted longest, of heads[:i + 1]
    for head in heads:
        best = sorted({*(tops[-1] if tops else ()), head}, key=lambda h: lasted[h], reverse=True)
        tops.append((best[0], best[min(1, len(best) - 1)]))
    for head in heads:
        if head is None:
            continue
        if (after := item.segments[head].after) is not None:
            yield head, after
        count = bisect_left(starts, lasted[head])
        latest = next(top for top in tops[count - 1] if top != head)
        yield head, latest
        for earlier in heads[bisect_left(starts, lasted[latest]) : count]:
            if earlier not in (head, latest):
                yield head, earlier


def _touching(versions: Versions) -> dict[str, set[int]]:
    """The operations of each item."""
    found: dict[str, set[int]] = {}
    for at in versions.happened:
        operation = versions.operations[at]
        for item in operation.items:
            found.setdefault(item, set()).add(at)
    return found


def _order_by_time(graph: Graph, versions: Versions, among: Iterable[int]) -> None:
    """One moment between each completion and the next invocation."""
    operations = versions.operations
    chosen = list(among)
    invoked = sorted((operations[at].invoked, at) for at in chosen)
    completed = sorted((done, at) for at in chosen if (done := operations[at].completed) is not None)
    moment, next_ = -1, 0
    for time, at in invoked:
        if next_ < len(completed) and completed[next_][0] < time:
            previous, moment = moment, graph.moment()
            if previous >= 0:
                graph.add(previous, moment)
            while next_ < len(completed) and completed[next_][0] < time:
                graph.add(completed[next_][1], moment, RT)
                next_ += 1
        if moment >= 0:
            graph.add(moment, at)
