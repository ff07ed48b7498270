"""Faults on demand of the links between regions, as a bad network causes them. Pure.

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
    """The delay of answers."""
    jitter_ms: int = 0
    """The most random time that is added to the delay."""
    loss: float = 0
    """The share of answers that are lost."""
    duplicate: float = 0
    """The share of answers that arrive twice."""

    @property
    def is_cut(self) -> bool:
        return self.partition or self.paused


CLEAR = LinkFaults()


class Fate(NamedTuple):
    """The faults of one answer, apart from a cut link."""

    is_lost: bool
    copies: int
    lateness: float
    """The share of the jitter that delays the answer, from 0 to 1."""


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
        """The faults of the next answer. Always draws three random numbers, so that a seed gives the same results for
        any faults."""
        lost, doubled, lateness = self._random.random(), self._random.random(), self._random.random()
        return Fate(lost < link.loss, 2 if doubled < link.duplicate else 1, lateness)


def show(from_: str, to: str, link: LinkFaults, tables: list[dict[str, Any]]) -> dict[str, Any]:
    """The link as the admin API shows it."""
    return {"from": from_, "to": to, **asdict(link), "tables": tables}
