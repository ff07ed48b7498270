"""How the regions of a node ask each other and those of its peers: the exchange, the credentials, faults of links.

`handlers` answer the messages of other regions, by the name of the message. `exchange` is for replication, and has the
faults that were asked for. `replication` has the replicas of each open region of this node.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from atoll.clock import Clock, SystemClock
from atoll.config import Config
from atoll.database.region import Region
from atoll.replication import answers
from atoll.replication.exchange import Handler, LocalExchange, Neighbourhood, RoutedExchange
from atoll.replication.faults import Faults
from atoll.replication.faulty import FaultyExchange
from atoll.replication.follower import Replication
from atoll.replication.links import Links
from atoll.replication.peer import PeerExchange
from atoll.replication.waits import Waits
from atoll.security.credentials import BadCredentials, Credential, Credentials
from atoll.wire.peers import Peers


class Peering:
    """`region` finds a region of this node. `random` decides which answers a link loses."""

    def __init__(
        self, config: Config, region: Callable[[str], Region], clock: Clock, random: Random | None = None
    ) -> None:
        self.handlers: dict[str, Handler] = {}
        self.faults = Faults(random)
        self.waits = Waits(clock)
        self._config = config
        self._credentials: Credentials | None = None
        self._signature_clock = SystemClock()
        self._local = LocalExchange(self.handlers, region, config.regions)
        self._peers = {
            name: PeerExchange(url, self._peer_credentials, self._signature_clock, config.peer_tls)
            for name, url in config.peers.items()
        }
        routed = RoutedExchange(self._local, config.regions, self._peers)
        self.exchange = FaultyExchange(routed, self.faults, clock, self.waits.at)
        self.replication: dict[str, Replication] = {}
        self.links = Links(
            self.faults, routed, config.regions, list(config.peers), self._progress, fixed=config.workers > 1
        )
        self.handlers |= self.links.handlers
        self.handlers |= answers.HANDLERS
        self._route: Peers | None = None

    def start(self) -> Peers:
        """Read the credentials; returns the route for the requests of peers. Raises `BadCredentials`."""
        path = self._config.peer_credentials_file
        if path is not None:
            self._credentials = Credentials(path)
        if self._config.peers and not self._peer_credentials():
            raise BadCredentials(
                f"--peer needs a peering credential in {path or 'the file of --peer-credentials'}: "
                "make one with atoll credentials create --peer"
            )
        self._route = Peers(self._local, self._config.regions, self._credentials)
        return self._route

    def begin(self, region: Region) -> Replication:
        """Keep the replicas of an open region up to date; the caller runs the loop."""
        if len(self._config.regions) + len(self._config.peers) > 1:
            region.neighbours = Neighbourhood(self.exchange, self._config.replicable)
        self.replication[region.name] = replication = Replication(region, self.exchange)
        return replication

    async def settle(self) -> int | None:
        """Deliver the answers that links hold and that are due by the manual clock, then read all changes that can be
        read now. Links that delay their answers are passed over; returns when the next of their answers is due."""
        self.waits.settle()
        await asyncio.sleep(0)
        again = True
        while again:
            again = False
            for to, replication in list(self.replication.items()):
                slow = [from_ for from_ in (*self._config.regions, *self._config.peers) if self._is_slow(from_, to)]
                again = await replication.settle(passes_over=slow) or again
        return self.waits.settle()

    def _is_slow(self, from_: str, to: str) -> bool:
        link = self.faults.of(from_, to)
        return link.delay_ms > 0 or link.jitter_ms > 0

    def _progress(self, from_: str, to: str) -> list[dict[str, Any]]:
        replication = self.replication.get(to)
        return [] if replication is None else replication.progress(from_)

    async def stop(self) -> None:
        """End the loops, and the requests that wait for changes."""
        await asyncio.gather(*(replication.stop() for replication in self.replication.values()))
        if self._route is not None:
            self._route.close()
        for peer in self._peers.values():
            peer.close()

    def reload(self) -> None:
        """Read the credentials again, if their file has changed."""
        if self._credentials is not None:
            self._credentials.reload()

    def _peer_credentials(self) -> Sequence[Credential]:
        if self._credentials is None:
            return ()
        self._credentials.refresh(self._signature_clock.now_ms())
        return self._credentials.peers()
