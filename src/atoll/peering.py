"""Connect the regions of a node with each other and with those of its peers: the exchange, the credentials, faults of
links.

`handlers` answer the messages of other regions, by the name of the message. `exchange` is for replication; it has the
faults on demand. `replication` has the replicas of each open region of this node.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from atoll.clock import Clock, ManualClock, SystemClock
from atoll.config import Config
from atoll.database.region import Region
from atoll.replication import answers
from atoll.replication.checked import CheckedAnswers, CheckedQuestions
from atoll.replication.exchange import Handler, LocalExchange, Neighbourhood, RoutedExchange
from atoll.replication.faults import Faults
from atoll.replication.faulty import FaultyExchange
from atoll.replication.follower import Replication
from atoll.replication.links import Links
from atoll.replication.pacing import Pacing
from atoll.replication.peer import PeerExchange
from atoll.replication.waits import Waits
from atoll.security.credentials import BadCredentials, Credential, Credentials, CredentialsSource
from atoll.wire.peers import Peers

_log = logging.getLogger(__name__)


class Peering:
    """The peering of one node. `region` finds a region of this node."""

    def __init__(self, config: Config, region: Callable[[str], Region], clock: Clock) -> None:
        self.handlers: dict[str, Handler] = {}
        self.faults = Faults()
        self.waits = Waits(clock)
        self._config = config
        self._credentials: CredentialsSource | None = None
        self._signature_clock = SystemClock()
        self._local = LocalExchange(self.handlers, region, config.regions)
        self._peers = {
            name: PeerExchange(url, self._peer_credentials, self._signature_clock, config.peer_tls)
            for name, url in config.peers.items()
        }
        checked = {name: CheckedAnswers(peer, region) for name, peer in self._peers.items()}
        self._region = region
        routed = RoutedExchange(self._local, config.regions, checked)
        self.exchange = FaultyExchange(routed, self.faults, clock, self.waits.at, answers.has_news)
        self._pacing = Pacing(self.exchange)
        self._is_manual = isinstance(clock, ManualClock)
        self.faults.changed.append(self._link_changed)
        self.replication: dict[str, Replication] = {}
        self.links = Links(
            self.faults, routed, config.regions, list(config.peers), self._progress, fixed=config.workers > 1
        )
        self.handlers |= self.links.handlers
        self.handlers |= answers.HANDLERS
        self._route: Peers | None = None

    def start(self, shared: CredentialsSource | None = None) -> Peers:
        """Read the credentials, or use the `shared` ones; returns the route for the requests of peers. Raises
        `BadCredentials`."""
        path = self._config.peer_credentials_file
        self._credentials = Credentials(path, self._config.vault) if path is not None else shared
        if self._config.peers and not self._peer_credentials():
            raise BadCredentials(
                f"--peer needs a peering credential in {path or 'the file of --peer-credentials'}: "
                "make one with atoll credentials create --peer"
            )
        questions = CheckedQuestions(self._local, self._region, self._config.regions)
        self._route = Peers(questions, self._config.regions, self._credentials)
        return self._route

    def begin(self, region: Region) -> Replication:
        """Keep the replicas of an open region up to date; the caller runs the loop."""
        if len(self._config.regions) + len(self._config.peers) > 1:
            region.neighbours = Neighbourhood(self.exchange, self._config.replicable)
        paced = partial(self._is_paced, region.name)
        self.replication[region.name] = replication = Replication(region, self.exchange, paced)
        return replication

    async def log_lost(self, regions: Iterable[Region]) -> None:
        """Log the tables with replicas in regions that neither this server nor a peer serves."""
        for region in regions:
            lost: dict[str, list[str]] = {}
            for table in await region.read(region.catalog.tables):
                for member in table.group.others if table.group is not None else ():
                    if not self._config.replicable(member.region):
                        lost.setdefault(member.region, []).append(table.name)
            for other, names in lost.items() if await region.engine.lease() else ():
                _log.warning(
                    "writes in %s are not replicated to %s: the server was started without that region, and without "
                    "a peer for it; tables: %s", region.name, other, ", ".join(names),
                )  # fmt: skip

    async def settle(self) -> int | None:
        """Read all changes that can be read now. With a manual clock, slow links hold answers until they are due;
        returns when the next is due."""
        known = (*self._config.regions, *self._config.peers)
        self.waits.settle()
        await asyncio.sleep(0)
        again = True
        while again:
            again = await self._pacing.rest()
            for to, replication in list(self.replication.items()):
                paced = [from_ for from_ in known if self._is_paced(to, from_)]
                again = await replication.settle(passes_over=paced) or again
                for from_ in paced:
                    again = await self._pacing.ask(replication, from_) or again
        return self.waits.settle()

    async def drop(self) -> None:
        """Drop all pending answers, because the stores are replaced."""
        await self._pacing.drop()
        await asyncio.gather(*(replication.drop() for replication in self.replication.values()))

    def _is_paced(self, to: str, from_: str) -> bool:
        link = self.faults.of(from_, to)
        return self._is_manual and (link.delay_ms > 0 or link.jitter_ms > 0)

    def _link_changed(self, from_: str, to: str) -> None:
        if to in self.replication:
            self.replication[to].link_changed(from_)

    def _progress(self, from_: str, to: str) -> list[dict[str, Any]]:
        replication = self.replication.get(to)
        return [] if replication is None else replication.progress(from_)

    async def stop(self) -> None:
        """End the loops, and the requests that wait for changes."""
        await self._pacing.drop()
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
