"""At the limit of connections, choose the connection to close for a new one.

A `Room` lives for one turn of the event loop, so that the connections are counted once per turn: a client may open a
thousand connections in one turn, and each would count all others.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Set
from heapq import heapify, heappop, heappush

from atoll.wire.connection import Connection


class Room:
    """`connections` are all open connections, a set that changes meanwhile. `refused` ones are not counted."""

    def __init__(self, connections: Set[Connection], refused: Set[Connection]) -> None:
        self._open = connections
        self._counts: Counter[str] = Counter()
        self._own: dict[str, list[Connection]] = {}
        self._sorted: dict[str, tuple[deque[Connection], deque[Connection]]] = {}
        for one in connections - refused:
            self._counts[one.client] += 1
            self._own.setdefault(one.client, []).append(one)
        self._most = [(-count, client) for client, count in self._counts.items()]
        """A heap of counts, in which outdated counts remain."""
        heapify(self._most)

    def make(self, connection: Connection) -> bool:
        """Close the longest idle connection of the client that has the most connections. If that client has no idle
        one, and more than the new connection's client, let one of its busy connections end after its request: the one
        that has not begun a request for the longest time. Returns whether there is room now."""
        client = connection.client
        self._count(client, 1)
        most = self._greatest()
        if self._counts[client] == self._counts[most]:
            most = client
        if (idle := self._next_idle(most)) is not None:
            idle.close_idle()
        elif most != client and (busy := self._next_busy(most)) is not None:
            busy.close_when_answered()
        else:
            self._count(client, -1)
            return False
        self._count(most, -1)
        self._lists(client)[1].append(connection)
        return True

    def _count(self, client: str, change: int) -> None:
        self._counts[client] += change
        heappush(self._most, (-self._counts[client], client))

    def _greatest(self) -> str:
        while -self._most[0][0] != self._counts[self._most[0][1]]:
            heappop(self._most)
        return self._most[0][1]

    def _lists(self, client: str) -> tuple[deque[Connection], deque[Connection]]:
        """The client's idle and its busy connections. Those that have not begun a request for the longest time come
        first."""
        if client not in self._sorted:
            self._sorted[client] = idle, busy = deque[Connection](), deque[Connection]()
            for one in sorted(self._own.get(client, ()), key=lambda one: one.idle_since):
                (idle if one.is_idle else busy).append(one)
        return self._sorted[client]

    def _next_idle(self, client: str) -> Connection | None:
        idle, _ = self._lists(client)
        while idle:
            one = idle.popleft()
            if one.is_idle and one in self._open:
                return one
        return None

    def _next_busy(self, client: str) -> Connection | None:
        _, busy = self._lists(client)
        while busy:
            one = busy.popleft()
            if not one.is_ending and one in self._open:
                return one
        return None
