"""The links between the regions of this node and of its peers: their faults and their progress.

    {"from": "us-east-1", "to": "eu-west-1", "partition": true}     changes only the members that it names

The node that serves `to` has the state of a link. Other nodes ask it; faults do not affect these questions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from atoll.database.region import Region
from atoll.durations import duration_ms
from atoll.errors import ApiError
from atoll.errors import replication as replication_errors
from atoll.replication.exchange import Exchange, Handlers, Unreachable
from atoll.replication.faults import Faults, LinkFaults, show
from atoll.replication.messages import Message

Body = dict[str, Any]
Progress = Callable[[str, str], list[Body]]
"""Returns the progress of replication from one region to another, by table."""

PEER_S = 5.0
"""How long to wait for the links of a peer."""

_log = logging.getLogger(__name__)


class Links:
    """`regions` are those of this node; `peers` are those of its peers, which are asked through `exchange`. `fixed`: no
    fault can be set, because the server has several processes, which do not share faults."""

    def __init__(
        self,
        faults: Faults,
        exchange: Exchange,
        regions: Sequence[str],
        peers: Sequence[str],
        progress: Progress,
        *,
        fixed: bool = False,
    ) -> None:
        self.progress = progress
        self.handlers: Handlers = {"links": self._answer_links, "link": self._answer_link}
        self._faults = faults
        self._exchange = exchange
        self.regions = regions
        self._peers = peers
        self.known = [*regions, *peers]
        self._fixed = fixed

    async def show(self) -> list[Body]:
        """The links between all regions. Those to the region of a peer are left out while it cannot be asked."""
        found = [row for to in self.regions for row in self._to(to)]
        for rows in await asyncio.gather(*map(self._of_peer, self._peers)):
            found += rows
        order = {name: at for at, name in enumerate(self.known)}
        return sorted(found, key=lambda row: (order.get(row["from"], len(order)), order.get(row["to"], len(order))))

    async def change(self, body: Body) -> None:
        from_, to = self._ends(body)
        if to in self.regions:
            self._change(from_, to, body)
            return
        try:
            await self._exchange.ask(self.regions[0], to, Message("link", body))
        except Unreachable as error:
            raise replication_errors.unreachable(to, error.reason) from None

    def _change(self, from_: str, to: str, body: Body) -> None:
        if self._fixed:
            raise replication_errors.links_need_one_worker()
        self._faults.set(from_, to, changed(self._faults.of(from_, to), body))

    def _ends(self, body: Body) -> tuple[str, str]:
        from_, to = body.get("from"), body.get("to")
        if not isinstance(from_, str) or not isinstance(to, str):
            raise replication_errors.link_needs_regions()
        for name in (from_, to):
            if name not in self.known:
                raise replication_errors.unknown_region(name, self.known)
        if from_ == to:
            raise replication_errors.link_to_itself(to)
        changed(LinkFaults(), body)
        return from_, to

    def _to(self, to: str) -> list[Body]:
        others = [one for one in self.known if one != to]
        return [show(one, to, self._faults.of(one, to), self.progress(one, to)) for one in others]

    async def _of_peer(self, region: str) -> list[Body]:
        try:
            async with asyncio.timeout(PEER_S):
                answer = await self._exchange.ask(self.regions[0], region, Message("links", {}))
        except (Unreachable, TimeoutError, ApiError) as error:
            _log.warning("the links to %s are not known: %s", region, error)
            return []
        rows = answer.head.get("links")
        if not isinstance(rows, list) or not all(
            isinstance(row, dict) and {"from", "to"} <= row.keys() for row in rows
        ):
            _log.warning("the links to %s are not known: the peer's answer is invalid", region)
            return []
        return rows

    async def _answer_links(self, asked: Region, source: str, message: Message) -> Message:
        return Message("links", {"links": self._to(asked.name)})

    async def _answer_link(self, asked: Region, source: str, message: Message) -> Message:
        from_, to = self._ends(message.head)
        if to != asked.name:
            raise replication_errors.no_region_of_this_node(to)
        self._change(from_, to, message.head)
        return Message("link", {})


def changed(link: LinkFaults, body: Body) -> LinkFaults:
    """The link with the change in the body of a request. Raises for an invalid body."""
    changes: dict[str, Any] = {}
    for name, value in body.items():
        if name not in MEMBERS:
            raise replication_errors.unknown_member(name, MEMBERS)
        if name in _READ:
            member, read = _READ[name]
            changes[member] = read(name, value)
    return replace(link, **changes)


def _boolean(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise replication_errors.no_boolean(name, value)
    return value


def _part(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise replication_errors.no_part(name, value)
    return value


def _duration(name: str, value: object) -> int:
    ms = duration_ms(value)
    if ms < 0:
        raise replication_errors.negative_duration(name, value)
    return ms


_READ: Mapping[str, tuple[str, Callable[[str, object], Any]]] = {
    "partition": ("partition", _boolean),
    "paused": ("paused", _boolean),
    "delay": ("delay_ms", _duration),
    "jitter": ("jitter_ms", _duration),
    "loss": ("loss", _part),
    "duplicate": ("duplicate", _part),
}
"""For each member of a request, the fault and the function that reads its value."""

MEMBERS = ("from", "to", *_READ)
