"""Cycles in the dependency graph: few and short, since people read them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf

from atoll.testing.histories.graph import RT, RW, WR, WW, Graph

NAMES = {WW: "ww", WR: "wr", RW: "rw", RT: "rt", WW | RT: "ww", RW | RT: "rw"}

# From the plainest violation to the subtlest. Each is a cycle with one edge of the first kind and any number of the
# others, and is searched only if there is none of the earlier ones.
LEVELS = (
    (WW, WW),
    (WR, WW | WR),
    (RW, WW | WR),
    (RW, WW | WR | RW),
    (RW, WW | WR | RT),
    (WW | WR, WW | WR | RT),
    (RW, WW | WR | RW | RT),
)
ATTEMPTS = 30


@dataclass(frozen=True)
class Dependency:
    source: int
    target: int
    kind: str
    item: str


def cycles(graph: Graph) -> Iterator[list[Dependency]]:
    """One short cycle of the plainest kind for each set of mutually dependent operations."""
    for nodes in _components(graph, range(len(graph.edges)), WW | WR | RW | RT):
        for closing, others in LEVELS:
            found = [
                cycle
                for inner in _components(graph, nodes, closing | others)
                if (cycle := _shortest(graph, set(inner), closing, others)) is not None
            ]
            if found:
                yield from found
                break


def _components(graph: Graph, nodes: Iterable[int], kinds: int) -> list[list[int]]:
    """The strongly connected components of more than one node (Tarjan's algorithm, without recursion)."""
    inside = set(nodes)
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    open_: set[int] = set()
    found = []

    def targets(node: int) -> Iterator[int]:
        return (target for target, kind, _ in graph.edges[node] if not kind & ~kinds and target in inside)

    for root in inside:
        if root in index:
            continue
        index[root] = low[root] = len(index)
        stack.append(root)
        open_.add(root)
        work = [(root, targets(root))]
        while work:
            node, remaining = work[-1]
            for target in remaining:
                if target not in index:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    open_.add(target)
                    work.append((target, targets(target)))
                    break
                if target in open_:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    component = [stack.pop()]
                    while component[-1] != node:
                        component.append(stack.pop())
                    open_.difference_update(component)
                    if len(component) > 1:
                        found.append(component)
    return found


def _shortest(graph: Graph, inside: set[int], closing: int, others: int) -> list[Dependency] | None:
    """The shortest cycle through any of the first `ATTEMPTS` edges of a closing kind."""
    best: list[Dependency] | None = None
    attempts = 0
    for source in inside:
        for target, kind, item in graph.edges[source]:
            if not kind & closing or kind & ~(closing | others) or target not in inside:
                continue
            attempts += 1
            path = _path(graph, target, source, inside, others, shorter_than=len(best) if best else inf)
            if path is not None:
                best = _contract(graph, [(source, kind, item), *path])
            if attempts == ATTEMPTS or (best is not None and len(best) == 2):
                return best
    return best


def _path(
    graph: Graph, start: int, end: int, inside: set[int], kinds: int, *, shorter_than: float
) -> list[tuple[int, int, str]] | None:
    """The nodes from `start` up to but excluding `end`, each with its outgoing edge. Moments have no cost."""
    came: dict[int, tuple[int, int, str]] = {}
    distance = {start: int(start < graph.operations)}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        if node == end:
            path = []
            while node != start:
                path.append(came[node])
                node = came[node][0]
            return path[::-1]
        for target, kind, item in graph.edges[node]:
            if kind & ~kinds or target not in inside:
                continue
            cost = distance[node] + (target < graph.operations)
            if cost < min(shorter_than, distance.get(target, inf)):
                distance[target] = cost
                came[target] = (node, kind, item)
                (queue.append if target < graph.operations else queue.appendleft)(target)
    return None


def _contract(graph: Graph, path: list[tuple[int, int, str]]) -> list[Dependency]:
    """Remove the moments: the edge that leaves an operation gives the reason why the next one is later."""
    real = [step for step in path if step[0] < graph.operations]
    following = [*real[1:], real[0]]
    return [
        Dependency(source, target, NAMES[kind], item)
        for (source, kind, item), (target, _, _) in zip(real, following, strict=True)
    ]
