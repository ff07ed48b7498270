"""The dependency graph of operations, after Adya's serialization graph.

    ww  wrote a version of an item -> wrote a later one
    wr  wrote a version -> saw it
    rw  saw a version -> wrote a later one
    rt  completed -> was invoked afterwards; also marks other edges that are known only from times

A history is (strictly) serializable if this graph has no cycle. Only neighbours are joined; the other edges follow by
transitivity. Where many operations precede many, they are joined through a *moment* node, so the graph stays linear in
the size of the history. Nodes 0..n-1 are operations, nodes from n on are moments (a time, or the end of a segment). An
edge that leaves a moment has no kind: the edge into the moment has it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from atoll.testing.histories.segments import Item, Segment, Span, runs, whole
from atoll.testing.histories.versions import Versions

WW, WR, RW, RT = 1, 2, 4, 8


class Graph:
    def __init__(self, operations: int) -> None:
        self.operations = operations
        self.edges: list[list[tuple[int, int, str]]] = [[] for _ in range(operations)]
        """The edges of each source node: target, kind, item."""

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
    ordered = [(run, whole(run)) for run in runs(versions.operations, item)]
    lasts = {one.heads[0]: ends[run[-1].heads[0]] for run, _ in ordered for one in run}
    for head, segment in item.segments.items():
        next_ = item.following.get(head)
        follower = item.writers[next_] if next_ is not None else None
        _order_segment(graph, item, segment, ends[head], follower, lasts.get(head, ends[head]))
    for head, next_ in item.following.items():
        graph.add(ends[head], item.writers[next_])
    for run, earlier in _earlier([joined for _, joined in ordered]):
        first = run.heads[0]
        if first is not None:
            graph.add(ends[earlier.heads[-1]], item.writers[first])
    if len(item.segments) == 1:
        for value in versions.unseen(item):
            graph.add(ends[None], item.writers[value])


def _order_segment(graph: Graph, item: Item, segment: Segment, end: int, follower: int | None, last: int) -> None:
    """`follower` began the next segment. `end` is the end of this segment, `last` the end of its run."""
    at_end = RT if len(item.segments) > 1 else 0
    starting = {item.writers[head] for head in item.segments if head is not None}
    writers = [item.writers[version] for version in segment.chain]

    def read(reader: int, following: int) -> None:
        if following != end:
            graph.add(reader, following, RW, item.name)
        elif reader == follower:
            graph.add(reader, last, RW | at_end, item.name)  # the reader itself began the next segment
        elif reader not in starting:
            graph.add(reader, end, RW | at_end, item.name)

    for reader in segment.readers.get(None, ()):  # readers of the absent item
        read(reader, writers[0] if writers else end)
    for version, writer, following in zip(segment.chain, writers, [*writers, end][1:], strict=True):
        graph.add(writer, following, WW | (at_end if following == end else 0), item.name)
        for reader in segment.readers.get(version, ()):
            graph.add(writer, reader, WR, item.name)
            read(reader, following)


def _earlier(spans: Sequence[Span]) -> Iterator[tuple[Span, Span]]:
    """Pairs of spans, the first preceding the second: it completed an operation before the second invoked one.

    This is an interval order. Implied pairs are left out: let `latest` be the preceding span with the last invocation.
    Every span that completed an operation before that invocation already precedes `latest`.
    """
    if len(spans) == 1:
        return
    ordered = sorted(spans, key=lambda one: one.began)
    starts = [one.began for one in ordered]
    tops: list[list[Span]] = []  # tops[i]: the two spans of ordered[:i + 1] that lasted longest
    for one in ordered:
        tops.append(sorted([*(tops[-1] if tops else ()), one], key=lambda top: top.lasted, reverse=True)[:2])
    for later in ordered:
        count = bisect_left(starts, later.lasted)
        earlier = [top for top in tops[count - 1] if top is not later] if count else []
        if not earlier:
            continue
        latest = earlier[0]
        yield later, latest
        for one in ordered[bisect_left(starts, latest.lasted) : count]:
            if one is not later and one is not latest:
                yield later, one


def _touching(versions: Versions) -> dict[str, set[int]]:
    """The operations of each item."""
    found: dict[str, set[int]] = {}
    for at in versions.happened:
        operation = versions.operations[at]
        for item in operation.items:
            found.setdefault(item, set()).add(at)
    return found


def _order_by_time(graph: Graph, versions: Versions, among: Iterable[int]) -> None:
    """Add one moment between each completion and the next invocation."""
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
