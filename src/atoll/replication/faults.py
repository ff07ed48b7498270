"""Faults of the links between regions, on demand: what a network does to messages. Pure.

A link has one direction, that of the data: its region `to` asks its region `from` for changes. A link without faults
is not stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from random import Random
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class LinkFaults:
    partition: bool = False
    """The region cannot be asked."""
    paused: bool = False
    """The region is not asked."""
    delay_ms: int = 0
    """How much later answers arrive."""
    jitter_ms: int = 0
    """How much later than that they arrive at most, at random."""
    loss: float = 0
    """The part of answers that is lost."""
    duplicate: float = 0
    """The part of answers that arrives twice."""

    @property
    def is_cut(self) -> bool:
        return self.partition or self.paused


CLEAR = LinkFaults()


class Fate(NamedTuple):
    """What happens to one answer, apart from a cut link."""

    is_lost: bool
    copies: int
    lateness: float
    """From 0 to 1, the part of the jitter that the answer gets."""


class Faults:
    """The links of a node. `changed` is called after each change with the regions `from` and `to`."""

    def __init__(self, random: Random | None = None) -> None:
        self.changed: list[Callable[[str, str], None]] = []
        self._random = random or Random()
        self._links: dict[tuple[str, str], LinkFaults] = {}

    def of(self, from_: str, to: str) -> LinkFaults:
        return self._links.get((from_, to), CLEAR)

    def set(self, from_: str, to: str, link: LinkFaults) -> None:
        if link == CLEAR:
            self._links.pop((from_, to), None)
        else:
            self._links[from_, to] = link
        for tell in self.changed:
            tell(from_, to)

    def all(self) -> Mapping[tuple[str, str], LinkFaults]:
        """The links that have faults, by their regions `from` and `to`."""
        return dict(self._links)

    def replace(self, links: Mapping[tuple[str, str], LinkFaults]) -> None:
        """Give these links their faults, and no others."""
        for ends in {*self._links, *links}:
            self.set(*ends, links.get(ends, CLEAR))

    def fate(self, link: LinkFaults) -> Fate:
        """Draws three numbers whatever the link is like, so that the same seed gives the same fates."""
        lost, doubled, lateness = self._random.random(), self._random.random(), self._random.random()
        return Fate(lost < link.loss, 2 if doubled < link.duplicate else 1, lateness)


def show(from_: str, to: str, link: LinkFaults, tables: list[dict[str, Any]]) -> dict[str, Any]:
    """As the administration shows it."""
    return {"from": from_, "to": to, **asdict(link), "tables": tables}
